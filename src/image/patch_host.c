/*
 * Files of the host as parts of a layer. A copy is found first and read later,
 * when the layer is written: what is not the same by then, or changes while it
 * is read, is refused, so that a layer holds no file that never was.
 *
 * The source itself may be a link, as whoever names it means what it leads to,
 * unless the patch says that no part of its path is one. Below it no link is
 * followed. Names, modes, times, links and hard links are
 * kept; owners are root's unless the patch says otherwise, and therefore files
 * lose their set-uid and set-gid bits, as with chown(2). Extended attributes
 * and holes are not kept.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/escape.h"
#include "base/num.h"
#include "base/openat2.h"
#include "image/patch_int.h"

#include "base/banned.h"

/* A file with several names that has been seen. */
struct seen {
	uint64_t dev, ino;
	uint32_t inode;
};

struct copy {
	struct patch_job *j;
	const struct patch_source *source;
	struct buf path; /* below the source */
	unsigned depth;
	void *seen; /* of tsearch() */
};

static int refuse(struct copy *c, int code, const char *why)
{
	struct buf cleanup_buf name = BUF_INIT;
	const char *source = c->j->cur->source;

	(void)escape_text(&name, source, strnlen(source, 100), 0);
	if (c->path.len) {
		(void)buf_addc(&name, '/');
		(void)escape_text(&name, c->path.data,
		                  MIN(c->path.len, (size_t)100), 0);
	}
	return patch_error(c->j, code, "cannot copy %s: %s", buf_str(&name),
	                   why);
}

static int fail(struct copy *c, int r)
{
	return refuse(c, r, strerror(-r));
}

static int by_number(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino == y->ino ? 0 : x->ino < y->ino ? -1 : 1;
}

static void keep(void *p)
{
	(void)p; /* the job's memory */
}

static int no_memory(const struct copy *c)
{
	return err_set(c->j->err, -ENOMEM, "out of memory");
}

/* Attributes; a patch's mode is for a file that is the source itself. */
static struct patch_made *make(struct copy *c, enum index_type type,
                               const struct stat *st)
{
	mode_t mode = st->st_mode & (type == INDEX_REG ? 01777 : 07777);
	struct patch_made *m = patch_make(c->j, type, mode);

	if (!m)
		return NULL;
	if (type == INDEX_SYM)
		m->e.mode = 0777;
	m->e.mtime = st->st_mtim.tv_sec;
	m->e.mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
	return m;
}

static int add_file(struct copy *c, uint32_t parent, const char *name,
                    const struct stat *st, uint32_t *ret)
{
	struct patch_made *m = make(c, INDEX_REG, st);
	struct patch_host *h = patch_alloc(c->j, sizeof(*h));
	struct patch_part *part =
		m && h ? patch_add_part(c->j, m, (uint64_t)st->st_size) : NULL;

	if (!part)
		return c->j->err->code ? c->j->err->code : -ENOMEM;
	*h = (struct patch_host){
		.source = c->source,
		.name = patch_copy_text(c->j, buf_str(&c->path), c->path.len),
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.changed = st->st_ctim,
	};
	part->host = h;
	return h->name ? patch_add(c->j, m, parent, name, strlen(name), ret)
	               : -ENOMEM;
}

static int add_link(struct copy *c, int at, uint32_t parent, const char *name,
                    const struct stat *st, uint32_t *ret)
{
	char text[INDEX_PATH_MAX + 1];
	ssize_t n = readlinkat(at, name, text, sizeof(text));
	struct patch_made *m;
	int r;

	if (n < 0)
		return fail(c, -errno);
	if (n == 0 || n > INDEX_PATH_MAX)
		return refuse(c, -ENAMETOOLONG, "the link's text is too long");
	m = make(c, INDEX_SYM, st);
	if (!m)
		return -ENOMEM;
	r = patch_set_link(c->j, m, text, (size_t)n);
	return r < 0 ? r : patch_add(c->j, m, parent, name, strlen(name), ret);
}

