#include "guest/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"

#include "base/banned.h"

#define SHARES "/share" /* of the initramfs */
#define TAG    "msb"

#define READ_AHEAD "1024" /* KiB, of the shares */

/* From linux/mount.h, which excludes sys/mount.h. */
#define TREE_CLONE      1u
#define TREE_CLOEXEC    ((unsigned)O_CLOEXEC)
#define MOVE_EMPTY_PATH 4u
#define MOVE_T_SYMLINKS 0x10u
#define ATTR_RDONLY     1u
#define ATTR_NOSUID     2u
#define ATTR_NODEV      4u
#define ATTR_NOEXEC     8u
#define ATTR_SYSCALL    442 /* mount_setattr: newer than musl's header */
#define TREE_SYSCALL    428
#define MOVE_SYSCALL    429

struct attr {
	uint64_t set, clear, propagation, userns_fd;
};

/* ---- options ---- */

/* Only what our own library writes; everything else is its fault. */
static int take_word(const char *word, size_t len, struct mount_options *o)
{
	const struct {
		const char *name;
		bool *flag;
	} flags[] = {
		{"ro",     &o->read_only},
		{"noexec", &o->noexec   },
		{"nosuid", &o->nosuid   },
		{"nodev",  &o->nodev    },
	};
	size_t used = strlen(o->data);

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (strlen(flags[i].name) == len &&
		    memcmp(word, flags[i].name, len) == 0) {
			*flags[i].flag = true;
			return 0;
		}
	}
	if (len > 7 && memcmp(word, "fstype=", 7) == 0 &&
	    len - 7 < sizeof(o->fstype)) {
		memcpy(o->fstype, word + 7, len - 7);
		o->fstype[len - 7] = '\0';
		return 0;
	}
	if ((len > 5 && memcmp(word, "size=", 5) == 0) ||
	    (len > 5 && memcmp(word, "mode=", 5) == 0)) {
		if (used + len + 2 > sizeof(o->data))
			return -E2BIG;
		(void)snprintf(o->data + used, sizeof(o->data) - used, "%s%.*s",
		               used ? "," : "", (int)len, word);
		return 0;
	}
	return -EINVAL;
}

int mounts_parse_options(const char *text, struct mount_options *ret,
                         struct err *err)
{
	*ret = (struct mount_options){0};
	while (*text) {
		size_t len = strcspn(text, ",");
		int r = len ? take_word(text, len, ret) : 0;

		if (r < 0)
			return err_set(err, r,
			               "the mount option '%.*s' is not known",
			               (int)len, text);
		text += len + (text[len] == ',');
	}
	return 0;
}

static unsigned long classic_flags(const struct mount_options *o)
{
	return (o->read_only ? MS_RDONLY : 0) | (o->noexec ? MS_NOEXEC : 0) |
	       (o->nosuid ? MS_NOSUID : 0) | (o->nodev ? MS_NODEV : 0);
}

static uint64_t attributes(const struct mount_options *o)
{
	return (o->read_only ? ATTR_RDONLY : 0) |
	       (o->noexec ? ATTR_NOEXEC : 0) | (o->nosuid ? ATTR_NOSUID : 0) |
	       (o->nodev ? ATTR_NODEV : 0);
}

/* ---- targets ---- */

static int make_parents(char *path)
{
	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		int r;

		*p = '\0';
		r = mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
		*p = '/';
		if (r < 0)
			return r;
	}
	return 0;
}

/* There is a folder (or file) @target now, whoever made it. */
static int make_target(const char *target, bool is_dir)
{
	char path[PATH_MAX];
	size_t len = strlen(target);
	struct stat st;
	int r, fd;

	if (*target != '/' || len >= sizeof(path))
		return -EINVAL;
	memcpy(path, target, len + 1);
	r = make_parents(path);
	if (r < 0)
		return r;
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode) != is_dir)
		return is_dir ? -ENOTDIR : -EISDIR;
	if (is_dir)
		return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	return close(fd) < 0 ? -errno : 0;
}

/* ---- shares ---- */

bool mounts_need_shares(const struct proto_boot *b)
{
	if (strcmp(b->root_type, "share") == 0)
		return true;
	for (uint32_t i = 0; i + 3 < b->mounts.n; i += 4)
		if (strcmp(b->mounts.v[i], "share") == 0)
			return true;
	return false;
}

/*
 * A round trip to the host costs as much as the 128 KiB that Linux reads ahead
 * by itself; the server takes 1 MiB at a time. A hint: it works without.
 */
static void read_far_ahead(int fd)
{
	cleanup_close int file = -1;
	char path[64];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return;
	(void)snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb",
	               major(st.st_dev), minor(st.st_dev));
	file = open(path, O_WRONLY | O_CLOEXEC);
	if (file < 0 || fd_write_full(file, READ_AHEAD, strlen(READ_AHEAD)) < 0)
		log_debug("%s: %s", path, strerror(errno));
}

