#include "lib/volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/num.h"
#include "image/ext4.h"
#include "lib/sandbox.h"
#include "lib/volume_tree.h"

#include "base/banned.h"

#define FOLDER   "volumes"
#define RECORD   "volume.json"
#define VERSION  1
#define JSON_MAX 4096
#define NEW      ".new-"
#define GONE     ".gone-"
#define YOUNG_S  60 /* its maker may be about to lock it */
#define LOOK_MS  5
#define COUNT_MS 120000 /* the first to mount it counts meanwhile */
#define HELD_MS  1000   /* who removes it holds it until it is away */

static int open_parent(const struct store *s, bool make)
{
	if (!make && faccessat(s->home_fd, FOLDER, F_OK, AT_SYMLINK_NOFOLLOW))
		return -errno;
	return dir_private(s->home_fd, FOLDER, make);
}

static int cannot(const struct store *s, const char *what, const char *name,
                  int r, struct err *err)
{
	if (r == -ECANCELED)
		return err_set(err, r, "cancelled");
	return err_set(err, r, "cannot %s %s/" FOLDER "/%s: %s", what, s->home,
	               name, strerror(-r));
}

int volume_no_such(const char *name, struct err *err)
{
	err_set(err, -ENOENT, "there is no volume %s", name);
	err_hint(err,
	         "msb volume ls shows which there are, msb volume create "
	         "%s makes one",
	         name);
	return -ENOENT;
}

static bool is_name(const char *name)
{
	return sandbox_is_name(name, MSB_NAME_MAX);
}

static int bad_size(uint64_t size, struct err *err)
{
	char text[32];

	err_set(err, -EINVAL, "a disk volume cannot have %s",
	        num_format_size(size, text, sizeof(text)));
	err_hint(err, "16 MiB to 8 TiB, in steps of 4 KiB");
	return -EINVAL;
}

int volume_check(const char *name, int32_t kind, uint64_t size, struct err *err)
{
	if (!is_name(name)) {
		err_set(err, -EINVAL, "'%.150s' cannot be a volume's name",
		        name);
		err_hint(err,
		         "1 to %d letters, digits, . _ -, beginning with a "
		         "letter or digit; a path of the host begins with / "
		         "or ./",
		         MSB_NAME_MAX);
		return -EINVAL;
	}
	if (kind == MSB_VOLUME_DIR)
		return size > INT64_MAX
		               ? err_set(err, -EINVAL, "the quota is too large")
		               : 0;
	if (kind != MSB_VOLUME_DISK)
		return err_set(err, -EINVAL, "there is no volume kind %d",
		               (int)kind);
	if (!size)
		return err_set(err, -EINVAL, "a disk volume needs a size");
	if (size < VOLUME_DISK_MIN || size > EXT4_SIZE_MAX || size % 4096)
		return bad_size(size, err);
	return 0;
}

/* ---- locks ----------------------------------------------------------------
 */

static int try_lock(int fd, short type)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_SETLK, &l) == 0 ? 0 : -errno;
}

static bool is_held(int r)
{
	return r == -EAGAIN || r == -EACCES;
}

static int open_lock(int dir_fd, int flags)
{
	int fd = openat(dir_fd, "lock",
	                flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);

	return fd < 0 ? -errno : fd;
}

bool volume_is_used(const struct volume *v)
{
	cleanup_close int fd = open_lock(v->dir_fd, O_RDONLY);
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fd >= 0 && fcntl(fd, F_OFD_GETLK, &l) == 0 &&
	       l.l_type != F_UNLCK;
}

/* ---- what others left -----------------------------------------------------
 */

