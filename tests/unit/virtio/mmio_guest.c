#include "mmio_guest.h"

#include "lib/test.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/num.h"

static void *loop_thread(void *arg)
{
	(void)loop_run(arg);
	return NULL;
}

void guest_attach(struct mmio_guest *g, struct virtio_dev *dev,
                  struct loop *shared)
{
	*g = (struct mmio_guest){.dev = dev, .owns_loop = !shared};
	fake_init(&g->ram, NULL, 0, RING_SIZE);
	g->loop = shared ? shared : loop_new();
	g->irq_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_non_null(g->loop);
	assert_true(g->irq_fd >= 0);
	assert_int_equal(
		mmio_new(g->loop, dev, &g->ram.mem, g->irq_fd, &g->mmio, NULL),
		0);
}

void guest_run(struct mmio_guest *g)
{
	assert_int_equal(pthread_create(&g->thread, NULL, loop_thread, g->loop),
	                 0);
	g->runs = true;
}

void guest_open(struct mmio_guest *g, struct virtio_dev *dev)
{
	guest_attach(g, dev, NULL);
	guest_run(g);
}

void guest_stop(struct mmio_guest *g)
{
	if (!g->runs)
		return;
	loop_stop(g->loop);
	(void)pthread_join(g->thread, NULL);
	g->runs = false;
}

void guest_close(struct mmio_guest *g)
{
	guest_stop(g);
	mmio_free(g->mmio);
	virtio_free(g->dev);
	if (g->owns_loop)
		loop_free(g->loop);
	close(g->irq_fd);
	fake_release(&g->ram);
}

uint32_t reg_read(struct mmio_guest *g, uint32_t off)
{
	uint8_t raw[4];

	mmio_read(g->mmio, off, raw, sizeof(raw));
	return get_le32(raw);
}

void reg_write(struct mmio_guest *g, uint32_t off, uint32_t v)
{
	uint8_t raw[4];

	put_le32(raw, v);
	mmio_write(g->mmio, off, raw, sizeof(raw));
}

void guest_features(struct mmio_guest *g, uint64_t features)
{
	for (uint32_t i = 0; i < 2; i++) {
		reg_write(g, R_DRIVER_SEL, i);
		reg_write(g, R_DRIVER, (uint32_t)(features >> 32 * i));
	}
}

void guest_setup(struct mmio_guest *g, uint64_t features)
{
	reg_write(g, R_STATUS, 0);
	reg_write(g, R_STATUS, S_ACKNOWLEDGE);
	reg_write(g, R_STATUS, S_DRIVER);
	guest_features(g, features);
	reg_write(g, R_STATUS, S_FEATURES_OK);
	assert_int_equal(reg_read(g, R_STATUS), S_FEATURES_OK);
}

static void write_address(struct mmio_guest *g, uint32_t off, uint64_t v)
{
	reg_write(g, off, (uint32_t)v);
	reg_write(g, off + 4, (uint32_t)(v >> 32));
}

void guest_queue(struct mmio_guest *g, uint32_t q, const struct vq_layout *at)
{
	reg_write(g, R_QUEUE_SEL, q);
	reg_write(g, R_QUEUE_SIZE, at->size);
	write_address(g, R_DESC, at->desc);
	write_address(g, R_AVAIL, at->avail);
	write_address(g, R_USED, at->used);
	reg_write(g, R_QUEUE_READY, 1);
}

void guest_start(struct mmio_guest *g, uint64_t features)
{
	guest_setup(g, features);
	for (uint32_t q = 0; q < g->dev->ops->nqueues; q++)
		guest_queue(g, q, &g->ram.q[q].at);
	reg_write(g, R_STATUS, S_DRIVER_OK);
	assert_int_equal(reg_read(g, R_STATUS), S_DRIVER_OK);
	guest_barrier(g);
}

static void fresh_rings(struct fake_guest *ram)
{
	memset(ram->low, 0, FAKE_HIGH - FAKE_LOW);
	ram->heap = FAKE_LOW;
	for (unsigned i = 0; i < FAKE_QUEUES; i++) {
		struct vq_layout *at = &ram->q[i].at;

		ram->q[i] = (struct fake_queue){.at.size = RING_SIZE};
		at->desc = fake_alloc(ram, 16u * RING_SIZE);
		at->avail = fake_alloc(ram, 6 + 2u * RING_SIZE);
		at->used = fake_alloc(ram, 6 + 8u * RING_SIZE);
	}
}

