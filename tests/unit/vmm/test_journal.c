#include "lib/test.h"

#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "vmm/journal.h"

struct fixture {
	struct loop *loop;
	struct journal j;
	int fds[2];
};

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.loop = loop_new();
	f.fds[0] = memfd_create("0", 0);
	f.fds[1] = memfd_create("1", 0);
	*state = &f;
	return journal_init(&f.j, f.loop, f.fds, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	journal_release(&f->j);
	loop_free(f->loop);
	(void)close(f->fds[0]);
	(void)close(f->fds[1]);
	return 0;
}

/* Record number @n of the first file, its head left out; its text. */
static const char *record(struct fixture *f, int n, struct reclog_record *ret)
{
	static uint8_t file[1 << 20], text[1 << 17];
	ssize_t len = pread(f->fds[0], file, sizeof(file), 0), used;
	size_t at = 0;

	for (int i = 0; i <= n + 1; i++) {
		used = reclog_decode(file + at, (size_t)len - at, ret);
		if (used <= 0)
			return NULL;
		at += (size_t)used;
	}
	memcpy(text, ret->data, ret->len);
	text[ret->len] = '\0';
	return (const char *)text;
}

static void console(struct fixture *f, const char *s)
{
	journal_console(&f->j, s, strlen(s));
}

static void the_console_is_written_by_lines(void **state)
{
	struct fixture *f = *state;
	struct reclog_record r;

	console(f, "on");
	console(f, "e\ntw");
	console(f, "o\nthree\nfo");
	assert_string_equal(record(f, 0, &r), "one\n");
	assert_int_equal(r.source, RECLOG_CONSOLE);
	assert_string_equal(record(f, 1, &r), "two\nthree\n");
	assert_null(record(f, 2, &r));
	journal_flush(&f->j);
	assert_string_equal(record(f, 2, &r), "fo");
}

static void half_a_line_waits_only_so_long(void **state)
{
	struct fixture *f = *state;
	struct reclog_record r;

	console(f, "login: ");
	assert_int_equal(loop_step(f->loop, 0), 0);
	assert_null(record(f, 0, &r));
	for (int i = 0; i < 100 && !record(f, 0, &r); i++)
		assert_int_equal(loop_step(f->loop, 50), 0);
	assert_string_equal(record(f, 0, &r), "login: ");
}

static void a_line_without_end_is_cut(void **state)
{
	static char line[3 * JOURNAL_LINES_MAX + 10];
	struct fixture *f = *state;
	struct reclog_record r;

	memset(line, 'x', sizeof(line) - 1);
	console(f, line);
	for (int i = 0; i < 3; i++) {
		assert_non_null(record(f, i, &r));
		assert_int_equal(r.len, JOURNAL_LINES_MAX);
	}
	assert_null(record(f, 3, &r));
	journal_flush(&f->j);
	assert_non_null(record(f, 3, &r));
	assert_int_equal(r.len, 9);
}

static void a_mark_stands_behind_what_came_before(void **state)
{
	struct fixture *f = *state;
	struct reclog_record r;

	console(f, "before");
	journal_mark(&f->j, 7, "exited with code %d", 3);
	assert_string_equal(record(f, 0, &r), "before");
	assert_string_equal(record(f, 1, &r), "exited with code 3\n");
	assert_int_equal(r.source, RECLOG_SYSTEM);
	assert_int_equal(r.session, 7);
}

static void a_long_mark_is_cut_and_stays_a_line(void **state)
{
	struct fixture *f = *state;
	char text[5000];
	const char *s;
	struct reclog_record r;

	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	journal_mark(&f->j, 0, "%s", text);
	s = record(f, 0, &r);
	assert_non_null(s);
	assert_true(strlen(s) < 600 && s[strlen(s) - 1] == '\n');
	assert_true(s[strlen(s) - 2] == 'y');
}

static void without_files_nothing_happens(void **state)
{
	static struct journal none;
	const int fds[2] = {-1, -1};
	struct fixture *f = *state;

	assert_int_equal(journal_init(&none, f->loop, fds, NULL), 0);
	journal_console(&none, "x", 1);
	journal_mark(&none, 0, "x");
	journal_output(&none, RECLOG_STDOUT, 1, "x", 1);
	journal_release(&none);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_console_is_written_by_lines),
		T(half_a_line_waits_only_so_long),
		T(a_line_without_end_is_cut),
		T(a_mark_stands_behind_what_came_before),
		T(a_long_mark_is_cut_and_stays_a_line),
		T(without_files_nothing_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
