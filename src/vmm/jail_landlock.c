#include "vmm/jail_landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "vmm/jail_root.h"

#include "base/banned.h"

/* What Debian 12's header does not have yet; the kernel's ABI, for good. */
#define FS_REFER      (1ull << 13)
#define FS_TRUNCATE   (1ull << 14)
#define FS_IOCTL_DEV  (1ull << 15)
#define NET_TCP       3ull /* bind, connect */
#define SCOPE_OUTSIDE 3ull /* abstract sockets, signals */

struct ruleset_attr {
	uint64_t fs, net, scoped;
};

#define FS_READ                                                                \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |          \
	 LANDLOCK_ACCESS_FS_EXECUTE)
#define FS_ABI_1 ((1ull << 13) - 1)

/* What the kernel's ABI of that number and later can refuse besides. */
static const struct {
	long abi;
	struct ruleset_attr more;
	size_t size; /* of the attr as that ABI knows it */
} abis[] = {
	{1, {FS_ABI_1, 0, 0},      8 },
        {2, {FS_REFER, 0, 0},      8 },
	{3, {FS_TRUNCATE, 0, 0},   8 },
        {4, {0, NET_TCP, 0},       16},
	{5, {FS_IOCTL_DEV, 0, 0},  16},
        {6, {0, 0, SCOPE_OUTSIDE}, 24},
};

enum landlock_kind {
	LANDLOCK_ALL,
	/*
	 * Inside of a domain that has the scopes already. A second one would
	 * keep us from QEMU, which stays in the first.
	 */
	LANDLOCK_INNER,
	LANDLOCK_SOCKETS, /* TCP is its work */
};

static int new_ruleset(enum landlock_kind kind, struct ruleset_attr *ret)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
	                   LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset_attr attr = {0};
	size_t size = 0;
	int fd;

	if (abi < 1)
		return -EOPNOTSUPP;
	for (size_t i = 0; i < ARRAY_SIZE(abis) && abis[i].abi <= abi; i++) {
		attr.fs |= abis[i].more.fs;
		attr.net |= abis[i].more.net;
		attr.scoped |= abis[i].more.scoped;
		size = abis[i].size;
	}
	if (kind == LANDLOCK_INNER)
		attr.scoped = 0;
	if (kind == LANDLOCK_SOCKETS)
		attr.net = 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (fd < 0)
		return -errno;
	*ret = attr;
	return fd;
}

struct adding {
	int ruleset;
	uint64_t known;
};

static int allow(const struct adding *a, int fd, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = access & a->known, .parent_fd = fd};

	return syscall(SYS_landlock_add_rule, a->ruleset,
	               LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0
	               ? -errno
	               : 0;
}

static int allow_path(void *arg, const char *path)
{
	const struct adding *a = arg;
	cleanup_close int fd = open(path, O_PATH | O_CLOEXEC);
	uint64_t access = FS_READ;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	if (!S_ISDIR(st.st_mode))
		access &= ~(uint64_t)LANDLOCK_ACCESS_FS_READ_DIR;
	if (S_ISCHR(st.st_mode)) /* /dev/kvm */
		access = LANDLOCK_ACCESS_FS_READ_FILE |
		         LANDLOCK_ACCESS_FS_WRITE_FILE | FS_IOCTL_DEV;
	return allow(a, fd, access);
}

/*
 * All that can be done below a share. Without REFER (ABI 1) no file could be
 * moved between folders: then a share stays as it is.
 */
static int allow_shares(const struct adding *a, const struct jail_needs *needs)
{
	int r = 0;

	for (size_t i = 0; i < needs->nshares && r == 0; i++) {
		uint64_t access = a->known;
		struct stat st;

		if (fstat(needs->shares[i].fd, &st) < 0)
			return -errno;
		if (needs->shares[i].read_only)
			access &= FS_READ;
		if (!S_ISDIR(st.st_mode))
			access &= LANDLOCK_ACCESS_FS_READ_FILE |
			          LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE;
		r = allow(a, needs->shares[i].fd, access);
	}
	return r;
}

/* A memfd has no place in the tree (EBADFD): Landlock lets it through. */
static int allow_file(const struct adding *a, int fd)
{
	int r = allow(a, fd, LANDLOCK_ACCESS_FS_READ_FILE);

	return r == -EBADFD ? 0 : r;
}

int jail_landlock(const struct jail_needs *needs)
{
	struct ruleset_attr attr = {0};
	static atomic_bool scoped; /* by the first, which all threads inherit */
	cleanup_close int fd =
		new_ruleset(scoped ? LANDLOCK_INNER : LANDLOCK_ALL, &attr);
	struct adding a = {fd, attr.fs};
	char real[PATH_MAX];
	int r = 0;

	if (fd < 0)
		return fd;
	if (needs && needs->nshares && !(attr.fs & FS_REFER))
		return -EOPNOTSUPP;
	if (needs)
		r = allow_shares(&a, needs);
	if (r == 0 && needs && needs->program[0]) {
		if (!realpath(needs->program, real))
			return -errno;
		r = jail_program_paths(real, needs->kvm, allow_path, &a);
		if (r == 0)
			r = allow_file(&a, needs->kernel_fd);
		if (r == 0)
			r = allow_file(&a, needs->initramfs_fd);
	}
	if (r == 0 && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		r = -errno;
	if (r == 0 && attr.scoped)
		scoped = true;
	return r;
}

int jail_landlock_net(void)
{
	struct ruleset_attr attr = {0};
	cleanup_close int fd = new_ruleset(LANDLOCK_SOCKETS, &attr);

	if (fd < 0)
		return fd;
	return syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
}
