/*
 * blk.h - virtio-blk (virtio 1.2, section 5.2) over whatever keeps the bytes.
 */
#ifndef VIRTIO_BLK_H
#define VIRTIO_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iov.h"
#include "virtio/device.h"

/*
 * What keeps a disk's bytes. All is called in the device's thread, with ranges
 * that lie in @size; each returns 0 or a negative errno. -EOPNOTSUPP tells the
 * guest that such a request does not exist. On a read-only device nothing but
 * read() and close() is called.
 */
struct blk_backend {
	uint64_t size;
	/* Move all of @data; what was moved is dropped from it. */
	int (*read)(void *arg, struct iov *data, uint64_t pos);
	int (*write)(void *arg, struct iov *data, uint64_t pos);
	int (*flush)(void *arg);
	int (*discard)(void *arg, uint64_t pos, uint64_t len);
	int (*zero)(void *arg, uint64_t pos, uint64_t len, bool unmap);
	/* Write what only memory knows; no sync. See blk_settle(). */
	int (*settle)(void *arg);
	void (*close)(void *arg); /* with the device */
	void *arg;
};

struct blk_config {
	const struct blk_backend *backend; /* copied */
	bool read_only;
	const char *serial; /* at most 20 bytes */
};

/* What the guest moved so far; discards and zeros are no bytes. */
struct blk_stats {
	uint64_t read_bytes, write_bytes, reads, writes;
};

/* Any thread; each number is right, the four may be of different moments. */
void blk_get_stats(const struct virtio_dev *d, struct blk_stats *ret);

/* The backend is the device's on success. */
int blk_new(const struct blk_config *cfg, struct virtio_dev **ret,
            struct err *err);

/* In the device's thread, when its guest is gone for good. */
int blk_settle(struct virtio_dev *d);

#endif
