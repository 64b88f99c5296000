/* Operations on names: what is there, and what it is called. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/fs.h>
#include <linux/stat.h>

#include "base/fdio.h"
#include "files/name.h"
#include "files/walk.h"
#include "guest/files_op.h"

#include "base/banned.h"

static bool has(const struct files_op *op, enum proto_file_flag flag)
{
	return op->req->flags & (uint32_t)flag;
}

static const char *path_of(const struct files_op *op)
{
	return *op->req->path ? op->req->path : ".";
}

int files_op_stat(struct files_op *op, struct err *err)
{
	struct files_sink sink = files_link_sink(&op->link);
	struct proto_file_entry e;
	char target[FILES_PATH_MAX];
	int r = files_describe(AT_FDCWD, path_of(op),
	                       !has(op, PROTO_FILE_NO_FOLLOW), target, &e);

	if (r < 0)
		return err_set(err, r, "%s: %s", path_of(op), strerror(-r));
	return sink.entry(sink.arg, &e, err);
}

static int list_all(struct files_op *op, int fd, const struct files_names *n,
                    struct err *err)
{
	struct files_sink sink = files_link_sink(&op->link);
	struct proto_file_entry e;
	char target[FILES_PATH_MAX];
	int r = 0;

	for (size_t i = 0; i < n->n && r == 0; i++) {
		r = files_describe(fd, n->v[i], false, target, &e);
		if (r == -ENOENT) {
			r = 0;
			continue;
		}
		if (r < 0)
			return files_op_fail(err, r, "look at", n->v[i]);
		op->count++;
		r = sink.entry(sink.arg, &e, err);
	}
	return r;
}

int files_op_list(struct files_op *op, struct err *err)
{
	cleanup_close int fd =
		open(path_of(op), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct files_names names;
	int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3), r;

	if (copy < 0)
		return files_op_fail(err, -errno, "list", path_of(op));
	r = files_names_read(copy, &names);
	if (r < 0)
		return files_op_fail(err, r, "list", path_of(op));
	r = list_all(op, fd, &names, err);
	files_names_release(&names);
	return r;
}

int files_op_mkdir(struct files_op *op, struct err *err)
{
	uint32_t mode = op->req->mode ? op->req->mode & 07777 : 0755;
	struct stat st;
	int r;

	if (has(op, PROTO_FILE_RECURSIVE)) {
		r = dir_make(AT_FDCWD, path_of(op), mode);
		if (r == 0 &&
		    (stat(path_of(op), &st) < 0 || !S_ISDIR(st.st_mode)))
			r = -EEXIST;
	} else {
		r = mkdir(path_of(op), mode) < 0 ? -errno : 0;
	}
	return r < 0 ? files_op_fail(err, r, "make the folder", path_of(op))
	             : 0;
}

/* "/", and any other name of a folder that something is mounted on. */
static bool is_mount_point(int dir_fd, const char *name)
{
	struct statx stx;

	return syscall(SYS_statx, dir_fd, name,
	               AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE,
	               &stx) == 0 &&
	       (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/* Folders that are being emptied, the innermost first: one descriptor each. */
struct emptying {
	struct emptying *up;
	DIR *dir;
	char name[FILES_NAME_MAX]; /* in the one above */
};

static int empty_enter(struct emptying **top, int dir_fd, const char *name)
{
	struct emptying *e = calloc(1, sizeof(*e));
	int fd = openat(dir_fd, name,
	                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	if (e && r == 0)
		e->dir = fdopendir(fd);
	if (!e || !e->dir) {
		if (fd >= 0)
			(void)close(fd);
		free(e);
		return r < 0 ? r : -ENOMEM;
	}
	(void)snprintf(e->name, sizeof(e->name), "%s", name);
	e->up = *top;
	*top = e;
	return 0;
}

/* The innermost one is done with; it is removed if it is empty. */
static int empty_leave(struct emptying **top, int dir_fd, bool remove)
{
	struct emptying *e = *top;
	int at = e->up ? dirfd(e->up->dir) : dir_fd, r = 0;

	if (remove && unlinkat(at, e->name, AT_REMOVEDIR) < 0)
		r = -errno;
	(void)closedir(e->dir);
	*top = e->up;
	free(e);
	return r;
}

static int empty_one(struct files_op *op, struct emptying **top, int dir_fd)
{
	DIR *dir = (*top)->dir;
	struct dirent *d;

	errno = 0;
	d = readdir(dir);
	if (!d)
		return errno ? -errno : empty_leave(top, dir_fd, true);
	if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
		return 0;
	op->count++;
	if (unlinkat(dirfd(dir), d->d_name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (is_mount_point(dirfd(dir), d->d_name))
		return -EBUSY;
	return empty_enter(top, dirfd(dir), d->d_name);
}

static int remove_tree(struct files_op *op, int dir_fd, const char *name)
{
	struct emptying *top = NULL;
	int r = empty_enter(&top, dir_fd, name);

	while (r == 0 && top) {
		r = files_op_step(op) ? -ECANCELED : 0;
		if (r == 0)
			r = empty_one(op, &top, dir_fd);
	}
	while (top)
		(void)empty_leave(&top, dir_fd, false);
	return r;
}

static int remove_one(struct files_op *op, int dir_fd, const char *name)
{
	if (unlinkat(dir_fd, name, 0) == 0)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (is_mount_point(dir_fd, name))
		return -EBUSY;
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0)
		return 0;
	if ((errno != ENOTEMPTY && errno != EEXIST) ||
	    !has(op, PROTO_FILE_RECURSIVE))
		return -errno;
	return remove_tree(op, dir_fd, name);
}

int files_op_remove(struct files_op *op, struct err *err)
{
	char dir[FILES_PATH_MAX], name[FILES_PATH_MAX];
	cleanup_close int fd = -1;
	int r = files_split(op->req->path, dir, name);

	if (r == 0 && (*name == '\0' || strcmp(name, ".") == 0 ||
	               strcmp(name, "..") == 0))
		return err_set(err, -EINVAL,
		               "%s: the root and folders by . or .. are not "
		               "removed",
		               path_of(op));
	if (r == 0) {
		fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		r = fd < 0 ? -errno : remove_one(op, fd, name);
	}
	if (r == -ENOENT && has(op, PROTO_FILE_FORCE))
		return 0;
	return r < 0 ? files_op_fail(err, r, "remove", path_of(op)) : 0;
}

int files_op_rename(struct files_op *op, struct err *err)
{
	unsigned flags = has(op, PROTO_FILE_NO_REPLACE) ? RENAME_NOREPLACE : 0;

	if (syscall(SYS_renameat2, AT_FDCWD, path_of(op), AT_FDCWD,
	            op->req->path2, flags) == 0)
		return 0;
	return err_set(err, -errno, "cannot rename %s to %s: %s", path_of(op),
	               op->req->path2, strerror(errno));
}

int files_op_chmod(struct files_op *op, struct err *err)
{
	if (op->req->mode > 07777)
		return err_set(err, -EINVAL, "0%o is no mode", op->req->mode);
	if (chmod(path_of(op), op->req->mode) == 0)
		return 0;
	return files_op_fail(err, -errno, "set the mode of", path_of(op));
}

int files_op_chown(struct files_op *op, struct err *err)
{
	int flags = has(op, PROTO_FILE_NO_FOLLOW) ? AT_SYMLINK_NOFOLLOW : 0;

	if (fchownat(AT_FDCWD, path_of(op), op->req->uid, op->req->gid,
	             flags) == 0)
		return 0;
	return files_op_fail(err, -errno, "set the owner of", path_of(op));
}

int files_op_symlink(struct files_op *op, struct err *err)
{
	if (symlink(op->req->path2, path_of(op)) == 0)
		return 0;
	return files_op_fail(err, -errno, "make the link", path_of(op));
}
