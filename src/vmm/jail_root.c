/*
 * Theory
 *
 * The new root is a small tmpfs, made and filled before it is anybody's root.
 * What QEMU is made of is cloned from the host's tree, read-only, without
 * setuid and devices, and moved into it; then pivot_root() and the host's tree
 * is gone. For the kvm engine nothing is cloned.
 *
 * QEMU shares this mount namespace but lives in a user namespace below ours,
 * so it has no say in it. We have: jail_root_empty() unmounts the clones when
 * QEMU has started, for QEMU too. That is why the main thread keeps
 * CAP_SYS_ADMIN (over nothing but these namespaces) until then.
 *
 * QEMU opens kernel and initramfs by name, and there is no /proc. They are
 * cloned as well, by the name that /proc gives their descriptor, if that still
 * is the same file; a file without a name (memfd) is copied.
 */
#include "vmm/jail_root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/num.h"

#include "base/banned.h"

/* <sys/mount.h> of glibc 2.36 and <linux/mount.h> exclude each other. */
#define OLD_MS_REC     16384u
#define OLD_MS_PRIVATE (1u << 18)
#define OLD_MNT_DETACH 2

#define ITEMS_MAX 24
#define COPY_MAX  (256 * MIB) /* a kernel or initramfs without a name */

/* Where the new root hangs for a moment; it exists on every Linux. */
#define FOOTHOLD "/proc"

/* Libraries, their data and interpreters; no configuration, no secrets. */
static const char *const system_paths[] = {
	"/usr",       "/bin",       "/sbin",
	"/lib",       "/lib32",     "/lib64",
	"/nix/store", "/gnu/store", "/etc/ld.so.cache",
};

/* Of a QEMU that is installed elsewhere, next to its bin folder. */
static const char *const prefix_paths[] = {"lib", "lib64", "share/qemu"};

/* One thing in the new root: a cloned tree, a link, or a copy. */
struct item {
	char path[PATH_MAX]; /* in the new root */
	int tree;            /* a detached clone, or -1 */
	int copy;            /* the descriptor to copy, or -1 */
	char link[64];
};

static struct {
	struct item list[ITEMS_MAX];
	size_t n;
} items;

/* ---- what goes in ---- */

static struct item *new_item(const char *path)
{
	struct item *it;
	size_t len = strlen(path);

	if (items.n == ITEMS_MAX || len >= sizeof(it->path))
		return NULL;
	it = &items.list[items.n++];
	memcpy(it->path, path, len + 1);
	it->tree = it->copy = -1;
	it->link[0] = '\0';
	return it;
}

/* A clone with everything that is mounted below, all of it read-only. */
static int clone_tree(const char *path, uint64_t attributes)
{
	struct mount_attr attr = {.attr_set = attributes};
	cleanup_close int fd = (int)syscall(
		SYS_open_tree, AT_FDCWD, path,
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (fd < 0)
		return -errno;
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE,
	            &attr, sizeof(attr)) < 0)
		return -errno;
	return take_fd(fd);
}

#define PROGRAM_ATTRS (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define FILE_ATTRS    (PROGRAM_ATTRS | MOUNT_ATTR_NOEXEC)
/* The node is the one device, and QEMU opens it to write. */
#define DEVICE_ATTRS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)

/* A path of the host at the same place; a link as a link. */
static int add_path(void *arg, const char *path)
{
	struct stat st;
	struct item *it;

	(void)arg;
	if (lstat(path, &st) < 0)
		return 0;
	it = new_item(path);
	if (!it)
		return -E2BIG;
	if (S_ISLNK(st.st_mode)) {
		ssize_t n = readlink(path, it->link, sizeof(it->link) - 1);

		if (n > 0 && n < (ssize_t)sizeof(it->link) - 1) {
			it->link[n] = '\0';
			return 0;
		}
		it->link[0] = '\0';
	}
	it->tree = clone_tree(path, S_ISCHR(st.st_mode) ? DEVICE_ATTRS
	                                                : PROGRAM_ATTRS);
	return it->tree < 0 ? it->tree : 0;
}

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* /opt/qemu of /opt/qemu/bin/qemu, or "". */
static void prefix_of(const char *program, char ret[PATH_MAX])
{
	const char *slash = strrchr(program, '/');
	size_t n = slash ? (size_t)(slash - program) : 0;

	ret[0] = '\0';
	if (n > 4 && n < PATH_MAX && memcmp(program + n - 4, "/bin", 4) == 0) {
		memcpy(ret, program, n - 4);
		ret[n - 4] = '\0';
	}
}

