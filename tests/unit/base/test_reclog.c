#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/num.h"
#include "base/reclog.h"

struct fixture {
	char path[64];
	int dir;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	(void)snprintf(f->path, sizeof(f->path), "/tmp/test_reclog.XXXXXX");
	assert_non_null(mkdtemp(f->path));
	f->dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->dir >= 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void)close(f->dir);
	(void)dir_remove(AT_FDCWD, f->path);
	free(f);
	return 0;
}

static uint64_t size_of(const struct fixture *f, const char *name)
{
	struct stat st;

	return fstatat(f->dir, name, &st, 0) < 0 ? 0 : (uint64_t)st.st_size;
}

/* Call @fn for each whole record of a file; returns the bytes skipped. */
static size_t each(const struct fixture *f, const char *name,
                   void (*fn)(void *arg, const struct reclog_record *rec),
                   void *arg)
{
	struct buf cleanup_buf b = BUF_INIT;
	size_t at = 0, skipped = 0;

	assert_int_equal(file_read(f->dir, name, &b), 0);
	while (at < b.len) {
		struct reclog_record rec;
		ssize_t n = reclog_decode(b.data + at, b.len - at, &rec);

		if (n > 0) {
			fn(arg, &rec);
			at += (size_t)n;
			continue;
		}
		n = 1 + (ssize_t)reclog_seek(b.data + at + 1, b.len - at - 1);
		skipped += (size_t)n;
		at += (size_t)n;
	}
	return skipped;
}

static void collect(void *arg, const struct reclog_record *rec)
{
	struct buf *b = arg;

	assert_int_equal(buf_printf(b, "%u/%llu:", rec->source,
	                            (unsigned long long)rec->session),
	                 0);
	assert_int_equal(buf_add(b, rec->data, rec->len), 0);
	assert_int_equal(buf_addc(b, '\n'), 0);
}

static void count(void *arg, const struct reclog_record *rec)
{
	(void)rec;
	++*(size_t *)arg;
}

