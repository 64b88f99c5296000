/*
 * console.h - the guest's serial port: its tail, its copy in a file, and the
 * kernel's last words.
 *
 * Nothing here waits and nothing grows: the tail is bounded, the file gets
 * CONSOLE_FILE_MAX bytes and one line that says so, and what the guest writes
 * without end is taken in portions between the other work of the loop.
 */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "vmm/tail.h"

#define CONSOLE_FILE_MAX (1u << 20)
#define CONSOLE_LINE_MAX 240

struct console {
	struct loop *loop;
	struct loop_fd src;
	int sock;               /* our end of the serial port; owned */
	int file_fd;            /* -1: none; not owned */
	uint64_t filed, logged; /* bytes */
	struct tail tail;
	char line[CONSOLE_LINE_MAX + 1]; /* the current line, cut */
	size_t line_len;
	bool panicked;
	char panic[CONSOLE_LINE_MAX + 1]; /* the kernel's reason, escaped */
	void (*on_panic)(void *arg);
	void *arg;
	/* All that comes, as it comes; NULL until somebody wants it. */
	void (*copy)(void *arg, const void *data, size_t len);
};

/*
 * Start to read. @ret_theirs gets the engine's end of the port, owned by the
 * caller. @on_panic is called once, when the kernel prints that it panics; a
 * guest's program can print the same, so it is no proof. The struct must stay
 * where it is until console_release().
 */
int console_init(struct console *c, struct loop *l, int file_fd,
                 void (*on_panic)(void *arg), void *arg, int *ret_theirs,
                 struct err *err);
void console_release(struct console *c);

/* Take what is there already, e.g. after the engine ended. */
void console_drain(struct console *c);

/* Bytes from the guest; console_drain() calls it. */
void console_feed(struct console *c, const void *data, size_t len);

#endif
