/*
 * node_fd.c - descriptors of nodes: a bounded cache, and the way back to a
 * file whose descriptor was closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/num.h"
#include "base/openat2.h"
#include "fs/server.h"

#include "base/banned.h"

/* A longer way back is given up: the guest built a well. */
#define CHAIN_MAX 65536u

static void list_remove(struct fs *fs, struct node *n)
{
	*(n->newer ? &n->newer->older : &fs->newest) = n->older;
	*(n->older ? &n->older->newer : &fs->oldest) = n->newer;
	n->newer = n->older = NULL;
	fs->nfds--;
}

static void list_add(struct fs *fs, struct node *n)
{
	n->newer = NULL;
	n->older = fs->newest;
	*(fs->newest ? &fs->newest->newer : &fs->oldest) = n;
	fs->newest = n;
	fs->nfds++;
}

static void touch(struct fs *fs, struct node *n)
{
	if (n->flags & NODE_PINNED || fs->newest == n)
		return;
	list_remove(fs, n);
	list_add(fs, n);
}

void node_close(struct fs *fs, struct node *n)
{
	if (n->fd < 0 || n->flags & NODE_PERMANENT)
		return;
	if (n->flags & NODE_PINNED)
		fs->npins--;
	else
		list_remove(fs, n);
	n->flags &= (uint8_t)~NODE_PINNED;
	(void)close(n->fd);
	n->fd = -1;
}

void node_end(struct fs *fs, struct node *n)
{
	struct stat st;

	if (n->flags & NODE_GONE && n->fd >= 0 && fstat(n->fd, &st) == 0 &&
	    st.st_nlink == 0)
		quota_give(&fs->shares[n->share].quota, view_bytes(&st));
	node_close(fs, n);
}

static void evict(struct fs *fs, uint32_t down_to)
{
	while (fs->nfds > down_to && fs->oldest)
		node_close(fs, fs->oldest);
}

void node_give_fd(struct fs *fs, struct node *n, int fd)
{
	if (n->fd >= 0) {
		(void)close(fd);
		return;
	}
	n->fd = fd;
	list_add(fs, n);
	evict(fs, fs->fds_max);
}

int node_pin(struct fs *fs, struct node *n)
{
	int fd;

	if (n->flags & NODE_PINNED)
		return 0;
	if (fs->npins >= fs->pins_max)
		return -EMFILE;
	fd = node_fd(fs, n);
	if (fd < 0)
		return fd;
	list_remove(fs, n);
	n->flags |= NODE_PINNED;
	fs->npins++;
	return 0;
}

void node_unpin(struct fs *fs, struct node *n)
{
	if (!(n->flags & NODE_PINNED) || n->flags & NODE_PERMANENT)
		return;
	n->flags &= (uint8_t)~NODE_PINNED;
	fs->npins--;
	list_add(fs, n);
}

bool share_is_proc(int fd)
{
	struct statfs s;

	return fstatfs(fd, &s) < 0 || s.f_type == PROC_SUPER_MAGIC;
}

int node_open_entry(int dir_fd, const char *name, int flags, uint32_t mode)
{
	return open_resolved(dir_fd, name, flags | O_NOFOLLOW, mode,
	                     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
	                             RESOLVE_NO_MAGICLINKS);
}

/* The same; room is made once when there are no descriptors left. */
static int open_path(struct fs *fs, int dir_fd, const char *name)
{
	int fd = node_open_entry(dir_fd, name, O_PATH, 0);

	if (fd == -EMFILE && fs->nfds > FDS_MIN) {
		fs->fds_max = MAX(fs->nfds / 2, FDS_MIN);
		evict(fs, fs->fds_max);
		fd = node_open_entry(dir_fd, name, O_PATH, 0);
	}
	return fd;
}

static bool is_gone(int r)
{
	return r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -EXDEV;
}

/*
 * Open the @n names of @chain below @fd, as many at once as a path can have.
 * The names come last first.
 */
static int walk_names(struct fs *fs, int fd, struct node *const *chain,
                      size_t n)
{
	cleanup_close int owned = -1;
	char path[PATH_MAX];

	while (n) {
		size_t len = 0;
		int next;

		while (n) {
			size_t part = strlen(chain[n - 1]->name);

			if (len + part + 2 > sizeof(path))
				break;
			if (len)
				path[len++] = '/';
			memcpy(path + len, chain[n - 1]->name, part);
			len += part;
			n--;
		}
		path[len] = '\0';
		next = open_path(fs, fd, path);
		if (next < 0)
			return is_gone(next) ? -ESTALE : next;
		close_fd(&owned);
		fd = owned = next;
	}
	return take_fd(owned);
}

static int walk_chain(struct fs *fs, struct node *n, size_t len)
{
	cleanup_free struct node **chain = calloc(len, sizeof(*chain));

	if (!chain)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++, n = n->parent)
		chain[i] = n;
	return walk_names(fs, n->fd, chain, len);
}

