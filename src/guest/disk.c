#include "guest/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdio.h"

#include "base/banned.h"

/* A disk without a serial is kept with "": it is found by nobody. */
static int read_serial(int dir_fd, const char *name, char *ret)
{
	cleanup_close int sub = openat(dir_fd, name, O_DIRECTORY | O_CLOEXEC);
	cleanup_close int fd = -1;
	ssize_t n;

	if (sub < 0)
		return -errno;
	fd = openat(sub, "serial", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	n = fd_read_full(fd, ret, DISK_SERIAL_MAX);
	if (n < 0)
		return (int)n;
	ret[n] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return 0;
}

static int scan(DIR *dir, struct disks *d, struct err *err)
{
	struct dirent *e;

	while ((e = readdir(dir))) {
		struct disk *k = &d->v[d->n];
		size_t len = strlen(e->d_name);
		int r;

		if (strncmp(e->d_name, "vd", 2) != 0 || len >= DISK_NAME_MAX)
			continue;
		if (d->n == DISK_MAX)
			return err_set(err, -E2BIG, "more than %d disks",
			               DISK_MAX);
		memcpy(k->name, e->d_name, len + 1);
		r = read_serial(dirfd(dir), k->name, k->serial);
		if (r < 0)
			return err_set(err, r,
			               "cannot read the serial of disk %s: %s",
			               k->name, strerror(-r));
		d->n++;
	}
	return 0;
}

int disks_scan(const char *block_dir, struct disks *ret, struct err *err)
{
	struct disks d = {0};
	DIR *dir = opendir(block_dir);
	int r;

	if (!dir)
		return err_set(err, -errno, "cannot list %s: %s", block_dir,
		               strerror(errno));
	r = scan(dir, &d, err);
	(void)closedir(dir);
	if (r == 0)
		*ret = d;
	return r;
}

const char *disks_find(const struct disks *d, const char *serial)
{
	for (size_t i = 0; i < d->n; i++)
		if (strcmp(d->v[i].serial, serial) == 0)
			return d->v[i].name;
	return NULL;
}
