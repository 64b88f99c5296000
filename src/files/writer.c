#include "files/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/openat2.h"
#include "files/xattrs.h"

#include "base/banned.h"

struct files_folder {
	struct files_folder *next; /* the one above, not always its parent */
	uint32_t mode, uid, gid, mtime_ns;
	uint64_t mtime_s;
	bool made; /* nothing was there before */
	char path[];
};

void files_writer_init(struct files_writer *w, const struct files_place *place,
                       uint32_t flags)
{
	*w = (struct files_writer){.place = *place,
	                           .flags = flags,
	                           .parent_fd = -1,
	                           .file = FILES_WHOLE_INIT,
	                           .xattrs = BUF_INIT};
}

static int fail(const struct files_writer *w, struct err *err, int r,
                const char *what)
{
	return err_set(err, r, "cannot %s %s: %s", what,
	               *w->path ? w->path : "the folder", strerror(-r));
}

/* ---- paths --------------------------------------------------------------- */

static int open_below(struct files_writer *w, const char *path, int flags)
{
	return open_resolved(w->place.dir_fd, *path ? path : ".", flags, 0,
	                     w->flags & FILES_WRITE_STRICT
	                             ? RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
	                             : RESOLVE_NO_MAGICLINKS);
}

/* The tree's @path as one below the folder. */
static int map(const struct files_writer *w, const char *path, char *out)
{
	const char *base = w->place.base;
	int n = snprintf(out, FILES_PATH_MAX, "%s%s%s", base,
	                 *base && *path ? "/" : "", path);

	return n < 0 || n >= FILES_PATH_MAX ? -ENAMETOOLONG : 0;
}

/* Split at the last slash, in place: returns the name. */
static char *cut_name(char *path, const char **dir)
{
	char *slash = strrchr(path, '/');

	*dir = slash ? path : "";
	if (!slash)
		return path;
	*slash = '\0';
	return slash + 1;
}

static int make_parents(struct files_writer *w, const char *dir)
{
	char part[FILES_PATH_MAX];
	int at = w->place.dir_fd, fd;

	for (const char *p = dir; *p; p += *p == '/') {
		p += strcspn(p, "/");
		(void)snprintf(part, sizeof(part), "%.*s", (int)(p - dir), dir);
		fd = open_below(w, part, O_PATH | O_DIRECTORY);
		if (fd >= 0)
			(void)close(fd);
		else if (fd != -ENOENT)
			return fd;
		/* Its parent was looked at in the round before. */
		else if (mkdirat(at, part, 0755) < 0)
			return -errno;
	}
	return 0;
}

/* w->parent_fd becomes the folder of w->path, which loses its name: *ret. */
static int open_parent(struct files_writer *w, char *path, char **ret)
{
	const char *dir;
	char *name = cut_name(path, &dir);
	int fd;

	*ret = name;
	if (w->parent_fd >= 0 && strcmp(dir, w->parent) == 0)
		return 0;
	fd = open_below(w, dir, O_PATH | O_DIRECTORY);
	if (fd == -ENOENT && w->flags & FILES_WRITE_PARENTS) {
		fd = make_parents(w, dir);
		if (fd == 0)
			fd = open_below(w, dir, O_PATH | O_DIRECTORY);
	}
	if (fd < 0)
		return fd;
	close_fd(&w->parent_fd);
	w->parent_fd = fd;
	(void)snprintf(w->parent, sizeof(w->parent), "%s", dir);
	return 0;
}

/* What has the name may go: 0, with *ret_there when something has it. */
static int may_replace(struct files_writer *w, const char *name,
                       bool *ret_there, struct err *err)
{
	struct stat st;

	*ret_there = fstatat(w->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!*ret_there)
		return errno == ENOENT ? 0 : fail(w, err, -errno, "look at");
	if (S_ISDIR(st.st_mode))
		return err_set(err, -EEXIST,
		               "%s is a folder: a file cannot replace it",
		               w->path);
	if (S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode))
		return err_set(err, -EEXIST,
		               "%s is a device: it is not replaced", w->path);
	return 0;
}

