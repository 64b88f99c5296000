/*
 * device.h - what a device model is, and what it may ask of a transport.
 *
 * A model knows queues and guest memory, never a transport: virtio-mmio and
 * vhost-user both drive this interface. All calls for one device come from one
 * thread (its loop's); a model needs no lock.
 *
 *	reset -> set_features -> activate -> { notify } -> reset
 */
#ifndef VIRTIO_DEVICE_H
#define VIRTIO_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guest_mem;
struct vq;
struct virtio_dev;

#define VIRTIO_F_INDIRECT_DESC 28
#define VIRTIO_F_EVENT_IDX     29
#define VIRTIO_F_VERSION_1     32

#define VIRTIO_ID_NET     1
#define VIRTIO_ID_BLOCK   2
#define VIRTIO_ID_CONSOLE 3
#define VIRTIO_ID_RNG     4
#define VIRTIO_ID_BALLOON 5
#define VIRTIO_ID_VSOCK   19
#define VIRTIO_ID_FS      26

/* What a model is. `config` is read-only to the guest unless config_write. */
struct virtio_dev_ops {
	const char *name;
	uint32_t id;
	uint16_t nqueues;
	uint16_t queue_max;

	void (*read_config)(struct virtio_dev *d, uint32_t off, void *data,
	                    uint32_t len); /* bytes past the end read 0 */

	/* Queues are valid and frozen; @d->mem, @d->vqs, @d->features set. */
	int (*activate)(struct virtio_dev *d);

	/* The driver made buffers available on queue @q. */
	void (*notify)(struct virtio_dev *d, uint16_t q);

	/* Forget everything about the rings; wait for requests in flight. */
	void (*reset)(struct virtio_dev *d);

	void (*free)(struct virtio_dev *d);
};

/* What a transport does for a model. */
struct virtio_transport_ops {
	/* Raise the queue's interrupt (the queue said that it is wanted). */
	void (*interrupt)(struct virtio_dev *d, uint16_t q);
	/* The guest broke the rules: mark "needs reset", stop its queues. */
	void (*broken)(struct virtio_dev *d, const char *why);
};

/* Embedded as the first member of each model's struct. */
struct virtio_dev {
	const struct virtio_dev_ops *ops;
	uint64_t offered; /* feature bits, VERSION_1 included */
	/* below: set by the transport */
	const struct virtio_transport_ops *transport;
	void *transport_data;
	uint64_t features; /* negotiated */
	struct guest_mem *mem;
	struct vq *vqs; /* ops->nqueues of them */
	bool active;
};

#endif
