/*
 * data.c - what is in files: the bytes go straight between the guest's memory
 * and the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "fs/server.h"

#include "base/banned.h"

/* A copy answers in time: the guest asks on for the rest. */
#define COPY_MAX (64 * MIB)

static int fit(uint64_t offset, uint64_t len)
{
	uint64_t end;

	return num_add(offset, len, &end) && end <= INT64_MAX ? 0 : -EFBIG;
}

int op_read(struct req *q)
{
	const struct fuse_read_in *a = &q->a.read;
	struct handle *h = handle_get(q, a->fh, HANDLE_FILE);
	ssize_t n;

	if (!h || h->access == O_WRONLY)
		return -EBADF;
	if (a->size > q->in->len || a->offset > INT64_MAX)
		return -EINVAL;
	iov_keep(q->in, a->size);
	n = preadv(h->fd, q->in->v, (int)q->in->n, (off_t)a->offset);
	if (n < 0)
		return -errno;
	q->body = (uint32_t)n;
	q->fs->read_bytes += (uint64_t)n;
	return 0;
}

/*
 * A change to @fd by the guest: room is taken before and settled after, and
 * the guest's cache stays good if it was.
 */
struct change {
	struct share *share;
	struct node *node;
	int fd;
	uint64_t taken;
	struct stat before;
	bool seen;
	bool append; /* it goes to the end, whatever the offset */
};

/*
 * Whether the file has blocks for all of that already. How many it has says
 * nothing: they may be beyond its end.
 */
static bool is_there(int fd, const struct stat *st, uint64_t offset,
                     uint64_t len)
{
	off_t hole;

	if (offset + len > (uint64_t)st->st_size)
		return false;
	hole = lseek(fd, (off_t)offset, SEEK_HOLE);
	return hole >= 0 && (uint64_t)hole >= offset + len;
}

static int take_room(struct change *c, uint64_t offset, uint64_t len)
{
	int r;

	if (!len)
		return 0;
	c->taken = quota_room(offset, len);
	r = quota_take(&c->share->quota, c->taken);
	if (r == 0)
		return 0;
	c->taken = 0;
	return !c->append && is_there(c->fd, &c->before, offset, len) ? 0 : r;
}

/* At most @len bytes at @offset are filled; then change_end() must follow. */
static int change_begin(struct change *c, uint64_t offset, uint64_t len)
{
	int r;

	quota_lock(&c->share->quota, c->node->ino);
	r = fstat(c->fd, &c->before) < 0 ? -errno : take_room(c, offset, len);
	if (r < 0)
		quota_unlock(&c->share->quota, c->node->ino);
	c->seen = r == 0 && seen_is(c->node, &c->before);
	return r;
}

static void change_end(struct change *c)
{
	struct stat st;

	if (fstat(c->fd, &st) < 0)
		st = c->before;
	quota_settle(&c->share->quota, c->taken, view_bytes(&c->before),
	             view_bytes(&st));
	quota_unlock(&c->share->quota, c->node->ino);
	if (c->seen)
		seen_set(c->node, &st);
}

/* Make it longer or shorter: a hole costs nothing. */
int change_size(struct share *share, struct node *n, int fd, uint64_t size)
{
	struct change c = {.share = share, .node = n, .fd = fd};
	int r = change_begin(&c, 0, 0);

	if (r < 0)
		return r;
	if (ftruncate(fd, (off_t)size) < 0)
		r = -errno;
	change_end(&c);
	return r;
}

/*
 * Where no flag says so: Linux lets who has CAP_FSETID keep the bits, and in
 * the guest that is root.
 */
static bool is_user(const struct req *q)
{
	return q->h.uid != 0;
}

static int drop_on_write(struct req *q, struct handle *h, bool kill)
{
	int r;

	if (h->caps_checked && !kill)
		return 0;
	r = drop_privileges(q->fs, q->node, h->fd, kill);
	if (r == 0)
		h->caps_checked = true;
	return r;
}

/* The guest's kernel gives a cached page with any handle: not at the end. */
static int write_flags(const struct handle *h, const struct fuse_write_in *a)
{
	bool append = h->append || a->flags & O_APPEND;

	return append && !(a->write_flags & FUSE_WRITE_CACHE) ? RWF_APPEND : 0;
}

int op_write(struct req *q)
{
	const struct fuse_write_in *a = &q->a.write;
	struct handle *h = handle_get(q, a->fh, HANDLE_FILE);
	struct fuse_write_out out = {0};
	struct change c;
	ssize_t n;
	int r;

	if (!h || h->access == O_RDONLY)
		return -EBADF;
	if (a->size != q->out->len || q->in->len < sizeof(out))
		return -EINVAL;
	c = (struct change){.share = q->share,
	                    .node = q->node,
	                    .fd = h->fd,
	                    .append = write_flags(h, a) & RWF_APPEND};
	r = fit(a->offset, a->size);
	if (r == 0)
		r = drop_on_write(q, h,
		                  a->write_flags & FUSE_WRITE_KILL_SUIDGID);
	if (r == 0)
		r = change_begin(&c, a->offset, a->size);
	if (r < 0)
		return r;
	n = pwritev2(h->fd, q->out->v, (int)q->out->n, (off_t)a->offset,
	             write_flags(h, a));
	if (n < 0)
		r = -errno;
	change_end(&c);
	if (r < 0)
		return r;
	out.size = (uint32_t)n;
	q->fs->write_bytes += (uint64_t)n;
	return req_put(q, &out, sizeof(out));
}

