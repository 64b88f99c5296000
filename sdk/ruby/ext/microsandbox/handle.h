/*
 * handle.h - objects that hold a handle of the library.
 *
 * A handle goes by close, or by the garbage collector. While a call uses it,
 * in whatever thread, it stays: close() then cancels those calls, and the last
 * one gives it back. All counting is done under the lock of Ruby.
 *
 * A child of fork() must not touch what its parent opened: there a handle is
 * neither usable nor freed.
 */
#ifndef MSB_RUBY_HANDLE_H
#define MSB_RUBY_HANDLE_H

#include <ruby.h>
#include <stdbool.h>
#include <sys/types.h>

enum handle_type {
	HANDLE_HOME,
	HANDLE_IMAGE,
	HANDLE_SANDBOX,
	HANDLE_EXEC,
	HANDLE_LOGS,
	HANDLE_FILE,
};

struct handle {
	enum handle_type type;
	void *ptr; /* NULL: closed */
	pid_t pid;
	unsigned users;
	bool closing;
	int epoll; /* of what it waits on, or -1 */
};

VALUE handle_wrap(enum handle_type type, void *ptr);
/* Raises when it is of another type, closed, or from before a fork(). */
struct handle *handle_get(VALUE object, enum handle_type type);
void handle_use(struct handle *h);
void handle_done(struct handle *h);
/* Give back @ptr, that nobody has wrapped, in the background. */
void handle_drop(enum handle_type type, void *ptr);

/*
 * Wait until @fd, which is the handle's, is readable: true; or until @seconds
 * (< 0: no limit) have gone: false. Raises when the handle is closed meanwhile.
 */
bool handle_wait(struct handle *h, int fd, double seconds);

void handle_init(VALUE native);

#endif
