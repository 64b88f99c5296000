/*
 * disk.h - a disk's content, whatever form it has on the host: pieces of files
 * side by side (images), one file (raw), qcow2 with what lies below it.
 *
 * A format is what the caller says, never what the bytes look like: a guest
 * may write any header to a raw disk. Nothing here opens a file by a name: a
 * chain of qcow2 files is a list of descriptors, the top first. The header's
 * own name of a backing file is written for other tools and not believed.
 *
 * qcow2 (docs/interop/qcow2.txt of QEMU): versions 2 and 3, read and write,
 * clusters of 512 bytes to 2 MiB, zero clusters, compressed clusters for
 * reading. Refused: encryption, external data files, extended L2 entries,
 * unknown incompatible bits, internal snapshots when it is to be written,
 * tables that overlap, lie outside of the file or are larger than its size
 * allows. A fault found later in a table (it may be a hostile file) fails the
 * request with -EIO and stops writing; it is told once.
 *
 * A struct disk belongs to one thread.
 */
#ifndef DISK_DISK_H
#define DISK_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/iov.h"

enum disk_format { DISK_RAW, DISK_QCOW2 };

/* "raw", "qcow2", NULL */
extern const char *const disk_format_names[];

/* @len bytes of the disk at @offset of @fd; extents follow each other. */
struct disk_extent {
	int fd;
	uint64_t offset, len;
};

/* One file of a chain, the top first; only the last may be raw. */
struct disk_layer {
	int fd;
	enum disk_format format;
};

#define DISK_LAYERS_MAX 32

struct disk;

/* Nothing here owns the descriptors. */
int disk_open_extents(const struct disk_extent *extents, uint32_t n,
                      bool read_only, struct disk **ret, struct err *err);
int disk_open_layers(const struct disk_layer *layers, uint32_t n,
                     bool read_only, struct disk **ret, struct err *err);
void disk_close(struct disk *d); /* NULL is fine; writes tables, no sync */

uint64_t disk_size(const struct disk *d); /* bytes */

/*
 * All of @iov at @pos, which the caller has bounded by disk_size(). 0 or a
 * negative errno. @iov may be changed.
 */
int disk_read(struct disk *d, struct iovec *iov, unsigned n, uint64_t pos);
int disk_write(struct disk *d, struct iovec *iov, unsigned n, uint64_t pos);
/* The same; what was moved is dropped from @data, also when it fails. */
int disk_read_iov(struct disk *d, struct iov *data, uint64_t pos);
int disk_write_iov(struct disk *d, struct iov *data, uint64_t pos);
int disk_flush(struct disk *d);
/* Write the tables that only memory knows, as disk_close() does. */
int disk_settle(struct disk *d);
/* A hint; then those bytes may read as anything old or zero. */
int disk_discard(struct disk *d, uint64_t pos, uint64_t len);
/* They read as zeros; with @unmap without taking room if that can be. */
int disk_zero(struct disk *d, uint64_t pos, uint64_t len, bool unmap);

/*
 * What is in a range: *ret_len of its first bytes are all zeros without taking
 * room (*ret_hole), or not.
 */
int disk_map(struct disk *d, uint64_t pos, uint64_t len, bool *ret_hole,
             uint64_t *ret_len);

/*
 * An empty qcow2 of @size bytes in @fd (an empty file), over a disk called
 * @backing (NULL: none) of @backing_format: names for other tools.
 */
int qcow2_create(int fd, uint64_t size, const char *backing,
                 enum disk_format backing_format, struct err *err);

/*
 * Make the disk in @fd, which nobody has open, larger: what is added reads as
 * zeros (as far as nothing larger lies below). -EINVAL when it would become
 * smaller, -EFBIG when its tables have no room for that (4 TiB with clusters
 * of 64 KiB).
 */
int qcow2_grow(int fd, uint64_t size, struct err *err);

/* What a header says, checked; for inspection. */
struct qcow2_info {
	uint32_t version, cluster_bits, refcount_order;
	uint64_t size, file_len; /* of the disk, of the file */
	char backing[1024];      /* "": none. Escape it before you show it */
};
int qcow2_look(int fd, struct qcow2_info *ret, struct err *err);

/* A qcow2 file of such a disk does not grow beyond it. */
uint64_t qcow2_file_max(const struct qcow2_info *info);

static inline void cleanup_disk_fn(struct disk **d)
{
	disk_close(*d);
}
#define cleanup_disk cleanup(cleanup_disk_fn)

#endif
