#include "base/reclog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"

#include "base/banned.h"

#define MAGIC        0x31474c52u /* "RLG1" */
#define UNIX_MS_MAX  253402300799999LL
#define OLD_NAME_MAX 64
/* A file is left alone this far before the process may not write on. */
#define LIMIT_MARGIN (1u << 20)

/* ---- the format ------------------------------------------------------- */

#define SUM_LANES 4
#define SUM_PRIME 0x9e3779b97f4a7c15ULL

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * SUM_PRIME;
	return h ^ (h >> 29);
}

/*
 * Tells whole records from cut or mixed up ones; no defence against people.
 * Four lanes, as one multiplication has to wait for the one before.
 */
static uint32_t sum_of(const uint8_t *header, const uint8_t *data, size_t len)
{
	uint64_t lanes[SUM_LANES] = {1, 2, 3, 4};
	uint8_t rest[8 * SUM_LANES] = {0};
	uint64_t h = len;
	size_t i = 0;

	for (; i + sizeof(rest) <= len; i += sizeof(rest))
		for (size_t k = 0; k < SUM_LANES; k++)
			lanes[k] = mix(lanes[k], get_le64(data + i + 8 * k));
	if (i < len)
		memcpy(rest, data + i, len - i);
	for (size_t k = 0; k < SUM_LANES; k++)
		h = mix(mix(h, lanes[k]), get_le64(rest + 8 * k));
	for (size_t k = 0; k < 3; k++)
		h = mix(h, get_le64(header + 8 * k));
	h = mix(h, get_le32(header + 24));
	return (uint32_t)(h >> 32);
}

static void put_header(uint8_t *p, enum reclog_source source, uint64_t session,
                       const void *data, size_t len)
{
	put_le32(p, MAGIC);
	put_le32(p + 4, (uint32_t)len);
	put_le64(p + 8, clock_unix_ns() / NS_PER_MS);
	put_le64(p + 16, session);
	put_le32(p + 24, source);
	put_le32(p + 28, sum_of(p, data, len));
}

static bool is_source(uint32_t source)
{
	return source <= RECLOG_SYSTEM && (source & (source - 1)) == 0;
}

ssize_t reclog_decode(const void *data, size_t len, struct reclog_record *ret)
{
	const uint8_t *p = data;
	uint8_t magic[4];
	struct reclog_record rec;

	put_le32(magic, MAGIC);
	if (memcmp(p, magic, MIN(len, sizeof(magic))) != 0)
		return -EBADMSG;
	if (len < RECLOG_HEADER_LEN)
		return 0;
	rec.len = get_le32(p + 4);
	rec.unix_ms = (int64_t)get_le64(p + 8);
	rec.session = get_le64(p + 16);
	if (rec.len > RECLOG_DATA_MAX || rec.unix_ms < 0 ||
	    rec.unix_ms > UNIX_MS_MAX || !is_source(get_le32(p + 24)))
		return -EBADMSG;
	if (len < RECLOG_HEADER_LEN + rec.len)
		return 0;
	rec.source = (enum reclog_source)get_le32(p + 24);
	rec.data = p + RECLOG_HEADER_LEN;
	if (sum_of(p, rec.data, rec.len) != get_le32(p + 28))
		return -EBADMSG;
	*ret = rec;
	return (ssize_t)(RECLOG_HEADER_LEN + rec.len);
}

size_t reclog_seek(const void *data, size_t len)
{
	const uint8_t *p = data, *end = p + len;
	uint8_t magic[4];

	put_le32(magic, MAGIC);
	while (p < end && (p = memchr(p, magic[0], (size_t)(end - p)))) {
		size_t n = MIN((size_t)(end - p), sizeof(magic));

		if (memcmp(p, magic, n) == 0)
			return (size_t)(p - (const uint8_t *)data);
		p++;
	}
	return len;
}

/* One system call, so that no other writer comes between. */
static int check_written(ssize_t n, size_t want)
{
	if (n < 0)
		return -errno;
	return (size_t)n == want ? 0 : -ENOSPC;
}

/* ---- one writer, two files -------------------------------------------- */

uint64_t reclog_pair_turn(int fd)
{
	uint8_t head[RECLOG_HEADER_LEN];
	struct reclog_record rec;
	ssize_t n;

	do {
		n = pread(fd, head, sizeof(head), 0);
	} while (n < 0 && errno == EINTR);
	if (n != sizeof(head) || reclog_decode(head, sizeof(head), &rec) <= 0 ||
	    rec.source != RECLOG_HEAD || rec.session == UINT64_MAX)
		return 0;
	return rec.session;
}

int reclog_pair_init(struct reclog_pair *w, const int fds[2])
{
	uint64_t turns[2];
	struct stat st;

	*w = (struct reclog_pair){
		.fds = {fds[0], fds[1]}
        };
	if (fds[0] < 0 || fds[1] < 0)
		return 0;
	turns[0] = reclog_pair_turn(fds[0]);
	turns[1] = reclog_pair_turn(fds[1]);
	w->now = turns[1] > turns[0];
	w->turn = turns[w->now];
	if (w->turn == 0)
		w->turn = 1;
	else if (fstat(fds[w->now], &st) < 0)
		return -errno;
	else
		w->used = (uint64_t)st.st_size;
	return 0;
}

