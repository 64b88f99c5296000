/*
 * Mark and sweep. The roots are the records below refs/, those below pins/
 * whose sandbox has a folder, and those in the folders of snapshots. What is
 * not reached is renamed into a staging folder while the lock "store" keeps
 * starts and commits away, and deleted after it is released: holding the lock
 * costs a few renames. A running sandbox has its files open, so it does not
 * notice.
 *
 * A record that cannot be read might reach anything, so it stops the sweep.
 */
#include "image/gc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/num.h"
#include "image/pin.h"
#include "image/record.h"

#include "base/banned.h"

#define GC_MARKS_MAX (1u << 20)

struct gc {
	struct store *s;
	struct err *err;
	struct store_tmp trash;
	struct digest *marks; /* sorted before the sweep */
	uint32_t n, cap;
	time_t keep_after; /* younger things stay; INT64_MAX: none do */
	uint64_t freed;
	unsigned moved;
};

static int mark(struct gc *gc, const struct digest *d)
{
	if (gc->n == gc->cap) {
		uint32_t cap = gc->cap ? gc->cap * 2 : 64;
		struct digest *more =
			cap > GC_MARKS_MAX
				? NULL
				: reallocarray(gc->marks, cap, sizeof(*more));

		if (!more)
			return err_set(gc->err, -ENOMEM, "out of memory");
		gc->marks = more;
		gc->cap = cap;
	}
	gc->marks[gc->n++] = *d;
	return 0;
}

/*
 * The digests of a damaged image are not known; but its config and manifest
 * are, and its layers will be fetched again to repair it.
 */
static int mark_record(void *arg, const char *path)
{
	struct gc *gc = arg;
	struct record cleanup_record rec = {0};
	struct image cleanup(image_release) img = {0};
	int r = record_read(gc->s, path, &rec, gc->err);

	if (r < 0) {
		err_hint(gc->err, "remove that file, then try again");
		return r;
	}
	r = mark(gc, &rec.chain);
	if (r == 0 && rec.patched)
		r = mark(gc, &rec.patch);
	if (r == 0 && rec.patched && rec.folder)
		r = mark(gc, &rec.layer);
	if (r < 0 || rec.folder)
		return r;
	r = mark(gc, &rec.manifest);
	if (r == 0)
		r = mark(gc, &rec.config);
	if (r == 0)
		r = record_image(gc->s, path, &img, gc->err);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	for (uint32_t i = 0; r == 0 && i < img.nlayers; i++)
		r = mark(gc, &img.diff_ids[i]);
	return r;
}

