/*
 * tar_pax.h - pax extended headers ("27 path=usr/share/x\n" ...) and the maps
 * of sparse files.
 */
#ifndef IMAGE_TAR_PAX_H
#define IMAGE_TAR_PAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define TAR_PAX_MAX     (1 << 20) /* bytes of one extended header */
#define TAR_XATTRS_MAX  1024      /* attributes of one entry */
#define TAR_XATTR_BYTES (128 * 1024)
#define TAR_SPARSE_MAX  (256 * 1024) /* data segments of one file */

/* Data segments of a sparse file: rising, apart, inside the file. */
struct tar_sparse {
	struct tar_segment {
		uint64_t off, len;
	} * v;
	uint32_t n, cap;
};

int tar_sparse_add(struct tar_sparse *s, uint64_t off, uint64_t len);
void tar_sparse_release(struct tar_sparse *s);

/* Rising, apart, inside @size, @stored bytes together? */
bool tar_sparse_ok(const struct tar_sparse *s, uint64_t size, uint64_t stored);

enum tar_pax_has {
	PAX_PATH = 1,
	PAX_LINK = 2,
	PAX_SIZE = 4,
	PAX_UID = 8,
	PAX_GID = 16,
	PAX_MTIME = 32,
	PAX_SPARSE = 64,      /* any GNU.sparse.* */
	PAX_SPARSE_MAP = 128, /* 0.1 */
	PAX_SPARSE_NAME = 256,
	PAX_SPARSE_SIZE = 512,
	PAX_SPARSE_OFFSET = 1024, /* 0.0, an offset without its length yet */
};

struct tar_pax {
	bool present;
	unsigned has;
	struct buf path, link, sparse_name, xattrs;
	uint32_t nxattrs, uid, gid, mtime_ns;
	uint64_t size, sparse_size, sparse_offset;
	uint64_t sparse_major, sparse_minor;
	int64_t mtime;
	struct tar_sparse sparse;
};

void tar_pax_init(struct tar_pax *x);
void tar_pax_reset(struct tar_pax *x);
void tar_pax_release(struct tar_pax *x);

/*
 * Read one header's records. 0, -ENOMEM, -E2BIG past a bound, or -EBADMSG;
 * *ret_why then says what is wrong with it.
 */
int tar_pax_parse(struct tar_pax *x, const uint8_t *data, size_t len,
                  const char **ret_why);

/*
 * A global header has no effect in image tools, but in archivers: so it must
 * be well formed and hold comments only (git writes such).
 */
int tar_pax_check_global(const uint8_t *data, size_t len, const char **ret_why);

#endif
