/* The live view as text, and the numbers that are behind it. */
#include "lib/test.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "cli/metrics_model.h"
#include "cli/metrics_view.h"

static struct msb_metrics sample(unsigned second)
{
	return (struct msb_metrics){
		.time_ns = (1 + second) * NS_PER_S,
		.uptime_ns = (1 + second) * NS_PER_S,
		.cpu_ns = second * NS_PER_S / 2,
		.memory_bytes = 512 * MIB,
		.memory_resident_bytes = 128 * MIB,
		.memory_returned_bytes = 3 * MIB,
		.disk_read_bytes = second * 10 * KIB,
		.disk_write_bytes = second * 20 * KIB,
		.disk_reads = second,
		.disk_writes = 2 * second,
		.cpus = 2,
		.sessions = 1,
	};
}

static struct metrics_row *feed(struct metrics_model *m, const char *name,
                                unsigned seconds)
{
	struct metrics_row *row = metrics_model_row(m, name);

	assert_non_null(row);
	for (unsigned i = 0; i < seconds; i++) {
		struct msb_metrics s = sample(i);

		metrics_row_feed(row, &s);
	}
	return row;
}

static void rates_are_of_the_last_two_samples(void **state)
{
	struct metrics_model m = {0};
	struct metrics_row *row = feed(&m, "box", 3);
	struct msb_metrics s = sample(3);

	(void)state;
	assert_true(row->now[METRICS_CPU] == 50.0);
	assert_true(row->now[METRICS_DISK_READ] == 10.0 * KIB);
	assert_true(row->now[METRICS_DISK_WRITE] == 20.0 * KIB);
	s.cpu_ns += 2 * NS_PER_S;
	metrics_row_feed(row, &s);
	assert_true(row->now[METRICS_CPU] == 250.0);
	metrics_model_release(&m);
}

static void counters_that_run_backwards_are_no_rate(void **state)
{
	struct metrics_model m = {0};
	struct metrics_row *row = feed(&m, "box", 5);
	struct msb_metrics s = sample(2);

	(void)state;
	metrics_row_feed(row, &s); /* time, too */
	for (int i = 0; i < METRICS_SERIES; i++)
		assert_true(i == METRICS_MEMORY || row->now[i] == 0);
	s.cpu_ns = UINT64_MAX;
	s.time_ns++;
	metrics_row_feed(row, &s);
	assert_true(row->now[METRICS_CPU] > 1e9);
	metrics_model_release(&m);
}

static void a_machine_without_uptime_is_starting(void **state)
{
	struct metrics_model m = {0};
	struct metrics_row *row = feed(&m, "box", 1);
	struct msb_metrics s = sample(1);

	(void)state;
	assert_string_equal(row->text, "running");
	s.uptime_ns = 0;
	metrics_row_feed(row, &s);
	assert_string_equal(row->text, "starting");
	metrics_model_release(&m);
}

static void rows_sort_and_ties_stay_in_their_places(void **state)
{
	struct metrics_model m = {0};

	(void)state;
	feed(&m, "b", 3)->now[METRICS_CPU] = 10;
	feed(&m, "c", 3)->now[METRICS_CPU] = 20;
	feed(&m, "a", 3)->now[METRICS_CPU] = 10;
	metrics_model_sort(&m, METRICS_BY_CPU);
	assert_string_equal(m.rows[0]->name, "c");
	assert_string_equal(m.rows[1]->name, "a");
	assert_string_equal(m.rows[2]->name, "b");
	metrics_model_sort(&m, METRICS_BY_MEMORY);
	assert_string_equal(m.rows[0]->name, "a");
	metrics_model_release(&m);
}

static bool is_b(void *arg, struct metrics_row *row)
{
	(void)arg;
	return strcmp(row->name, "b") == 0;
}

static void a_row_that_is_dropped_is_gone(void **state)
{
	struct metrics_model m = {0};

	(void)state;
	feed(&m, "a", 1);
	feed(&m, "b", 1);
	feed(&m, "c", 1);
	metrics_model_drop(&m, is_b, NULL);
	assert_int_equal(m.n, 2);
	assert_string_equal(m.rows[1]->name, "c");
	metrics_model_release(&m);
}

static void history_keeps_samples_in_their_columns(void **state)
{
	struct metrics_model m = {0};
	struct metrics_row *row = feed(&m, "box", METRICS_HISTORY + 40);
	double before[16], after[16];
	struct msb_metrics s = sample(METRICS_HISTORY + 40);

	(void)state;
	row->history[METRICS_CPU][(row->count - 20) % METRICS_HISTORY] = 99;
	metrics_row_columns(row, METRICS_CPU, before, 16);
	s.cpu_ns = row->last.cpu_ns;
	metrics_row_feed(row, &s); /* into the newest column */
	metrics_row_columns(row, METRICS_CPU, after, 16);
	assert_true(before[10] == 99);
	for (int i = 0; i < 15; i++)
		assert_true(before[i] == after[i]);
	metrics_model_release(&m);
}

