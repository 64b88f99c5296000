#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/clock.h"
#include "base/num.h"
#include "fs/quota.h"

#include "base/banned.h"

#define RESERVE_PART 20
/* Of what is left above the reserve so much goes without asking again. */
#define STEP_PART 8
/* Locks are bytes of the usage file after the number; files share them. */
#define LOCK_BASE  4096
#define LOCK_COUNT 65536

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

int quota_init(struct quota *q, uint64_t limit, int usage_fd, int dir_fd,
               struct err *err)
{
	struct stat st;
	void *map;

	*q = (struct quota){.limit = limit, .dir_fd = dir_fd, .usage_fd = -1};
	if (usage_fd < 0)
		return 0;
	if (fstat(usage_fd, &st) < 0)
		return err_set(err, -errno, "cannot look at the usage file");
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(*q->shared))
		return err_set(err, -EINVAL,
		               "the usage file is not one of %zu bytes",
		               sizeof(*q->shared));
	map = mmap(NULL, sizeof(*q->shared), PROT_READ | PROT_WRITE, MAP_SHARED,
	           usage_fd, 0);
	if (map == MAP_FAILED)
		return err_set(err, -errno, "cannot map the usage file");
	q->shared = map;
	q->usage_fd = usage_fd;
	return 0;
}

void quota_release(struct quota *q)
{
	if (q->shared)
		(void)munmap(q->shared, sizeof(*q->shared));
	q->shared = NULL;
	q->usage_fd = -1;
}

/* ---- the host's reserve ---- */

struct room {
	uint64_t bytes, names;
};

static uint64_t above_reserve(uint64_t avail, uint64_t total, uint64_t max)
{
	uint64_t reserve = min_u64(total / RESERVE_PART, max);

	return avail > reserve ? avail - reserve : 0;
}

/* What the host can still give; a file system that does not say: all. */
static int ask_host(const struct quota *q, struct room *ret)
{
	uint64_t unit;
	struct statvfs st;

	if (fstatvfs(q->dir_fd, &st) < 0)
		return -errno;
	unit = st.f_frsize ? st.f_frsize : st.f_bsize;
	*ret = (struct room){UINT64_MAX, UINT64_MAX};
	if (st.f_blocks)
		ret->bytes =
			above_reserve(st.f_bavail * unit, st.f_blocks * unit,
		                      QUOTA_RESERVE_MAX);
	if (st.f_files)
		ret->names = above_reserve(st.f_favail, st.f_files,
		                           QUOTA_RESERVE_INODES);
	return 0;
}

static int take_reserve(struct quota *q, uint64_t bytes, uint64_t names)
{
	struct room room = {0};
	int r;

	if (bytes > q->reserve_left || names > q->reserve_names) {
		r = ask_host(q, &room);
		if (r < 0)
			return r;
		if (bytes > room.bytes || names > room.names)
			return -ENOSPC;
		q->reserve_left =
			bytes + min_u64((room.bytes - bytes) / STEP_PART,
		                        QUOTA_STEP_MAX);
		q->reserve_names =
			names + min_u64((room.names - names) / STEP_PART,
		                        QUOTA_STEP_MAX / QUOTA_BLOCK);
	}
	q->reserve_left -= bytes;
	q->reserve_names -= names;
	return 0;
}

/* ---- the number ---- */

static int take_shared(struct quota *q, uint64_t bytes)
{
	uint64_t was = __atomic_load_n(q->shared, __ATOMIC_RELAXED);
	uint64_t used, sum;

	do {
		used = le64_to_host(was);
		if (__builtin_add_overflow(used, bytes, &sum) ||
		    (q->limit && sum > q->limit))
			return -ENOSPC;
	} while (!__atomic_compare_exchange_n(
		q->shared, &was, le64_to_host(sum), true, __ATOMIC_RELAXED,
		__ATOMIC_RELAXED));
	return 0;
}

static int take_own(struct quota *q, uint64_t bytes)
{
	int64_t sum;

	if (__builtin_add_overflow(q->own, bytes, &sum) ||
	    (q->limit && sum > 0 && (uint64_t)sum > q->limit))
		return -ENOSPC;
	q->own = sum;
	return 0;
}

static int take(struct quota *q, uint64_t bytes, uint64_t names)
{
	int r = q->shared ? take_shared(q, bytes) : take_own(q, bytes);

	if (r < 0)
		return r;
	r = take_reserve(q, bytes, names);
	if (r < 0)
		quota_give(q, bytes);
	return r;
}

