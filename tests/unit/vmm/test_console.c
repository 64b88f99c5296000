#include "lib/test.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "vmm/console.h"

struct fixture {
	struct loop *loop;
	struct console c;
	int file, theirs, panics;
};

static void count_panic(void *arg)
{
	((struct fixture *)arg)->panics++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	f->loop = loop_new();
	f->file = memfd_create("console", 0);
	return console_init(&f->c, f->loop, f->file, count_panic, f, &f->theirs,
	                    NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	console_release(&f->c);
	loop_free(f->loop);
	(void)close(f->file);
	(void)close(f->theirs);
	free(f);
	return 0;
}

static void the_tail_is_the_last_bytes_whatever_the_portions(void **state)
{
	static const size_t steps[] = {1, 7, 4096, TAIL_MAX, 3 * TAIL_MAX};
	static uint8_t all[5 * TAIL_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)(i * 31 >> 3);
	for (size_t s = 0; s < 5; s++) {
		static struct tail t;
		size_t done = 0, len;

		t.len = 0;
		while (done < sizeof(all)) {
			size_t n = steps[s];
			const uint8_t *p;

			if (n > sizeof(all) - done)
				n = sizeof(all) - done;
			tail_add(&t, all + done, n);
			done += n;
			p = tail_get(&t, &len);
			assert_int_equal(len,
			                 done < TAIL_MAX ? done : TAIL_MAX);
			assert_memory_equal(p, all + done - len, len);
		}
	}
}

static void serial_output_reaches_file_and_tail(void **state)
{
	struct fixture *f = *state;
	char got[32] = {0};
	size_t len;

	assert_int_equal(write(f->theirs, "hello\r\n", 7), 7);
	assert_int_equal(loop_step(f->loop, 1000), 0);
	assert_int_equal(fd_pread_full(f->file, got, sizeof(got), 0), 7);
	assert_memory_equal(got, "hello\r\n", 7);
	(void)tail_get(&f->c.tail, &len);
	assert_int_equal(len, 7);
}

static void the_file_stops_at_its_bound_with_one_notice(void **state)
{
	static char block[65536];
	struct fixture *f = *state;
	struct stat st;
	char last[64] = {0};

	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 40; i++)
		console_feed(&f->c, block, sizeof(block));
	assert_int_equal(fstat(f->file, &st), 0);
	assert_true(st.st_size > CONSOLE_FILE_MAX);
	assert_true(st.st_size < CONSOLE_FILE_MAX + 128);
	assert_true(fd_pread_full(f->file, last, 63,
	                          (uint64_t)st.st_size - 40) > 0);
	assert_non_null(strstr(last, "is dropped]"));
}

static void a_panic_is_seen_over_any_split_and_escaped(void **state)
{
	static const char text[] = "[ 0.1] Kernel panic - not syncing: "
				   "No \033[31minit\r\nmore\n"
				   "Kernel panic - not syncing: again\n";
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(text) - 1; i++)
		console_feed(&f->c, text + i, 1);
	assert_int_equal(f->panics, 1);
	assert_string_equal(f->c.panic, "No \\x1b[31minit");
}

static void half_a_mark_is_no_panic(void **state)
{
	struct fixture *f = *state;

	console_feed(&f->c, "Kernel panic\n - not syncing: x\n", 31);
	assert_int_equal(f->panics, 0);
	assert_false(f->c.panicked);
}

static void a_line_without_end_does_not_grow(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 100000; i++)
		console_feed(&f->c, "Kernel panic", 12);
	assert_true(f->c.line_len <= CONSOLE_LINE_MAX);
}

static void the_port_may_close(void **state)
{
	struct fixture *f = *state;

	(void)close(f->theirs);
	f->theirs = -1;
	assert_int_equal(loop_step(f->loop, 1000), 0);
	assert_int_equal(f->c.sock, -1);
	console_drain(&f->c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_tail_is_the_last_bytes_whatever_the_portions),
		T(serial_output_reaches_file_and_tail),
		T(the_file_stops_at_its_bound_with_one_notice),
		T(a_panic_is_seen_over_any_split_and_escaped),
		T(half_a_mark_is_no_panic),
		T(a_line_without_end_does_not_grow),
		T(the_port_may_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
