#include "lib/running.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/escape.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/num.h"
#include "lib/walls.h"

#include "base/banned.h"

#define RUNNING_VERSION 1
#define FILE_MAX        (64u << 10)
#define WALLS_MAX       32
#define SUFFIX          ".json"

/* Another process may be about to remove what we lock, or to replace it. */
#define TRIES      100
#define BUSY_TRIES 10
#define PAUSE_US   1000

static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
			      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

bool running_is_name(const char *s, size_t max)
{
	size_t len = strlen(s);

	return len > 0 && len <= max && *s != '.' && *s != '-' && *s != '_' &&
	       strspn(s, letters) == len;
}

/* run/ in the home folder: ours, for nobody else. */
static int open_dir(const struct store *s, bool make)
{
	return dir_private(s->home_fd, "run", make);
}

/* 0, or -EBUSY when another one holds the lock. */
static int lock(int fd)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_OFD_SETLK, &l) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

static bool is_locked(int fd)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

/* Whether @file still names what @fd is. */
static bool is_current(int dir_fd, const char *file, int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 &&
	       fstatat(dir_fd, file, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/*
 * A descriptor of @file with our lock on it. -EBUSY: another one holds it;
 * -EAGAIN: it went away between, try again.
 */
static int open_locked(int dir_fd, const char *file, int flags)
{
	cleanup_close int fd = openat(
		dir_fd, file,
		O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = lock(fd);
	if (r < 0)
		return r;
	return is_current(dir_fd, file, fd) ? take_fd(fd) : -EAGAIN;
}

/* What becomes @file by a rename. Only who holds @file may touch it. */
static const char *next_name(const char *file, char *ret)
{
	(void)snprintf(ret, NAME_MAX + 1, ".%s.new", file);
	return ret;
}

/* Remove @file if nobody holds it, and what its owner had not finished. */
static void clean(int dir_fd, const char *file)
{
	cleanup_close int fd = open_locked(dir_fd, file, 0);
	char next[NAME_MAX + 1];

	if (fd < 0)
		return;
	(void)unlinkat(dir_fd, next_name(file, next), 0);
	(void)unlinkat(dir_fd, file, 0);
}

/* What killed processes left. Their names are random: nobody asks for them. */
static void sweep(int dir_fd)
{
	int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!dir) {
		close_fd(&copy);
		return;
	}
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.')
			clean(dir_fd, e->d_name);
	(void)closedir(dir);
}

static int claim(struct running *r)
{
	int fd = -EBUSY;

	/* A reader that cleans up holds a lock for a moment, too. */
	for (int i = 0; i < TRIES; i++) {
		fd = open_locked(r->dir_fd, r->file, O_CREAT);
		if (fd == -EBUSY && i >= BUSY_TRIES)
			return -EEXIST;
		if (fd != -EBUSY && fd != -EAGAIN)
			break;
		(void)usleep(PAUSE_US);
	}
	if (fd >= 0)
		r->fd = fd;
	return MIN(fd, 0);
}

int running_claim(const struct store *s, const char *name, struct running *ret,
                  struct err *err)
{
	struct running r = RUNNING_INIT;
	int e;

	if (!running_is_name(name, MSB_NAME_MAX))
		return err_set(err, -EINVAL, "bad name");
	(void)snprintf(r.file, sizeof(r.file), "%s" SUFFIX, name);
	r.dir_fd = open_dir(s, true);
	if (r.dir_fd < 0)
		return err_set(err, r.dir_fd, "cannot open %s/run: %s", s->home,
		               strerror(-r.dir_fd));
	sweep(r.dir_fd);
	e = claim(&r);
	if (e < 0)
		close_fd(&r.dir_fd);
	if (e == -EEXIST) {
		err_set(err, e, "a sandbox named %s is running", name);
		err_hint(err, "choose another name; msb inspect %s shows it",
		         name);
		return e;
	}
	if (e < 0)
		return err_set(err, e, "cannot make %s/run/%s: %s", s->home,
		               r.file, strerror(-e));
	*ret = r;
	return 0;
}

/* JSON is UTF-8; a path need not be. */
static json_t *text(const char *s)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(FILE_MAX);
	json_t *j = json_string(s);

	if (!j && escape_text(&b, s, strlen(s), 0) == 0)
		j = json_string(buf_str(&b));
	return j;
}

static json_t *wall_list(const char *const *walls)
{
	json_t *list = json_array();

	for (; walls && *walls; walls++)
		(void)json_array_append_new(list, text(*walls));
	return list;
}

static json_t *describe(const struct msb_sandbox_info *i)
{
	return json_pack(
		"{s:i, s:o, s:o, s:b, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:o}",
		"version", RUNNING_VERSION, "name", text(i->name), "image",
		text(i->image), "ready", i->state == MSB_STATE_READY, "engine",
		text(i->engine), "accel", text(i->accel), "cpus",
		(json_int_t)i->cpus, "memory_bytes",
		(json_int_t)i->memory_bytes, "pid", (json_int_t)i->pid,
		"owner_pid", (json_int_t)i->owner_pid, "started_unix",
		(json_int_t)i->started_unix, "walls", wall_list(i->walls));
}

/*
 * The lock on the old file is kept until the new one, locked too, has its
 * name.
 */
int running_write(struct running *r, const struct msb_sandbox_info *info)
{
	cleanup_close int fd = -1;
	json_t *cleanup_json j = describe(info);
	cleanup_free char *data = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
	char next[NAME_MAX + 1];
	int e;

	if (!data)
		return -ENOMEM;
	(void)unlinkat(r->dir_fd, next_name(r->file, next), 0);
	fd = openat(r->dir_fd, next,
	            O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	e = lock(fd);
	if (e == 0)
		e = fd_write_full(fd, data, strlen(data));
	if (e == 0 && renameat(r->dir_fd, next, r->dir_fd, r->file) < 0)
		e = -errno;
	if (e < 0) {
		(void)unlinkat(r->dir_fd, next, 0);
		return e;
	}
	(void)close(r->fd);
	r->fd = take_fd(fd);
	return 0;
}

void running_drop(struct running *r)
{
	if (r->fd >= 0 && is_current(r->dir_fd, r->file, r->fd))
		(void)unlinkat(r->dir_fd, r->file, 0);
	close_fd(&r->fd);
	close_fd(&r->dir_fd);
}

/* ---- reading ------------------------------------------------------------- */

/* The info's strings live in `json`. */
struct inspection {
	struct msb_sandbox_info info;
	const char *walls[WALLS_MAX + 1];
	json_t *json;
};

void msb_sandbox_info_free(struct msb_sandbox_info *info)
{
	struct inspection *x = (void *)info;

	_Static_assert(offsetof(struct inspection, info) == 0, "it is first");
	if (!x)
		return;
	json_decref(x->json);
	free(x);
}

static uint64_t positive(const json_t *j, const char *key)
{
	return (uint64_t)MAX(json_int(j, key, 0), 0);
}

static void fill(struct inspection *x)
{
	const json_t *j = x->json, *walls = json_object_get(j, "walls");
	size_t n = MIN(json_array_size(walls), WALLS_MAX);
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(walls, i));

		if (s)
			x->walls[used++] = s;
	}
	x->info = (struct msb_sandbox_info){
		.name = json_str(j, "name", ""),
		.image = json_str(j, "image", ""),
		.state = json_bool(j, "ready", false) ? MSB_STATE_READY
	                                              : MSB_STATE_STARTING,
		.cpus = (uint32_t)MIN(positive(j, "cpus"), UINT32_MAX),
		.engine = json_str(j, "engine", ""),
		.accel = json_str(j, "accel", ""),
		.memory_bytes = positive(j, "memory_bytes"),
		.pid = json_int(j, "pid", 0),
		.owner_pid = json_int(j, "owner_pid", 0),
		.started_unix = json_int(j, "started_unix", 0),
		.walls = x->walls,
	};
	x->info.boundary = walls_boundary(x->info.accel, x->walls);
}

