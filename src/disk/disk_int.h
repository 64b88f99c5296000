/*
 * disk_int.h - what the kinds of disks share: the table that each fills in,
 * and whole transfers between guest memory and a piece of a file.
 */
#ifndef DISK_DISK_INT_H
#define DISK_DISK_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iov.h"
#include "disk/disk.h"

/* The largest disk: offsets are signed, and QEMU adds to them. */
#define DISK_SIZE_MAX ((uint64_t)INT64_MAX / 2)

/*
 * Ranges were checked against the size and are not empty; write, discard and
 * zero are not called on a disk that is read-only. read and write move the
 * first @len bytes of @data and drop what they moved, also when they fail.
 */
struct disk_ops {
	int (*read)(struct disk *d, struct iov *data, uint64_t len,
	            uint64_t pos);
	int (*write)(struct disk *d, struct iov *data, uint64_t len,
	             uint64_t pos);
	int (*flush)(struct disk *d);
	int (*settle)(struct disk *d); /* NULL: there is nothing to */
	int (*discard)(struct disk *d, uint64_t pos, uint64_t len);
	int (*zero)(struct disk *d, uint64_t pos, uint64_t len, bool unmap);
	int (*map)(struct disk *d, uint64_t pos, uint64_t len, bool *ret_hole,
	           uint64_t *ret_len);
	void (*close)(struct disk *d);
};

struct disk {
	const struct disk_ops *ops;
	uint64_t size;
	bool read_only;
};

/* The whole of a file, or of a block device. */
int disk_open_raw(int fd, bool read_only, struct disk **ret, struct err *err);
int disk_open_qcow2(const struct disk_layer *layers, uint32_t n, bool read_only,
                    struct disk **ret, struct err *err);

/* Bytes of a file or block device. */
int file_length(int fd, uint64_t *ret);

/*
 * Move the first @len bytes of @data from or to @fd at @at. file_load() gives
 * zeros behind the end of the file if @zeros, else it is -EIO there.
 */
int file_load(int fd, struct iov *data, uint64_t len, uint64_t at, bool zeros);
int file_store(int fd, struct iov *data, uint64_t len, uint64_t at);

/* The same with one buffer; what is behind the end reads as zeros. */
int file_get(int fd, void *data, size_t len, uint64_t at);
int file_put(int fd, const void *data, size_t len, uint64_t at);

void iov_zero(struct iov *data, uint64_t len);

/* Give room back; -EOPNOTSUPP where the file system has no holes. */
int file_punch(int fd, uint64_t at, uint64_t len);
int file_zero(int fd, uint64_t at, uint64_t len);

#endif
