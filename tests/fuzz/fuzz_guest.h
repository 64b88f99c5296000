/*
 * fuzz_guest.h - a device whose guest memory, rings included, is the input.
 *
 * Two regions of RAM without a gap, each its own allocation; rings are at
 * fixed places, all else is as the input says.
 */
#ifndef FUZZ_GUEST_H
#define FUZZ_GUEST_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "virtio/device.h"
#include "virtio/queue.h"

#define FUZZ_RAM    0x10000u
#define FUZZ_PART   0x8000u
#define FUZZ_SIZE   16u
#define FUZZ_TURNS  16
#define FUZZ_QUEUES 4

struct fuzz_guest {
	uint8_t *part[2];
	struct guest_mem mem;
	struct vq vqs[FUZZ_QUEUES];
	bool again[FUZZ_QUEUES];
};

static inline void fuzz_interrupt(struct virtio_dev *d, uint16_t q)
{
	(void)d;
	(void)q;
}

static inline void fuzz_broken(struct virtio_dev *d, const char *why)
{
	struct fuzz_guest *g = d->transport_data;

	(void)why;
	for (int i = 0; i < FUZZ_QUEUES; i++)
		g->vqs[i].ready = false;
}

static inline void fuzz_again(struct virtio_dev *d, uint16_t q)
{
	((struct fuzz_guest *)d->transport_data)->again[q] = true;
}

static const struct virtio_transport_ops fuzz_transport = {
	fuzz_interrupt, fuzz_broken, fuzz_again};

static inline void fuzz_ram(struct fuzz_guest *g, const uint8_t *data,
                            size_t len)
{
	memset(g, 0, sizeof(*g));
	for (unsigned i = 0; i < 2; i++) {
		size_t n = MIN(len, FUZZ_PART);

		g->part[i] = aligned_alloc(4096, FUZZ_PART);
		if (!g->part[i])
			abort();
		memset(g->part[i], 0, FUZZ_PART);
		if (n) {
			memcpy(g->part[i], data, n);
			data += n;
			len -= n;
		}
		if (guest_mem_add(&g->mem, i * FUZZ_PART, FUZZ_PART, 0,
		                  g->part[i]) < 0)
			abort();
	}
}

/* Queue @q: descriptors, avail and used at @q * 0x400 and the next 0x100s. */
static inline struct vq_layout fuzz_layout(unsigned q)
{
	return (struct vq_layout){.size = FUZZ_SIZE,
	                          .desc = q * 0x400ULL,
	                          .avail = q * 0x400ULL + 0x100,
	                          .used = q * 0x400ULL + 0x200};
}

static inline void fuzz_start(struct fuzz_guest *g, struct virtio_dev *d)
{
	d->transport = &fuzz_transport;
	d->transport_data = g;
	d->features = d->offered;
	d->mem = &g->mem;
	d->vqs = g->vqs;
	for (unsigned i = 0; i < d->ops->nqueues; i++) {
		struct vq_layout at = fuzz_layout(i);

		if (vq_start(&g->vqs[i], &at, VQ_SIZE_MAX, &g->mem,
		             d->features) < 0)
			abort();
	}
	d->active = true;
	if (d->ops->activate(d) < 0)
		abort();
}

/* Notify, and run what asks for more turns, but not for ever. */
static inline void fuzz_kick(struct fuzz_guest *g, struct virtio_dev *d,
                             unsigned q)
{
	g->again[q] = true;
	for (unsigned i = 0; i < FUZZ_TURNS; i++) {
		uint16_t at = (uint16_t)(i % d->ops->nqueues);

		if (!g->again[at] || !g->vqs[at].ready)
			continue;
		g->again[at] = false;
		d->ops->notify(d, at);
	}
}

static inline void fuzz_stop(struct fuzz_guest *g, struct virtio_dev *d)
{
	for (unsigned i = 0; i < d->ops->nqueues; i++)
		vq_stop(&g->vqs[i]);
	d->ops->reset(d);
	d->active = d->broken = false;
	for (unsigned i = 0; i < 2; i++)
		free(g->part[i]);
}

#endif
