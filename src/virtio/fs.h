/*
 * fs.h - virtio-fs (virtio 1.2, section 5.11): FUSE requests come by queue, a
 * backend answers them.
 */
#ifndef VIRTIO_FS_H
#define VIRTIO_FS_H

#include <stdint.h>

#include "base/err.h"
#include "base/iov.h"
#include "virtio/device.h"

#define VIRTIO_FS_TAG_MAX 36
#define VIRTIO_FS_TAG     "msb" /* of a machine's one device */

struct virtio_fs_backend {
	/*
	 * One request, as fs_request() in fs/fs.h: consumes @out, fills @in.
	 * -EPROTO breaks the device.
	 */
	int (*request)(void *arg, struct iov *out, struct iov *in,
	               uint32_t *ret_len);
	void (*reset)(void *arg); /* the driver is gone */
	void *arg;
};

/* @tag: what the guest mounts it by. */
int virtio_fs_new(const char *tag, const struct virtio_fs_backend *backend,
                  struct virtio_dev **ret, struct err *err);

#endif
