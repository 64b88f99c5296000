/*
 * loop.h - one epoll event loop: file descriptors, timers, and work posted
 * from other threads.
 *
 * A loop belongs to the thread that calls loop_run(); every function but
 * loop_post(), loop_stop() and loop_is_mine() may be called by that thread
 * only (or before it runs). Sources and timers are embedded in their owner's
 * struct and are not allocated; the owner removes them before it frees itself.
 * Inside a callback any source may be added, changed or removed, itself
 * included: an event of the same round for a removed source is dropped.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/cleanup.h"

struct loop;

struct loop_fd {
	int fd;
	void (*cb)(void *arg, uint32_t events); /* EPOLLIN | ... */
	void *arg;
	uint32_t events;
	bool added;
};

struct loop_timer {
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
	void (*cb)(void *arg);
	void *arg;
	struct loop_timer *next;
	bool armed;
	uint64_t round; /* in which it was armed */
};

/* A new loop, or NULL with errno set. */
struct loop *loop_new(void);
void loop_free(struct loop *l); /* NULL is fine; does not close sources */

/* Level-triggered; @events is a mask of EPOLLIN, EPOLLOUT (0: errors only). */
int loop_add(struct loop *l, struct loop_fd *s, int fd, uint32_t events,
             void (*cb)(void *arg, uint32_t events), void *arg);
int loop_mod(struct loop *l, struct loop_fd *s, uint32_t events);
void loop_del(struct loop *l, struct loop_fd *s); /* fine when not added */
/* loop_del() and close(). Fine when not added, or -1. */
void loop_close(struct loop *l, struct loop_fd *s);
/*
 * The same by one system call: the kernel takes a closed descriptor out by
 * itself. But if anybody has a copy, also in another process, it stays in and
 * calls what may be freed: only where nobody can have one.
 */
void loop_close_sole(struct loop *l, struct loop_fd *s);

/* Arm or re-arm; a callback runs once per arming. */
void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t deadline_ns,
                    void (*cb)(void *arg), void *arg);
void loop_timer_del(struct loop *l, struct loop_timer *t);

/* Run until loop_stop(); returns 0 or a negative errno of epoll_wait(). */
int loop_run(struct loop *l);

/* One round: wait at most @timeout_ms (-1: for ever), handle what came. */
int loop_step(struct loop *l, int timeout_ms);

/* Is the caller the thread that runs, or last ran, the loop? Any thread. */
bool loop_is_mine(struct loop *l);

/* From any thread, also from a signal handler. */
void loop_stop(struct loop *l);

/* From any thread: run fn(arg) in the loop's thread. 0 or -ENOMEM. */
int loop_post(struct loop *l, void (*fn)(void *arg), void *arg);

static inline void cleanup_loop_fn(struct loop **l)
{
	loop_free(*l);
}
#define cleanup_loop cleanup(cleanup_loop_fn)

#endif
