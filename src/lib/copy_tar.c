#include "lib/copy_tar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/num.h"
#include "files/name.h"
#include "image/tar_write.h"
#include "lib/copy.h"

#include "base/banned.h"

#define WHITEOUT ".wh."
#define OPAQUE   ".wh..wh..opq"

static const struct {
	mode_t mode;
	enum tar_type type;
} types[] = {
	{S_IFREG, TAR_REG },
        {S_IFDIR, TAR_DIR },
        {S_IFLNK, TAR_SYM },
	{S_IFIFO, TAR_FIFO},
        {S_IFCHR, TAR_CHR },
        {S_IFBLK, TAR_BLK },
};

static int put_path(const struct copy_tar *t, const char *path, struct buf *b)
{
	buf_reset(b);
	if (t->layer)
		return buf_adds(b, *path ? path : ".");
	return buf_printf(b, "%s%s%s", t->name, *path ? "/" : "", path);
}

static int put_header(struct copy_tar *t, struct tar_entry *e, struct err *err)
{
	e->path = buf_str(&t->path);
	e->path_len = t->path.len;
	e->link = buf_str(&t->link);
	e->link_len = t->link.len;
	buf_reset(&t->head);
	if (tar_put_header(&t->head, e) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return t->put(t->arg, t->head.data, t->head.len, err);
}

/* "a/b" is removed: an empty file "a/.wh.b". */
static int put_whiteout(struct copy_tar *t, const char *path, struct err *err)
{
	struct tar_entry e = {.type = TAR_REG, .mode = 0600};
	const char *slash = strrchr(path, '/');
	size_t dir = slash ? (size_t)(slash - path) + 1 : 0;

	buf_reset(&t->path);
	buf_reset(&t->link);
	(void)buf_add(&t->path, path, dir);
	(void)buf_adds(&t->path, WHITEOUT);
	(void)buf_adds(&t->path, path + dir);
	return put_header(t, &e, err);
}

static int put_opaque(struct copy_tar *t, const char *path, struct err *err)
{
	struct tar_entry e = {.type = TAR_REG, .mode = 0600};

	buf_reset(&t->path);
	buf_reset(&t->link);
	(void)buf_printf(&t->path, "%s%s" OPAQUE, path, *path ? "/" : "");
	return put_header(t, &e, err);
}

static bool tar_type_of(uint32_t mode, enum tar_type *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if ((mode & S_IFMT) == types[i].mode) {
			*ret = types[i].type;
			return true;
		}
	return false;
}

/* Such a name would say that another is removed. */
static bool is_reserved(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strncmp(slash ? slash + 1 : path, WHITEOUT, strlen(WHITEOUT)) ==
	       0;
}

static int put_entry(struct copy_tar *t, const struct proto_file_entry *f,
                     struct err *err)
{
	struct tar_entry e = {.mode = f->mode & 07777,
	                      .uid = f->uid,
	                      .gid = f->gid,
	                      .major = f->rdev_major,
	                      .minor = f->rdev_minor,
	                      .mtime = (int64_t)f->mtime_s,
	                      .mtime_ns = f->mtime_ns,
	                      .xattrs = f->xattrs.p,
	                      .xattrs_len = f->xattrs.n};
	int r = 0;

	if (!tar_type_of(f->mode, &e.type))
		return 0;
	buf_reset(&t->link);
	if (f->kind == PROTO_FILE_HARDLINK) {
		e.type = TAR_HARD;
		e.xattrs_len = 0;
		r = put_path(t, f->target, &t->link);
	} else if (e.type == TAR_SYM) {
		r = buf_adds(&t->link, f->target);
	} else if (e.type == TAR_REG) {
		e.size = f->size;
	}
	if (r == 0)
		r = put_path(t, f->path, &t->path);
	if (r == 0 && e.type == TAR_DIR)
		r = buf_addc(&t->path, '/');
	if (r < 0)
		return err_set(err, r, "out of memory");
	t->size = e.size;
	t->off = t->gaps = 0;
	return put_header(t, &e, err);
}

static int too_sparse(const char *path, struct err *err)
{
	return err_set(err, -EFBIG,
	               "%s has holes of more than %llu MiB: a tar stream would "
	               "be as long; copy it to a folder",
	               path, COPY_HOLES_MAX / MIB);
}

static int take_entry(void *arg, const struct proto_file_entry *f,
                      struct err *err)
{
	struct copy_tar *t = arg;
	int r;

	if (f->kind > PROTO_FILE_HARDLINK && !t->layer)
		return err_set(err, -EPROTO, "whiteouts are for layers");
	if (S_ISREG(f->mode) && f->size > f->allocated &&
	    f->size - f->allocated > COPY_HOLES_MAX)
		return too_sparse(*f->path ? f->path : t->name, err);
	if (t->layer && is_reserved(f->path))
		return err_set(err, -EINVAL,
		               "%s: a layer cannot hold a name that begins "
		               "with " WHITEOUT,
		               f->path);
	if (f->kind == PROTO_FILE_WHITEOUT)
		return put_whiteout(t, f->path, err);
	r = put_entry(t, f, err);
	if (r == 0 && f->kind == PROTO_FILE_OPAQUE)
		r = put_opaque(t, f->path, err);
	return r;
}

static int put_zeros(struct copy_tar *t, uint64_t len, struct err *err)
{
	static const uint8_t zeros[16384];
	int r = 0;

	while (len > 0 && r == 0) {
		size_t n = MIN(len, sizeof(zeros));

		r = t->put(t->arg, zeros, n, err);
		len -= n;
	}
	return r;
}

/* What does not come of a file; how much that is, its entry may hide. */
static int put_gap(struct copy_tar *t, uint64_t len, struct err *err)
{
	if (len > COPY_HOLES_MAX - t->gaps)
		return too_sparse(buf_str(&t->path), err);
	t->gaps += len;
	return put_zeros(t, len, err);
}

static int end_file(struct copy_tar *t, uint64_t end, struct err *err)
{
	int r = 0;

	if (end < t->size && !*t->shrunk)
		(void)snprintf(t->shrunk, sizeof(t->shrunk), "%.200s",
		               buf_str(&t->path));
	r = put_gap(t, t->size - t->off, err);
	return r < 0 ? r : put_zeros(t, tar_padding(t->size), err);
}

static int take_data(void *arg, uint64_t off, const void *data, uint32_t len,
                     struct err *err)
{
	struct copy_tar *t = arg;
	int r;

	if (len == 0)
		return end_file(t, off, err);
	if (off >= t->size)
		return 0; /* it grew */
	len = (uint32_t)MIN(len, t->size - off);
	r = put_gap(t, off - t->off, err);
	if (r == 0)
		r = t->put(t->arg, data, len, err);
	t->off = off + len;
	return r;
}

struct files_sink copy_tar_sink(struct copy_tar *t)
{
	t->head = t->path = t->link = (struct buf)BUF_INIT;
	return (struct files_sink){take_entry, take_data, t};
}

int copy_tar_finish(struct copy_tar *t, struct err *err)
{
	int r;

	buf_reset(&t->head);
	r = tar_put_end(&t->head);
	if (r == 0)
		r = t->put(t->arg, t->head.data, t->head.len, err);
	if (r == 0 && *t->shrunk)
		return err_set(err, -EBUSY,
		               "%s shrank while it was read: the archive has "
		               "zeros for what is missing",
		               t->shrunk);
	return r;
}

void copy_tar_release(struct copy_tar *t)
{
	buf_release(&t->head);
	buf_release(&t->path);
	buf_release(&t->link);
}
