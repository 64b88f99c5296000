/* Writing to the top file of a chain. */
#include <errno.h>

#include "base/num.h"
#include "disk/qcow2.h"

#include "base/banned.h"

static uint64_t *l1_entry(struct qcow2 *q, uint64_t pos)
{
	return &q->l1[pos >> (2 * q->h.cluster_bits - 3)];
}

/* The table that maps @pos: there, and nobody else's. */
static int need_l2(struct chain *c, uint64_t pos)
{
	struct qcow2 *q = &c->q[0];
	uint64_t *entry = l1_entry(q, pos), at = 0, n = 0;
	bool fresh = false;
	int r;

	if (*entry & ENTRY_COPIED)
		return 0;
	if (*entry)
		return qcow2_fault(c, q, "an L2 table that is not its own",
		                   *entry);
	r = clusters_take(c, 1, &at, &n, &fresh);
	if (r == 0 && !fresh)
		r = file_zero(q->fd, at, q->cluster);
	if (r < 0)
		return r;
	cache_forget(c, q, at, q->cluster);
	if (!places_add(&q->places, cluster_of(q, at)))
		return -ENOMEM;
	*entry = at | ENTRY_COPIED | ENTRY_NEW;
	dirty_add(&q->l1_dirty, (uint32_t)(entry - q->l1));
	return 0;
}

/* The table is there (need_l2()). */
static int set_entry(struct chain *c, uint64_t pos, uint64_t entry,
                     uint64_t *ret_old)
{
	struct qcow2 *q = &c->q[0];
	const uint64_t at = qcow2_l2_place(q, pos);
	uint8_t *slice;
	int r = cache_get(c, q, at, &slice);

	if (r < 0)
		return r;
	slice += at & (q->slice - 1);
	*ret_old = get_be64(slice);
	if (*ret_old == entry)
		return 0;
	put_be64(slice, entry);
	cache_mark(c, q, at,
	           *l1_entry(q, pos) & ENTRY_NEW ? SLICE_NEW : SLICE_L2);
	return 0;
}

/* Whatever an entry held is given up, unless the new one has it, too. */
static int release(struct chain *c, uint64_t old, uint64_t entry)
{
	struct qcow2 *q = &c->q[0];
	uint64_t at = old & ENTRY_OFFSET, len = q->cluster;

	if (old & ENTRY_PACKED)
		qcow2_packed_range(q, old, &at, &len);
	else if (!at || at == (entry & ENTRY_OFFSET))
		return 0;
	if (at + len > q->end) /* the last sector of a file's end */
		len = q->end - at;
	return qcow2_give_up(c, at, len);
}

