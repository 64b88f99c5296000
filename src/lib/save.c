/*
 * msb_image_save(): the file that an archive goes to. It has no name while it
 * grows, so whoever is killed leaves nothing, and nobody sees half of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/archive_out.h"
#include "lib/error.h"
#include "lib/home.h"
#include "lib/image.h"
#include "lib/options.h"

#include "base/banned.h"

_Static_assert((int)MSB_ARCHIVE_DOCKER == (int)ARCHIVE_DOCKER &&
                       (int)MSB_ARCHIVE_OCI == (int)ARCHIVE_OCI,
               "the forms are the same, number for number");

struct target {
	int fd, dir_fd;
	char *path; /* links followed, when it is there already */
	const char *base;
	char temp[32]; /* a name in the folder, where files must have one */
	bool direct;   /* a pipe or device: written as it is */
};

#define TARGET_INIT                                                            \
	{                                                                      \
		.fd = -1, .dir_fd = -1                                         \
	}

static void target_release(struct target *t)
{
	if (*t->temp)
		(void)unlinkat(t->dir_fd, t->temp, 0);
	close_fd(&t->fd);
	close_fd(&t->dir_fd);
	free(t->path);
}

static int failed(const char *path, int r, struct err *err)
{
	return err_set(err, r, "cannot write %s: %s", path, strerror(-r));
}

static int make_temp(struct target *t)
{
	uint32_t n;

	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		return -EIO;
	(void)snprintf(t->temp, sizeof(t->temp), ".msb-save-%08x", n);
	return 0;
}

/* Where the file system knows no file without a name, it has one. */
static int open_unnamed(struct target *t)
{
	int r;

	t->fd = openat(t->dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
	if (t->fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR)
		return -errno;
	r = make_temp(t);
	if (r < 0)
		return r;
	t->fd = openat(t->dir_fd, t->temp,
	               O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (t->fd < 0)
		*t->temp = '\0';
	return t->fd < 0 ? -errno : 0;
}

static int open_folder(struct target *t)
{
	char *slash = strrchr(t->path, '/');

	t->base = slash ? slash + 1 : t->path;
	if (!slash)
		t->dir_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	else if (slash == t->path)
		t->dir_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	else {
		*slash = '\0';
		t->dir_fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		*slash = '/';
	}
	return t->dir_fd < 0 ? -errno : 0;
}

static int target_open(struct target *t, const char *path, struct err *err)
{
	struct stat st;
	int r = 0;

	if (strcmp(path, "-") == 0) {
		t->direct = true;
		t->fd = fcntl(1, F_DUPFD_CLOEXEC, 3);
		return t->fd < 0 ? failed("standard output", -errno, err) : 0;
	}
	t->path = realpath(path, NULL);
	if (!t->path)
		t->path = strdup(path);
	if (!t->path)
		return err_set(err, -ENOMEM, "out of memory");
	if (stat(t->path, &st) == 0 && !S_ISREG(st.st_mode)) {
		t->direct = true;
		t->fd = open(t->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		r = t->fd < 0 ? -errno : 0;
		return r < 0 ? failed(path, r, err) : 0;
	}
	r = open_folder(t);
	if (r == 0 && !*t->base)
		r = -EISDIR;
	if (r == 0)
		r = open_unnamed(t);
	return r < 0 ? failed(path, r, err) : 0;
}

/* A new name can be had at once; an old one is replaced by renaming. */
static int give_name(struct target *t)
{
	char own[64];
	int r;

	(void)snprintf(own, sizeof(own), "/proc/self/fd/%d", t->fd);
	if (!*t->temp) {
		if (linkat(AT_FDCWD, own, t->dir_fd, t->base,
		           AT_SYMLINK_FOLLOW) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
		r = make_temp(t);
		if (r < 0)
			return r;
		if (linkat(AT_FDCWD, own, t->dir_fd, t->temp,
		           AT_SYMLINK_FOLLOW) < 0) {
			*t->temp = '\0';
			return -errno;
		}
	}
	if (renameat(t->dir_fd, t->temp, t->dir_fd, t->base) < 0)
		return -errno;
	*t->temp = '\0';
	return 0;
}

static int finish(struct target *t, const char *path, struct err *err)
{
	int r = 0;

	if (t->direct)
		return 0;
	if (fdatasync(t->fd) < 0)
		r = -errno;
	if (r == 0)
		r = give_name(t);
	return r < 0 ? failed(path, r, err) : 0;
}

static int save(struct msb_home *home, const char *const *references,
                const struct msb_save_opts *o, const char *path,
                struct err *err)
{
	struct target cleanup(target_release) t = TARGET_INIT;
	struct image_pull_opts events = {0};
	struct lib_listener listener;
	size_t n = 0;
	int r;

	while (references && references[n])
		n++;
	if (o->format != MSB_ARCHIVE_DOCKER && o->format != MSB_ARCHIVE_OCI)
		return err_set(err, -EINVAL, "no such form of archive: %d",
		               (int)o->format);
	lib_listen(&listener, o->event, o->event_arg, &events);
	r = target_open(&t, path, err);
	if (r == 0)
		r = image_save(home->store, references, n,
		               (enum archive_format)o->format, t.fd, &events,
		               err);
	return r < 0 ? r : finish(&t, path, err);
}

int msb_image_save(struct msb_home *home, const char *const *references,
                   const struct msb_save_opts *opts, const char *path,
                   struct msb_error *error)
{
	struct msb_save_opts o = MSB_SAVE_OPTS_INIT;
	struct err err = {0};
	int r;

	if (!options_take(&o, sizeof(o), opts))
		return error_set(error, -EINVAL, "msb_save_opts: wrong size");
	if (!path || !*path)
		return error_set(error, -EINVAL, "no archive was named");
	r = save(home, references, &o, path, &err);
	return r < 0 ? error_return(error, r, &err) : 0;
}
