/*
 * Theory
 *
 * Three ways for memory to come back, one to learn how much there is:
 *
 *	inflate    page numbers that the guest took out of use: dropped
 *	deflate    page numbers that it uses again: only counted
 *	reporting  buffers that are free memory themselves: dropped
 *	stats      one buffer of numbers, kept until new ones are wanted
 *
 * A queue has no fixed place: those whose feature was not negotiated are left
 * out and the next moves up, so activate() numbers them.
 *
 * Dropping needs no undo. The host puts an empty page there when the guest
 * touches it again, which is why the guest is not made to tell us before it
 * does (MUST_TELL_HOST is not offered): that would only slow down a guest
 * that is short of memory.
 *
 * A page number that is not RAM is skipped and costs one line, not the device:
 * there is nothing to drop, nothing else depends on it, and the numbers around
 * it are as good as before. A list that is no list of numbers is a breach.
 *
 * What a guest may ask for has no natural bound (a request can list 2^30
 * pages, or report all RAM 2^8 times), so work is counted and a turn ends
 * when TURN_COST is spent, in the middle of a request if need be; `done` is
 * how many of its bytes are behind us. The guest may rewrite a request between
 * two turns: `done` is a number to skip, if there are so many, and no pointer.
 */
#include "virtio/balloon.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "virtio/queue.h"

#include "base/banned.h"

#define BALLOON_F_STATS_VQ       1
#define BALLOON_F_DEFLATE_ON_OOM 2
#define BALLOON_F_PAGE_REPORTING 5

#define PAGE     4096u /* virtio's, whatever the host's */
#define PFN_LEN  4u
#define STAT_LEN 10u /* u16 tag, u64 value */

/* One page each for rings; Linux insists on 32 for reporting. */
#define QUEUE_MAX 128

#define PFNS_AT_ONCE 256u /* what Linux puts into one request */
#define STATS_MAX    64u  /* entries looked at; Linux has 16 */

/*
 * A drop costs a system call, and then by its length. A turn does 1024 calls,
 * or 64 MiB: 2 and 4 ms on private memory, 6 and 15 ms on a memfd, measured
 * with all of it in use. A longer buffer is dropped in parts.
 */
#define TURN_COST  1024
#define COST_BYTES (64 * KIB)
#define PART_MAX   (16 * MIB)

/* As virtio lays it out, up to where features that are not offered begin. */
struct balloon_space {
	uint8_t num_pages[4]; /* what we want */
	uint8_t actual[4];    /* what the guest says it gave */
};
_Static_assert(sizeof(struct balloon_space) == 8, "virtio_balloon_config");

enum kind { INFLATE, DEFLATE, STATS, REPORTING, KINDS };

struct balloon {
	struct virtio_dev dev;
	struct loop *loop;
	struct balloon_space space;
	enum kind kind[KINDS]; /* of each queue in use */
	uint16_t nqueues;
	uint64_t pages;       /* in the balloon */
	size_t done[KINDS];   /* of the request at a queue's head */
	int budget;           /* left of this turn */
	bool more;            /* it ended before the queue did */
	bool return_stats;    /* the buffer goes back to be refilled */
	uint64_t stats_at_ns; /* not before */
	struct loop_timer timer;

	atomic_bool target_posted, stats_posted;
	_Atomic uint32_t target; /* pages */
	_Atomic uint64_t returned;
	pthread_mutex_t lock; /* guards the next */
	struct balloon_stats stats;
};

static struct balloon *balloon(struct virtio_dev *d)
{
	return (struct balloon *)d;
}

/* ---- dropping ---------------------------------------------------------- */

/*
 * A memfd keeps its pages until a hole is punched, which other memory refuses
 * and has done at once by MADV_DONTNEED: that alone would seem to work on
 * both.
 */
static bool drop(struct balloon *b, void *p, size_t len)
{
	b->budget -= 1 + (int)(len / COST_BYTES);
	if (madvise(p, len, MADV_REMOVE) == 0 ||
	    madvise(p, len, MADV_DONTNEED) == 0)
		return true;
	log_debug("balloon: cannot drop %zu bytes: %s", len, err_name(-errno));
	return false;
}

