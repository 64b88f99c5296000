#include "guest/cover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/openat2.h"

#include "base/banned.h"

/* From linux/mount.h, which excludes sys/mount.h. */
#define TREE_CLONE      1u
#define TREE_CLOEXEC    ((unsigned)O_CLOEXEC)
#define MOVE_EMPTY_PATH 4u
#define MOVE_EMPTY_TO   0x40u
#define TREE_SYSCALL    428
#define MOVE_SYSCALL    429

#define LINKS_MAX 8

/* ---- where they go ---- */

static int resolve(int root_fd, const char *path, int flags)
{
	return open_resolved(root_fd, path, O_PATH | flags, 0,
	                     RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

/* The folder that @path, which is cut there, lies in; *ret_name is the rest. */
static int open_parent(int root_fd, char *path, const char **ret_name)
{
	char *slash = strrchr(path, '/');
	int fd;

	if (!slash)
		return -EINVAL;
	*slash = '\0';
	fd = resolve(root_fd, *path ? path : "/", O_DIRECTORY);
	*slash = '/';
	*ret_name = slash + 1;
	return fd;
}

static int make_folder(int root_fd, char *path)
{
	cleanup_close int fd = resolve(root_fd, path, O_DIRECTORY);
	cleanup_close int parent = -1;
	const char *name;

	if (fd != -ENOENT)
		return fd < 0 ? fd : 0;
	parent = open_parent(root_fd, path, &name);
	if (parent < 0)
		return parent;
	return mkdirat(parent, name, 0755) < 0 ? -errno : 0;
}

/* An empty file @path, and the folders above it. */
static int make_file(int root_fd, char *path)
{
	cleanup_close int parent = -1, fd = -1;
	const char *name;

	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		int r;

		*p = '\0';
		r = make_folder(root_fd, path);
		*p = '/';
		if (r < 0)
			return r;
	}
	parent = open_parent(root_fd, path, &name);
	if (parent < 0)
		return parent;
	fd = openat(parent, name,
	            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	return fd < 0 ? -errno : 0;
}

/* Put what the link @fd at @path says in the place of its last part. */
static int follow(int fd, char path[PATH_MAX])
{
	char link[PATH_MAX];
	ssize_t n = readlinkat(fd, "", link, sizeof(link) - 1);
	char *slash = strrchr(path, '/');
	size_t keep = slash ? (size_t)(slash - path) + 1 : 0;

	if (n <= 0)
		return n < 0 ? -errno : -ENOENT;
	link[n] = '\0';
	if (link[0] == '/')
		keep = 0;
	if (keep + (size_t)n >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(path + keep, link, (size_t)n + 1);
	return 0;
}

int cover_folder(int root_fd, const char *path)
{
	return open_resolved(root_fd, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK,
	                     0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

/* Walk the links of @path to their end, and make the file that is not there. */
static int make_end(int root_fd, const char *path)
{
	char end[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof(end))
		return -ENAMETOOLONG;
	memcpy(end, path, len + 1);
	for (int i = 0; i < LINKS_MAX; i++) {
		cleanup_close int fd = resolve(root_fd, end, O_NOFOLLOW);
		struct stat st;
		int r;

		if (fd == -ENOENT)
			return make_file(root_fd, end);
		if (fd < 0)
			return fd;
		if (fstat(fd, &st) < 0)
			return -errno;
		if (!S_ISLNK(st.st_mode))
			return 0;
		r = follow(fd, end);
		if (r < 0)
			return r;
	}
	return -ELOOP;
}

int cover_open(int root_fd, const char *path, bool make)
{
	cleanup_close int fd = resolve(root_fd, path, 0);
	struct stat st;

	if (fd == -ENOENT && make) {
		int r = make_end(root_fd, path);

		if (r < 0)
			return r;
		fd = resolve(root_fd, path, 0);
	}
	if (fd < 0)
		return take_fd(fd);
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? take_fd(fd) : -EINVAL;
}

/* ---- binding ---- */

bool cover_has(const struct cover *c, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == c->dev;
}

static int bind_over(const struct cover *c, const char *name, int target)
{
	cleanup_close int tree = (int)syscall(TREE_SYSCALL, c->tmpfs_fd, name,
	                                      TREE_CLONE | TREE_CLOEXEC);

	if (tree < 0)
		return -errno;
	return syscall(MOVE_SYSCALL, tree, "", target, "",
	               MOVE_EMPTY_PATH | MOVE_EMPTY_TO) < 0
	               ? -errno
	               : 0;
}

/* A file of the tmpfs with @text, over the one that @target is. */
int cover_fd(struct cover *c, int target, const struct buf *text)
{
	cleanup_close int fd = -1;
	char name[16];
	int r;

	(void)snprintf(name, sizeof(name), "%u", c->n++);
	fd = openat(c->tmpfs_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
	            0644);
	if (fd < 0)
		return -errno;
	r = fd_write_full(fd, text->data, text->len);
	if (r == 0 && fchmod(fd, 0644) < 0) /* whatever the umask */
		r = -errno;
	return r < 0 ? r : bind_over(c, name, target);
}

void cover_path(struct cover *c, const char *path, const struct buf *text)
{
	cleanup_close int target = cover_open(c->root_fd, path, true);
	int r = target;

	if (r >= 0)
		r = cover_has(c, target) ? 0 : cover_fd(c, target, text);
	if (r < 0)
		log_warn("cannot provide %s: %s", path, strerror(-r));
}

void cover_off(int fd)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (umount2(path, MNT_DETACH) < 0)
		log_warn("cannot uncover a file: %s", strerror(errno));
}

int cover_begin(struct cover *c, const char *options)
{
	struct stat st;

	if (mount("tmpfs", c->scratch, "tmpfs",
	          MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		return -errno;
	c->tmpfs_fd = open(c->scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->tmpfs_fd < 0 || fstat(c->tmpfs_fd, &st) < 0)
		return -errno;
	c->dev = st.st_dev;
	return 0;
}

/* The bound files keep it; the folder itself is nobody's business. */
void cover_end(struct cover *c)
{
	close_fd(&c->tmpfs_fd);
	(void)umount2(c->scratch, MNT_DETACH);
}

/*
 * @fd is a place only, and of a regular file, so this opens no device; some
 * files of /proc would wait for data.
 */
int cover_read(int fd, struct buf *to)
{
	cleanup_close int file = -1;
	char path[32];
	int r;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	file = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (file < 0)
		return -errno;
	for (;;) {
		ssize_t n;

		r = buf_reserve(to, 64u << 10);
		if (r < 0)
			return r;
		n = read(file, to->data + to->len, 64u << 10);
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		buf_commit(to, (size_t)n);
	}
}
