/* The first cluster of a qcow2 file: what it says, checked; and a new one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "disk/qcow2.h"

#include "base/banned.h"

#define V2_LEN          72u
#define V3_LEN          104u
#define BITS_MIN        9u
#define BITS_MAX        21u
#define BACKING_MAX     1023u
#define SNAPSHOTS_MAX   65536u
#define EXT_BACKING_FMT 0xe2792acau
#define NEW_BITS        16u /* 64 KiB, as qemu-img makes them */

#define INCOMPAT_DIRTY    (1ULL << 0)
#define INCOMPAT_CORRUPT  (1ULL << 1)
#define INCOMPAT_DATA     (1ULL << 2)
#define INCOMPAT_PACKER   (1ULL << 3)
#define INCOMPAT_EXTENDED (1ULL << 4)

static void parse(const uint8_t *p, struct qcow2_header *h)
{
	h->version = get_be32(p + 4);
	h->backing_at = get_be64(p + 8);
	h->backing_len = get_be32(p + 16);
	h->cluster_bits = get_be32(p + 20);
	h->size = get_be64(p + 24);
	h->crypt = get_be32(p + 32);
	h->l1_n = get_be32(p + 36);
	h->l1_at = get_be64(p + 40);
	h->table_at = get_be64(p + 48);
	h->table_clusters = get_be32(p + 56);
	h->snapshots = get_be32(p + 60);
	h->snapshots_at = get_be64(p + 64);
	h->refcount_order = 4;
	h->header_len = V2_LEN;
	if (h->version < 3)
		return;
	h->incompatible = get_be64(p + 72);
	h->compatible = get_be64(p + 80);
	h->autoclear = get_be64(p + 88);
	h->refcount_order = get_be32(p + 96);
	h->header_len = get_be32(p + 100);
}

/* What this driver cannot do, or must not. */
static int check_features(struct qcow2_header *h, const uint8_t *p,
                          struct err *err)
{
	const uint64_t known = INCOMPAT_DIRTY | INCOMPAT_CORRUPT |
	                       INCOMPAT_DATA | INCOMPAT_PACKER |
	                       INCOMPAT_EXTENDED;

	if (h->crypt)
		return err_set(err, -EOPNOTSUPP, "it is encrypted");
	if (h->incompatible & INCOMPAT_DATA)
		return err_set(err, -EOPNOTSUPP,
		               "it keeps its data in another file");
	if (h->incompatible & INCOMPAT_EXTENDED)
		return err_set(err, -EOPNOTSUPP,
		               "it has subclusters (extended_l2)");
	if (h->incompatible & ~known)
		return err_set(err, -EOPNOTSUPP,
		               "it has features that are not known here "
		               "(0x%llx)",
		               (unsigned long long)(h->incompatible & ~known));
	if (!(h->incompatible & INCOMPAT_PACKER))
		return 0;
	if (h->header_len <= V3_LEN || p[V3_LEN] != 1)
		return err_set(err, -EOPNOTSUPP,
		               "its clusters are compressed in a way that is "
		               "not known here");
	h->zstd = true;
	return 0;
}

static int check_numbers(const struct qcow2_header *h, struct err *err)
{
	const char *bad = NULL;

	if (h->version != 2 && h->version != 3)
		return err_set(err, -EOPNOTSUPP, "it is qcow2 of version %u",
		               h->version);
	if (h->cluster_bits < BITS_MIN || h->cluster_bits > BITS_MAX)
		bad = "cluster size";
	else if (h->refcount_order > 6)
		bad = "width of counts";
	else if (h->version == 3 &&
	         (h->header_len < V3_LEN || h->header_len % 8 ||
	          h->header_len > 1U << h->cluster_bits))
		bad = "header's length";
	else if (!h->size || h->size % 512 || h->size > DISK_SIZE_MAX)
		bad = "size";
	else if (h->snapshots > SNAPSHOTS_MAX)
		bad = "number of snapshots";
	else if (h->backing_at &&
	         (h->backing_len > BACKING_MAX ||
	          h->backing_at < h->header_len ||
	          h->backing_at > 1U << h->cluster_bits ||
	          h->backing_at + h->backing_len > 1U << h->cluster_bits))
		bad = "backing file's name";
	if (bad)
		return err_set(err, -EBADMSG,
		               "its header is damaged: the %s cannot be right",
		               bad);
	return 0;
}

struct range {
	const char *name;
	uint64_t at, len;
};

/* In the file, on a cluster's border, apart from each other. */
static int check_tables(const struct qcow2_header *h, uint64_t file_len,
                        struct err *err)
{
	const uint64_t cluster = 1ULL << h->cluster_bits;
	const uint64_t covers = cluster * (cluster / 8); /* one L2 table */
	const uint64_t need = h->size / covers + (h->size % covers != 0);
	const struct range r[] = {
		{"header",         0,               cluster                    },
		{"L1 table",       h->l1_at,        (uint64_t)h->l1_n * 8      },
		{"refcount table", h->table_at,     h->table_clusters * cluster},
		{"snapshot table", h->snapshots_at, h->snapshots * 40ULL       },
	};

	if (need > h->l1_n || r[1].len > QCOW2_L1_MAX || !h->table_clusters ||
	    r[2].len > QCOW2_TABLE_MAX)
		return err_set(err, -EBADMSG,
		               "its header is damaged: the size of a table "
		               "cannot be right");
	for (size_t i = 1; i < ARRAY_SIZE(r); i++) {
		if (r[i].len &&
		    (r[i].at & (cluster - 1) || r[i].at > file_len ||
		     r[i].len > num_align_up(file_len, cluster) - r[i].at))
			return err_set(err, -EBADMSG,
			               "its %s lies outside of the file",
			               r[i].name);
		for (size_t k = 0; k < i; k++)
			if (r[i].len && r[i].at < r[k].at + r[k].len &&
			    r[k].at < r[i].at + r[i].len)
				return err_set(err, -EBADMSG,
				               "its %s lies over the %s",
				               r[i].name, r[k].name);
	}
	return 0;
}

