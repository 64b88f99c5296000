#include "files/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/magic.h>

#include "base/num.h"
#include "base/openat2.h"
#include "files/links.h"
#include "files/name.h"
#include "files/xattrs.h"

#include "base/banned.h"

#define PROC_MAX (64 * MIB)

struct frame {
	struct frame *up;
	struct files_names names;
	size_t next;
	dev_t dev;
	ino_t ino;
	size_t path_len; /* of the walk's path, that is this folder's */
	int root_fd;     /* what the path is below; -1: the walk's own */
	bool switched;   /* it is another one */
};

struct walk {
	const struct files_walk_hooks *hooks;
	const struct files_sink *sink;
	struct err *err;
	const char *from; /* as it was asked for, for errors at the root */
	int root_fd, dir_fd;
	bool devices;
	struct frame *top;
	char path[FILES_PATH_MAX];
	size_t path_len;
	char target[FILES_PATH_MAX];
	struct buf xattrs;
	struct files_links links;
};

/* ---- folders ------------------------------------------------------------- */

void files_names_release(struct files_names *n)
{
	free(n->text);
	free(n->v);
	*n = (struct files_names){0};
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int gather(DIR *dir, struct buf *text, size_t *ret_n)
{
	struct dirent *d;

	for (errno = 0; (d = readdir(dir)); errno = 0) {
		int r = 0;

		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			r = buf_add(text, d->d_name, strlen(d->d_name) + 1);
		else
			continue;
		if (r < 0)
			return r;
		++*ret_n;
	}
	return -errno;
}

int files_names_read(int fd, struct files_names *ret)
{
	struct buf cleanup_buf text = BUF_INIT_MAX(FILES_NAMES_MAX);
	struct files_names names = {0};
	DIR *dir = fdopendir(fd);
	char *p;
	int r;

	if (!dir) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	r = gather(dir, &text, &names.n);
	(void)closedir(dir);
	if (r < 0)
		return r;
	names.v = calloc(names.n + 1, sizeof(*names.v));
	if (!names.v)
		return -ENOMEM;
	names.text = buf_steal(&text);
	p = names.text;
	for (size_t i = 0; i < names.n; i++, p += strlen(p) + 1)
		names.v[i] = p;
	qsort(names.v, names.n, sizeof(*names.v), compare);
	*ret = names;
	return 0;
}

/* Those of the kernel's file systems whose files are made up as they are read.
 */
static bool is_made_up(int fd)
{
	static const uint32_t types[] = {
		PROC_SUPER_MAGIC,
		SYSFS_MAGIC,
		DEVPTS_SUPER_MAGIC,
		CGROUP_SUPER_MAGIC,
		CGROUP2_SUPER_MAGIC,
		DEBUGFS_MAGIC,
		TRACEFS_MAGIC,
		SECURITYFS_MAGIC,
		BPF_FS_MAGIC,
		PSTOREFS_MAGIC,
		EFIVARFS_MAGIC,
		BINFMTFS_MAGIC,
		0x19800202 /* mqueue */,
		0x62656570 /* configfs */,
	};
	struct statfs s;

	if (fstatfs(fd, &s) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if ((uint32_t)s.f_type == types[i])
			return true;
	return false;
}

static int fail(struct walk *w, int r, const char *what)
{
	return err_set(w->err, r, "cannot %s %s: %s", what,
	               w->path_len ? w->path : w->from, strerror(-r));
}

static int step(struct walk *w)
{
	int r = w->hooks->step ? w->hooks->step(w->hooks->arg) : 0;

	return r ? err_set(w->err, r < 0 ? r : -ECANCELED, "cancelled") : 0;
}

/* ---- one file ------------------------------------------------------------ */

int files_describe(int dir_fd, const char *name, bool follow, char *target,
                   struct proto_file_entry *ret)
{
	struct stat st;
	ssize_t n = 0;
	int flags = follow ? 0 : AT_SYMLINK_NOFOLLOW;

	if (fstatat(dir_fd, name, &st, flags | (*name ? 0 : AT_EMPTY_PATH)) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode)) {
		n = readlinkat(dir_fd, name, target, FILES_PATH_MAX - 1);
		if (n < 0)
			return -errno;
	}
	target[n] = '\0';
	*ret = (struct proto_file_entry){
		.path = name,
		.target = target,
		.mode = st.st_mode,
		.uid = st.st_uid,
		.gid = st.st_gid,
		.nlink = (uint32_t)MIN(st.st_nlink, UINT32_MAX),
		.rdev_major = major(st.st_rdev),
		.rdev_minor = minor(st.st_rdev),
		.size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0,
		.allocated = (uint64_t)st.st_blocks * 512,
		.mtime_s = (uint64_t)st.st_mtim.tv_sec,
		.mtime_ns = (uint32_t)st.st_mtim.tv_nsec,
	};
	return 0;
}

/*
 * Where the next bytes that are no hole begin and end. Both are @end, or where
 * the file ends by now, when there are none.
 */
static void next_data(int fd, uint64_t off, uint64_t end, uint64_t *ret_off,
                      uint64_t *ret_end)
{
	off_t at = lseek(fd, (off_t)off, SEEK_DATA), to;

	if (at < 0 && errno == ENXIO) {
		at = lseek(fd, 0, SEEK_END);
		end = at < 0 ? end : MIN(end, MAX(off, (uint64_t)at));
		at = (off_t)end;
	} else if (at < 0) {
		at = (off_t)off; /* cannot say */
	}
	to = lseek(fd, at, SEEK_HOLE);
	*ret_off = MIN((uint64_t)at, end);
	*ret_end = to <= at ? end : MIN((uint64_t)to, end);
}

struct reading {
	int fd;
	uint64_t off, end, piece_end;
	bool sparse;
	uint8_t *chunk;
};

static int read_piece(struct reading *r, const struct files_sink *sink,
                      bool *ret_end, struct err *err)
{
	uint64_t left;
	ssize_t n;

	if (r->sparse && r->off >= r->piece_end)
		next_data(r->fd, r->off, r->end, &r->off, &r->piece_end);
	left = (r->sparse ? r->piece_end : r->end) - r->off;
	*ret_end = left == 0;
	if (left == 0)
		return 0;
	do
		n = pread(r->fd, r->chunk, MIN(left, PROTO_FILE_MAX),
		          (off_t)r->off);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	*ret_end = n == 0; /* it shrinks */
	if (n == 0)
		return 0;
	r->off += (uint64_t)n;
	return sink->data(sink->arg, r->off - (uint64_t)n, r->chunk,
	                  (uint32_t)n, err) < 0
	               ? -ECANCELED
	               : 0;
}

int files_read(int fd, uint64_t off, uint64_t size, const char *path,
               int (*on_step)(void *arg), void *step_arg,
               const struct files_sink *sink, struct err *err)
{
	cleanup_free uint8_t *chunk = malloc(PROTO_FILE_MAX);
	struct err local = {0};
	struct reading rd = {fd,  off,      off + (size ? size : PROC_MAX),
	                     off, size > 0, chunk};
	bool end = false;
	int r = chunk ? 0 : -ENOMEM;

	while (r == 0 && !end) {
		r = read_piece(&rd, sink, &end, &local);
		if (r == 0 && on_step && on_step(step_arg) != 0)
			return err_set(err, -ECANCELED, "cancelled");
	}
	if (local.code) {
		if (err)
			*err = local;
		return local.code;
	}
	if (r < 0)
		return err_set(err, r, "cannot read %s: %s", path,
		               strerror(-r));
	return sink->data(sink->arg, rd.off, NULL, 0, err);
}

static bool is_switched(const struct walk *w)
{
	return w->top && w->top->switched;
}

static int open_content(struct walk *w, const char *name,
                        const struct proto_file_entry *e)
{
	int fd = -ENODATA;

	if (w->hooks->open && !is_switched(w))
		fd = w->hooks->open(w->hooks->arg, w->dir_fd, name, e);
	if (fd != -ENODATA)
		return fd;
	fd = openat(w->dir_fd, name,
	            O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* 1: a regular file, 0: it is something else by now. */
static int look_again(int fd, struct proto_file_entry *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	e->size = (uint64_t)st.st_size;
	e->allocated = (uint64_t)st.st_blocks * 512;
	return S_ISREG(st.st_mode);
}

static int give_file(struct walk *w, const char *name,
                     struct proto_file_entry *e)
{
	cleanup_close int fd = open_content(w, name, e);
	int r = fd < 0 ? fd : look_again(fd, e);

	if (r == -ENOENT || r == 0)
		return 0;
	if (r < 0)
		return fail(w, r, "open");
	r = files_xattrs_read(fd, w->hooks->xattr, &w->xattrs);
	if (r < 0)
		return fail(w, r, "read the extended attributes of");
	e->xattrs = (proto_bytes){w->xattrs.data, (uint32_t)w->xattrs.len};
	r = w->sink->entry(w->sink->arg, e, w->err);
	if (r < 0)
		return r;
	return files_read(fd, 0, e->size, w->path, w->hooks->step,
	                  w->hooks->arg, w->sink, w->err);
}

/* A further name of a file that was given is a hard link to the first. */
static int give_regular(struct walk *w, const char *name,
                        struct proto_file_entry *e, const struct stat *st)
{
	const char *first = NULL;
	int r = 0;

	if (st->st_nlink > 1 && e->kind == PROTO_FILE_PLAIN)
		r = files_links_see(&w->links, st->st_dev, st->st_ino, w->path,
		                    &first);
	if (r < 0)
		return fail(w, r, "remember");
	if (!first)
		return give_file(w, name, e);
	e->kind = PROTO_FILE_HARDLINK;
	e->target = first;
	return w->sink->entry(w->sink->arg, e, w->err);
}

/* ---- the walk ------------------------------------------------------------ */

static void leave(struct walk *w)
{
	struct frame *f = w->top;

	w->top = f->up;
	files_names_release(&f->names);
	free(f);
}

static int enter(struct walk *w, int fd, int root_fd)
{
	struct frame *f = calloc(1, sizeof(*f));
	struct stat st;
	int r;

	if (!f || fstat(fd, &st) < 0) {
		r = f ? -errno : -ENOMEM;
		(void)close(fd);
		free(f);
		return r;
	}
	f->up = w->top;
	f->root_fd = root_fd >= 0 ? root_fd : w->top ? w->top->root_fd : -1;
	f->switched = root_fd >= 0 || is_switched(w);
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->path_len = w->path_len;
	w->top = f;
	/* The descriptor that the names are read from is given away. */
	r = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	close_fd(&w->dir_fd);
	w->dir_fd = fd;
	return r < 0 ? -errno : files_names_read(r, &f->names);
}

/* The folder of w->path, below a frame's root. */
static int open_by_path(const struct walk *w, int root_fd)
{
	return open_resolved(root_fd, w->path_len ? w->path : ".",
	                     O_RDONLY | O_DIRECTORY, 0,
	                     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

static int enter_folder(struct walk *w, const char *name, int fd,
                        const struct proto_file_entry *e)
{
	int root_fd = -ENODATA;

	if (w->hooks->switch_root && !is_switched(w))
		root_fd = w->hooks->switch_root(w->hooks->arg, w->dir_fd, name,
		                                e);
	if (root_fd >= 0) {
		(void)close(fd);
		fd = open_by_path(w, root_fd);
	}
	return fd < 0 ? fd : enter(w, fd, root_fd);
}

static int give_folder(struct walk *w, const char *name,
                       struct proto_file_entry *e, bool is_root)
{
	cleanup_close int fd =
		openat(w->dir_fd, name,
	               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool hidden;
	struct stat st;
	int r;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(w, -errno, "open the folder");
	r = files_xattrs_read(fd, w->hooks->xattr, &w->xattrs);
	if (r < 0)
		return fail(w, r, "read the extended attributes of");
	e->xattrs = (proto_bytes){w->xattrs.data, (uint32_t)w->xattrs.len};
	r = w->sink->entry(w->sink->arg, e, w->err);
	if (r < 0)
		return r;
	hidden = !is_root && st.st_dev != w->top->dev && is_made_up(fd);
	if (hidden)
		return 0;
	r = enter_folder(w, name, take_fd(fd), e);
	return r < 0 ? fail(w, r, "read the folder") : 0;
}

static int give(struct walk *w, const char *name, bool is_root)
{
	struct proto_file_entry e;
	struct stat st;
	int r = files_describe(w->dir_fd, name, false, w->target, &e);

	if (r == -ENOENT && !is_root)
		return 0;
	if (r < 0 || fstatat(w->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(w, r < 0 ? r : -errno, "look at");
	e.path = w->path;
	buf_reset(&w->xattrs);
	if (w->hooks->look && !is_switched(w)) {
		r = w->hooks->look(w->hooks->arg, w->dir_fd, name, &e, w->err);
		if (r <= 0)
			return r;
	}
	if (S_ISDIR(e.mode))
		return give_folder(w, name, &e, is_root);
	if (S_ISREG(e.mode) && e.kind != PROTO_FILE_WHITEOUT)
		return give_regular(w, name, &e, &st);
	if (S_ISLNK(e.mode) || S_ISFIFO(e.mode) ||
	    (w->devices && (S_ISCHR(e.mode) || S_ISBLK(e.mode))) ||
	    e.kind == PROTO_FILE_WHITEOUT)
		return w->sink->entry(w->sink->arg, &e, w->err);
	if (is_root)
		return err_set(w->err, -EINVAL,
		               "%s is a device or a socket: not copied",
		               w->from);
	return 0;
}

/* Back in a folder: open it again, if it is still the same one. */
static int come_back(struct walk *w)
{
	struct frame *f = w->top;
	struct stat st;

	close_fd(&w->dir_fd);
	w->path[f->path_len] = '\0';
	w->path_len = f->path_len;
	w->dir_fd = open_by_path(w, f->root_fd >= 0 ? f->root_fd : w->root_fd);
	if (w->dir_fd < 0)
		return fail(w, w->dir_fd, "open the folder again");
	if (fstat(w->dir_fd, &st) < 0)
		return fail(w, -errno, "open the folder again");
	if (st.st_dev != f->dev || st.st_ino != f->ino)
		return fail(w, -ESTALE, "open the folder again");
	return 0;
}

static int next(struct walk *w)
{
	struct frame *f = w->top;
	const char *name;
	size_t len;
	int r;

	if (f->next == f->names.n) {
		leave(w);
		return w->top ? come_back(w) : 0;
	}
	name = f->names.v[f->next++];
	len = strlen(name);
	w->path_len = f->path_len;
	if (w->path_len + len + 2 > sizeof(w->path)) {
		w->path[w->path_len] = '\0';
		return fail(w, -ENAMETOOLONG, "go below");
	}
	if (w->path_len)
		w->path[w->path_len++] = '/';
	memcpy(w->path + w->path_len, name, len + 1);
	w->path_len += len;
	r = give(w, name, false);
	return r < 0 ? r : step(w);
}

/* The root by a name that is no link, in a folder that is open. */
static int begin(struct walk *w, int at, const char *path, uint32_t flags)
{
	char dir[FILES_PATH_MAX], name[FILES_PATH_MAX];
	struct stat st;
	bool follow = flags & FILES_WALK_FOLLOW && !files_is_held(path);
	int r;

	r = fstatat(at, path, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW);
	if (r == 0 && S_ISDIR(st.st_mode)) {
		w->dir_fd = openat(at, path,
		                   O_PATH | O_DIRECTORY | O_CLOEXEC |
		                           (follow ? 0 : O_NOFOLLOW));
		r = w->dir_fd < 0 ? -errno : 0;
		(void)memcpy(name, ".", 2);
	} else if (r < 0) {
		r = -errno;
	} else if (flags & FILES_WALK_DIR) {
		r = -ENOTDIR;
	} else {
		r = follow && at == AT_FDCWD
		            ? files_split_target(path, dir, name)
		            : files_split(path, dir, name);
		w->dir_fd = r < 0 ? r : openat(at, dir, O_PATH | O_CLOEXEC);
		if (r == 0 && w->dir_fd < 0)
			r = -errno;
	}
	if (r < 0)
		return err_set(w->err, r, "%s: %s", path, strerror(-r));
	r = give(w, name, true);
	if (r == 0 && w->top) {
		w->root_fd = fcntl(w->dir_fd, F_DUPFD_CLOEXEC, 3);
		r = w->root_fd < 0 ? -errno : 0;
	}
	return r;
}

int files_walk(int at, const char *path, uint32_t flags,
               const struct files_walk_hooks *hooks,
               const struct files_sink *sink, struct err *err)
{
	static const struct files_walk_hooks none;
	struct walk *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return err_set(err, -ENOMEM, "out of memory");
	*w = (struct walk){.hooks = hooks ? hooks : &none,
	                   .sink = sink,
	                   .err = err,
	                   .from = path,
	                   .root_fd = -1,
	                   .dir_fd = -1,
	                   .devices = flags & FILES_WALK_DEVICES,
	                   .xattrs = BUF_INIT};
	r = begin(w, at, path, flags);
	while (r == 0 && w->top)
		r = next(w);
	while (w->top)
		leave(w);
	close_fd(&w->dir_fd);
	close_fd(&w->root_fd);
	buf_release(&w->xattrs);
	files_links_release(&w->links);
	free(w);
	return r;
}
