#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "disk/disk_int.h"

#include "base/banned.h"

#define PART 64 /* buffers in one call, when it takes not all of them */

int file_length(int fd, uint64_t *ret)
{
	off_t end = lseek(fd, 0, SEEK_END);

	if (end < 0)
		return -errno;
	*ret = (uint64_t)end;
	return 0;
}

void iov_zero(struct iov *data, uint64_t len)
{
	while (len) {
		size_t part = MIN(len, data->v->iov_len);

		memset(data->v->iov_base, 0, part);
		iov_skip(data, part);
		len -= part;
	}
}

/* The first bytes of @data, at most @len, as a list that may be shorter. */
static unsigned front(const struct iov *data, uint64_t len, struct iovec *v)
{
	unsigned n = 0;

	for (; len && n < PART && n < data->n; n++) {
		v[n] = data->v[n];
		v[n].iov_len = MIN(len, v[n].iov_len);
		len -= v[n].iov_len;
	}
	return n;
}

typedef ssize_t (*vector_fn)(int, const struct iovec *, int, off_t);

/* One system call; the bytes that it moved, dropped from @data. */
static ssize_t move(int fd, struct iov *data, uint64_t len, uint64_t at,
                    vector_fn op)
{
	struct iovec v[PART];
	ssize_t n;

	do {
		if (len == data->len && data->n <= 1024) /* IOV_MAX */
			n = op(fd, data->v, (int)data->n, (off_t)at);
		else
			n = op(fd, v, (int)front(data, len, v), (off_t)at);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	iov_skip(data, (size_t)n);
	return n;
}

int file_load(int fd, struct iov *data, uint64_t len, uint64_t at, bool zeros)
{
	while (len) {
		ssize_t n = move(fd, data, len, at, preadv);

		if (n < 0)
			return (int)n;
		if (n == 0 && !zeros)
			return -EIO;
		if (n == 0) {
			iov_zero(data, len);
			return 0;
		}
		len -= (uint64_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

int file_store(int fd, struct iov *data, uint64_t len, uint64_t at)
{
	while (len) {
		ssize_t n = move(fd, data, len, at, pwritev);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		len -= (uint64_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

int file_get(int fd, void *data, size_t len, uint64_t at)
{
	struct iovec v = {data, len};
	struct iov one = {&v, 1, len};

	return file_load(fd, &one, len, at, true);
}

int file_put(int fd, const void *data, size_t len, uint64_t at)
{
	struct iovec v = {(void *)(uintptr_t)data, len};
	struct iov one = {&v, 1, len};

	return file_store(fd, &one, len, at);
}

int file_punch(int fd, uint64_t at, uint64_t len)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	                 (off_t)at, (off_t)len) < 0
	               ? -errno
	               : 0;
}

static int write_zeros(int fd, uint64_t at, uint64_t len)
{
	static const uint8_t zeros[64 * KIB];
	int r = 0;

	while (len && r == 0) {
		size_t part = MIN(sizeof(zeros), len);

		r = file_put(fd, zeros, part, at);
		at += part;
		len -= part;
	}
	return r;
}

int file_zero(int fd, uint64_t at, uint64_t len)
{
	if (fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)at,
	              (off_t)len) == 0)
		return 0;
	return errno == EOPNOTSUPP ? write_zeros(fd, at, len) : -errno;
}
