/* Logs of a sandbox: what is read of folders made by hand. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"
#include "base/reclog.h"
#include "lib/exec.h"
#include "lib/home.h"
#include "lib/log_stream.h"
#include "lib/place.h"
#include "lib/sandbox.h"
#include "microsandbox.h"

struct fixture {
	char root[64], id[STATE_ID_LEN + 1];
	struct msb_home *home;
	struct place place;
	struct reclog_pair pair;
	struct reclog_file exec;
	int lock;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct state_sandbox b = {.name = (char *)(uintptr_t) "box",
	                          .image = (char *)(uintptr_t) "img",
	                          .image_id = (char *)(uintptr_t) "",
	                          .config = (char *)(uintptr_t) "{}"};
	struct state *st;
	int fds[2];

	(void)snprintf(f->root, sizeof(f->root), "/tmp/test_logs.XXXXXX");
	assert_non_null(mkdtemp(f->root));
	assert_int_equal(msb_home_open(f->root, &f->home, NULL), 0);
	assert_int_equal(state_new_id(b.id, NULL), 0);
	memcpy(f->id, b.id, sizeof(b.id));
	assert_int_equal(place_make(f->home->store, b.id, &f->place, NULL), 0);
	assert_int_equal(home_lock(f->home, &st, NULL), 0);
	assert_int_equal(state_add(st, &b, NULL), 0);
	home_unlock(f->home);
	fds[0] = place_file(&f->place, "vm.log.0", O_RDWR | O_CREAT);
	fds[1] = place_file(&f->place, "vm.log.1", O_RDWR | O_CREAT);
	assert_int_equal(reclog_pair_init(&f->pair, fds), 0);
	f->exec = (struct reclog_file)RECLOG_FILE_INIT(f->place.dir_fd,
	                                               "exec.log");
	f->lock = -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	reclog_file_close(&f->exec);
	(void)close(f->pair.fds[0]);
	(void)close(f->pair.fds[1]);
	if (f->lock >= 0)
		(void)close(f->lock);
	place_release(&f->place);
	msb_home_free(f->home);
	assert_int_equal(dir_remove(AT_FDCWD, f->root), 0);
	free(f);
	return 0;
}

static void by_exec(struct fixture *f, enum reclog_source source, uint64_t id,
                    const char *text)
{
	assert_int_equal(
		reclog_append(&f->exec, source, id, text, strlen(text)), 0);
}

static void by_vmm(struct fixture *f, enum reclog_source source, uint64_t id,
                   const char *text)
{
	assert_int_equal(
		reclog_pair_write(&f->pair, source, id, text, strlen(text)), 0);
}

static void later(void)
{
	(void)usleep(2000); /* another millisecond in the records */
}

static struct msb_logs *open_logs(struct fixture *f,
                                  const struct msb_log_opts *o)
{
	struct msb_logs *l = NULL;
	struct msb_error e;

	if (msb_logs_open(f->home, "box", o, &l, &e) < 0)
		fail_msg("%s", e.message);
	return l;
}

/* "source/session:data|" of what comes within @ms. */
static int next(struct msb_logs *l, int ms, struct buf *b)
{
	struct msb_log_entry e = MSB_LOG_ENTRY_INIT;
	int r = msb_logs_next(l, ms, &e, NULL);

	assert_true(r >= 0);
	if (r > 0) {
		(void)buf_printf(b, "%d/%llu:", e.source,
		                 (unsigned long long)e.session);
		(void)buf_add(b, e.data, e.len);
		(void)buf_addc(b, '|');
	}
	return r;
}

static void expect(struct fixture *f, const struct msb_log_opts *o,
                   const char *want)
{
	struct buf cleanup_buf b = BUF_INIT;
	struct msb_logs *l = open_logs(f, o);

	while (next(l, 0, &b) > 0)
		;
	assert_true(msb_logs_ended(l));
	assert_string_equal(buf_str(&b), want);
	msb_logs_free(l);
}

#define OPTS(...)                                                              \
	(&(struct msb_log_opts){.size = sizeof(struct msb_log_opts),           \
	                        __VA_ARGS__})

