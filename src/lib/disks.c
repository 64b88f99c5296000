#include "lib/disks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/num.h"
#include "store/state.h"

#include "base/banned.h"

#define CHAIN_VERSION 1
#define CHAIN_MAX     65536u
#define NEXT_FILE     DISKS_FILE ".new"
#define HEX           "0123456789abcdef"

static const char *const endings[] = {
	[DISK_RAW] = ".raw",
	[DISK_QCOW2] = ".qcow2",
};

/* ---- names --------------------------------------------------------------- */

bool disks_parse(const char *name, enum disk_format *ret_format)
{
	if (strspn(name, HEX) != DISKS_ID_LEN)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		if (strcmp(name + DISKS_ID_LEN, endings[i]) != 0)
			continue;
		if (ret_format)
			*ret_format = (enum disk_format)i;
		return true;
	}
	return false;
}

int disks_random(char ret[17], struct err *err)
{
	uint64_t n;

	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		return err_set(err, -EIO, "no random numbers");
	(void)snprintf(ret, 17, "%016llx", (unsigned long long)n);
	return 0;
}

int disks_new_name(enum disk_format format, char ret[DISKS_NAME_MAX + 1],
                   struct err *err)
{
	char high[17], low[17];
	int r = disks_random(high, err);

	if (r == 0)
		r = disks_random(low, err);
	if (r == 0)
		(void)snprintf(ret, DISKS_NAME_MAX + 1, "%s%s%s", high, low,
		               endings[format]);
	return r;
}

/* upper.ext4, or upper-<8 hex digits>.qcow2 */
static bool is_upper(const char *file)
{
	return strcmp(file, CHAIN_RAW) == 0 ||
	       (strncmp(file, "upper-", 6) == 0 && strspn(file + 6, HEX) == 8 &&
	        strcmp(file + 14, ".qcow2") == 0);
}

enum disk_format disk_chain_format(const struct disk_chain *c)
{
	return strcmp(c->file, CHAIN_RAW) == 0 ? DISK_RAW : DISK_QCOW2;
}

int disk_chain_new_file(struct disk_chain *c, struct err *err)
{
	char random[17];
	int r = disks_random(random, err);

	if (r == 0)
		(void)snprintf(c->file, sizeof(c->file), "upper-%.8s.qcow2",
		               random);
	return r;
}

/* ---- disk.json ----------------------------------------------------------- */

void disk_chain_release(struct disk_chain *c)
{
	strv_release(&c->layers);
	*c = (struct disk_chain){0};
}

static int take_layers(const json_t *list, struct disk_chain *c)
{
	size_t n = json_array_size(list);
	int r = 0;

	if (!json_is_array(list) || n >= DISK_LAYERS_MAX)
		return -EUCLEAN;
	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *name = json_string_value(json_array_get(list, i));
		enum disk_format f;

		if (!name || !disks_parse(name, &f) ||
		    (f == DISK_RAW && i + 1 < n))
			return -EUCLEAN;
		r = strv_add(&c->layers, name);
	}
	return r;
}

static int take_chain(const json_t *o, struct disk_chain *c)
{
	const char *file = json_str(o, "file", "");
	const char *parent = json_str(o, "parent", "");
	struct digest d;

	if (json_int(o, "version", 0) != CHAIN_VERSION ||
	    (*file && !is_upper(file)) ||
	    (*parent && !digest_parse(parent, &d)))
		return -EUCLEAN;
	(void)snprintf(c->file, sizeof(c->file), "%s", file);
	(void)snprintf(c->parent, sizeof(c->parent), "%s", parent);
	return take_layers(json_object_get(o, "layers"), c);
}

