/*
 * Theory
 *
 * A disk is a row of extents, each a piece of some file. A request is checked
 * against the capacity as a whole, then cut at the extents' borders; each
 * piece is one preadv() or pwritev() between the file and guest memory, so no
 * byte is copied here. Requests run one after the other in the loop's thread:
 * nothing is in flight between two notifications, so reset has nothing to
 * wait for and no completion can come late.
 *
 *	request   | header 16 | data .............. | status 1 |
 *	          |<- readable, then writable, cut anywhere -->|
 *
 * A failed request gets the status IOERR and the machine goes on; only a
 * request without room for header and status is a breach.
 */
#include "virtio/blk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

struct extent {
	uint64_t start; /* on the disk, in bytes */
	struct blk_extent at;
};

struct blk {
	struct virtio_dev dev;
	struct extent *extents; /* sorted by start, without gaps */
	uint32_t nextents;
	uint64_t size;
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

/* A step on one piece of one file; returns 0 or a negative errno. */
typedef int (*piece_fn)(struct request *r, const struct blk_extent *piece);

static const struct extent *extent_of(const struct blk *b, uint64_t pos)
{
	uint32_t low = 0, high = b->nextents;

	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;

		if (b->extents[mid].start <= pos)
			low = mid;
		else
			high = mid;
	}
	return &b->extents[low];
}

/* Do @fn for each piece of the disk's bytes [pos, pos + len). */
static int each_piece(struct request *r, uint64_t pos, uint64_t len,
                      piece_fn fn)
{
	const struct extent *e = len ? extent_of(r->b, pos) : NULL;
	int err;

	for (; len; e++) {
		uint64_t skip = pos - e->start;
		struct blk_extent piece = {e->at.fd, e->at.offset + skip,
		                           MIN(len, e->at.len - skip)};

		err = fn(r, &piece);
		if (err < 0)
			return err;
		pos += piece.len;
		len -= piece.len;
	}
	return 0;
}

/* Does [sector, sector + count) lie on the disk? */
static bool on_disk(const struct blk *b, uint64_t sector, uint64_t count)
{
	uint64_t end;

	return num_add(sector, count, &end) && end <= b->size / SECTOR;
}

/* The file ended before its extent did: whoever made the disk is to blame. */
static int short_file(const struct blk_extent *piece)
{
	log_limited(LOG_WARN,
	            "blk: a disk's file is shorter than its extent "
	            "of %llu bytes",
	            (unsigned long long)piece->len);
	return -EIO;
}

/* Move all of @iov to or from the file; short counts go on. */
static int transfer(const struct blk_extent *piece, struct iov *data,
                    ssize_t (*op)(int, const struct iovec *, int, off_t),
                    size_t *done)
{
	uint64_t pos = piece->offset;

	while (data->len) {
		ssize_t n = op(piece->fd, data->v, (int)data->n, (off_t)pos);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return short_file(piece);
		iov_skip(data, (size_t)n);
		pos += (uint64_t)n;
		*done += (size_t)n;
	}
	return 0;
}

static int read_piece(struct request *r, const struct blk_extent *piece)
{
	struct iovec v[VQ_CHAIN_MAX];
	struct iov data = {v, 0, (size_t)piece->len};

	data.n = iov_take(&r->in, data.len, v);
	return transfer(piece, &data, preadv, &r->written);
}

static int write_piece(struct request *r, const struct blk_extent *piece)
{
	struct iovec v[VQ_CHAIN_MAX];
	struct iov data = {v, 0, (size_t)piece->len};
	size_t done = 0;

	data.n = iov_take(&r->out, data.len, v);
	return transfer(piece, &data, pwritev, &done);
}

static int do_rw(struct request *r, uint64_t len, piece_fn fn)
{
	if (len % SECTOR || !on_disk(r->b, r->sector, len / SECTOR))
		return -EINVAL;
	return each_piece(r, r->sector * SECTOR, len, fn);
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
	int err = do_rw(r, len, read_piece);

	if (err == 0) {
		count(&r->b->reads, 1);
		count(&r->b->read_bytes, len);
	}
	return err;
}

static int do_out(struct request *r)
{
	const size_t len = r->out.len;
	int err = do_rw(r, len, write_piece);

	if (err == 0) {
		count(&r->b->writes, 1);
		count(&r->b->write_bytes, len);
	}
	return err;
}

