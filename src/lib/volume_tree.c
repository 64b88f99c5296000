/*
 * Counting goes down and up again with one descriptor: of each level above
 * only the folder's identity is kept and where reading it goes on (a few
 * bytes, on the heap). The way up is "..", which must lead to that folder.
 *
 * Removing needs no way up: a folder in the way that is not empty moves to the
 * top, under a new name, and is emptied there later. So no tree is deeper than
 * two for us, and each folder moves at most once.
 */
#include "lib/volume_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"

#include "base/banned.h"

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* ---- files with several names ---------------------------------------------
 */

/* Numbers of inodes seen: open addressing, 0 is a free place. */
struct seen {
	uint64_t *v;
	size_t n, cap; /* a power of two */
};

static void put(uint64_t *v, size_t cap, uint64_t ino)
{
	size_t at = (size_t)(ino * 0x9e3779b97f4a7c15ULL) & (cap - 1);

	while (v[at] && v[at] != ino)
		at = (at + 1) & (cap - 1);
	v[at] = ino;
}

static bool has(const struct seen *s, uint64_t ino)
{
	size_t at = (size_t)(ino * 0x9e3779b97f4a7c15ULL) & (s->cap - 1);

	while (s->cap && s->v[at] && s->v[at] != ino)
		at = (at + 1) & (s->cap - 1);
	return s->cap && s->v[at] == ino;
}

static int grow(struct seen *s)
{
	size_t cap = s->cap ? s->cap * 2 : 64;
	uint64_t *v = calloc(cap, sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < s->cap; i++)
		if (s->v[i])
			put(v, cap, s->v[i]);
	free(s->v);
	s->v = v;
	s->cap = cap;
	return 0;
}

/* 1: for the first time. */
static int see(struct seen *s, uint64_t ino)
{
	if (has(s, ino))
		return 0;
	if (s->n * 2 >= s->cap && grow(s) < 0)
		return -ENOMEM;
	put(s->v, s->cap, ino);
	s->n++;
	return 1;
}

/* ---- count ----------------------------------------------------------------
 */

/* A folder that waits: what it is, and where reading it goes on. */
struct level {
	dev_t dev;
	ino_t ino;
	off_t next;
};

/* The entries of the current folder, some at a time: see step(). */
#define CHUNK 4096

struct walk {
	int fd; /* the current folder */
	dev_t dev;
	struct level *levels; /* those above it */
	size_t depth, cap;
	struct seen seen;
	uint64_t bytes;
	_Alignas(8) char chunk[CHUNK];
};

static void walk_release(struct walk *w)
{
	close_fd(&w->fd);
	free(w->levels);
	free(w->seen.v);
}

static int push(struct walk *w, off_t next)
{
	struct level *l;
	struct stat st;

	if (w->depth == w->cap) {
		l = reallocarray(w->levels, w->cap * 2 + 16, sizeof(*l));
		if (!l)
			return -ENOMEM;
		w->levels = l;
		w->cap = w->cap * 2 + 16;
	}
	if (fstat(w->fd, &st) < 0)
		return -errno;
	w->levels[w->depth++] = (struct level){st.st_dev, st.st_ino, next};
	return 0;
}

/* 1: we are in it now. A folder that we may not read has only itself. */
static int go_down(struct walk *w, const char *name, off_t next)
{
	cleanup_close int fd = openat(w->fd, name, FOLDER_FLAGS);
	int r;

	if (fd < 0)
		return errno == EMFILE || errno == ENFILE ? -errno : 0;
	r = push(w, next);
	if (r < 0)
		return r;
	(void)close(w->fd);
	w->fd = take_fd(fd);
	return 1;
}

static int go_up(struct walk *w)
{
	const struct level *l = &w->levels[--w->depth];
	cleanup_close int fd = openat(w->fd, "..", FOLDER_FLAGS);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_dev != l->dev || st.st_ino != l->ino)
		return -ESTALE;
	if (lseek(fd, l->next, SEEK_SET) < 0)
		return -errno;
	(void)close(w->fd);
	w->fd = take_fd(fd);
	return 0;
}

