#include "files/whole.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/fs.h>

#include "base/cleanup.h"
#include "base/fdio.h"

#include "base/banned.h"

#define TRIES 16

void files_whole_name(char *out)
{
	uint64_t v = 0;

	if (getrandom(&v, sizeof(v), GRND_NONBLOCK) != sizeof(v))
		v = (uint64_t)getpid();
	(void)snprintf(out, 32, ".msb-%016llx", (unsigned long long)v);
}

int files_whole_begin(struct files_whole *w, int dir_fd)
{
	for (int i = 0; i < TRIES; i++) {
		files_whole_name(w->name);
		w->dir_fd = dir_fd;
		w->in_place = false;
		w->fd = openat(dir_fd, w->name,
		               O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW |
		                       O_CLOEXEC,
		               0600);
		if (w->fd >= 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

int files_whole_begin_new(struct files_whole *w, int dir_fd, const char *name)
{
	w->fd = openat(dir_fd, name,
	               O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	               0600);
	if (w->fd < 0)
		return -errno;
	w->dir_fd = dir_fd;
	w->in_place = true;
	(void)snprintf(w->name, sizeof(w->name), "%.255s", name);
	return 0;
}

void files_whole_drop(struct files_whole *w)
{
	if (w->fd < 0)
		return;
	(void)unlinkat(w->dir_fd, w->name, 0);
	close_fd(&w->fd);
}

/* A mount point: its content is replaced, piece by piece. */
static int write_over(struct files_whole *w, const char *name)
{
	cleanup_close int to = openat(w->dir_fd, name,
	                              O_WRONLY | O_TRUNC | O_NOFOLLOW |
	                                      O_NONBLOCK | O_CLOEXEC);
	uint8_t chunk[16384];
	uint64_t off = 0;
	struct stat st;
	ssize_t n;
	int r = to < 0 || fstat(to, &st) < 0 ? -errno : 0;

	if (r == 0 && !S_ISREG(st.st_mode))
		r = -EINVAL;
	while (r == 0) {
		n = fd_pread_full(w->fd, chunk, sizeof(chunk), off);
		if (n <= 0)
			return (int)n;
		r = fd_write_full(to, chunk, (size_t)n);
		off += (uint64_t)n;
	}
	return r;
}

int files_whole_publish(struct files_whole *w, const char *name, bool exclusive)
{
	int r = 0;

	if (!w->in_place)
		r = (int)syscall(SYS_renameat2, w->dir_fd, w->name, w->dir_fd,
		                 name, exclusive ? RENAME_NOREPLACE : 0);
	if (r == 0) {
		close_fd(&w->fd);
		return 0;
	}
	r = -errno;
	if (r == -EBUSY && !exclusive)
		r = write_over(w, name);
	files_whole_drop(w);
	return r;
}
