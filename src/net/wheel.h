/*
 * wheel.h - many timers of coarse time: 10 ms slots, set and deleted in
 * constant time. One timer of the loop drives it, none when it is empty.
 */
#ifndef NET_WHEEL_H
#define NET_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"

#define WHEEL_SLOTS   1024
#define WHEEL_TICK_NS 10000000ULL

struct wheel_timer {
	struct wheel_timer *next, **prev; /* prev NULL: not set */
	uint64_t tick;                    /* when */
	void (*cb)(struct wheel_timer *t);
};

struct wheel {
	struct loop *loop; /* NULL: by wheel_run() only */
	struct loop_timer timer;
	uint64_t now; /* tick up to which all have run */
	unsigned n;
	struct wheel_timer *slot[WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, struct loop *l, uint64_t now_ns);
void wheel_release(struct wheel *w); /* forgets them all */

/* @cb runs once, never before @at_ns, as much as a tick behind. */
void wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t at_ns,
               void (*cb)(struct wheel_timer *t));
void wheel_del(struct wheel *w, struct wheel_timer *t); /* fine when not set */

static inline bool wheel_is_set(const struct wheel_timer *t)
{
	return t->prev != NULL;
}

/* Run what is due at @now_ns. The loop does this by itself. */
void wheel_run(struct wheel *w, uint64_t now_ns);

#endif
