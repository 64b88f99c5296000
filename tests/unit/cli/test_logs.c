/* log_lines, log_show's escapes, log_time. */
#include "lib/test.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/num.h"
#include "cli/log_lines.h"
#include "cli/log_show.h"
#include "cli/log_time.h"

/* ---- lines ------------------------------------------------------------ */

static void collect(void *arg, const struct log_piece *p)
{
	(void)buf_printf(arg, "%d/%d@%d:", p->source, (int)p->session,
	                 (int)p->unix_ms);
	(void)buf_add(arg, p->data, p->len);
	(void)buf_adds(arg, p->ends ? "$|" : "|");
}

static void add(struct log_lines *l, int64_t ms, uint64_t session,
                int32_t source, const char *text)
{
	struct msb_log_entry e = {.size = sizeof(e),
	                          .unix_ms = ms,
	                          .session = session,
	                          .source = source,
	                          .data = text,
	                          .len = strlen(text)};

	log_lines_add(l, &e);
}

static void pieces_become_lines(void **state)
{
	struct buf cleanup_buf b = BUF_INIT;
	struct log_lines l = {.give = collect, .arg = &b};

	(void)state;
	add(&l, 1, 1, 1, "a");
	add(&l, 2, 1, 1, "b\nc\n\nd");
	add(&l, 3, 1, 1, "e\n");
	add(&l, 4, 1, 1, "\n");
	add(&l, 5, 1, 1, "end");
	log_lines_end(&l);
	assert_string_equal(buf_str(&b), "1/1@1:ab$|1/1@2:c$|1/1@2:$|1/1@2:de$|"
	                                 "1/1@4:$|1/1@5:end|");
}

static void commands_and_sources_are_joined_apart(void **state)
{
	struct buf cleanup_buf b = BUF_INIT;
	struct log_lines l = {.give = collect, .arg = &b};

	(void)state;
	add(&l, 1, 1, 1, "on");
	add(&l, 1, 2, 1, "tw");
	add(&l, 1, 1, 2, "er");
	add(&l, 2, 1, 1, "e\n");
	add(&l, 2, 1, 2, "r\n");
	add(&l, 2, 2, 1, "o\n");
	log_lines_end(&l);
	assert_string_equal(buf_str(&b), "1/1@1:one$|2/1@1:err$|1/2@1:two$|");
}

static void a_prompt_is_given_out_where_it_was(void **state)
{
	struct buf cleanup_buf b = BUF_INIT;
	struct log_lines l = {.give = collect, .arg = &b};

	(void)state;
	add(&l, 1, 1, 1, "prompt> ");
	add(&l, 100, 2, 1, "soon\n");
	add(&l, 300, 2, 1, "late\n");
	add(&l, 900, 1, 1, "more");
	add(&l, 5000, 1, 1, " dots\n"); /* nobody else wrote */
	log_lines_end(&l);
	assert_string_equal(buf_str(&b),
	                    "1/2@100:soon$|1/1@1:prompt> |1/2@300:late$|"
	                    "1/1@900:more dots$|");
}

static void a_flush_keeps_half_a_character(void **state)
{
	struct buf cleanup_buf b = BUF_INIT;
	struct log_lines l = {.give = collect, .arg = &b};

	(void)state;
	add(&l, 1, 1, 1, "x\xe2\x82");
	log_lines_flush(&l);
	assert_string_equal(buf_str(&b), "1/1@1:x|");
	log_lines_flush(&l);
	add(&l, 1, 1, 1, "\xac");
	log_lines_flush(&l);
	assert_string_equal(buf_str(&b), "1/1@1:x|1/1@1:\xe2\x82\xac|");
	assert_int_equal(l.n, 0);
	add(&l, 2, 1, 1, "\xf0\x9f");
	log_lines_end(&l);
	assert_string_equal(buf_str(&b),
	                    "1/1@1:x|1/1@1:\xe2\x82\xac|1/1@2:\xf0\x9f|");
}

struct sum {
	size_t bytes, pieces, ends, longest;
};

static void add_up(void *arg, const struct log_piece *p)
{
	struct sum *s = arg;

	s->bytes += p->len;
	s->pieces++;
	s->ends += p->ends;
	s->longest = MAX(s->longest, p->len);
}

