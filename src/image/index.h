/*
 * index.h - what a layer holds: one fixed-size record an entry, in tar order,
 * and a pool of strings (paths, link texts, attributes, small files).
 *
 *	[header 4096][entries, 72 bytes each][pool]
 *
 * Little endian, mapped as it is. The file was written by us, but it lies on a
 * disk that fails and in a folder that a user may touch, so opening it checks
 * the header's own CRC-32C, then that of the entries and that of the pool,
 * and then every field: an entry of an open index may be used without further
 * checks. The layer's `data` is checked here for its length only; its bytes
 * are covered by the diff_id (layer_verify()).
 */
#ifndef IMAGE_INDEX_H
#define IMAGE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"

#define INDEX_MAGIC   0x3149534du /* "MSI1" */
#define INDEX_VERSION 1
#define INDEX_HEADER  4096
#define INDEX_BLOCK   4096

#define INDEX_ENTRIES_MAX (4u << 20)
#define INDEX_PATH_MAX    4095
#define INDEX_PART_MAX    255
#define INDEX_DEPTH_MAX   256
#define INDEX_INLINE_MAX  1024 /* files up to this size live in the pool */
#define INDEX_MAJOR_MAX   0xfffu
#define INDEX_MINOR_MAX   0xfffffu
#define INDEX_DATA_MAX    (1ULL << 42) /* bytes of one layer's data file */

enum index_type {
	INDEX_REG = 1,
	INDEX_DIR,
	INDEX_SYM,
	INDEX_CHR,
	INDEX_BLK,
	INDEX_FIFO,
	INDEX_HARD,     /* link: the path of another entry */
	INDEX_WHITEOUT, /* path: what lower layers lose */
	INDEX_OPAQUE, /* path: a folder that lower layers lose the content of */
	INDEX_TYPES,
};

#define INDEX_F_INLINE 1 /* content is link_off/link_len in the pool */

struct index_header {
	uint32_t magic, version;
	uint64_t entries, pool_bytes, data_blocks, tar_bytes;
	uint8_t diff_id[DIGEST_LEN];
	uint32_t entries_crc, pool_crc, header_crc, pad;
};

/* Offsets are into the pool. Paths are clean: see layer_path.h; "" is root. */
struct index_entry {
	uint32_t path_off, path_len;
	uint32_t link_off, link_len; /* link text, hard link's path, content */
	uint32_t xattr_off, xattr_len; /* (u8 nlen, le16 vlen, name, value)* */
	uint32_t uid, gid, mtime_ns, rdev;
	uint16_t mode; /* 07777 */
	uint8_t type, flags;
	uint32_t pad;
	int64_t mtime;
	uint64_t size, block; /* block: of `data` */
};
_Static_assert(sizeof(struct index_entry) == 72, "on disk");
_Static_assert(sizeof(struct index_header) <= INDEX_HEADER, "on disk");

struct index {
	const uint8_t *map;
	uint64_t map_len;
	const struct index_header *header;
	const struct index_entry *entries;
	const uint8_t *pool;
	uint32_t n;
};

/*
 * Map and check the open file @fd. -EBADMSG and @err when it is not whole.
 * It may be closed afterwards. The strings are not NUL-terminated.
 */
int index_open(int fd, struct index *ret, struct err *err);
void index_close(struct index *ix); /* zeroed is fine */

/* The checks of index_open() on memory, for those who have it already. */
int index_check(const void *data, uint64_t len, struct index *ret,
                const char **ret_why);

/* Just the header: enough to say that the file has its full length. */
int index_read_header(int fd, struct index_header *ret);

/* CRC-32C; start with INDEX_CRC_INIT. */
#define INDEX_CRC_INIT 0xffffffffu
uint32_t index_crc(uint32_t crc, const void *data, uint64_t len);

/* The checksum that belongs into h->header_crc. */
uint32_t index_header_crc(const struct index_header *h);

/* (major, minor) as the guest's kernel has it in inodes on disk. */
static inline uint32_t index_rdev(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

#define cleanup_index cleanup(index_close)

#endif