/* 1: it is a folder, and we are in it now. */
static int count_entry(struct walk *w, const char *name, off_t next)
{
	struct stat st;
	int r = 1;

	if (fstatat(w->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    st.st_dev != w->dev)
		return 0;
	w->bytes += VOLUME_INODE_BYTES;
	if (S_ISDIR(st.st_mode)) {
		w->bytes += VOLUME_FOLDER_BYTES;
		return go_down(w, name, next);
	}
	if (st.st_nlink > 1)
		r = see(&w->seen, st.st_ino);
	if (r <= 0)
		return r;
	w->bytes += (uint64_t)st.st_blocks * 512;
	return 0;
}

/*
 * The next entries of the current folder, up to the first folder among them.
 * Chunks are small: what stands behind that folder is read once more. 1 when
 * there may be more to do, here or there.
 */
static int step(struct walk *w)
{
	ssize_t n = getdents64(w->fd, w->chunk, sizeof(w->chunk));
	int r = 0;

	if (n < 0)
		return -errno;
	if (n == 0 && w->depth == 0)
		return 0;
	if (n == 0)
		r = go_up(w);
	for (ssize_t at = 0; at < n && r == 0;) {
		const struct dirent64 *e = (const void *)(w->chunk + at);

		at += e->d_reclen;
		if (!is_dots(e->d_name))
			r = count_entry(w, e->d_name, e->d_off);
	}
	return r < 0 ? r : 1;
}

int volume_tree_count(int fd, uint64_t *ret_bytes)
{
	struct walk *w = calloc(1, sizeof(*w));
	struct stat st;
	int r = 1;

	if (!w)
		return -ENOMEM;
	w->fd = openat(fd, ".", FOLDER_FLAGS);
	if (w->fd < 0 || fstat(w->fd, &st) < 0)
		r = -errno;
	else
		w->dev = st.st_dev;
	while (r > 0)
		r = step(w);
	if (r == 0)
		*ret_bytes = w->bytes;
	walk_release(w);
	free(w);
	return r;
}

/* ---- remove ---------------------------------------------------------------
 */

struct removal {
	int top; /* what is removed */
	dev_t dev;
	unsigned long names; /* given so far to what moved there */
	bool progress;
};

/*
 * A folder of ours may have any mode: it gets those rights that we need. No
 * link is followed: the descriptor is that of the folder.
 */
static int make_usable(int path_fd)
{
	char self[32];
	struct stat st;

	if (fstat(path_fd, &st) < 0)
		return -errno;
	if ((st.st_mode & 0700) == 0700)
		return 0;
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", path_fd);
	return chmod(self, 0700) < 0 ? -errno : 0;
}

static int find_folder(int at, const char *name)
{
	cleanup_close int fd =
		openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 ? -errno : make_usable(fd);

	return r < 0 ? r : take_fd(fd);
}

static DIR *read_folder(int at, const char *name)
{
	cleanup_close int path = find_folder(at, name);
	int fd = path < 0 ? -1 : openat(path, ".", FOLDER_FLAGS);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (path < 0)
		errno = -path;
	if (!d)
		close_fd(&fd);
	return d;
}

/* Out of @dir, to the top. */
static int move_up(struct removal *rm, int dir, const char *name)
{
	cleanup_close int fd = find_folder(dir, name);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fd == -ENOENT ? 0 : fd < 0 ? fd : -errno;
	if (st.st_dev != rm->dev)
		return -EXDEV;
	for (;;) {
		char other[32];

		(void)snprintf(other, sizeof(other), "%lu", rm->names++);
		if (renameat(dir, name, rm->top, other) == 0)
			return 0;
		if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR)
			return errno == ENOENT ? 0 : -errno;
	}
}

/* A file or an empty folder: 1 when it is gone, 0: a folder with more in it. */
static int remove_entry(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 1;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 1;
	if (errno == ENOTDIR) /* a file that may not go */
		return -EPERM;
	return errno == ENOTEMPTY || errno == EEXIST ? 0 : -errno;
}

/* Once through a folder: what is in it goes, or moves to the top. */
static int empty_once(struct removal *rm, int at, const char *name)
{
	DIR *d = read_folder(at, name);
	struct dirent *e;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while (r >= 0 && (e = readdir(d))) {
		if (is_dots(e->d_name))
			continue;
		r = remove_entry(dirfd(d), e->d_name);
		if (r == 0)
			r = move_up(rm, dirfd(d), e->d_name);
		rm->progress = true;
	}
	(void)closedir(d);
	return r < 0 ? r : 0;
}

/* Who reads a folder while it changes may miss an entry: then once more. */
static int remove_folder(struct removal *rm, const char *name)
{
	int r;

	do {
		rm->progress = false;
		r = empty_once(rm, rm->top, name);
		if (r == 0)
			r = remove_entry(rm->top, name);
	} while (r == 0 && rm->progress);
	return r == 0 ? -ENOTEMPTY : r;
}

/* 0: there was nothing any more. */
static int empty_top(struct removal *rm)
{
	DIR *d = read_folder(rm->top, ".");
	struct dirent *e;
	bool any = false;
	int r = 0;

	if (!d)
		return -errno;
	while (r >= 0 && (e = readdir(d))) {
		if (is_dots(e->d_name))
			continue;
		any = true;
		r = remove_entry(rm->top, e->d_name);
		if (r == 0)
			r = remove_folder(rm, e->d_name);
	}
	(void)closedir(d);
	return r < 0 ? r : any;
}

int volume_tree_remove(int dir_fd, const char *name)
{
	cleanup_close int top = find_folder(dir_fd, name);
	struct removal rm = {.top = top};
	struct stat st;
	int r;

	if (top < 0)
		return top == -ENOENT ? 0 : top;
	if (fstat(top, &st) < 0)
		return -errno;
	rm.dev = st.st_dev;
	do
		r = empty_top(&rm);
	while (r > 0);
	if (r == 0 && unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 &&
	    errno != ENOENT)
		r = -errno;
	return r;
}
