/*
 * Theory
 *
 * A device is a page of registers to the guest, and a model in the thread of
 * its loop to us. Between them is one struct under one lock, which any thread
 * takes for moments only.
 *
 *	vCPU threads                          the loop's thread
 *	mmio_read(), mmio_write()             the model
 *	     |  registers, config copy  <---------- config_changed(), broken()
 *	     |  job: start, reset, config write --> run_job()
 *	     |  wait on a condition   <------------ done
 *	     |  kick eventfd (mostly the kernel) -> notify()
 *	     <------------------------- irq eventfd  interrupt()
 *
 * What concerns the model is a job. There is one at a time, so it needs no
 * memory that could be missing; while it is carried out, every register of
 * this device waits, without the lock. So the loop's thread always gets the
 * lock, and no vCPU sees a device that is half reset. A job ends in bounded
 * time: the loop is never waiting for a vCPU. Who makes it wait for one (pause,
 * tear down) calls mmio_settle() meanwhile.
 *
 * What a driver may do when is in three places: steps[] (the status), the
 * conditions at the head of each register's function, and vq_start().
 */
#include "virtio/mmio.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "virtio/queue.h"

#include "base/banned.h"

#define MAGIC   0x74726976u /* "virt" */
#define VERSION 2u
#define VENDOR  0x5842534du /* "MSBX" */
#define NOTHING UINT32_MAX  /* of shared memory */

#define CONFIG     0x100u
#define CONFIG_MAX (MMIO_SIZE - CONFIG)

#define S_ACKNOWLEDGE 1u
#define S_DRIVER      2u
#define S_DRIVER_OK   4u
#define S_FEATURES_OK 8u
#define S_NEEDS_RESET 0x40u
#define S_FAILED      0x80u

#define INT_RING   1u
#define INT_CONFIG 2u

/* The balloon has the most: five. */
#define QUEUES_MAX 16

/* Where the driver wants a queue; not looked at before DRIVER_OK. */
struct queue_regs {
	uint64_t part[3]; /* desc, avail, used */
	uint16_t size;
	bool ready;
};

/* All that the registers hold; what is zero after a reset comes first. */
struct regs {
	uint32_t status, device_sel, driver_sel, queue_sel;
	uint64_t features; /* as written, whatever was offered */
	struct queue_regs queue[QUEUES_MAX];
	uint32_t generation;
	atomic_uint interrupts; /* the only one that needs no lock */
};

/* Something to be done with the model, in its thread. */
struct job {
	void (*run)(struct mmio *m, const struct job *j); /* NULL: none */
	uint32_t off, len;
	uint8_t data[8];
};

struct kick {
	struct mmio *m;
	uint16_t q;
	int fd;
	struct loop_fd src;
};

struct mmio {
	struct loop *l;
	struct virtio_dev *dev;
	int irq_fd; /* borrowed */

	/* the loop's thread only */
	struct guest_mem mem;
	struct vq vqs[QUEUES_MAX];
	struct kick kicks[QUEUES_MAX];
	struct loop_timer again;
	uint32_t again_mask;
	struct loop_fd job_src;
	int job_fd;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t done;
	uint64_t jobs_done;
	struct job job;
	struct regs regs;
	uint8_t *config; /* dev->ops->config_len bytes */
};

static void lock(struct mmio *m)
{
	(void)pthread_mutex_lock(&m->lock);
}

static void unlock(struct mmio *m)
{
	(void)pthread_mutex_unlock(&m->lock);
}

static void signal_fd(int fd)
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
	signal_fd(m->irq_fd);
}