/* A second name of a file: 1 when it was one. */
static int add_again(struct copy *c, uint32_t parent, const char *name,
                     const struct stat *st)
{
	struct seen key = {.dev = st->st_dev, .ino = st->st_ino};
	struct seen **found = tfind(&key, &c->seen, by_number);
	char *text;
	int r;

	if (!found)
		return 0;
	text = patch_copy_text(c->j, name, strlen(name));
	if (!text)
		return -ENOMEM;
	r = tree_set_name(c->j->tree, parent, (uint8_t *)text, strlen(name),
	                  (*found)->inode, c->j->err);
	return r < 0 ? r : 1;
}

static int remember(struct copy *c, const struct stat *st, uint32_t inode)
{
	struct seen *s = patch_alloc(c->j, sizeof(*s));

	if (!s)
		return -ENOMEM;
	*s = (struct seen){st->st_dev, st->st_ino, inode};
	return tsearch(s, &c->seen, by_number) ? 0 : no_memory(c);
}

static int add_dir(struct copy *c, int fd, uint32_t inode);

static int enter(struct copy *c, int at, uint32_t parent, const char *name,
                 const struct stat *st)
{
	struct patch_made *m = make(c, INDEX_DIR, st);
	uint32_t inode;
	int fd, r;

	r = m ? patch_add(c->j, m, parent, name, strlen(name), &inode)
	      : -ENOMEM;
	if (r < 0)
		return r;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? fail(c, -errno) : add_dir(c, fd, inode);
}

static int add_other(struct copy *c, int at, uint32_t parent, const char *name,
                     const struct stat *st)
{
	bool several = st->st_nlink > 1;
	uint32_t inode;
	int r = several ? add_again(c, parent, name, st) : 0;

	if (r != 0)
		return MIN(r, 0);
	r = S_ISLNK(st->st_mode) ? add_link(c, at, parent, name, st, &inode)
	                         : add_file(c, parent, name, st, &inode);
	return r == 0 && several ? remember(c, st, inode) : r;
}

static int add_entry(struct copy *c, int at, uint32_t parent, const char *name)
{
	struct stat st;

	if (strncmp(name, ".wh.", 4) == 0)
		return refuse(c, -EINVAL,
		              "names that begin with .wh. have a meaning in "
		              "images");
	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(c, -errno);
	if (S_ISDIR(st.st_mode))
		return enter(c, at, parent, name, &st);
	if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
		return add_other(c, at, parent, name, &st);
	return refuse(c, -EINVAL, "a device, pipe or socket");
}

