/*
 * qcow2.h - inside of the qcow2 driver.
 *
 * Theory
 *
 *	guest offset | L1 index | L2 index | in cluster |
 *	L1 (memory) -> L2 table (a cluster) -> cluster of data
 *
 * A file is read by its two-level table. Who writes also keeps a count of
 * references for each cluster: a table (memory) of blocks (clusters).
 *
 * Every file may be hostile. The header is checked as a whole, then the L1
 * table and the table of counts, all of which stay in memory; what they point
 * to must lie in the file, on a cluster's border, and belong to nobody else
 * (struct places). An entry of an L2 table is checked each time it is used.
 * What the checks cannot see (two entries with one cluster, wrong counts)
 * mixes up the bytes of that file only: nothing leads out of its descriptor.
 *
 * L2 tables and blocks of counts are cached in slices of 4 KiB, changed there,
 * and written in an order in which a crash at any moment, of this process or
 * of the host, leaks clusters at worst (qcow2_commit()):
 *
 *	1. data (at once, when it is written), counts that went up, tables
 *	   that nobody points to yet		  -> fdatasync
 *	2. what points to them: L2, L1		  -> fdatasync
 *	3. counts that go down, holes for what was given up: with the next 1
 *
 * New clusters come from the end of the file, and from those given up: a
 * cluster is free only after 2, when no stable table knows it any more. The
 * file's length is bounded (qcow2_file_max()); at the bound, clusters whose
 * count is 0 are looked for.
 *
 * Backing files are only read. Bytes of a chain are found by asking each file
 * from the top down; a request goes on in as long runs as all of them allow.
 */
#ifndef DISK_QCOW2_H
#define DISK_QCOW2_H

#include "disk/disk_int.h"

#define QCOW2_MAGIC     0x514649fbu
#define QCOW2_L1_MAX    (32u * 1024 * 1024) /* bytes, as in QEMU */
#define QCOW2_TABLE_MAX (8u * 1024 * 1024)  /* of the table of counts */

#define ENTRY_COPIED (1ULL << 63)
#define ENTRY_PACKED (1ULL << 62)
#define ENTRY_ZERO   1ULL /* L2, version 3 */
#define ENTRY_OFFSET 0x00fffffffffffe00ULL
#define ENTRY_NEW    1ULL /* L1, in memory: no file knows it yet */

struct qcow2_header {
	uint32_t version, cluster_bits, crypt;
	uint32_t l1_n, table_clusters, snapshots;
	uint32_t refcount_order, header_len;
	uint64_t backing_at, size, l1_at, table_at, snapshots_at;
	uint64_t incompatible, compatible, autoclear;
	uint32_t backing_len;
	bool zstd;
	char backing[1024];
};

/* Whose clusters are metadata: a set of cluster numbers. */
struct places {
	uint64_t *v; /* open addressing; 0: free */
	size_t size, n;
};

/* [from, to] of entries that differ from the file's; from > to: none. */
struct dirty {
	uint32_t from, to;
};

struct qcow2 {
	int fd;
	unsigned layer;
	struct qcow2_header h;
	uint32_t cluster, slice; /* bytes */
	uint64_t len, end;       /* the file's length, and what it shall be */
	uint64_t *l1;            /* as many as @h.size needs */
	uint32_t l1_n;
	struct places places;
	/* The rest is of a file that is written. */
	uint64_t *table; /* of blocks of counts */
	uint32_t table_n;
	uint64_t table_old; /* where it was before it grew, or 0 */
	uint32_t table_old_n;
	struct dirty l1_dirty, table_dirty;
	uint64_t file_max;
	uint64_t hint;   /* cluster from which to look for a free one */
	bool full;       /* there is none */
	bool unsynced;   /* data that fdatasync() does not know yet */
	bool autoclears; /* bits of the header, to clear before a change */
};

/* Clusters given up, which a table in the file may still know. */
#define FREES_MAX 256
struct run {
	uint64_t at, len; /* bytes of the file */
};

#define CACHE_SLOTS 512u
#define CACHE_WAYS  8u
#define SLICE_MAX   4096u

enum slice_state {
	SLICE_CLEAN,
	SLICE_COUNTS, /* may be written at any time */
	SLICE_NEW,    /* the same: of a table that nobody points to yet */
	SLICE_L2,     /* only in order */
};

struct slot {
	uint64_t key; /* offset | layer; 0: empty */
	uint32_t used;
	uint8_t state;
};

struct chain {
	struct disk d;
	unsigned n;
	struct qcow2 q[DISK_LAYERS_MAX];
	struct disk *base; /* raw, below the last; or NULL */
	bool broken;       /* a fault was found: nothing is written any more */
	/* The cache of slices. */
	uint8_t *data;
	uint32_t clock, dirty;
	struct slot slot[CACHE_SLOTS];
	struct run frees[FREES_MAX];
	unsigned nfrees;
	uint8_t *bounce; /* for copies; BOUNCE bytes */
	struct unpacker *unpacker;
};