/* From the nearest ancestor that is open. */
static int walk(struct fs *fs, struct node *n)
{
	const struct node *p = n;
	size_t len = 0;

	for (; p->fd < 0; p = p->parent)
		if (!p->parent || ++len > CHAIN_MAX)
			return -ESTALE;
	if (len == 1)
		return walk_names(fs, p->fd, &n, 1);
	return walk_chain(fs, n, len);
}

/* What @fd is, if it is that file. */
static int check_same(int fd, const struct node *n, struct view *ret)
{
	struct owner_file f = {.fd = fd, .is_path = true};
	int r = view_take(&f, ret);

	return r < 0 ? r : node_is(n, ret) ? 0 : -ESTALE;
}

/* Open it: @ret is what it is now. */
static int open_again(struct fs *fs, struct node *n, struct view *ret)
{
	cleanup_close int fd = -1;
	int r;

	if (n == &fs->root)
		return -EPERM;
	fd = walk(fs, n);
	if (fd < 0)
		return fd;
	r = check_same(fd, n, ret);
	if (r < 0)
		return r;
	node_give_fd(fs, n, take_fd(fd));
	return n->fd;
}

/*
 * A folder that somebody moved out of the share on the host, while we have a
 * descriptor of it: of what comes into it there nothing is for the guest. A
 * share is a mount of its own (vmm/jail_share.c), out of which ".." finds no
 * way. Asked once a second. Where it is no mount of its own that is not seen,
 * and the folder is lost when its descriptor is closed.
 */
static bool is_outside(struct node *n)
{
	struct timespec now;
	struct statx x;

	if (n->type != S_IFDIR || n->flags & NODE_PERMANENT)
		return false;
	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (n->checked == (uint32_t)now.tv_sec)
		return false;
	if (statx(n->fd, "..", AT_NO_AUTOMOUNT, STATX_TYPE, &x) < 0 &&
	    errno == ENOENT)
		return true;
	n->checked = (uint32_t)now.tv_sec;
	return false;
}

int node_fd(struct fs *fs, struct node *n)
{
	struct view v;

	if (n->flags & NODE_STALE)
		return -ESTALE;
	if (n->fd < 0)
		return open_again(fs, n, &v);
	if (is_outside(n))
		return -ESTALE;
	touch(fs, n);
	return n->fd;
}

int node_fd_view(struct fs *fs, struct node *n, struct view *ret)
{
	struct owner_file f = {.proc_fd = fs->proc_fd, .is_path = true};
	int r = 0;

	if (n->flags & NODE_STALE)
		return -ESTALE;
	f.fd = n->fd;
	if (n->fd < 0) {
		f.fd = open_again(fs, n, ret);
	} else {
		touch(fs, n);
		r = check_same(n->fd, n, ret);
	}
	if (f.fd < 0 || r < 0)
		return r < 0 ? r : f.fd;
	view_show(fs, node_share(fs, n), &f, n, ret);
	return f.fd;
}

int node_dir_fd(struct fs *fs, struct node *n)
{
	if (n->type != S_IFDIR)
		return -ENOTDIR;
	return node_fd(fs, n);
}

int node_place(struct fs *fs, struct node *n, struct owner_file *ret)
{
	int fd;

	*ret = (struct owner_file){.proc_fd = fs->proc_fd, .is_path = true};
	if (n->fd < 0 && n->parent && n->parent != &fs->root &&
	    !(n->flags & NODE_STALE)) {
		fd = node_fd(fs, n->parent);
		ret->name = n->name;
	} else {
		fd = node_fd(fs, n);
	}
	ret->fd = fd;
	return fd < 0 ? fd : 0;
}

/*
 * A file of ours that its own mode keeps from us, as 0444 does from writing:
 * in the guest root may, and the guest has checked who asks. So the mode is
 * another one while it is opened.
 */
static int open_against_mode(struct fs *fs, int fd, const char *number,
                             int flags)
{
	struct stat st;
	mode_t mode;
	int got;

	if (fstat(fd, &st) < 0)
		return -errno;
	mode = st.st_mode & 07777;
	if ((mode & 0600) == 0600 ||
	    fchmodat(fs->proc_fd, number, mode | 0600, 0) < 0)
		return -EACCES;
	got = openat(fs->proc_fd, number, flags);
	got = got < 0 ? -errno : got;
	if (fchmodat(fs->proc_fd, number, mode, 0) < 0)
		log_limited(LOG_WARN, "fs: the mode of a file stays %o: %s",
		            (unsigned)(mode | 0600), strerror(errno));
	return got;
}

int node_reopen(struct fs *fs, struct node *n, int flags)
{
	char number[16];
	int fd = node_fd(fs, n), got;

	if (fd < 0)
		return fd;
	if (n->type != S_IFREG && n->type != S_IFDIR)
		return -EPERM;
	flags |= O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	(void)snprintf(number, sizeof(number), "%d", fd);
	got = openat(fs->proc_fd, number, flags);
	got = got < 0 ? -errno : got;
	if (got == -EACCES && n->type == S_IFREG &&
	    !node_share(fs, n)->cfg.read_only)
		got = open_against_mode(fs, fd, number, flags);
	return got;
}
