/*
 * How often each cluster is used: a table of blocks of counts of 1 to 64 bits.
 * New clusters: from what was given up, by a search that goes on where it
 * last stopped and is bounded, and from the end of the file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "disk/qcow2.h"

#include "base/banned.h"

#define SEARCH_MAX 65536u /* clusters looked at for one request */

static unsigned block_bits(const struct qcow2 *q)
{
	return q->h.cluster_bits + 3 - q->h.refcount_order;
}

/* Counts of less than a byte begin at its low bits. */
static uint64_t get_count(const uint8_t *p, unsigned order, unsigned sub)
{
	switch (order) {
	case 3:
		return *p;
	case 4:
		return get_be16(p);
	case 5:
		return get_be32(p);
	case 6:
		return get_be64(p);
	default:
		return *p >> (sub << order) & ((1U << (1U << order)) - 1);
	}
}

static void put_count(uint8_t *p, unsigned order, unsigned sub, uint64_t v)
{
	const unsigned mask = (1U << (1U << (order & 3))) - 1;

	switch (order) {
	case 3:
		*p = (uint8_t)v;
		break;
	case 4:
		put_be16(p, (uint16_t)v);
		break;
	case 5:
		put_be32(p, (uint32_t)v);
		break;
	case 6:
		put_be64(p, v);
		break;
	default:
		*p = (uint8_t)((*p & ~(mask << (sub << order))) |
		               (unsigned)v << (sub << order));
	}
}

/* Where the count of @cluster is in the file; false: in no block. */
static bool place_of(const struct qcow2 *q, uint64_t cluster, uint64_t *ret_at,
                     unsigned *ret_sub)
{
	const unsigned bits = block_bits(q), order = q->h.refcount_order;
	const uint64_t i = cluster >> bits, k = cluster & ((1ULL << bits) - 1);

	if (i >= q->table_n || !q->table[i])
		return false;
	*ret_at = (q->table[i] & ENTRY_OFFSET) + ((k << order) >> 3);
	*ret_sub = order < 3 ? (unsigned)k & ((8U >> order) - 1) : 0;
	return true;
}

static int count_get(struct chain *c, uint64_t cluster, uint64_t *ret)
{
	struct qcow2 *q = &c->q[0];
	unsigned sub = 0;
	uint64_t at = 0;
	uint8_t *slice;
	int r;

	*ret = 0;
	if (!place_of(q, cluster, &at, &sub))
		return 0;
	r = cache_get(c, q, at, &slice);
	if (r == 0)
		*ret = get_count(slice + (at & (q->slice - 1)),
		                 q->h.refcount_order, sub);
	return r;
}

/* Its block is there. */
static int count_put(struct chain *c, uint64_t cluster, uint64_t v)
{
	struct qcow2 *q = &c->q[0];
	unsigned sub = 0;
	uint64_t at = 0;
	uint8_t *slice;
	int r;

	if (!place_of(q, cluster, &at, &sub))
		return -EIO;
	r = cache_get(c, q, at, &slice);
	if (r < 0)
		return r;
	put_count(slice + (at & (q->slice - 1)), q->h.refcount_order, sub, v);
	cache_mark(c, q, at, SLICE_COUNTS);
	return 0;
}

/* At the end of the file, uncounted; such clusters read as zeros. */
static int extend(struct qcow2 *q, uint64_t n, uint64_t *ret_at)
{
	if (n > (q->file_max - MIN(q->file_max, q->end)) >> q->h.cluster_bits)
		return -ENOSPC;
	*ret_at = q->end;
	q->end += n * q->cluster;
	return 0;
}

/*
 * A larger table, at the file's end; the old one's clusters are given up when
 * the header knows the new one (qcow2_commit()).
 */
