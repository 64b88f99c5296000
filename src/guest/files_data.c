/* Operations on content: of one file, and of trees. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "files/name.h"
#include "files/placer.h"
#include "files/walk.h"
#include "files/whole.h"
#include "guest/files_op.h"

#include "base/banned.h"

/* ---- read ---------------------------------------------------------------- */

static int not_regular(const char *path, struct err *err)
{
	return err_set(err, -EINVAL, "%s is not a regular file", path);
}

/* Nothing else is opened: a device may act on it, a fifo wait. */
static int open_regular(const char *path, bool no_follow, int *ret,
                        struct err *err)
{
	int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	cleanup_close int fd = -1;
	struct stat st;
	int r;

	if (no_follow)
		flags |= O_NOFOLLOW;
	r = fstatat(AT_FDCWD, path, &st, no_follow ? AT_SYMLINK_NOFOLLOW : 0);
	if (r == 0 && S_ISREG(st.st_mode)) {
		fd = open(path, flags);
		r = fd < 0 ? -1 : fstat(fd, &st);
	}
	if (r < 0)
		return files_op_fail(err, -errno, "open", path);
	if (S_ISDIR(st.st_mode))
		return err_set(err, -EISDIR, "%s is a folder", path);
	if (!S_ISREG(st.st_mode))
		return not_regular(path, err);
	*ret = take_fd(fd);
	return 0;
}

/* How much of it is wanted: what it has now, whatever is written to it. */
static uint64_t part(const struct proto_file_req *q, uint64_t size)
{
	uint64_t left = size > q->offset ? size - q->offset : 0;

	return q->length && q->length < left ? q->length : left;
}

int files_op_read(struct files_op *op, struct err *err)
{
	struct files_sink sink = files_link_sink(&op->link);
	bool no_follow = op->req->flags & PROTO_FILE_NO_FOLLOW;
	const char *path = op->req->path;
	char target[FILES_PATH_MAX];
	struct proto_file_entry e;
	cleanup_close int fd = -1;
	uint64_t len;
	int r = open_regular(path, no_follow, &fd, err);

	if (r < 0)
		return r;
	r = files_describe(fd, "", false, target, &e);
	if (r < 0)
		return files_op_fail(err, r, "look at", path);
	if (op->req->offset > INT64_MAX)
		return err_set(err, -EINVAL, "the offset is too large");
	r = sink.entry(sink.arg, &e, err);
	if (r < 0)
		return r;
	len = part(op->req, e.size);
	if (len == 0 && (e.size > 0 || op->req->offset > 0))
		return sink.data(sink.arg, op->req->offset, NULL, 0, err);
	op->count = len;
	return files_read(fd, op->req->offset, len, path, files_op_step, op,
	                  &sink, err);
}

/* ---- write --------------------------------------------------------------- */

struct write {
	struct files_op *op;
	struct files_whole whole;
	int fd; /* where the content goes */
	uint64_t off, end;
	bool done;
};

static int take_content(struct write *w, struct err *err)
{
	const struct proto_file_data *d;
	const struct proto_msg *m;
	uint64_t sum;
	int r = 0;

	while (r == 0) {
		r = files_link_next(&w->op->link, &m);
		if (r < 0)
			return err_set(err, r, "the connection: %s",
			               strerror(-r));
		if (m->type == PROTO_FILE_DONE)
			return m->file_done.error == 0 ? 0 : -ECANCELED;
		d = &m->file_data;
		if (m->type != PROTO_FILE_DATA || d->offset < w->end ||
		    d->data.n > PROTO_FILE_MAX ||
		    !num_add(w->off, d->offset, &sum) || sum > INT64_MAX / 2)
			return err_set(err, -EPROTO, "the order is wrong");
		w->end = d->offset + d->data.n;
		if (d->data.n)
			r = fd_pwrite_full(w->fd, d->data.p, d->data.n, sum);
	}
	return err_set(err, r, "cannot write %s: %s", w->op->req->path,
	               strerror(-r));
}

static int append(struct write *w, const char *path, struct err *err)
{
	cleanup_close int fd = -1;
	struct stat st;
	int r;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return not_regular(path, err);
	fd = open(path, O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
	          w->op->req->mode ? w->op->req->mode & 07777 : 0644);
	if (fd < 0 || fstat(fd, &st) < 0)
		return files_op_fail(err, -errno, "open", path);
	if (!S_ISREG(st.st_mode))
		return not_regular(path, err);
	w->fd = fd;
	w->off = (uint64_t)st.st_size;
	r = take_content(w, err);
	if (r < 0) /* as it was */
		(void)!ftruncate(fd, st.st_size);
	return r;
}

/* The owner and mode of what it replaces, if that is a file. */
static int take_after(struct write *w, int dir_fd, const char *name,
                      bool exclusive, struct err *err)
{
	uint32_t mode = w->op->req->mode ? w->op->req->mode & 07777 : 0644;
	const char *path = w->op->req->path;
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fchmod(w->fd, mode) < 0 ? -errno : 0;
	if (exclusive)
		return err_set(err, -EEXIST, "%s exists", path);
	if (S_ISDIR(st.st_mode))
		return err_set(err, -EISDIR, "%s is a folder", path);
	if (!S_ISREG(st.st_mode))
		return not_regular(path, err);
	if (fchown(w->fd, st.st_uid, st.st_gid) < 0 ||
	    fchmod(w->fd, st.st_mode & 07777) < 0)
		return -errno;
	return 0;
}