/*
 * Drop these pages, neighbours that follow each other together: a guest lists
 * them up or down as its allocator gave them. Returns how many are RAM.
 */
static unsigned drop_pfns(struct balloon *b, const uint32_t *pfn, unsigned n)
{
	uint8_t *run = NULL;
	size_t len = 0;
	unsigned good = 0;

	for (unsigned i = 0; i < n; i++) {
		const uint64_t gpa = (uint64_t)le32_to_host(pfn[i]) * PAGE;
		uint8_t *p = guest_mem_at(b->dev.mem, gpa, PAGE);

		if (!p)
			continue;
		good++;
		if (len && (p == run + len || p + PAGE == run)) {
			run = MIN(run, p);
			len += PAGE;
			continue;
		}
		if (len)
			(void)drop(b, run, len);
		run = p;
		len = PAGE;
	}
	if (len)
		(void)drop(b, run, len);
	return good;
}

/* Drop each whole page in a buffer; returns how many bytes these are. */
static size_t drop_within(struct balloon *b, const struct iovec *v)
{
	size_t skip = -(uintptr_t)v->iov_base % PAGE;
	size_t len = v->iov_len > skip ? (v->iov_len - skip) / PAGE * PAGE : 0;

	if (!len) {
		b->budget--;
		return 0;
	}
	return drop(b, (uint8_t *)v->iov_base + skip, len) ? len : 0;
}

/* ---- requests ---------------------------------------------------------- */

/* A page may be given twice, but not more than there are. */
static void set_pages(struct balloon *b, uint64_t pages)
{
	uint64_t most = 0;

	for (uint32_t i = 0; pages && i < b->dev.mem->n; i++)
		most += b->dev.mem->region[i].len / PAGE;
	b->pages = MIN(pages, most);
	(void)pthread_mutex_lock(&b->lock);
	b->stats.inflated = b->pages * PAGE;
	(void)pthread_mutex_unlock(&b->lock);
}

/* The rest of the queue waits for its next turn. */
static bool turn_is_over(struct balloon *b)
{
	b->more = b->budget <= 0;
	return b->more;
}

/* Go on where the last turn stopped in this request. */
static void resume_at(struct iov *s, size_t done)
{
	iov_skip(s, MIN(done, s->len));
}

static int inflate_one(struct virtio_dev *d, struct vq_chain *c,
                       uint32_t *ret_len)
{
	struct balloon *b = balloon(d);
	struct iov *s = &c->out;
	uint32_t pfn[PFNS_AT_ONCE];

	*ret_len = 0;
	if (s->len % PFN_LEN)
		return -EPROTO;
	resume_at(s, b->done[INFLATE]);
	while (s->len) {
		unsigned n = (unsigned)MIN(s->len / PFN_LEN, PFNS_AT_ONCE);
		unsigned good;

		if (turn_is_over(b))
			return -EAGAIN;
		(void)iov_get(s, pfn, (size_t)n * PFN_LEN);
		good = drop_pfns(b, pfn, n);
		if (good < n)
			log_limited(LOG_WARN,
			            "balloon: guest gave %u pages that are not "
			            "RAM; ignored",
			            n - good);
		set_pages(b, b->pages + good);
		atomic_fetch_add(&b->returned, (uint64_t)good * PAGE);
		b->done[INFLATE] += (size_t)n * PFN_LEN;
	}
	b->done[INFLATE] = 0;
	return 0;
}

static int deflate_one(struct virtio_dev *d, struct vq_chain *c,
                       uint32_t *ret_len)
{
	struct balloon *b = balloon(d);
	uint64_t n = c->out.len / PFN_LEN;

	*ret_len = 0;
	if (c->out.len % PFN_LEN)
		return -EPROTO;
	set_pages(b, b->pages - MIN(n, b->pages));
	return 0;
}

