#include "guest/scripts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "guest/trust.h"

#include "base/banned.h"

#define MSB_DIR     "/.msb"
#define SCRIPTS_DIR MSB_DIR "/scripts"
#define PROFILE     "/etc/profile.d/msb-scripts.sh"
#define PAGE        4096u
#define FLAGS       (MS_NOSUID | MS_NODEV)

static const char profile[] =
	"# microsandbox: the sandbox's scripts, for login shells\n"
	"case \":$PATH:\" in\n"
	"*:" SCRIPTS_DIR ":*) ;;\n"
	"*) if [ -d " SCRIPTS_DIR " ]; then PATH=" SCRIPTS_DIR ":$PATH; fi ;;\n"
	"esac\n";

static bool good_name(const char *name)
{
	size_t len = strnlen(name, SCRIPTS_NAME_MAX + 1);

	return len > 0 && len <= SCRIPTS_NAME_MAX && name[0] != '.' &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyz"
	                         "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                         "0123456789._-")] == '\0';
}

int scripts_check(const struct proto_strs *pairs, struct err *err)
{
	size_t sum = 0;

	if (pairs->n % 2)
		return err_set(err, -EINVAL,
		               "the last script has a name and no body");
	if (pairs->n / 2 > SCRIPTS_COUNT_MAX)
		return err_set(err, -E2BIG, "%u scripts, at most %d are taken",
		               pairs->n / 2, SCRIPTS_COUNT_MAX);
	for (uint32_t i = 0; i < pairs->n; i += 2) {
		if (!good_name(pairs->v[i]))
			return err_set(err, -EINVAL,
			               "'%.64s' is no name of a script",
			               pairs->v[i]);
		sum += strlen(pairs->v[i + 1]);
	}
	if (sum > SCRIPTS_BYTES_MAX)
		return err_set(err, -E2BIG,
		               "the scripts have %zu bytes, at most %u are "
		               "taken",
		               sum, SCRIPTS_BYTES_MAX);
	return 0;
}

static int write_one(int dir_fd, const char *name, const char *body)
{
	cleanup_close int fd = openat(
		dir_fd, name,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0755);
	int r;

	if (fd < 0)
		return -errno;
	r = fd_write_full(fd, body, strlen(body));
	return r < 0 || fchmod(fd, 0755) == 0 ? r : -errno;
}

int scripts_write(int dir_fd, const struct proto_strs *pairs, struct err *err)
{
	for (uint32_t i = 0; i < pairs->n; i += 2) {
		const char *name = pairs->v[i];
		int r = write_one(dir_fd, name, pairs->v[i + 1]);

		if (r == -EEXIST)
			return err_set(err, r, "two scripts are called %s",
			               name);
		if (r < 0)
			return err_set(err, r, "cannot write the script %s: %s",
			               name, strerror(-r));
	}
	return 0;
}

static unsigned pages_of(size_t bytes)
{
	return (unsigned)((bytes + PAGE - 1) / PAGE);
}

/* A tmpfs that holds the scripts, the certificates, and nothing more. */
static int mount_folder(const struct proto_strs *pairs,
                        const struct proto_bytes *cas)
{
	unsigned pages = 1 + pages_of(cas->n);
	char options[64];
	struct stat st;

	if (mkdir(MSB_DIR, 0755) < 0 && errno != EEXIST)
		return -errno;
	/* mount() would follow a link of the image to anywhere. */
	if (lstat(MSB_DIR, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	for (uint32_t i = 1; i < pairs->n; i += 2)
		pages += pages_of(strlen(pairs->v[i]));
	(void)snprintf(options, sizeof(options),
	               "mode=0755,size=%u,nr_inodes=%u", pages * PAGE,
	               pairs->n / 2 + 5);
	if (mount("tmpfs", MSB_DIR, "tmpfs", FLAGS, options) < 0 ||
	    mkdir(SCRIPTS_DIR, 0755) < 0)
		return -errno;
	return 0;
}

/* Where it is missing or cannot be written, login shells do without. */
static void add_profile(void)
{
	cleanup_close int fd = open(
		PROFILE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		0644);

	if (fd >= 0 && fd_write_full(fd, profile, sizeof(profile) - 1) < 0)
		log_warn("cannot write %s", PROFILE);
}

static int write_file(const char *path, const void *data, size_t len)
{
	cleanup_close int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	             0644);

	return fd < 0 ? -errno : fd_write_full(fd, data, len);
}

static int write_cas(const struct proto_bytes *cas)
{
	int r;

	if (cas->n == 0)
		return 0;
	r = write_file(TRUST_MORE, cas->p, cas->n);
	return r < 0 ? r : write_file(TRUST_BUNDLE, "", 0);
}

int scripts_provide(const struct proto_strs *pairs,
                    const struct proto_bytes *cas, struct err *err)
{
	cleanup_close int fd = -1;
	int r = scripts_check(pairs, err);

	if (r < 0)
		return r;
	r = mount_folder(pairs, cas);
	if (r == 0) {
		fd = open(SCRIPTS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = fd < 0 ? -errno : 0;
	}
	if (r < 0)
		return err_set(err, r, "cannot make the folder %s: %s",
		               SCRIPTS_DIR, strerror(-r));
	r = scripts_write(fd, pairs, err);
	if (r < 0)
		return r;
	r = write_cas(cas);
	if (r < 0)
		return err_set(err, r, "cannot write %s: %s", TRUST_MORE,
		               strerror(-r));
	if (mount(NULL, MSB_DIR, NULL, MS_REMOUNT | MS_RDONLY | FLAGS, NULL) <
	    0)
		return err_set(err, -errno, "cannot make %s read-only: %s",
		               MSB_DIR, strerror(errno));
	if (pairs->n)
		add_profile();
	return 0;
}
