/*
 * Setting an upper aside where it cannot be cloned, step by step; what a kill
 * behind each leaves:
 *
 *	1  the upper's file is linked as HOME/disks/D     the old chain; D is
 *	                                                  swept
 *	2  an empty qcow2 with a new name beside it       the old chain; the
 *	                                                  file goes at the next
 *	                                                  start
 *	3  disk.json names the qcow2 and D                the new chain, which
 *	                                                  reads the same
 *	4  the snapshot gets its name                     ... and the snapshot
 *	5  the upper's old name goes, D becomes 0444
 *
 * Up to 3 nothing writes to the file under either name, for the sandbox is
 * locked; from 3 on nothing ever does. So it must be 3 before 4: a snapshot
 * whose file is still somebody's upper would change.
 */
#include "lib/upper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/num.h"
#include "image/rootfs.h"

#include "base/banned.h"

#define BACKING_MAX 1023
#define COPY_BLOCK  (64 * KIB) /* what is looked at for zeros */
#define COPY_CHUNK  (1 * MIB)

void upper_release(struct upper *u)
{
	if (!u)
		return;
	disks_close(u->layers, u->n);
	*u = (struct upper){0};
}

void upper_aside_release(struct upper_aside *a)
{
	disk_chain_release(&a->chain);
	disk_chain_release(&a->next);
}

int upper_chain(const struct place *p, struct disk_chain *ret, struct err *err)
{
	int r = disk_chain_read(p->dir_fd, ret, err);

	if (r == -ENOENT)
		*ret = (struct disk_chain)CHAIN_INIT;
	return r == -ENOENT ? 0 : r;
}

/* ---- files --------------------------------------------------------------- */

static int size_of(int fd, enum disk_format format, uint64_t *ret,
                   struct err *err)
{
	struct qcow2_info info;
	struct stat st;
	int r = 0;

	if (format == DISK_QCOW2) {
		r = qcow2_look(fd, &info, err);
		if (r == 0)
			*ret = info.size;
		return r;
	}
	if (fstat(fd, &st) < 0)
		return err_set(err, -errno, "cannot look at its disk: %s",
		               strerror(errno));
	*ret = (uint64_t)st.st_size;
	return 0;
}

static int grow(int fd, enum disk_format format, uint64_t bytes,
                struct err *err)
{
	if (format == DISK_QCOW2)
		return qcow2_grow(fd, bytes, err);
	if (ftruncate(fd, (off_t)bytes) < 0)
		return err_set(err, -errno, "cannot make its disk larger: %s",
		               strerror(errno));
	return 0;
}

/* At least @bytes; *ret_bytes is what it has then. */
static int fit(int fd, enum disk_format format, uint64_t bytes,
               uint64_t *ret_bytes, struct err *err)
{
	uint64_t size;
	int r = size_of(fd, format, &size, err);

	if (r == 0 && size < bytes)
		r = grow(fd, format, bytes, err);
	if (r == 0)
		*ret_bytes = MAX(size, bytes);
	return r;
}

static int new_file(const struct place *p, const char *name, struct err *err)
{
	int fd = place_file(p, name, O_RDWR | O_CREAT | O_EXCL);

	return fd < 0 ? err_set(err, fd, "cannot make its %s: %s", name,
	                        strerror(-fd))
	              : fd;
}

/*
 * An empty file over @c->layers, called as @c will say; then that is what the
 * sandbox has.
 */
static int make_overlay(struct store *s, const struct place *p,
                        struct disk_chain *c, uint64_t bytes, struct err *err)
{
	char backing[BACKING_MAX + 1];
	enum disk_format below = DISK_RAW;
	int r = disk_chain_new_file(c, err);
	cleanup_close int fd = r < 0 ? r : new_file(p, c->file, err);
	int n = snprintf(backing, sizeof(backing), "%s/disks/%s", s->home,
	                 c->layers.v[0]);