static int parse(const struct buf *b, const char *what,
                 struct msb_sandbox_info **ret, struct err *err)
{
	json_t *cleanup_json j = json_parse(b->data, b->len, what, err);
	struct inspection *x;

	if (!j)
		return -EIO;
	if (json_int(j, "version", -1) != RUNNING_VERSION)
		return err_set(err, -ENOTSUP, "%s is of another version of msb",
		               what);
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->json = take_ptr(j);
	fill(x);
	*ret = &x->info;
	return 0;
}

/* The content of a file that somebody holds; -ENOENT; -EAGAIN: once more. */
static int read_live(int dir_fd, const char *file, struct buf *b)
{
	cleanup_close int fd = openat(
		dir_fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int r;

	if (fd < 0)
		return -errno;
	if (!is_locked(fd)) {
		/* Left behind, or replaced since we opened it. */
		if (is_current(dir_fd, file, fd)) {
			clean(dir_fd, file);
			return -ENOENT;
		}
		return -EAGAIN;
	}
	r = fd_read_all(fd, b);
	if (r == 0 && b->len == 0)
		return -EAGAIN; /* claimed a moment ago */
	return r;
}

static int read_name(const struct store *s, const char *name, struct buf *b)
{
	cleanup_close int dir_fd = open_dir(s, false);
	char file[MSB_NAME_MAX + 8];
	int r = -EAGAIN;

	if (dir_fd < 0)
		return dir_fd;
	(void)snprintf(file, sizeof(file), "%s" SUFFIX, name);
	for (int i = 0; i < TRIES && r == -EAGAIN; i++) {
		if (i)
			(void)usleep(PAUSE_US);
		r = read_live(dir_fd, file, b);
	}
	return r == -EAGAIN ? -ENOENT : r;
}

int running_read(const struct store *s, const char *name,
                 struct msb_sandbox_info **ret, struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(FILE_MAX);
	char what[MSB_NAME_MAX + 32];
	int r = -ENOENT;

	if (running_is_name(name, MSB_NAME_MAX))
		r = read_name(s, name, &b);
	if (r == -ENOENT) {
		err_set(err, r, "no sandbox named %s is running", name);
		err_hint(err, "a sandbox lives as long as its msb run; give "
		              "it a name there: msb run --name NAME");
		return r;
	}
	(void)snprintf(what, sizeof(what), "run/%s" SUFFIX, name);
	if (r < 0)
		return err_set(err, r, "cannot read %s/%s: %s", s->home, what,
		               strerror(-r));
	return parse(&b, what, ret, err);
}
