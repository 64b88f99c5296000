#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "files/name.h"
#include "lib/out_file.h"

#include "base/banned.h"

void out_file_release(struct out_file *f)
{
	if (*f->temp)
		(void)unlinkat(f->dir_fd, f->temp, 0);
	close_fd(&f->fd);
	close_fd(&f->dir_fd);
	free(f->path);
}

static int failed(const char *path, int r, struct err *err)
{
	return err_set(err, r, "cannot write %s: %s", path, strerror(-r));
}

static int make_temp(struct out_file *f)
{
	uint32_t n;

	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		return -EIO;
	(void)snprintf(f->temp, sizeof(f->temp), ".msb-save-%08x", n);
	return 0;
}

/* Where the file system knows no file without a name, it has one. */
static int open_unnamed(struct out_file *f)
{
	int r;

	f->fd = openat(f->dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC,
	               f->mode);
	if (f->fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR)
		return -errno;
	r = make_temp(f);
	if (r < 0)
		return r;
	f->fd = openat(f->dir_fd, f->temp,
	               O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, f->mode);
	if (f->fd < 0)
		*f->temp = '\0';
	return f->fd < 0 ? -errno : 0;
}

static int open_folder(struct out_file *f)
{
	char *slash = strrchr(f->path, '/');

	f->base = slash ? slash + 1 : f->path;
	if (!slash)
		f->dir_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	else if (slash == f->path)
		f->dir_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	else {
		*slash = '\0';
		f->dir_fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		*slash = '/';
	}
	return f->dir_fd < 0 ? -errno : 0;
}

int out_file_open(struct out_file *f, const char *path, mode_t mode,
                  struct err *err)
{
	bool held = files_is_held(path);
	struct stat st;
	int r = 0;

	f->mode = mode;
	if (strcmp(path, "-") == 0) {
		f->direct = true;
		f->fd = fcntl(1, F_DUPFD_CLOEXEC, 3);
		return f->fd < 0 ? failed("standard output", -errno, err) : 0;
	}
	f->path = held ? NULL : realpath(path, NULL);
	if (!f->path)
		f->path = strdup(path);
	if (!f->path)
		return err_set(err, -ENOMEM, "out of memory");
	if (fstatat(AT_FDCWD, f->path, &st, held ? AT_SYMLINK_NOFOLLOW : 0) ==
	            0 &&
	    !S_ISREG(st.st_mode)) {
		f->direct = true;
		f->fd = open(f->path, O_WRONLY | O_CLOEXEC | O_NOCTTY |
		                              (held ? O_NOFOLLOW : 0));
		r = f->fd < 0 ? -errno : 0;
		return r < 0 ? failed(path, r, err) : 0;
	}
	r = open_folder(f);
	if (r == 0 && !*f->base)
		r = -EISDIR;
	if (r == 0)
		r = open_unnamed(f);
	return r < 0 ? failed(path, r, err) : 0;
}

/* A new name can be had at once; an old one is replaced by renaming. */
static int give_name(struct out_file *f)
{
	char own[64];
	int r;

	(void)snprintf(own, sizeof(own), "/proc/self/fd/%d", f->fd);
	if (!*f->temp) {
		if (linkat(AT_FDCWD, own, f->dir_fd, f->base,
		           AT_SYMLINK_FOLLOW) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
		r = make_temp(f);
		if (r < 0)
			return r;
		if (linkat(AT_FDCWD, own, f->dir_fd, f->temp,
		           AT_SYMLINK_FOLLOW) < 0) {
			*f->temp = '\0';
			return -errno;
		}
	}
	if (renameat(f->dir_fd, f->temp, f->dir_fd, f->base) < 0)
		return -errno;
	*f->temp = '\0';
	return 0;
}

int out_file_finish(struct out_file *f, const char *path, struct err *err)
{
	int r = 0;

	if (f->direct)
		return 0;
	if (fdatasync(f->fd) < 0)
		r = -errno;
	if (r == 0)
		r = give_name(f);
	return r < 0 ? failed(path, r, err) : 0;
}