static void memory_is_bounded(void **state)
{
	struct sum sum = {0};
	struct log_lines l = {.give = add_up, .arg = &sum};
	static char text[60001];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	for (unsigned i = 0; i < 1000; i++) /* lines without an end */
		add(&l, 1, i, 1, "part");
	assert_int_equal(l.n, LOG_LINES_OPEN);
	log_lines_end(&l);
	assert_int_equal(sum.pieces, 1000);
	assert_int_equal(sum.bytes, 4000);
	for (unsigned i = 0; i < 100; i++) /* one line */
		add(&l, 1, 1, 1, text);
	add(&l, 1, 1, 1, "\nnext\n");
	assert_int_equal(sum.ends, 2);
	assert_int_equal(sum.bytes, 4000 + 6000000 + 4);
	assert_int_equal(sum.longest, LOG_LINE_MAX);
	assert_int_equal(l.n, 0);
	log_lines_end(&l);
}

/* ---- a terminal --------------------------------------------------------- */

static void only_text_and_colours_reach_a_terminal(void **state)
{
	static const struct {
		const char *in, *colour, *plain;
	} rows[] = {
		{"plain",                 "plain",                        "plain"             },
		{"tab\there",             "tab\there",                    "tab\there"         },
		{"end\r",                 "end",                          "end"               },
		{"a\rb",                  "a\\x0db",                      "a\\x0db"           },
		{"\033[31mred",           "\033[31mred\033[0m",           "red"               },
		{"\033[1;38;5;9mx\033[m", "\033[1;38;5;9mx\033[m\033[0m", "x"                 },
		{"\033[2J",               "\\x1b[2J",                     "\\x1b[2J"          },
		{"\033]0;title\a",        "\\x1b]0;title\\x07",           "\\x1b]0;title\\x07"},
		{"\033[31",               "\\x1b[31",                     "\\x1b[31"          },
		{"\033",                  "\\x1b",                        "\\x1b"             },
		{"\033[",                 "\\x1b[",                       "\\x1b["            },
		{"\033[?25l",             "\\x1b[?25l",                   "\\x1b[?25l"        },
		{"\xc2\x9b"
	         "31m",  "\\x9b31m",                     "\\x9b31m"          },
		{"\xff",                  "\\xff",                        "\\xff"             },
		{"\xe2\x80\xae"
	         "abc",  "\\u202eabc",                   "\\u202eabc"        },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf cleanup_buf b = BUF_INIT;

		assert_int_equal(log_show_escape(&b, rows[i].in,
		                                 strlen(rows[i].in), true),
		                 0);
		assert_string_equal(buf_str(&b), rows[i].colour);
		buf_reset(&b);
		assert_int_equal(log_show_escape(&b, rows[i].in,
		                                 strlen(rows[i].in), false),
		                 0);
		assert_string_equal(buf_str(&b), rows[i].plain);
	}
}

/* ---- times -------------------------------------------------------------- */

static void times_are_understood(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{"10m",			    1000000000 - 600000 },
		{"90",			     1000000000 - 90000  },
		{"2h",			     1000000000 - 7200000},
		{"99999d",                         0                   },
		{"2026-01-31T12:00:00Z",           1769860800000       },
		{"2026-01-31T12:00:00.5Z",         1769860800500       },
		{"2026-01-31T12:00:00.123456789z", 1769860800123       },
		{"2026-01-31 12:00:00+02:00",      1769853600000       },
		{"2026-01-31T12:00:00-01:30",      1769866200000       },
		{"2026-01-31T12:00:00",            1769860800000       },
		{"2026-01-31",                     1769817600000       },
		{"2024-02-29",                     1709164800000       },
		{"1970-01-01T00:00:00Z",           0                   },
	};
	static const char *const bad[] = {
		"",
		"yesterday",
		"-10m",
		"2026-1-31",
		"2026-02-31",
		"2026-13-01",
		"2026-01-31T",
		"2026-01-31T12:00",
		"2026-01-31T25:00:00Z",
		"2026-01-31T12:00:00X",
		"2026-01-31T12:00:00+0200",
		"2026-01-31T12:00:00Zx",
		"1969-12-31T23:59:59Z",
		"1970-01-01T00:00:00+01:00",
		"99999-01-01",
	};
	int64_t ms;

	(void)state;
	(void)setenv("TZ", "UTC", 1);
	tzset();
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(log_time_parse(good[i].text, 1000000000, &ms));
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (log_time_parse(bad[i], 1000000000, &ms))
			fail_msg("%s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_become_lines),
		cmocka_unit_test(commands_and_sources_are_joined_apart),
		cmocka_unit_test(a_prompt_is_given_out_where_it_was),
		cmocka_unit_test(a_flush_keeps_half_a_character),
		cmocka_unit_test(memory_is_bounded),
		cmocka_unit_test(only_text_and_colours_reach_a_terminal),
		cmocka_unit_test(times_are_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