void guest_reset(struct mmio_guest *g)
{
	reg_write(g, R_STATUS, 0);
	assert_int_equal(reg_read(g, R_STATUS), 0);
	fresh_rings(&g->ram);
	(void)guest_interrupts(g);
}

static void post_sem(void *arg)
{
	sem_post(arg);
}

/* A turn that was asked for in the first round is over after the second. */
void guest_barrier(struct mmio_guest *g)
{
	sem_t done;

	sem_init(&done, 0, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(loop_post(g->loop, post_sem, &done), 0);
		while (sem_wait(&done) < 0)
			;
	}
	sem_destroy(&done);
}

uint64_t guest_interrupts(struct mmio_guest *g)
{
	uint64_t n = 0;

	return read(g->irq_fd, &n, sizeof(n)) < 0 ? 0 : n;
}

void guest_await(struct mmio_guest *g)
{
	struct pollfd p = {g->irq_fd, POLLIN, 0};

	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_true(guest_interrupts(g) > 0);
}

uint32_t guest_request(struct mmio_guest *g, unsigned q,
                       const struct fake_buf *b, unsigned n)
{
	const struct fake_queue *f = &g->ram.q[q];
	uint32_t id = UINT32_MAX, len = UINT32_MAX;
	uint16_t head;

	/* With EVENT_IDX: an interrupt for the next one, please. */
	put_le16(fake_at(&g->ram, f->at.avail + 4 + 2ULL * f->at.size),
	         f->seen_used);
	head = fake_chain(&g->ram, q, b, n);
	reg_write(g, R_NOTIFY, q);
	guest_await(g);
	assert_true(reg_read(g, R_INTERRUPTS) & 1);
	reg_write(g, R_ACK, 1);
	assert_true(fake_used(&g->ram, q, &id, &len));
	assert_int_equal(id, head);
	return len;
}

/* ---- the probe --------------------------------------------------------- */

static struct probe *probe(struct virtio_dev *d)
{
	struct probe *p = (struct probe *)d;

	if (p->loop && !loop_is_mine(p->loop))
		atomic_store(&p->wrong_thread, true);
	return p;
}

static void probe_read_config(struct virtio_dev *d, uint32_t off, void *data,
                              uint32_t len)
{
	virtio_config_copy(((struct probe *)d)->config, PROBE_CONFIG, off, data,
	                   len);
}

static void probe_write_config(struct virtio_dev *d, uint32_t off,
                               const void *data, uint32_t len)
{
	struct probe *p = probe(d);

	assert_true(off < PROBE_CONFIG && len <= PROBE_CONFIG - off);
	memcpy(p->config + off, data, len);
	atomic_fetch_add(&p->writes, 1);
}

static int probe_activate(struct virtio_dev *d)
{
	struct probe *p = probe(d);

	atomic_fetch_add(&p->activated, 1);
	return p->activate_error;
}

static void probe_notify(struct virtio_dev *d, uint16_t q)
{
	struct probe *p = probe(d);

	atomic_fetch_add(&p->notified, 1);
	atomic_store(&p->in_notify, true);
	if (p->block) {
		sem_post(&p->entered);
		while (sem_wait(&p->go) < 0)
			;
	}
	if (p->greedy)
		d->transport->again(d, q);
	if (p->interrupts)
		d->transport->interrupt(d, q);
	atomic_store(&p->in_notify, false);
}

static void probe_reset(struct virtio_dev *d)
{
	struct probe *p = probe(d);

	atomic_fetch_add(&p->resets, 1);
}

static void probe_free(struct virtio_dev *d)
{
	struct probe *p = (struct probe *)d;

	sem_destroy(&p->entered);
	sem_destroy(&p->go);
}

static const struct virtio_dev_ops probe_ops = {
	.name = "probe",
	.id = 42,
	.nqueues = 2,
	.queue_max = 64,
	.config_len = PROBE_CONFIG,
	.read_config = probe_read_config,
	.write_config = probe_write_config,
	.activate = probe_activate,
	.notify = probe_notify,
	.reset = probe_reset,
	.free = probe_free,
};

struct virtio_dev *probe_new(struct probe *p)
{
	*p = (struct probe){.dev.ops = &probe_ops,
	                    .dev.offered = F_VERSION_1 | F_EVENT_IDX | 5};
	for (unsigned i = 0; i < PROBE_CONFIG; i++)
		p->config[i] = (uint8_t)(i + 1);
	sem_init(&p->entered, 0, 0);
	sem_init(&p->go, 0, 0);
	return &p->dev;
}
