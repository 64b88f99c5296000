/*
 * pins.c - addresses by hash, each with its names, newest first; and all pins
 * in a heap by when they end, so that room is made in logarithmic time.
 *
 *	bucket -> pin_addr -> pin (name, until) -> pin ...
 *	heap[0]: the pin that ends next; held ones are behind all others
 *
 * The guest chooses the addresses that it connects to, hence the keyed hash.
 * An address is kept without any name, too, while a flow holds it, so that
 * holding and dropping are always a pair.
 */
#include "net/pins.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/num.h"
#include "net/flow.h"

#include "base/banned.h"

#define BUCKETS 4096

struct pin {
	struct pin_addr *of;
	struct pin *next; /* older */
	char *name;
	uint64_t until_ns;
	uint32_t at; /* in the heap */
	bool held;   /* as of->users says; changed one pin at a time */
};

struct pin_addr {
	struct addr addr;
	struct pin_addr *next; /* in the bucket */
	struct pin *newest;
	uint32_t users;
};

struct pins {
	uint64_t key[2];
	struct pin_addr *bucket[BUCKETS];
	struct pin *heap[PINS_MAX];
	uint32_t n;
	uint64_t now_ns; /* as of the last call that said it */
};

/* ---- the heap ---- */

static bool ends_before(const struct pin *x, const struct pin *y)
{
	if (x->held != y->held)
		return y->held;
	return x->until_ns < y->until_ns;
}

static void put_at(struct pins *p, struct pin *x, uint32_t at)
{
	p->heap[at] = x;
	x->at = at;
}

/* @x ends at another time than it did, or is new at its place. */
static void heap_fix(struct pins *p, struct pin *x)
{
	uint32_t at = x->at;

	for (; at && ends_before(x, p->heap[(at - 1) / 2]); at = (at - 1) / 2)
		put_at(p, p->heap[(at - 1) / 2], at);
	for (uint32_t child; (child = 2 * at + 1) < p->n; at = child) {
		if (child + 1 < p->n &&
		    ends_before(p->heap[child + 1], p->heap[child]))
			child++;
		if (!ends_before(p->heap[child], x))
			break;
		put_at(p, p->heap[child], at);
	}
	put_at(p, x, at);
}

static void heap_take(struct pins *p, struct pin *x)
{
	struct pin *last = p->heap[--p->n];

	if (last == x)
		return;
	put_at(p, last, x->at);
	heap_fix(p, last);
}

/* ---- addresses ---- */

static struct pin_addr **slot_of(struct pins *p, const struct addr *a)
{
	uint64_t h = siphash(p->key, a->b, sizeof(a->b));
	struct pin_addr **s = &p->bucket[h % BUCKETS];

	while (*s && !addr_eq(&(*s)->addr, a))
		s = &(*s)->next;
	return s;
}

static struct pin_addr *find_or_make(struct pins *p, const struct addr *a)
{
	struct pin_addr **s = slot_of(p, a);

	if (*s)
		return *s;
	*s = calloc(1, sizeof(**s));
	if (*s)
		(*s)->addr = *a;
	return *s;
}

/* Nobody needs it: no name, no flow. */
static void forget_if_unused(struct pins *p, struct pin_addr *a)
{
	struct pin_addr **s;

	if (a->newest || a->users)
		return;
	s = slot_of(p, &a->addr);
	*s = a->next;
	free(a);
}

static void pin_free(struct pin *x)
{
	free(x->name);
	free(x);
}

/* Off its address and the heap; the address may be without a name then. */
static void pin_end(struct pins *p, struct pin *x)
{
	struct pin **s = &x->of->newest;

	while (*s != x)
		s = &(*s)->next;
	*s = x->next;
	heap_take(p, x);
	pin_free(x);
}

static void end_first(struct pins *p)
{
	struct pin_addr *of = p->heap[0]->of;

	pin_end(p, p->heap[0]);
	forget_if_unused(p, of);
}

static bool is_over(const struct pins *p, const struct pin *x)
{
	return !x->held && x->until_ns <= p->now_ns;
}

struct pins *pins_new(void)
{
	struct pins *p = calloc(1, sizeof(*p));

	if (p && getrandom(p->key, sizeof(p->key), 0) != sizeof(p->key)) {
		free(p);
		return NULL;
	}
	return p;
}

