#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/xattr.h"

#include "base/banned.h"

/* The same on each architecture: newer than the table all share. */
#ifndef SYS_setxattrat
#define SYS_setxattrat    463
#define SYS_getxattrat    464
#define SYS_listxattrat   465
#define SYS_removexattrat 466
#endif

/* Linux: include/uapi/linux/xattr.h, struct xattr_args. */
struct at_args {
	uint64_t value __attribute__((aligned(8)));
	uint32_t size;
	uint32_t flags;
};

enum what { GET, LIST, SET, REMOVE };

struct op {
	enum what what;
	const char *name;
	void *data;
	size_t len;
	int flags;
};

static atomic_bool use_at = true;
static atomic_bool use_cwd;

void xattr_calls(bool at, bool cwd)
{
	use_at = at;
	use_cwd = cwd;
}

static ssize_t by_fd(int fd, const struct op *op)
{
	switch (op->what) {
	case GET:
		return fgetxattr(fd, op->name, op->data, op->len);
	case LIST:
		return flistxattr(fd, op->data, op->len);
	case SET:
		return fsetxattr(fd, op->name, op->data, op->len, op->flags);
	case REMOVE:
	default:
		return fremovexattr(fd, op->name);
	}
}

/* Of a name in the current folder; a link only where it is a magic one. */
static ssize_t by_path(const char *path, bool follow, const struct op *op)
{
	switch (op->what) {
	case GET:
		return (follow ? getxattr : lgetxattr)(path, op->name, op->data,
		                                       op->len);
	case LIST:
		return (follow ? listxattr : llistxattr)(path, op->data,
		                                         op->len);
	case SET:
		return (follow ? setxattr : lsetxattr)(path, op->name, op->data,
		                                       op->len, op->flags);
	case REMOVE:
	default:
		return (follow ? removexattr : lremovexattr)(path, op->name);
	}
}

static ssize_t by_at(int dir_fd, const char *path, bool follow,
                     const struct op *op)
{
	unsigned at = follow ? 0 : AT_SYMLINK_NOFOLLOW;
	struct at_args args = {(uintptr_t)op->data, (uint32_t)op->len,
	                       (uint32_t)op->flags};

	switch (op->what) {
	case GET:
		return syscall(SYS_getxattrat, dir_fd, path, at, op->name,
		               &args, sizeof(args));
	case LIST:
		return syscall(SYS_listxattrat, dir_fd, path, at, op->data,
		               op->len);
	case SET:
		return syscall(SYS_setxattrat, dir_fd, path, at, op->name,
		               &args, sizeof(args));
	case REMOVE:
	default:
		return syscall(SYS_removexattrat, dir_fd, path, at, op->name);
	}
}

/*
 * Reading user.* is never refused with EPERM, but by a filter of system calls
 * that does not know these.
 */
static bool is_missing(const struct op *op)
{
	return errno == ENOSYS ||
	       (errno == EPERM && (op->what == GET || op->what == LIST));
}

/* @fd is O_PATH. It was looked at, so what is opened is no device. */
static ssize_t open_link(int proc_fd, int fd, const struct op *op)
{
	cleanup_close int real = -1;
	struct stat st;
	char num[12];

	if (fstat(fd, &st) < 0)
		return -1;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		errno = op->what == GET ? ENODATA : EPERM;
		return op->what == LIST ? 0 : -1;
	}
	(void)snprintf(num, sizeof(num), "%d", fd);
	real = openat(proc_fd, num,
	              O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return real < 0 ? -1 : by_fd(real, op);
}

static ssize_t by_open(const struct owner_file *f, const struct op *op)
{
	cleanup_close int fd = -1;

	if (!f->name)
		return open_link(f->proc_fd, f->fd, op);
	fd = openat(f->fd, f->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -1 : open_link(f->proc_fd, fd, op);
}

static ssize_t by_link(const struct owner_file *f, const struct op *op)
{
	int dir_fd = f->name ? f->fd : f->proc_fd;
	const char *path = f->name;
	char num[12];
	ssize_t n;

	if (!path) {
		(void)snprintf(num, sizeof(num), "%d", f->fd);
		path = num;
	}
	if (use_at) {
		n = by_at(dir_fd, path, !f->name, op);
		if (n >= 0 || !is_missing(op))
			return n;
		use_at = false;
	}
	if (!use_cwd)
		return by_open(f, op);
	if (fchdir(dir_fd) < 0)
		return -1;
	return by_path(path, !f->name, op);
}

static ssize_t run(const struct owner_file *f, const struct op *op)
{
	ssize_t n = f->is_path || f->name ? by_link(f, op) : by_fd(f->fd, op);

	return n < 0 ? -errno : n;
}

ssize_t xattr_get(const struct owner_file *f, const char *name, void *data,
                  size_t size)
{
	return run(f, &(struct op){GET, name, data, size, 0});
}

ssize_t xattr_list(const struct owner_file *f, char *names, size_t size)
{
	return run(f, &(struct op){LIST, NULL, names, size, 0});
}

int xattr_set(const struct owner_file *f, const char *name, const void *data,
              size_t len, int flags)
{
	struct op op = {SET, name, (void *)(uintptr_t)data, len, flags};

	return (int)run(f, &op);
}

int xattr_remove(const struct owner_file *f, const char *name)
{
	return (int)run(f, &(struct op){REMOVE, name, NULL, 0, 0});
}
