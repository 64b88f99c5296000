/*
 * blk.h - virtio-blk (virtio 1.2, section 5.2) over a list of file extents.
 */
#ifndef VIRTIO_BLK_H
#define VIRTIO_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "virtio/device.h"

/* @len bytes of the disk at @offset of @fd; extents follow each other. */
struct blk_extent {
	int fd;
	uint64_t offset, len;
};

struct blk_config {
	const struct blk_extent *extents; /* copied */
	uint32_t nextents;
	bool read_only;
	const char *serial; /* at most 20 bytes */
};

/* What the guest moved so far; discards and zeros are no bytes. */
struct blk_stats {
	uint64_t read_bytes, write_bytes, reads, writes;
};

/* Any thread; each number is right, the four may be of different moments. */
void blk_get_stats(const struct virtio_dev *d, struct blk_stats *ret);

/* The model does not own the descriptors. */
int blk_new(const struct blk_config *cfg, struct virtio_dev **ret,
            struct err *err);

#endif
