/*
 * Theory
 *
 * A row of extents, each a piece of some file, found by binary search. A
 * request is cut at their borders; each piece is one preadv() or pwritev()
 * between the file and guest memory, so no byte is copied here. A raw disk is
 * one extent, the whole file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/num.h"
#include "disk/disk_int.h"

#include "base/banned.h"

#define SECTOR 512u

struct extent {
	uint64_t start; /* on the disk, in bytes */
	struct disk_extent at;
};

struct extents {
	struct disk d;
	bool unsynced; /* something was written since the last flush */
	uint32_t n;
	struct extent e[]; /* sorted by start, without gaps */
};

struct request {
	struct iov *data;
	bool unmap;
};

/* A step on one piece of one file; returns 0 or a negative errno. */
typedef int (*piece_fn)(struct request *r, const struct disk_extent *piece);

static const struct extent *extent_of(const struct extents *x, uint64_t pos)
{
	uint32_t low = 0, high = x->n;

	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;

		if (x->e[mid].start <= pos)
			low = mid;
		else
			high = mid;
	}
	return &x->e[low];
}

/* Do @fn for each piece of the disk's bytes [pos, pos + len). */
static int each_piece(struct disk *d, struct request *r, uint64_t pos,
                      uint64_t len, piece_fn fn)
{
	struct extents *x = (struct extents *)d;
	const struct extent *e = extent_of(x, pos);

	for (; len; e++) {
		uint64_t skip = pos - e->start;
		struct disk_extent piece = {e->at.fd, e->at.offset + skip,
		                            MIN(len, e->at.len - skip)};
		int err = fn(r, &piece);

		if (err < 0)
			return err;
		pos += piece.len;
		len -= piece.len;
	}
	return 0;
}

/* The file ended before its extent did: whoever made the disk is to blame. */
static int read_piece(struct request *r, const struct disk_extent *p)
{
	int err = file_load(p->fd, r->data, p->len, p->offset, false);

	if (err == -EIO)
		log_limited(LOG_WARN,
		            "disk: a file is shorter than its extent of %llu "
		            "bytes, or cannot be read",
		            (unsigned long long)p->len);
	return err;
}

static int write_piece(struct request *r, const struct disk_extent *p)
{
	return file_store(p->fd, r->data, p->len, p->offset);
}

/* A discard is a hint: a file system that has no holes is no error. */
static int discard_piece(struct request *r, const struct disk_extent *p)
{
	int err = file_punch(p->fd, p->offset, p->len);

	(void)r;
	return err == -EOPNOTSUPP ? 0 : err;
}

static int zero_piece(struct request *r, const struct disk_extent *p)
{
	if (r->unmap && file_punch(p->fd, p->offset, p->len) == 0)
		return 0;
	return file_zero(p->fd, p->offset, p->len);
}

static int extents_read(struct disk *d, struct iov *data, uint64_t len,
                        uint64_t pos)
{
	return each_piece(d, &(struct request){.data = data}, pos, len,
	                  read_piece);
}

static int extents_write(struct disk *d, struct iov *data, uint64_t len,
                         uint64_t pos)
{
	((struct extents *)d)->unsynced = true;
	return each_piece(d, &(struct request){.data = data}, pos, len,
	                  write_piece);
}

static int extents_discard(struct disk *d, uint64_t pos, uint64_t len)
{
	return each_piece(d, &(struct request){0}, pos, len, discard_piece);
}

static int extents_zero(struct disk *d, uint64_t pos, uint64_t len, bool unmap)
{
	((struct extents *)d)->unsynced = true;
	return each_piece(d, &(struct request){.unmap = unmap}, pos, len,
	                  zero_piece);
}

/* A disk's extents share few files: sync each once. */
static int extents_flush(struct disk *d)
{
	struct extents *x = (struct extents *)d;

	for (uint32_t i = 0; x->unsynced && i < x->n; i++) {
		int fd = x->e[i].at.fd;
		uint32_t first = 0;

		while (x->e[first].at.fd != fd)
			first++;
		if (first == i && fdatasync(fd) < 0)
			return -errno;
	}
	x->unsynced = false;
	return 0;
}

/* What cannot tell (a block device) has no holes. */
static int extents_map(struct disk *d, uint64_t pos, uint64_t len,
                       bool *ret_hole, uint64_t *ret_len)
{
	const struct extents *x = (const struct extents *)d;
	const struct extent *e = extent_of(x, pos);
	uint64_t at = e->at.offset + (pos - e->start);
	uint64_t most = MIN(len, e->at.len - (pos - e->start));
	off_t data = lseek(e->at.fd, (off_t)at, SEEK_DATA), hole;

	*ret_hole = data < 0 ? errno == ENXIO : (uint64_t)data > at;
	*ret_len = most;
	if (*ret_hole && data >= 0)
		*ret_len = MIN(most, (uint64_t)data - at);
	if (*ret_hole || data < 0)
		return 0;
	hole = lseek(e->at.fd, (off_t)at, SEEK_HOLE);
	if (hole > (off_t)at)
		*ret_len = MIN(most, (uint64_t)hole - at);
	return 0;
}

static void extents_close(struct disk *d)
{
	free(d);
}

static const struct disk_ops extents_ops = {
	.read = extents_read,
	.write = extents_write,
	.flush = extents_flush,
	.discard = extents_discard,
	.zero = extents_zero,
	.map = extents_map,
	.close = extents_close,
};

int disk_open_extents(const struct disk_extent *extents, uint32_t n,
                      bool read_only, struct disk **ret, struct err *err)
{
	cleanup_free struct extents *x =
		calloc(1, sizeof(*x) + n * sizeof(x->e[0]));

	if (!x)
		return err_set(err, -ENOMEM, "out of memory");
	if (!n)
		return err_set(err, -EINVAL, "a disk without extents");
	for (uint32_t i = 0; i < n; i++) {
		const struct disk_extent *e = &extents[i];
		uint64_t end;

		if (e->fd < 0 || !e->len || e->len % SECTOR ||
		    !num_add(e->offset, e->len, &end) || end > INT64_MAX)
			return err_set(err, -EINVAL, "extent %u is malformed",
			               i);
		x->e[i] = (struct extent){x->d.size, *e};
		if (!num_add(x->d.size, e->len, &x->d.size) ||
		    x->d.size > INT64_MAX)
			return err_set(err, -EINVAL, "it is too large");
	}
	x->n = n;
	x->unsynced = true; /* whoever made the file need not have synced it */
	x->d.ops = &extents_ops;
	x->d.read_only = read_only;
	*ret = &take_ptr(x)->d;
	return 0;
}

int disk_open_raw(int fd, bool read_only, struct disk **ret, struct err *err)
{
	uint64_t len = 0;
	int r = file_length(fd, &len);

	if (r < 0)
		return err_set(err, r, "cannot tell its size: %s",
		               strerror(-r));
	if (!len || len % SECTOR)
		return err_set(err, -EINVAL,
		               "its size, %llu bytes, is no multiple of %u",
		               (unsigned long long)len, SECTOR);
	return disk_open_extents(&(struct disk_extent){fd, 0, len}, 1,
	                         read_only, ret, err);
}
