/*
 * Theory
 *
 * A request is checked against the capacity as a whole, then done by the
 * backend, between its files and guest memory: no byte is copied here.
 * Requests run one after the other in the loop's thread: nothing is in flight
 * between two notifications, so reset has nothing to wait for and no
 * completion can come late.
 *
 *	request   | header 16 | data .............. | status 1 |
 *	          |<- readable, then writable, cut anywhere -->|
 *
 * A failed request gets the status IOERR and the machine goes on; only a
 * request without room for header and status is a breach.
 */
#include "virtio/blk.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/num.h"
#include "virtio/queue.h"

#include "base/banned.h"

#define SECTOR     512u
#define SERIAL_LEN 20u
#define HEADER_LEN 16u
#define RANGE_LEN  16u /* one segment of discard or write-zeroes */

#define BLK_F_SEG_MAX      2
#define BLK_F_RO           5
#define BLK_F_BLK_SIZE     6
#define BLK_F_FLUSH        9
#define BLK_F_TOPOLOGY     10
#define BLK_F_DISCARD      13
#define BLK_F_WRITE_ZEROES 14

#define SEG_MAX (VQ_CHAIN_MAX - 2) /* all but header and status */

/*
 * One request may take the disk's thread for a while: holes are cheap however
 * long, zeros may have to be written.
 */
#define RANGES_MAX          16u
#define DISCARD_SECTORS_MAX (GIB / SECTOR)
#define ZEROES_SECTORS_MAX  (16 * MIB / SECTOR)

#define RANGE_F_UNMAP 1u

enum {
	BLK_IN = 0,
	BLK_OUT = 1,
	BLK_FLUSH = 4,
	BLK_GET_ID = 8,
	BLK_DISCARD = 11,
	BLK_WRITE_ZEROES = 13,
};

enum { STATUS_OK, STATUS_IOERR, STATUS_UNSUPP };

/* As virtio lays it out; all fields little-endian. */
struct blk_space {
	uint8_t capacity[8];
	uint8_t size_max[4], seg_max[4];
	uint8_t geometry[4];
	uint8_t blk_size[4];
	uint8_t physical_exp, alignment_offset;
	uint8_t min_io[2], opt_io[4];
	uint8_t writeback, unused0;
	uint8_t num_queues[2];
	uint8_t max_discard_sectors[4], max_discard_seg[4];
	uint8_t discard_alignment[4];
	uint8_t max_zeroes_sectors[4], max_zeroes_seg[4];
	uint8_t zeroes_may_unmap, unused1[3];
};
_Static_assert(sizeof(struct blk_space) == 60, "virtio_blk_config");

struct blk {
	struct virtio_dev dev;
	struct blk_backend backend;
	bool read_only;
	char serial[SERIAL_LEN];
	struct blk_space space;
	_Atomic uint64_t read_bytes, write_bytes, reads, writes;
};

struct request {
	struct blk *b;
	uint32_t type;
	uint64_t sector;
	struct iov out, in; /* what is left: data without header and status */
	size_t written;     /* bytes put into @in */
};

/* Does [sector, sector + count) lie on the disk? */
static bool on_disk(const struct blk *b, uint64_t sector, uint64_t count)
{
	uint64_t end;

	return num_add(sector, count, &end) && end <= b->backend.size / SECTOR;
}

typedef int (*move_fn)(void *arg, struct iov *data, uint64_t pos);

static int do_rw(struct request *r, struct iov *data, move_fn fn)
{
	if (data->len % SECTOR || !on_disk(r->b, r->sector, data->len / SECTOR))
		return -EINVAL;
	return fn(r->b->backend.arg, data, r->sector * SECTOR);
}

/* Only this disk's thread writes them. */
static void count(_Atomic uint64_t *number, uint64_t more)
{
	atomic_store_explicit(
		number,
		atomic_load_explicit(number, memory_order_relaxed) + more,
		memory_order_relaxed);
}

static int do_in(struct request *r)
{
	const size_t len = r->in.len;
	int err = do_rw(r, &r->in, r->b->backend.read);

	r->written += len - r->in.len;
	if (err == 0) {
		count(&r->b->reads, 1);
		count(&r->b->read_bytes, len);
	}
	return err;
}