static void history_that_is_not_there_is_blank(void **state)
{
	struct metrics_model m = {0};
	struct metrics_row *row = feed(&m, "box", 1);
	double v[4];

	(void)state;
	metrics_row_columns(row, METRICS_CPU, v, 4);
	for (int i = 0; i < 4; i++)
		assert_true(v[i] < 0);
	metrics_model_release(&m);
}

/* ---- pictures ------------------------------------------------------------ */

static const struct metrics_style wide = {.rows = 24, .cols = 120};

static void the_view_of_all_is_as_drawn(void **state)
{
	struct buf cleanup_buf b = BUF_INIT;
	struct metrics_model m = {0};

	(void)state;
	feed(&m, "box", 10);
	feed(&m, "longer-name", 1);
	metrics_model_sort(&m, METRICS_BY_NAME);
	assert_int_equal(metrics_view_all(&b, &m, &wide), 0);
	assert_string_equal(
		buf_str(&b),
		"2 running, CPU 50.0%, memory 256.0 MiB   "
		"sort: n name, c cpu, m memory; q quits\n"
		"NAME*        STATE          CPU             CPU OVER TIME   "
		"         MEM                        DISK R/W /s   UPTIME\n"
		"box          running      50.0% [##......]               ::"
		":   128.0 MiB [##......]     10.0 KiB / 20.0 KiB      10s\n"
		"longer-name  running          - [........]                 "
		"    128.0 MiB [##......]                       -       1s\n");
	metrics_model_release(&m);
}

static void the_view_of_one_is_as_drawn(void **state)
{
	struct metrics_style style = {.rows = 24, .cols = 70};
	struct buf cleanup_buf b = BUF_INIT;
	struct metrics_model m = {0};

	(void)state;
	assert_int_equal(metrics_view_one(&b, feed(&m, "box", 10), &style), 0);
	assert_string_equal(
		buf_str(&b),
		"box  running  2 CPUs  512.0 MiB memory  up 10s  1 command   "
		"q quits\n"
		"\n"
		"CPU            50.0% [####..........] of 200%\n"
		"Memory     128.0 MiB [####..........] of 512.0 MiB, 3.0 MiB "
		"given back\n"
		"\n"
		"CPU               50.0%                                       "
		"     :::\n"
		"Memory        128.0 MiB                                       "
		"     :::\n"
		"Disk read    10.0 KiB/s                                       "
		"     ###\n"
		"Disk write   20.0 KiB/s                                       "
		"     ###\n"
		"Net in            0 B/s                                       "
		"     ___\n"
		"Net out           0 B/s                                       "
		"     ___\n"
		"\n"
		"In all: read 90.0 KiB in 9, written 180.0 KiB in 18 requests; "
		"its disk\n"
		"Network: 0 connections, 0 open, 0 denied, 0 lookups; got 0 B, "
		"sent 0 B\n");
	metrics_model_release(&m);
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *p = text; (p = strstr(p, what)); p++)
		n++;
	return n;
}

static void bars_grow_by_eighths_in_utf8_only(void **state)
{
	struct metrics_style style = {.rows = 24, .cols = 140, .utf8 = true};
	struct buf cleanup_buf b = BUF_INIT;
	struct metrics_model m = {0};
	struct metrics_row *row = feed(&m, "box", 3);

	(void)state;
	row->now[METRICS_CPU] = 200.0 * 3 / 64; /* of 8 columns 3 eighths */
	assert_int_equal(metrics_view_all(&b, &m, &style), 0);
	assert_non_null(strstr(buf_str(&b), "[▍       ]"));
	assert_int_equal(count(buf_str(&b), "#"), 0);
	metrics_model_release(&m);
}

static void colours_only_when_asked_for(void **state)
{
	struct metrics_style style = wide;
	struct buf cleanup_buf a = BUF_INIT, cleanup_buf b = BUF_INIT;
	struct metrics_model m = {0};

	(void)state;
	feed(&m, "box", 3)->now[METRICS_CPU] = 190;
	assert_int_equal(metrics_view_all(&a, &m, &style), 0);
	assert_null(strchr(buf_str(&a), '\033'));
	style.colour = true;
	assert_int_equal(metrics_view_all(&b, &m, &style), 0);
	assert_non_null(strstr(buf_str(&b), "\033[31m#")); /* 95 % is red */
	metrics_model_release(&m);
}

/* Lines and their width without colours. */
static void check_size(const struct buf *b, const struct metrics_style *style)
{
	unsigned rows = 0, cols = 0;

	for (const char *p = buf_str(b); *p; p++) {
		if (*p == '\033') {
			p = strchr(p, 'm');
			continue;
		}
		if (*p == '\n') {
			assert_true(cols <= style->cols);
			cols = 0;
			rows++;
		} else if (((unsigned char)*p & 0xc0) != 0x80) {
			cols++;
		}
	}
	assert_true(cols == 0 && rows <= style->rows);
}

