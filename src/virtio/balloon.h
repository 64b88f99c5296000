/*
 * balloon.h - virtio-balloon (virtio 1.2, section 5.5) with free page
 * reporting and deflate-on-OOM: memory that the guest does not use goes back
 * to the host, by itself (reporting) or because it was asked to (inflation).
 *
 * What the guest gives is dropped with madvise() on the host's mapping, which
 * may be private memory or a shared memfd: it reads zeros when the guest uses
 * it again. Pages are dropped only where every byte is guest RAM, so a guest
 * can only hurt itself.
 */
#ifndef VIRTIO_BALLOON_H
#define VIRTIO_BALLOON_H

#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "virtio/device.h"

/* The guest is asked for new numbers at most this often. */
#define BALLOON_STATS_NS 1000000000ULL

/* Of what the guest told, as far as it told it; bytes, UINT64_MAX: unknown. */
struct balloon_stats {
	uint64_t inflated; /* in the balloon now; never more than its RAM */
	uint64_t reported; /* given back by reporting, since the start */
	uint64_t free, available, total, disk_caches;
};

/*
 * Runs in @l's thread. The two calls below leave work in @l: free the device
 * only when @l runs no more.
 */
int balloon_new(struct loop *l, struct virtio_dev **ret, struct err *err);

/*
 * Ask the guest for @bytes of its memory (rounded down to 4 KiB pages); it
 * gives what it can. Any thread may call this; the guest is told from the
 * device's own. -EINVAL past 16 TiB, -ENOMEM.
 */
int balloon_set_target(struct virtio_dev *d, uint64_t bytes);

/*
 * Bytes that the guest gave back so far, in either way, also those that it
 * uses again since. Any thread; unlike the call below it asks nobody.
 */
uint64_t balloon_returned(struct virtio_dev *d);

/*
 * What is known now; any thread. This also asks the guest for newer numbers,
 * which a later call gets.
 */
void balloon_get_stats(struct virtio_dev *d, struct balloon_stats *ret);

#endif