static int do_out(struct request *r)
{
	const size_t len = r->out.len;
	int err = do_rw(r, &r->out, r->b->backend.write);

	if (err == 0) {
		count(&r->b->writes, 1);
		count(&r->b->write_bytes, len);
	}
	return err;
}

static int do_flush(struct request *r)
{
	return r->b->read_only ? 0 : r->b->backend.flush(r->b->backend.arg);
}

static int do_get_id(struct request *r)
{
	int err = iov_put(&r->in, r->b->serial, SERIAL_LEN);

	if (err == 0)
		r->written += SERIAL_LEN;
	return err;
}

struct range {
	uint64_t sector;
	uint32_t count, flags;
};

/* Copy the request's ranges once and check all before the first is done. */
static int get_ranges(struct request *r, uint64_t sectors_max,
                      struct range *ranges, unsigned *ret_n)
{
	unsigned n = (unsigned)(r->out.len / RANGE_LEN);

	if (r->out.len % RANGE_LEN || !n || r->out.len / RANGE_LEN > RANGES_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++) {
		uint8_t raw[RANGE_LEN];
		struct range *g = &ranges[i];

		(void)iov_get(&r->out, raw, sizeof(raw));
		*g = (struct range){get_le64(raw), get_le32(raw + 8),
		                    get_le32(raw + 12)};
		if (g->flags & ~RANGE_F_UNMAP)
			return -EOPNOTSUPP;
		if (g->count > sectors_max ||
		    !on_disk(r->b, g->sector, g->count))
			return -EINVAL;
	}
	*ret_n = n;
	return 0;
}

static int do_discard(struct request *r)
{
	struct range g[RANGES_MAX];
	unsigned n = 0;
	int err = get_ranges(r, DISCARD_SECTORS_MAX, g, &n);

	for (unsigned i = 0; err == 0 && i < n; i++)
		if (g[i].flags)
			return -EOPNOTSUPP;
	for (unsigned i = 0; err == 0 && i < n; i++)
		err = r->b->backend.discard(r->b->backend.arg,
		                            g[i].sector * SECTOR,
		                            (uint64_t)g[i].count * SECTOR);
	return err;
}

static int do_write_zeroes(struct request *r)
{
	struct range g[RANGES_MAX];
	unsigned n = 0;
	int err = get_ranges(r, ZEROES_SECTORS_MAX, g, &n);

	for (unsigned i = 0; err == 0 && i < n; i++)
		err = r->b->backend.zero(
			r->b->backend.arg, g[i].sector * SECTOR,
			(uint64_t)g[i].count * SECTOR, g[i].flags != 0);
	return err;
}

/* What a driver may ask for. */
static const struct {
	uint32_t type;
	bool writes;
	int (*run)(struct request *r);
} requests[] = {
	{BLK_IN,           false, do_in          },
	{BLK_OUT,          true,  do_out         },
	{BLK_FLUSH,        false, do_flush       },
	{BLK_GET_ID,       false, do_get_id      },
	{BLK_DISCARD,      true,  do_discard     },
	{BLK_WRITE_ZEROES, true,  do_write_zeroes},
};

static uint8_t run_request(struct request *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		int err;

		if (requests[i].type != r->type)
			continue;
		if (requests[i].writes && r->b->read_only)
			return STATUS_IOERR;
		err = requests[i].run(r);
		if (err < 0)
			log_debug("blk: request type %u at sector %llu: %s",
			          r->type, (unsigned long long)r->sector,
			          err_name(err));
		if (err == -EOPNOTSUPP)
			return STATUS_UNSUPP;
		return err < 0 ? STATUS_IOERR : STATUS_OK;
	}
	return STATUS_UNSUPP;
}

static int blk_one(struct virtio_dev *d, struct vq_chain *c, uint32_t *ret_len)
{
	struct request r = {.b = (struct blk *)d, .out = c->out, .in = c->in};
	uint8_t header[HEADER_LEN];
	uint8_t *status = iov_take_last(&r.in);

	if (!status || iov_get(&r.out, header, sizeof(header)) < 0)
		return -EPROTO;
	r.type = get_le32(header);
	r.sector = get_le64(header + 8);
	*status = run_request(&r);
	*ret_len = (uint32_t)r.written + 1;
	return 0;
}