#define BOUNCE (64u * 1024)

/* qcow2_header.c */
int qcow2_header_read(int fd, uint64_t len, struct qcow2_header *ret,
                      struct err *err);

/* qcow2_places.c: false when it was there already, or on lack of memory. */
bool places_add(struct places *p, uint64_t cluster);
bool places_has(const struct places *p, uint64_t cluster);
void places_drop(struct places *p, uint64_t cluster);

/* qcow2_file.c: one file of a chain, its tables loaded and checked. */
int qcow2_file_open(struct qcow2 *q, bool writable, struct err *err);
void qcow2_file_release(struct qcow2 *q);
bool qcow2_is_table(const struct qcow2 *q, uint64_t at);

/* A table in a file is wrong: says so once, stops writing. -EIO. */
int qcow2_fault(struct chain *c, const struct qcow2 *q, const char *what,
                uint64_t at);

/*
 * qcow2_cache.c: the slice that has @at, valid until the next call here or
 * anything that allocates.
 */
int cache_get(struct chain *c, struct qcow2 *q, uint64_t at, uint8_t **ret);
void cache_mark(struct chain *c, const struct qcow2 *q, uint64_t at,
                enum slice_state state);
int cache_write(struct chain *c, enum slice_state state);
void cache_forget(struct chain *c, const struct qcow2 *q, uint64_t at,
                  uint64_t len);

/* qcow2_map.c: what is at a place of one file. */
enum what { NOTHING, ZEROS, DATA, PACKED };
struct where {
	enum what what;
	bool ours;    /* may be written where it is */
	uint64_t at;  /* DATA: of the first byte. ZEROS: of its cluster, or 0 */
	uint64_t len; /* of which the same is true */
	uint64_t entry; /* of the first cluster */
};
int qcow2_map(struct chain *c, struct qcow2 *q, uint64_t pos, uint64_t len,
              struct where *ret);
/* The same through the chain: in which file, or in the base (NULL). */
int chain_find(struct chain *c, unsigned first, uint64_t pos, uint64_t len,
               struct qcow2 **ret_q, struct where *ret);
uint64_t qcow2_l2_place(const struct qcow2 *q, uint64_t pos);
/* Place and length of a compressed cluster's bytes. */
void qcow2_packed_range(const struct qcow2 *q, uint64_t entry, uint64_t *ret_at,
                        uint64_t *ret_len);

/* qcow2_unpack.c: a compressed cluster; valid until the next call. */
int qcow2_unpack(struct chain *c, struct qcow2 *q, uint64_t entry,
                 const uint8_t **ret);
void qcow2_unpacker_free(struct chain *c);

/* qcow2_counts.c: the counts of clusters, and who is free. */
int counts_add(struct chain *c, uint64_t at, uint64_t len);
int counts_drop(struct chain *c, uint64_t at, uint64_t len);
/* @n clusters in a row, or fewer, counted. *ret_fresh: they read as zeros. */
int clusters_take(struct chain *c, uint64_t n, uint64_t *ret_at,
                  uint64_t *ret_n, bool *ret_fresh);

/* qcow2_commit.c */
int qcow2_commit(struct chain *c, bool sync);
int qcow2_touch(struct chain *c); /* before the first change */
/* For the next commit; the tables in memory do not know it any more. */
int qcow2_give_up(struct chain *c, uint64_t at, uint64_t len);
int qcow2_sync(struct qcow2 *q);

/* qcow2_read.c, qcow2_write.c: struct disk_ops */
int chain_read(struct disk *d, struct iov *data, uint64_t len, uint64_t pos);
int chain_map(struct disk *d, uint64_t pos, uint64_t len, bool *ret_hole,
              uint64_t *ret_len);
int chain_write(struct disk *d, struct iov *data, uint64_t len, uint64_t pos);
int chain_discard(struct disk *d, uint64_t pos, uint64_t len);
int chain_zero(struct disk *d, uint64_t pos, uint64_t len, bool unmap);

static inline uint64_t cluster_of(const struct qcow2 *q, uint64_t at)
{
	return at >> q->h.cluster_bits;
}

static inline uint64_t in_cluster(const struct qcow2 *q, uint64_t at)
{
	return at & (q->cluster - 1);
}

static inline void dirty_add(struct dirty *d, uint32_t i)
{
	if (i < d->from)
		d->from = i;
	if (i > d->to)
		d->to = i;
}

/* Nothing is dirty: from is above to. */
#define DIRTY_NONE ((struct dirty){UINT32_MAX, 0})

#endif
