#include "base/fdio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/openat2.h"

#include "base/banned.h"

ssize_t fd_read_full(int fd, void *data, size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, (char *)data + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

ssize_t fd_pread_full(int fd, void *data, size_t len, uint64_t off)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = pread(fd, (char *)data + got, len - got,
		                  (off_t)(off + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

int fd_write_full(int fd, const void *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(fd, (const char *)data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

int fd_pwrite_full(int fd, const void *data, size_t len, uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(fd, (const char *)data + done, len - done,
		                   (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

/* The buffer is at its bound: fine if the file ends here. */
static int expect_end(int fd)
{
	char c;
	ssize_t n = fd_read_full(fd, &c, 1);

	return n > 0 ? -E2BIG : (int)n;
}

int fd_read_all(int fd, struct buf *b)
{
	for (;;) {
		ssize_t n;
		int r;

		if (b->len == b->max)
			return expect_end(fd);
		r = buf_reserve(b, 1);
		if (r < 0)
			return r;
		n = read(fd, b->data + b->len, b->cap - 1 - b->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		if (b->len + (size_t)n > b->max)
			return -E2BIG;
		buf_commit(b, (size_t)n);
	}
}

/* With O_PATH the link itself is opened, where another open() fails. */
static int refuse_link(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && !S_ISLNK(st.st_mode))
		return fd;
	(void)close(fd);
	return -ELOOP;
}

int file_open(const char *path, int flags, enum file_links links)
{
	int fd;

	if (links == LINKS_NONE)
		return open_resolved(AT_FDCWD, path, flags, 0,
		                     RESOLVE_NO_SYMLINKS |
		                             RESOLVE_NO_MAGICLINKS);
	fd = open(path,
	          flags | O_CLOEXEC | (links == LINKS_ABOVE ? O_NOFOLLOW : 0));
	if (fd < 0)
		return -errno;
	return links == LINKS_ABOVE ? refuse_link(fd) : fd;
}

const char *file_open_text(int r, enum file_links links)
{
	if (r != -ELOOP || links == LINKS_ANY)
		return strerror(-r);
	/* Not which, nor where it leads: who asks may not know that. */
	return links == LINKS_NONE ? "a part of its path is a symbolic link"
	                           : "it is a symbolic link";
}

int file_read(int dir_fd, const char *path, struct buf *b)
{
	cleanup_close int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fd_read_all(fd, b);
}

static int write_and_sync(int fd, const void *data, size_t len, mode_t mode)
{
	int r = fd_write_full(fd, data, len);

	if (r < 0)
		return r;
	if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

/* By way of @tmp, opened with @flags. */
static int write_beside(int dir_fd, const char *path, const char *tmp,
                        int flags, const void *data, size_t len, mode_t mode)
{
	cleanup_close int fd = openat(
		dir_fd, tmp, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = write_and_sync(fd, data, len, mode);
	if (r == 0 && renameat(dir_fd, tmp, dir_fd, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir_fd, tmp, 0);
	return r;
}

int file_write_atomic(int dir_fd, const char *path, const void *data,
                      size_t len, mode_t mode)
{
	char tmp[PATH_MAX];
	uint64_t rnd;
	int n;

	if (getrandom(&rnd, sizeof(rnd), 0) != sizeof(rnd))
		return -EIO;
	n = snprintf(tmp, sizeof(tmp), "%s.%016llx.tmp", path,
	             (unsigned long long)rnd);
	if (n < 0 || (size_t)n >= sizeof(tmp))
		return -ENAMETOOLONG;
	return write_beside(dir_fd, path, tmp, O_EXCL, data, len, mode);
}

int file_replace(int dir_fd, const char *path, const void *data, size_t len,
                 mode_t mode)
{
	char tmp[PATH_MAX];
	int n = snprintf(tmp, sizeof(tmp), "%s.new", path);

	if (n < 0 || (size_t)n >= sizeof(tmp))
		return -ENAMETOOLONG;
	return write_beside(dir_fd, path, tmp, O_TRUNC | O_NOFOLLOW, data, len,
	                    mode);
}

int dir_make(int dir_fd, const char *path, mode_t mode)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof(part))
		return -ENAMETOOLONG;
	for (size_t i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdirat(dir_fd, part, mode) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

int dir_private(int at, const char *name, bool make)
{
	cleanup_close int fd = -1;
	struct stat st;

	if (make && mkdirat(at, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid())
		return -EPERM;
	if ((st.st_mode & 077) && fchmod(fd, 0700) < 0)
		return -errno;
	return take_fd(fd);
}

/* Depth is bounded: our own folders are shallow, a deeper one is refused. */
#define REMOVE_DEPTH_MAX 64

static int remove_at(int dir_fd, const char *name, dev_t dev, int depth);

static int remove_children(int fd, dev_t dev, int depth)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (!d) {
		(void)close(fd);
		return -errno;
	}
	while (r == 0 && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = remove_at(dirfd(d), e->d_name, dev, depth + 1);
	(void)closedir(d);
	return r;
}

static int remove_at(int dir_fd, const char *name, dev_t dev, int depth)
{
	struct stat st;
	int fd, r;

	if (depth > REMOVE_DEPTH_MAX)
		return -ELOOP;
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = openat(dir_fd, name,
	            O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || (depth > 0 && st.st_dev != dev)) {
		(void)close(fd);
		return -EXDEV;
	}
	r = remove_children(fd, st.st_dev, depth);
	if (r == 0 && unlinkat(dir_fd, name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}

int dir_remove(int dir_fd, const char *path)
{
	return remove_at(dir_fd, path, 0, 0);
}

int fd_set_nonblock(int fd)
{
	int fl = fcntl(fd, F_GETFL);

	if (fl < 0 || fcntl(fd, F_SETFL, fl | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

int fd_set_cloexec(int fd, int on)
{
	if (fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0)
		return -errno;
	return 0;
}

union fd_cmsg {
	struct cmsghdr hdr;
	char space[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
};

ssize_t fd_send(int sock, const void *data, size_t len, const int *fds,
                size_t nfds)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data,
	                    .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union fd_cmsg c = {0};
	ssize_t n;

	if (nfds > FD_PASS_MAX)
		return -EINVAL;
	if (nfds) {
		msg.msg_control = &c;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c.hdr.cmsg_level = SOL_SOCKET;
		c.hdr.cmsg_type = SCM_RIGHTS;
		c.hdr.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&c.hdr), fds, nfds * sizeof(int));
	}
	do {
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static void take_fds(struct msghdr *msg, int *fds, size_t *nfds)
{
	*nfds = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (n > FD_PASS_MAX - *nfds)
			n = FD_PASS_MAX - *nfds; /* the space allows no more */
		memcpy(fds + *nfds, CMSG_DATA(c), n * sizeof(int));
		*nfds += n;
	}
}

ssize_t fd_recv(int sock, void *data, size_t len, int *ret_fds,
                size_t *ret_nfds)
{
	struct iovec iov = {.iov_base = data, .iov_len = len};
	union fd_cmsg c = {0};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = &c,
	                     .msg_controllen = sizeof(c)};
	int fds[FD_PASS_MAX];
	size_t nfds;
	ssize_t n;

	do {
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	take_fds(&msg, fds, &nfds);
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		while (nfds)
			(void)close(fds[--nfds]);
		return -EMSGSIZE;
	}
	memcpy(ret_fds, fds, nfds * sizeof(int));
	*ret_nfds = nfds;
	return n;
}
