/*
 * What may be taken, what is given back, and that several who share a number
 * never take more together.
 */
#include "hostile.h"
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "fs/quota.h"

struct state {
	char dir[64];
	int dir_fd, usage_fd;
};

static uint64_t number(const struct state *s)
{
	uint8_t raw[8];

	assert_int_equal(pread(s->usage_fd, raw, sizeof(raw), 0), sizeof(raw));
	return get_le64(raw);
}

static void set_number(const struct state *s, uint64_t v)
{
	uint8_t raw[8];

	put_le64(raw, v);
	assert_int_equal(pwrite(s->usage_fd, raw, sizeof(raw), 0), sizeof(raw));
}

static int setup(void **state)
{
	struct state *s = calloc(1, sizeof(*s));

	(void)snprintf(s->dir, sizeof(s->dir), "/tmp/test_quota.XXXXXX");
	if (!mkdtemp(s->dir))
		return -1;
	s->dir_fd = open(s->dir, O_PATH | O_DIRECTORY);
	s->usage_fd = openat(AT_FDCWD, "/tmp", O_TMPFILE | O_RDWR, 0600);
	*state = s;
	if (s->dir_fd < 0 || s->usage_fd < 0)
		return -1;
	set_number(s, 0);
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	(void)close(s->dir_fd);
	(void)close(s->usage_fd);
	(void)rmdir(s->dir);
	free(s);
	return 0;
}

static struct quota open_quota(const struct state *s, uint64_t limit,
                               bool shared)
{
	struct quota q;
	struct err err = {0};

	assert_int_equal(quota_init(&q, limit, shared ? s->usage_fd : -1,
	                            s->dir_fd, &err),
	                 0);
	return q;
}

static uint64_t used(const struct quota *q)
{
	uint64_t n = 0, limit = 0;

	assert_true(quota_state(q, &n, &limit));
	assert_int_equal(limit, q->limit);
	return n;
}

static void the_last_byte_can_be_taken_and_no_more(void **state)
{
	for (int shared = 0; shared < 2; shared++) {
		struct quota q = open_quota(*state, MIB, shared);

		assert_int_equal(quota_take(&q, MIB - 1), 0);
		assert_int_equal(quota_take(&q, 2), -ENOSPC);
		assert_int_equal(quota_take(&q, 1), 0);
		assert_int_equal(quota_take(&q, 1), -ENOSPC);
		assert_int_equal(used(&q), MIB);
		quota_give(&q, MIB);
		assert_int_equal(used(&q), 0);
		quota_release(&q);
	}
}

static void sums_that_do_not_fit_are_refused(void **state)
{
	for (int shared = 0; shared < 2; shared++) {
		struct quota q = open_quota(*state, MIB, shared);

		assert_int_equal(quota_take(&q, 10), 0);
		assert_int_equal(quota_take(&q, UINT64_MAX), -ENOSPC);
		assert_int_equal(quota_take(&q, UINT64_MAX - 5), -ENOSPC);
		assert_int_equal(quota_take(&q, INT64_MAX), -ENOSPC);
		assert_int_equal(quota_take_name(&q, UINT64_MAX), -ENOSPC);
		assert_int_equal(used(&q), 10);
		quota_give(&q, 10);
		quota_release(&q);
	}
}

static void a_plain_folder_counts_growth_only(void **state)
{
	struct quota q = open_quota(*state, MIB, false);

	quota_give(&q, 3 * MIB); /* removed what was there before */
	assert_int_equal(used(&q), 0);
	assert_int_equal(quota_take(&q, 4 * MIB), 0);
	assert_int_equal(quota_take(&q, 1), -ENOSPC);
	quota_release(&q);
}

static void a_shared_number_does_not_go_below_nothing(void **state)
{
	struct quota q = open_quota(*state, MIB, true);

	assert_int_equal(quota_take(&q, 100), 0);
	quota_give(&q, 5 * MIB);
	assert_int_equal(number(*state), 0);
	assert_int_equal(quota_take(&q, MIB), 0);
	assert_int_equal(quota_take(&q, 1), -ENOSPC);
	quota_release(&q);
}