static int replace(struct write *w, int dir_fd, const char *name,
                   struct err *err)
{
	bool exclusive = w->op->req->flags & PROTO_FILE_EXCLUSIVE;
	int r = files_whole_begin(&w->whole, dir_fd);

	if (r < 0)
		return r;
	w->fd = w->whole.fd;
	r = take_after(w, dir_fd, name, exclusive, err);
	if (r == 0)
		r = take_content(w, err);
	if (r == 0 && ftruncate(w->fd, (off_t)w->end) < 0)
		r = -errno;
	if (r == 0)
		return files_whole_publish(&w->whole, name, exclusive);
	files_whole_drop(&w->whole);
	return r;
}

int files_op_write(struct files_op *op, struct err *err)
{
	struct write w = {.op = op, .whole = FILES_WHOLE_INIT, .fd = -1};
	char dir[FILES_PATH_MAX], name[FILES_PATH_MAX];
	const char *path = op->req->path;
	size_t len = strlen(path);
	cleanup_close int dir_fd = -1;
	int r;

	if (op->req->flags & PROTO_FILE_APPEND)
		return append(&w, path, err);
	r = op->req->flags & (PROTO_FILE_NO_FOLLOW | PROTO_FILE_EXCLUSIVE)
	            ? files_split(path, dir, name)
	            : files_split_target(path, dir, name);
	if (r == 0 && (*name == '\0' || path[len - 1] == '/' ||
	               strcmp(name, ".") == 0 || strcmp(name, "..") == 0))
		r = -EISDIR;
	if (r == 0) {
		dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		r = dir_fd < 0 ? -errno : replace(&w, dir_fd, name, err);
	}
	op->count = w.end;
	if (r < 0 && (!err || err->code == 0))
		return files_op_fail(err, r, "write", path);
	return r;
}

/* ---- trees --------------------------------------------------------------- */

static const char *or_root(const char *path)
{
	return *path ? path : ".";
}

int files_op_tree_read(struct files_op *op, struct err *err)
{
	struct files_walk_hooks hooks = {.step = files_op_step, .arg = op};
	struct files_sink sink = files_link_sink(&op->link);
	uint32_t flags = 0;

	if (!(op->req->flags & PROTO_FILE_NO_FOLLOW))
		flags |= FILES_WALK_FOLLOW;
	if (op->req->flags & PROTO_FILE_CONTENT)
		flags |= FILES_WALK_DIR;
	return files_walk(AT_FDCWD, or_root(op->req->path), flags, &hooks,
	                  &sink, err);
}

static bool is_name(const char *s)
{
	return files_name_is_clean(s) && !strchr(s, '/');
}

int files_op_tree_write(struct files_op *op, struct err *err)
{
	struct files_placer p = {.to = or_root(op->req->path),
	                         .name = op->req->path2,
	                         .content = op->req->flags & PROTO_FILE_CONTENT,
	                         .flags = (op->req->flags & PROTO_FILE_OWNER
	                                           ? FILES_WRITE_OWNER
	                                           : 0) |
	                                  (op->req->flags & PROTO_FILE_PARENTS
	                                           ? FILES_WRITE_PARENTS
	                                           : 0)};
	struct files_sink sink = files_placer_sink(&p);
	const struct proto_file_done *done;
	int r;

	if (!is_name(op->req->path2))
		return err_set(err, -EPROTO, "the source's name is no name");
	r = files_link_receive(&op->link, &sink, &done, err);
	if (r == 0 && done->error)
		r = err_set(err, -ECANCELED, "the host gave up");
	r = files_placer_end(&p, r, err);
	op->count = p.writer.nfiles;
	return r;
}

/* ---- copies within ------------------------------------------------------- */

/* Whether the folder @fd is @top or below it. */
static bool is_below(int fd, const struct stat *top)
{
	cleanup_close int at = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	struct stat st, up;

	while (at >= 0 && fstat(at, &st) == 0) {
		int next;

		if (st.st_dev == top->st_dev && st.st_ino == top->st_ino)
			return true;
		next = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (next < 0 || fstat(next, &up) < 0 ||
		    (up.st_dev == st.st_dev && up.st_ino == st.st_ino)) {
			close_fd(&next);
			return false;
		}
		(void)close(at);
		at = next;
	}
	return false;
}

static int copy_into(struct files_op *op, const struct files_source *src,
                     struct files_place *place, struct err *err)
{
	struct files_walk_hooks hooks = {.step = files_op_step, .arg = op};
	struct files_writer w;
	struct files_sink sink;
	int r;

	files_writer_init(&w, place, FILES_WRITE_OWNER);
	sink = files_writer_sink(&w);
	r = files_walk(AT_FDCWD, src->path, 0, &hooks, &sink, err);
	if (r == 0)
		r = files_writer_finish(&w, err);
	op->count = w.nfiles;
	files_writer_release(&w);
	return r;
}

int files_op_copy(struct files_op *op, struct err *err)
{
	struct files_source src;
	struct files_place place;
	struct stat st;
	int r = files_source_parse(op->req->path, &src, err);

	if (r < 0)
		return r;
	if (fstatat(AT_FDCWD, src.path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return files_op_fail(err, -errno, "copy", src.path);
	r = files_place(or_root(op->req->path2), src.name, S_ISDIR(st.st_mode),
	                src.content, &place, err);
	if (r < 0)
		return r;
	if (S_ISDIR(st.st_mode) && is_below(place.dir_fd, &st)) {
		close_fd(&place.dir_fd);
		return err_set(err, -EINVAL, "%s cannot be copied into itself",
		               src.path);
	}
	return copy_into(op, &src, &place, err);
}
