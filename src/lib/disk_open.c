#include "lib/disk_open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/escape.h"
#include "base/fdio.h"
#include "base/num.h"

#include "base/banned.h"

#define SECTOR 512

static const struct {
	const char *end;
	enum disk_format format;
} ends[] = {
	{".qcow2", DISK_QCOW2},
	{".raw",   DISK_RAW  },
	{".img",   DISK_RAW  },
};

static bool has_end(const char *path, const char *end)
{
	size_t n = strlen(path), len = strlen(end);

	return n > len && strcmp(path + n - len, end) == 0;
}

int disk_image_format(const char *path, const char *stated,
                      enum disk_format *ret, struct err *err)
{
	for (unsigned i = 0; stated && disk_format_names[i]; i++) {
		if (strcmp(stated, disk_format_names[i]) == 0) {
			*ret = (enum disk_format)i;
			return 0;
		}
	}
	if (stated)
		return err_set(err, -EINVAL,
		               "'%s' is no format of a disk image: raw or "
		               "qcow2",
		               stated);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		if (has_end(path, ends[i].end)) {
			*ret = ends[i].format;
			return 0;
		}
	}
	(void)err_set(err, -EINVAL,
	              "the name of disk image %s does not tell its format",
	              path);
	err_hint(err, "say format=raw or format=qcow2, or let it end in .raw, "
	              ".img or .qcow2");
	return -EINVAL;
}

/* A device that the host has mounted is not opened for writing. */
static int open_flags(mode_t mode, bool read_only)
{
	if (read_only)
		return O_RDONLY | O_CLOEXEC;
	return O_RDWR | O_CLOEXEC | (S_ISBLK(mode) ? O_EXCL : 0);
}

static int cannot_look(const struct disk_image *i, int r, struct err *err)
{
	return err_set(err, r, "cannot open disk image %s: %s", i->path,
	               file_open_text(r, i->links));
}

/* Looked at before it is opened: a pipe or a device may do anything then. */
static int open_file(const struct disk_image *i, struct err *err)
{
	cleanup_close int look = file_open(i->path, O_PATH, i->links);
	const bool read_only = i->read_only;
	const char *path = i->path;
	char again[32];
	struct stat st;
	int fd;

	if (look < 0)
		return cannot_look(i, look, err);
	if (fstat(look, &st) < 0)
		return cannot_look(i, -errno, err);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(err, -EINVAL,
		               "disk image %s is neither a file nor a block "
		               "device",
		               path);
	(void)snprintf(again, sizeof(again), "/proc/self/fd/%d", look);
	fd = open(again, open_flags(st.st_mode, read_only));
	if (fd >= 0)
		return fd;
	fd = -errno;
	(void)err_set(err, fd, "cannot open disk image %s%s: %s", path,
	              read_only ? "" : " for writing", strerror(-fd));
	if (fd == -EACCES || fd == -EROFS)
		err_hint(err, read_only ? "its owner or mode does not allow it"
		                        : "mount it read-only (ro)");
	return fd;
}

static int lock(int fd, const char *path, bool read_only, struct err *err)
{
	struct flock l = {.l_type = read_only ? F_RDLCK : F_WRLCK,
	                  .l_whence = SEEK_SET};

	if (fcntl(fd, F_OFD_SETLK, &l) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return err_set(err, -errno, "cannot lock disk image %s: %s",
		               path, strerror(errno));
	(void)err_set(err, -EBUSY,
	              read_only ? "disk image %s is being written by another "
	                          "sandbox or program"
	                        : "disk image %s is in use by another sandbox "
	                          "or program",
	              path);
	err_hint(err, "several can use it at once if all mount it read-only "
	              "(ro)");
	return -EBUSY;
}

static int check_raw(int fd, const char *path, bool stated, struct err *err)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char magic[4] = {0};

	if (size < 0)
		return err_set(err, -errno,
		               "cannot tell the size of disk image %s: %s",
		               path, strerror(errno));
	if (!stated && fd_pread_full(fd, magic, sizeof(magic), 0) == 4 &&
	    memcmp(magic, "QFI\xfb", 4) == 0) {
		(void)err_set(
			err, -EINVAL,
			"disk image %s is raw by its name and begins like "
			"qcow2",
			path);
		err_hint(err, "say format=qcow2 if that is what it is, or "
		              "format=raw to give the guest its bytes as they "
		              "are");
		return -EINVAL;
	}
	if (size && size % SECTOR == 0)
		return 0;
	(void)err_set(err, -EINVAL,
	              "disk image %s has %lld bytes, no multiple of %d", path,
	              (long long)size, SECTOR);
	err_hint(err, "round it up: truncate --size %%%d FILE", SECTOR);
	return -EINVAL;
}

static int refuse_backing(const char *path, const char *backing,
                          struct err *err)
{
	struct buf cleanup_buf name = BUF_INIT_MAX(8 * KIB);

	(void)escape_text(&name, backing, strlen(backing), 0);
	(void)err_set(err, -EPERM,
	              "disk image %s is based on another file, %.*s, which is "
	              "not opened",
	              path, 200, buf_str(&name));
	err_hint(err, "make one that stands alone: qemu-img convert -O qcow2 "
	              "OLD NEW");
	return -EPERM;
}

/* As msb-vmm will open it: what it does not take is told before the start. */
static int check_qcow2(const struct disk_layer *l, const char *path,
                       bool read_only, struct err *err)
{
	struct disk *cleanup_disk d = NULL;
	struct qcow2_info info;
	int r = qcow2_look(l->fd, &info, err);

	if (r == 0 && *info.backing)
		return refuse_backing(path, info.backing, err);
	if (r == 0)
		r = disk_open_layers(l, 1, read_only, &d, err);
	return r < 0 ? err_wrap(err, "disk image %s", path) : 0;
}

static int open_checked(const struct disk_image *i, bool locked,
                        struct disk_layer *ret, struct err *err)
{
	struct disk_layer l = {.fd = -1};
	cleanup_close int fd = -1;
	int r = disk_image_format(i->path, i->format, &l.format, err);

	if (r < 0)
		return r;
	l.fd = fd = open_file(i, err);
	if (fd < 0)
		return fd;
	if (locked)
		r = lock(fd, i->path, i->read_only, err);
	if (r == 0 && l.format == DISK_RAW)
		r = check_raw(fd, i->path, i->format, err);
	else if (r == 0)
		r = check_qcow2(&l, i->path, i->read_only, err);
	if (r < 0)
		return r;
	(void)take_fd(fd);
	*ret = l;
	return 0;
}

int disk_open_image(const struct disk_image *i, struct disk_layer *ret,
                    struct err *err)
{
	return open_checked(i, true, ret, err);
}

int disk_look_image(const struct disk_image *i, enum disk_format *ret,
                    struct err *err)
{
	struct disk_layer l = {.fd = -1};
	int r = open_checked(i, false, &l, err);

	close_fd(&l.fd);
	if (r == 0)
		*ret = l.format;
	return r;
}
