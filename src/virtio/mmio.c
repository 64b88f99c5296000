/*
 * Theory
 *
 * The model's side of virtio-mmio, all of it in the thread of the device's
 * loop: jobs that come from the registers, kicks, and what a model asks of a
 * transport. The lock is taken for what the registers show: status, config,
 * generation. It is always free soon, as nobody waits while holding it.
 *
 * A job ends in bounded time: the loop never waits for a vCPU. Who makes it
 * wait for one calls mmio_settle() meanwhile.
 */
#include "virtio/mmio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "virtio/mmio_int.h"

#include "base/banned.h"

static void lock(struct mmio *m)
{
	(void)pthread_mutex_lock(&m->lock);
}

static void unlock(struct mmio *m)
{
	(void)pthread_mutex_unlock(&m->lock);
}

void mmio_signal_fd(int fd)
{
	const uint64_t one = 1;

	/* EAGAIN: 2^64 - 2 signals wait already. */
	if (write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_limited(LOG_DEBUG, "virtio-mmio: eventfd: %s",
		            err_name(-errno));
}

static void drain_fd(int fd)
{
	uint64_t count;
	ssize_t n = read(fd, &count, sizeof(count));

	(void)n; /* EAGAIN: nothing was there */
}

/* ---- what a model asks for --------------------------------------------- */

static void raise_interrupt(struct mmio *m, uint32_t cause)
{
	atomic_fetch_or(&m->regs.interrupts, cause);
	mmio_signal_fd(m->irq_fd);
}

static void mmio_interrupt(struct virtio_dev *d, uint16_t q)
{
	(void)q; /* they share one line */
	raise_interrupt(d->transport_data, MMIO_INT_RING);
}

static void stop_queues(struct mmio *m)
{
	loop_timer_del(m->l, &m->again);
	m->again_mask = 0;
	for (uint16_t i = 0; i < m->dev->ops->nqueues; i++) {
		(void)loop_mod(m->l, &m->kicks[i].src, 0);
		vq_stop(&m->vqs[i]);
	}
}

static void mmio_broken(struct virtio_dev *d, const char *why)
{
	struct mmio *m = d->transport_data;

	(void)why;
	stop_queues(m);
	lock(m);
	m->regs.status |= STATUS_NEEDS_RESET;
	unlock(m);
	raise_interrupt(m, MMIO_INT_CONFIG);
}

static void on_again(void *arg)
{
	struct mmio *m = arg;
	uint32_t mask = m->again_mask;

	m->again_mask = 0;
	for (uint16_t i = 0; i < m->dev->ops->nqueues; i++)
		if (mask >> i & 1 && m->vqs[i].ready)
			m->dev->ops->notify(m->dev, i);
}

static void mmio_again(struct virtio_dev *d, uint16_t q)
{
	struct mmio *m = d->transport_data;

	m->again_mask |= 1u << q;
	if (!m->again.armed)
		loop_timer_set(m->l, &m->again, clock_now_ns() + 1, on_again,
		               m);
}

static void copy_config(struct mmio *m)
{
	m->dev->ops->read_config(m->dev, 0, m->config, m->dev->ops->config_len);
}

/* The driver may see the new bytes only with the new generation. */
static void mmio_config_changed(struct virtio_dev *d)
{
	struct mmio *m = d->transport_data;

	lock(m);
	m->regs.generation++;
	copy_config(m);
	unlock(m);
	if (d->active)
		raise_interrupt(m, MMIO_INT_CONFIG);
}

static const struct virtio_transport_ops mmio_transport = {
	.interrupt = mmio_interrupt,
	.broken = mmio_broken,
	.again = mmio_again,
	.config_changed = mmio_config_changed,
};

/* However many kicks came, this is one turn. */
static void on_kick(void *arg, uint32_t events)
{
	const struct mmio_kick *k = arg;
	struct mmio *m = k->m;

	(void)events;
	drain_fd(k->fd);
	if (m->vqs[k->q].ready)
		m->dev->ops->notify(m->dev, k->q);
}

/* ---- jobs: all vCPUs that care for this device wait -------------------- */

/* The driver chose the geometry, so what is wrong with it is a breach. */
static void start_queue(struct mmio *m, uint16_t q)
{
	const struct mmio_queue *r = &m->regs.queue[q];
	const struct vq_layout at = {.size = r->size,
	                             .desc = r->desc,
	                             .avail = r->avail,
	                             .used = r->used};
	struct virtio_dev *d = m->dev;
	struct vq *vq = &m->vqs[q];

	if (vq_start(vq, &at, d->ops->queue_max, &m->mem, d->features) < 0)
		virtio_broken(d, vq->why);
	else
		(void)loop_mod(m->l, &m->kicks[q].src, EPOLLIN);
}

void mmio_start(struct mmio *m, const struct mmio_job *j)
{
	struct virtio_dev *d = m->dev;

	(void)j;
	d->features = m->regs.features & d->offered;
	for (uint16_t i = 0; i < d->ops->nqueues && !d->broken; i++)
		if (m->regs.queue[i].ready)
			start_queue(m, i);
	if (d->broken)
		return;
	d->active = true;
	if (d->ops->activate(d) < 0) {
		virtio_broken(d, "device cannot start");
		return;
	}
	/* Requests may have been made, and kicks lost, before the start. */
	for (uint16_t i = 0; i < d->ops->nqueues; i++)
		if (m->vqs[i].ready)
			mmio_again(d, i);
}

static void reset_model(struct mmio *m)
{
	struct virtio_dev *d = m->dev;

	stop_queues(m);
	if (d->active)
		d->ops->reset(d);
	d->active = d->broken = false;
	d->features = 0;
}

void mmio_clear_regs(struct mmio *m)
{
	memset(&m->regs, 0, offsetof(struct mmio_regs, generation));
	atomic_store(&m->regs.interrupts, 0);
}

void mmio_reset(struct mmio *m, const struct mmio_job *j)
{
	(void)j;
	reset_model(m);
	copy_config(m);
	mmio_clear_regs(m); /* the model has raised its last interrupt */
}

/* The copy follows at once: a driver reads what it wrote. */
void mmio_config_write(struct mmio *m, const struct mmio_job *j)
{
	if (m->dev->broken)
		return;
	m->dev->ops->write_config(m->dev, j->off, j->data, j->len);
	lock(m);
	copy_config(m);
	unlock(m);
}

void mmio_settle(struct mmio *m)
{
	struct mmio_job j;

	lock(m);
	j = m->job;
	unlock(m);
	if (!j.run)
		return;
	j.run(m, &j);
	lock(m);
	m->job.run = NULL;
	m->jobs_done++;
	(void)pthread_cond_broadcast(&m->done);
	unlock(m);
}

static void on_job(void *arg, uint32_t events)
{
	struct mmio *m = arg;

	(void)events;
	drain_fd(m->job_fd);
	mmio_settle(m);
}

/* ---- the transport ----------------------------------------------------- */

int mmio_notify_fd(const struct mmio *m, uint16_t q)
{
	return m->kicks[q].fd;
}

static int make_eventfd(int *ret)
{
	*ret = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return *ret < 0 ? -errno : 0;
}

/* Kicks are watched from DRIVER_OK on, and not once the device is broken. */
static int open_fds(struct mmio *m)
{
	int r = make_eventfd(&m->job_fd);

	if (r == 0)
		r = loop_add(m->l, &m->job_src, m->job_fd, EPOLLIN, on_job, m);
	for (uint16_t i = 0; r == 0 && i < m->dev->ops->nqueues; i++) {
		struct mmio_kick *k = &m->kicks[i];

		r = make_eventfd(&k->fd);
		if (r == 0)
			r = loop_add(m->l, &k->src, k->fd, 0, on_kick, k);
	}
	return r;
}

/* The regions stay the caller's, whoever mapped them. */
static void borrow_mem(struct mmio *m, const struct guest_mem *mem)
{
	m->mem = *mem;
	for (uint32_t i = 0; i < m->mem.n; i++)
		m->mem.region[i].map = NULL;
}

static void attach(struct mmio *m)
{
	struct virtio_dev *d = m->dev;

	d->transport = &mmio_transport;
	d->transport_data = m;
	d->mem = &m->mem;
	d->vqs = m->vqs;
	copy_config(m);
}

static void detach(struct mmio *m)
{
	struct virtio_dev *d = m->dev;

	d->transport = NULL;
	d->transport_data = NULL;
	d->mem = NULL;
	d->vqs = NULL;
}

static struct mmio *mmio_alloc(struct loop *l, struct virtio_dev *dev,
                               int irq_fd)
{
	struct mmio *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->config = calloc(1, MAX(dev->ops->config_len, 1u));
	if (!m->config) {
		free(m);
		return NULL;
	}
	m->l = l;
	m->dev = dev;
	m->irq_fd = irq_fd;
	m->job_fd = -1;
	for (uint16_t i = 0; i < MMIO_QUEUES_MAX; i++)
		m->kicks[i] = (struct mmio_kick){.m = m, .q = i, .fd = -1};
	(void)pthread_mutex_init(&m->lock, NULL);
	(void)pthread_cond_init(&m->done, NULL);
	return m;
}

static void mmio_release(struct mmio *m)
{
	loop_del(m->l, &m->job_src);
	close_fd(&m->job_fd);
	for (uint16_t i = 0; i < MMIO_QUEUES_MAX; i++) {
		loop_del(m->l, &m->kicks[i].src);
		close_fd(&m->kicks[i].fd);
	}
	(void)pthread_cond_destroy(&m->done);
	(void)pthread_mutex_destroy(&m->lock);
	free(m->config);
	free(m);
}

int mmio_new(struct loop *l, struct virtio_dev *dev,
             const struct guest_mem *mem, int irq_fd, struct mmio **ret,
             struct err *err)
{
	struct mmio *m;
	int r;

	if (dev->ops->nqueues > MMIO_QUEUES_MAX ||
	    dev->ops->config_len > MMIO_CONFIG_MAX)
		return err_set(err, -EINVAL,
		               "%s has too many queues, or a config space that "
		               "is too large",
		               dev->ops->name);
	m = mmio_alloc(l, dev, irq_fd);
	if (!m)
		return err_set(err, -ENOMEM, "no memory for virtio-mmio");
	r = open_fds(m);
	if (r < 0) {
		mmio_release(m);
		return err_set(err, r, "cannot watch the queues of %s",
		               dev->ops->name);
	}
	borrow_mem(m, mem);
	attach(m);
	*ret = m;
	return 0;
}

void mmio_free(struct mmio *m)
{
	if (!m)
		return;
	reset_model(m);
	detach(m);
	mmio_release(m);
}