static void both_logs_are_merged_by_time(void **state)
{
	struct fixture *f = *state;

	by_exec(f, RECLOG_STDOUT, 5, "one");
	later();
	by_vmm(f, RECLOG_CONSOLE, 0, "two");
	later();
	by_exec(f, RECLOG_STDERR, 5, "three");
	later();
	by_vmm(f, RECLOG_OUTPUT, 9, "four");
	later();
	by_exec(f, RECLOG_STDOUT, 6, "five");
	expect(f, OPTS(.sources = MSB_LOG_ALL),
	       "1/5:one|8/0:two|2/5:three|4/9:four|1/6:five|");
	expect(f, NULL, "1/5:one|2/5:three|4/9:four|1/6:five|");
	expect(f, OPTS(.sources = MSB_LOG_CONSOLE | MSB_LOG_STDERR),
	       "8/0:two|2/5:three|");
	expect(f, OPTS(.session = 6), "1/6:five|");
}

static void time_bounds_are_inclusive(void **state)
{
	struct fixture *f = *state;
	struct msb_log_entry e = MSB_LOG_ENTRY_INIT;
	struct msb_logs *l;
	int64_t at[3];

	by_exec(f, RECLOG_STDOUT, 1, "a");
	later();
	by_exec(f, RECLOG_STDOUT, 1, "b");
	later();
	by_exec(f, RECLOG_STDOUT, 1, "c");
	l = open_logs(f, NULL);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(msb_logs_next(l, 0, &e, NULL), 1);
		at[i] = e.unix_ms;
	}
	msb_logs_free(l);
	expect(f, OPTS(.since_ms = at[1]), "1/1:b|1/1:c|");
	expect(f, OPTS(.until_ms = at[1]), "1/1:a|1/1:b|");
	expect(f, OPTS(.since_ms = at[1], .until_ms = at[1]), "1/1:b|");
	expect(f, OPTS(.since_ms = at[2] + 1), "");
	expect(f, OPTS(.until_ms = 1), "");
}

static void the_tail_is_counted_in_lines(void **state)
{
	struct fixture *f = *state;

	by_exec(f, RECLOG_STDOUT, 1, "a\nb\nc");
	by_exec(f, RECLOG_STDOUT, 1, "c\nd\n\n");
	by_exec(f, RECLOG_STDOUT, 1, "e");
	by_exec(f, RECLOG_STDOUT, 1, "e");
	expect(f, OPTS(.tail = 1), "1/1:e|1/1:e|");
	expect(f, OPTS(.tail = 2), "1/1:\n|1/1:e|1/1:e|");
	expect(f, OPTS(.tail = 3), "1/1:d\n\n|1/1:e|1/1:e|");
	expect(f, OPTS(.tail = 4), "1/1:c|1/1:c\nd\n\n|1/1:e|1/1:e|");
	expect(f, OPTS(.tail = 6), "1/1:a\nb\nc|1/1:c\nd\n\n|1/1:e|1/1:e|");
	expect(f, OPTS(.tail = UINT64_MAX),
	       "1/1:a\nb\nc|1/1:c\nd\n\n|1/1:e|1/1:e|");
	by_exec(f, RECLOG_STDOUT, 1, "\n");
	expect(f, OPTS(.tail = 1), "1/1:e|1/1:e|1/1:\n|");
	by_exec(f, RECLOG_STDERR, 1, "x\n");
	expect(f, OPTS(.tail = 1, .sources = MSB_LOG_STDOUT),
	       "1/1:e|1/1:e|1/1:\n|");
}

static void a_sandbox_without_logs_has_none(void **state)
{
	struct fixture *f = *state;
	struct msb_logs *l;
	struct msb_error e;

	expect(f, NULL, "");
	expect(f, OPTS(.tail = 5), "");
	expect(f, OPTS(.follow = 1), "");
	assert_int_equal(msb_logs_open(f->home, "nobody", NULL, &l, &e),
	                 -MSB_ERR_NOT_FOUND);
	assert_non_null(strstr(e.message, "nobody"));
	assert_int_equal(msb_logs_open(f->home, f->id, NULL, &l, &e), 0);
	msb_logs_free(l);
	msb_logs_free(NULL);
}

