/*
 * ring.h - bytes that wait, of one flow in one direction, and the memory for
 * all of them.
 *
 * A ring has a power of two of bytes, or no memory at all while it is empty: a
 * flow that says nothing costs nothing. It begins small and grows as long as
 * its reader is slower than its writer, up to its share of the pool: half of
 * the pool over the rings there are. Rings of more than RING_SMALL bytes
 * together take half of the pool at most, so that those who took much while
 * they were few leave something for all others.
 */
#ifndef NET_RING_H
#define NET_RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define RING_ORDER_MIN   12 /* 4 KiB */
#define RING_ORDER_FIRST 14
#define RING_ORDER_MAX   20 /* 1 MiB */
#define RING_ORDERS      (RING_ORDER_MAX - RING_ORDER_MIN + 1)
#define RING_SMALL       (16u << 10)

/* Memory that nobody has now and that is kept for the next who asks. */
#define RING_SPARE_MAX (4u << 20)

struct ring_pool {
	size_t max;
	size_t used, large; /* in rings; in those beyond RING_SMALL */
	size_t spare;
	uint32_t rings;
	void *free[RING_ORDERS];
};

struct ring {
	uint8_t *data; /* NULL: empty */
	uint32_t head, used;
	uint8_t order;
	uint8_t hint;  /* the order to begin with; 0: the first */
	uint8_t tight; /* it was full since it has memory */
};

void ring_pool_init(struct ring_pool *p, size_t max);
void ring_pool_release(struct ring_pool *p); /* all rings are clear */

/* How much @r may hold at most, now. */
uint32_t ring_limit(const struct ring_pool *p, const struct ring *r);

static inline uint32_t ring_size(const struct ring *r)
{
	return r->data ? 1u << r->order : 0;
}

static inline uint32_t ring_room(const struct ring *r)
{
	return ring_size(r) - r->used;
}

/*
 * See that it has room: @want bytes when that is within its limit, else what
 * is. -ENOBUFS: none, it is full and at its limit. -ENOMEM: the pool is empty.
 */
int ring_reserve(struct ring_pool *p, struct ring *r, uint32_t want);

/* The free part, to be read into; then so many were added. How many pieces. */
unsigned ring_space(const struct ring *r, struct iovec v[2]);
void ring_added(struct ring *r, uint32_t n);

/* Copy as much of @v, without its first @skip bytes, as there is room. */
uint32_t ring_put(struct ring *r, const struct iovec *v, unsigned n,
                  size_t skip);

/* @len bytes from the @at-th on; within what is used. How many pieces. */
unsigned ring_get(const struct ring *r, uint32_t at, uint32_t len,
                  struct iovec v[2]);

/* Drop the first @n bytes; an empty ring gives its memory back. */
void ring_drop(struct ring_pool *p, struct ring *r, uint32_t n);
void ring_clear(struct ring_pool *p, struct ring *r);

#endif
