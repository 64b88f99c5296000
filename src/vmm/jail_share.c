/*
 * Theory
 *
 * A descriptor of a folder is more than the folder: openat(fd, "..") leads out
 * of it, by the rights of who asks. The file server never asks so (openat2()
 * with RESOLVE_BENEATH), but somebody who took over its thread would. So the
 * thread gets descriptors of mounts that hang nowhere: clones of the host's
 * mounts whose root is the shared folder, above which there is nothing.
 *
 * Of what is mounted below a share the clones have clones, private ones: what
 * the host mounts there later is not seen.
 *
 * The file server opens again what it holds by O_PATH, for which it needs
 * /proc/self/fd: a clone as well, as there is no /proc in the new root.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/log.h"
#include "vmm/jail_root.h"

#include "base/banned.h"

#define OLD_MS_PRIVATE (1u << 18) /* <sys/mount.h> excludes the other one */

#define SHARE_ATTRS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

static int clone_tree(const char *path)
{
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path,
	                      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
	                              AT_RECURSIVE);

	return fd < 0 ? -errno : fd;
}

static int set_attrs(int tree, uint64_t attrs)
{
	struct mount_attr attr = {.attr_set = attrs,
	                          .propagation = OLD_MS_PRIVATE};

	return syscall(SYS_mount_setattr, tree, "",
	               AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0
	               ? -errno
	               : 0;
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* By the name that it has now; somebody may just have given that away. */
static int enter_one(const struct jail_share *s)
{
	uint64_t attrs = SHARE_ATTRS | (s->read_only ? MOUNT_ATTR_RDONLY : 0);
	char link[32], path[PATH_MAX];
	cleanup_close int tree = -1;
	ssize_t n;
	int r;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", s->fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0 || n == (ssize_t)sizeof(path) - 1)
		return n < 0 ? -errno : -ENAMETOOLONG;
	path[n] = '\0';
	tree = clone_tree(path);
	if (tree < 0)
		return tree;
	if (!same_file(tree, s->fd))
		return -ESTALE;
	r = set_attrs(tree, attrs | MOUNT_ATTR_NOSYMFOLLOW);
	if (r == -EINVAL) /* Linux before 5.14 */
		r = set_attrs(tree, attrs);
	if (r < 0)
		return r;
	return dup3(tree, s->fd, O_CLOEXEC) < 0 ? -errno : 0;
}

static int enter_all(const struct jail_share *list, size_t n)
{
	int all = 0;

	for (size_t i = 0; i < n; i++) {
		int r = enter_one(&list[i]);

		if (r < 0) {
			log_debug("share %zu has no mount of its own: %s", i,
			          strerror(-r));
			all = -EXDEV;
		}
	}
	return all;
}

int jail_shares_enter(const struct jail_needs *needs)
{
	return enter_all(needs->shares, needs->nshares);
}

int jail_sockets_enter(const struct jail_needs *needs)
{
	return enter_all(needs->sockets, needs->nsockets);
}

int jail_open_proc_fd(void)
{
	int fd = clone_tree("/proc/self/fd");

	if (fd < 0)
		fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