static void bad_options_are_refused(void **state)
{
	struct fixture *f = *state;
	struct msb_logs *l;

	assert_int_equal(msb_logs_open(f->home, "box",
	                               OPTS(.sources = 1u << 30), &l, NULL),
	                 -MSB_ERR_INVALID);
	assert_int_equal(
		msb_logs_open(f->home, "box", OPTS(.since_ms = -1), &l, NULL),
		-MSB_ERR_INVALID);
	assert_int_equal(msb_logs_open(f->home, "box",
	                               &(struct msb_log_opts){0}, &l, NULL),
	                 -MSB_ERR_INVALID);
}

/* ---- turns of the files ----------------------------------------------- */

static void all_of_both_files_is_read_after_turns(void **state)
{
	struct fixture *f = *state;
	static char data[60000];
	struct msb_log_entry e = MSB_LOG_ENTRY_INIT;
	struct msb_logs *l;
	uint64_t next_id[2] = {0};
	size_t n[2] = {0};

	for (unsigned i = 0; i < 500; i++) {
		assert_int_equal(reclog_pair_write(&f->pair, RECLOG_CONSOLE, i,
		                                   data, sizeof(data)),
		                 0);
		assert_int_equal(reclog_append(&f->exec, RECLOG_STDOUT, i, data,
		                               sizeof(data)),
		                 0);
	}
	l = open_logs(f, OPTS(.sources = MSB_LOG_ALL));
	while (msb_logs_next(l, 0, &e, NULL) > 0) {
		unsigned k = e.source == MSB_LOG_CONSOLE;

		assert_true(n[k] == 0 || e.session == next_id[k]);
		next_id[k] = e.session + 1;
		n[k]++;
	}
	msb_logs_free(l);
	for (int k = 0; k < 2; k++) {
		assert_int_equal(next_id[k], 500);
		assert_true(n[k] >= RECLOG_FILE_MAX / 60032);
	}
}

/* ---- following ---------------------------------------------------------- */

static void a_follower_sees_what_is_written_and_the_end(void **state)
{
	struct fixture *f = *state;
	struct buf cleanup_buf b = BUF_INIT;
	struct msb_logs *l;
	struct pollfd pf;

	f->lock = place_lock(&f->place, NULL);
	by_exec(f, RECLOG_STDOUT, 1, "old\n");
	by_exec(f, RECLOG_STDOUT, 1, "before\n");
	l = open_logs(f, OPTS(.follow = 1, .tail = 1, .sources = MSB_LOG_ALL));
	assert_int_equal(next(l, 0, &b), 1);
	assert_int_equal(next(l, 0, &b), 0);
	pf = (struct pollfd){.fd = msb_logs_fd(l), .events = POLLIN};
	while (poll(&pf, 1, 0) > 0)
		assert_int_equal(next(l, 0, &b), 0);
	by_exec(f, RECLOG_STDOUT, 1, "new");
	assert_int_equal(poll(&pf, 1, 10000), 1);
	assert_int_equal(next(l, 0, &b), 1);
	assert_int_equal(next(l, 0, &b), 0);
	by_vmm(f, RECLOG_CONSOLE, 0, "boot");
	assert_int_equal(poll(&pf, 1, 10000), 1);
	assert_int_equal(next(l, 0, &b), 1);
	assert_false(msb_logs_ended(l));
	(void)close(f->lock);
	f->lock = -1;
	by_exec(f, RECLOG_STDOUT, 1, "last words");
	assert_int_equal(next(l, -1, &b), 1);
	assert_int_equal(next(l, -1, &b), 0);
	assert_true(msb_logs_ended(l));
	msb_logs_free(l);
	assert_string_equal(buf_str(&b),
	                    "1/1:before\n|1/1:new|8/0:boot|1/1:last words|");
}

static void a_follower_stops_at_its_bound(void **state)
{
	struct fixture *f = *state;
	struct buf cleanup_buf b = BUF_INIT;
	uint64_t begin = clock_now_ns();
	struct msb_logs *l;

	f->lock = place_lock(&f->place, NULL);
	l = open_logs(f,
	              OPTS(.follow = 1,
	                   .until_ms = (int64_t)(clock_unix_ns() / NS_PER_MS) +
	                               1000));
	by_exec(f, RECLOG_STDOUT, 1, "x");
	assert_int_equal(next(l, -1, &b), 1);
	assert_int_equal(next(l, -1, &b), 0);
	assert_true(msb_logs_ended(l));
	assert_true(clock_now_ns() - begin < 20 * NS_PER_S);
	msb_logs_free(l);
}