void pins_free(struct pins *p)
{
	if (!p)
		return;
	while (p->n)
		end_first(p);
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct pin_addr *a = p->bucket[i], *next; a; a = next) {
			next = a->next;
			free(a);
		}
	free(p);
}

/* The pin of @a for @name becomes the newest; NULL: there is none. */
static struct pin *make_newest(struct pin_addr *a, const char *name)
{
	for (struct pin **s = &a->newest; *s; s = &(*s)->next) {
		struct pin *x = *s;

		if (strcmp(x->name, name) != 0)
			continue;
		*s = x->next;
		x->next = a->newest;
		a->newest = x;
		return x;
	}
	return NULL;
}

/* One name more than an address may have: the one asked for longest ago. */
static void make_room_at(struct pins *p, struct pin_addr *a)
{
	unsigned n = 0;

	for (struct pin *x = a->newest; x; x = x->next)
		if (++n == PIN_NAMES_MAX) {
			pin_end(p, x);
			return;
		}
}

static struct pin *pin_make(struct pins *p, struct pin_addr *a,
                            const char *name)
{
	struct pin *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->name = strdup(name);
	if (!x->name) {
		free(x);
		return NULL;
	}
	x->of = a;
	x->next = a->newest;
	a->newest = x;
	p->heap[p->n] = x;
	x->at = p->n++;
	return x;
}

int pins_add(struct pins *p, const struct addr *a, const char *name,
             uint32_t ttl_s, uint64_t now_ns)
{
	uint64_t until = now_ns + MAX(ttl_s, PIN_LIFE_MIN) * NS_PER_S;
	struct pin_addr *of;
	struct pin *x;

	p->now_ns = now_ns;
	while (p->n && is_over(p, p->heap[0]))
		end_first(p);
	of = find_or_make(p, a);
	if (!of)
		return -ENOMEM;
	x = make_newest(of, name);
	if (!x) {
		make_room_at(p, of);
		of->users++; /* so that room is not made by freeing it */
		if (p->n == PINS_MAX)
			end_first(p);
		of->users--;
		x = pin_make(p, of, name);
	}
	if (!x) {
		forget_if_unused(p, of);
		return -ENOMEM;
	}
	x->until_ns = MAX(x->until_ns, until);
	x->held = of->users > 0; /* it may have been over when that began */
	heap_fix(p, x);
	return 0;
}

size_t pins_names(struct pins *p, const struct addr *a, uint64_t now_ns,
                  const char *ret[PIN_NAMES_MAX])
{
	const struct pin_addr *of = *slot_of(p, a);
	size_t n = 0;

	p->now_ns = now_ns;
	if (!of)
		return 0;
	for (const struct pin *x = of->newest; x && n < PIN_NAMES_MAX;
	     x = x->next)
		if (!is_over(p, x))
			ret[n++] = x->name;
	return n;
}

size_t pins_addrs(struct pins *p, const char *name, uint64_t now_ns,
                  struct addr *ret, size_t max)
{
	size_t n = 0;

	p->now_ns = now_ns;
	for (uint32_t i = 0; i < p->n && n < max; i++) {
		const struct pin *x = p->heap[i];

		if (!is_over(p, x) && strcmp(x->name, name) == 0)
			ret[n++] = x->of->addr;
	}
	return n;
}

/* What is over already stays over. */
static void set_held(struct pins *p, struct pin_addr *a, bool held)
{
	for (struct pin *x = a->newest; x; x = x->next) {
		if (held && is_over(p, x))
			continue;
		x->held = held;
		heap_fix(p, x);
	}
}

void pins_hold(struct pins *p, const struct addr *a)
{
	struct pin_addr *of = find_or_make(p, a);

	if (of && of->users++ == 0)
		set_held(p, of, true);
}

/* Pins that ended meanwhile stay until pins_add(): their names may be in use
   by who asked for them. */
void pins_drop(struct pins *p, const struct addr *a, uint64_t now_ns)
{
	struct pin_addr *of = *slot_of(p, a);

	p->now_ns = now_ns;
	if (!of || of->users == 0)
		return;
	if (--of->users == 0)
		set_held(p, of, false);
	forget_if_unused(p, of);
}