static int report_one(struct virtio_dev *d, struct vq_chain *c,
                      uint32_t *ret_len)
{
	struct balloon *b = balloon(d);
	struct iov *s = &c->in;
	size_t dropped = 0;

	*ret_len = 0;
	resume_at(s, b->done[REPORTING]);
	while (s->len && !turn_is_over(b)) {
		struct iovec v = *s->v;
		size_t in_page = (uintptr_t)v.iov_base % PAGE;

		/* Parts end where pages end. */
		v.iov_len = MIN(v.iov_len, PART_MAX - in_page);
		dropped += drop_within(b, &v);
		b->done[REPORTING] += v.iov_len;
		iov_skip(s, v.iov_len);
	}
	(void)pthread_mutex_lock(&b->lock);
	b->stats.reported += dropped;
	atomic_fetch_add(&b->returned, dropped);
	(void)pthread_mutex_unlock(&b->lock);
	if (s->len)
		return -EAGAIN;
	b->done[REPORTING] = 0;
	return 0;
}

/* ---- numbers of the guest ---------------------------------------------- */

static const struct {
	uint16_t tag;
	size_t at;
} stat_tags[] = {
	{4, offsetof(struct balloon_stats, free)       },
	{5, offsetof(struct balloon_stats, total)      },
	{6, offsetof(struct balloon_stats, available)  },
	{7, offsetof(struct balloon_stats, disk_caches)},
};

static void take_stat(struct balloon_stats *to, const uint8_t *entry)
{
	uint64_t value = get_le64(entry + 2);

	for (size_t i = 0; i < ARRAY_SIZE(stat_tags); i++)
		if (stat_tags[i].tag == get_le16(entry))
			memcpy((uint8_t *)to + stat_tags[i].at, &value,
			       sizeof(value));
}

/*
 * The buffer stays at the ring's head until it is to be filled again. It may
 * be seen for the first time only then.
 */
static int stats_one(struct virtio_dev *d, struct vq_chain *c,
                     uint32_t *ret_len)
{
	struct balloon *b = balloon(d);
	uint8_t entry[STAT_LEN];

	*ret_len = 0;
	(void)pthread_mutex_lock(&b->lock);
	for (unsigned i = 0; i < STATS_MAX; i++)
		if (iov_get(&c->out, entry, sizeof(entry)) == 0)
			take_stat(&b->stats, entry);
	(void)pthread_mutex_unlock(&b->lock);
	if (!b->return_stats)
		return -EAGAIN;
	b->return_stats = false;
	return 0;
}

static void return_stats(void *arg)
{
	struct balloon *b = arg;

	b->stats_at_ns = clock_now_ns() + BALLOON_STATS_NS;
	if (!b->dev.active || b->dev.broken)
		return;
	for (uint16_t q = 0; q < b->nqueues; q++) {
		if (b->kind[q] != STATS)
			continue;
		b->return_stats = true;
		virtio_serve(&b->dev, q, stats_one);
		b->return_stats = false; /* there was no buffer */
	}
}

static void on_stats_wanted(void *arg)
{
	struct balloon *b = arg;

	atomic_store(&b->stats_posted, false);
	if (!b->timer.armed)
		loop_timer_set(b->loop, &b->timer, b->stats_at_ns, return_stats,
		               b);
}

uint64_t balloon_returned(struct virtio_dev *d)
{
	return atomic_load(&balloon(d)->returned);
}

void balloon_get_stats(struct virtio_dev *d, struct balloon_stats *ret)
{
	struct balloon *b = balloon(d);

	(void)pthread_mutex_lock(&b->lock);
	*ret = b->stats;
	(void)pthread_mutex_unlock(&b->lock);
	if (!atomic_exchange(&b->stats_posted, true) &&
	    loop_post(b->loop, on_stats_wanted, b) < 0)
		atomic_store(&b->stats_posted, false);
}

/* ---- the target -------------------------------------------------------- */

static void on_target(void *arg)
{
	struct balloon *b = arg;

	atomic_store(&b->target_posted, false);
	put_le32(b->space.num_pages, atomic_load(&b->target));
	virtio_config_changed(&b->dev);
}

int balloon_set_target(struct virtio_dev *d, uint64_t bytes)
{
	struct balloon *b = balloon(d);
	int r = 0;

	if (bytes / PAGE > UINT32_MAX)
		return -EINVAL;
	atomic_store(&b->target, (uint32_t)(bytes / PAGE));
	if (!atomic_exchange(&b->target_posted, true))
		r = loop_post(b->loop, on_target, b);
	if (r < 0)
		atomic_store(&b->target_posted, false);
	return r;
}

