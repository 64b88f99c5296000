/*
 * files_upper.c - the upper as the changes that an OCI layer has.
 *
 * The upper holds overlayfs's own notes: a device 0:0 says that a name was
 * removed, trusted.overlay.opaque that a folder hides what is below it,
 * .redirect that a folder was renamed and is still to be merged with the one
 * of its old name, .metacopy that only the attributes of a file are here. A
 * layer knows the first two. For the others what is merged is given: a renamed
 * folder with all in it (and as one that hides), a file with its content. They
 * are read from a copy of the root's mount, which nothing is mounted below.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/openat2.h"
#include "files/walk.h"
#include "guest/files_op.h"
#include "guest/trust.h"

#include "base/banned.h"

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif

#define OVERLAY "trusted.overlay."

struct upper {
	struct files_op *op;
	int merged_fd;
};

/* What the agent itself has put there. */
static bool is_ours(const char *path, uint64_t size)
{
	static const char *const names[] = {".msb", "etc/hosts", "etc/hostname",
	                                    "etc/resolv.conf"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(path, names[i]) == 0)
			return true;
	return trust_made(path, size);
}

/* Of a file or folder: nothing else has any of them. */
static ssize_t overlay_xattr(int dir_fd, const char *name, const char *key,
                             char *value, size_t len)
{
	cleanup_close int fd = openat(dir_fd, name,
	                              O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
	                                      O_CLOEXEC | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : fgetxattr(fd, key, value, len);

	return n;
}

static bool wanted(const char *name)
{
	return strncmp(name, "user.", 5) == 0 ||
	       strcmp(name, "security.capability") == 0 ||
	       strncmp(name, "system.posix_acl_", 17) == 0;
}

static int look(void *arg, int dir_fd, const char *name,
                struct proto_file_entry *e, struct err *err)
{
	char value[2] = "";
	bool root = *e->path == '\0';

	(void)arg;
	(void)err;
	if (is_ours(e->path, S_ISREG(e->mode) ? e->size : 1))
		return 0;
	if (S_ISCHR(e->mode) && e->rdev_major == 0 && e->rdev_minor == 0) {
		e->kind = PROTO_FILE_WHITEOUT;
		return 1;
	}
	if (S_ISREG(e->mode) && e->size == 0 &&
	    overlay_xattr(dir_fd, name, OVERLAY "whiteout", NULL, 0) >= 0)
		e->kind = PROTO_FILE_WHITEOUT;
	if (!S_ISDIR(e->mode) || root)
		return 1;
	if (overlay_xattr(dir_fd, name, OVERLAY "redirect", NULL, 0) > 0 ||
	    (overlay_xattr(dir_fd, name, OVERLAY "opaque", value, 1) == 1 &&
	     *value == 'y'))
		e->kind = PROTO_FILE_OPAQUE;
	return 1;
}

static int open_merged(struct upper *u, const char *path, int flags)
{
	return open_resolved(u->merged_fd, path, flags | O_NOFOLLOW, 0,
	                     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

/* A file whose content is not in the upper. */
static int open_content(void *arg, int dir_fd, const char *name,
                        const struct proto_file_entry *e)
{
	if (overlay_xattr(dir_fd, name, OVERLAY "metacopy", NULL, 0) < 0)
		return -ENODATA;
	return open_merged(arg, e->path, O_RDONLY | O_NONBLOCK);
}

/* A folder that was renamed: the copy of the root, to go on there. */
static int switch_root(void *arg, int dir_fd, const char *name,
                       const struct proto_file_entry *e)
{
	struct upper *u = arg;

	(void)e;
	if (overlay_xattr(dir_fd, name, OVERLAY "redirect", NULL, 0) <= 0)
		return -ENODATA;
	return u->merged_fd;
}

static int step(void *arg)
{
	struct upper *u = arg;

	return files_op_step(u->op);
}

int files_op_upper_read(struct files_op *op, struct err *err)
{
	struct upper u = {.op = op};
	struct files_walk_hooks hooks = {.look = look,
	                                 .open = open_content,
	                                 .switch_root = switch_root,
	                                 .xattr = wanted,
	                                 .step = step,
	                                 .arg = &u};
	struct files_sink sink = files_link_sink(&op->link);
	int r;

	if (op->env->upper_fd < 0)
		return err_set(err, -EOPNOTSUPP,
		               "this machine has no upper that could be read");
	/* What was written is on the disk, in full: attributes, too. */
	if (syncfs(op->env->upper_fd) < 0)
		return err_set(err, -errno, "cannot sync the upper: %s",
		               strerror(errno));
	u.merged_fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/",
	                           OPEN_TREE_CLONE | O_CLOEXEC);
	if (u.merged_fd < 0)
		return err_set(err, -errno, "cannot copy the root's mount: %s",
		               strerror(errno));
	r = files_walk(op->env->upper_fd, ".",
	               FILES_WALK_DIR | FILES_WALK_DEVICES, &hooks, &sink, err);
	close_fd(&u.merged_fd);
	return r;
}