void blk_get_stats(const struct virtio_dev *d, struct blk_stats *ret)
{
	const struct blk *b = (const struct blk *)d;

	*ret = (struct blk_stats){
		.read_bytes = atomic_load_explicit(&b->read_bytes,
	                                           memory_order_relaxed),
		.write_bytes = atomic_load_explicit(&b->write_bytes,
	                                            memory_order_relaxed),
		.reads = atomic_load_explicit(&b->reads, memory_order_relaxed),
		.writes =
			atomic_load_explicit(&b->writes, memory_order_relaxed)};
}

static void blk_read_config(struct virtio_dev *d, uint32_t off, void *data,
                            uint32_t len)
{
	const struct blk *b = (struct blk *)d;

	virtio_config_copy(&b->space, sizeof(b->space), off, data, len);
}

static int blk_activate(struct virtio_dev *d)
{
	(void)d;
	return 0;
}

static void blk_notify(struct virtio_dev *d, uint16_t q)
{
	virtio_serve(d, q, blk_one);
}

static void blk_reset(struct virtio_dev *d)
{
	(void)d; /* nothing is in flight between two notifications */
}

static void blk_free(struct virtio_dev *d)
{
	struct blk *b = (struct blk *)d;

	if (b->backend.close)
		b->backend.close(b->backend.arg);
	free(b);
}

static const struct virtio_dev_ops blk_ops = {
	.name = "blk",
	.id = VIRTIO_ID_BLOCK,
	.nqueues = 1,
	.queue_max = VQ_SIZE_MAX,
	.queue_offered = VQ_CHAIN_MAX, /* one request may take them all */
	.config_len = sizeof(struct blk_space),
	.read_config = blk_read_config,
	.activate = blk_activate,
	.notify = blk_notify,
	.reset = blk_reset,
	.free = blk_free,
};

/*
 * Sectors stay at 512 bytes, as partition tables in users' images count in
 * them; the physical block of 4 KiB tells file systems what is cheap.
 */
static void fill_space(struct blk *b)
{
	struct blk_space *s = &b->space;

	put_le64(s->capacity, b->backend.size / SECTOR);
	put_le32(s->seg_max, SEG_MAX);
	put_le32(s->blk_size, SECTOR);
	s->physical_exp = 3;
	put_le16(s->min_io, 8);
	put_le16(s->num_queues, 1);
	if (b->read_only)
		return;
	put_le32(s->max_discard_sectors, DISCARD_SECTORS_MAX);
	put_le32(s->max_discard_seg, RANGES_MAX);
	put_le32(s->discard_alignment, 8);
	put_le32(s->max_zeroes_sectors, ZEROES_SECTORS_MAX);
	put_le32(s->max_zeroes_seg, 1);
	s->zeroes_may_unmap = 1;
}

static uint64_t features(const struct blk *b)
{
	const uint64_t common =
		1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_INDIRECT_DESC |
		1ULL << VIRTIO_F_EVENT_IDX | 1ULL << BLK_F_SEG_MAX |
		1ULL << BLK_F_BLK_SIZE | 1ULL << BLK_F_TOPOLOGY;

	if (b->read_only)
		return common | 1ULL << BLK_F_RO;
	return common | 1ULL << BLK_F_FLUSH | 1ULL << BLK_F_DISCARD |
	       1ULL << BLK_F_WRITE_ZEROES;
}

int blk_new(const struct blk_config *cfg, struct virtio_dev **ret,
            struct err *err)
{
	cleanup_free struct blk *b = calloc(1, sizeof(*b));
	size_t serial_len = strlen(cfg->serial);

	if (!b)
		return err_set(err, -ENOMEM, "no memory for disk %s",
		               cfg->serial);
	if (!cfg->backend->size || cfg->backend->size % SECTOR ||
	    serial_len > SERIAL_LEN)
		return err_set(err, -EINVAL,
		               "disk %s: it has no sectors, or the serial has "
		               "more than %u bytes",
		               cfg->serial, SERIAL_LEN);
	b->backend = *cfg->backend;
	b->read_only = cfg->read_only;
	memcpy(b->serial, cfg->serial, serial_len);
	fill_space(b);
	b->dev.ops = &blk_ops;
	b->dev.offered = features(b);
	*ret = &take_ptr(b)->dev;
	return 0;
}

int blk_settle(struct virtio_dev *d)
{
	struct blk *b = (struct blk *)d;

	return b->read_only || !b->backend.settle
	               ? 0
	               : b->backend.settle(b->backend.arg);
}