static void write_many(struct fixture *f, unsigned n)
{
	static char data[20000];
	struct reclog_file exec = RECLOG_FILE_INIT(f->place.dir_fd, "exec.log");

	for (unsigned i = 0; i < n; i++) {
		if (reclog_append(&exec, RECLOG_STDOUT, i, data, sizeof(data)) <
		            0 ||
		    reclog_pair_write(&f->pair, RECLOG_OUTPUT, i, data,
		                      sizeof(data)) < 0)
			_exit(1);
		if (i % 20 == 0)
			(void)usleep(1000);
	}
	_exit(0);
}

static void a_follower_goes_along_with_turns(void **state)
{
	struct fixture *f = *state;
	struct msb_log_entry e = MSB_LOG_ENTRY_INIT;
	struct msb_logs *l;
	uint64_t n[2] = {0}, last[2] = {0};
	int status;
	pid_t pid;

	f->lock = place_lock(&f->place, NULL);
	l = open_logs(f, OPTS(.follow = 1));
	pid = fork();
	if (pid == 0)
		write_many(f, 1500); /* 28 MiB each: three turns */
	(void)close(f->lock);        /* the child has it */
	f->lock = -1;
	while (msb_logs_next(l, -1, &e, NULL) > 0) {
		unsigned k = e.source == MSB_LOG_OUTPUT;

		assert_true(n[k] == 0 || e.session > last[k]);
		assert_int_equal(e.len, 20000);
		last[k] = e.session;
		n[k]++;
	}
	assert_true(msb_logs_ended(l));
	msb_logs_free(l);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (int k = 0; k < 2; k++) {
		assert_int_equal(last[k], 1499);
		/* The reader is faster than the writer: none is lost. */
		assert_int_equal(n[k], 1500);
	}
}

/* ---- damage ---------------------------------------------------------------
 */

static void put_file(struct fixture *f, const char *name, const void *data,
                     size_t len, off_t at)
{
	int fd = place_file(&f->place, name, O_WRONLY | O_CREAT);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, len, at), len);
	(void)close(fd);
}

static void garbage_is_passed_over(void **state)
{
	struct fixture *f = *state;
	char *junk = malloc(1 << 20);

	for (size_t i = 0; i < 1 << 20; i++)
		junk[i] = (char)(i * 2654435761u >> 13);
	put_file(f, "exec.log", junk, 1 << 20, 0);
	free(junk);
	by_exec(f, RECLOG_STDOUT, 1, "whole");
	by_exec(f, RECLOG_STDOUT, 2, "too");
	expect(f, NULL, "1/1:whole|1/2:too|");
	put_file(f, "vm.log.0", "nothing", 7, 0);
	put_file(f, "exec.log.1", "RLG1", 4, 0);
	expect(f, NULL, "1/1:whole|1/2:too|");
}

static void a_torn_record_hides_no_others(void **state)
{
	struct fixture *f = *state;
	static char data[50000];
	struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

	by_exec(f, RECLOG_STDOUT, 1, "first");
	assert_int_equal(reclog_append(&f->exec, RECLOG_STDOUT, 2, data, 50000),
	                 0);
	assert_int_equal(ftruncate(f->exec.fd, 5000), 0);
	by_exec(f, RECLOG_STDOUT, 3, "third");
	/* It could still be in the making, and what follows in it. */
	expect(f, NULL, "1/1:first|");
	assert_int_equal(futimens(f->exec.fd, old), 0);
	expect(f, NULL, "1/1:first|1/3:third|");
	assert_int_equal(reclog_append(&f->exec, RECLOG_STDERR, 4, data, 50000),
	                 0);
	expect(f, OPTS(.sources = MSB_LOG_STDOUT), "1/1:first|1/3:third|");
}

static void endless_files_are_left_off(void **state)
{
	struct fixture *f = *state;
	int fd = place_file(&f->place, "exec.log", O_WRONLY | O_CREAT);
	uint64_t begin = clock_now_ns();

	assert_int_equal(ftruncate(fd, 1ll << 40), 0);
	(void)close(fd);
	by_vmm(f, RECLOG_OUTPUT, 1, "x");
	expect(f, NULL, "4/1:x|");
	assert_true(clock_now_ns() - begin < 20 * NS_PER_S);
}

