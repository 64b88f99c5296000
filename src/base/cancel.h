/*
 * cancel.h - a token that ends waits from outside: of another thread, or of a
 * signal handler.
 *
 * A thread uses one token, or none, for all that it does: cancel_use(). Every
 * wait looks at it by the functions below, so that it need not be passed on;
 * a thread that works for another takes that one's token over at its start.
 * Who cleans up, or must not be cut off in the middle, uses none for so long:
 *
 *	struct cancel *cleanup_cancel held = cancel_hold();
 *
 * Only waits end. What needs no waiting may well be done with a fired token.
 */
#ifndef BASE_CANCEL_H
#define BASE_CANCEL_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"

struct cancel {
	atomic_bool fired;
	int fd; /* an eventfd, readable soon after it was fired */
};

/* 0 or a negative errno. */
int cancel_init(struct cancel *c);
void cancel_release(struct cancel *c); /* nobody uses it any more */

void cancel_fire(struct cancel *c); /* async-signal-safe */
void cancel_reset(struct cancel *c);

/* The token of this thread from now on, and until now: NULL is none. */
struct cancel *cancel_use(struct cancel *c);
struct cancel *cancel_now(void);

static inline bool cancel_is_fired(const struct cancel *c)
{
	return c && atomic_load_explicit(&c->fired, memory_order_acquire);
}

/* Of this thread. */
bool cancel_fired(void);

/* 0, or -ECANCELED with the words of it. */
int cancel_check(struct err *err);

/* None, until the scope ends. */
struct cancel *cancel_hold(void);
static inline void cleanup_cancel_fn(struct cancel **held)
{
	(void)cancel_use(*held);
}
#define cleanup_cancel cleanup(cleanup_cancel_fn)

#define CANCEL_POLL_MAX 8

/*
 * poll() of at most CANCEL_POLL_MAX descriptors that ends with -ECANCELED when
 * the token is fired; with @ms 0 it does not wait, so it is not. Else what
 * poll() gives, or a negative errno, -EINTR among them.
 */
int cancel_poll(struct pollfd *pf, size_t n, int ms);

/* 0 or -ECANCELED. */
int cancel_sleep(uint32_t ms);

/* flock(): 0, -ECANCELED or another negative errno; never -EINTR. */
int cancel_flock(int fd, int op);

/* 0 with the lock, or -ECANCELED without. */
int cancel_lock(pthread_mutex_t *lock);

/*
 * read() and a whole write() of a descriptor that may block, as a pipe does.
 * Without a token they are just that.
 */
ssize_t cancel_read(int fd, void *data, size_t len);
int cancel_write_full(int fd, const void *data, size_t len);

#endif
