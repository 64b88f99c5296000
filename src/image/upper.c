/*
 * The writable disk of a sandbox: a sparse clone of a template that is made
 * once for each size. The template's 100 KiB of data are cloned by reference
 * where the file system can, else copied; the rest is holes.
 */
#include "image/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "image/ext4.h"

#include "base/banned.h"

#define NAME_LEN 96
#define TRIES    16

static int make_staged(struct store *s, struct store_tmp *t, uint64_t size,
                       struct err *err)
{
	struct buf cleanup_buf path = BUF_INIT;
	cleanup_close int fd = openat(
		t->dir_fd, "ext4", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return err_set(err, -errno, "cannot make an ext4 image: %s",
		               strerror(errno));
	if (buf_printf(&path, "%s/store/%s/ext4", s->home, t->name) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return ext4_make(buf_str(&path), size, err);
}

static int make_template(struct store *s, const char *name, uint64_t size,
                         struct err *err)
{
	struct store_tmp t = {0};
	int r = store_tmp_new(s, &t, err);

	if (r < 0)
		return r;
	r = make_staged(s, &t, size, err);
	if (r == 0)
		r = store_publish_file(s, &t, "ext4", name, err);
	store_tmp_drop(s, &t);
	return r < 0 ? r : 0;
}

static int open_template(struct store *s, const char *name, uint64_t size)
{
	cleanup_close int fd =
		openat(s->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return (uint64_t)st.st_size == size ? take_fd(fd) : -EBADMSG;
}

/* The template's descriptor. Two that make it at once: the first one's wins. */
static int get_template(struct store *s, uint64_t size, struct err *err)
{
	char name[NAME_LEN];
	int fd, r = 0;

	(void)snprintf(name, sizeof(name), "templates/ext4-%llu-%d",
	               (unsigned long long)size, EXT4_ABI);
	fd = open_template(s, name, size);
	if (fd == -EBADMSG)
		(void)unlinkat(s->fd, name, 0);
	if (fd == -EBADMSG || fd == -ENOENT) {
		r = make_template(s, name, size, err);
		if (r < 0)
			return r;
		fd = open_template(s, name, size);
	}
	return fd < 0 ? err_set(err, fd, "cannot open %s/store/%s: %s", s->home,
	                        name, strerror(-fd))
	              : fd;
}

/* For file systems without O_TMPFILE. */
static int unlinked_file(int dir_fd)
{
	for (int i = 0; i < TRIES; i++) {
		char name[64];
		uint64_t rnd;
		int fd;

		if (getrandom(&rnd, sizeof(rnd), 0) != sizeof(rnd))
			return -EIO;
		(void)snprintf(name, sizeof(name), "store/tmp/.upper-%016llx",
		               (unsigned long long)rnd);
		fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
		            0600);
		if (fd >= 0) {
			(void)unlinkat(dir_fd, name, 0);
			return fd;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int new_file(struct store *s)
{
	int fd = openat(s->home_fd, "sandboxes", O_TMPFILE | O_RDWR | O_CLOEXEC,
	                0600);

	if (fd >= 0)
		return fd;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)
		return -errno;
	return unlinked_file(s->home_fd);
}

static int copy_bytes(int from, int to, off_t at, off_t end)
{
	uint8_t chunk[16 * 1024];

	while (at < end) {
		ssize_t n = fd_pread_full(
			from, chunk, MIN(sizeof(chunk), (size_t)(end - at)),
			(uint64_t)at);
		int r = n <= 0 ? -EIO
		               : fd_pwrite_full(to, chunk, (size_t)n,
		                                (uint64_t)at);

		if (r < 0)
			return r;
		at += n;
	}
	return 0;
}

/* One run of data; in the kernel where both file systems can. */
static int copy_run(int from, int to, off_t at, off_t end)
{
	while (at < end) {
		off_t in = at, out = at;
		ssize_t n = copy_file_range(from, &in, to, &out,
		                            (size_t)(end - at), 0);

		if (n <= 0)
			return copy_bytes(from, to, at, end);
		at += n;
	}
	return 0;
}

static int copy_sparse(int from, int to, uint64_t size)
{
	off_t at = 0, end;

	if (ftruncate(to, (off_t)size) < 0)
		return -errno;
	while ((uint64_t)at < size) {
		int r;

		at = lseek(from, at, SEEK_DATA);
		if (at < 0)
			return errno == ENXIO ? 0 : -errno;
		end = lseek(from, at, SEEK_HOLE);
		if (end < 0)
			return -errno;
		r = copy_run(from, to, at, end);
		if (r < 0)
			return r;
		at = end;
	}
	return 0;
}

static int check_size(uint64_t size, struct err *err)
{
	char text[32];

	if (size >= EXT4_SIZE_MIN && size <= EXT4_SIZE_MAX && size % 4096 == 0)
		return 0;
	return err_set(err, -EINVAL,
	               "a writable disk cannot have %s: 16 MiB to 8 "
	               "TiB, in steps of 4 KiB",
	               num_format_size(size, text, sizeof(text)));
}

static int cannot_make(struct store *s, int r, struct err *err)
{
	return err_set(err, r, "cannot make a writable disk in %s: %s", s->home,
	               strerror(-r));
}

/* Clone the template into @to, which may be the negative errno of its making.
 */
static int clone_template(struct store *s, uint64_t size, int to,
                          struct err *err)
{
	cleanup_close int from = get_template(s, size, err);
	int r = to < 0 ? to : 0;

	if (from < 0)
		return from;
	if (r == 0 && ioctl(to, FICLONE, from) < 0)
		r = copy_sparse(from, to, size);
	return r < 0 ? cannot_make(s, r, err) : 0;
}

int upper_create(struct store *s, uint64_t size, int *ret_fd, struct err *err)
{
	int r = check_size(size, err);
	cleanup_close int to = r < 0 ? -1 : new_file(s);

	if (r == 0)
		r = clone_template(s, size, to, err);
	if (r == 0)
		*ret_fd = take_fd(to);
	return r;
}

/*
 * One that has no name yet, or, on file systems without such files, another
 * one: what stands there was left by somebody who died.
 */
static int nameless_file(int dir_fd, const char *other, bool *ret_named)
{
	int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	*ret_named = false;
	if (fd >= 0)
		return fd;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)
		return -errno;
	(void)unlinkat(dir_fd, other, 0);
	fd = openat(dir_fd, other, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	*ret_named = fd >= 0;
	return fd < 0 ? -errno : fd;
}

/* Never over what is there, so that no sandbox's data can go this way. */
static int give_name(int fd, int dir_fd, const char *other, bool named,
                     const char *name)
{
	char self[32];
	int r;

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	r = named ? linkat(dir_fd, other, dir_fd, name, 0)
	          : linkat(AT_FDCWD, self, dir_fd, name, AT_SYMLINK_FOLLOW);
	return r < 0 ? -errno : 0;
}

int upper_create_at(struct store *s, uint64_t size, int dir_fd,
                    const char *name, struct err *err)
{
	char other[NAME_LEN];
	bool named = false;
	int r = check_size(size, err);
	cleanup_close int fd = -1;

	if (r < 0)
		return r;
	(void)snprintf(other, sizeof(other), ".%.80s.new", name);
	fd = nameless_file(dir_fd, other, &named);
	r = clone_template(s, size, fd, err);
	if (r == 0) {
		r = give_name(fd, dir_fd, other, named, name);
		/* With the name; before it, nobody looks at the content. */
		if (r == 0 && fsync(fd) < 0) {
			r = -errno;
			(void)unlinkat(dir_fd, name, 0);
		}
		r = r < 0 ? cannot_make(s, r, err) : 0;
	}
	if (named)
		(void)unlinkat(dir_fd, other, 0);
	return r;
}