#define FALLOC_KNOWN                                                           \
	(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE |   \
	 FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)
#define FALLOC_SHRINKS (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE)

int op_fallocate(struct req *q)
{
	const struct fuse_fallocate_in *a = &q->a.fallocate;
	struct handle *h = handle_get(q, a->fh, HANDLE_FILE);
	struct change c;
	int r;

	if (!h || h->access == O_RDONLY)
		return -EBADF;
	if (a->mode & ~(uint32_t)FALLOC_KNOWN)
		return -EOPNOTSUPP;
	r = fit(a->offset, a->length);
	if (r == 0)
		r = drop_on_write(q, h, is_user(q));
	if (r < 0)
		return r;
	c = (struct change){.share = q->share, .node = q->node, .fd = h->fd};
	r = change_begin(&c, a->offset,
	                 a->mode & FALLOC_SHRINKS ? 0 : a->length);
	if (r < 0)
		return r;
	if (fallocate(h->fd, (int)a->mode, (off_t)a->offset, (off_t)a->length) <
	    0)
		r = -errno;
	change_end(&c);
	return r;
}

int op_lseek(struct req *q)
{
	const struct fuse_lseek_in *a = &q->a.lseek;
	struct handle *h = handle_get(q, a->fh, HANDLE_FILE);
	struct fuse_lseek_out out;
	off_t at;

	if (!h)
		return -EBADF;
	if ((a->whence != SEEK_DATA && a->whence != SEEK_HOLE) ||
	    a->offset > INT64_MAX)
		return -EINVAL;
	at = lseek(h->fd, (off_t)a->offset, (int)a->whence);
	if (at < 0)
		return -errno;
	out.offset = (uint64_t)at;
	return req_put(q, &out, sizeof(out));
}

/* The file that COPY_FILE_RANGE writes to. */
static int copy_target(struct req *q, struct change *c, struct handle **ret)
{
	const struct fuse_copy_file_range_in *a = &q->a.copy;

	c->node = node_by_id(q->fs, a->nodeid_out);
	c->share = c->node ? node_share(q->fs, c->node) : NULL;
	*ret = c->node ? handle_at(q->fs, a->fh_out, c->node, HANDLE_FILE)
	               : NULL;
	if (!*ret || (*ret)->access == O_RDONLY)
		return -EBADF;
	c->fd = (*ret)->fd;
	return c->share->cfg.read_only ? -EROFS : 0;
}

int op_copy(struct req *q)
{
	const struct fuse_copy_file_range_in *a = &q->a.copy;
	struct handle *from = handle_get(q, a->fh_in, HANDLE_FILE), *to;
	off_t in = (off_t)a->off_in, out = (off_t)a->off_out;
	uint64_t len = MIN(a->len, COPY_MAX);
	struct fuse_write_out answer = {0};
	struct change c = {0};
	ssize_t n;
	int r;

	if (!from || from->access == O_WRONLY)
		return -EBADF;
	r = copy_target(q, &c, &to);
	if (r == 0 && (a->flags || q->in->len < sizeof(answer)))
		r = -EINVAL;
	if (r == 0)
		r = fit(a->off_in, len);
	if (r == 0)
		r = fit(a->off_out, len);
	if (r == 0)
		r = drop_privileges(q->fs, c.node, c.fd, is_user(q));
	if (r == 0)
		r = change_begin(&c, a->off_out, len);
	if (r < 0)
		return r;
	n = copy_file_range(from->fd, &in, c.fd, &out, len, 0);
	if (n < 0)
		r = -errno;
	change_end(&c);
	if (r < 0)
		return r;
	answer.size = (uint32_t)n;
	return req_put(q, &answer, sizeof(answer));
}

static int sync_fd(int fd, uint32_t flags)
{
	int r = flags & FUSE_FSYNC_FDATASYNC ? fdatasync(fd) : fsync(fd);

	return r < 0 ? -errno : 0;
}

int op_fsync(struct req *q)
{
	struct handle *h = handle_get(q, q->a.fsync.fh, HANDLE_FILE);

	return h ? sync_fd(h->fd, q->a.fsync.fsync_flags) : -EBADF;
}

int op_fsyncdir(struct req *q)
{
	struct handle *h = handle_get(q, q->a.fsync.fh, HANDLE_DIR);

	if (!h)
		return -EBADF;
	return h->fd < 0 ? 0 : sync_fd(h->fd, q->a.fsync.fsync_flags);
}

/* The guest's sync(): of all that it may have written to. */
int op_syncfs(struct req *q)
{
	for (size_t i = 0; i < q->fs->nshares; i++) {
		const struct share *s = &q->fs->shares[i];
		cleanup_close int fd = -1;

		if (s->cfg.read_only)
			continue;
		fd = node_reopen(q->fs, s->root, O_RDONLY);
		if (fd < 0)
			return fd;
		if (syncfs(fd) < 0)
			return -errno;
	}
	return 0;
}