int jail_program_paths(const char *program, bool kvm,
                       int (*fn)(void *arg, const char *path), void *arg)
{
	char prefix[PATH_MAX], path[PATH_MAX + 16];
	bool covered = false;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(system_paths) && r == 0; i++) {
		covered = covered || is_below(program, system_paths[i]);
		r = fn(arg, system_paths[i]);
	}
	if (kvm && r == 0)
		r = fn(arg, "/dev/kvm");
	if (covered || r < 0)
		return r;
	r = fn(arg, program);
	prefix_of(program, prefix);
	for (size_t i = 0; i < ARRAY_SIZE(prefix_paths) && r == 0; i++) {
		if (!prefix[0])
			break;
		(void)snprintf(path, sizeof(path), "%s/%s", prefix,
		               prefix_paths[i]);
		r = fn(arg, path);
	}
	return r;
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* An open file under a name of its own; by its name on the host if it can. */
static int add_file(const char *path, int fd)
{
	char link[32], host[PATH_MAX];
	struct item *it = new_item(path);
	ssize_t n;

	if (!it)
		return -E2BIG;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, host, sizeof(host) - 1);
	if (n > 0 && host[0] == '/') {
		host[n] = '\0';
		it->tree = clone_tree(host, FILE_ATTRS);
	}
	if (it->tree >= 0 && !same_file(it->tree, fd))
		close_fd(&it->tree);
	if (it->tree < 0)
		it->copy = fd;
	return 0;
}

static int collect(const struct jail_needs *needs, struct jail_paths *ret)
{
	char real[PATH_MAX];
	int r;

	items.n = 0;
	if (!needs->program[0])
		return 0;
	if (!realpath(needs->program, real))
		return -errno;
	r = jail_program_paths(real, needs->kvm, add_path, NULL);
	if (r == 0)
		r = add_file("/kernel", needs->kernel_fd);
	if (r == 0)
		r = add_file("/initramfs", needs->initramfs_fd);
	if (r < 0)
		return r;
	(void)snprintf(ret->program, sizeof(ret->program), "%s", real);
	(void)snprintf(ret->kernel, sizeof(ret->kernel), "/kernel");
	(void)snprintf(ret->initramfs, sizeof(ret->initramfs), "/initramfs");
	return 0;
}

static void drop_items(void)
{
	for (size_t i = 0; i < items.n; i++)
		close_fd(&items.list[i].tree);
	items.n = 0;
}

/* ---- the root ---- */

static uint64_t copies_size(void)
{
	uint64_t sum = 0;
	struct stat st;

	for (size_t i = 0; i < items.n; i++)
		if (items.list[i].copy >= 0 &&
		    fstat(items.list[i].copy, &st) == 0)
			sum += (uint64_t)st.st_size + 4 * KIB;
	return sum;
}

/* A detached, empty tmpfs with room for the copies. */
static int make_tmpfs(void)
{
	cleanup_close int fs =
		(int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	uint64_t bytes = copies_size();
	char size[32];
	int fd;

	if (fs < 0)
		return -errno;
	if (bytes > COPY_MAX)
		return -EFBIG;
	(void)snprintf(size, sizeof(size), "%llu",
	               (unsigned long long)(bytes + 256 * KIB));
	if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "size", size, 0) <
	            0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "nr_inodes", "256",
	            0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "mode", "0755", 0) <
	            0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
	                  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
	                          MOUNT_ATTR_NOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The folders above @path, which begins below @root. */
