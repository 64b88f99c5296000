/* attr.c - GETATTR, SETATTR, READLINK, STATFS. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "fs/server.h"

#include "base/banned.h"

static int answer_attr(struct req *q, const struct view *v)
{
	struct fuse_attr_out out = {.attr_valid = share_timeout(q->share)};

	wire_attr(q->fs, &v->st, &out.attr);
	return req_put(q, &out, sizeof(out));
}

/* By an open file: it may have no name any more. */
static int view_handle(struct req *q, const struct handle *h, struct view *v)
{
	struct owner_file f = {.fd = h->fd, .proc_fd = q->fs->proc_fd};
	int r = view_take(&f, v);

	if (r == 0)
		view_show(q->fs, q->share, &f, q->node, v);
	return r;
}

static int view_req(struct req *q, bool has_fh, uint64_t fh, struct view *v)
{
	const struct handle *h = NULL;

	if (has_fh)
		h = handle_get(q, fh, HANDLE_FILE);
	return h ? view_handle(q, h, v) : view_node(q->fs, q->node, v);
}

int op_getattr(struct req *q)
{
	const struct fuse_getattr_in *a = &q->a.getattr;
	struct view v;
	int r = view_req(q, a->getattr_flags & FUSE_GETATTR_FH, a->fh, &v);

	return r < 0 ? r : answer_attr(q, &v);
}

/* A handle that may write, or the file opened for this. */
static int truncation_fd(struct req *q, int *ret_owned)
{
	const struct fuse_setattr_in *a = &q->a.setattr;
	const struct handle *h = NULL;

	if (a->valid & FATTR_FH)
		h = handle_get(q, a->fh, HANDLE_FILE);
	if (h && h->access != O_RDONLY)
		return h->fd;
	*ret_owned = node_reopen(q->fs, q->node, O_WRONLY);
	return *ret_owned;
}

static int set_size(struct req *q, const struct view *v)
{
	const struct fuse_setattr_in *a = &q->a.setattr;
	cleanup_close int owned = -1;
	int fd, r;

	if (!S_ISREG(v->host.st_mode) || !S_ISREG(v->st.st_mode))
		return S_ISDIR(v->host.st_mode) ? -EISDIR : -EINVAL;
	if (a->size > INT64_MAX)
		return -EFBIG;
	r = take_bits(q->fs, q->node, v);
	if (r < 0)
		return r;
	fd = truncation_fd(q, &owned);
	if (fd < 0)
		return fd;
	r = change_size(q->share, q->node, fd, a->size);
	return r < 0 ? r
	             : drop_privileges(q->fs, q->node, fd,
	                               a->valid & FATTR_KILL_SUIDGID);
}

/* Linux's rules for chmod() and chown(). */
static int set_owner(struct req *q, const struct view *v)
{
	const struct fuse_setattr_in *a = &q->a.setattr;
	struct owner want = {v->st.st_uid, v->st.st_gid, v->st.st_mode,
	                     (uint32_t)v->st.st_rdev};
	bool chown = a->valid & (FATTR_UID | FATTR_GID);
	int r;

	if (a->valid & FATTR_UID)
		want.uid = a->uid;
	if (a->valid & FATTR_GID)
		want.gid = a->gid;
	if (chown && !S_ISDIR(want.mode)) {
		want.mode &= ~(uint32_t)S_ISUID;
		if (want.mode & S_IXGRP)
			want.mode &= ~(uint32_t)S_ISGID;
	}
	if (a->valid & FATTR_MODE) {
		if (S_ISLNK(v->host.st_mode))
			return -EOPNOTSUPP;
		want.mode = (want.mode & S_IFMT) | (a->mode & 07777);
	}
	r = change_owner(q->fs, q->node, v, &want);
	if (r == 0 && chown)
		r = drop_privileges(q->fs, q->node, -1, false);
	return r;
}

static int time_of(uint32_t valid, uint32_t set, uint32_t now, uint64_t sec,
                   uint32_t nsec, struct timespec *ret)
{
	*ret = (struct timespec){.tv_nsec = UTIME_OMIT};
	if (valid & now)
		ret->tv_nsec = UTIME_NOW;
	else if (valid & set)
		*ret = (struct timespec){.tv_sec = (time_t)sec,
		                         .tv_nsec = (long)nsec};
	return valid & set && !(valid & now) && nsec >= NS_PER_S ? -EINVAL : 0;
}

