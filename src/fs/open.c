/* open.c - OPEN and RELEASE of files. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/server.h"

#include "base/banned.h"

/*
 * Whether the guest's cache of the data is still good: nobody else changed the
 * file since the guest last opened it. What it reads from now on is of now.
 */
static uint32_t cache_flags(struct req *q, struct node *n,
                            const struct stat *st)
{
	switch (q->share->cfg.cache) {
	case FS_CACHE_NONE:
		return FOPEN_DIRECT_IO;
	case FS_CACHE_ALWAYS:
		return FOPEN_KEEP_CACHE;
	case FS_CACHE_AUTO:
		break;
	}
	return seen_open(n, st) ? FOPEN_KEEP_CACHE : 0;
}

int open_answer(struct req *q, struct node *n, const struct view *v, int fd,
                uint32_t flags, struct fuse_open_out *ret)
{
	struct handle *h;
	uint64_t fh;
	int r = handle_new(q->fs, n, HANDLE_FILE, fd, &fh);

	if (r < 0) {
		(void)close(fd);
		return r;
	}
	h = handle_at(q->fs, fh, n, HANDLE_FILE);
	h->access = flags & O_ACCMODE;
	h->append = flags & O_APPEND;
	*ret = (struct fuse_open_out){
		.fh = fh,
		.open_flags = cache_flags(q, n, &v->host),
	};
	return 0;
}

/* O_TRUNC, once the file is open. */
static int empty(struct req *q, int fd, struct view *v)
{
	int r = change_size(q->share, q->node, fd, 0);

	if (r == 0)
		r = drop_privileges(q->fs, q->node, fd,
		                    q->a.open.open_flags &
		                            FUSE_OPEN_KILL_SUIDGID);
	return r < 0 || fstat(fd, &v->host) == 0 ? r : -errno;
}

static int check_open(const struct req *q, const struct view *v)
{
	uint32_t flags = q->a.open.flags;

	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	if (q->share->cfg.read_only &&
	    ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC))
		return -EROFS;
	if (S_ISDIR(v->host.st_mode))
		return -EISDIR;
	/* A device of the guest's is nothing that has data. */
	return S_ISREG(v->host.st_mode) && S_ISREG(v->st.st_mode) ? 0 : -EPERM;
}

int op_open(struct req *q)
{
	cleanup_close int fd = -1;
	uint32_t flags = q->a.open.flags;
	struct fuse_open_out out;
	struct view v;
	int r;

	if (!q->share)
		return -EISDIR;
	if (q->in->len < sizeof(out))
		return -EINVAL;
	r = node_fd_view(q->fs, q->node, &v);
	if (r >= 0)
		r = check_open(q, &v);
	if (r == 0 && ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC))
		r = take_bits(q->fs, q->node, &v);
	if (r < 0)
		return r;
	/* Linux lets O_RDONLY | O_TRUNC through; the host must be asked to. */
	fd = node_reopen(q->fs, q->node,
	                 flags & O_TRUNC && (flags & O_ACCMODE) == O_RDONLY
	                         ? O_RDWR
	                         : (int)(flags & O_ACCMODE));
	if (fd < 0)
		return fd;
	if (flags & O_TRUNC) {
		r = empty(q, fd, &v);
		if (r < 0)
			return r;
	}
	r = open_answer(q, q->node, &v, take_fd(fd), flags, &out);
	return r < 0 ? r : req_put(q, &out, sizeof(out));
}

int op_release(struct req *q)
{
	if (!handle_at(q->fs, q->a.release.fh, NULL, HANDLE_FILE))
		return -EBADF;
	handle_free(q->fs, q->a.release.fh);
	return 0;
}