/* What patches make goes through here, so its depth is bounded. Takes @fd. */
static int add_dir(struct copy *c, int fd, uint32_t inode)
{
	size_t len = c->path.len;
	DIR *d = fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (!d) {
		r = -errno;
		(void)close(fd);
		return fail(c, r);
	}
	if (++c->depth > INDEX_DEPTH_MAX)
		r = refuse(c, -ENAMETOOLONG, "too deep");
	while (r == 0 && (errno = 0, e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (buf_printf(&c->path, "%s%s", len ? "/" : "", e->d_name) < 0)
			r = refuse(c, -ENAMETOOLONG, "too deep");
		else
			r = add_entry(c, dirfd(d), inode, e->d_name);
		c->path.len = len;
	}
	if (r == 0 && errno)
		r = fail(c, -errno);
	c->depth--;
	(void)closedir(d);
	return r;
}

static int copy_tree(struct copy *c, int fd, const struct stat *st,
                     uint32_t parent, const char *name)
{
	struct patch_made *m = make(c, INDEX_DIR, st);
	uint32_t inode;
	int r, again;

	r = m ? patch_add(c->j, m, parent, name, strlen(name), &inode)
	      : -ENOMEM;
	if (r < 0)
		return r;
	again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return again < 0 ? fail(c, -errno) : add_dir(c, again, inode);
}

static int copy_source(struct copy *c, uint32_t parent, const char *name)
{
	cleanup_close int fd =
		file_open(c->source->path, O_PATH, c->source->links);
	struct patch_source *source =
		(struct patch_source *)(uintptr_t)c->source;
	struct stat st;
	uint32_t inode;

	if (fd < 0)
		return refuse(c, fd, file_open_text(fd, source->links));
	if (fstat(fd, &st) < 0)
		return fail(c, -errno);
	source->dev = st.st_dev;
	source->ino = st.st_ino;
	source->is_dir = S_ISDIR(st.st_mode);
	if (!source->is_dir && !S_ISREG(st.st_mode))
		return refuse(c, -EINVAL, "a device, pipe or socket");
	if (!source->is_dir)
		return add_file(c, parent, name, &st, &inode);
	if (c->j->cur->flags & PATCH_F_MODE)
		return refuse(c, -EINVAL,
		              "a folder keeps its modes: none can be given");
	return copy_tree(c, fd, &st, parent, name);
}

int patch_copy(struct patch_job *j, uint32_t parent, const char *name,
               size_t len)
{
	struct patch_source *source = patch_alloc(j, sizeof(*source));
	const char *path = j->cur->source;
	char *text = patch_copy_text(j, name, len);
	struct copy c = {
		.j = j, .source = source, .path = BUF_INIT_MAX(INDEX_PATH_MAX)};
	int r = -ENOMEM;

	if (source)
		source->path = patch_copy_text(j, path, strlen(path));
	if (source && j->cur->flags & PATCH_F_NO_LINKS)
		source->links = LINKS_NONE;
	if (source && source->path && text)
		r = copy_source(&c, parent, text);
	tdestroy(c.seen, keep);
	buf_release(&c.path);
	return r;
}

/* ---- reading ------------------------------------------------------------- */

static int changed(const struct patch_host *h, struct err *err)
{
	struct buf cleanup_buf name = BUF_INIT;

	(void)escape_text(&name, h->source->path, strnlen(h->source->path, 100),
	                  0);
	if (*h->name) {
		(void)buf_addc(&name, '/');
		(void)escape_text(&name, h->name, strnlen(h->name, 100), 0);
	}
	return err_set(err, -EBUSY, "%s changed while it was copied",
	               buf_str(&name));
}

int patch_host_same(const struct patch_host *h, int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_dev != h->dev ||
	    st.st_ino != h->ino || (uint64_t)st.st_size != h->size ||
	    st.st_ctim.tv_sec != h->changed.tv_sec ||
	    st.st_ctim.tv_nsec != h->changed.tv_nsec)
		return changed(h, err);
	return 0;
}

/* Without waiting on what may be a pipe by now. */
#define READ_FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY)

static int open_below(const struct patch_host *h)
{
	cleanup_close int dir = file_open(h->source->path, O_PATH | O_DIRECTORY,
	                                  h->source->links);
	struct stat st;

	if (dir < 0)
		return dir;
	if (fstat(dir, &st) < 0)
		return -errno;
	if (st.st_dev != h->source->dev || st.st_ino != h->source->ino)
		return -ENOENT;
	return open_resolved(dir, h->name, READ_FLAGS | O_NOFOLLOW, 0,
	                     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
	                             RESOLVE_NO_MAGICLINKS);
}

int patch_host_open(const struct patch_host *h, struct err *err)
{
	int fd = h->source->is_dir ? open_below(h)
	                           : file_open(h->source->path, READ_FLAGS,
	                                       h->source->links),
	    r;

	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		return changed(h, err);
	if (fd < 0)
		return err_set(err, fd, "cannot read %s%s%s: %s",
		               h->source->path, *h->name ? "/" : "", h->name,
		               strerror(-fd));
	r = patch_host_same(h, fd, err);
	if (r < 0)
		close_fd(&fd);
	return r < 0 ? r : fd;
}