static bool begins_with(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static bool is_old(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && time(NULL) - st.st_mtime >= YOUNG_S;
}

/*
 * The lock goes with the rest, so who finds it free may remove: of two that
 * do so at once each takes what is still there.
 */
static void sweep_one(int parent, const char *name)
{
	cleanup_close int dir = openat(
		parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_close int lock = dir < 0 ? -1 : open_lock(dir, O_RDWR);

	if (dir < 0 || (begins_with(name, NEW) && !is_old(dir)) ||
	    (lock >= 0 && try_lock(lock, F_WRLCK) < 0))
		return;
	(void)volume_tree_remove(parent, name);
}

static void sweep(int parent)
{
	int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		close_fd(&fd);
		return;
	}
	while ((e = readdir(d)))
		if (begins_with(e->d_name, NEW) || begins_with(e->d_name, GONE))
			sweep_one(parent, e->d_name);
	(void)closedir(d);
}

/* ---- create ---------------------------------------------------------------
 */

#define STAGE_LEN 32

static int stage_name(const char *prefix, char ret[STAGE_LEN])
{
	uint64_t n;

	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		return -EIO;
	(void)snprintf(ret, STAGE_LEN, "%s%016llx", prefix,
	               (unsigned long long)n);
	return 0;
}

static int write_record(int dir, const struct volume *v)
{
	static const char *const kinds[] = {"dir", "disk"};
	json_t *cleanup_json o = json_pack(
		"{s:i, s:s, s:I, s:I}", "version", VERSION, "kind",
		kinds[v->kind], "size_bytes", (json_int_t)v->size_bytes,
		"created_ms", (json_int_t)v->created_ms);
	cleanup_free char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;

	if (!text)
		return -ENOMEM;
	return file_write_atomic(dir, RECORD, text, strlen(text), 0600);
}

static int make_folder(int dir)
{
	static const uint8_t none[8];

	/* What users in a guest see; here volumes/ keeps others out. */
	if (mkdirat(dir, "data", 0755) < 0 ||
	    fchmodat(dir, "data", 0755, 0) < 0)
		return -errno;
	return file_write_atomic(dir, "usage", none, sizeof(none), 0600);
}

static int make_disk(const struct store *s, int dir, const char *stage,
                     uint64_t size, struct err *err)
{
	struct buf cleanup_buf path = BUF_INIT;
	cleanup_close int fd = openat(
		dir, VOLUME_DISK,
		O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return cannot(s, "make", stage, -errno, err);
	if (buf_printf(&path, "%s/" FOLDER "/%s/" VOLUME_DISK, s->home, stage) <
	    0)
		return err_set(err, -ENOMEM, "out of memory");
	r = ext4_make_plain(buf_str(&path), size, err);
	if (r == 0 && fsync(fd) < 0)
		r = cannot(s, "write", stage, -errno, err);
	return r;
}

/* All but its name, on the disk. */
static int fill(const struct store *s, int dir, const char *stage,
                const struct volume *v, struct err *err)
{
	int r = write_record(dir, v);

	if (r == 0 && v->kind == MSB_VOLUME_DIR)
		r = make_folder(dir);
	if (r < 0)
		return cannot(s, "make", stage, r, err);
	if (v->kind == MSB_VOLUME_DISK)
		r = make_disk(s, dir, stage, v->size_bytes, err);
	if (r == 0 && fsync(dir) < 0)
		r = cannot(s, "write", stage, -errno, err);
	return r;
}

/* A folder with something in it is never replaced by a rename. */
static int publish(const struct store *s, int parent, const char *stage,
                   const char *name, struct err *err)
{
	if (renameat(parent, stage, parent, name) == 0)
		return fsync(parent) < 0 ? cannot(s, "write", name, -errno, err)
		                         : 0;
	if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR)
		return cannot(s, "make", name, -errno, err);
	return err_set(err, -EEXIST, "there is a volume %s already", name);
}

static int create_in(const struct store *s, int parent, const char *stage,
                     const struct volume *v, struct err *err)
{
	cleanup_close int dir = -1, lock = -1;
	int r;

	if (mkdirat(parent, stage, 0700) < 0)
		return cannot(s, "make", stage, -errno, err);
	dir = openat(parent, stage,
	             O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	lock = dir < 0 ? -errno : open_lock(dir, O_RDWR | O_CREAT);
	r = lock < 0 ? lock : try_lock(lock, F_WRLCK);
	r = r < 0 ? cannot(s, "make", stage, r, err)
	          : fill(s, dir, stage, v, err);
	if (r == 0)
		r = publish(s, parent, stage, v->name, err);
	if (r < 0)
		(void)volume_tree_remove(parent, stage);
	return r;
}

int volume_create(struct store *s, const char *name, int32_t kind,
                  uint64_t size, struct err *err)
{
	struct volume v = {.kind = kind,
	                   .size_bytes = size,
	                   .created_ms =
	                           (int64_t)(clock_unix_ns() / NS_PER_MS)};
	cleanup_close int parent = open_parent(s, true);
	char stage[STAGE_LEN];
	struct stat st;
	int r = parent < 0 ? parent : stage_name(NEW, stage);

	if (r < 0)
		return cannot(s, "make", name, r, err);
	(void)snprintf(v.name, sizeof(v.name), "%s", name);
	sweep(parent);
	/* Before the work; what counts is the rename. */
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(err, -EEXIST, "there is a volume %s already",
		               name);
	return create_in(s, parent, stage, &v, err);
}

/* ---- open -----------------------------------------------------------------
 */

/* What the Rust msb made has its files right there. */
static int no_record(const struct store *s, struct volume *v, struct err *err)
{
	err_set(err, -EUCLEAN, "%s/" FOLDER "/%s is no volume of this msb",
	        s->home, v->name);
	err_hint(err,
	         "it has no " RECORD "; a folder with files can be mounted by "
	         "its path: -v %s/" FOLDER "/%s:/TARGET",
	         s->home, v->name);
	return -EUCLEAN;
}

static int take_record(const json_t *o, struct volume *v)
{
	const char *kind = json_str(o, "kind", "");
	int64_t size = json_int(o, "size_bytes", -1);

	v->created_ms = json_int(o, "created_ms", 0);
	v->size_bytes = (uint64_t)size;
	v->kind = strcmp(kind, "disk") == 0 ? MSB_VOLUME_DISK : MSB_VOLUME_DIR;
	if (size < 0 || (v->kind == MSB_VOLUME_DIR && strcmp(kind, "dir") != 0))
		return -EUCLEAN;
	return json_int(o, "version", 0) > VERSION ? -EPROTONOSUPPORT : 0;
}

static int read_record(const struct store *s, struct volume *v, struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(JSON_MAX);
	json_t *cleanup_json o = NULL;
	int r = file_read(v->dir_fd, RECORD, &b);

	if (r == -ENOENT)
		return no_record(s, v, err);
	if (r == 0) {
		o = json_parse(b.data, b.len, RECORD, NULL);
		r = take_record(o, v);
	}
	if (r == -EPROTONOSUPPORT)
		return err_set(err, r, "volume %s is of a newer msb", v->name);
	return r < 0 ? err_set(err, r == -E2BIG ? -EUCLEAN : r,
	                       "%s/" FOLDER "/%s/" RECORD " is damaged",
	                       s->home, v->name)
	             : 0;
}

/* Whether the name still stands for the folder that @v has open. */
static bool is_there(const struct store *s, const struct volume *v)
{
	cleanup_close int parent = open_parent(s, false);
	struct stat now, then;

	return parent >= 0 &&
	       fstatat(parent, v->name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstat(v->dir_fd, &then) == 0 && now.st_dev == then.st_dev &&
	       now.st_ino == then.st_ino;
}

int volume_open(struct store *s, const char *name, struct volume *ret,
                struct err *err)
{
	struct volume cleanup_volume v = VOLUME_INIT;
	cleanup_close int parent = open_parent(s, false);
	int r = parent == -ENOENT || !is_name(name) ? -ENOENT : parent;

	if (r >= 0) {
		v.dir_fd =
			openat(parent, name,
		               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = v.dir_fd < 0 ? -errno : 0;
	}
	if (r == -ENOENT)
		return volume_no_such(name, err);
	if (r < 0)
		return cannot(s, "open", name, r, err);
	(void)snprintf(v.name, sizeof(v.name), "%s", name);
	r = read_record(s, &v, err);
	if (r < 0)
		return is_there(s, &v) ? r : volume_no_such(name, err);
	*ret = v;
	v = (struct volume)VOLUME_INIT;
	return 0;
}

void volume_release(struct volume *v)
{
	if (v)
		close_fd(&v->dir_fd);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int volume_names(struct store *s, struct strv *ret, struct err *err)
{
	int fd = open_parent(s, false), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (fd == -ENOENT)
		return 0;
	if (!d) {
		r = fd < 0 ? fd : -errno;
		close_fd(&fd);
		return cannot(s, "read", "", r, err);
	}
	while (r == 0 && (e = readdir(d)))
		if (is_name(e->d_name))
			r = strv_add(ret, e->d_name);
	(void)closedir(d);
	if (r == 0 && ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_text);
	return r < 0 ? cannot(s, "read", "", r, err) : 0;
}

/* ---- use ------------------------------------------------------------------
 */

void volume_use_release(struct volume_use *u)
{
	if (!u)
		return;
	close_fd(&u->fd);
	close_fd(&u->usage_fd);
	close_fd(&u->lock_fd);
}

static int count_data(const struct volume *v, uint64_t *ret)
{
	cleanup_close int data =
		openat(v->dir_fd, "data",
	               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return data < 0 ? -errno : volume_tree_count(data, ret);
}

/* Nobody else has it: whatever the number said may be wrong after a crash. */
static int count_anew(const struct volume *v, int usage_fd)
{
	uint8_t bytes[8];
	uint64_t used;
	int r = count_data(v, &used);

	if (r < 0)
		return r;
	put_le64(bytes, used);
	if (ftruncate(usage_fd, sizeof(bytes)) < 0)
		return -errno;
	return fd_pwrite_full(usage_fd, bytes, sizeof(bytes), 0);
}

/* Shared; and before that alone, for the first. */
static int share(const struct volume *v, const struct volume_use *u)
{
	int r = try_lock(u->lock_fd, F_WRLCK);

	if (r == 0)
		r = count_anew(v, u->usage_fd);
	else if (!is_held(r))
		return r;
	return is_held(r) || r == 0 ? try_lock(u->lock_fd, F_RDLCK) : r;
}

/* Until nobody is in the way; who removes it takes it away first. */
static int lock_for_use(const struct store *s, const struct volume *v,
                        const struct volume_use *u)
{
	bool dir = v->kind == MSB_VOLUME_DIR;
	uint64_t end = clock_now_ns() + (dir ? COUNT_MS : HELD_MS) * NS_PER_MS;

	for (;;) {
		int r = dir ? share(v, u) : try_lock(u->lock_fd, F_WRLCK);

		if (!is_there(s, v))
			return -ENOENT;
		if (!is_held(r))
			return r;
		if (clock_now_ns() >= end)
			return -EBUSY;
		if (cancel_sleep(LOOK_MS) < 0)
			return -ECANCELED;
	}
}

static int open_parts(const struct volume *v, bool read_only,
                      struct volume_use *u)
{
	u->lock_fd = open_lock(v->dir_fd, O_RDWR | O_CREAT);
	if (u->lock_fd < 0)
		return u->lock_fd;
	if (v->kind == MSB_VOLUME_DISK) {
		u->fd = openat(v->dir_fd, VOLUME_DISK,
		               (read_only ? O_RDONLY : O_RDWR) | O_NOFOLLOW |
		                       O_CLOEXEC | O_NONBLOCK);
		return u->fd < 0 ? -errno : 0;
	}
	u->fd = openat(v->dir_fd, "data",
	               O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (u->fd >= 0)
		u->usage_fd = openat(v->dir_fd, "usage",
		                     O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC |
		                             O_NONBLOCK,
		                     0600);
	return u->fd < 0 || u->usage_fd < 0 ? -errno : 0;
}

int volume_use(struct store *s, const struct volume *v, bool read_only,
               struct volume_use *ret, struct err *err)
{
	struct volume_use cleanup_volume_use u = VOLUME_USE_INIT;
	int r = open_parts(v, read_only, &u);

	if (r == 0)
		r = lock_for_use(s, v, &u);
	if (r == -ENOENT && !is_there(s, v))
		return volume_no_such(v->name, err);
	if (r == -EBUSY)
		return err_set(err, r, "volume %s is in use", v->name);
	if (r < 0)
		return cannot(s, "use", v->name, r, err);
	*ret = u;
	u = (struct volume_use)VOLUME_USE_INIT;
	return 0;
}

#define OWNER "user.msb.stat"

void volume_give(const struct volume *v, uint32_t uid, uint32_t gid)
{
	cleanup_close int fd =
		openat(v->dir_fd, "data",
	               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	uint8_t owner[20] = "MSB1";
	uint64_t used = 0;

	if (fd < 0 || volume_tree_count(fd, &used) < 0 || used)
		return;
	put_le32(owner + 4, uid);
	put_le32(owner + 8, gid);
	put_le32(owner + 12, S_IFDIR | 0755);
	put_le32(owner + 16, 0);
	(void)fsetxattr(fd, OWNER, owner, sizeof(owner), XATTR_CREATE);
}

static uint64_t counter(const struct volume *v)
{
	cleanup_close int fd =
		openat(v->dir_fd, "usage",
	               O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	uint8_t bytes[8];

	return fd >= 0 && fd_pread_full(fd, bytes, 8, 0) == 8 ? get_le64(bytes)
	                                                      : 0;
}

uint64_t volume_bytes(const struct volume *v)
{
	uint64_t used = 0;
	struct stat st;

	if (v->kind == MSB_VOLUME_DISK)
		return fstatat(v->dir_fd, VOLUME_DISK, &st,
		               AT_SYMLINK_NOFOLLOW) == 0
		               ? (uint64_t)st.st_blocks * 512
		               : 0;
	if (volume_is_used(v))
		return counter(v);
	(void)count_data(v, &used);
	return used;
}

/* ---- remove ---------------------------------------------------------------
 */

/* Away at once for all others; a kill leaves .gone-N to the next sweep. */
static int remove_locked(const struct store *s, int parent, const char *name,
                         struct err *err)
{
	char gone[STAGE_LEN];
	int r = stage_name(GONE, gone);

	if (r == 0 && renameat(parent, name, parent, gone) < 0)
		r = -errno;
	if (r < 0)
		return cannot(s, "remove", name, r, err);
	(void)fsync(parent);
	r = volume_tree_remove(parent, gone);
	if (r < 0)
		return err_set(err, r,
		               "volume %s is removed, but not all of %s/" FOLDER
		               "/%s: %s",
		               name, s->home, gone, strerror(-r));
	return 0;
}

int volume_remove(struct store *s, const char *name, struct err *err)
{
	struct volume cleanup_volume v = VOLUME_INIT;
	cleanup_close int parent = open_parent(s, false), lock = -1;
	int r = volume_open(s, name, &v, err);

	if (r < 0)
		return r;
	lock = open_lock(v.dir_fd, O_RDWR | O_CREAT);
	r = lock < 0 ? lock : try_lock(lock, F_WRLCK);
	if (is_held(r))
		return err_set(err, -EBUSY, "volume %s is in use", name);
	if (r < 0)
		return cannot(s, "remove", name, r, err);
	sweep(parent);
	if (!is_there(s, &v))
		return volume_no_such(name, err);
	return remove_locked(s, parent, name, err);
}