static void a_number_beyond_the_limit_refuses_until_it_is_below(void **state)
{
	struct quota q = open_quota(*state, MIB, true);

	set_number(*state, UINT64_MAX);
	assert_int_equal(quota_take(&q, 1), -ENOSPC);
	quota_settle(&q, 0, 0, 5);
	assert_int_equal(number(*state), UINT64_MAX);
	set_number(*state, 2 * MIB);
	assert_int_equal(quota_take(&q, 1), -ENOSPC);
	quota_give(&q, MIB + 1);
	assert_int_equal(quota_take(&q, 1), 0);
	quota_release(&q);
}

static void without_a_limit_usage_is_counted_all_the_same(void **state)
{
	struct quota q = open_quota(*state, 0, true);
	uint64_t a, b;

	assert_int_equal(quota_take(&q, 7 * MIB), 0);
	assert_int_equal(number(*state), 7 * MIB);
	assert_false(quota_state(&q, &a, &b));
	quota_release(&q);
}

static void settling_ends_at_what_the_file_occupies(void **state)
{
	static const struct {
		uint64_t taken, before, after, used;
	} cases[] = {
		{8192,  0,     8192,  8192 }, /* all of it */
		{12288, 0,     4096,  4096 }, /* too much was taken */
		{4096,  0,     16384, 16384}, /* too little: it is there */
		{0,     8192,  4096,  4096 }, /* shrunk */
		{4096,  8192,  8192,  8192 }, /* written over */
		{4096,  16384, 0,     0    }, /* removed meanwhile */
	};

	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(*cases); i++) {
		struct quota q = open_quota(*state, MIB, i % 2);

		assert_int_equal(quota_take(&q, cases[i / 2].before), 0);
		assert_int_equal(quota_take(&q, cases[i / 2].taken), 0);
		quota_settle(&q, cases[i / 2].taken, cases[i / 2].before,
		             cases[i / 2].after);
		assert_int_equal(used(&q), cases[i / 2].used);
		quota_give(&q, used(&q));
		quota_release(&q);
	}
}

static void room_covers_each_block_that_is_touched(void **state)
{
	static const struct {
		uint64_t offset, len, at_least;
	} cases[] = {
		{0,    1,    4096},
                {4095, 2,    8192},
                {4096, 4096, 4096},
		{1,    4096, 8192},
                {0,    MIB,  MIB },
	};

	(void)state;
	assert_int_equal(quota_room(12345, 0), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t n = quota_room(cases[i].offset, cases[i].len);

		assert_in_range(n, cases[i].at_least,
		                cases[i].at_least + 16 * QUOTA_BLOCK);
	}
	assert_int_equal(quota_room(5, UINT64_MAX), UINT64_MAX);
	assert_int_equal(quota_room(UINT64_MAX, UINT64_MAX), UINT64_MAX);
	assert_true(quota_room(0, UINT64_MAX / 2) >= UINT64_MAX / 2);
}

/* What ext4 (or what /tmp is) really takes is never more than was taken. */
static void room_is_enough_for_real_writes(void **state)
{
	struct state *s = *state;
	int fd = openat(AT_FDCWD, s->dir, O_TMPFILE | O_RDWR, 0600);
	unsigned seed = 7;
	char data[9000];

	memset(data, 'x', sizeof(data));
	assert_true(fd >= 0);
	for (int i = 0; i < 3000; i++) {
		uint64_t at = (uint64_t)rand_r(&seed) % (64 * MIB);
		size_t len = 1 + (size_t)rand_r(&seed) % sizeof(data);
		struct stat a, b;

		assert_int_equal(fstat(fd, &a), 0);
		assert_int_equal(pwrite(fd, data, len, (off_t)at), len);
		assert_int_equal(fstat(fd, &b), 0);
		assert_true((uint64_t)(b.st_blocks - a.st_blocks) * 512 <=
		            quota_room(at, len));
		if (i % 500 == 0)
			assert_int_equal(fdatasync(fd), 0);
	}
	(void)close(fd);
}

static void bad_usage_files_are_refused(void **state)
{
	struct state *s = *state;
	struct quota q;
	struct err err;
	int empty = openat(AT_FDCWD, "/tmp", O_TMPFILE | O_RDWR, 0600);

	assert_int_equal(quota_init(&q, 1, empty, s->dir_fd, &err), -EINVAL);
	assert_int_equal(ftruncate(empty, 7), 0);
	assert_int_equal(quota_init(&q, 1, empty, s->dir_fd, &err), -EINVAL);
	assert_int_equal(quota_init(&q, 1, s->dir_fd, s->dir_fd, &err),
	                 -EINVAL);
	assert_int_equal(quota_init(&q, 1, 9999, s->dir_fd, &err), -EBADF);
	(void)close(empty);
}

