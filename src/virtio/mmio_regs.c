/*
 * Theory
 *
 * What a driver may write when is in three places: steps[] (the status), the
 * condition at the head of each register's function, and vq_start(), which
 * looks at the queues when the status reaches DRIVER_OK. Before that they are
 * numbers that nobody believes; from then on they cannot be written.
 *
 * All of this runs under the lock, in any thread.
 */
#include <string.h>

#include "base/log.h"
#include "base/num.h"
#include "virtio/mmio_int.h"

#include "base/banned.h"

#define MAGIC   0x74726976u /* "virt" */
#define VERSION 2u
#define VENDOR  0x5842534du /* "MSBX", which is nobody else's */
#define NO_SHM  UINT32_MAX  /* the length of shared memory that is not there */

/* ---- work for the loop ------------------------------------------------- */

/* Take the lock when no job is under way. */
static void enter(struct mmio *m)
{
	(void)pthread_mutex_lock(&m->lock);
	while (m->job.run)
		(void)pthread_cond_wait(&m->done, &m->lock);
}

static void leave(struct mmio *m)
{
	(void)pthread_mutex_unlock(&m->lock);
}

/* Have @j done; the lock is free meanwhile. */
static void carry(struct mmio *m, const struct mmio_job *j)
{
	const uint64_t before = m->jobs_done;

	m->job = *j;
	if (loop_is_mine(m->l)) {
		(void)pthread_mutex_unlock(&m->lock);
		mmio_settle(m);
		(void)pthread_mutex_lock(&m->lock);
		return;
	}
	mmio_signal_fd(m->job_fd);
	while (m->jobs_done == before)
		(void)pthread_cond_wait(&m->done, &m->lock);
}

/* ---- identity and features --------------------------------------------- */

/* A 64-bit value is seen through a window: half 0 or 1, else nothing. */
static uint32_t half(uint64_t v, uint32_t sel)
{
	return sel < 2 ? (uint32_t)(v >> 32 * sel) : 0;
}

static void set_half(uint64_t *v, uint32_t sel, uint32_t to)
{
	if (sel >= 2)
		return;
	*v &= ~((uint64_t)UINT32_MAX << 32 * sel);
	*v |= (uint64_t)to << 32 * sel;
}

static uint32_t read_device_id(struct mmio *m)
{
	return m->dev->ops->id;
}

static uint32_t read_features(struct mmio *m)
{
	return half(m->dev->offered, m->regs.device_sel);
}

static void write_device_sel(struct mmio *m, uint32_t v)
{
	m->regs.device_sel = v;
}

/* What was not offered is kept: it makes FEATURES_OK fail. */
static void write_features(struct mmio *m, uint32_t v)
{
	if (m->regs.status == (STATUS_ACKNOWLEDGE | STATUS_DRIVER))
		set_half(&m->regs.features, m->regs.driver_sel, v);
}

static void write_driver_sel(struct mmio *m, uint32_t v)
{
	m->regs.driver_sel = v;
}

/* ---- queues ------------------------------------------------------------ */

static void write_queue_sel(struct mmio *m, uint32_t v)
{
	m->regs.queue_sel = v;
}

static struct mmio_queue *selected(struct mmio *m)
{
	return m->regs.queue_sel < m->dev->ops->nqueues
	               ? &m->regs.queue[m->regs.queue_sel]
	               : NULL;
}

/* The selected queue in the time when queues are set up. */
static struct mmio_queue *open_queue(struct mmio *m)
{
	return m->regs.status == (STATUS_ACKNOWLEDGE | STATUS_DRIVER |
	                          STATUS_FEATURES_OK)
	               ? selected(m)
	               : NULL;
}

static uint32_t read_queue_max(struct mmio *m)
{
	const struct virtio_dev_ops *ops = m->dev->ops;

	return selected(m) ? MIN(ops->queue_offered ? ops->queue_offered
	                                            : ops->queue_max,
	                         VQ_SIZE_MAX)
	                   : 0;
}

/* Too large to be kept is too large to be a size: vq_start() refuses both. */
static void write_queue_size(struct mmio *m, uint32_t v)
{
	struct mmio_queue *q = open_queue(m);

	if (q && !q->ready)
		q->size = (uint16_t)MIN(v, UINT16_MAX);
}

static uint32_t read_queue_ready(struct mmio *m)
{
	const struct mmio_queue *q = selected(m);

	return q && q->ready;
}

static void write_queue_ready(struct mmio *m, uint32_t v)
{
	struct mmio_queue *q = open_queue(m);

	if (q && v <= 1)
		q->ready = v;
}

/* A queue that was declared ready is set up. */
#define QUEUE_PART(part, name, sel)                                            \
	static void write_##part##_##name(struct mmio *m, uint32_t v)          \
	{                                                                      \
		struct mmio_queue *q = open_queue(m);                          \
                                                                               \
		if (q && !q->ready)                                            \
			set_half(&q->part, sel, v);                            \
	}
QUEUE_PART(desc, low, 0)
QUEUE_PART(desc, high, 1)
QUEUE_PART(avail, low, 0)
QUEUE_PART(avail, high, 1)
QUEUE_PART(used, low, 0)
QUEUE_PART(used, high, 1)

/* What the kernel does where KVM_IOEVENTFD matches. */
static void write_notify(struct mmio *m, uint32_t v)
{
	if (v < m->dev->ops->nqueues)
		mmio_signal_fd(m->kicks[v].fd);
}