int disk_chain_read(int dir_fd, struct disk_chain *ret, struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(CHAIN_MAX);
	struct disk_chain cleanup_disk_chain c = {0};
	json_t *cleanup_json o = NULL;
	int r = file_read(dir_fd, DISKS_FILE, &b);

	if (r == -ENOENT)
		return r;
	if (r == 0) {
		o = json_parse(b.data, b.len, DISKS_FILE, NULL);
		r = take_chain(o, &c);
	}
	/* A raw upper has nothing below it. */
	if (r == 0 && strcmp(c.file, CHAIN_RAW) == 0 && c.layers.n)
		r = -EUCLEAN;
	if (r < 0)
		return err_set(err, r, "its " DISKS_FILE " cannot be read: %s",
		               r == -EUCLEAN ? "it is damaged" : strerror(-r));
	*ret = c;
	c = (struct disk_chain){0};
	return 0;
}

char *disk_chain_text(const struct disk_chain *c)
{
	json_t *list = json_array();
	json_t *cleanup_json o = NULL;
	int r = 0;

	for (size_t i = 0; i < c->layers.n; i++)
		r |= json_array_append_new(list, json_string(c->layers.v[i]));
	o = json_pack("{s:i, s:s, s:o, s:s}", "version", CHAIN_VERSION, "file",
	              c->file, "layers", list, "parent", c->parent);
	return r == 0 && o ? json_dumps(o, JSON_INDENT(2)) : NULL;
}

static int cannot_write(int r, struct err *err)
{
	return r < 0 ? err_set(err, r, "cannot write its " DISKS_FILE ": %s",
	                       strerror(-r))
	             : 0;
}

int disk_chain_write(int dir_fd, const struct disk_chain *c, struct err *err)
{
	cleanup_free char *text = disk_chain_text(c);

	return cannot_write(text ? file_replace(dir_fd, DISKS_FILE, text,
	                                        strlen(text), 0600)
	                         : -ENOMEM,
	                    err);
}