int qcow2_header_read(int fd, uint64_t len, struct qcow2_header *ret,
                      struct err *err)
{
	struct qcow2_header h = {0};
	uint8_t p[V3_LEN + 8] = {0};
	int r = file_get(fd, p, sizeof(p), 0);

	if (r < 0)
		return err_set(err, r, "cannot read it: %s", strerror(-r));
	if (len < V2_LEN || get_be32(p) != QCOW2_MAGIC)
		return err_set(err, -EBADMSG, "it is no qcow2 file");
	parse(p, &h);
	r = check_numbers(&h, err);
	if (r == 0)
		r = check_features(&h, p, err);
	if (r == 0)
		r = check_tables(&h, len, err);
	if (r < 0)
		return r;
	if (h.backing_at)
		r = file_get(fd, h.backing, h.backing_len, h.backing_at);
	if (r < 0)
		return err_set(err, r, "cannot read it: %s", strerror(-r));
	*ret = h;
	return 0;
}

int qcow2_look(int fd, struct qcow2_info *ret, struct err *err)
{
	struct qcow2_header h;
	uint64_t len = 0;
	int r = file_length(fd, &len);

	if (r < 0)
		return err_set(err, r, "cannot tell its size: %s",
		               strerror(-r));
	r = qcow2_header_read(fd, len, &h, err);
	if (r < 0)
		return r;
	*ret = (struct qcow2_info){.version = h.version,
	                           .cluster_bits = h.cluster_bits,
	                           .refcount_order = h.refcount_order,
	                           .file_len = len,
	                           .size = h.size};
	memcpy(ret->backing, h.backing, sizeof(ret->backing));
	return 0;
}

/*
 * Data, tables and counts of a disk that is full, a quarter of the metadata
 * again and some clusters: a table that moves, what crashes have leaked.
 */
uint64_t qcow2_file_max(const struct qcow2_info *info)
{
	const uint64_t cluster = 1ULL << info->cluster_bits;
	const uint64_t data = num_align_up(info->size, cluster);
	const uint64_t clusters = data >> info->cluster_bits;
	const uint64_t tables = clusters * 8;
	const uint64_t counts =
		((clusters + tables / cluster) << info->refcount_order) / 8;

	return MAX(data + (tables + counts) / 4 * 5 + 256 * cluster + 4 * MIB,
	           num_align_up(info->file_len, cluster));
}

/*
 *	0 header, backing's name | 1 table of counts | 2 counts | 3.. L1
 *
 * All else of it is a hole.
 */
int qcow2_create(int fd, uint64_t size, const char *backing,
                 enum disk_format backing_format, struct err *err)
{
	const uint64_t cluster = 1ULL << NEW_BITS,
		       covers = cluster * cluster / 8;
	const uint64_t l1_n = size / covers + (size % covers != 0);
	const uint64_t clusters = 3 + (l1_n * 8 + cluster - 1) / cluster;
	const char *format = disk_format_names[backing_format];
	size_t name_len = backing ? strlen(backing) : 0, at = V3_LEN + 8;
	uint8_t head[4096] = {0}, table[8], counts[2048] = {0};
	int r;

	if (!size || size % 512 || size > DISK_SIZE_MAX ||
	    l1_n * 8 > QCOW2_L1_MAX || clusters * 2 > sizeof(counts))
		return err_set(err, -EINVAL,
		               "a qcow2 file cannot have a disk of %llu bytes",
		               (unsigned long long)size);
	if (name_len > BACKING_MAX)
		return err_set(err, -ENAMETOOLONG,
		               "the backing file's name is longer than %u "
		               "bytes",
		               BACKING_MAX);
	put_be32(head, QCOW2_MAGIC);
	put_be32(head + 4, 3);
	put_be32(head + 20, NEW_BITS);
	put_be64(head + 24, size);
	put_be32(head + 36, (uint32_t)l1_n);
	put_be64(head + 40, 3 * cluster);
	put_be64(head + 48, cluster);
	put_be32(head + 56, 1);
	put_be32(head + 96, 4);
	put_be32(head + 100, V3_LEN + 8);
	if (backing) {
		put_be32(head + at, EXT_BACKING_FMT);
		put_be32(head + at + 4, (uint32_t)strlen(format));
		memcpy(head + at + 8, format, strlen(format));
		at += 8 + num_align_up(strlen(format), 8) + 8;
		put_be64(head + 8, at);
		put_be32(head + 16, (uint32_t)name_len);
		memcpy(head + at, backing, name_len);
	}
	put_be64(table, 2 * cluster);
	for (uint64_t i = 0; i < clusters; i++)
		put_be16(counts + i * 2, 1);
	r = ftruncate(fd, (off_t)(clusters * cluster)) < 0 ? -errno : 0;
	if (r == 0)
		r = file_put(fd, table, sizeof(table), cluster);
	if (r == 0)
		r = file_put(fd, counts, clusters * 2, 2 * cluster);
	if (r == 0) /* last: without it, it is no qcow2 file */
		r = file_put(fd, head, sizeof(head), 0);
	if (r < 0)
		return err_set(err, r, "cannot write a qcow2 file: %s",
		               strerror(-r));
	return 0;
}