static void the_reserve_of_the_host_is_not_for_guests(void **state)
{
	struct state *s = *state;
	struct quota q = open_quota(s, 0, false);
	struct statvfs v;
	uint64_t avail, total, reserve;

	assert_int_equal(fstatvfs(s->dir_fd, &v), 0);
	avail = v.f_bavail * v.f_frsize;
	total = v.f_blocks * v.f_frsize;
	reserve =
		total / 20 < QUOTA_RESERVE_MAX ? total / 20 : QUOTA_RESERVE_MAX;
	assert_int_equal(quota_take(&q, avail), -ENOSPC);
	assert_int_equal(quota_take(&q, avail - reserve + 64 * MIB), -ENOSPC);
	assert_int_equal(q.own, 0);
	if (avail > reserve + 256 * MIB)
		assert_int_equal(quota_take(&q, avail - reserve - 128 * MIB),
		                 0);
	quota_release(&q);
	q = open_quota(s, 0, false);
	q.dir_fd = -1;
	assert_int_equal(quota_take(&q, 1), -EBADF);
	assert_int_equal(q.own, 0);
}

/* A file system that is small: mounted in a namespace of its own. */
static int in_tmpfs(const char *options, int (*act)(int dir_fd))
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		char dir[] = "/tmp/test_quota_m.XXXXXX";
		int rc;

		if (own_mounts() < 0 || !mkdtemp(dir) ||
		    mount("none", dir, "tmpfs", 0, options) < 0)
			_exit(77);
		rc = act(open(dir, O_PATH | O_DIRECTORY));
		(void)umount2(dir, MNT_DETACH);
		(void)rmdir(dir);
		_exit(rc);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Really written, so that free space goes down as it would. */
