/*
 * Slices of L2 tables and of blocks of counts: sets of eight, by the place in
 * the file. What has to wait for the order of qcow2_commit() is not written
 * when room is needed; if a set has nothing else, all is committed.
 */
#include <errno.h>

#include "base/num.h"
#include "disk/qcow2.h"

#include "base/banned.h"

static uint64_t key_of(const struct qcow2 *q, uint64_t at)
{
	return (at & ~(uint64_t)(q->slice - 1)) | q->layer;
}

static struct slot *set_of(struct chain *c, uint64_t key)
{
	uint64_t h = key * 0x9e3779b97f4a7c15ULL;

	return &c->slot[(h >> 40) % (CACHE_SLOTS / CACHE_WAYS) * CACHE_WAYS];
}

static uint8_t *bytes_of(struct chain *c, const struct slot *s)
{
	return c->data + (size_t)(s - c->slot) * SLICE_MAX;
}

static struct slot *find(struct chain *c, uint64_t key)
{
	struct slot *s = set_of(c, key);

	for (unsigned i = 0; i < CACHE_WAYS; i++)
		if (s[i].key == key)
			return &s[i];
	return NULL;
}

/* The one not used for the longest time, but for those that must wait. */
static struct slot *oldest(struct chain *c, uint64_t key)
{
	struct slot *s = set_of(c, key), *best = NULL;

	for (unsigned i = 0; i < CACHE_WAYS; i++) {
		if (!s[i].key)
			return &s[i];
		if (s[i].state != SLICE_L2 &&
		    (!best || c->clock - s[i].used > c->clock - best->used))
			best = &s[i];
	}
	return best;
}

static int put_slot(struct chain *c, struct slot *s)
{
	struct qcow2 *q = &c->q[0]; /* nothing below it is ever dirty */
	int r = file_put(q->fd, bytes_of(c, s), q->slice,
	                 s->key & ~(uint64_t)511);

	if (r < 0)
		return r;
	q->unsynced = true;
	s->state = SLICE_CLEAN;
	c->dirty--;
	return 0;
}

int cache_write(struct chain *c, enum slice_state state)
{
	int r = 0;

	for (unsigned i = 0; c->dirty && i < CACHE_SLOTS && r == 0; i++)
		if (c->slot[i].key && c->slot[i].state == state)
			r = put_slot(c, &c->slot[i]);
	return r;
}

/* An empty slot of the key's set. */
static int make_room(struct chain *c, uint64_t key, struct slot **ret)
{
	struct slot *s = oldest(c, key);
	int r = 0;

	if (!s) {
		r = qcow2_commit(c, false);
		s = oldest(c, key);
	}
	if (r == 0 && !s)
		return -EIO;
	if (r == 0 && s->key && s->state != SLICE_CLEAN)
		r = c->broken ? -EIO : put_slot(c, s);
	if (r < 0)
		return r;
	s->key = 0;
	*ret = s;
	return 0;
}

int cache_get(struct chain *c, struct qcow2 *q, uint64_t at, uint8_t **ret)
{
	const uint64_t key = key_of(q, at);
	struct slot *s = find(c, key);
	int r;

	if (!s) {
		r = make_room(c, key, &s);
		if (r < 0)
			return r;
		r = file_get(q->fd, bytes_of(c, s), q->slice,
		             key & ~(uint64_t)511);
		if (r < 0)
			return r;
		s->key = key;
		s->state = SLICE_CLEAN;
	}
	s->used = ++c->clock;
	*ret = bytes_of(c, s);
	return 0;
}

void cache_mark(struct chain *c, const struct qcow2 *q, uint64_t at,
                enum slice_state state)
{
	struct slot *s = find(c, key_of(q, at));

	if (s->state == SLICE_CLEAN)
		c->dirty++;
	s->state = (uint8_t)state;
}

void cache_forget(struct chain *c, const struct qcow2 *q, uint64_t at,
                  uint64_t len)
{
	for (uint64_t done = 0; done < len; done += q->slice) {
		struct slot *s = find(c, key_of(q, at + done));

		if (!s)
			continue;
		c->dirty -= s->state != SLICE_CLEAN;
		*s = (struct slot){0};
	}
}
