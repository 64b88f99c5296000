/*
 * balloon.h - virtio-balloon (virtio 1.2, section 5.5) with free page
 * reporting and deflate-on-OOM: memory that the guest does not use goes back
 * to the host, by itself (reporting) or because it was asked to (inflation).
 *
 * What the guest gives is dropped with madvise(MADV_DONTNEED) on the host's
 * mapping: it reads zeros when the guest uses it again. Pages are dropped only
 * where every byte is guest RAM, so a guest can only hurt itself.
 */
#ifndef VIRTIO_BALLOON_H
#define VIRTIO_BALLOON_H

#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "virtio/device.h"

/* Of what the guest told, as far as it told it; bytes, UINT64_MAX: unknown. */
struct balloon_stats {
	uint64_t inflated; /* in the balloon now */
	uint64_t reported; /* given back by reporting, since the start */
	uint64_t free, available, total, disk_caches;
};

/* Runs in @l's thread. */
int balloon_new(struct loop *l, struct virtio_dev **ret, struct err *err);

/* Ask the guest for @bytes of its memory (rounded to 4 KiB pages). Any thread
 * may call this; the guest is told from the device's own. */
int balloon_set_target(struct virtio_dev *d, uint64_t bytes);

/* Any thread. */
void balloon_get_stats(struct virtio_dev *d, struct balloon_stats *ret);

#endif
