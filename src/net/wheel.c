/*
 * A slot holds the timers of its tick and of those that are a whole turn of the
 * wheel (10.24 s) or more away: they are passed by until their turn comes.
 */
#include "net/wheel.h"

#include <string.h>

#include "base/clock.h"
#include "base/num.h"

#include "base/banned.h"

/* Timers looked at to find the next that is due; behind it, the next slot. */
#define LOOK_MAX 256

static struct wheel_timer **slot_of(struct wheel *w, uint64_t tick)
{
	return &w->slot[tick % WHEEL_SLOTS];
}

static void link_timer(struct wheel_timer **head, struct wheel_timer *t)
{
	t->next = *head;
	t->prev = head;
	if (t->next)
		t->next->prev = &t->next;
	*head = t;
}

static void unlink_timer(struct wheel_timer *t)
{
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->prev = NULL;
}

static void on_time(void *arg)
{
	wheel_run(arg, clock_now_ns());
}

/* The loop wakes us at @tick at the latest. */
static void arm(struct wheel *w, uint64_t tick)
{
	uint64_t at = tick * WHEEL_TICK_NS;

	if (!w->loop || (w->timer.armed && w->timer.deadline_ns <= at))
		return;
	loop_timer_set(w->loop, &w->timer, at, on_time, w);
}

/* The first tick behind @w->now at which there may be something to do. */
static uint64_t next_tick(const struct wheel *w)
{
	unsigned looks = 0;

	for (uint64_t tick = w->now + 1; tick < w->now + WHEEL_SLOTS; tick++) {
		const struct wheel_timer *t = w->slot[tick % WHEEL_SLOTS];

		for (; t; t = t->next)
			if (t->tick <= tick || ++looks > LOOK_MAX)
				return tick;
	}
	return w->now + WHEEL_SLOTS;
}

void wheel_init(struct wheel *w, struct loop *l, uint64_t now_ns)
{
	*w = (struct wheel){.loop = l, .now = now_ns / WHEEL_TICK_NS};
}

void wheel_release(struct wheel *w)
{
	for (unsigned i = 0; i < WHEEL_SLOTS; i++)
		while (w->slot[i])
			unlink_timer(w->slot[i]);
	w->n = 0;
	if (w->loop)
		loop_timer_del(w->loop, &w->timer);
}

void wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t at_ns,
               void (*cb)(struct wheel_timer *t))
{
	uint64_t tick = at_ns / WHEEL_TICK_NS + (at_ns % WHEEL_TICK_NS != 0);

	wheel_del(w, t);
	t->tick = MAX(tick, w->now + 1);
	t->cb = cb;
	link_timer(slot_of(w, t->tick), t);
	w->n++;
	arm(w, t->tick);
}

/* The loop's timer may wake us once for nothing: cheaper than to set it. */
void wheel_del(struct wheel *w, struct wheel_timer *t)
{
	if (!t->prev)
		return;
	unlink_timer(t);
	w->n--;
}

/* Callbacks may set and delete any timer, those in @due included. */
static void run_tick(struct wheel *w, uint64_t tick)
{
	struct wheel_timer *due = NULL, *t = *slot_of(w, tick), *next;

	for (; t; t = next) {
		next = t->next;
		if (t->tick > tick)
			continue;
		unlink_timer(t);
		link_timer(&due, t);
	}
	while ((t = due)) {
		unlink_timer(t);
		w->n--;
		t->cb(t);
	}
}

void wheel_run(struct wheel *w, uint64_t now_ns)
{
	uint64_t end = now_ns / WHEEL_TICK_NS;

	if (end > w->now + WHEEL_SLOTS)
		w->now = end - WHEEL_SLOTS; /* one turn has them all */
	while (w->now < end) {
		w->now++;
		run_tick(w, w->now);
	}
	if (w->n)
		arm(w, next_tick(w));
}