static int set_entries(struct chain *c, uint64_t pos, uint64_t at, uint64_t n)
{
	struct qcow2 *q = &c->q[0];

	for (uint64_t i = 0; i < n; i++) {
		uint64_t old = 0;
		uint64_t entry = (at + i * q->cluster) | ENTRY_COPIED;
		int r = set_entry(c, pos + i * q->cluster, entry, &old);

		if (r == 0)
			r = release(c, old, entry);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What the disk had at [pos, pos + len), into the file at @at. */
static int copy_old(struct chain *c, uint64_t pos, uint64_t len, uint64_t at,
                    bool fresh)
{
	struct qcow2 *q = &c->q[0];

	while (len) {
		struct iovec v = {c->bounce, 0};
		bool hole = true;
		uint64_t part = len;
		int r = 0;

		if (pos < c->d.size)
			r = chain_map(&c->d, pos, MIN(len, c->d.size - pos),
			              &hole, &part);
		if (!hole)
			part = MIN(part, BOUNCE);
		v.iov_len = part;
		if (r == 0 && !hole)
			r = chain_read(&c->d, &(struct iov){&v, 1, part}, part,
			               pos);
		if (r == 0 && !hole)
			r = file_put(q->fd, c->bounce, part, at);
		if (r == 0 && hole && !fresh)
			r = file_zero(q->fd, at, part);
		if (r < 0)
			return r;
		pos += part;
		at += part;
		len -= part;
	}
	return 0;
}

/* @n clusters at @at become those around [pos, pos + len). */
static int fill(struct chain *c, struct iov *data, uint64_t len, uint64_t pos,
                uint64_t at, uint64_t n, bool fresh)
{
	struct qcow2 *q = &c->q[0];
	const uint64_t head = in_cluster(q, pos);
	const uint64_t tail = n * q->cluster - head - len;
	int r = copy_old(c, pos - head, head, at, fresh);

	if (r == 0)
		r = copy_old(c, pos + len, tail, at + head + len, fresh);
	return r < 0 ? r : file_store(q->fd, data, len, at + head);
}

/* Into clusters of its own; *len gets what fits into those there are. */
static int write_new(struct chain *c, struct iov *data, uint64_t *len,
                     uint64_t pos, const struct where *w)
{
	struct qcow2 *q = &c->q[0];
	const uint64_t head = in_cluster(q, pos);
	const uint64_t covers = (uint64_t)q->cluster * (q->cluster / 8);
	uint64_t n, at = 0;
	bool fresh = false, kept = w->what == ZEROS && w->ours;
	int r = need_l2(c, pos);

	*len = MIN(*len, covers - (pos & (covers - 1))); /* in one table */
	n = cluster_of(q, head + *len + q->cluster - 1);
	if (r == 0 && kept) {
		at = w->at; /* zeros that have their room already */
		n = 1;
	} else if (r == 0) {
		r = clusters_take(c, n, &at, &n, &fresh);
	}
	if (r < 0)
		return r;
	*len = MIN(*len, n * q->cluster - head);
	r = fill(c, data, *len, pos, at, n, fresh);
	if (r == 0)
		return set_entries(c, pos - head, at, n);
	if (!kept)
		(void)counts_drop(c, at, n * q->cluster);
	return r;
}

int chain_write(struct disk *d, struct iov *data, uint64_t len, uint64_t pos)
{
	struct chain *c = (struct chain *)d;
	struct qcow2 *q = &c->q[0];
	int r = qcow2_touch(c);

	while (len && r == 0) {
		struct where w;

		r = qcow2_map(c, q, pos, len, &w);
		if (r == 0 && w.what == DATA && w.ours)
			r = file_store(q->fd, data, w.len, w.at);
		else if (r == 0)
			r = write_new(c, data, &w.len, pos, &w);
		pos += w.len;
		len -= r < 0 ? 0 : w.len;
	}
	return r;
}

/* Is all that the disk has at [pos, pos + len) holes? */
static int is_hole(struct chain *c, uint64_t pos, uint64_t len, bool *ret)
{
	bool hole = true;
	int r = 0;

	while (len && hole && r == 0) {
		uint64_t part = len;

		r = chain_map(&c->d, pos, len, &hole, &part);
		pos += part;
		len -= part;
	}
	*ret = hole;
	return r;
}

/* Less than a cluster, or what has no other way. */
static int write_zeros(struct chain *c, uint64_t pos, uint64_t len)
{
	static uint8_t zeros[16 * KIB];
	bool hole = false;
	int r = is_hole(c, pos, len, &hole);

	if (r < 0 || hole)
		return r;
	while (len && r == 0) {
		uint64_t part = MIN(len, sizeof(zeros));
		struct iovec v = {zeros, part};

		r = chain_write(&c->d, &(struct iov){&v, 1, part}, part, pos);
		pos += part;
		len -= part;
	}
	return r;
}

/* Nothing lies below: what is not there reads as zeros. */
static bool is_alone(const struct chain *c)
{
	return c->n == 1 && !c->base;
}

/* What a whole cluster becomes that shall read as zeros. */
static uint64_t zero_entry(const struct chain *c, const struct where *w,
                           bool unmap)
{
	if (!unmap && w->ours)
		return w->at | ENTRY_COPIED | ENTRY_ZERO;
	return is_alone(c) ? 0 : ENTRY_ZERO;
}

static int zero_cluster(struct chain *c, uint64_t pos, bool unmap)
{
	struct qcow2 *q = &c->q[0];
	uint64_t old = 0, entry;
	struct where w;
	int r;

	if (q->h.version < 3 && !(is_alone(c) && unmap))
		return write_zeros(c, pos, MIN(q->cluster, c->d.size - pos));
	r = qcow2_map(c, q, pos, q->cluster, &w);
	if (r < 0 || (w.what == NOTHING && is_alone(c)))
		return r;
	entry = zero_entry(c, &w, unmap);
	r = need_l2(c, pos);
	if (r == 0)
		r = set_entry(c, pos, entry, &old);
	return r < 0 ? r : release(c, old, entry);
}

/* The clusters that lie in [pos, pos + len) as a whole. */
static void whole_clusters(const struct chain *c, uint64_t pos, uint64_t len,
                           uint64_t *ret_from, uint64_t *ret_to)
{
	const uint64_t cluster = c->q[0].cluster, end = pos + len;

	*ret_from = num_align_up(pos, cluster);
	*ret_to = end == c->d.size ? num_align_up(end, cluster)
	                           : end & ~(cluster - 1);
}

int chain_zero(struct disk *d, uint64_t pos, uint64_t len, bool unmap)
{
	struct chain *c = (struct chain *)d;
	uint64_t from, to;
	int r = qcow2_touch(c);

	whole_clusters(c, pos, len, &from, &to);
	if (r == 0 && from >= to)
		return write_zeros(c, pos, len);
	if (r == 0 && pos < from)
		r = write_zeros(c, pos, from - pos);
	for (uint64_t at = from; at < to && r == 0; at += c->q[0].cluster)
		r = zero_cluster(c, at, unmap);
	if (r == 0 && pos + len > to)
		r = write_zeros(c, to, pos + len - to);
	return r;
}

/*
 * Whole clusters that this file has are given up. Zeros hide what lies below;
 * what only lies below stays as it is: there is no room to win.
 */
int chain_discard(struct disk *d, uint64_t pos, uint64_t len)
{
	struct chain *c = (struct chain *)d;
	struct qcow2 *q = &c->q[0];
	uint64_t from, to;
	int r = qcow2_touch(c);

	if (q->h.version < 3 && !is_alone(c))
		return r; /* it has no zeros to hide what lies below */
	whole_clusters(c, pos, len, &from, &to);
	while (r == 0 && from < to) {
		struct where w;
		uint64_t next;

		r = qcow2_map(c, q, from, MIN(to, c->d.size) - from, &w);
		next = num_align_up(from + w.len, q->cluster);
		for (; r == 0 && w.what != NOTHING && from < next;
		     from += q->cluster)
			if (w.what != ZEROS || w.at)
				r = zero_cluster(c, from, true);
		from = next;
	}
	return r;
}