static void every_screen_size_holds_the_picture(void **state)
{
	struct metrics_model m = {0};
	struct metrics_row *row;

	(void)state;
	for (unsigned i = 0; i < 30; i++) {
		char name[MSB_NAME_MAX + 1];

		memset(name, 'x', sizeof(name));
		(void)snprintf(name + i * 4, 8, "-%u", i);
		feed(&m, name, i);
	}
	row = m.rows[29];
	row->last.memory_bytes = row->last.upper_used_bytes = UINT64_MAX;
	row->last.uptime_ns = row->last.disk_reads = UINT64_MAX;
	row->now[METRICS_CPU] = row->now[METRICS_DISK_READ] = 1e300;
	for (uint16_t rows = 0; rows < 40; rows++) {
		for (uint16_t cols = 0; cols < 300; cols += 1 + cols / 20) {
			struct metrics_style s = {rows, cols, true, true, 0};
			struct buf cleanup_buf b = BUF_INIT;

			assert_int_equal(metrics_view_all(&b, &m, &s), 0);
			check_size(&b, &s);
			buf_reset(&b);
			assert_int_equal(metrics_view_one(&b, row, &s), 0);
			check_size(&b, &s);
			buf_reset(&b);
			assert_int_equal(metrics_view_one(&b, NULL, &s), 0);
			check_size(&b, &s);
		}
	}
	metrics_model_release(&m);
}

static void what_has_no_room_is_counted(void **state)
{
	struct metrics_style style = {.rows = 6, .cols = 100};
	struct buf cleanup_buf b = BUF_INIT;
	struct metrics_model m = {0};
	char name[8];

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		(void)snprintf(name, sizeof(name), "box%u", i);
		feed(&m, name, 2);
	}
	assert_int_equal(metrics_view_all(&b, &m, &style), 0);
	assert_non_null(strstr(buf_str(&b), "and 7 more\n"));
	assert_int_equal(count(buf_str(&b), "\n"), 6);
	metrics_model_release(&m);
}

static void the_table_says_what_is_not_known(void **state)
{
	struct strv cleanup_strv cells = {0};
	struct metrics_model m = {0};

	(void)state;
	feed(&m, "a", 3);
	metrics_row_set_state(feed(&m, "b", 3), METRICS_STALLED);
	feed(&m, "c", 0);
	assert_int_equal(metrics_view_table(&cells, &m), 0);
	assert_int_equal(cells.n, 4 * METRICS_TABLE_COLUMNS);
	assert_string_equal(cells.v[7], "a");
	assert_string_equal(cells.v[9], "50.0%");
	assert_string_equal(cells.v[10], "128.0 MiB / 512.0 MiB");
	assert_string_equal(cells.v[11], "10.0 KiB / 20.0 KiB");
	assert_string_equal(cells.v[13], "3s");
	assert_string_equal(cells.v[15], "stalled");
	assert_string_equal(cells.v[16], "-");
	assert_string_equal(cells.v[22], "starting");
	assert_string_equal(cells.v[27], "-");
	metrics_model_release(&m);
}

static void durations_have_two_units(void **state)
{
	char out[METRICS_TEXT_MAX];

	(void)state;
	assert_string_equal(metrics_duration(0, out), "0s");
	assert_string_equal(metrics_duration(59 * NS_PER_S, out), "59s");
	assert_string_equal(metrics_duration(61 * NS_PER_S, out), "1m 1s");
	assert_string_equal(metrics_duration(3600 * NS_PER_S, out), "1h 0m");
	assert_string_equal(metrics_duration(93600 * NS_PER_S, out), "1d 2h");
	(void)metrics_duration(UINT64_MAX, out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_are_of_the_last_two_samples),
		cmocka_unit_test(counters_that_run_backwards_are_no_rate),
		cmocka_unit_test(a_machine_without_uptime_is_starting),
		cmocka_unit_test(rows_sort_and_ties_stay_in_their_places),
		cmocka_unit_test(a_row_that_is_dropped_is_gone),
		cmocka_unit_test(history_keeps_samples_in_their_columns),
		cmocka_unit_test(history_that_is_not_there_is_blank),
		cmocka_unit_test(the_view_of_all_is_as_drawn),
		cmocka_unit_test(the_view_of_one_is_as_drawn),
		cmocka_unit_test(bars_grow_by_eighths_in_utf8_only),
		cmocka_unit_test(colours_only_when_asked_for),
		cmocka_unit_test(every_screen_size_holds_the_picture),
		cmocka_unit_test(what_has_no_room_is_counted),
		cmocka_unit_test(the_table_says_what_is_not_known),
		cmocka_unit_test(durations_have_two_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