static int make_parents(int root, const char *path)
{
	char part[PATH_MAX];

	for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
		size_t n = (size_t)(p - path);

		memcpy(part, path, n);
		part[n] = '\0';
		if (mkdirat(root, part, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static int copy_file(int from, int to)
{
	static char chunk[64 * KIB];
	uint64_t done = 0;
	ssize_t n;
	int r = 0;

	while (r == 0 &&
	       (n = fd_pread_full(from, chunk, sizeof(chunk), done)) > 0) {
		r = fd_write_full(to, chunk, (size_t)n);
		done += (uint64_t)n;
	}
	return r < 0 ? r : n < 0 ? (int)n : 0;
}

/* Its place in the root: folder, file or link; a copy is then complete. */
static int make_place(int root, const struct item *it)
{
	const char *name = it->path + 1;
	cleanup_close int fd = -1;
	struct stat st;
	int r = make_parents(root, name);

	if (r < 0)
		return r;
	if (it->link[0])
		return symlinkat(it->link, root, name) < 0 ? -errno : 0;
	if (it->tree >= 0 && fstat(it->tree, &st) == 0 && S_ISDIR(st.st_mode))
		return mkdirat(root, name, 0755) < 0 ? -errno : 0;
	fd = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0)
		return -errno;
	return it->copy >= 0 ? copy_file(it->copy, fd) : 0;
}

static int move_tree(int tree, int dir, const char *path)
{
	return syscall(SYS_move_mount, tree, "", dir, path,
	               MOVE_MOUNT_F_EMPTY_PATH) < 0
	               ? -errno
	               : 0;
}

static int fill(int root)
{
	int r = 0;

	for (size_t i = 0; i < items.n && r == 0; i++) {
		const struct item *it = &items.list[i];

		r = make_place(root, it);
		if (r == 0 && it->tree >= 0)
			r = move_tree(it->tree, root, it->path + 1);
	}
	return r;
}

static int set_read_only(bool on)
{
	struct mount_attr attr = {.attr_set = on ? MOUNT_ATTR_RDONLY : 0,
	                          .attr_clr = on ? 0 : MOUNT_ATTR_RDONLY};

	return syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attr,
	               sizeof(attr)) < 0
	               ? -errno
	               : 0;
}

/* The host's tree lies under the new root for a moment, then it is gone. */
static int change_root(int root)
{
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return -errno;
	if (syscall(SYS_umount2, ".", OLD_MNT_DETACH) < 0 || chdir("/") < 0)
		return -errno;
	return set_read_only(true);
}

static int build_root(void)
{
	cleanup_close int root = make_tmpfs();
	int r;

	if (root < 0)
		return root;
	/* What the host mounts or unmounts from now on does not reach us. */
	if (syscall(SYS_mount, NULL, "/", NULL, OLD_MS_REC | OLD_MS_PRIVATE,
	            NULL) < 0)
		return -errno;
	r = move_tree(root, AT_FDCWD, FOOTHOLD);
	if (r < 0)
		return r;
	r = fill(root);
	if (r == 0)
		r = change_root(root);
	if (r < 0) /* with what is in it */
		(void)syscall(SYS_umount2, FOOTHOLD, OLD_MNT_DETACH);
	return r;
}

int jail_root_enter(const struct jail_needs *needs, struct jail_paths *ret)
{
	int r = collect(needs, ret);

	if (r == 0)
		r = build_root();
	if (r < 0) {
		drop_items();
		return r;
	}
	for (size_t i = 0; i < items.n; i++)
		if (items.list[i].tree >= 0)
			(void)close(items.list[i].tree);
	return 0;
}

/* The place in the root, and the folders above it that are empty now. */
static void remove_place(char *path)
{
	if (unlink(path) < 0 && rmdir(path) < 0)
		return;
	for (char *p = strrchr(path, '/'); p && p != path;
	     p = strrchr(path, '/')) {
		*p = '\0';
		if (rmdir(path) < 0)
			return;
	}
}

int jail_root_empty(void)
{
	int r = set_read_only(false);

	for (size_t i = 0; i < items.n && r == 0; i++) {
		struct item *it = &items.list[i];

		if (it->tree >= 0 &&
		    syscall(SYS_umount2, it->path, OLD_MNT_DETACH) < 0)
			return -errno;
		it->tree = -1;
		remove_place(it->path);
	}
	return r < 0 ? r : set_read_only(true);
}
