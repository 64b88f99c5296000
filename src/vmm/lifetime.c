#include "vmm/lifetime.h"

#include <string.h>

#include "base/clock.h"
#include "base/num.h"

#include "base/banned.h"

/*
 * Sessions are counted now and then, not watched. The first look that finds
 * none anew counts as need, too: so the end may come late, never early.
 */
#define LOOK_NS NS_PER_S

static void expire(struct lifetime *t, const char *why)
{
	lifetime_stop(t);
	t->expired(t->arg, why);
}

static void too_old(void *arg)
{
	expire(arg, "max_duration");
}

static void look(void *arg)
{
	struct lifetime *t = arg;
	uint64_t now = clock_now_ns();

	bool needed = t->sessions(t->arg) > 0;

	if (needed || t->was_needed)
		t->needed_ns = now;
	t->was_needed = needed;
	if (now - t->needed_ns >= t->idle_ns) {
		expire(t, "idle_timeout");
		return;
	}
	loop_timer_set(t->loop, &t->idle,
	               now + MIN(LOOK_NS, t->idle_ns - (now - t->needed_ns)),
	               look, t);
}

void lifetime_start(struct lifetime *t, struct loop *l,
                    const struct lifetime_opts *o)
{
	uint64_t now = clock_now_ns();

	*t = (struct lifetime){.loop = l,
	                       .idle_ns = o->idle_s * NS_PER_S,
	                       .needed_ns = now,
	                       .sessions = o->sessions,
	                       .expired = o->expired,
	                       .arg = o->arg};
	if (o->max_s)
		loop_timer_set(l, &t->most, now + o->max_s * NS_PER_S, too_old,
		               t);
	if (o->idle_s)
		look(t);
}

void lifetime_touch(struct lifetime *t)
{
	t->needed_ns = clock_now_ns();
}

void lifetime_stop(struct lifetime *t)
{
	if (!t->loop)
		return;
	loop_timer_del(t->loop, &t->idle);
	loop_timer_del(t->loop, &t->most);
}
