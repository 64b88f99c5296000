#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/fdio.h"
#include "base/num.h"
#include "store/stage.h"

#include "base/banned.h"

/* Raise it when a path's meaning changes; older programs then keep away. */
#define STORE_VERSION 1

#define STORE_FLOOR_BYTES  (64 * MIB)
#define STORE_FLOOR_INODES 64

static const char *const folders[] = {
	"layers", "chains", "manifests", "configs", "refs",
	"pins",   "blobs",  "templates", "locks",   "tmp",
};

/* HOME may be unset (a service): then the user database knows. */
static int default_home(struct buf *b, struct err *err)
{
	const char *dir = getenv("HOME");
	struct passwd pw, *found = NULL;
	char space[4096];

	if (!dir || dir[0] != '/') {
		if (getpwuid_r(geteuid(), &pw, space, sizeof(space), &found) ||
		    !found)
			return err_set(err, -ENOENT,
			               "HOME is not set and user %u is unknown",
			               (unsigned)geteuid());
		dir = found->pw_dir;
	}
	return buf_printf(b, "%s/.microsandbox", dir);
}

static int home_path(const char *home, char **ret, struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(PATH_MAX);
	char cwd[PATH_MAX];
	int r;

	if (!home)
		home = getenv("MSB_HOME");
	if (!home || !*home)
		r = default_home(&b, err);
	else if (home[0] == '/')
		r = buf_adds(&b, home);
	else if (!getcwd(cwd, sizeof(cwd)))
		r = -errno;
	else
		r = buf_printf(&b, "%s/%s", cwd, home);
	if (r < 0)
		return err && err->code ? r
		                        : err_set(err, r, "bad home folder: %s",
		                                  strerror(-r));
	*ret = buf_steal(&b);
	return *ret ? 0 : -ENOMEM;
}

/*
 * Who else can write here could plant links and files below us, so that is
 * refused. Its mode is not ours to change: MSB_HOME may name any folder.
 */
static int home_check(int fd, const char *home, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_set(err, -errno, "cannot look at %s: %s", home,
		               strerror(errno));
	if (st.st_uid != geteuid()) {
		err_set(err, -EPERM, "%s belongs to user %u, not to %u", home,
		        (unsigned)st.st_uid, (unsigned)geteuid());
		err_hint(err, "set MSB_HOME to a folder of your own");
		return -EPERM;
	}
	if (st.st_mode & 022) {
		err_set(err, -EPERM, "other users may write to %s", home);
		err_hint(err, "run chmod 700 on it, or set MSB_HOME to a "
		              "folder of your own");
		return -EPERM;
	}
	return 0;
}

static int home_open(struct store *s, struct err *err)
{
	int r = dir_make(AT_FDCWD, s->home, 0700);

	if (r == 0) {
		s->home_fd = open(s->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = s->home_fd < 0 ? -errno : 0;
	}
	if (r < 0) {
		err_set(err, r, "cannot open the home folder %s: %s", s->home,
		        strerror(-r));
		err_hint(err, "set MSB_HOME to a folder that you can write to");
		return r;
	}
	return home_check(s->home_fd, s->home, err);
}

static int version_check(struct store *s, struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(64);
	uint64_t version = 0;
	int r = file_read(s->fd, "VERSION", &b);

	if (r == -ENOENT)
		return store_put(s, "VERSION", "1\n", 2, err);
	if (r == 0 && b.len && b.data[b.len - 1] == '\n')
		b.data[--b.len] = '\0';
	if (r < 0 || !num_parse_u64(buf_str(&b), UINT32_MAX, &version) ||
	    version == 0)
		return err_set(err, r < 0 ? r : -EBADMSG,
		               "%s/store/VERSION is damaged", s->home);
	if (version > STORE_VERSION) {
		err_set(err, -ENOTSUP,
		        "%s was written by a newer msb (layout %llu, this one "
		        "knows %d)",
		        s->home, (unsigned long long)version, STORE_VERSION);
		err_hint(err, "update msb, or set MSB_HOME to another folder");
		return -ENOTSUP;
	}
	return 0;
}

static int store_folders(struct store *s, struct err *err)
{
	int fd = dir_private(s->home_fd, "sandboxes", true);

	if (fd < 0)
		return err_set(err, fd, "cannot open %s/sandboxes: %s", s->home,
		               strerror(-fd));
	(void)close(fd);
	s->fd = dir_private(s->home_fd, "store", true);
	if (s->fd < 0)
		return err_set(err, s->fd, "cannot open %s/store: %s", s->home,
		               strerror(-s->fd));
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		fd = dir_private(s->fd, folders[i], true);
		if (fd < 0)
			return err_set(err, fd, "cannot open %s/store/%s: %s",
			               s->home, folders[i], strerror(-fd));
		(void)close(fd);
	}
	return 0;
}

