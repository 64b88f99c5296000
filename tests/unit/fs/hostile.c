#include "hostile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/test.h"

void host_file(int dir_fd, const char *name, const char *text)
{
	int fd = openat(dir_fd, name, O_CREAT | O_TRUNC | O_WRONLY, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

uint32_t host_mode(int dir_fd, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode;
}

static int watch(const struct world *w)
{
	char path[128];
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	assert_true(fd >= 0);
	(void)snprintf(path, sizeof(path), "%s/outside", w->d.top);
	assert_true(inotify_add_watch(fd, path, IN_ALL_EVENTS) >= 0);
	(void)snprintf(path, sizeof(path), "%s/outside/secret", w->d.top);
	assert_true(inotify_add_watch(fd, path, IN_ALL_EVENTS) >= 0);
	return fd;
}

void world_open(struct world *w, const char *base,
                void (*tune)(struct driver *d))
{
	driver_open(&w->d, base, 2, tune);
	assert_int_equal(mkdirat(w->d.top_fd, "outside", 0755), 0);
	w->a_fd = openat(w->d.top_fd, "a", O_RDONLY | O_DIRECTORY);
	w->b_fd = openat(w->d.top_fd, "b", O_RDONLY | O_DIRECTORY);
	w->out_fd = openat(w->d.top_fd, "outside", O_RDONLY | O_DIRECTORY);
	host_file(w->out_fd, "secret", CANARY);
	w->watch_fd = watch(w);
	w->a = (uint64_t)d_share(&w->d, "a");
	w->b = (uint64_t)d_share(&w->d, "b");
	assert_true(w->a > FUSE_ROOT_ID && w->b > w->a);
}

void world_close(struct world *w)
{
	(void)close(w->a_fd);
	(void)close(w->b_fd);
	(void)close(w->out_fd);
	(void)close(w->watch_fd);
	driver_close(&w->d);
}

int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	world_open(w, "/var/tmp", NULL);
	*state = w;
	return 0;
}

int world_teardown(void **state)
{
	world_close(*state);
	free(*state);
	return 0;
}

void check_outside(struct world *w)
{
	char events[4096]
		__attribute__((aligned(__alignof__(struct inotify_event))));
	char text[sizeof(CANARY) + 1] = {0};
	ssize_t n = read(w->watch_fd, events, sizeof(events));
	int fd;

	if (n > 0) {
		const struct inotify_event *e = (const void *)events;

		fail_msg("outside was touched: event %x", e->mask);
	}
	fd = openat(w->out_fd, "secret", O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, text, sizeof(text)), sizeof(CANARY) - 1);
	assert_string_equal(text, CANARY);
	(void)close(fd);
	/* What we did ourselves. */
	while (read(w->watch_fd, events, sizeof(events)) > 0)
		;
}

/* ---- trees ---- */

static uint64_t mix(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return h;
}

static uint64_t content(int fd)
{
	static char data[65536];
	uint64_t h = 1;
	ssize_t n;

	/* The beginning is enough: files may be holes of any size. */
	for (int i = 0; i < 8 && (n = read(fd, data, sizeof(data))) > 0; i++)
		h = mix(h, data, (size_t)n);
	return h;
}

static uint64_t attributes(int fd)
{
	char names[4096], value[4096];
	ssize_t n = flistxattr(fd, names, sizeof(names));
	uint64_t h = mix(1, names, n > 0 ? (size_t)n : 0);

	for (const char *p = names; n > 0 && p < names + n;
	     p += strlen(p) + 1) {
		ssize_t len = fgetxattr(fd, p, value, sizeof(value));

		h = mix(h, value, len > 0 ? (size_t)len : 0);
	}
	return h;
}

/* Opened only where that has no effect. */
static void describe(FILE *out, int dir_fd, const char *path, const char *name,
                     const struct stat *st)
{
	char text[4096];
	uint64_t h = 0, x = 0;
	ssize_t n;

	if (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)) {
		int fd =
			openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

		assert_true(fd >= 0);
		x = attributes(fd);
		if (S_ISREG(st->st_mode))
			h = content(fd);
		(void)close(fd);
	} else if (S_ISLNK(st->st_mode)) {
		n = readlinkat(dir_fd, name, text, sizeof(text));
		h = mix(1, text, n > 0 ? (size_t)n : 0);
	}
	(void)fprintf(out,
	              "%s/%s %o %u:%u %lu %lld %lld.%09ld %lld.%09ld %llx %llx "
	              "%llx\n",
	              path, name, st->st_mode, st->st_uid, st->st_gid,
	              (unsigned long)st->st_nlink, (long long)st->st_size,
	              (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
	              (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec,
	              (unsigned long long)st->st_rdev, (unsigned long long)h,
	              (unsigned long long)x);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void walk(FILE *out, int dir_fd, const char *path)
{
	struct dirent **list;
	int n = scandirat(dir_fd, ".", &list, NULL, by_name);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;
		struct stat st;

		if (strcmp(name, "..") == 0 ||
		    fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			free(list[i]);
			continue;
		}
		describe(out, dir_fd, path, name, &st);
		if (S_ISDIR(st.st_mode) && strcmp(name, ".") != 0) {
			char below[4096];
			int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY);

			(void)snprintf(below, sizeof(below), "%s/%s", path,
			               name);
			assert_true(fd >= 0);
			walk(out, fd, below);
			(void)close(fd);
		}
		free(list[i]);
	}
	free(list);
}

char *tree_text(int dir_fd)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	walk(out, dir_fd, "");
	(void)fclose(out);
	return text;
}

void check_harmless(int dir_fd)
{
	char *text = tree_text(dir_fd), *line = text;

	for (char *end; (end = strchr(line, '\n')); line = end + 1) {
		unsigned mode;
		const char *at = strchr(line, ' ');

		assert_int_equal(sscanf(at, " %o", &mode), 1);
		if (mode & 07000 ||
		    (!S_ISREG(mode) && !S_ISDIR(mode) && !S_ISLNK(mode)))
			fail_msg("on the host: %.*s", (int)(end - line), line);
	}
	free(text);
}

/* ---- mounts ---- */

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = write(fd, text, strlen(text));

	(void)close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

int own_mounts(void)
{
	char map[32];

	if (geteuid() != 0) {
		uid_t uid = geteuid();
		gid_t gid = getegid();

		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
		    write_file("/proc/self/setgroups", "deny") < 0)
			return -1;
		(void)snprintf(map, sizeof(map), "0 %u 1", uid);
		if (write_file("/proc/self/uid_map", map) < 0)
			return -1;
		(void)snprintf(map, sizeof(map), "0 %u 1", gid);
		return write_file("/proc/self/gid_map", map);
	}
	if (unshare(CLONE_NEWNS) < 0)
		return -1;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

int in_child(int (*act)(void))
{
	int status = -1;
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(own_mounts() < 0 ? 77 : act());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}