	if (fd < 0)
		return fd;
	(void)disks_parse(c->layers.v[0], &below);
	r = qcow2_create(fd, bytes,
	                 n < (int)sizeof(backing) ? backing : c->layers.v[0],
	                 below, err);
	if (r == 0)
		r = disk_chain_switch(p->dir_fd, c, fd, err);
	if (r < 0)
		(void)unlinkat(p->dir_fd, c->file, 0);
	return r;
}

/* 1 when the file system can; 0 when it cannot. */
static int clone_file(int from, int to)
{
	if (ioctl(to, FICLONE, from) == 0)
		return 1;
	switch (errno) {
	case EOPNOTSUPP:
	case ENOTTY:
	case EXDEV:
	case EINVAL:
	case ENOSYS:
		return 0;
	default:
		return -errno;
	}
}

/* ---- made ---------------------------------------------------------------- */

int upper_make(struct store *s, const struct place *p, uint64_t bytes,
               struct err *err)
{
	return upper_create_at(s, bytes, p->dir_fd, CHAIN_RAW, err);
}

/* The names of @from, without the first. */
static int below(const struct disk_chain *from, struct strv *ret)
{
	return from->layers.n > 1 ? strv_add_all(ret, from->layers.v + 1) : 0;
}

/* Its top file cloned as ours: 1, or 0 when that cannot be done. */
static int fork_clone(const struct place *p, uint64_t bytes,
                      const struct disk_chain *from, int from_fd,
                      enum disk_format format, struct disk_chain *ret,
                      struct err *err)
{
	cleanup_close int fd = -1;
	uint64_t size;
	int r = 0;

	if (format == DISK_RAW)
		(void)snprintf(ret->file, sizeof(ret->file), CHAIN_RAW);
	else
		r = disk_chain_new_file(ret, err);
	if (r < 0)
		return r;
	fd = new_file(p, ret->file, err);
	if (fd < 0)
		return fd;
	r = clone_file(from_fd, fd);
	if (r > 0) {
		r = fit(fd, format, bytes, &size, err);
		if (r == 0)
			r = below(from, &ret->layers);
		if (r == 0)
			r = disk_chain_switch(p->dir_fd, ret, fd, err);
		r = r < 0 ? r : 1;
	}
	if (r <= 0)
		(void)unlinkat(p->dir_fd, ret->file, 0);
	return r;
}

static int open_top(const struct store *s, const struct disk_chain *c,
                    enum disk_format *ret_format, struct err *err)
{
	struct strv cleanup_strv top = {0};
	struct disk_layer l;
	unsigned n = 0;
	int r = c->layers.n ? strv_add(&top, c->layers.v[0]) : -EUCLEAN;

	if (r == 0)
		r = disks_open(s, &top, &l, &n, err);
	if (r < 0)
		return r;
	*ret_format = l.format;
	return l.fd;
}

int upper_fork(struct store *s, const struct place *p, uint64_t bytes,
               const struct disk_chain *from, const char *parent,
               struct err *err)
{
	struct disk_chain cleanup_disk_chain c = {0};
	enum disk_format format;
	cleanup_close int top = open_top(s, from, &format, err);
	int r;

	if (top < 0)
		return top;
	(void)snprintf(c.parent, sizeof(c.parent), "%s", parent);
	r = fork_clone(p, bytes, from, top, format, &c, err);
	if (r == 0) {
		r = strv_add_all(&c.layers, from->layers.v);
		if (r == 0)
			r = make_overlay(s, p, &c, bytes, err);
	}
	return r < 0 ? r : 0;
}

/* ---- opened -------------------------------------------------------------- */

/* What a killed process left: uppers that the chain does not name. */
static void drop_others(const struct place *p, const char *keep)
{
	int copy = openat(p->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d) {
		close_fd(&copy);
		return;
	}
	while ((e = readdir(d)))
		if ((strcmp(e->d_name, CHAIN_RAW) == 0 ||
		     strncmp(e->d_name, "upper-", 6) == 0) &&
		    strcmp(e->d_name, keep) != 0)
			(void)unlinkat(p->dir_fd, e->d_name, 0);
	(void)closedir(d);
}

