#include "net/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

static size_t bytes(unsigned order)
{
	return (size_t)1 << order;
}

/* The largest order whose ring has at most @size bytes. */
static unsigned order_within(size_t size)
{
	unsigned order = RING_ORDER_MIN;

	while (order < RING_ORDER_MAX && bytes(order + 1) <= size)
		order++;
	return order;
}

/* ---- the pool ------------------------------------------------------------ */

void ring_pool_init(struct ring_pool *p, size_t max)
{
	*p = (struct ring_pool){.max = max};
}

/* A free piece of memory begins with a pointer to the next of its size. */
static void drop_spare(struct ring_pool *p)
{
	for (unsigned i = 0; i < RING_ORDERS; i++)
		while (p->free[i]) {
			void *next = *(void **)p->free[i];

			free(p->free[i]);
			p->free[i] = next;
		}
	p->spare = 0;
}

void ring_pool_release(struct ring_pool *p)
{
	drop_spare(p);
}

static uint8_t *take_spare(struct ring_pool *p, unsigned order)
{
	void **list = &p->free[order - RING_ORDER_MIN];
	void *m = *list;

	if (!m)
		return NULL;
	*list = *(void **)m;
	p->spare -= bytes(order);
	return m;
}

static void account(struct ring_pool *p, unsigned order, int sign)
{
	size_t size = bytes(order);

	p->used += sign > 0 ? size : -size;
	p->rings += (uint32_t)sign;
	if (size > RING_SMALL)
		p->large += sign > 0 ? size : -size;
}

static uint8_t *take(struct ring_pool *p, unsigned order)
{
	uint8_t *m;

	if (p->used + bytes(order) > p->max)
		return NULL;
	m = take_spare(p, order);
	if (!m && p->used + p->spare + bytes(order) > p->max)
		drop_spare(p);
	if (!m)
		m = malloc(bytes(order));
	if (m)
		account(p, order, 1);
	return m;
}

static void give_back(struct ring_pool *p, uint8_t *m, unsigned order)
{
	void **list = &p->free[order - RING_ORDER_MIN];

	account(p, order, -1);
	if (p->spare + bytes(order) > RING_SPARE_MAX) {
		free(m);
		return;
	}
	*(void **)m = *list;
	*list = m;
	p->spare += bytes(order);
}

/* Of a ring that is one of @p->rings, or would be the next. */
static unsigned order_limit(const struct ring_pool *p, const struct ring *r)
{
	size_t others = p->large, share;
	unsigned order;

	if (ring_size(r) > RING_SMALL)
		others -= ring_size(r);
	share = p->max / 2 / (p->rings + (r->data ? 0 : 1));
	order = order_within(share);
	while (bytes(order) > RING_SMALL && others + bytes(order) > p->max / 2)
		order--;
	return order;
}

uint32_t ring_limit(const struct ring_pool *p, const struct ring *r)
{
	return MAX((uint32_t)bytes(order_limit(p, r)), ring_size(r));
}

/* ---- one ring ------------------------------------------------------------ */

static void move_to(struct ring_pool *p, struct ring *r, uint8_t *m,
                    unsigned order)
{
	struct iovec v[2];
	unsigned n = ring_get(r, 0, r->used, v);
	size_t at = 0;

	for (unsigned i = 0; i < n; i++) {
		memcpy(m + at, v[i].iov_base, v[i].iov_len);
		at += v[i].iov_len;
	}
	if (r->data)
		give_back(p, r->data, r->order);
	r->data = m;
	r->order = (uint8_t)order;
	r->head = 0;
}

static unsigned order_for(const struct ring *r, uint32_t want)
{
	unsigned order = r->hint ? r->hint : RING_ORDER_FIRST;

	if (r->data)
		order = r->order + 1u;
	while (order < RING_ORDER_MAX && bytes(order) < (size_t)r->used + want)
		order++;
	return order;
}

/* Memory may be short for a large one and do for a small one. */
int ring_reserve(struct ring_pool *p, struct ring *r, uint32_t want)
{
	unsigned order, least = r->data ? r->order + 1u : RING_ORDER_MIN;
	uint8_t *m = NULL;

	if (ring_room(r) >= want && r->data)
		return 0;
	r->tight = r->data != NULL;
	order = MIN(order_for(r, want), order_limit(p, r));
	for (; !m && order >= least; order--)
		m = take(p, order);
	if (m)
		move_to(p, r, m, order + 1);
	if (!r->data)
		return -ENOMEM;
	return ring_room(r) ? 0 : -ENOBUFS;
}

/* @len bytes of the memory from @at on, in one piece or, at its end, two. */
static unsigned pieces(const struct ring *r, uint32_t at, uint32_t len,
                       struct iovec v[2])
{
	uint32_t size = ring_size(r), first;

	if (!len)
		return 0;
	at &= size - 1;
	first = MIN(len, size - at);
	v[0] = (struct iovec){r->data + at, first};
	if (first == len)
		return 1;
	v[1] = (struct iovec){r->data, len - first};
	return 2;
}

unsigned ring_space(const struct ring *r, struct iovec v[2])
{
	return pieces(r, r->head + r->used, ring_room(r), v);
}

void ring_added(struct ring *r, uint32_t n)
{
	r->used += n;
}

unsigned ring_get(const struct ring *r, uint32_t at, uint32_t len,
                  struct iovec v[2])
{
	return pieces(r, r->head + at, len, v);
}

static void put_bytes(struct ring *r, const uint8_t *from, uint32_t len)
{
	struct iovec v[2];
	unsigned n = pieces(r, r->head + r->used, len, v);

	for (unsigned i = 0; i < n; i++) {
		memcpy(v[i].iov_base, from, v[i].iov_len);
		from += v[i].iov_len;
	}
	r->used += len;
}

uint32_t ring_put(struct ring *r, const struct iovec *v, unsigned n,
                  size_t skip)
{
	uint32_t put = 0;

	for (unsigned i = 0; i < n; i++) {
		size_t cut = MIN(skip, v[i].iov_len);
		uint32_t part = (uint32_t)MIN(v[i].iov_len - cut, ring_room(r));

		skip -= cut;
		put_bytes(r, (const uint8_t *)v[i].iov_base + cut, part);
		put += part;
	}
	return put;
}

void ring_drop(struct ring_pool *p, struct ring *r, uint32_t n)
{
	r->used -= n;
	r->head = (r->head + n) & (ring_size(r) - 1);
	if (!r->used)
		ring_clear(p, r);
}

/* One that was never full begins smaller the next time. */
void ring_clear(struct ring_pool *p, struct ring *r)
{
	if (!r->data)
		return;
	r->hint = (uint8_t)MAX(r->order - (r->tight ? 0 : 1), RING_ORDER_FIRST);
	give_back(p, r->data, r->order);
	r->data = NULL;
	r->head = r->used = 0;
	r->tight = 0;
}