/* ---- the device -------------------------------------------------------- */

static void balloon_read_config(struct virtio_dev *d, uint32_t off, void *data,
                                uint32_t len)
{
	const struct balloon *b = balloon(d);

	virtio_config_copy(&b->space, sizeof(b->space), off, data, len);
}

/* A driver may write `actual`, by bytes if it likes; the rest is ours. */
static void balloon_write_config(struct virtio_dev *d, uint32_t off,
                                 const void *data, uint32_t len)
{
	struct balloon *b = balloon(d);
	const uint32_t first = offsetof(struct balloon_space, actual);

	for (uint32_t i = 0; i < len; i++)
		if (off + i >= first && off + i < sizeof(b->space))
			b->space.actual[off + i - first] =
				((const uint8_t *)data)[i];
}

static void unknown_stats(struct balloon *b)
{
	(void)pthread_mutex_lock(&b->lock);
	b->stats.free = b->stats.available = UINT64_MAX;
	b->stats.total = b->stats.disk_caches = UINT64_MAX;
	(void)pthread_mutex_unlock(&b->lock);
}

static int balloon_activate(struct virtio_dev *d)
{
	struct balloon *b = balloon(d);

	b->nqueues = 0;
	b->kind[b->nqueues++] = INFLATE;
	b->kind[b->nqueues++] = DEFLATE;
	if (d->features >> BALLOON_F_STATS_VQ & 1)
		b->kind[b->nqueues++] = STATS;
	if (d->features >> BALLOON_F_PAGE_REPORTING & 1)
		b->kind[b->nqueues++] = REPORTING;
	return 0;
}

static void balloon_notify(struct virtio_dev *d, uint16_t q)
{
	static int (*const one[KINDS])(struct virtio_dev *, struct vq_chain *,
	                               uint32_t *) = {
		[INFLATE] = inflate_one,
		[DEFLATE] = deflate_one,
		[STATS] = stats_one,
		[REPORTING] = report_one,
	};
	struct balloon *b = balloon(d);

	if (q >= b->nqueues)
		return;
	b->budget = TURN_COST;
	b->more = false;
	virtio_serve(d, q, one[b->kind[q]]);
	if (b->more && !d->broken)
		d->transport->again(d, q);
}

static void balloon_reset(struct virtio_dev *d)
{
	struct balloon *b = balloon(d);

	loop_timer_del(b->loop, &b->timer);
	memset(b->done, 0, sizeof(b->done));
	memset(b->space.actual, 0, sizeof(b->space.actual));
	b->nqueues = 0;
	set_pages(b, 0);
	unknown_stats(b);
}

static void balloon_free(struct virtio_dev *d)
{
	struct balloon *b = balloon(d);

	loop_timer_del(b->loop, &b->timer);
	(void)pthread_mutex_destroy(&b->lock);
	free(b);
}

static const struct virtio_dev_ops balloon_ops = {
	.name = "balloon",
	.id = VIRTIO_ID_BALLOON,
	.nqueues = KINDS,
	.queue_max = QUEUE_MAX,
	.config_len = sizeof(struct balloon_space),
	.read_config = balloon_read_config,
	.write_config = balloon_write_config,
	.activate = balloon_activate,
	.notify = balloon_notify,
	.reset = balloon_reset,
	.free = balloon_free,
};

int balloon_new(struct loop *l, struct virtio_dev **ret, struct err *err)
{
	struct balloon *b = calloc(1, sizeof(*b));

	if (!b)
		return err_set(err, -ENOMEM, "no memory for the balloon");
	(void)pthread_mutex_init(&b->lock, NULL);
	unknown_stats(b);
	b->loop = l;
	b->dev.ops = &balloon_ops;
	b->dev.offered =
		1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_INDIRECT_DESC |
		1ULL << VIRTIO_F_EVENT_IDX | 1ULL << BALLOON_F_STATS_VQ |
		1ULL << BALLOON_F_DEFLATE_ON_OOM |
		1ULL << BALLOON_F_PAGE_REPORTING;
	*ret = &b->dev;
	return 0;
}