static int open_chain(struct store *s, const struct place *p,
                      const struct disk_chain *c, uint64_t bytes,
                      bool read_only, struct upper *u, struct err *err)
{
	struct disk_layer *top = &u->layers[0];
	int r;

	top->format = disk_chain_format(c);
	top->fd = place_file(p, c->file, read_only ? O_RDONLY : O_RDWR);
	if (top->fd < 0)
		return err_set(err, top->fd, "cannot open its %s: %s", c->file,
		               strerror(-top->fd));
	u->n = 1;
	if (read_only)
		r = size_of(top->fd, top->format, &u->bytes, err);
	else
		r = fit(top->fd, top->format, bytes, &u->bytes, err);
	return r < 0 ? r : disks_open(s, &c->layers, u->layers, &u->n, err);
}

int upper_open(struct store *s, const struct place *p, uint64_t bytes,
               bool read_only, struct upper *ret, struct err *err)
{
	struct disk_chain cleanup_disk_chain c = {0};
	struct upper cleanup_upper u = {0};
	int r = upper_chain(p, &c, err);

	if (r == 0)
		r = open_chain(s, p, &c, bytes, read_only, &u, err);
	if (r < 0)
		return r;
	/* Not before: if a layer is missing, another may be the last copy. */
	if (!read_only)
		drop_others(p, c.file);
	*ret = u;
	u = (struct upper){0};
	return 0;
}

