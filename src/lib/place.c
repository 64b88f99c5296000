#include "lib/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/json.h"
#include "lib/record.h"

#include "base/banned.h"

#define END_MAX      4096 /* bytes of end.json: msb-vmm may be a guest's by then */
#define JSON_MAX     (2u << 20)
#define BACKLOG      64
#define DIR_MODE     0700
#define YOUNG_S      60
#define LOOK_MS      2
#define MARK         "unkept"
#define GONE         ".gone" /* behind the name of one that is being removed */
#define REMOVE_TRIES 20
#define RECORD       "sandbox.json"

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
	int r = parent < 0 ? parent : 0;

	if (r == 0 && mkdirat(parent, id, DIR_MODE) < 0)
		r = -errno;
	if (r < 0)
		return err_set(err, r, "cannot make %s/sandboxes/%s: %s",
		               s->home, id, strerror(-r));
	r = place_open(s, id, ret, err);
	if (r == 0)
		r = place_mark(ret);
	return r;
}

int place_mark(const struct place *p)
{
	cleanup_close int fd = place_file(p, MARK, O_WRONLY | O_CREAT);

	return fd < 0 ? fd : 0;
}

int place_unmark(const struct place *p)
{
	if (unlinkat(p->dir_fd, MARK, 0) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

bool place_is_marked(const struct place *p)
{
	return faccessat(p->dir_fd, MARK, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
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

static const struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

int place_lock(const struct place *p, struct err *err)
{
	cleanup_close int fd = place_file(p, "lock", O_RDWR | O_CREAT);
	struct flock l = whole;

	if (fd < 0)
		return err_set(err, fd, "cannot open its lock: %s",
		               strerror(-fd));
	if (fcntl(fd, F_OFD_SETLK, &l) == 0)
		return take_fd(fd);
	if (errno == EAGAIN || errno == EACCES)
		return err_set(err, -EBUSY, "it is running");
	return err_set(err, -errno, "cannot lock it: %s", strerror(errno));
}

bool place_is_locked(const struct place *p)
{
	/* Not for writing: who waits for the last close of that would wake. */
	cleanup_close int fd = place_file(p, "lock", O_RDONLY);
	struct flock l = whole;

	return fd >= 0 && fcntl(fd, F_OFD_GETLK, &l) == 0 &&
	       l.l_type != F_UNLCK;
}

int place_wait_unlocked(const struct place *p, uint32_t timeout_ms)
{
	uint64_t end = clock_now_ns() + timeout_ms * NS_PER_MS;

	while (place_is_locked(p)) {
		if (clock_now_ns() >= end)
			return -ETIMEDOUT;
		if (cancel_sleep(LOOK_MS) < 0)
			return -ECANCELED;
	}
	return 0;
}

#define AGENT_SOCKET "agent.sock"
#define TLS_SOCKET   "tls.sock"

/*
 * A socket's path may have 107 bytes, a home folder's more: so it is named
 * through the folder's descriptor.
 */
static int socket_address(const struct place *p, const char *name,
                          struct sockaddr_un *ret)
{
	int n;

	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	n = snprintf(ret->sun_path, sizeof(ret->sun_path),
	             "/proc/self/fd/%d/%s", p->dir_fd, name);
	return n < (int)sizeof(ret->sun_path) ? 0 : -ENAMETOOLONG;
}

static int listen_at(const struct place *p, const char *name, int type,
                     struct err *err)
{
	cleanup_close int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	struct sockaddr_un at;
	int r = fd < 0 ? -errno : socket_address(p, name, &at);

	if (r == 0 && unlinkat(p->dir_fd, name, 0) < 0 && errno != ENOENT)
		r = -errno;
	if (r == 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		r = -errno;
	if (r == 0 &&
	    (fchmodat(p->dir_fd, name, 0600, 0) < 0 || listen(fd, BACKLOG) < 0))
		r = -errno;
	if (r < 0)
		return err_set(err, r, "cannot make its socket: %s",
		               strerror(-r));
	return take_fd(fd);
}

/* Who listens may accept nobody: a blocking call would wait for it. */
static int connect_to(const struct place *p, const char *name, int type)
{
	cleanup_close int fd =
		socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un at;
	int r = fd < 0 ? -errno : socket_address(p, name, &at);

	if (r < 0)
		return r;
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	return take_fd(fd);
}

int place_listen(const struct place *p, struct err *err)
{
	return listen_at(p, AGENT_SOCKET, SOCK_SEQPACKET, err);
}

int place_listen_tls(const struct place *p, struct err *err)
{
	return listen_at(p, TLS_SOCKET, SOCK_STREAM, err);
}

int place_connect(const struct place *p)
{
	return connect_to(p, AGENT_SOCKET, SOCK_SEQPACKET);
}

int place_connect_tls(const struct place *p)
{
	return connect_to(p, TLS_SOCKET, SOCK_STREAM);
}

bool place_has_tls(const struct place *p)
{
	return faccessat(p->dir_fd, TLS_SOCKET, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void place_forget_tls(const struct place *p)
{
	(void)unlinkat(p->dir_fd, TLS_SOCKET, 0);
}

int place_read_end(const struct place *p, struct place_end *ret)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(END_MAX);
	json_t *cleanup_json o = NULL;
	int r = file_read(p->dir_fd, "end.json", &b);

	*ret = (struct place_end){.exit_code = -1};
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	o = b.len ? json_parse(b.data, b.len, "end.json", NULL) : NULL;
	(void)snprintf(ret->reason, sizeof(ret->reason), "%s",
	               json_str(o, "reason", ""));
	(void)snprintf(ret->message, sizeof(ret->message), "%s",
	               json_str(o, "message", ""));
	ret->ended_ms = json_int(o, "ended_ms", 0);
	ret->exit_code = (int32_t)json_int(o, "exit_code", -1);
	return 0;
}

int place_write_json(const struct place *p, const struct state_sandbox *row,
                     struct err *err)
{
	json_t *cleanup_json o = json_pack(
		"{s:i, s:s, s:s, s:o, s:s, s:s, s:o, s:I}", "version", 1, "id",
		p->id, "name", row->name, "image", record_text(row->image),
		"image_id", row->image_id, "config", row->config, "labels",
		record_list(&row->labels), "created_ms",
		(json_int_t)row->created_ms);
	cleanup_free char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
	int r = text ? file_replace(p->dir_fd, RECORD, text, strlen(text), 0600)
	             : -EINVAL;

	if (r < 0)
		return err_set(err, r, "cannot write its " RECORD ": %s",
		               strerror(-r));
	return 0;
}

static int take_json(const json_t *o, struct state_sandbox *ret)
{
	const json_t *labels = json_object_get(o, "labels");
	int r = 0;

	(void)snprintf(ret->id, sizeof(ret->id), "%s", json_str(o, "id", ""));
	ret->name = strdup(json_str(o, "name", ""));
	ret->image = record_read_text(json_object_get(o, "image"));
	ret->image_id = strdup(json_str(o, "image_id", ""));
	ret->config = strdup(json_str(o, "config", ""));
	ret->created_ms = json_int(o, "created_ms", 0);
	for (size_t i = 0; r == 0 && i < json_array_size(labels); i++) {
		cleanup_free char *s =
			record_read_text(json_array_get(labels, i));

		r = s ? strv_add(&ret->labels, s) : -EINVAL;
	}
	if (!ret->name || !ret->image || !ret->image_id || !ret->config)
		r = -EINVAL;
	return r;
}

int place_read_json(const struct place *p, struct state_sandbox *ret,
                    struct err *err)
{
	struct state_sandbox cleanup_state_sandbox row = {0};
	struct buf cleanup_buf b = BUF_INIT_MAX(JSON_MAX);
	json_t *cleanup_json o = NULL;
	int r = file_read(p->dir_fd, RECORD, &b);

	if (r < 0)
		return err_set(err, r, "cannot read its " RECORD ": %s",
		               strerror(-r));
	o = json_parse(b.data, b.len, RECORD, err);
	r = o && strcmp(json_str(o, "id", ""), p->id) == 0 ? take_json(o, &row)
	                                                   : -EINVAL;
	if (r < 0)
		return err_set(err, r, "its " RECORD " is wrong");
	*ret = row;
	row = (struct state_sandbox){0};
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

/*
 * Who has the folder open may still make a file in it, a lock or a log, but not
 * often: it finds out soon.
 */
static int remove_gone(int parent, const char *gone)
{
	int r;

	for (int i = 0; i < REMOVE_TRIES; i++) {
		r = dir_remove(parent, gone);
		if (r != -ENOTEMPTY && r != -EEXIST)
			break;
		(void)usleep(LOOK_MS * 1000);
	}
	return r;
}

/* At once for all others; what a kill leaves of it goes with a sweep. */
static int remove_as_one(int parent, const char *id)
{
	char gone[STATE_ID_LEN + sizeof(GONE)];
	int r;

	(void)snprintf(gone, sizeof(gone), "%.*s" GONE, STATE_ID_LEN, id);
	(void)remove_gone(parent, gone);
	if (renameat(parent, id, parent, gone) < 0)
		return -errno;
	r = remove_gone(parent, gone);
	return r == -ENOTEMPTY || r == -EEXIST ? 0 : r;
}

int place_remove(const struct store *s, const char *id, struct err *err)
{
	cleanup_close int parent = open_parent(s);
	int r = parent < 0 ? parent : remove_as_one(parent, id);

	if (r < 0 && r != -ENOENT)
		return err_set(err, r, "cannot remove %s/sandboxes/%s: %s",
		               s->home, id, strerror(-r));
	return 0;
}

struct sweep {
	const struct store *s;
	int parent;
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
	size_t len = strlen(id);

	if (len == STATE_ID_LEN + sizeof(GONE) - 1 &&
	    strcmp(id + STATE_ID_LEN, GONE) == 0)
		(void)dir_remove(w->parent, id);
	if (len != STATE_ID_LEN || w->known(w->arg, id) ||
	    place_open(w->s, id, &p, NULL) < 0 || fstat(p.dir_fd, &st) < 0 ||
	    time(NULL) - st.st_mtime < YOUNG_S)
		return;
	if (!place_is_marked(&p)) { /* goes if it was cut off before the mark */
		(void)unlinkat(w->parent, id, AT_REMOVEDIR);
		return;
	}
	lock = place_lock(&p, NULL);
	/* Again: its maker may have finished just before. */
	if (lock >= 0 && place_is_marked(&p))
		(void)place_remove(w->s, id, NULL);
}

int place_sweep(const struct store *s, bool (*known)(void *arg, const char *id),
                void *arg)
{
	cleanup_close int parent = open_parent(s);
	struct sweep w = {s, parent, known, arg};

	return parent < 0 ? parent : each_entry(parent, sweep_one, &w);
}