int disks_put_file(int dir_fd, const char *name, const void *data, size_t len,
                   mode_t mode)
{
	cleanup_close int fd = openat(
		dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	int r = fd < 0 ? -errno : fd_write_full(fd, data, len);

	if (r < 0)
		return r;
	(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return take_fd(fd);
}

int disk_chain_switch(int dir_fd, const struct disk_chain *c, int upper,
                      struct err *err)
{
	cleanup_free char *text = disk_chain_text(c);
	cleanup_close int fd = -1;
	int r = 0;

	if (!text)
		return cannot_write(-ENOMEM, err);
	(void)unlinkat(dir_fd, NEXT_FILE, 0);
	fd = disks_put_file(dir_fd, NEXT_FILE, text, strlen(text), 0600);
	if (fd < 0)
		return cannot_write(fd, err);
	(void)sync_file_range(upper, 0, 0, SYNC_FILE_RANGE_WRITE);
	if (fsync(upper) < 0 || fsync(fd) < 0 ||
	    renameat(dir_fd, NEXT_FILE, dir_fd, DISKS_FILE) < 0 ||
	    fsync(dir_fd) < 0)
		r = -errno;
	return cannot_write(r, err);
}

/* ---- files --------------------------------------------------------------- */

int disks_folder(const struct store *s, struct err *err)
{
	int fd = dir_private(s->home_fd, "disks", true);

	return fd < 0 ? err_set(err, fd, "cannot open %s/disks: %s", s->home,
	                        strerror(-fd))
	              : fd;
}

int disks_guard(struct store *s, struct err *err)
{
	return store_lock(s, "disks", STORE_LOCK_SHARED, err);
}

int disks_open(const struct store *s, const struct strv *names,
               struct disk_layer *to, unsigned *n, struct err *err)
{
	cleanup_close int dir = names->n ? disks_folder(s, err) : -1;

	if (names->n && dir < 0)
		return dir;
	if (*n + names->n > DISK_LAYERS_MAX)
		return err_set(err, -E2BIG, "its disk has too many layers");
	for (size_t i = 0; i < names->n; i++) {
		struct disk_layer *l = &to[*n];

		if (!disks_parse(names->v[i], &l->format))
			return err_set(err, -EUCLEAN, "no disk's name: %s",
			               names->v[i]);
		l->fd = openat(dir, names->v[i],
		               O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (l->fd < 0)
			return err_set(err, -errno,
			               "cannot open %s/disks/%s: %s", s->home,
			               names->v[i], strerror(errno));
		++*n;
	}
	return 0;
}

void disks_close(struct disk_layer *layers, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close_fd(&layers[i].fd);
}

int disks_new_file(int dir_fd, struct err *err)
{
	int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 ? err_set(err, -errno,
	                        "cannot make a file for a disk: %s",
	                        strerror(errno))
	              : fd;
}

int disks_name_file(int fd, int dir_fd, const char *name, struct err *err)
{
	char self[32];

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, dir_fd, name, AT_SYMLINK_FOLLOW) < 0)
		return err_set(err, -errno, "cannot name the file %s: %s", name,
		               strerror(errno));
	return 0;
}

/* ---- sweep --------------------------------------------------------------- */

struct sweep {
	struct store *s;
	struct strv names; /* that somebody names */
	int r;
};

static DIR *open_folder(int at, const char *name)
{
	int fd = openat(at, name,
	                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d)
		close_fd(&fd);
	return d;
}

/* Stops at the first fault; a folder that is not there has nothing in it. */
static void each(struct sweep *w, const char *folder,
                 int (*fn)(struct sweep *w, int at, const char *name))
{
	DIR *d = open_folder(w->s->home_fd, folder);
	struct dirent *e;

	if (!d && errno != ENOENT)
		w->r = w->r < 0 ? w->r : -errno;
	while (d && w->r == 0 && (errno = 0, e = readdir(d)))
		if (e->d_name[0] != '.')
			w->r = fn(w, dirfd(d), e->d_name);
	/* What could not be listed may name anything. */
	if (d && w->r == 0 && errno)
		w->r = -errno;
	if (d)
		(void)closedir(d);
}

static int mark_folder(struct sweep *w, int at, const char *name)
{
	struct disk_chain cleanup_disk_chain c = {0};
	cleanup_close int fd = openat(
		at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 ? -errno : disk_chain_read(fd, &c, NULL);

	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	return r < 0 ? r : strv_add_all(&w->names, strv_list(&c.layers));
}

/* Those being removed (ID.gone) need theirs no longer. */
static int mark_sandbox(struct sweep *w, int at, const char *name)
{
	return strlen(name) == STATE_ID_LEN ? mark_folder(w, at, name) : 0;
}

/* One half made or half removed: its maker would hold the guard. */
static int mark_snapshot(struct sweep *w, int at, const char *name)
{
	if (*name != '_')
		return mark_folder(w, at, name);
	(void)dir_remove(at, name);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int drop_unnamed(struct sweep *w, int at, const char *name)
{
	if (disks_parse(name, NULL) &&
	    (!w->names.n || !bsearch(&name, w->names.v, w->names.n,
	                             sizeof(*w->names.v), by_text)))
		(void)unlinkat(at, name, 0);
	return 0;
}

/* Most homes have no such disks: then this is a look at two folders. */
static bool is_needed(const struct store *s)
{
	static const char *const folders[] = {"disks", "snapshots"};
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(folders) && !any; i++) {
		DIR *d = open_folder(s->home_fd, folders[i]);
		struct dirent *e;

		while (d && !any && (e = readdir(d)))
			any = e->d_name[0] != '.';
		if (d)
			(void)closedir(d);
	}
	return any;
}

void disks_sweep(struct store *s)
{
	struct sweep w = {.s = s};
	cleanup_close int lock = -1;

	if (!is_needed(s))
		return;
	lock = store_lock(s, "disks", 0, NULL);
	if (lock < 0)
		return;
	each(&w, "snapshots", mark_snapshot);
	each(&w, "sandboxes", mark_sandbox);
	if (w.names.n)
		qsort(w.names.v, w.names.n, sizeof(*w.names.v), by_text);
	each(&w, "disks", drop_unnamed);
	strv_release(&w.names);
}