static int fill(int dir_fd)
{
	static char block[64 * 1024];
	struct quota q;
	struct statvfs v;
	int fd = openat(dir_fd, "f", O_CREAT | O_RDWR, 0600);
	int r = quota_init(&q, 0, -1, dir_fd, NULL);

	while (r == 0) {
		r = quota_take(&q, sizeof(block));
		if (r == 0 &&
		    write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
			return 1;
	}
	if (r != -ENOSPC || fstatvfs(dir_fd, &v) < 0)
		return 2;
	/* 16 MiB: a twentieth is 819 KiB. */
	if (v.f_bavail * v.f_bsize < 819 * KIB - sizeof(block) ||
	    v.f_bavail * v.f_bsize > 2 * MIB)
		return 3;
	/* Somebody makes room: it is found without a new start. */
	if (ftruncate(fd, 0) < 0 || quota_take(&q, MIB) != 0)
		return 4;
	return 0;
}

static int fill_names(int dir_fd)
{
	struct quota q;
	struct statvfs v;
	char name[16];
	int r = quota_init(&q, 0, -1, dir_fd, NULL);

	for (int i = 0; r == 0; i++) {
		r = quota_take_name(&q, 0);
		(void)snprintf(name, sizeof(name), "%d", i);
		if (r == 0 && mknodat(dir_fd, name, S_IFREG | 0600, 0) < 0)
			return 1;
	}
	if (r != -ENOSPC || fstatvfs(dir_fd, &v) < 0)
		return 2;
	return v.f_favail >= 50 && v.f_favail < 120 ? 0 : 3;
}

static void a_small_host_is_never_full(void **state)
{
	(void)state;
	assert_int_equal(in_tmpfs("size=16m", fill), 0);
	assert_int_equal(in_tmpfs("nr_inodes=1000", fill_names), 0);
}

/* ---- several at once ---- */

static int race(int usage_fd, int dir_fd, unsigned seed)
{
	struct quota q;
	uint64_t mine = 0;
	uint64_t *shared;

	if (quota_init(&q, MIB, usage_fd, dir_fd, NULL) < 0)
		return 1;
	shared = q.shared;
	for (int i = 0; i < 300000; i++) {
		uint64_t n = 1 + (uint64_t)rand_r(&seed) % 8192;

		if (le64_to_host(__atomic_load_n(shared, __ATOMIC_RELAXED)) >
		    MIB)
			return 2;
		if (quota_take(&q, n) == 0) {
			mine += n;
		} else {
			quota_give(&q, mine);
			mine = 0;
		}
	}
	quota_give(&q, mine);
	return 0;
}

static void processes_together_never_pass_the_limit(void **state)
{
	struct state *s = *state;
	pid_t pids[3];

	for (unsigned i = 0; i < 3; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(race(s->usage_fd, s->dir_fd, i + 1));
	}
	for (unsigned i = 0; i < 3; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	assert_int_equal(number(s), 0);
}

/* The file is grown and cut by two at once: its blocks are the number's. */
static int change_size(const char *usage, int dir_fd, int fd, unsigned seed)
{
	char link[64];
	struct quota q;
	struct stat a, b;
	int own_fd;

	(void)snprintf(link, sizeof(link), "%s", usage);
	own_fd = open(link, O_RDWR);
	if (own_fd < 0 || quota_init(&q, 64 * MIB, own_fd, dir_fd, NULL) < 0)
		return 1;
	for (int i = 0; i < 20000; i++) {
		bool cut = rand_r(&seed) % 2;
		uint64_t taken = cut ? 0 : quota_room(0, 8192);

		if (quota_take(&q, taken) < 0)
			return 2;
		quota_lock(&q, 7);
		if (fstat(fd, &a) < 0)
			return 3;
		if (cut ? ftruncate(fd, 0) < 0
		        : pwrite(fd, link, 1, 4096 * (rand_r(&seed) % 2)) != 1)
			return 4;
		if (fstat(fd, &b) < 0)
			return 5;
		quota_settle(&q, taken, (uint64_t)a.st_blocks * 512,
		             (uint64_t)b.st_blocks * 512);
		quota_unlock(&q, 7);
	}
	return 0;
}

static void two_who_change_one_file_count_it_once(void **state)
{
	struct state *s = *state;
	int fd = openat(AT_FDCWD, s->dir, O_TMPFILE | O_RDWR, 0600);
	char usage[64];
	struct stat st;
	pid_t pids[2];

	(void)snprintf(usage, sizeof(usage), "/proc/%d/fd/%d", getpid(),
	               s->usage_fd);
	set_number(s, MIB);
	for (unsigned i = 0; i < 2; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(change_size(usage, s->dir_fd, fd, i + 1));
	}
	for (unsigned i = 0; i < 2; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(number(s), MIB + (uint64_t)st.st_blocks * 512);
	(void)close(fd);
}

static void who_holds_a_lock_for_ever_holds_nobody_up(void **state)
{
	struct state *s = *state;
	struct quota mine = open_quota(s, MIB, true), other;
	char link[64];
	int fd;
	uint64_t start;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", s->usage_fd);
	fd = open(link, O_RDWR);
	assert_int_equal(quota_init(&other, MIB, fd, s->dir_fd, NULL), 0);
	quota_lock(&other, 5);
	start = clock_now_ns();
	quota_lock(&mine, 6); /* another file */
	assert_true(clock_now_ns() - start < QUOTA_LOCK_MS * NS_PER_MS);
	quota_lock(&mine, 5);
	assert_in_range(clock_now_ns() - start, QUOTA_LOCK_MS * NS_PER_MS,
	                20 * QUOTA_LOCK_MS * NS_PER_MS);
	quota_release(&other);
	(void)close(fd);
	quota_release(&mine);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_last_byte_can_be_taken_and_no_more),
		T(sums_that_do_not_fit_are_refused),
		T(a_plain_folder_counts_growth_only),
		T(a_shared_number_does_not_go_below_nothing),
		T(a_number_beyond_the_limit_refuses_until_it_is_below),
		T(without_a_limit_usage_is_counted_all_the_same),
		T(settling_ends_at_what_the_file_occupies),
		T(room_covers_each_block_that_is_touched),
		T(room_is_enough_for_real_writes),
		T(bad_usage_files_are_refused),
		T(the_reserve_of_the_host_is_not_for_guests),
		T(a_small_host_is_never_full),
		T(processes_together_never_pass_the_limit),
		T(two_who_change_one_file_count_it_once),
		T(who_holds_a_lock_for_ever_holds_nobody_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