static void open_pair(const struct fixture *f, struct reclog_pair *w)
{
	int fds[2];

	fds[0] = openat(f->dir, "vm.log.0", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	fds[1] = openat(f->dir, "vm.log.1", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fds[0] >= 0 && fds[1] >= 0);
	assert_int_equal(reclog_pair_init(w, fds), 0);
}

static void close_pair(struct reclog_pair *w)
{
	(void)close(w->fds[0]);
	(void)close(w->fds[1]);
}

/* ---- the format -----------------------------------------------------------
 */

static void written_records_are_read_back(void **state)
{
	struct fixture *f = *state;
	struct reclog_file log = RECLOG_FILE_INIT(f->dir, "exec.log");
	struct buf cleanup_buf got = BUF_INIT;

	assert_int_equal(reclog_append(&log, RECLOG_STDOUT, 7, "hello", 5), 0);
	assert_int_equal(reclog_append(&log, RECLOG_STDERR, ~0ull, "\0\n", 2),
	                 0);
	assert_int_equal(reclog_append(&log, RECLOG_SYSTEM, 0, "", 0), 0);
	reclog_file_close(&log);
	assert_int_equal(each(f, "exec.log", collect, &got), 0);
	assert_int_equal(got.len,
	                 strlen("1/7:hello\n2/18446744073709551615:") + 3);
	assert_memory_equal(
		got.data, "1/7:hello\n2/18446744073709551615:\0\n\n", got.len);
	assert_int_equal(size_of(f, "exec.log"), 2 * RECLOG_HEADER_LEN + 7);
}

static void large_pieces_are_cut_up(void **state)
{
	struct fixture *f = *state;
	struct reclog_file log = RECLOG_FILE_INIT(f->dir, "exec.log");
	size_t len = 3 * RECLOG_DATA_MAX + 5, n = 0;
	char *data = calloc(1, len);

	assert_non_null(data);
	assert_int_equal(reclog_append(&log, RECLOG_STDOUT, 7, data, len), 0);
	reclog_file_close(&log);
	free(data);
	assert_int_equal(each(f, "exec.log", count, &n), 0);
	assert_int_equal(n, 4);
	assert_int_equal(size_of(f, "exec.log"), len + 4 * RECLOG_HEADER_LEN);
}

static size_t make_record(const struct fixture *f, uint8_t *ret, size_t max)
{
	struct reclog_file log = RECLOG_FILE_INIT(f->dir, "one");
	int fd;
	ssize_t n;

	assert_int_equal(reclog_append(&log, RECLOG_STDOUT, 1,
	                               "some thing of 37 bytes, "
	                               "like this one",
	                               37),
	                 0);
	reclog_file_close(&log);
	fd = openat(f->dir, "one", O_RDONLY | O_CLOEXEC);
	n = fd_read_full(fd, ret, max);
	(void)close(fd);
	assert_int_equal(n, 69);
	return (size_t)n;
}

static void every_changed_byte_is_noticed(void **state)
{
	struct reclog_record rec;
	uint8_t data[256];
	size_t len = make_record(*state, data, sizeof(data));

	assert_int_equal(reclog_decode(data, len, &rec), len);
	for (size_t i = 0; i < len * 8; i++) {
		data[i / 8] ^= (uint8_t)(1u << (i % 8));
		assert_true(reclog_decode(data, len, &rec) <= 0);
		data[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
	assert_int_equal(reclog_decode(data, len, &rec), len);
}

static void every_cut_record_asks_for_more(void **state)
{
	struct reclog_record rec;
	uint8_t data[256];
	size_t len = make_record(*state, data, sizeof(data));

	for (size_t i = 0; i < len; i++)
		assert_int_equal(reclog_decode(data, i, &rec), 0);
}

static void seek_stops_where_a_record_may_begin(void **state)
{
	uint8_t data[256], with[300];
	size_t len = make_record(*state, data, sizeof(data));

	memset(with, data[0], sizeof(with));
	memcpy(with + 77, data, len);
	assert_int_equal(reclog_seek(with, 200), 77);
	assert_int_equal(reclog_seek(with, 78), 77);
	assert_int_equal(reclog_seek(with, 80), 77);
	assert_int_equal(reclog_seek("abcdef", 6), 6);
	assert_int_equal(reclog_seek("", 0), 0);
}

/* ---- a pair ---------------------------------------------------------------
 */

static void pair_stays_in_its_bound(void **state)
{
	struct fixture *f = *state;
	struct reclog_pair w;
	static char data[50000];
	size_t n = 0;

	open_pair(f, &w);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(reclog_pair_write(&w, RECLOG_CONSOLE, 0, data,
		                                   sizeof(data)),
		                 0);
		assert_true(size_of(f, "vm.log.0") <= RECLOG_FILE_MAX);
		assert_true(size_of(f, "vm.log.1") <= RECLOG_FILE_MAX);
	}
	assert_int_equal(each(f, "vm.log.0", count, &n), 0);
	assert_int_equal(each(f, "vm.log.1", count, &n), 0);
	/* At least all that fits into the file that is not being filled. */
	assert_true(n > RECLOG_FILE_MAX / 50100);
	assert_int_equal(w.turn, 1000 / (RECLOG_FILE_MAX / 50032) + 1);
	close_pair(&w);
}

static void pair_goes_on_where_it_was(void **state)
{
	struct fixture *f = *state;
	struct buf cleanup_buf got = BUF_INIT;
	struct reclog_pair w;
	static char data[60000];

	open_pair(f, &w);
	while (w.turn < 2)
		assert_int_equal(reclog_pair_write(&w, RECLOG_CONSOLE, 0, data,
		                                   sizeof(data)),
		                 0);
	close_pair(&w);
	open_pair(f, &w);
	assert_int_equal(w.now, 1);
	assert_int_equal(w.turn, 2);
	assert_int_equal(reclog_pair_write(&w, RECLOG_SYSTEM, 5, "back", 4), 0);
	close_pair(&w);
	assert_int_equal(each(f, "vm.log.1", collect, &got), 0);
	assert_non_null(memmem(got.data, got.len, "16/5:back\n", 10));
}

static void pair_without_files_keeps_nothing(void **state)
{
	const int none[2] = {-1, -1};
	struct reclog_pair w;

	(void)state;
	assert_int_equal(reclog_pair_init(&w, none), 0);
	assert_int_equal(reclog_pair_write(&w, RECLOG_CONSOLE, 0, "x", 1), 0);
}

static void pair_begins_anew_in_foreign_files(void **state)
{
	struct fixture *f = *state;
	struct buf cleanup_buf got = BUF_INIT;
	struct reclog_pair w;
	int fd = openat(f->dir, "vm.log.1", O_WRONLY | O_CREAT | O_CLOEXEC,
	                0600);

	assert_int_equal(fd_write_full(fd, "no log at all, not one", 22), 0);
	(void)close(fd);
	open_pair(f, &w);
	assert_int_equal(reclog_pair_write(&w, RECLOG_CONSOLE, 0, "x", 1), 0);
	close_pair(&w);
	assert_int_equal(each(f, "vm.log.0", collect, &got), 0);
	assert_string_equal(buf_str(&got), "0/1:\n8/0:x\n");
}

/* ---- many writers ---------------------------------------------------------
 */

#define WRITERS 6
#define EACH    3000

static void write_numbered(const struct fixture *f, unsigned who, unsigned n)
{
	struct reclog_file log = RECLOG_FILE_INIT(f->dir, "exec.log");
	char text[900];

	memset(text, 'a' + (int)who, sizeof(text));
	for (unsigned i = 0; i < n; i++)
		if (reclog_append(&log, RECLOG_STDOUT,
		                  ((uint64_t)who << 32) | i, text,
		                  sizeof(text) - i % 100) < 0)
			_exit(1);
	reclog_file_close(&log);
}

struct order {
	uint64_t next[WRITERS];
	size_t n;
};

static void check_order(void *arg, const struct reclog_record *rec)
{
	struct order *o = arg;
	uint64_t who = rec->session >> 32, i = rec->session & UINT32_MAX;

	assert_true(who < WRITERS);
	if (o->next[who] != 0) /* the oldest may be gone */
		assert_true(i + 1 > o->next[who]);
	o->next[who] = i + 1;
	assert_int_equal(rec->len, 900 - i % 100);
	for (size_t k = 0; k < rec->len; k++)
		assert_int_equal(rec->data[k], 'a' + who);
	o->n++;
}

static void start_writers(const struct fixture *f, pid_t *pids, unsigned n)
{
	for (unsigned i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			write_numbered(f, i, n);
			_exit(0);
		}
	}
}

static void records_of_many_writers_stay_whole(void **state)
{
	struct fixture *f = *state;
	struct order o = {0};
	pid_t pids[WRITERS];

	start_writers(f, pids, EACH);
	for (unsigned i = 0; i < WRITERS; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	/* 6 x 3000 x ~880 = 15 MiB: there was one turn, and none is lost. */
	assert_int_equal(each(f, "exec.log.1", check_order, &o), 0);
	assert_int_equal(each(f, "exec.log", check_order, &o), 0);
	assert_int_equal(o.n, WRITERS * EACH);
	assert_true(size_of(f, "exec.log.1") <=
	            2 * RECLOG_FILE_MAX + WRITERS * 1000);
	assert_true(size_of(f, "exec.log.1") > RECLOG_FILE_MAX - 1000);
}

static void killed_writers_leave_readable_logs(void **state)
{
	struct fixture *f = *state;
	struct reclog_file log = RECLOG_FILE_INIT(f->dir, "exec.log");
	struct order o;
	pid_t pids[WRITERS];
	char text[900];

	memset(text, 'a', sizeof(text));
	for (int round = 0; round < 5; round++) {
		start_writers(f, pids, 1000000);
		(void)usleep(50000);
		for (unsigned i = 0; i < WRITERS; i++)
			assert_int_equal(kill(pids[i], SIGKILL), 0);
		for (unsigned i = 0; i < WRITERS; i++)
			assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
		memset(&o, 0, sizeof(o));
		assert_int_equal(reclog_append(&log, RECLOG_STDOUT, 2000000,
		                               text, sizeof(text)),
		                 0);
		(void)each(f, "exec.log", check_order, &o);
		assert_int_equal(o.next[0], 2000001);
		assert_true(size_of(f, "exec.log") <=
		            2 * RECLOG_FILE_MAX + WRITERS * 1000);
		(void)unlinkat(f->dir, "exec.log", 0);
		(void)unlinkat(f->dir, "exec.log.1", 0);
	}
	reclog_file_close(&log);
}

static void a_record_behind_a_torn_one_is_found(void **state)
{
	struct fixture *f = *state;
	struct reclog_file log = RECLOG_FILE_INIT(f->dir, "exec.log");
	struct buf cleanup_buf got = BUF_INIT;
	char data[5000] = {0};

	assert_int_equal(reclog_append(&log, RECLOG_STDOUT, 1, data, 5000), 0);
	assert_int_equal(ftruncate(log.fd, 4096 + 3), 0);
	assert_int_equal(reclog_append(&log, RECLOG_STDOUT, 2, "after", 5), 0);
	assert_int_equal(reclog_append(&log, RECLOG_STDOUT, 3, "that", 4), 0);
	reclog_file_close(&log);
	assert_int_equal(each(f, "exec.log", collect, &got), 4099);
	assert_string_equal(buf_str(&got), "1/2:after\n1/3:that\n");
}

static void a_stopped_rotation_stops_nobody(void **state)
{
	struct fixture *f = *state;
	struct reclog_file a = RECLOG_FILE_INIT(f->dir, "exec.log");
	struct reclog_file b = RECLOG_FILE_INIT(f->dir, "exec.log");
	static char data[RECLOG_DATA_MAX];
	int r = 0, n = 0;

	assert_int_equal(reclog_append(&a, RECLOG_STDOUT, 1, data, 1), 0);
	assert_int_equal(flock(a.fd, LOCK_EX), 0); /* and never goes on */
	for (; n < 1000 && r == 0; n++)
		r = reclog_append(&b, RECLOG_STDOUT, 1, data, sizeof(data));
	assert_int_equal(r, -EWOULDBLOCK);
	assert_true(size_of(f, "exec.log") <=
	            2 * RECLOG_FILE_MAX + RECLOG_RECORD_MAX);
	reclog_file_close(&a); /* killed at last */
	assert_int_equal(reclog_append(&b, RECLOG_STDOUT, 1, data, 9), 0);
	assert_int_equal(size_of(f, "exec.log"), 9 + RECLOG_HEADER_LEN);
	reclog_file_close(&b);
}

static void links_and_pipes_are_not_written_to(void **state)
{
	struct fixture *f = *state;
	struct reclog_file log = RECLOG_FILE_INIT(f->dir, "exec.log");

	assert_int_equal(symlinkat("victim", f->dir, "exec.log"), 0);
	assert_int_equal(reclog_append(&log, RECLOG_STDOUT, 1, "x", 1), -ELOOP);
	assert_int_equal(size_of(f, "victim"), 0);
	assert_int_equal(unlinkat(f->dir, "exec.log", 0), 0);
	assert_int_equal(mkfifoat(f->dir, "exec.log", 0600), 0);
	assert_true(reclog_append(&log, RECLOG_STDOUT, 1, "x", 1) < 0);
	assert_int_equal(unlinkat(f->dir, "exec.log", 0), 0);
	assert_int_equal(reclog_append(&log, RECLOG_STDOUT, 1, "x", 1), 0);
	reclog_file_close(&log);
}

static void a_removed_folder_fails_quietly(void **state)
{
	struct fixture *f = *state;
	struct reclog_file log = RECLOG_FILE_INIT(f->dir, "exec.log");

	assert_int_equal(reclog_append(&log, RECLOG_STDOUT, 1, "x", 1), 0);
	assert_int_equal(dir_remove(AT_FDCWD, f->path), 0);
	assert_int_equal(reclog_append(&log, RECLOG_STDOUT, 1, "x", 1),
	                 -ENOENT);
	reclog_file_close(&log);
}

static void a_file_size_limit_kills_nobody(void **state)
{
	struct fixture *f = *state;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct reclog_file log = RECLOG_FILE_INIT(f->dir, "exec.log");
		struct rlimit lim = {2 * MIB, 2 * MIB};
		static char data[RECLOG_DATA_MAX];
		int r = 0;

		(void)setrlimit(RLIMIT_FSIZE, &lim);
		for (int i = 0; i < 100; i++)
			r = reclog_append(&log, RECLOG_STDOUT, 1, data,
			                  sizeof(data));
		_exit(r == -EFBIG ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_full_disk_drops_records_only(void **state)
{
	struct fixture *f = *state;
	struct fixture full = {.dir = -1};
	struct reclog_file log;
	struct reclog_pair w;
	static char data[30000];
	size_t n = 0;
	int r = 0, filler;

	(void)snprintf(full.path, sizeof(full.path), "%s/full", f->path);
	assert_int_equal(mkdir(full.path, 0700), 0);
	if (mount("none", full.path, "tmpfs", 0, "size=1m") < 0)
		skip(); /* not root */
	full.dir = open(full.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	log = (struct reclog_file)RECLOG_FILE_INIT(full.dir, "exec.log");
	open_pair(&full, &w);
	for (int i = 0; i < 60 && r == 0; i++)
		r = reclog_append(&log, RECLOG_STDOUT, 1, data, sizeof(data));
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(
		reclog_pair_write(&w, RECLOG_CONSOLE, 0, data, sizeof(data)),
		-ENOSPC);
	(void)each(&full, "exec.log", count, &n);
	assert_true(n > 20);
	/* Once there is room again they go on, behind what was cut short. */
	filler = openat(full.dir, "exec.log", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(filler, (off_t)(30032 * 10 + 100)), 0);
	(void)close(filler);
	assert_int_equal(reclog_append(&log, RECLOG_STDOUT, 1, "y", 1), 0);
	assert_int_equal(reclog_pair_write(&w, RECLOG_CONSOLE, 0, "z", 1), 0);
	n = 0;
	assert_int_equal(each(&full, "exec.log", count, &n), 100);
	assert_int_equal(n, 11);
	n = 0;
	assert_int_equal(
		each(&full, w.now ? "vm.log.1" : "vm.log.0", count, &n), 0);
	assert_int_equal(n, 2);
	reclog_file_close(&log);
	close_pair(&w);
	(void)close(full.dir);
	assert_int_equal(umount(full.path), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(written_records_are_read_back),
		T(large_pieces_are_cut_up),
		T(every_changed_byte_is_noticed),
		T(every_cut_record_asks_for_more),
		T(seek_stops_where_a_record_may_begin),
		T(pair_stays_in_its_bound),
		T(pair_goes_on_where_it_was),
		T(pair_without_files_keeps_nothing),
		T(pair_begins_anew_in_foreign_files),
		T(records_of_many_writers_stay_whole),
		T(killed_writers_leave_readable_logs),
		T(a_record_behind_a_torn_one_is_found),
		T(a_stopped_rotation_stops_nobody),
		T(links_and_pipes_are_not_written_to),
		T(a_removed_folder_fails_quietly),
		T(a_file_size_limit_kills_nobody),
		T(a_full_disk_drops_records_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