int quota_take(struct quota *q, uint64_t bytes)
{
	return bytes ? take(q, bytes, 0) : 0;
}

int quota_take_name(struct quota *q, uint64_t more)
{
	uint64_t bytes;

	if (__builtin_add_overflow(more, QUOTA_INODE_BYTES, &bytes))
		return -ENOSPC;
	return take(q, bytes, 1);
}

/* Never below nothing, whatever was counted wrong. */
static void give_shared(struct quota *q, uint64_t bytes)
{
	uint64_t was = __atomic_load_n(q->shared, __ATOMIC_RELAXED);
	uint64_t used, rest;

	do {
		used = le64_to_host(was);
		rest = used > bytes ? used - bytes : 0;
	} while (!__atomic_compare_exchange_n(
		q->shared, &was, le64_to_host(rest), true, __ATOMIC_RELAXED,
		__ATOMIC_RELAXED));
}

void quota_give(struct quota *q, uint64_t bytes)
{
	if (q->shared)
		give_shared(q, bytes);
	else if (__builtin_sub_overflow(q->own, bytes, &q->own))
		q->own = INT64_MIN;
}

/*
 * The host took more than anybody could know (its file system's own
 * structures): it is there, so it counts, limit or not.
 */
static void force(struct quota *q, uint64_t bytes)
{
	uint64_t was, sum;

	if (!q->shared) {
		if (__builtin_add_overflow(q->own, bytes, &q->own))
			q->own = INT64_MAX;
		return;
	}
	was = __atomic_load_n(q->shared, __ATOMIC_RELAXED);
	do {
		if (__builtin_add_overflow(le64_to_host(was), bytes, &sum))
			sum = UINT64_MAX;
	} while (!__atomic_compare_exchange_n(
		q->shared, &was, le64_to_host(sum), true, __ATOMIC_RELAXED,
		__ATOMIC_RELAXED));
}

uint64_t quota_room(uint64_t offset, uint64_t len)
{
	uint64_t head = offset % QUOTA_BLOCK;
	uint64_t blocks, all;

	if (len == 0)
		return 0;
	if (__builtin_add_overflow(len, head + QUOTA_BLOCK - 1, &all))
		return UINT64_MAX;
	/* One block of pointers for 512 of data, and the levels above. */
	blocks = all / QUOTA_BLOCK;
	blocks += blocks / 512 + 4;
	if (__builtin_mul_overflow(blocks, (uint64_t)QUOTA_BLOCK, &all))
		return UINT64_MAX;
	return all;
}

void quota_settle(struct quota *q, uint64_t taken, uint64_t before,
                  uint64_t after)
{
	uint64_t grown = after > before ? after - before : 0;
	uint64_t shrunk = before > after ? before - after : 0;

	if (grown > taken)
		force(q, grown - taken);
	if (grown < taken)
		quota_give(q, taken - grown);
	if (shrunk)
		quota_give(q, shrunk);
}

bool quota_state(const struct quota *q, uint64_t *ret_used, uint64_t *ret_limit)
{
	if (!q->limit)
		return false;
	if (q->shared)
		*ret_used = le64_to_host(
			__atomic_load_n(q->shared, __ATOMIC_RELAXED));
	else
		*ret_used = q->own > 0 ? (uint64_t)q->own : 0;
	*ret_limit = q->limit;
	return true;
}

/* ---- one file at a time ---- */

static struct flock lock_of(uint64_t ino, short type)
{
	return (struct flock){.l_type = type,
	                      .l_whence = SEEK_SET,
	                      .l_start = LOCK_BASE + (off_t)(ino % LOCK_COUNT),
	                      .l_len = 1};
}

void quota_lock(struct quota *q, uint64_t ino)
{
	struct flock lock = lock_of(ino, F_WRLCK);

	if (!q->shared)
		return;
	for (int ms = 0; ms < QUOTA_LOCK_MS; ms++) {
		if (fcntl(q->usage_fd, F_OFD_SETLK, &lock) == 0 ||
		    (errno != EAGAIN && errno != EACCES))
			return;
		(void)nanosleep(&(struct timespec){0, (long)NS_PER_MS}, NULL);
	}
}

void quota_unlock(struct quota *q, uint64_t ino)
{
	struct flock lock = lock_of(ino, F_UNLCK);

	if (q->shared)
		(void)fcntl(q->usage_fd, F_OFD_SETLK, &lock);
}