/* A disk's extents share few files: sync each once. */
static int do_flush(struct request *r)
{
	const struct blk *b = r->b;

	for (uint32_t i = 0; !b->read_only && i < b->nextents; i++) {
		int fd = b->extents[i].at.fd;
		uint32_t first = 0;

		while (b->extents[first].at.fd != fd)
			first++;
		if (first == i && fdatasync(fd) < 0)
			return -errno;
	}
	return 0;
}

static int do_get_id(struct request *r)
{
	int err = iov_put(&r->in, r->b->serial, SERIAL_LEN);

	if (err == 0)
		r->written += SERIAL_LEN;
	return err;
}

static int punch_piece(struct request *r, const struct blk_extent *piece)
{
	(void)r;
	return fallocate(piece->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	                 (off_t)piece->offset, (off_t)piece->len) < 0
	               ? -errno
	               : 0;
}

/* A discard is a hint: a file system that has no holes is no error. */
static int discard_piece(struct request *r, const struct blk_extent *piece)
{
	int err = punch_piece(r, piece);

	return err == -EOPNOTSUPP ? 0 : err;
}

static int write_zeros(const struct blk_extent *piece)
{
	static const uint8_t zeros[64 * KIB];
	uint64_t done = 0;

	while (done < piece->len) {
		size_t part = MIN(sizeof(zeros), piece->len - done);
		ssize_t n = pwrite(piece->fd, zeros, part,
		                   (off_t)(piece->offset + done));

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (uint64_t)n : 0;
	}
	return 0;
}

static int zero_piece(struct request *r, const struct blk_extent *piece)
{
	(void)r;
	if (fallocate(piece->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	              (off_t)piece->offset, (off_t)piece->len) == 0)
		return 0;
	return errno == EOPNOTSUPP ? write_zeros(piece) : -errno;
}

static int unmap_piece(struct request *r, const struct blk_extent *piece)
{
	int err = punch_piece(r, piece);

	return err == -EOPNOTSUPP ? zero_piece(r, piece) : err;
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
		err = each_piece(r, g[i].sector * SECTOR,
		                 (uint64_t)g[i].count * SECTOR, discard_piece);
	return err;
}

static int do_write_zeroes(struct request *r)
{
	struct range g[RANGES_MAX];
	unsigned n = 0;
	int err = get_ranges(r, ZEROES_SECTORS_MAX, g, &n);

	for (unsigned i = 0; err == 0 && i < n; i++)
		err = each_piece(r, g[i].sector * SECTOR,
		                 (uint64_t)g[i].count * SECTOR,
		                 g[i].flags ? unmap_piece : zero_piece);
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
	free(((struct blk *)d)->extents);
	free(d);
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

static int copy_extents(struct blk *b, const struct blk_config *cfg,
                        struct err *err)
{
	for (uint32_t i = 0; i < cfg->nextents; i++) {
		const struct blk_extent *e = &cfg->extents[i];
		uint64_t end;

		if (e->fd < 0 || !e->len || e->len % SECTOR ||
		    !num_add(e->offset, e->len, &end) || end > INT64_MAX)
			return err_set(err, -EINVAL,
			               "extent %u of disk %s is malformed", i,
			               cfg->serial);
		b->extents[i] = (struct extent){b->size, *e};
		if (!num_add(b->size, e->len, &b->size) || b->size > INT64_MAX)
			return err_set(err, -EINVAL, "disk %s is too large",
			               cfg->serial);
	}
	b->nextents = cfg->nextents;
	return 0;
}

/*
 * Sectors stay at 512 bytes, as partition tables in users' images count in
 * them; the physical block of 4 KiB tells file systems what is cheap.
 */
static void fill_space(struct blk *b)
{
	struct blk_space *s = &b->space;

	put_le64(s->capacity, b->size / SECTOR);
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
	cleanup_free struct extent *extents =
		calloc(MAX(cfg->nextents, 1u), sizeof(*extents));
	size_t serial_len = strlen(cfg->serial);
	int r;

	if (!b || !extents)
		return err_set(err, -ENOMEM, "no memory for disk %s",
		               cfg->serial);
	if (!cfg->nextents || serial_len > SERIAL_LEN)
		return err_set(err, -EINVAL,
		               "disk %s: no extents, or the serial has more "
		               "than %u bytes",
		               cfg->serial, SERIAL_LEN);
	b->extents = extents;
	r = copy_extents(b, cfg, err);
	if (r < 0)
		return r;
	b->read_only = cfg->read_only;
	memcpy(b->serial, cfg->serial, serial_len);
	fill_space(b);
	b->dev.ops = &blk_ops;
	b->dev.offered = features(b);
	(void)take_ptr(extents);
	*ret = &take_ptr(b)->dev;
	return 0;
}
