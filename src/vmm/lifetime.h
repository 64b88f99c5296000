/*
 * lifetime.h - how long a machine may live by itself: at most so long since it
 * was ready, and so long without anybody who needs it (no session from the
 * host, no touch).
 */
#ifndef VMM_LIFETIME_H
#define VMM_LIFETIME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"

struct lifetime {
	struct loop *loop;
	uint64_t idle_ns;   /* 0: no limit */
	uint64_t needed_ns; /* CLOCK_MONOTONIC, last seen */
	bool was_needed;    /* at the last look */
	struct loop_timer idle, most;
	unsigned (*sessions)(void *arg);
	/* Once; @why is "idle_timeout" or "max_duration". */
	void (*expired)(void *arg, const char *why);
	void *arg;
};

struct lifetime_opts {
	uint32_t max_s, idle_s;          /* 0: no limit */
	unsigned (*sessions)(void *arg); /* how many are open now */
	void (*expired)(void *arg, const char *why);
	void *arg;
};

/* Time runs from now on. Must stay in its place. */
void lifetime_start(struct lifetime *t, struct loop *l,
                    const struct lifetime_opts *o);
void lifetime_touch(struct lifetime *t); /* somebody needs it */
void lifetime_stop(struct lifetime *t);  /* a zeroed one is fine */

#endif