int store_open(const char *home, struct store **ret, struct err *err)
{
	struct store *s cleanup_store = calloc(1, sizeof(*s));
	struct err unused = {0};
	int r;

	if (!err)
		err = &unused;
	if (!s)
		return err_set(err, -ENOMEM, "out of memory");
	err->code = 0;
	s->home_fd = s->fd = -1;
	r = home_path(home, &s->home, err);
	if (r == 0)
		r = home_open(s, err);
	if (r == 0)
		r = store_folders(s, err);
	if (r == 0)
		r = version_check(s, err);
	if (r < 0)
		return r;
	stage_sweep(s);
	*ret = take_ptr(s);
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	close_fd(&s->fd);
	close_fd(&s->home_fd);
	free(s->home);
	free(s);
}

static bool lock_name_ok(const char *name)
{
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                          "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return len > 0 && name[len] == '\0' && name[0] != '.' &&
	       len <= NAME_MAX;
}

/*
 * Opened for reading only, so that a lock that exists can also be taken in a
 * home on a read-only file system.
 */
int store_lock(struct store *s, const char *name, unsigned flags,
               struct err *err)
{
	cleanup_close int fd = -1;
	char path[NAME_MAX + 16];
	int op = flags & STORE_LOCK_SHARED ? LOCK_SH : LOCK_EX;
	int r;

	if (!lock_name_ok(name))
		return err_set(err, -EINVAL, "bad lock name");
	(void)snprintf(path, sizeof(path), "locks/%s", name);
	fd = openat(s->fd, path, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
	            0600);
	if (fd < 0)
		return err_set(err, -errno, "cannot open the lock %s: %s", path,
		               strerror(errno));
	if (flags & STORE_LOCK_TRY)
		op |= LOCK_NB;
	r = cancel_flock(fd, op);
	if (r == -ECANCELED)
		return err_set(err, r, "cancelled");
	if (r < 0)
		return err_set(err, r, "cannot take the lock %s: %s", path,
		               strerror(-r));
	return take_fd(fd);
}

int store_reserve(struct store *s, uint64_t need, struct err *err)
{
	char want[32], have[32];
	struct statvfs v;
	uint64_t avail;

	if (fstatvfs(s->fd, &v) < 0)
		return err_set(err, -errno, "cannot look at %s: %s", s->home,
		               strerror(errno));
	if (!num_mul(v.f_bavail, v.f_frsize, &avail))
		avail = UINT64_MAX;
	if (avail >= STORE_FLOOR_BYTES && avail - STORE_FLOOR_BYTES >= need &&
	    (v.f_files == 0 || v.f_favail >= STORE_FLOOR_INODES))
		return 0;
	_Static_assert(STORE_FLOOR_BYTES == 64 * MIB, "the text below");
	err_set(err, -ENOSPC,
	        "not enough space in %s: %s needed "
	        "beside a reserve of 64 MiB, %s free%s",
	        s->home, num_format_size(need, want, sizeof(want)),
	        num_format_size(avail, have, sizeof(have)),
	        v.f_files && v.f_favail < STORE_FLOOR_INODES ? ", no inodes"
	                                                     : "");
	err_hint(err, "remove images with msb image rm and msb image prune, "
	              "or set MSB_HOME to a larger disk");
	return -ENOSPC;
}