int mounts_open_shares(int *ret_fd, struct err *err)
{
	int fd;

	if (mkdir(SHARES, 0700) < 0 && errno != EEXIST)
		return err_set(err, -errno, "cannot make " SHARES ": %s",
		               strerror(errno));
	if (mount(TAG, SHARES, "virtiofs", 0, NULL) < 0)
		return err_set(err, -errno,
		               "cannot mount the host's shares (virtiofs): %s",
		               strerror(errno));
	fd = open(SHARES, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, -errno, "cannot open " SHARES ": %s",
		               strerror(errno));
	read_far_ahead(fd);
	*ret_fd = fd;
	return 0;
}

static int clone_share(int shares_fd, const char *name,
                       const struct mount_options *o)
{
	struct attr attr = {.set = attributes(o)};
	cleanup_close int tree = (int)syscall(TREE_SYSCALL, shares_fd, name,
	                                      TREE_CLONE | TREE_CLOEXEC);

	if (tree < 0)
		return -errno;
	if (attr.set && syscall(ATTR_SYSCALL, tree, "", AT_EMPTY_PATH, &attr,
	                        sizeof(attr)) < 0)
		return -errno;
	return take_fd(tree);
}

static int move_to(int tree, const char *target)
{
	return syscall(MOVE_SYSCALL, tree, "", AT_FDCWD, target,
	               MOVE_EMPTY_PATH | MOVE_T_SYMLINKS) < 0
	               ? -errno
	               : 0;
}

static int bind_share(int shares_fd, const char *name, const char *target,
                      const struct mount_options *o)
{
	cleanup_close int tree = clone_share(shares_fd, name, o);
	struct stat st;
	int r;

	if (tree < 0)
		return tree;
	if (fstat(tree, &st) < 0)
		return -errno;
	r = make_target(target, S_ISDIR(st.st_mode));
	return r < 0 ? r : move_to(tree, target);
}

int mounts_bind_root(int shares_fd, const char *name, const char *target,
                     struct err *err)
{
	const struct mount_options o = {.read_only = true};
	cleanup_close int tree = clone_share(shares_fd, name, &o);
	int r = tree < 0 ? tree : move_to(tree, target);

	if (r < 0)
		return err_set(err, r,
		               "cannot use the host's folder as root: %s",
		               strerror(-r));
	return 0;
}

/* ---- disks and memory ---- */

/* One that was not unmounted, read-only: its journal stays as it is. */
static int mount_disk(const char *name, const char *target,
                      const struct mount_options *o)
{
	const char *type = o->fstype[0] ? o->fstype : "ext4";
	bool is_ext4 = strcmp(type, "ext4") == 0;
	unsigned long flags = classic_flags(o);
	char node[32];

	(void)snprintf(node, sizeof(node), "/dev/%.20s", name);
	if (mount(node, target, type, flags,
	          is_ext4 && !o->read_only ? "discard" : NULL) == 0)
		return 0;
	if (is_ext4 && o->read_only &&
	    mount(node, target, type, flags, "noload") == 0)
		return 0;
	return -errno;
}

static int mount_tmpfs(const char *target, const struct mount_options *o)
{
	return mount("tmpfs", target, "tmpfs", classic_flags(o), o->data) < 0
	               ? -errno
	               : 0;
}

/* ---- all ---- */

static int provide_one(char *const *m, int shares_fd, const struct disks *disks,
                       struct err *err)
{
	const char *kind = m[0], *source = m[1], *target = m[2];
	struct mount_options o;
	const char *disk;
	int r = mounts_parse_options(m[3], &o, err);

	if (r < 0)
		return r;
	if (strcmp(kind, "share") == 0)
		return bind_share(shares_fd, source, target, &o);
	r = make_target(target, true);
	if (r < 0)
		return r;
	if (strcmp(kind, "tmpfs") == 0)
		return mount_tmpfs(target, &o);
	if (strcmp(kind, "disk") != 0)
		return -EINVAL;
	disk = disks_find(disks, source);
	return disk ? mount_disk(disk, target, &o) : -ENODEV;
}

static const char *reason(const char *kind, int r)
{
	bool disk = strcmp(kind, "disk") == 0;

	if (r == -ENOTDIR)
		return "a file is there, and a folder cannot go over it";
	if (r == -EISDIR)
		return "a folder is there, and a file cannot go over it";
	if (r == -EINVAL && disk)
		return "no file system of that type is on it (fstype=)";
	if (r == -ENODEV && disk)
		return "the machine's kernel has no such file system (fstype=)";
	return strerror(-r);
}

int mounts_provide(const struct proto_strs *list, int shares_fd,
                   const struct disks *disks, struct err *err)
{
	for (uint32_t i = 0; i + 3 < list->n; i += 4) {
		struct err why = {0};
		int r = provide_one(&list->v[i], shares_fd, disks, &why);

		if (r < 0)
			return err_set(err, r, "cannot mount %s (%s): %s",
			               list->v[i + 2], list->v[i],
			               why.msg[0] ? why.msg
			                          : reason(list->v[i], r));
	}
	return 0;
}
