/*
 * disk_dev.h - a disk's content (disk/disk.h) as a virtio-blk device.
 */
#ifndef VMM_DISK_DEV_H
#define VMM_DISK_DEV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "disk/disk.h"
#include "virtio/device.h"

/* Either extents or layers; the descriptors stay the caller's. */
struct disk_dev_config {
	const struct disk_extent *extents;
	uint32_t nextents;
	bool read_only;
	const char *serial;
	const struct disk_layer *layers;
	uint32_t nlayers;
};

int disk_dev_new(const struct disk_dev_config *cfg, struct virtio_dev **ret,
                 struct err *err);

#endif
