#include "lib/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/json.h"

#include "base/banned.h"

#define END_MAX  4096 /* bytes of end.json: msb-vmm may be a guest's by then */
#define BACKLOG  64
#define DIR_MODE 0700

static int open_parent(const struct store *s)
{
	int fd = openat(s->home_fd, "sandboxes",
	                O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int place_open(const struct store *s, const char *id, struct place *ret,
               struct err *err)
{
	struct place cleanup_place p = PLACE_INIT;

	(void)snprintf(p.id, sizeof(p.id), "%s", id);
	p.parent_fd = open_parent(s);
	if (p.parent_fd >= 0)
		p.dir_fd =
			openat(p.parent_fd, id,
		               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (p.parent_fd < 0 || p.dir_fd < 0)
		return err_set(err, -errno, "cannot open %s/sandboxes/%s: %s",
		               s->home, id, strerror(errno));
	*ret = p;
	p = (struct place)PLACE_INIT;
	return 0;
}

int place_make(const struct store *s, const char *id, struct place *ret,
               struct err *err)
{
	cleanup_close int parent = open_parent(s);

	if (parent < 0 || mkdirat(parent, id, DIR_MODE) < 0)
		return err_set(err, parent < 0 ? parent : -errno,
		               "cannot make %s/sandboxes/%s: %s", s->home, id,
		               strerror(parent < 0 ? -parent : errno));
	return place_open(s, id, ret, err);
}

void place_release(struct place *p)
{
	if (!p)
		return;
	close_fd(&p->dir_fd);
	close_fd(&p->parent_fd);
}

int place_file(const struct place *p, const char *name, int flags)
{
	int fd = openat(p->dir_fd, name, flags | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

int place_lock(const struct place *p, struct err *err)
{
	cleanup_close int fd = place_file(p, "lock", O_RDWR | O_CREAT);

	if (fd < 0)
		return err_set(err, fd, "cannot open its lock: %s",
		               strerror(-fd));
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return take_fd(fd);
	if (errno == EWOULDBLOCK)
		return err_set(err, -EBUSY, "it is running");
	return err_set(err, -errno, "cannot lock it: %s", strerror(errno));
}

bool place_is_locked(const struct place *p)
{
	cleanup_close int fd = place_file(p, "lock", O_RDONLY);

	/* Shared, so that two who look do not see each other. */
	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 &&
	       errno == EWOULDBLOCK;
}

/*
 * A socket's path may have 107 bytes, a home folder's more: so it is named
 * through the folder's descriptor.
 */
static int socket_address(const struct place *p, struct sockaddr_un *ret)
{
	int n;

	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	n = snprintf(ret->sun_path, sizeof(ret->sun_path),
	             "/proc/self/fd/%d/agent.sock", p->dir_fd);
	return n < (int)sizeof(ret->sun_path) ? 0 : -ENAMETOOLONG;
}

int place_listen(const struct place *p, struct err *err)
{
	cleanup_close int fd =
		socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un at;
	int r = fd < 0 ? -errno : socket_address(p, &at);

	if (r == 0 && unlinkat(p->dir_fd, "agent.sock", 0) < 0 &&
	    errno != ENOENT)
		r = -errno;
	if (r == 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		r = -errno;
	if (r == 0 && (fchmodat(p->dir_fd, "agent.sock", 0600, 0) < 0 ||
	               listen(fd, BACKLOG) < 0))
		r = -errno;
	if (r < 0)
		return err_set(err, r, "cannot make its socket: %s",
		               strerror(-r));
	return take_fd(fd);
}

int place_connect(const struct place *p)
{
	cleanup_close int fd =
		socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un at;
	int r = fd < 0 ? -errno : socket_address(p, &at);

	if (r < 0)
		return r;
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	r = fd_set_nonblock(fd);
	return r < 0 ? r : take_fd(fd);
}

int place_read_end(const struct place *p, struct place_end *ret)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(END_MAX);
	json_t *cleanup_json o = NULL;
	int r = file_read(p->dir_fd, "end.json", &b);

	memset(ret, 0, sizeof(*ret));
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	o = b.len ? json_parse(b.data, b.len, "end.json", NULL) : NULL;
	(void)snprintf(ret->reason, sizeof(ret->reason), "%s",
	               json_str(o, "reason", ""));
	(void)snprintf(ret->message, sizeof(ret->message), "%s",
	               json_str(o, "message", ""));
	ret->ended_ms = json_int(o, "ended_ms", 0);
	return 0;
}

/* Visit the entries of @dir_fd, but not "." and "..". */
static int each_entry(int dir_fd, void (*fn)(void *arg, const char *name),
                      void *arg)
{
	int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d) {
		int r = -errno;

		close_fd(&copy);
		return r;
	}
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			fn(arg, e->d_name);
	(void)closedir(d);
	return 0;
}

struct usage {
	int dir_fd;
	uint64_t bytes;
};

static void add_usage(void *arg, const char *name)
{
	struct usage *u = arg;
	struct stat st;

	if (fstatat(u->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		u->bytes += (uint64_t)st.st_blocks * 512;
}

uint64_t place_disk_bytes(const struct place *p)
{
	struct usage u = {.dir_fd = p->dir_fd};

	(void)each_entry(p->dir_fd, add_usage, &u);
	return u.bytes;
}

int place_remove(const struct store *s, const char *id, struct err *err)
{
	cleanup_close int parent = open_parent(s);
	int r = parent < 0 ? parent : dir_remove(parent, id);

	if (r < 0 && r != -ENOENT)
		return err_set(err, r, "cannot remove %s/sandboxes/%s: %s",
		               s->home, id, strerror(-r));
	return 0;
}

struct sweep {
	const struct store *s;
	bool (*known)(void *arg, const char *id);
	void *arg;
};

/*
 * Its maker holds the lock from right after mkdir until the row is there; the
 * moment between is covered by the age.
 */
static void sweep_one(void *arg, const char *id)
{
	const struct sweep *w = arg;
	struct place cleanup_place p = PLACE_INIT;
	cleanup_close int lock = -1;
	struct stat st;

	if (w->known(w->arg, id) || place_open(w->s, id, &p, NULL) < 0 ||
	    fstat(p.dir_fd, &st) < 0 || time(NULL) - st.st_mtime < 60)
		return;
	lock = place_lock(&p, NULL);
	if (lock >= 0)
		(void)place_remove(w->s, id, NULL);
}

int place_sweep(const struct store *s, bool (*known)(void *arg, const char *id),
                void *arg)
{
	struct sweep w = {s, known, arg};
	cleanup_close int parent = open_parent(s);

	return parent < 0 ? parent : each_entry(parent, sweep_one, &w);
}