/* After a failure the next call begins at the same place again. */
static int pair_write_one(struct reclog_pair *w, enum reclog_source source,
                          uint64_t session, const void *data, size_t len)
{
	uint8_t head[RECLOG_HEADER_LEN], header[RECLOG_HEADER_LEN];
	struct iovec iov[] = {
		{.iov_base = head,                    .iov_len = 0             },
		{.iov_base = header,                  .iov_len = sizeof(header)},
		{.iov_base = (void *)(uintptr_t)data, .iov_len = len           },
	};
	size_t total = sizeof(header) + len;
	ssize_t n;
	int r;

	put_header(header, source, session, data, len);
	if (w->used + total > RECLOG_FILE_MAX) {
		w->now = !w->now;
		w->turn++;
		w->used = 0;
	}
	if (w->used == 0) {
		if (ftruncate(w->fds[w->now], 0) < 0)
			return -errno;
		put_header(head, RECLOG_HEAD, w->turn, NULL, 0);
		iov[0].iov_len = sizeof(head);
		total += sizeof(head);
	}
	do {
		n = pwritev(w->fds[w->now], iov, ARRAY_SIZE(iov),
		            (off_t)w->used);
	} while (n < 0 && errno == EINTR);
	r = check_written(n, total);
	if (r == 0)
		w->used += total;
	else if (ftruncate(w->fds[w->now], (off_t)w->used) < 0)
		r = -errno; /* a reader may find what was half written */
	return r;
}

int reclog_pair_write(struct reclog_pair *w, enum reclog_source source,
                      uint64_t session, const void *data, size_t len)
{
	const uint8_t *p = data;
	int r = 0;

	if (w->fds[0] < 0 || w->fds[1] < 0)
		return 0;
	while (len > 0 && r == 0) {
		size_t n = MIN(len, RECLOG_DATA_MAX);

		r = pair_write_one(w, source, session, p, n);
		p += n;
		len -= n;
	}
	return r;
}

/* ---- many writers, one name --------------------------------------------- */

void reclog_file_close(struct reclog_file *f)
{
	close_fd(&f->fd);
}

static int open_current(struct reclog_file *f)
{
	cleanup_close int fd =
		openat(f->dir_fd, f->name,
	               O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK |
	                       O_NOCTTY | O_CLOEXEC,
	               0600);
	struct rlimit lim;
	struct stat st;

	reclog_file_close(f);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	/* Past this limit comes a signal that kills, not only an error. */
	f->limit = UINT64_MAX;
	if (getrlimit(RLIMIT_FSIZE, &lim) == 0 && lim.rlim_cur != RLIM_INFINITY)
		f->limit = lim.rlim_cur - MIN(lim.rlim_cur, LIMIT_MARGIN);
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->fd = take_fd(fd);
	return 0;
}

/* Whether the name still stands for the file that is open; its size. */
static bool is_current(const struct reclog_file *f, uint64_t *ret_size)
{
	struct stat st;

	if (f->fd < 0 ||
	    fstatat(f->dir_fd, f->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    st.st_dev != f->dev || st.st_ino != f->ino)
		return false;
	*ret_size = (uint64_t)st.st_size;
	return true;
}

/*
 * Give the full file its other name. -EWOULDBLOCK when somebody else is at it:
 * never wait, as that process may have been stopped.
 */
static int rotate(struct reclog_file *f)
{
	char old[OLD_NAME_MAX];
	uint64_t size;
	int r = 0;

	if (snprintf(old, sizeof(old), "%s.1", f->name) >= (int)sizeof(old))
		return -ENAMETOOLONG;
	if (flock(f->fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	if (is_current(f, &size) &&
	    renameat(f->dir_fd, f->name, f->dir_fd, old) < 0)
		r = -errno;
	(void)flock(f->fd, LOCK_UN);
	return r;
}

/* Open the file to which a record of @total bytes goes. */
static int make_room(struct reclog_file *f, size_t total)
{
	uint64_t size = 0;
	int r = 0;

	/* Twice is usual; more happens only while many others fill files. */
	for (int tries = 0; tries < 8; tries++) {
		if (!is_current(f, &size)) {
			r = open_current(f);
			if (r < 0)
				return r;
			if (!is_current(f, &size))
				continue;
		}
		if (size + total <= RECLOG_FILE_MAX)
			return 0;
		r = rotate(f);
		if (r == -EWOULDBLOCK && size < 2 * RECLOG_FILE_MAX)
			return 0;
		if (r < 0)
			return r;
	}
	return -EAGAIN;
}

static int append_one(struct reclog_file *f, enum reclog_source source,
                      uint64_t session, const void *data, size_t len)
{
	uint8_t header[RECLOG_HEADER_LEN];
	struct iovec iov[] = {
		{.iov_base = header,                  .iov_len = sizeof(header)},
		{.iov_base = (void *)(uintptr_t)data, .iov_len = len           },
	};
	ssize_t n;
	int r = make_room(f, sizeof(header) + len);

	if (r < 0)
		return r;
	if (f->limit < 2 * RECLOG_FILE_MAX &&
	    lseek(f->fd, 0, SEEK_END) + (off_t)len > (off_t)f->limit)
		return -EFBIG;
	put_header(header, source, session, data, len);
	do {
		n = writev(f->fd, iov, ARRAY_SIZE(iov));
	} while (n < 0 && errno == EINTR);
	return check_written(n, sizeof(header) + len);
}

int reclog_append(struct reclog_file *f, enum reclog_source source,
                  uint64_t session, const void *data, size_t len)
{
	const uint8_t *p = data;
	int r = 0;

	if (f->dir_fd < 0)
		return 0;
	while (len > 0 && r == 0) {
		size_t n = MIN(len, RECLOG_DATA_MAX);

		r = append_one(f, source, session, p, n);
		p += n;
		len -= n;
	}
	return r;
}
