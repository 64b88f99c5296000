#include "lib/test.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "image/ref.h"

#define HEX    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX

static void normal_forms_follow_docker(void **state)
{
	static const char *const cases[][2] = {
		{"busybox",                "docker.io/library/busybox:latest"},
		{"busybox:1.36",           "docker.io/library/busybox:1.36"  },
		{"user/app",               "docker.io/user/app:latest"       },
		{"docker.io/busybox",      "docker.io/library/busybox:latest"},
		{"index.docker.io/a/b:t",  "docker.io/a/b:t"                 },
		{"registry-1.docker.io/a", "docker.io/library/a:latest"      },
		{"localhost/x",            "localhost/x:latest"              },
		{"localhost:5000/x",       "localhost:5000/x:latest"         },
		{"[::1]:5000/x:t",         "[::1]:5000/x:t"                  },
		{"[fe80::1]/x",            "[fe80::1]/x:latest"              },
		{"ghcr.io/a/b/c/d:v1",     "ghcr.io/a/b/c/d:v1"              },
		{"GHCR.io/a",              "ghcr.io/a:latest"                },
		{"HOST/a",                 "HOST/a:latest"                   },
		{"host:1/a",               "host:1/a:latest"                 },
		{"a.b-c.d/e__f/g---h.i_j", "a.b-c.d/e__f/g---h.i_j:latest"   },
		{"x@" DIGEST,              "docker.io/library/x@" DIGEST     },
		{"x:t@" DIGEST,            "docker.io/library/x:t@" DIGEST   },
		{"x:_.-",                  "docker.io/library/x:_.-"         },
		{"x:LATEST",               "docker.io/library/x:LATEST"      },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf cleanup_buf b = BUF_INIT;
		struct ref r;

		assert_int_equal(ref_parse(cases[i][0], &r, NULL), 0);
		assert_int_equal(ref_text(&r, &b), 0);
		assert_string_equal(buf_str(&b), cases[i][1]);
	}
}

static void assert_bad(const char *text)
{
	struct ref r = {.host = "untouched"};
	struct err err = {0};

	if (ref_parse(text, &r, &err) != -EINVAL)
		fail_msg("accepted: %.100s", text);
	assert_string_equal(r.host, "untouched");
	assert_non_null(strstr(err.msg, "bad image reference"));
	assert_true(err.hint[0]);
}

static void what_the_grammar_forbids_is_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"/",
		":",
		"@",
		"-rf",
		"../../x",
		"..",
		".hidden",
		"a/../b",
		"a//b",
		"/a",
		"a/",
		"a:",
		"a:-x",
		"a:.x",
		"a:b:c",
		"a b",
		"a\nb",
		"a\x1b[31m",
		"Upper",
		"user@host/x",
		"a..b",
		"a___b",
		"a_-b",
		"-a/b",
		"a-/b",
		"host.-x/a",
		"-host.x/a",
		"host./a",
		".host/a",
		"host:/a",
		"host:0/a",
		"host:65536/a",
		"host:1x/a",
		"host:99999999999999999999/a",
		"[::1/a",
		"[::1]x/a",
		"[]/a",
		"[::g]/a",
		"$(id)",
		"`id`",
		"a;b",
		"a|b",
		"a%2fb",
		"a?b",
		"a#b",
		"a\\b",
		"http://host.x/a",
		"\xc3\xa4pfel",
		"a:t\xc3\xa4g",
		"a@sha256:",
		"a@sha256:../../x",
		"a@sha256:" HEX "0",
		"a@sha512:" HEX HEX,
		"a@sha256:0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF"
		"0123456789ABCDEF",
		"a@" DIGEST "@" DIGEST,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_bad(cases[i]);
}

static void lengths_are_bounded(void **state)
{
	static char text[10 * 1024 + 1];
	struct ref r;

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	assert_bad(text);
	text[300] = '\0';
	assert_bad(text);
	text[255 - strlen("docker.io/library/")] = '\0';
	assert_int_equal(ref_parse(text, &r, NULL), 0);
	text[255 - strlen("docker.io/library/")] = 'a';
	text[255 - strlen("docker.io/library/") + 1] = '\0';
	assert_bad(text);

	memset(text, 'a', 200);
	text[1] = ':';
	text[2 + REF_TAG_MAX] = '\0';
	assert_int_equal(ref_parse(text, &r, NULL), 0);
	text[2 + REF_TAG_MAX] = 'a';
	text[3 + REF_TAG_MAX] = '\0';
	assert_bad(text);
}

static void an_error_repeats_no_control_characters(void **state)
{
	struct err err = {0};
	struct ref r;

	(void)state;
	assert_int_equal(ref_parse("a\x1b]0;owned\a", &r, &err), -EINVAL);
	assert_null(strchr(err.msg, '\x1b'));
	assert_null(strchr(err.msg, '\a'));
}

static void path_of(const char *text, struct buf *b)
{
	struct ref r;

	assert_int_equal(ref_parse(text, &r, NULL), 0);
	assert_int_equal(ref_path(&r, b), 0);
}

static void records_of_different_references_never_meet(void **state)
{
	static const char *const cases[][2] = {
		{"h.x/a:b.json",      "refs/h.x/a/_b.json.json"          },
		{"h.x/a/b.json:c",    "refs/h.x/a/b.json/_c.json"        },
		{"h.x/a:sha256-" HEX, "refs/h.x/a/_sha256-" HEX ".json"  },
		{"h.x/a@" DIGEST,     "refs/h.x/a/@sha256-" HEX ".json"  },
		{"h.x/a:t@" DIGEST,   "refs/h.x/a/_t@sha256-" HEX ".json"},
		{"[::1]:5/a",         "refs/[::1]:5/a/_latest.json"      },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf cleanup_buf b = BUF_INIT;

		path_of(cases[i][0], &b);
		assert_string_equal(buf_str(&b), cases[i][1]);
	}
}

static void loopback_is_told_from_look_alikes(void **state)
{
	static const char *const yes[] = {
		"localhost", "localhost:5000", "LOCALHOST", "x.localhost:1",
		"127.0.0.1", "127.9.9.9:80",   "[::1]",     "[::1]:5000"};
	static const char *const no[] = {"localhost.evil.com",
	                                 "127.0.0.1.evil.com",
	                                 "127.evil",
	                                 "10.0.0.1",
	                                 "[::2]",
	                                 "docker.io",
	                                 "notlocalhost",
	                                 "1270.0.0.1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		assert_true(ref_host_is_loopback(yes[i]));
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		assert_false(ref_host_is_loopback(no[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(normal_forms_follow_docker),
		cmocka_unit_test(what_the_grammar_forbids_is_refused),
		cmocka_unit_test(lengths_are_bounded),
		cmocka_unit_test(an_error_repeats_no_control_characters),
		cmocka_unit_test(records_of_different_references_never_meet),
		cmocka_unit_test(loopback_is_told_from_look_alikes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
