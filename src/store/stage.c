/*
 * Staging and publication.
 *
 * A staging folder is locked by a flock() on the folder itself: no extra file
 * gets into what is published, and the lock ends with its process. A sweeper
 * locks a folder before it removes it. The one race is with a folder made but
 * not yet locked: its maker, when it gets the lock, sees that the folder has
 * no links any more and makes another.
 */
#include "store/stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"

#include "base/banned.h"

#define STAGE_TRIES      16
#define STAGE_DEPTH_MAX  8
#define OPEN_DIR_FLAGS   (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define PUBLISHED_ACCESS 0444

/* The folder @name, locked; -EWOULDBLOCK when someone has it. */
static int open_locked(int at, const char *name, int extra_op)
{
	cleanup_close int fd = openat(at, name, OPEN_DIR_FLAGS);
	int r;

	if (fd < 0)
		return -errno;
	do {
		r = flock(fd, LOCK_EX | extra_op);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : take_fd(fd);
}

void stage_sweep(struct store *s)
{
	int fd = openat(s->fd, "tmp", OPEN_DIR_FLAGS);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		close_fd(&fd);
		return;
	}
	while ((e = readdir(d))) {
		cleanup_close int lock_fd = -1;

		if (e->d_name[0] == '.')
			continue;
		lock_fd = open_locked(dirfd(d), e->d_name, LOCK_NB);
		if (lock_fd >= 0)
			(void)dir_remove(dirfd(d), e->d_name);
	}
	(void)closedir(d);
}

/* 0, or -EAGAIN when a sweeper was faster. */
static int stage_try(struct store *s, struct store_tmp *ret)
{
	struct store_tmp t = {.dir_fd = -1, .lock_fd = -1};
	uint64_t rnd[2];
	struct stat st;

	if (getrandom(rnd, sizeof(rnd), 0) != sizeof(rnd))
		return -EIO;
	(void)snprintf(t.name, sizeof(t.name), "tmp/%016llx%016llx",
	               (unsigned long long)rnd[0], (unsigned long long)rnd[1]);
	if (mkdirat(s->fd, t.name, 0700) < 0)
		return -errno;
	t.lock_fd = open_locked(s->fd, t.name, 0);
	if (t.lock_fd < 0 && t.lock_fd != -ENOENT) {
		(void)unlinkat(s->fd, t.name, AT_REMOVEDIR);
		return t.lock_fd;
	}
	if (t.lock_fd < 0 || fstat(t.lock_fd, &st) < 0 || st.st_nlink == 0) {
		close_fd(&t.lock_fd);
		return -EAGAIN;
	}
	t.dir_fd = openat(s->fd, t.name, OPEN_DIR_FLAGS);
	if (t.dir_fd < 0) {
		int r = -errno;

		(void)unlinkat(s->fd, t.name, AT_REMOVEDIR);
		close_fd(&t.lock_fd);
		return r;
	}
	*ret = t;
	return 0;
}

int store_tmp_new(struct store *s, struct store_tmp *ret, struct err *err)
{
	int r = -EAGAIN;

	for (int i = 0; i < STAGE_TRIES && r == -EAGAIN; i++)
		r = stage_try(s, ret);
	if (r < 0)
		err_set(err, r, "cannot make a folder in %s/store/tmp: %s",
		        s->home, strerror(-r));
	return r;
}

void store_tmp_drop(struct store *s, struct store_tmp *t)
{
	if (!t->name[0])
		return;
	(void)dir_remove(s->fd, t->name);
	close_fd(&t->dir_fd);
	close_fd(&t->lock_fd);
	t->name[0] = '\0';
}

static int sync_file(int at, const char *name)
{
	cleanup_close int fd =
		openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fchmod(fd, PUBLISHED_ACCESS) < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

static int sync_tree(int dir_fd, int depth);

static int sync_entry(int at, const char *name, int depth)
{
	cleanup_close int fd = -1;
	struct stat st;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISREG(st.st_mode))
		return sync_file(at, name);
	if (!S_ISDIR(st.st_mode) || depth == STAGE_DEPTH_MAX)
		return -EINVAL;
	fd = openat(at, name, OPEN_DIR_FLAGS);
	return fd < 0 ? -errno : sync_tree(fd, depth + 1);
}

/* Files read-only and on the disk, then the folder that names them. */
static int sync_tree(int dir_fd, int depth)
{
	int fd = openat(dir_fd, ".", OPEN_DIR_FLAGS), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		r = -errno;
		close_fd(&fd);
		return r;
	}
	while (r == 0 && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = sync_entry(dirfd(d), e->d_name, depth);
	if (r == 0 && fsync(dirfd(d)) < 0)
		r = -errno;
	(void)closedir(d);
	return r;
}

