#include "lib/fake_guest.h"

#include "lib/test.h"

#include "base/num.h"

#define LOW_LEN  (FAKE_HIGH - FAKE_LOW)
#define HIGH_LEN (FAKE_END - FAKE_HIGH)

static void fake_interrupt(struct virtio_dev *d, uint16_t q)
{
	struct fake_guest *g = d->transport_data;

	g->interrupts[q]++;
}

static void fake_broken(struct virtio_dev *d, const char *why)
{
	struct fake_guest *g = d->transport_data;

	g->broken++;
	g->why = why;
	for (unsigned i = 0; i < FAKE_QUEUES; i++)
		g->vqs[i].ready = false;
}

static void fake_again(struct virtio_dev *d, uint16_t q)
{
	struct fake_guest *g = d->transport_data;

	g->again[q] = true;
}

static void fake_config_changed(struct virtio_dev *d)
{
	struct fake_guest *g = d->transport_data;

	g->config_changes++;
}

static const struct virtio_transport_ops fake_transport = {
	.interrupt = fake_interrupt,
	.broken = fake_broken,
	.again = fake_again,
	.config_changed = fake_config_changed,
};

uint64_t fake_alloc(struct fake_guest *g, size_t len)
{
	uint64_t at = g->heap;

	g->heap += num_align_up(MAX(len, 1u), 16);
	assert_true(g->heap <= FAKE_HIGH);
	return at;
}

void *fake_at(struct fake_guest *g, uint64_t gpa)
{
	assert_true(gpa >= FAKE_LOW && gpa < FAKE_END);
	return gpa < FAKE_HIGH ? g->low + (gpa - FAKE_LOW)
	                       : g->high + (gpa - FAKE_HIGH);
}

static void lay_out(struct fake_guest *g, struct fake_queue *q, uint16_t size)
{
	*q = (struct fake_queue){.at.size = size};
	q->at.desc = fake_alloc(g, 16u * size);
	q->at.avail = fake_alloc(g, 6 + 2u * size);
	q->at.used = fake_alloc(g, 6 + 8u * size);
}

static void start(struct fake_guest *g, uint64_t features)
{
	struct virtio_dev *d = g->dev;

	d->transport = &fake_transport;
	d->transport_data = g;
	d->features = features;
	d->mem = &g->mem;
	d->vqs = g->vqs;
	for (unsigned i = 0; i < FAKE_QUEUES && i < d->ops->nqueues; i++)
		assert_int_equal(vq_start(&g->vqs[i], &g->q[i].at,
		                          d->ops->queue_max, &g->mem, features),
		                 0);
	d->active = true;
	assert_int_equal(d->ops->activate(d), 0);
}

void fake_init(struct fake_guest *g, struct virtio_dev *dev, uint64_t features,
               uint16_t size)
{
	*g = (struct fake_guest){.heap = FAKE_LOW, .dev = dev};
	g->low = aligned_alloc(4096, LOW_LEN);
	g->high = aligned_alloc(4096, HIGH_LEN);
	assert_non_null(g->low);
	assert_non_null(g->high);
	memset(g->low, 0, LOW_LEN);
	memset(g->high, 0, HIGH_LEN);
	assert_int_equal(guest_mem_add(&g->mem, FAKE_LOW, LOW_LEN, 0, g->low),
	                 0);
	assert_int_equal(guest_mem_add(&g->mem, FAKE_HIGH, HIGH_LEN, 1ULL << 40,
	                               g->high),
	                 0);
	for (unsigned i = 0; i < FAKE_QUEUES; i++)
		lay_out(g, &g->q[i], size);
	if (dev)
		start(g, features);
}

static void stop(struct fake_guest *g)
{
	if (!g->dev || !g->dev->active)
		return;
	for (unsigned i = 0; i < FAKE_QUEUES; i++)
		vq_stop(&g->vqs[i]);
	g->dev->ops->reset(g->dev);
	g->dev->active = g->dev->broken = false;
}

void fake_restart(struct fake_guest *g, uint64_t features)
{
	stop(g);
	g->heap = FAKE_LOW;
	memset(g->low, 0, LOW_LEN);
	g->broken = 0;
	for (unsigned i = 0; i < FAKE_QUEUES; i++) {
		lay_out(g, &g->q[i], g->q[i].at.size);
		g->again[i] = false;
	}
	start(g, features);
}

void fake_release(struct fake_guest *g)
{
	stop(g);
	guest_mem_release(&g->mem);
	free(g->low);
	free(g->high);
}

void fake_desc(struct fake_guest *g, uint64_t table, uint16_t i, uint64_t addr,
               uint32_t len, uint16_t flags, uint16_t next)
{
	uint8_t *p = fake_at(g, table + 16ULL * i);

	put_le64(p, addr);
	put_le32(p + 8, len);
	put_le16(p + 12, flags);
	put_le16(p + 14, next);
}

void fake_set_avail_idx(struct fake_guest *g, unsigned q, uint16_t idx)
{
	put_le16(fake_at(g, g->q[q].at.avail + 2), idx);
	g->q[q].avail_idx = idx;
}

void fake_avail(struct fake_guest *g, unsigned q, uint16_t head)
{
	struct fake_queue *f = &g->q[q];
	uint16_t slot = f->avail_idx & (f->at.size - 1);

	put_le16(fake_at(g, f->at.avail + 4 + 2ULL * slot), head);
	fake_set_avail_idx(g, q, (uint16_t)(f->avail_idx + 1));
}

uint16_t fake_chain(struct fake_guest *g, unsigned q,
                    const struct fake_buf *bufs, unsigned n)
{
	struct fake_queue *f = &g->q[q];
	uint16_t mask = f->at.size - 1, head = f->free_desc & mask;

	for (unsigned i = 0; i < n; i++) {
		uint16_t at = f->free_desc++ & mask;
		uint16_t flags = (bufs[i].write ? D_WRITE : 0u) |
		                 (i + 1 < n ? D_NEXT : 0u);

		fake_desc(g, f->at.desc, at, bufs[i].addr, bufs[i].len, flags,
		          f->free_desc & mask);
	}
	fake_avail(g, q, head);
	return head;
}

bool fake_used(struct fake_guest *g, unsigned q, uint32_t *id, uint32_t *len)
{
	struct fake_queue *f = &g->q[q];
	uint16_t slot = f->seen_used & (f->at.size - 1);
	const uint8_t *used = fake_at(g, f->at.used);

	if (get_le16(used + 2) == f->seen_used)
		return false;
	f->seen_used++;
	*id = get_le32(used + 4 + 8u * slot);
	*len = get_le32(used + 8 + 8u * slot);
	return true;
}

void fake_settle(struct fake_guest *g)
{
	bool ran;

	do {
		ran = false;
		for (uint16_t i = 0; i < FAKE_QUEUES; i++) {
			if (!g->again[i])
				continue;
			g->again[i] = false;
			if (!g->vqs[i].ready)
				continue;
			g->dev->ops->notify(g->dev, i);
			ran = true;
		}
	} while (ran);
}

void fake_kick(struct fake_guest *g, unsigned q)
{
	g->dev->ops->notify(g->dev, (uint16_t)q);
	fake_settle(g);
}