/* ---- interrupts and status --------------------------------------------- */

static uint32_t read_interrupts(struct mmio *m)
{
	return atomic_load(&m->regs.interrupts);
}

static void write_interrupt_ack(struct mmio *m, uint32_t v)
{
	atomic_fetch_and(&m->regs.interrupts, ~v);
}

static uint32_t read_generation(struct mmio *m)
{
	return m->regs.generation;
}

static uint32_t read_status(struct mmio *m)
{
	return m->regs.status;
}

static void go_on(struct mmio *m, uint32_t to)
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
	carry(m, &(struct mmio_job){.run = mmio_start});
}

/* The only way up. */
static const struct {
	uint32_t from, to;
	void (*take)(struct mmio *m, uint32_t to);
} steps[] = {
	{0x0, 0x1, go_on          },
	{0x1, 0x3, go_on          },
	{0x3, 0xb, accept_features},
	{0xb, 0xf, start          },
};

/* A model that was never started has nothing to forget. */
static void reset(struct mmio *m)
{
	if (m->regs.status & STATUS_DRIVER_OK)
		carry(m, &(struct mmio_job){.run = mmio_reset});
	else
		mmio_clear_regs(m);
}

static void write_status(struct mmio *m, uint32_t v)
{
	if (v == 0) {
		reset(m);
		return;
	}
	if (v & STATUS_FAILED) {
		m->regs.status |= STATUS_FAILED;
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

/* ---- the map ----------------------------------------------------------- */

/* Without read(), a register reads as @fixed; without write(), it ignores. */
static const struct reg {
	uint32_t fixed;
	uint32_t (*read)(struct mmio *m);
	void (*write)(struct mmio *m, uint32_t v);
} map[MMIO_CONFIG / 4] = {
	[0x000 / 4] = {MAGIC,   NULL,             NULL               },
	[0x004 / 4] = {VERSION, NULL,             NULL               },
	[0x008 / 4] = {0,       read_device_id,   NULL               },
	[0x00c / 4] = {VENDOR,  NULL,             NULL               },
	[0x010 / 4] = {0,       read_features,    NULL               },
	[0x014 / 4] = {0,       NULL,             write_device_sel   },
	[0x020 / 4] = {0,       NULL,             write_features     },
	[0x024 / 4] = {0,       NULL,             write_driver_sel   },
	[0x030 / 4] = {0,       NULL,             write_queue_sel    },
	[0x034 / 4] = {0,       read_queue_max,   NULL               },
	[0x038 / 4] = {0,       NULL,             write_queue_size   },
	[0x044 / 4] = {0,       read_queue_ready, write_queue_ready  },
	[0x050 / 4] = {0,       NULL,             write_notify       },
	[0x060 / 4] = {0,       read_interrupts,  NULL               },
	[0x064 / 4] = {0,       NULL,             write_interrupt_ack},
	[0x070 / 4] = {0,       read_status,      write_status       },
	[0x080 / 4] = {0,       NULL,             write_desc_low     },
	[0x084 / 4] = {0,       NULL,             write_desc_high    },
	[0x090 / 4] = {0,       NULL,             write_avail_low    },
	[0x094 / 4] = {0,       NULL,             write_avail_high   },
	[0x0a0 / 4] = {0,       NULL,             write_used_low     },
	[0x0a4 / 4] = {0,       NULL,             write_used_high    },
	[0x0b0 / 4] = {NO_SHM,  NULL,             NULL               },
	[0x0b4 / 4] = {NO_SHM,  NULL,             NULL               },
	[0x0b8 / 4] = {NO_SHM,  NULL,             NULL               },
	[0x0bc / 4] = {NO_SHM,  NULL,             NULL               },
	[0x0fc / 4] = {0,       read_generation,  NULL               },
};

_Static_assert(MMIO_NOTIFY == 0x050, "the row of write_notify()");

/* The register at @off, if this is how one is reached. */
static const struct reg *reg_at(uint64_t off, uint32_t len)
{
	return len == 4 && off % 4 == 0 && off < MMIO_CONFIG ? &map[off / 4]
	                                                     : NULL;
}

/* Is this how the config space is reached? */
static bool in_config(uint64_t off, uint32_t len)
{
	return off >= MMIO_CONFIG && off < MMIO_SIZE && len <= 8 &&
	       num_is_pow2(len);
}

/*
 * Whole fields only, and not once the device is stopped. A driver may write
 * before it set up anything: a console's emergency output is for that.
 */
static void write_config(struct mmio *m, uint32_t off, const void *data,
                         uint32_t len)
{
	const struct virtio_dev_ops *ops = m->dev->ops;
	struct mmio_job j = {.run = mmio_config_write, .off = off, .len = len};

	if (!ops->write_config || off >= ops->config_len ||
	    len > ops->config_len - off ||
	    m->regs.status & (STATUS_NEEDS_RESET | STATUS_FAILED))
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
	else if (in_config(off, len))
		virtio_config_copy(m->config, m->dev->ops->config_len,
		                   (uint32_t)off - MMIO_CONFIG, data, len);
	leave(m);
}

void mmio_write(struct mmio *m, uint64_t off, const void *data, uint32_t len)
{
	const struct reg *r = reg_at(off, len);

	enter(m);
	if (r && r->write)
		r->write(m, get_le32(data));
	else if (in_config(off, len))
		write_config(m, (uint32_t)off - MMIO_CONFIG, data, len);
	leave(m);
}