/*
 * Open @path's folder, made as needed; a new folder is synced into its parent,
 * so that a published name never hangs on a folder that a crash forgets.
 */
static int open_parent(int at, const char *path, const char **ret_base)
{
	cleanup_close int fd = openat(at, ".", OPEN_DIR_FLAGS);
	const char *slash;

	while (fd >= 0 && (slash = strchr(path, '/'))) {
		char part[NAME_MAX + 1];
		size_t len = (size_t)(slash - path);
		int next;

		if (len == 0 || len > NAME_MAX)
			return -EINVAL;
		memcpy(part, path, len);
		part[len] = '\0';
		if (mkdirat(fd, part, 0700) == 0)
			(void)fsync(fd);
		else if (errno != EEXIST)
			return -errno;
		next = openat(fd, part, OPEN_DIR_FLAGS);
		if (next < 0)
			return -errno;
		(void)close(fd);
		fd = next;
		path = slash + 1;
	}
	*ret_base = path;
	return fd < 0 ? -errno : take_fd(fd);
}

/* 1 when @to exists. Not every file system has the atomic form. */
static int rename_new(int from_fd, const char *from, int to_fd, const char *to)
{
	struct stat st;

	if (renameat2(from_fd, from, to_fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno == EEXIST || errno == ENOTEMPTY)
		return 1;
	if (errno != EINVAL)
		return -errno;
	if (fstatat(to_fd, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return renameat(from_fd, from, to_fd, to) < 0 ? -errno : 0;
}

static int publish_once(struct store *s, int from_fd, const char *from,
                        const char *path, bool replace)
{
	const char *base;
	cleanup_close int parent = open_parent(s->fd, path, &base);
	int r;

	if (parent < 0)
		return parent;
	if (replace)
		r = renameat(from_fd, from, parent, base) < 0 ? -errno : 0;
	else
		r = rename_new(from_fd, from, parent, base);
	if (r == 0 && fsync(parent) < 0)
		r = -errno;
	return r;
}

/* A folder that became empty may be removed just before we rename into it. */
static int publish(struct store *s, int from_fd, const char *from,
                   const char *path, bool replace)
{
	int r = -ENOENT;

	for (int i = 0; i < STAGE_TRIES && r == -ENOENT; i++)
		r = publish_once(s, from_fd, from, path, replace);
	return r;
}

static int publish_failed(struct store *s, const char *path, int r,
                          struct err *err)
{
	err_set(err, r, "cannot put %s/store/%s in place: %s", s->home, path,
	        strerror(-r));
	if (r == -ENOSPC || r == -EDQUOT)
		err_hint(err, "free some space, e.g. with msb image prune");
	return r;
}

int store_publish_dir(struct store *s, struct store_tmp *t, const char *path,
                      struct err *err)
{
	int r = sync_tree(t->dir_fd, 0);

	if (r == 0)
		r = publish(s, s->fd, t->name, path, false);
	if (r == 0) {
		close_fd(&t->dir_fd);
		close_fd(&t->lock_fd);
		t->name[0] = '\0';
	}
	store_tmp_drop(s, t);
	return r < 0 ? publish_failed(s, path, r, err) : r;
}

static int publish_file(struct store *s, struct store_tmp *t, const char *name,
                        const char *path, bool replace, struct err *err)
{
	int r = sync_file(t->dir_fd, name);

	if (r == 0)
		r = publish(s, t->dir_fd, name, path, replace);
	if (r != 0)
		(void)unlinkat(t->dir_fd, name, 0);
	return r < 0 ? publish_failed(s, path, r, err) : r;
}

int store_publish_file(struct store *s, struct store_tmp *t, const char *name,
                       const char *path, struct err *err)
{
	return publish_file(s, t, name, path, false, err);
}

static int write_new(int at, const char *name, const void *data, size_t len)
{
	cleanup_close int fd =
		openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd_write_full(fd, data, len);
}

int store_put(struct store *s, const char *path, const void *data, size_t len,
              struct err *err)
{
	struct store_tmp t = {0};
	int r = store_tmp_new(s, &t, err);

	if (r < 0)
		return r;
	r = write_new(t.dir_fd, "file", data, len);
	r = r < 0 ? publish_failed(s, path, r, err)
	          : publish_file(s, &t, "file", path, true, err);
	store_tmp_drop(s, &t);
	return r;
}
