/*
 * fake_guest.h - a guest's side of virtqueues, in ordinary memory.
 *
 * Two RAM regions that follow each other in the guest but not in the host
 * (each its own allocation, so that ASan sees a step over the border), and
 * nothing around them:
 *
 *	0        FAKE_LOW        FAKE_HIGH        FAKE_END
 *	| hole   | rings, heap   | second region  | hole ...
 *
 * The transport counts what the device asks of it. A test writes descriptors
 * itself, or lets fake_chain() do it.
 */
#ifndef TEST_FAKE_GUEST_H
#define TEST_FAKE_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio/device.h"
#include "virtio/queue.h"

#define FAKE_LOW    0x100000ULL
#define FAKE_HIGH   0x500000ULL
#define FAKE_END    0x600000ULL
#define FAKE_QUEUES 4

#define D_NEXT     1u
#define D_WRITE    2u
#define D_INDIRECT 4u

#define F_INDIRECT  (1ULL << VIRTIO_F_INDIRECT_DESC)
#define F_EVENT_IDX (1ULL << VIRTIO_F_EVENT_IDX)
#define F_VERSION_1 (1ULL << VIRTIO_F_VERSION_1)

struct fake_queue {
	struct vq_layout at;
	uint16_t free_desc, avail_idx, seen_used;
};

struct fake_guest {
	uint8_t *low, *high;
	uint64_t heap;
	struct guest_mem mem;
	struct vq vqs[FAKE_QUEUES];
	struct fake_queue q[FAKE_QUEUES];
	struct virtio_dev *dev; /* NULL: only queues */
	unsigned interrupts[FAKE_QUEUES], broken, config_changes;
	bool again[FAKE_QUEUES];
	const char *why;
};

struct fake_buf {
	uint64_t addr;
	uint32_t len;
	bool write;
};

/* Queues of @size are laid out; with @dev they are started and it as well. */
void fake_init(struct fake_guest *g, struct virtio_dev *dev, uint64_t features,
               uint16_t size);
void fake_release(struct fake_guest *g); /* resets, but does not free, dev */

/* Reset the device and start it again with fresh rings. */
void fake_restart(struct fake_guest *g, uint64_t features);

uint64_t fake_alloc(struct fake_guest *g, size_t len); /* 16-byte aligned */
void *fake_at(struct fake_guest *g, uint64_t gpa);     /* asserts it is RAM */

void fake_desc(struct fake_guest *g, uint64_t table, uint16_t i, uint64_t addr,
               uint32_t len, uint16_t flags, uint16_t next);

/* Descriptors for @n buffers, made available. Returns the head. */
uint16_t fake_chain(struct fake_guest *g, unsigned q,
                    const struct fake_buf *bufs, unsigned n);
void fake_avail(struct fake_guest *g, unsigned q, uint16_t head);
void fake_set_avail_idx(struct fake_guest *g, unsigned q, uint16_t idx);

/* The next entry of the used ring, if there is one. */
bool fake_used(struct fake_guest *g, unsigned q, uint32_t *id, uint32_t *len);

/* Notify the device and run what it wants to be run again. */
void fake_kick(struct fake_guest *g, unsigned q);
void fake_settle(struct fake_guest *g);

#endif
