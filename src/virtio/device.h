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

/* What a model is. Its config space is read-only without write_config(). */
struct virtio_dev_ops {
	const char *name;
	uint32_t id;
	uint16_t nqueues;
	/*
	 * Entries of a queue: the most that we take (QEMU's virtio-mmio tells
	 * drivers VQ_SIZE_MAX, whatever we say), and what our own transport
	 * offers (0: the same). Drivers fill what they are offered with memory.
	 */
	uint16_t queue_max, queue_offered;
	uint32_t config_len; /* bytes; 0: no config space */

	void (*read_config)(struct virtio_dev *d, uint32_t off, void *data,
	                    uint32_t len); /* bytes past the end read 0 */

	/*
	 * The driver wrote [off, off + len) of the config space, all of it
	 * inside config_len. NULL: writes are ignored.
	 */
	void (*write_config)(struct virtio_dev *d, uint32_t off,
	                     const void *data, uint32_t len);

	/*
	 * @d->mem, @d->vqs, @d->features are set and frozen. A queue that the
	 * driver did not set up (yet) is not ready: it yields nothing, and
	 * notify() follows when it becomes ready.
	 */
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
	/* Queue @q had its turn and has more: notify() again, after others. */
	void (*again)(struct virtio_dev *d, uint16_t q);
	/*
	 * What read_config() gives has changed: the guest is told. NULL where
	 * the transport cannot tell (vhost-user here).
	 */
	void (*config_changed)(struct virtio_dev *d);
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
	bool broken; /* by the guest; until reset */
};

struct vq_chain;

/* Requests that a queue may run before others get their turn. */
#define VIRTIO_BATCH 64

/*
 * The life of most queues: run @one for each request, push it with the length
 * that it gave, interrupt if wanted, and re-arm. After VIRTIO_BATCH requests
 * the rest waits for its next turn. @one returns 0; -EAGAIN to leave this
 * request and all behind it until the model calls again by itself; any other
 * error is a breach. @one may change the chain.
 */
void virtio_serve(struct virtio_dev *d, uint16_t q,
                  int (*one)(struct virtio_dev *d, struct vq_chain *c,
                             uint32_t *ret_len));

/* Interrupt for queue @q if the driver wants it. */
void virtio_signal(struct virtio_dev *d, uint16_t q);

/* The model's config space changed; tell the guest if the transport can. */
void virtio_config_changed(struct virtio_dev *d);

/* Stop the device: one log line, then the transport's broken(); only once. */
void virtio_broken(struct virtio_dev *d, const char *why);

void virtio_free(struct virtio_dev *d); /* NULL is fine */

/* Copy bytes [off, off + len) of a config struct, zeros past its end. */
void virtio_config_copy(const void *config, uint32_t config_len, uint32_t off,
                        void *data, uint32_t len);

#endif
