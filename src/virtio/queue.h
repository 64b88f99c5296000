/*
 * queue.h - the device side of one split virtqueue (virtio 1.2, section 2.7).
 *
 * The guest owns the ring and may rewrite it at any moment, so nothing read
 * from it is believed: each descriptor is copied once, an index is bounded by
 * the size of its table, an address and its length go through guest_mem
 * together, a chain has at most VQ_CHAIN_MAX steps. The geometry is checked
 * and resolved to pointers in vq_start() and frozen until vq_stop().
 *
 * A guest that breaks the rules gets -EPROTO out of vq_pop() and the queue is
 * dead (it yields nothing more) until it is started again; vq->why tells what
 * was wrong. One thread per queue; there is no lock here.
 *
 *	vq_start() -> { vq_pop() -> device work -> vq_push() } -> vq_stop()
 *
 * Who wakes whom
 *
 *	ring avail                 used
 *	+---------------+          +----------------+
 *	| idx           | guest    | idx            | device
 *	| used_event    | writes   | avail_event    | writes
 *	+---------------+          +----------------+
 *
 * Each side stores its idx and then reads whether the other sleeps; the other
 * says that it sleeps and then reads idx again. Both need a full fence between
 * store and load, else both may miss each other: the fences in vq_rearm() and
 * vq_must_interrupt() are these.
 */
#ifndef VIRTIO_QUEUE_H
#define VIRTIO_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/iov.h"
#include "virtio/mem.h"

/* QEMU's virtio-mmio tells drivers 1024 for every queue: no asking, no say. */
#define VQ_SIZE_MAX 1024

/*
 * Descriptors of one request, and pieces of memory after each was split at
 * region borders: header + 254 segments + status of a block device.
 */
#define VQ_CHAIN_MAX 256

/* Where the driver put the rings, and where to go on in them. */
struct vq_layout {
	uint16_t size;
	uint16_t next; /* avail index of the next request; 0 at the start */
	uint64_t desc, avail, used; /* guest addresses */
};

struct vq {
	bool ready;
	bool indirect, event_idx; /* negotiated */
	bool signalled;           /* an interrupt was judged since the start */
	uint16_t size, next_avail, next_used, judged_used;
	const uint8_t *desc;
	uint16_t *avail, *used;
	const char *why; /* after -EPROTO: what the guest did */
};

/* One request. The memory stays the guest's until vq_push(). */
struct vq_chain {
	uint16_t head;
	struct iov out; /* ours to read */
	struct iov in;  /* ours to write */
	struct iovec iov[VQ_CHAIN_MAX];
};

/*
 * -EINVAL, with vq->why set, unless size is a power of two up to @size_max,
 * the three parts are aligned, and each lies in one RAM region.
 */
int vq_start(struct vq *vq, const struct vq_layout *at, uint16_t size_max,
             const struct guest_mem *mem, uint64_t features);
void vq_stop(struct vq *vq);

/*
 * Take the next request off the ring. Returns 1 and fills @ret (a long value:
 * reuse one), 0 if there is none or the queue is not ready, -EPROTO if the
 * guest broke the ring.
 */
int vq_pop(struct vq *vq, const struct guest_mem *mem, struct vq_chain *ret);

/*
 * Put the request taken last back, to be the next again. Several in a row may
 * be, as long as none of them was pushed.
 */
void vq_unpop(struct vq *vq);

/* Give a request back; the device wrote exactly the first @len bytes. */
void vq_push(struct vq *vq, uint16_t head, uint32_t len);

/*
 * The same for @n requests that the driver must see at once or not at all: put
 * each in its place (@i from 0), then commit them.
 */
void vq_stage(struct vq *vq, uint16_t i, uint16_t head, uint32_t len);
void vq_commit(struct vq *vq, uint16_t n);

/* Must the driver be interrupted for what was pushed since the last call? */
bool vq_must_interrupt(struct vq *vq);

/*
 * Ask the driver for a notification when it adds requests. True if there are
 * some already: then the caller goes on, as nobody will tell it again.
 */
bool vq_rearm(struct vq *vq);

/* Requests will be looked for anyway: no notifications, please (a hint). */
void vq_disarm(struct vq *vq);

#endif
