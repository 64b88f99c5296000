/* rng.h - virtio entropy device (virtio 1.2, section 5.4) by getrandom(2). */
#ifndef VIRTIO_RNG_H
#define VIRTIO_RNG_H

#include "base/err.h"
#include "virtio/device.h"

int rng_new(struct virtio_dev **ret, struct err *err);

#endif
