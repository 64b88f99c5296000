#include "lib/test.h"

#include <string.h>

#include "base/num.h"
#include "guest/rlimit.h"

static void limits_are_read(void **state)
{
	static const struct {
		const char *text;
		int resource;
		rlim_t soft, hard;
	} good[] = {
		{"nofile=1024",             RLIMIT_NOFILE, 1024,                  1024         },
		{"nofile=1024:4096",        RLIMIT_NOFILE, 1024,                  4096         },
		{"core=0:unlimited",        RLIMIT_CORE,   0,                     RLIM_INFINITY},
		{"core=-1",                 RLIMIT_CORE,   RLIM_INFINITY,         RLIM_INFINITY},
		{"as=18446744073709551614", RLIMIT_AS,     18446744073709551614u,
	         18446744073709551614u							 },
		{"rttime=0",                RLIMIT_RTTIME, 0,                     0            },
	};
	struct rlimit_setting s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(rlimit_parse(good[i].text, &s, NULL), 0);
		assert_int_equal(s.resource, good[i].resource);
		assert_int_equal(s.limit.rlim_cur, good[i].soft);
		assert_int_equal(s.limit.rlim_max, good[i].hard);
	}
}

static void what_is_no_limit_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"nofile",
		"nofile=",
		"=1",
		"files=1",
		"NOFILE=1",
		"nofile=1:",
		"nofile=:1",
		"nofile=2:1",
		"nofile=1:2:3",
		"nofile= 1",
		"nofile=1 ",
		"nofile=+1",
		"nofile=-2",
		"nofile=0x10",
		"nofile=1k",
		"nofile=18446744073709551616",
		"nofile=unlimited:1",
	};
	struct rlimit_setting s = {.resource = -5};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err = (struct err){0};
		if (rlimit_parse(bad[i], &s, &err) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_true(err.msg[0]);
		assert_int_equal(s.resource, -5);
	}
}

static void a_text_without_end_is_refused(void **state)
{
	char text[4096] = "nofile=";
	struct rlimit_setting s;

	(void)state;
	memset(text + 7, '0', sizeof(text) - 8);
	text[sizeof(text) - 1] = '\0';
	assert_true(rlimit_parse(text, &s, NULL) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_read),
		cmocka_unit_test(what_is_no_limit_is_refused),
		cmocka_unit_test(a_text_without_end_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