static int set_times(struct req *q)
{
	const struct fuse_setattr_in *a = &q->a.setattr;
	struct timespec ts[2];
	bool seen = false;
	struct view v;
	int fd, r;

	r = time_of(a->valid, FATTR_ATIME, FATTR_ATIME_NOW, a->atime,
	            a->atimensec, &ts[0]);
	if (r == 0)
		r = time_of(a->valid, FATTR_MTIME, FATTR_MTIME_NOW, a->mtime,
		            a->mtimensec, &ts[1]);
	if (r < 0)
		return r;
	fd = node_fd(q->fs, q->node);
	if (fd < 0)
		return fd;
	/* The same data under another time. */
	if (q->node->flags & NODE_SEEN && view_node(q->fs, q->node, &v) == 0)
		seen = seen_is(q->node, &v.host);
	if (utimensat(fd, "", ts, AT_EMPTY_PATH) < 0)
		return -errno;
	if (seen && view_node(q->fs, q->node, &v) == 0)
		seen_set(q->node, &v.host);
	return 0;
}

#define OWNER_BITS (FATTR_MODE | FATTR_UID | FATTR_GID)
#define TIME_BITS                                                              \
	(FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW | FATTR_MTIME_NOW)

int op_setattr(struct req *q)
{
	const struct fuse_setattr_in *a = &q->a.setattr;
	bool has_fh = a->valid & FATTR_FH;
	struct view v;
	int r = view_req(q, has_fh, a->fh, &v);

	if (q->in->len < sizeof(struct fuse_attr_out))
		return -EINVAL;
	if (r == 0 && a->valid & FATTR_SIZE)
		r = set_size(q, &v);
	if (r == 0 && a->valid & OWNER_BITS)
		r = set_owner(q, &v);
	if (r == 0 && a->valid & TIME_BITS)
		r = set_times(q);
	if (r == 0)
		r = view_req(q, has_fh, a->fh, &v);
	return r < 0 ? r : answer_attr(q, &v);
}

int op_readlink(struct req *q)
{
	char text[PATH_MAX];
	struct owner_file f;
	ssize_t n;
	int r;

	if (q->node->type != S_IFLNK)
		return -EINVAL;
	r = node_place(q->fs, q->node, &f);
	if (r < 0)
		return r;
	n = readlinkat(f.fd, f.name ? f.name : "", text, sizeof(text));
	if (n < 0) /* another file is there now */
		return errno == EINVAL || errno == ENOENT ? -ESTALE : -errno;
	return req_put(q, text, MIN((size_t)n, sizeof(text) - 1));
}

/* What a share may take is what there is. */
static void limit_blocks(const struct share *share, struct fuse_kstatfs *st)
{
	uint64_t used, limit, left;

	if (!st->bsize || !quota_state(&share->quota, &used, &limit))
		return;
	left = used < limit ? (limit - used) / st->bsize : 0;
	st->blocks = limit / st->bsize;
	st->bfree = MIN(st->bfree, left);
	st->bavail = MIN(st->bavail, left);
}

int op_statfs(struct req *q)
{
	struct fuse_statfs_out out = {
		.st = {.bsize = 4096, .frsize = 4096, .namelen = 255}
        };
	struct statfs host;

	if (!q->share)
		return req_put(q, &out, sizeof(out));
	if (fstatfs(q->share->cfg.fd, &host) < 0)
		return -errno;
	out.st = (struct fuse_kstatfs){
		.blocks = host.f_blocks,
		.bfree = host.f_bfree,
		.bavail = host.f_bavail,
		.files = host.f_files,
		.ffree = host.f_ffree,
		.bsize = (uint32_t)host.f_bsize,
		.frsize = (uint32_t)host.f_bsize,
		.namelen = (uint32_t)MIN((uint64_t)host.f_namelen,
	                                 (uint64_t)WIRE_NAME_MAX),
	};
	limit_blocks(q->share, &out.st);
	return req_put(q, &out, sizeof(out));
}
