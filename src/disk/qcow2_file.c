/* One file of a chain: its tables, loaded and checked. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/num.h"
#include "disk/qcow2.h"

#include "base/banned.h"

static int load_table(const struct qcow2 *q, uint64_t at, uint32_t n,
                      uint64_t **ret, struct err *err)
{
	cleanup_free uint64_t *t = calloc(n ? n : 1, sizeof(*t));
	int r;

	if (!t)
		return err_set(err, -ENOMEM, "out of memory");
	r = file_get(q->fd, t, n * sizeof(*t), at);
	if (r < 0)
		return err_set(err, r, "cannot read it: %s", strerror(-r));
	for (uint32_t i = 0; i < n; i++)
		t[i] = be64_to_host(t[i]);
	*ret = take_ptr(t);
	return 0;
}

/* The header's tables; L2 tables and blocks are in @q->places. */
static bool in_header_tables(const struct qcow2 *q, uint64_t at)
{
	const struct qcow2_header *h = &q->h;

	return at < q->cluster ||
	       (at >= h->l1_at &&
	        at < num_align_up(h->l1_at + h->l1_n * 8ULL, q->cluster)) ||
	       (at >= h->table_at &&
	        at < h->table_at + (uint64_t)h->table_clusters * q->cluster) ||
	       (q->table_old && at >= q->table_old &&
	        at < q->table_old + (uint64_t)q->table_old_n * q->cluster);
}

bool qcow2_is_table(const struct qcow2 *q, uint64_t at)
{
	return in_header_tables(q, at) ||
	       places_has(&q->places, cluster_of(q, at));
}

/* A cluster that a table in memory points to, and nothing else. */
static int claim(struct qcow2 *q, uint64_t entry, uint64_t allowed,
                 const char *what, struct err *err)
{
	const uint64_t at = entry & ENTRY_OFFSET;

	if (entry & ~(ENTRY_OFFSET | allowed) || in_cluster(q, at) ||
	    at >= q->end)
		return err_set(err, -EBADMSG, "its %s points to nowhere", what);
	if (in_header_tables(q, at) ||
	    !places_add(&q->places, cluster_of(q, at)))
		return err_set(err, -EBADMSG,
		               "two of its tables lie at %llu (seen in the "
		               "%s)",
		               (unsigned long long)at, what);
	return 0;
}

static int load_l1(struct qcow2 *q, struct err *err)
{
	const uint64_t covers = (uint64_t)q->cluster * (q->cluster / 8);
	int r;

	q->l1_n = (uint32_t)((q->h.size + covers - 1) / covers);
	r = load_table(q, q->h.l1_at, q->l1_n, &q->l1, err);
	for (uint32_t i = 0; r == 0 && i < q->l1_n; i++)
		if (q->l1[i])
			r = claim(q, q->l1[i], ENTRY_COPIED, "L1 table", err);
	return r;
}

static int load_counts(struct qcow2 *q, struct err *err)
{
	int r;

	q->table_n = q->h.table_clusters * (q->cluster / 8);
	r = load_table(q, q->h.table_at, q->table_n, &q->table, err);
	for (uint32_t i = 0; r == 0 && i < q->table_n; i++)
		if (q->table[i])
			r = claim(q, q->table[i], 0, "refcount table", err);
	return r;
}

/* What may be read may not always be written. */
static int check_writable(const struct qcow2 *q, struct err *err)
{
	struct stat st;

	if (fstat(q->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, -EOPNOTSUPP,
		               "qcow2 is written in files, not on block "
		               "devices");
	if (q->h.incompatible & 3) {
		(void)err_set(err, -EUCLEAN,
		              "it was not closed properly, or is known to be "
		              "damaged");
		err_hint(err, "repair it: qemu-img check -r all FILE");
		return -EUCLEAN;
	}
	if (q->h.snapshots)
		return err_set(err, -EOPNOTSUPP,
		               "it has %u snapshots inside, so that it can "
		               "only be read",
		               q->h.snapshots);
	return 0;
}

int qcow2_file_open(struct qcow2 *q, bool writable, struct err *err)
{
	uint64_t len = 0;
	int r = file_length(q->fd, &len);

	if (r < 0)
		return err_set(err, r, "cannot tell its size: %s",
		               strerror(-r));
	r = qcow2_header_read(q->fd, len, &q->h, err);
	if (r < 0)
		return r;
	q->cluster = 1U << q->h.cluster_bits;
	q->slice = MIN(q->cluster, SLICE_MAX);
	q->len = q->end = num_align_up(len, q->cluster);
	q->hint = cluster_of(q, q->end);
	q->l1_dirty = q->table_dirty = DIRTY_NONE;
	q->unsynced = true; /* whoever made the file need not have synced it */
	q->autoclears = q->h.autoclear != 0;
	q->file_max = qcow2_file_max(
		&(struct qcow2_info){.cluster_bits = q->h.cluster_bits,
	                             .refcount_order = q->h.refcount_order,
	                             .size = q->h.size,
	                             .file_len = len});
	if (writable)
		r = check_writable(q, err);
	if (r == 0)
		r = load_l1(q, err);
	if (r == 0 && writable)
		r = load_counts(q, err);
	return r;
}

void qcow2_file_release(struct qcow2 *q)
{
	free(q->l1);
	free(q->table);
	free(q->places.v);
}

int qcow2_fault(struct chain *c, const struct qcow2 *q, const char *what,
                uint64_t at)
{
	if (!c->broken)
		log_limited(LOG_WARN,
		            "disk: qcow2 file %u of a chain is damaged: %s "
		            "(%llu); it is not written any more",
		            q->layer, what, (unsigned long long)at);
	c->broken = true;
	return -EIO;
}
