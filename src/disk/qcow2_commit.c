/* The order in which tables reach the file; qcow2.h has the theory. */
#include <errno.h>
#include <unistd.h>

#include "base/num.h"
#include "disk/qcow2.h"

#include "base/banned.h"

int qcow2_sync(struct qcow2 *q)
{
	if (!q->unsynced)
		return 0;
	if (fdatasync(q->fd) < 0)
		return -errno;
	q->unsynced = false;
	return 0;
}

/* Entries of a table as the file has them, in parts. */
static int put_table(struct qcow2 *q, const uint64_t *t, struct dirty d,
                     uint64_t at)
{
	uint64_t part[512];

	for (uint64_t i = d.from; i <= d.to;) {
		unsigned n = 0;
		int r;

		while (n < ARRAY_SIZE(part) && i + n <= d.to) {
			part[n] = be64_to_host(t[i + n] & ~ENTRY_NEW);
			n++;
		}
		r = file_put(q->fd, part, n * sizeof(part[0]), at + i * 8);
		if (r < 0)
			return r;
		i += n;
	}
	q->unsynced = true;
	return 0;
}

/* The header's place of the table of counts: 12 bytes in one sector. */
static int put_table_place(struct qcow2 *q)
{
	uint8_t p[12];

	put_be64(p, q->h.table_at);
	put_be32(p + 8, q->h.table_clusters);
	q->unsynced = true;
	return file_put(q->fd, p, sizeof(p), 48);
}

static int commit_counts(struct chain *c)
{
	struct qcow2 *q = &c->q[0];
	int r = 0;

	if (q->len < q->end)
		r = ftruncate(q->fd, (off_t)q->end) < 0 ? -errno : 0;
	if (r == 0)
		q->len = q->end;
	if (r == 0)
		r = cache_write(c, SLICE_COUNTS);
	if (r == 0)
		r = cache_write(c, SLICE_NEW);
	if (r < 0 || q->table_dirty.from > q->table_dirty.to)
		return r;
	r = qcow2_sync(q);
	if (r == 0)
		r = put_table(q, q->table, q->table_dirty, q->h.table_at);
	if (r == 0 && q->table_old)
		r = qcow2_sync(q);
	if (r == 0 && q->table_old)
		r = put_table_place(q);
	if (r == 0)
		q->table_dirty = DIRTY_NONE;
	return r;
}

static int commit_l1(struct qcow2 *q)
{
	int r;

	if (q->l1_dirty.from > q->l1_dirty.to)
		return 0;
	r = put_table(q, q->l1, q->l1_dirty, q->h.l1_at);
	if (r < 0)
		return r;
	for (uint32_t i = q->l1_dirty.from; i <= q->l1_dirty.to; i++)
		q->l1[i] &= ~ENTRY_NEW;
	q->l1_dirty = DIRTY_NONE;
	return 0;
}

/* No stable table knows them any more. */
static int free_all(struct chain *c)
{
	struct qcow2 *q = &c->q[0];
	int r = 0;

	while (c->nfrees && r == 0) {
		struct run f = c->frees[--c->nfrees];

		r = counts_drop(c, f.at, f.len);
	}
	if (r == 0 && q->table_old) {
		r = counts_drop(c, q->table_old,
		                (uint64_t)q->table_old_n * q->cluster);
		q->table_old = 0;
	}
	return r;
}

static bool tables_dirty(const struct chain *c)
{
	const struct qcow2 *q = &c->q[0];

	return c->dirty || q->len < q->end || c->nfrees || q->table_old ||
	       q->l1_dirty.from <= q->l1_dirty.to ||
	       q->table_dirty.from <= q->table_dirty.to;
}

int qcow2_commit(struct chain *c, bool sync)
{
	struct qcow2 *q = &c->q[0];
	int r;

	if (c->broken)
		return -EIO;
	if (!tables_dirty(c))
		return sync ? qcow2_sync(q) : 0;
	r = commit_counts(c);
	if (r == 0)
		r = qcow2_sync(q);
	if (r == 0)
		r = cache_write(c, SLICE_L2);
	if (r == 0)
		r = commit_l1(q);
	if (r == 0 && (sync || c->nfrees || q->table_old))
		r = qcow2_sync(q);
	return r < 0 ? r : free_all(c);
}

/*
 * Other programs' notes about the content (bitmaps) are wrong from the first
 * change on; that they are not kept is said by clearing their bits.
 */
int qcow2_touch(struct chain *c)
{
	struct qcow2 *q = &c->q[0];
	uint8_t zero[8] = {0};
	int r;

	if (c->broken)
		return -EIO;
	q->unsynced = true;
	if (!q->autoclears)
		return 0;
	r = file_put(q->fd, zero, sizeof(zero), 88);
	if (r == 0)
		r = qcow2_sync(q);
	q->unsynced = true;
	if (r == 0)
		q->autoclears = false;
	return r;
}

int qcow2_give_up(struct chain *c, uint64_t at, uint64_t len)
{
	struct run *last = &c->frees[c->nfrees ? c->nfrees - 1 : 0];

	if (c->nfrees && last->at + last->len == at &&
	    !(at & (c->q[0].cluster - 1))) {
		last->len += len;
		return 0;
	}
	if (c->nfrees == FREES_MAX) {
		int r = qcow2_commit(c, false);

		if (r < 0)
			return r;
	}
	c->frees[c->nfrees++] = (struct run){at, len};
	return 0;
}