/* Heads that each claim 64 KiB, with a wrong sum, as dense as they can be. */
static void dear_garbage_is_given_up(void **state)
{
	struct fixture *f = *state;
	uint64_t begin = clock_now_ns();
	const size_t len = 30 << 20;
	uint8_t *junk = calloc(1, len);

	for (size_t i = 0; i + 32 <= len; i += 32) {
		memcpy(junk + i, "RLG1", 4);
		put_le32(junk + i + 4, 65536 - 32);
		put_le32(junk + i + 24, RECLOG_STDOUT);
	}
	put_file(f, "exec.log", junk, len, 0);
	free(junk);
	by_vmm(f, RECLOG_OUTPUT, 1, "x");
	expect(f, NULL, "4/1:x|");
	assert_true(clock_now_ns() - begin < 20 * NS_PER_S);
}

static void links_and_pipes_are_not_read(void **state)
{
	struct fixture *f = *state;

	by_exec(f, RECLOG_STDOUT, 1, "x");
	assert_int_equal(
		renameat(f->place.dir_fd, "exec.log", f->place.dir_fd, "other"),
		0);
	assert_int_equal(symlinkat("other", f->place.dir_fd, "exec.log"), 0);
	assert_int_equal(mkfifoat(f->place.dir_fd, "exec.log.1", 0600), 0);
	expect(f, NULL, "");
}

/* ---- what commands write --------------------------------------------------
 */

static void log_event(struct msb_exec *x, int kind, const char *data)
{
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;

	ev.kind = kind;
	ev.data = data;
	ev.len = strlen(data);
	ev.stage = "exec";
	ev.error_no = ENOENT;
	ev.message = "hunter2: not found";
	exec_log_event(x, &ev);
}

static void log_command(struct fixture *f, uint64_t session, bool tty,
                        bool wanted)
{
	struct msb_sandbox sb = {.place = f->place};
	struct msb_exec x = {.sandbox = &sb, .session = session, .tty = tty};

	exec_log_begin(&x, wanted);
	log_event(&x, MSB_EXEC_STARTED, "");
	log_event(&x, MSB_EXEC_STDOUT, "out");
	log_event(&x, MSB_EXEC_STDERR, "err");
	log_event(&x, MSB_EXEC_WRITABLE, "");
	log_event(&x, MSB_EXEC_EXITED, "");
	reclog_file_close(&x.log);
}

static void events_of_commands_are_logged(void **state)
{
	struct fixture *f = *state;
	struct msb_sandbox sb = {.place = f->place};
	struct msb_exec x = {.sandbox = &sb, .session = 3};

	log_command(f, 1, false, true);
	log_command(f, 2, true, true);
	exec_log_begin(&x, true);
	log_event(&x, MSB_EXEC_FAILED, "");
	reclog_file_close(&x.log);
	expect(f, OPTS(.sources = MSB_LOG_ALL),
	       "16/1:started\n|1/1:out|2/1:err|16/1:exited with code 0\n|"
	       "16/2:started\n|4/2:out|4/2:err|16/2:exited with code 0\n|"
	       "16/3:did not start: exec: No such file or directory\n|");
}

static void no_log_means_none_at_all(void **state)
{
	struct fixture *f = *state;

	log_command(f, 1, false, false);
	expect(f, OPTS(.sources = MSB_LOG_ALL), "");
	assert_int_equal(faccessat(f->place.dir_fd, "exec.log", F_OK, 0), -1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(both_logs_are_merged_by_time),
		T(time_bounds_are_inclusive),
		T(the_tail_is_counted_in_lines),
		T(a_sandbox_without_logs_has_none),
		T(bad_options_are_refused),
		T(all_of_both_files_is_read_after_turns),
		T(a_follower_sees_what_is_written_and_the_end),
		T(a_follower_stops_at_its_bound),
		T(a_follower_goes_along_with_turns),
		T(garbage_is_passed_over),
		T(a_torn_record_hides_no_others),
		T(endless_files_are_left_off),
		T(dear_garbage_is_given_up),
		T(links_and_pipes_are_not_read),
		T(events_of_commands_are_logged),
		T(no_log_means_none_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