static void mmio_interrupt(struct virtio_dev *d, uint16_t q)
{
	(void)q; /* they share one line */
	raise_interrupt(d->transport_data, INT_RING);
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
	m->regs.status |= S_NEEDS_RESET;
	unlock(m);
	raise_interrupt(m, INT_CONFIG);
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

/* The driver may see the new bytes only with the new generation. */
static void mmio_config_changed(struct virtio_dev *d)
{
	struct mmio *m = d->transport_data;

	lock(m);
	m->regs.generation++;
	d->ops->read_config(d, 0, m->config, d->ops->config_len);
	unlock(m);
	if (d->active)
		raise_interrupt(m, INT_CONFIG);
}

static const struct virtio_transport_ops mmio_transport = {
	.interrupt = mmio_interrupt,
	.broken = mmio_broken,
	.again = mmio_again,
	.config_changed = mmio_config_changed,
};

static void on_kick(void *arg, uint32_t events)
{
	const struct kick *k = arg;
	struct mmio *m = k->m;

	(void)events;
	drain_fd(k->fd);
	if (m->vqs[k->q].ready)
		m->dev->ops->notify(m->dev, k->q);
}

/* ---- jobs, in the loop's thread ---------------------------------------- */

/*
 * All vCPUs wait, so the registers are ours to read. What is wrong with them
 * is a breach like any other.
 */
static void start_queue(struct mmio *m, uint16_t q)
{
	const struct queue_regs *r = &m->regs.queue[q];
	const struct vq_layout at = {.size = r->size,
	                             .desc = r->part[0],
	                             .avail = r->part[1],
	                             .used = r->part[2]};
	struct virtio_dev *d = m->dev;

	if (vq_start(&m->vqs[q], &at, d->ops->queue_max, &m->mem, d->features) <
	    0) {
		virtio_broken(d, m->vqs[q].why);
		return;
	}
	(void)loop_mod(m->l, &m->kicks[q].src, EPOLLIN);
}

static void job_start(struct mmio *m, const struct job *j)
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

/* The last word about the old life's interrupts: they were all raised. */
static void clear_regs(struct mmio *m)
{
	memset(&m->regs, 0, offsetof(struct regs, generation));
	atomic_store(&m->regs.interrupts, 0);
}

static void job_reset(struct mmio *m, const struct job *j)
{
	(void)j;
	reset_model(m);
	clear_regs(m);
}

/* The copy follows at once: a driver reads what it wrote. */
static void job_config(struct mmio *m, const struct job *j)
{
	struct virtio_dev *d = m->dev;

	if (d->broken)
		return;
	d->ops->write_config(d, j->off, j->data, j->len);
	lock(m);
	d->ops->read_config(d, 0, m->config, d->ops->config_len);
	unlock(m);
}

void mmio_settle(struct mmio *m)
{
	struct job j;

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

/* ---- registers, under the lock ----------------------------------------- */

/* Take the lock when no job is under way. */
static void enter(struct mmio *m)
{
	lock(m);
	while (m->job.run)
		(void)pthread_cond_wait(&m->done, &m->lock);
}

/* Have @j done; the lock is free meanwhile. */
static void carry(struct mmio *m, const struct job *j)
{
	const uint64_t before = m->jobs_done;

	m->job = *j;
	if (loop_is_mine(m->l)) {
		unlock(m);
		mmio_settle(m);
		lock(m);
		return;
	}
	signal_fd(m->job_fd);
	while (m->jobs_done == before)
		(void)pthread_cond_wait(&m->done, &m->lock);
}

static uint32_t half(uint64_t v, uint32_t sel)
{
	return sel < 2 ? (uint32_t)(v >> 32 * sel) : 0;
}

static void set_half(uint64_t *v, uint32_t sel, uint32_t to)
{
	if (sel < 2)
		*v = (*v & 0xffffffffULL << 32 * (1 - sel)) |
		     (uint64_t)to << 32 * sel;
}

static uint32_t read_device_id(struct mmio *m)
{
	return m->dev->ops->id;
}

static uint32_t read_features(struct mmio *m)
{
	return half(m->dev->offered, m->regs.device_sel);
}

static void write_device_sel(struct mmio *m, uint32_t off, uint32_t v)
{
	(void)off;
	m->regs.device_sel = v;
}

static void write_driver_sel(struct mmio *m, uint32_t off, uint32_t v)
{
	(void)off;
	m->regs.driver_sel = v;
}

/* The status without FEATURES_OK and all that follows. */
static bool may_set_features(const struct mmio *m)
{
	return m->regs.status == (S_ACKNOWLEDGE | S_DRIVER);
}

/* What was not offered is kept: it makes FEATURES_OK fail. */
static void write_features(struct mmio *m, uint32_t off, uint32_t v)
{
	(void)off;
	if (may_set_features(m))
		set_half(&m->regs.features, m->regs.driver_sel, v);
}

static void write_queue_sel(struct mmio *m, uint32_t off, uint32_t v)
{
	(void)off;
	m->regs.queue_sel = v;
}

static struct queue_regs *selected(struct mmio *m)
{
	return m->regs.queue_sel < m->dev->ops->nqueues
	               ? &m->regs.queue[m->regs.queue_sel]
	               : NULL;
}

/* The selected queue while it may be set up. */
static struct queue_regs *open_queue(struct mmio *m)
{
	return m->regs.status == (S_ACKNOWLEDGE | S_DRIVER | S_FEATURES_OK)
	               ? selected(m)
	               : NULL;
}

static uint32_t read_queue_max(struct mmio *m)
{
	return selected(m) ? MIN(m->dev->ops->queue_max, VQ_SIZE_MAX) : 0;
}

/* Too large to be kept is too large to be a size: vq_start() refuses both. */
static void write_queue_size(struct mmio *m, uint32_t off, uint32_t v)
{
	struct queue_regs *q = open_queue(m);

	(void)off;
	if (q && !q->ready)
		q->size = (uint16_t)MIN(v, UINT16_MAX);
}

static uint32_t read_queue_ready(struct mmio *m)
{
	const struct queue_regs *q = selected(m);

	return q && q->ready;
}

static void write_queue_ready(struct mmio *m, uint32_t off, uint32_t v)
{
	struct queue_regs *q = open_queue(m);

	(void)off;
	if (q && v <= 1)
		q->ready = v;
}

/* 0x080 and 0x084, 0x090 and 0x094, 0x0a0 and 0x0a4 */
static void write_queue_part(struct mmio *m, uint32_t off, uint32_t v)
{
	struct queue_regs *q = open_queue(m);

	if (q && !q->ready)
		set_half(&q->part[(off - 0x080) / 0x10], off / 4 % 2, v);
}

/* As the kernel does where KVM_IOEVENTFD matches. */
static void write_notify(struct mmio *m, uint32_t off, uint32_t v)
{
	(void)off;
	if (v < m->dev->ops->nqueues)
		signal_fd(m->kicks[v].fd);
}

static uint32_t read_interrupts(struct mmio *m)
{
	return atomic_load(&m->regs.interrupts);
}

static void write_interrupt_ack(struct mmio *m, uint32_t off, uint32_t v)
{
	(void)off;
	atomic_fetch_and(&m->regs.interrupts, ~v);
}

static uint32_t read_status(struct mmio *m)
{
	return m->regs.status;
}

static void take_step(struct mmio *m, uint32_t to)
{
	m->regs.status = to;
}

static void accept_features(struct mmio *m, uint32_t to)
{
	const uint64_t f = m->regs.features;

	if (f & ~m->dev->offered || !(f >> VIRTIO_F_VERSION_1 & 1))
		log_limited(LOG_DEBUG, "%s: driver chose features %#llx",
		            m->dev->ops->name, (unsigned long long)f);
	else
		m->regs.status = to;
}

/* If the start fails, the status says so when the driver reads it next. */
static void start(struct mmio *m, uint32_t to)
{
	m->regs.status = to;
	carry(m, &(struct job){.run = job_start});
}

/* The only way up. */
static const struct {
	uint32_t from, to;
	void (*take)(struct mmio *m, uint32_t to);
} steps[] = {
	{0x0, 0x1, take_step      },
	{0x1, 0x3, take_step      },
	{0x3, 0xb, accept_features},
	{0xb, 0xf, start          },
};

/* A model that was not started has nothing to forget. */
static void reset(struct mmio *m)
{
	if (m->regs.status & S_DRIVER_OK)
		carry(m, &(struct job){.run = job_reset});
	else
		clear_regs(m);
}

static void write_status(struct mmio *m, uint32_t off, uint32_t v)
{
	(void)off;
	if (v == 0) {
		reset(m);
		return;
	}
	if (v & S_FAILED) {
		m->regs.status |= S_FAILED;
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (steps[i].from == m->regs.status && steps[i].to == v) {
			steps[i].take(m, v);
			return;
		}
	}
	log_limited(LOG_DEBUG, "%s: driver writes status %#x after %#x",
	            m->dev->ops->name, v, m->regs.status);
}

static uint32_t read_generation(struct mmio *m)
{
	return m->regs.generation;
}

/* Registers without a function read as @fixed; writes do nothing. */
static const struct reg {
	uint32_t fixed;
	uint32_t (*read)(struct mmio *m);
	void (*write)(struct mmio *m, uint32_t off, uint32_t v);
} map[CONFIG / 4] = {
	[0x000 / 4] = {.fixed = MAGIC           },
	[0x004 / 4] = {.fixed = VERSION         },
	[0x008 / 4] = {.read = read_device_id   },
	[0x00c / 4] = {.fixed = VENDOR          },
	[0x010 / 4] = {.read = read_features    },
	[0x014 / 4] = {.write = write_device_sel},
	[0x020 / 4] = {.write = write_features  },
	[0x024 / 4] = {.write = write_driver_sel},
	[0x030 / 4] = {.write = write_queue_sel },
	[0x034 / 4] = {.read = read_queue_max   },
	[0x038 / 4] = {.write = write_queue_size},
	[0x044 / 4] = {.read = read_queue_ready,  .write = write_queue_ready},
	[MMIO_NOTIFY / 4] = {.write = write_notify                        },
	[0x060 / 4] = {.read = read_interrupts},
	[0x064 / 4] = {.write = write_interrupt_ack                        },
	[0x070 / 4] = {.read = read_status, .write = write_status},
	[0x080 / 4] = {.write = write_queue_part   },
	[0x084 / 4] = {.write = write_queue_part},
	[0x090 / 4] = {.write = write_queue_part},
	[0x094 / 4] = {.write = write_queue_part},
	[0x0a0 / 4] = {.write = write_queue_part},
	[0x0a4 / 4] = {.write = write_queue_part},
	[0x0b0 / 4] = {.fixed = NOTHING},
	[0x0b4 / 4] = {.fixed = NOTHING         },
	[0x0b8 / 4] = {.fixed = NOTHING         },
	[0x0bc / 4] = {.fixed = NOTHING         },
	[0x0fc / 4] = {.read = read_generation         },
};

/* The register at @off, if this is how one is reached. */
static const struct reg *reg_at(uint64_t off, uint32_t len)
{
	return len == 4 && off % 4 == 0 && off < CONFIG ? &map[off / 4] : NULL;
}

/* A width that the config space may be accessed with. */
static bool config_width(uint64_t off, uint32_t len)
{
	return off >= CONFIG && off < MMIO_SIZE && len <= 8 && num_is_pow2(len);
}

/* Only a driver that got all the way may write, and only what is there. */
static void write_config(struct mmio *m, uint32_t off, const void *data,
                         uint32_t len)
{
	const struct virtio_dev_ops *ops = m->dev->ops;
	struct job j = {.run = job_config, .off = off, .len = len};

	if (!ops->write_config || off >= ops->config_len ||
	    len > ops->config_len - off ||
	    (m->regs.status & (S_DRIVER_OK | S_NEEDS_RESET | S_FAILED)) !=
	            S_DRIVER_OK)
		return;
	memcpy(j.data, data, len);
	carry(m, &j);
}

void mmio_read(struct mmio *m, uint64_t off, void *data, uint32_t len)
{
	const struct reg *r = reg_at(off, len);

	memset(data, 0, len);
	enter(m);
	if (r)
		put_le32(data, r->read ? r->read(m) : r->fixed);
	else if (config_width(off, len))
		virtio_config_copy(m->config, m->dev->ops->config_len,
		                   (uint32_t)(off - CONFIG), data, len);
	unlock(m);
}

void mmio_write(struct mmio *m, uint64_t off, const void *data, uint32_t len)
{
	const struct reg *r = reg_at(off, len);

	enter(m);
	if (r && r->write)
		r->write(m, (uint32_t)off, get_le32(data));
	else if (config_width(off, len))
		write_config(m, (uint32_t)(off - CONFIG), data, len);
	unlock(m);
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
		struct kick *k = &m->kicks[i];

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
	d->ops->read_config(d, 0, m->config, d->ops->config_len);
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
	for (uint16_t i = 0; i < QUEUES_MAX; i++)
		m->kicks[i] = (struct kick){.m = m, .q = i, .fd = -1};
	(void)pthread_mutex_init(&m->lock, NULL);
	(void)pthread_cond_init(&m->done, NULL);
	return m;
}

static void mmio_release(struct mmio *m)
{
	loop_del(m->l, &m->job_src);
	close_fd(&m->job_fd);
	for (uint16_t i = 0; i < QUEUES_MAX; i++) {
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

	if (dev->ops->nqueues > QUEUES_MAX || dev->ops->config_len > CONFIG_MAX)
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