static int grow_table(struct chain *c, uint64_t index)
{
	struct qcow2 *q = &c->q[0];
	const uint32_t per = q->cluster / 8;
	const uint32_t clusters =
		(uint32_t)MAX(q->h.table_clusters * 2ULL, index / per + 1);
	uint64_t at, *bigger;
	int r;

	if (q->table_old) /* twice between two commits */
		return -ENOSPC;
	if ((uint64_t)clusters * q->cluster > QCOW2_TABLE_MAX)
		return -EFBIG;
	bigger = calloc((size_t)clusters * per, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	r = extend(q, clusters, &at);
	if (r < 0) {
		free(bigger);
		return r;
	}
	memcpy(bigger, q->table, q->table_n * sizeof(*bigger));
	free(q->table);
	q->table_old = q->h.table_at;
	q->table_old_n = q->h.table_clusters;
	q->table = bigger;
	q->table_n = clusters * per;
	q->h.table_at = at;
	q->h.table_clusters = clusters;
	q->table_dirty = (struct dirty){0, q->table_n - 1};
	return counts_add(c, at, (uint64_t)clusters * q->cluster);
}

/* The block that counts @cluster, made if it is not there. */
static int need_block(struct chain *c, uint64_t cluster)
{
	struct qcow2 *q = &c->q[0];
	const uint64_t i = cluster >> block_bits(q);
	uint64_t at;
	int r = 0;

	if (i >= q->table_n)
		r = grow_table(c, i);
	if (r < 0 || q->table[i])
		return r;
	r = extend(q, 1, &at);
	if (r < 0)
		return r;
	if (!places_add(&q->places, cluster_of(q, at)))
		return -ENOMEM;
	q->table[i] = at;
	dirty_add(&q->table_dirty, (uint32_t)i);
	/* It may count itself, or need another one that does. */
	return counts_add(c, at, q->cluster);
}

int counts_add(struct chain *c, uint64_t at, uint64_t len)
{
	struct qcow2 *q = &c->q[0];
	const uint64_t end = cluster_of(q, at + len - 1);

	for (uint64_t i = cluster_of(q, at); i <= end; i++) {
		int r = need_block(c, i);

		if (r == 0)
			r = count_put(c, i, 1);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A hole is only to save room: whether there can be one does not matter. */
static void make_hole(const struct qcow2 *q, uint64_t from, uint64_t to)
{
	if (to > from)
		(void)file_punch(q->fd, from * q->cluster,
		                 (to - from) * q->cluster);
}

static int drop_one(struct chain *c, uint64_t i, bool *ret_free)
{
	struct qcow2 *q = &c->q[0];
	uint64_t n;
	int r = count_get(c, i, &n);

	if (r == 0 && !n)
		r = qcow2_fault(c, q, "a cluster in use has no reference",
		                i * q->cluster);
	if (r == 0)
		r = count_put(c, i, n - 1);
	if (r < 0)
		return r;
	*ret_free = n == 1;
	if (n == 1) {
		q->hint = MIN(q->hint, i);
		q->full = false;
	}
	return 0;
}

int counts_drop(struct chain *c, uint64_t at, uint64_t len)
{
	struct qcow2 *q = &c->q[0];
	const uint64_t end = cluster_of(q, at + len - 1);
	uint64_t hole = cluster_of(q, at), i;
	int r = 0;

	for (i = hole; i <= end; i++) {
		bool is_free = false;

		r = drop_one(c, i, &is_free);
		if (r < 0)
			break;
		if (is_free)
			continue;
		make_hole(q, hole, i);
		hole = i + 1;
	}
	make_hole(q, hole, i);
	return r;
}

/* The first free cluster of [from, to), and how many follow it, to @want. */
static int search(struct chain *c, uint64_t from, uint64_t to, uint64_t want,
                  uint64_t *ret, uint64_t *ret_n)
{
	struct qcow2 *q = &c->q[0];
	uint64_t n = 0, used = 0, i = from;

	for (; i < to && n < want; i++) {
		int r = count_get(c, i, &used);

		if (r < 0)
			return r;
		if (used && n)
			break;
		if (used)
			continue;
		if (qcow2_is_table(q, i * q->cluster))
			return qcow2_fault(c, q, "a table has no reference",
			                   i * q->cluster);
		n++;
	}
	*ret = i - n;
	*ret_n = n;
	q->hint = i;
	return 0;
}

/* Among what is there. *ret_n is 0 when nothing was found. */
static int take_free(struct chain *c, uint64_t n, bool all, uint64_t *ret_at,
                     uint64_t *ret_n)
{
	struct qcow2 *q = &c->q[0];
	const uint64_t end = cluster_of(q, q->end);
	const uint64_t to = all ? end : MIN(end, q->hint + SEARCH_MAX);
	uint64_t first = 0;
	int r;

	*ret_n = 0;
	if (q->hint >= end)
		return 0;
	r = search(c, q->hint, to, n, &first, ret_n);
	*ret_at = first * q->cluster;
	if (r == 0 && *ret_n)
		r = counts_add(c, *ret_at, *ret_n * q->cluster);
	return r;
}

/* Some clusters at the end are kept for tables. */
static uint64_t room_at_end(const struct qcow2 *q)
{
	const uint64_t kept = 32ULL * q->cluster;

	if (q->file_max < kept || q->end >= q->file_max - kept)
		return 0;
	return (q->file_max - kept - q->end) >> q->h.cluster_bits;
}

int clusters_take(struct chain *c, uint64_t n, uint64_t *ret_at,
                  uint64_t *ret_n, bool *ret_fresh)
{
	struct qcow2 *q = &c->q[0];
	uint64_t room = room_at_end(q);
	int r;

	*ret_fresh = false;
	r = take_free(c, n, false, ret_at, ret_n);
	if (r < 0 || *ret_n)
		return r;
	if (!room && !q->full) {
		q->hint = 0;
		r = take_free(c, n, true, ret_at, ret_n);
		q->full = r == 0 && !*ret_n;
	}
	if (r < 0 || *ret_n)
		return r;
	if (!room)
		return -ENOSPC;
	*ret_fresh = true;
	*ret_n = MIN(n, room);
	r = extend(q, *ret_n, ret_at);
	return r < 0 ? r : counts_add(c, *ret_at, *ret_n * q->cluster);
}