bool upper_is_forked(const struct place *p)
{
	return faccessat(p->dir_fd, DISKS_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void upper_forget(const struct place *p)
{
	(void)unlinkat(p->dir_fd, DISKS_FILE, 0);
	drop_others(p, "");
}

int upper_remove(const struct place *p)
{
	struct disk_chain cleanup_disk_chain c = {0};
	int r = upper_chain(p, &c, NULL);

	return r == 0 && unlinkat(p->dir_fd, c.file, 0) < 0 ? -errno : r;
}

/* ---- set aside ----------------------------------------------------------- */

/* Whether one more layer is too many. */
static bool is_deep(const struct disk_chain *c)
{
	return c->layers.n + 1 > DISKS_DEPTH_MAX;
}

/* The upper's file under a new name in HOME/disks: *ret_name. */
static int aside_clone(int dir, int upper, const char *name, struct err *err)
{
	cleanup_close int fd =
		openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	int r = fd < 0 ? -errno : clone_file(upper, fd);

	if (r > 0 && fsync(fd) < 0)
		r = -errno;
	if (r <= 0 && fd >= 0)
		(void)unlinkat(dir, name, 0);
	return r < 0 ? err_set(err, r, "cannot clone its disk: %s",
	                       strerror(-r))
	             : r;
}

/* @name is on top of what the upper had below it. */
static int put_on_top(struct upper_aside *a, const char *name,
                      const struct strv *under)
{
	int r = strv_add(&a->chain.layers, name);

	return r < 0 ? r : strv_add_all(&a->chain.layers, strv_list(under));
}

/* Steps 1 to 3. */
static int aside_rename(struct store *s, const struct place *p, uint64_t bytes,
                        int dir, const char *name, int flat,
                        struct upper_aside *a, struct err *err)
{
	int r = 0;

	if (flat >= 0)
		r = disks_name_file(flat, dir, name, err);
	else if (linkat(p->dir_fd, a->old, dir, name, 0) < 0)
		r = err_set(err, -errno, "cannot link its disk: %s",
		            strerror(errno));
	if (r == 0)
		r = strv_add_all(&a->next.layers, strv_list(&a->chain.layers));
	if (r == 0)
		r = make_overlay(s, p, &a->next, bytes, err);
	/* Its name was in the folder before the other's. */
	return r == 0 && fsync(dir) < 0 ? -errno : r;
}

static int aside_cloned(const struct place *p, const struct disk_chain *was,
                        struct upper_aside *a, struct err *err)
{
	int r = strv_add_all(&a->next.layers, strv_list(&was->layers));

	(void)snprintf(a->next.file, sizeof(a->next.file), "%s", was->file);
	a->old[0] = '\0';
	a->cloned = true;
	return r < 0 ? r : disk_chain_write(p->dir_fd, &a->next, err);
}

int upper_set_aside(struct store *s, const struct place *p, uint64_t bytes,
                    int flat, const char *parent, struct upper_aside *ret,
                    struct err *err)
{
	struct disk_chain cleanup_disk_chain was = {0};
	struct upper_aside cleanup_aside a = {0};
	char name[DISKS_NAME_MAX + 1];
	const struct strv none = {0};
	cleanup_close int dir = disks_folder(s, err), upper = -1;
	int r = dir < 0 ? dir : upper_chain(p, &was, err);

	if (r == 0)
		r = disks_new_name(flat >= 0 ? DISK_RAW
		                             : disk_chain_format(&was),
		                   name, err);
	if (r < 0)
		return r;
	(void)snprintf(a.old, sizeof(a.old), "%s", was.file);
	(void)snprintf(a.next.parent, sizeof(a.next.parent), "%s", parent);
	(void)snprintf(a.chain.parent, sizeof(a.chain.parent), "%s",
	               was.parent);
	r = put_on_top(&a, name, flat >= 0 ? &none : &was.layers);
	upper = place_file(p, was.file, O_RDONLY);
	if (r == 0 && upper < 0)
		r = err_set(err, upper, "cannot open its %s: %s", was.file,
		            strerror(-upper));
	if (r == 0 && flat < 0)
		r = aside_clone(dir, upper, name, err);
	if (r == 0 && flat < 0 && is_deep(&was))
		return -EMLINK;
	if (r == 0)
		r = aside_rename(s, p, bytes, dir, name, flat, &a, err);
	else if (r > 0)
		r = aside_cloned(p, &was, &a, err);
	if (r < 0)
		return r;
	*ret = a;
	a = (struct upper_aside){0};
	return 0;
}

void upper_drop_old(struct store *s, const struct place *p,
                    const struct upper_aside *a)
{
	cleanup_close int dir = disks_folder(s, NULL);

	if (*a->old)
		(void)unlinkat(p->dir_fd, a->old, 0);
	/* A guard against hands; nothing of ours counts on it. */
	if (dir < 0 || !a->chain.layers.n ||
	    fchmodat(dir, a->chain.layers.v[0], 0444, 0) < 0)
		return;
}

/* ---- copied -------------------------------------------------------------- */

static bool is_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

int upper_write_sparse(int fd, const void *data, size_t len, uint64_t at)
{
	const uint8_t *buf = data;
	size_t n;
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i += n) {
		n = MIN(len - i, (size_t)(COPY_BLOCK - (at + i) % COPY_BLOCK));

		if (!is_zero(buf + i, n))
			r = fd_pwrite_full(fd, buf + i, n, at + i);
	}
	return r;
}

static int copy_data(struct disk *d, int fd, uint8_t *buf, uint64_t at,
                     uint64_t len, upper_tick_fn tick, void *arg)
{
	int r = 0;

	while (len && r == 0) {
		size_t n = (size_t)MIN(len, COPY_CHUNK);
		struct iovec iov = {buf, n};

		r = disk_read(d, &iov, 1, at);
		if (r == 0)
			r = upper_write_sparse(fd, buf, n, at);
		if (r == 0 && tick && tick(arg, n))
			r = -ECANCELED;
		at += n;
		len -= n;
	}
	return r;
}

int upper_copy(struct disk *d, int fd, upper_tick_fn tick, void *arg,
               struct err *err)
{
	uint64_t at = 0, size = disk_size(d), len = 0;
	cleanup_free uint8_t *buf = malloc(COPY_CHUNK);
	bool hole;
	int r = buf ? 0 : -ENOMEM;

	if (r == 0 && ftruncate(fd, (off_t)size) < 0)
		r = -errno;
	while (r == 0 && at < size) {
		r = disk_map(d, at, size - at, &hole, &len);
		if (r == 0 && !hole)
			r = copy_data(d, fd, buf, at, len, tick, arg);
		at += len;
	}
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == -ECANCELED)
		return err_set(err, r, "cancelled");
	return r < 0 ? err_set(err, r, "cannot copy the disk: %s", strerror(-r))
	             : 0;
}
