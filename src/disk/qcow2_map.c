/* Where the bytes of the disk are. */
#include <errno.h>

#include "base/num.h"
#include "disk/qcow2.h"

#include "base/banned.h"

uint64_t qcow2_l2_place(const struct qcow2 *q, uint64_t pos)
{
	const unsigned bits = q->h.cluster_bits;
	const uint64_t i = (pos >> bits) & (q->cluster / 8 - 1);

	return (q->l1[pos >> (2 * bits - 3)] & ENTRY_OFFSET) + i * 8;
}

/*
 * A compressed cluster: its first byte, anywhere in the file, and how many
 * sectors it reaches into; the packed bytes end somewhere in the last.
 */
void qcow2_packed_range(const struct qcow2 *q, uint64_t entry, uint64_t *ret_at,
                        uint64_t *ret_len)
{
	const unsigned shift = 62 - (q->h.cluster_bits - 8);
	const uint64_t at = entry & ((1ULL << shift) - 1);
	const uint64_t more =
		(entry & (ENTRY_PACKED - 1)) >> shift; /* sectors */

	*ret_at = at;
	*ret_len = (more + 1) * 512 - (at & 511);
}

/* What an entry says by itself; its faults are told. */
static int decode(struct chain *c, struct qcow2 *q, uint64_t entry,
                  struct where *w)
{
	const uint64_t at = entry & ENTRY_OFFSET;
	const uint64_t flags =
		ENTRY_COPIED | (q->h.version >= 3 ? ENTRY_ZERO : 0);

	*w = (struct where){.entry = entry, .len = q->cluster};
	if (entry & ENTRY_PACKED) {
		uint64_t from, len;

		w->what = PACKED;
		qcow2_packed_range(q, entry, &from, &len);
		if (entry & ENTRY_COPIED || from >= q->end ||
		    qcow2_is_table(q, from) ||
		    qcow2_is_table(q, from + len - 1))
			return qcow2_fault(c, q, "a compressed cluster", from);
		return 0;
	}
	if (entry & ~(ENTRY_OFFSET | flags) || in_cluster(q, at) ||
	    at >= q->end || (at && qcow2_is_table(q, at)))
		return qcow2_fault(c, q, "an entry of an L2 table", entry);
	w->at = at;
	w->ours = at && entry & ENTRY_COPIED;
	if (entry & ENTRY_ZERO)
		w->what = ZEROS;
	else
		w->what = at ? DATA : NOTHING;
	return 0;
}

/* Does @w go on in the next cluster, whose entry is this? */
static bool goes_on(struct chain *c, struct qcow2 *q, const struct where *w,
                    uint64_t entry)
{
	struct where next;

	if (w->what == PACKED)
		return false;
	if (w->what == NOTHING)
		return entry == 0;
	if (w->what == DATA)
		return entry == w->entry + w->len &&
		       decode(c, q, entry, &next) == 0;
	return decode(c, q, entry, &next) == 0 && next.what == ZEROS;
}

/* [pos, pos + len) without a table: up to where the next begins. */
static void map_hole(const struct qcow2 *q, uint64_t pos, uint64_t len,
                     struct where *w)
{
	const uint64_t covers = (uint64_t)q->cluster * (q->cluster / 8);
	const uint64_t i = pos / covers;
	uint64_t to = i + 1;

	while (to < q->l1_n && !q->l1[to] && (to - i) * covers < len)
		to++;
	*w = (struct where){.what = NOTHING,
	                    .len = MIN(len, to * covers - pos)};
}

int qcow2_map(struct chain *c, struct qcow2 *q, uint64_t pos, uint64_t len,
              struct where *ret)
{
	const uint64_t skip = in_cluster(q, pos);
	uint64_t at;
	uint8_t *slice;
	uint32_t i;
	int r;

	if (!q->l1[pos >> (2 * q->h.cluster_bits - 3)]) {
		map_hole(q, pos, len, ret);
		return 0;
	}
	at = qcow2_l2_place(q, pos);
	r = cache_get(c, q, at, &slice);
	if (r < 0)
		return r;
	i = (uint32_t)(at & (q->slice - 1));
	r = decode(c, q, get_be64(slice + i), ret);
	while (r == 0 && ret->len - skip < len && (i += 8) < q->slice &&
	       goes_on(c, q, ret, get_be64(slice + i)))
		ret->len += q->cluster;
	ret->len = MIN(ret->len - skip, len);
	if (ret->what == DATA)
		ret->at += skip;
	return r;
}

int chain_find(struct chain *c, unsigned first, uint64_t pos, uint64_t len,
               struct qcow2 **ret_q, struct where *ret)
{
	for (unsigned i = first; i < c->n; i++) {
		struct qcow2 *q = &c->q[i];
		int r = 0;

		if (pos >= q->h.size) /* a backing disk may be shorter */
			*ret = (struct where){.what = ZEROS, .len = len};
		else
			r = qcow2_map(c, q, pos, MIN(len, q->h.size - pos),
			              ret);
		if (r < 0 || ret->what != NOTHING) {
			*ret_q = q;
			return r;
		}
		len = ret->len;
	}
	*ret_q = NULL;
	*ret = (struct where){.what = ZEROS, .len = len};
	if (c->base && pos < c->base->size)
		*ret = (struct where){.what = DATA,
		                      .len = MIN(len, c->base->size - pos)};
	return 0;
}
