/*
 * net.h - virtio-net (virtio 1.2, section 5.1), one pair of queues: frames come
 * and go with the header that says what is left to the other side to do
 * (checksums, segmentation). What a frame holds is the backend's affair.
 */
#ifndef VIRTIO_NET_H
#define VIRTIO_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/iov.h"
#include "base/vnet.h"
#include "virtio/device.h"

#define VIRTIO_NET_QUEUE 512   /* entries that our own transport offers */
#define VIRTIO_NET_FRAME 65553 /* the longest frame: 64 KiB, Ethernet */

/* All is called in the device's thread. */
struct virtio_net_backend {
	/* What the driver takes; before its first frame. */
	void (*features)(void *arg, bool csum, bool tso4, bool tso6);
	/* May the next frame come? After no: virtio_net_resume(). */
	bool (*wants)(void *arg);
	/*
	 * A frame of the guest. Its memory is the guest's, and stays until
	 * batch_end(), which comes after at most 64 frames.
	 */
	void (*frame)(void *arg, const struct vnet_hdr *h, struct iov *frame);
	void (*batch_end)(void *arg);
	/* There may be room again, after virtio_net_send() had none. */
	void (*writable)(void *arg);
	void (*reset)(void *arg); /* the driver is gone */
	void *arg;
};

int virtio_net_new(const uint8_t mac[6], uint16_t mtu,
                   const struct virtio_net_backend *backend,
                   struct virtio_dev **ret, struct err *err);

/*
 * A frame for the guest: copied. 0, also when it is dropped because the device
 * is down or no buffer of the driver can hold it; -EAGAIN: no buffers now, and
 * writable() follows. In the device's thread, as all below.
 */
int virtio_net_send(struct virtio_dev *d, const struct vnet_hdr *h,
                    const struct iovec *v, unsigned n, size_t len);

/* Tell the driver of what was sent. */
void virtio_net_flush(struct virtio_dev *d);

/* The backend wants frames again. */
void virtio_net_resume(struct virtio_dev *d);

/* The cable, so to say; our own transport only tells the driver. */
void virtio_net_set_link(struct virtio_dev *d, bool up);

#endif