/* ---- attributes ---------------------------------------------------------- */

static uint32_t mode_of(const struct files_writer *w, uint32_t mode)
{
	uint32_t keep = S_ISDIR(mode) ? 01777 : 0777;

	return mode & (w->flags & FILES_WRITE_OWNER ? 07777 : keep);
}

static void times_of(uint64_t s, uint32_t ns, struct timespec *t)
{
	t[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
	t[1] = (struct timespec){.tv_sec = (time_t)s, .tv_nsec = ns};
}

static int set_attributes(struct files_writer *w, int fd, uint32_t mode,
                          uint32_t uid, uint32_t gid, uint64_t mtime_s,
                          uint32_t mtime_ns)
{
	bool owner = w->flags & FILES_WRITE_OWNER;
	struct timespec t[2];

	times_of(mtime_s, mtime_ns, t);
	if (owner && fchown(fd, uid, gid) < 0)
		return -errno;
	if (fchmod(fd, mode_of(w, mode)) < 0)
		return -errno;
	if (w->xattrs.len) {
		struct proto_bytes x = {w->xattrs.data,
		                        (uint32_t)w->xattrs.len};
		int r = files_xattrs_write(fd, &x, owner);

		buf_reset(&w->xattrs);
		if (r < 0)
			return r;
	}
	return futimens(fd, t) < 0 ? -errno : 0;
}

/* ---- folders ------------------------------------------------------------- */

static int finish_folder(struct files_writer *w, struct err *err)
{
	struct files_folder *f = w->folders;
	cleanup_close int fd = open_below(w, f->path, O_RDONLY | O_DIRECTORY);
	int r = fd < 0 ? fd
	               : set_attributes(w, fd, f->mode, f->uid, f->gid,
	                                f->mtime_s, f->mtime_ns);

	if (r < 0) {
		(void)snprintf(w->path, sizeof(w->path), "%s", f->path);
		fail(w, err, r, "set the attributes of");
	}
	w->folders = f->next;
	free(f);
	return r;
}

/* Those that @path is not below are complete. */
static int finish_folders(struct files_writer *w, const char *path,
                          struct err *err)
{
	int r = 0;

	while (r == 0 && w->folders &&
	       (!path || !files_name_is_below(path, w->folders->path)))
		r = finish_folder(w, err);
	return r;
}

static int remember_folder(struct files_writer *w, const char *path, bool made,
                           const struct proto_file_entry *e)
{
	size_t len = strlen(path) + 1;
	struct files_folder *f = malloc(sizeof(*f) + len);

	if (!f)
		return -ENOMEM;
	*f = (struct files_folder){.next = w->folders,
	                           .made = made,
	                           .mode = e->mode,
	                           .uid = e->uid,
	                           .gid = e->gid,
	                           .mtime_s = e->mtime_s,
	                           .mtime_ns = e->mtime_ns};
	memcpy(f->path, path, len);
	w->folders = f;
	return 0;
}

static int put_xattrs(struct files_writer *w, const struct proto_file_entry *e)
{
	buf_reset(&w->xattrs);
	return e->xattrs.n ? buf_add(&w->xattrs, e->xattrs.p, e->xattrs.n) : 0;
}

static int take_folder(struct files_writer *w, const char *name,
                       const struct proto_file_entry *e, struct err *err)
{
	bool made = mkdirat(w->parent_fd, name, 0700) == 0;
	char path[FILES_PATH_MAX];
	cleanup_close int fd = -1;
	struct stat st;
	int r;

	if (!made) {
		if (errno != EEXIST)
			return fail(w, err, -errno, "make the folder");
		r = fstatat(w->parent_fd, name, &st,
		            w->flags & FILES_WRITE_STRICT ? AT_SYMLINK_NOFOLLOW
		                                          : 0);
		if (r < 0 || !S_ISDIR(st.st_mode))
			return err_set(err, -EEXIST,
			               "%s is not a folder: a folder cannot "
			               "replace it",
			               w->path);
	}
	if (e->xattrs.n) { /* the others wait until all in it is there */
		fd = open_below(w, w->path, O_RDONLY | O_DIRECTORY);
		r = fd < 0 ? fd
		           : files_xattrs_write(fd, &e->xattrs,
		                                w->flags & FILES_WRITE_OWNER);
		if (r < 0)
			return fail(w, err, r,
			            "set the extended attributes of");
	}
	(void)snprintf(path, sizeof(path), "%s", w->path);
	r = remember_folder(w, path, made, e);
	return r < 0 ? fail(w, err, r, "remember") : 0;
}

/* ---- files --------------------------------------------------------------- */

static int begin_file(struct files_writer *w, const char *name, struct err *err)
{
	const struct files_folder *f = w->folders;
	bool there;
	int r = -EEXIST;

	if (f && f->made && strcmp(f->path, w->parent) == 0)
		r = files_whole_begin_new(&w->file, w->parent_fd, name);
	if (r != -EEXIST)
		return r < 0 ? fail(w, err, r, "write") : 0;
	r = may_replace(w, name, &there, err);
	if (r < 0)
		return r;
	r = files_whole_begin(&w->file, w->parent_fd);
	return r < 0 ? fail(w, err, r, "write") : 0;
}

static int take_file(struct files_writer *w, const char *name,
                     const struct proto_file_entry *e, struct err *err)
{
	int r = begin_file(w, name, err);

	if (r < 0)
		return r;
	if (put_xattrs(w, e) < 0)
		return fail(w, err, -ENOMEM, "write");
	w->written = 0;
	w->mode = e->mode;
	w->uid = e->uid;
	w->gid = e->gid;
	w->nlink = e->nlink;
	w->mtime_s = e->mtime_s;
	w->mtime_ns = e->mtime_ns;
	return 0;
}

static int end_file(struct files_writer *w, uint64_t end)
{
	const char *name = strrchr(w->path, '/');
	const char *seen;
	struct stat st;
	int r = 0;

	if (end != w->written && ftruncate(w->file.fd, (off_t)end) < 0)
		r = -errno;
	if (r == 0)
		r = set_attributes(w, w->file.fd, w->mode, w->uid, w->gid,
		                   w->mtime_s, w->mtime_ns);
	if (r == 0 && w->nlink > 1 && w->flags & FILES_WRITE_STRICT) {
		if (fstat(w->file.fd, &st) < 0)
			r = -errno;
		else
			r = files_links_see(&w->links, st.st_dev, st.st_ino, "",
			                    &seen);
	}
	if (r < 0) {
		files_whole_drop(&w->file);
		return r;
	}
	return files_whole_publish(&w->file, name ? name + 1 : w->path, false);
}

static int take_data(void *arg, uint64_t off, const void *data, uint32_t len,
                     struct err *err)
{
	struct files_writer *w = arg;
	int r;

	if (w->file.fd < 0)
		return 0; /* of a file that was left out */
	r = len ? fd_pwrite_full(w->file.fd, data, len, off) : end_file(w, off);
	if (r < 0)
		return fail(w, err, r, "write");
	w->nbytes += len;
	if (len)
		w->written = off + len;
	return 0;
}

/* ---- links and pipes ----------------------------------------------------- */

static int make_symlink(struct files_writer *w, const char *name,
                        const struct proto_file_entry *e)
{
	struct timespec t[2];

	if (symlinkat(e->target, w->parent_fd, name) < 0)
		return -errno;
	times_of(e->mtime_s, e->mtime_ns, t);
	(void)utimensat(w->parent_fd, name, t, AT_SYMLINK_NOFOLLOW);
	if (w->flags & FILES_WRITE_OWNER &&
	    fchownat(w->parent_fd, name, e->uid, e->gid, AT_SYMLINK_NOFOLLOW))
		return -errno;
	return 0;
}

static int make_fifo(struct files_writer *w, const char *name,
                     const struct proto_file_entry *e)
{
	struct timespec t[2];

	if (mkfifoat(w->parent_fd, name, mode_of(w, e->mode)) < 0)
		return -errno;
	times_of(e->mtime_s, e->mtime_ns, t);
	(void)utimensat(w->parent_fd, name, t, AT_SYMLINK_NOFOLLOW);
	return 0;
}

/* The umask does not change a link's or pipe's meaning, but a pipe's mode. */
static int make_hardlink(struct files_writer *w, const char *name,
                         const struct proto_file_entry *e)
{
	char path[FILES_PATH_MAX];
	cleanup_close int dir_fd = -1;
	const char *dir;
	struct stat st;
	char *first;
	int r = map(w, e->target, path);

	if (r < 0)
		return r;
	first = cut_name(path, &dir);
	dir_fd = open_below(w, dir, O_PATH | O_DIRECTORY);
	if (dir_fd < 0)
		return dir_fd;
	if (fstatat(dir_fd, first, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (w->flags & FILES_WRITE_STRICT &&
	    !files_links_has(&w->links, st.st_dev, st.st_ino))
		return -EXDEV;
	return linkat(dir_fd, first, w->parent_fd, name, 0) < 0 ? -errno : 0;
}

static int take_special(struct files_writer *w, const char *name,
                        const struct proto_file_entry *e,
                        int (*make)(struct files_writer *w, const char *name,
                                    const struct proto_file_entry *e),
                        struct err *err)
{
	bool there;
	char tmp[32];
	int r = may_replace(w, name, &there, err);

	if (r < 0)
		return r;
	if (!there) {
		r = make(w, name, e);
		return r < 0 ? fail(w, err, r, "make the link") : 0;
	}
	files_whole_name(tmp);
	r = make(w, tmp, e);
	if (r == 0 && renameat(w->parent_fd, tmp, w->parent_fd, name) < 0)
		r = -errno;
	/* Two names of one file: the rename has left both. */
	(void)unlinkat(w->parent_fd, tmp, 0);
	return r < 0 ? fail(w, err, r, "make the link") : 0;
}

/* ---- the sink ------------------------------------------------------------ */

static int take_by_type(struct files_writer *w, const char *name,
                        const struct proto_file_entry *e, struct err *err)
{
	if (e->kind == PROTO_FILE_HARDLINK)
		return take_special(w, name, e, make_hardlink, err);
	if (S_ISDIR(e->mode))
		return take_folder(w, name, e, err);
	if (S_ISREG(e->mode))
		return take_file(w, name, e, err);
	if (S_ISLNK(e->mode))
		return take_special(w, name, e, make_symlink, err);
	if (S_ISFIFO(e->mode))
		return take_special(w, name, e, make_fifo, err);
	w->nleft_out++;
	return 0;
}

static int take_entry(void *arg, const struct proto_file_entry *e,
                      struct err *err)
{
	struct files_writer *w = arg;
	char path[FILES_PATH_MAX];
	char *name;
	int r;

	if (e->kind > PROTO_FILE_HARDLINK)
		return err_set(err, -EPROTO, "whiteouts are for layers");
	r = map(w, e->path, path);
	if (r < 0)
		return err_set(err, r, "the path is too long: %s", e->path);
	(void)snprintf(w->path, sizeof(w->path), "%s", path);
	w->nfiles++;
	if (*path == '\0') /* the folder itself: it is there */
		return S_ISDIR(e->mode)
		               ? 0
		               : err_set(err, -ENOTDIR, "it is no folder");
	r = finish_folders(w, path, err);
	if (r < 0)
		return r;
	(void)snprintf(w->path, sizeof(w->path), "%s", path);
	r = open_parent(w, path, &name);
	if (r < 0)
		return fail(w, err, r, "open the folder of");
	return take_by_type(w, name, e, err);
}

struct files_sink files_writer_sink(struct files_writer *w)
{
	return (struct files_sink){take_entry, take_data, w};
}

int files_writer_finish(struct files_writer *w, struct err *err)
{
	return finish_folders(w, NULL, err);
}

void files_writer_release(struct files_writer *w)
{
	files_whole_drop(&w->file);
	while (w->folders) {
		struct files_folder *f = w->folders;

		w->folders = f->next;
		free(f);
	}
	close_fd(&w->parent_fd);
	close_fd(&w->place.dir_fd);
	buf_release(&w->xattrs);
	files_links_release(&w->links);
}