/* Its sandbox went, and who was to drop the pin died. */
static bool is_stale_pin(struct gc *gc, const char *id)
{
	cleanup_close int fd =
		openat(gc->s->home_fd, "sandboxes",
	               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT;
	return fstatat(fd, id, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

static int mark_pin(struct gc *gc, int at, const char *name,
                    const struct stat *st)
{
	char path[PIN_PATH_LEN];

	(void)st;
	if (!pin_path(name, path))
		return 0;
	if (!is_stale_pin(gc, name))
		return mark_record(gc, path);
	(void)unlinkat(at, name, 0);
	return 0;
}

/* A folder without one is coming or going. */
static int mark_snapshot(struct gc *gc, int at, const char *name,
                         const struct stat *st)
{
	char path[PIN_SNAPSHOT_PATH_LEN];
	int r;

	(void)at;
	(void)st;
	if (!pin_snapshot_path(name, path))
		return 0;
	r = mark_record(gc, path);
	if (r == -ENOENT && gc->err)
		*gc->err = (struct err){0};
	return r == -ENOENT ? 0 : r;
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

static void sort_marks(struct gc *gc)
{
	if (gc->n)
		qsort(gc->marks, gc->n, sizeof(*gc->marks), by_bytes);
}

static bool is_marked(const struct gc *gc, const struct digest *d)
{
	return gc->n &&
	       bsearch(d, gc->marks, gc->n, sizeof(*gc->marks), by_bytes);
}

/* A name of ours starts with a digest; what does not is not ours to remove. */
static bool name_digest(const char *name, struct digest *ret)
{
	char hex[DIGEST_HEX_LEN + 1];

	(void)snprintf(hex, sizeof(hex), "%s", name);
	return strlen(name) >= DIGEST_HEX_LEN && digest_parse_hex(hex, ret);
}

static int discard(struct gc *gc, int at, const char *name)
{
	char to[32];
	uint64_t size = record_disk_usage(at, name);

	(void)snprintf(to, sizeof(to), "%u", gc->moved);
	if (renameat(at, name, gc->trash.dir_fd, to) < 0)
		return errno == ENOENT ? 0
		                       : err_set(gc->err, -errno,
		                                 "cannot remove %s: %s", name,
		                                 strerror(errno));
	gc->moved++;
	gc->freed += size;
	return 0;
}

typedef int (*each_fn)(struct gc *gc, int at, const char *name,
                       const struct stat *st);

static int each(struct gc *gc, int at, const char *dir, each_fn fn)
{
	int fd = openat(at, dir,
	                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (!d) {
		r = -errno;
		close_fd(&fd);
		return r == -ENOENT ? 0
		                    : err_set(gc->err, r, "cannot read %s: %s",
		                              dir, strerror(-r));
	}
	while (r == 0 && (errno = 0, e = readdir(d))) {
		struct stat st;

		if (e->d_name[0] != '.' &&
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			r = fn(gc, dirfd(d), e->d_name, &st);
	}
	/* What could not be listed may reach anything. */
	if (r == 0 && errno)
		r = err_set(gc->err, -errno, "cannot read %s: %s", dir,
		            strerror(errno));
	(void)closedir(d);
	return r;
}

static int sweep_object(struct gc *gc, int at, const char *name,
                        const struct stat *st)
{
	struct digest d;

	if (!name_digest(name, &d) || is_marked(gc, &d) ||
	    st->st_mtime > gc->keep_after)
		return 0;
	return discard(gc, at, name);
}

/* layers/<aa>/ and chains/<aa>/ */
static int sweep_fan(struct gc *gc, int at, const char *name,
                     const struct stat *st)
{
	int r = S_ISDIR(st->st_mode) ? each(gc, at, name, sweep_object) : 0;

	if (r == 0)
		(void)unlinkat(at, name, AT_REMOVEDIR); /* when empty */
	return r;
}

/* An interrupted download: nobody holds its lock. */
static int sweep_part(struct gc *gc, int at, const char *name,
                      const struct stat *st)
{
	cleanup_close int lock = -1;
	char lock_name[DIGEST_HEX_LEN + 16];
	struct digest d;

	(void)st;
	if (!name_digest(name, &d))
		return 0;
	(void)snprintf(lock_name, sizeof(lock_name), "blob-%.64s", name);
	lock = store_lock(gc->s, lock_name, STORE_LOCK_TRY, NULL);
	return lock < 0 ? 0 : discard(gc, at, name);
}

/* The note of what goes, or is gone. */
static int sweep_note(struct gc *gc, int at, const char *name,
                      const struct stat *st)
{
	struct digest d;

	(void)st;
	if (name_digest(name, &d) && !is_marked(gc, &d))
		(void)unlinkat(at, name, 0);
	return 0;
}

static int sweep_all(struct gc *gc)
{
	static const struct {
		const char *dir;
		each_fn fn;
	} parts[] = {
		{"chains",    sweep_fan   },
                {"layers",    sweep_fan   },
		{"manifests", sweep_object},
                {"configs",   sweep_object},
		{"blobs",     sweep_part  },
                {GC_PATCHED,  sweep_note  },
	};
	int r = 0;

	sort_marks(gc);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(parts); i++)
		r = each(gc, gc->s->fd, parts[i].dir, parts[i].fn);
	return r;
}

/* What the records reach. */
static int mark_all(struct gc *gc)
{
	int r = record_walk(gc->s, mark_record, gc);

	if (r == 0)
		r = each(gc, gc->s->fd, "pins", mark_pin);
	if (r == 0)
		r = each(gc, gc->s->home_fd, "snapshots", mark_snapshot);
	return r;
}

int gc_run(struct store *s, uint64_t *ret_freed_bytes, struct err *err)
{
	struct gc gc = {.s = s, .err = err, .keep_after = (time_t)INT64_MAX};
	cleanup_close int pulls = store_lock(s, "pull", STORE_LOCK_TRY, NULL);
	int lock = store_lock(s, "store", 0, err);
	int r = lock < 0 ? lock : store_tmp_new(s, &gc.trash, err);

	if (pulls < 0)
		gc.keep_after = time(NULL) - GC_GRACE_S;
	if (r == 0)
		r = mark_all(&gc);
	if (r == 0)
		r = sweep_all(&gc);
	close_fd(&lock);
	close_fd(&pulls);
	store_tmp_drop(s, &gc.trash);
	free(gc.marks);
	if (r == 0)
		*ret_freed_bytes = gc.freed;
	return r;
}

/* ---- patches ------------------------------------------------------------- */

#define NOTES_MAX 65536
#define NEEDED    ".needed"

struct note {
	struct digest chain, layer;
	struct timespec used;
};

struct notes {
	struct note *v;
	uint32_t n, cap;
};

static const char *note_path(const struct digest *chain, char out[96])
{
	char hex[DIGEST_HEX_LEN + 1];

	(void)snprintf(out, 96, GC_PATCHED "/%s", digest_hex(chain, hex));
	return out;
}

void gc_note_patched(struct store *s, const struct digest *chain,
                     const struct digest *layer)
{
	char path[96], text[DIGEST_HEX_LEN + 1];
	cleanup_close int fd = -1;

	(void)mkdirat(s->fd, GC_PATCHED, 0700);
	fd = openat(s->fd, note_path(chain, path),
	            O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	(void)fd_pwrite_full(fd, digest_hex(layer, text), DIGEST_HEX_LEN, 0);
	(void)futimens(fd, NULL);
}

static int by_use(const void *a, const void *b)
{
	const struct note *x = a, *y = b;

	if (x->used.tv_sec != y->used.tv_sec)
		return x->used.tv_sec < y->used.tv_sec ? 1 : -1;
	return x->used.tv_nsec < y->used.tv_nsec    ? 1
	       : x->used.tv_nsec == y->used.tv_nsec ? 0
	                                            : -1;
}

/* One that is not whole is not counted: image_gc() removes what it left. */
static void read_note(struct notes *list, int at, const char *name)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(DIGEST_HEX_LEN);
	struct note note;
	struct stat st;

	if (list->n == list->cap || !name_digest(name, &note.chain) ||
	    fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    file_read(at, name, &b) < 0 ||
	    !digest_parse_hex(buf_str(&b), &note.layer))
		return;
	note.used = st.st_mtim;
	list->v[list->n++] = note;
}

/* How many were needed when they were trimmed last: looking is not free. */
static uint32_t read_needed(int at)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(16);
	uint64_t n = 0;

	if (file_read(at, NEEDED, &b) < 0 ||
	    !num_parse_u64(buf_str(&b), NOTES_MAX, &n))
		return 0;
	return (uint32_t)n;
}

static void write_needed(struct store *s, uint32_t n)
{
	cleanup_close int fd = openat(
		s->fd, GC_PATCHED "/" NEEDED,
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	if (fd >= 0)
		(void)fd_write_full(fd, text, (size_t)len);
}

/* Newest first; none when there are not many. */
static void read_notes(struct store *s, struct notes *list)
{
	int fd = openat(s->fd, GC_PATCHED,
	                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	uint32_t names = 0;

	if (!d) {
		close_fd(&fd);
		return;
	}
	while (names < NOTES_MAX && (e = readdir(d)))
		names += e->d_name[0] != '.';
	list->v = names > read_needed(fd) + GC_PATCHED_KEEP
	                  ? calloc(names, sizeof(*list->v))
	                  : NULL;
	list->cap = list->v ? names : 0;
	rewinddir(d);
	while (list->v && (e = readdir(d)))
		read_note(list, dirfd(d), e->d_name);
	(void)closedir(d);
	if (list->n)
		qsort(list->v, list->n, sizeof(*list->v), by_use);
}

static void sweep_patch(struct gc *gc, const struct note *note)
{
	char path[256];

	if (is_marked(gc, &note->chain))
		return;
	(void)unlinkat(gc->s->fd, note_path(&note->chain, path), 0);
	if (record_chain_path(gc->s, &note->chain, path, sizeof(path)))
		(void)discard(gc, gc->s->fd, path);
	if (!is_marked(gc, &note->layer))
		(void)discard(
			gc, gc->s->fd,
			record_layer_path(&note->layer, path, sizeof(path)));
}

/*
 * Those that are needed do not count. Half of the rest go at once, so that
 * this is rare. How many were needed.
 */
static uint32_t trim(struct gc *gc, const struct notes *list)
{
	uint32_t spared = 0, needed = 0;

	sort_marks(gc);
	for (uint32_t i = 0; i < list->n; i++)
		needed += is_marked(gc, &list->v[i].chain);
	for (uint32_t i = 0; i < list->n; i++) {
		if (is_marked(gc, &list->v[i].chain) ||
		    spared++ >= GC_PATCHED_KEEP / 2)
			continue;
		if (mark(gc, &list->v[i].chain) < 0 ||
		    mark(gc, &list->v[i].layer) < 0)
			return needed;
		sort_marks(gc);
	}
	for (uint32_t i = 0; i < list->n; i++)
		sweep_patch(gc, &list->v[i]);
	return needed;
}

/* Nobody is about to use one: who patches holds the lock "pull", shared. */
void gc_trim_patched(struct store *s)
{
	cleanup_close int pulls = -1, lock = -1;
	struct gc gc = {.s = s};
	struct notes list = {0};

	read_notes(s, &list);
	if (list.n)
		pulls = store_lock(s, "pull", STORE_LOCK_TRY, NULL);
	if (pulls >= 0)
		lock = store_lock(s, "store", 0, NULL);
	if (lock >= 0 && mark_all(&gc) == 0 &&
	    store_tmp_new(s, &gc.trash, NULL) == 0)
		write_needed(s, trim(&gc, &list));
	close_fd(&lock);
	close_fd(&pulls);
	store_tmp_drop(s, &gc.trash);
	free(gc.marks);
	free(list.v);
}
