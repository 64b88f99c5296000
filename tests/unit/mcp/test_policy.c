/* Which tools, images and paths of the host a server may use. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mcp/policy.h"

static void images(void **state)
{
	static const struct {
		const char *pattern, *reference;
		bool fits;
	} rows[] = {
		{"*",                "any/thing:1",              true },
		{"alpine",           "alpine",                   true },
		{"alpine",           "alpine:3",                 true },
		{"alpine",           "docker.io/library/alpine", true },
		{"alpine",           "alpine@sha256:aa",         true },
		{"alpine",           "evil/alpine",              false},
		{"alpine",           "alpine.example/x",         false},
		{"alpine*",          "alpine2",                  true },
		{"alpine*",          "alpine.example/x",         false},
		{"python:3.*",       "python:3.12",              true },
		{"python:3.*",       "python",                   false},
		{"python:latest",    "python",                   true },
		{"python:3.*",       "python:3.12@sha256:aa",    false},
		{"python:3.*",       "python@sha256:aa",         false},
		{"acme/*",           "acme/a",                   true },
		{"acme/*",           "docker.io/acme/a",         true },
		{"acme/*",           "acme/a/b",                 false},
		{"ghcr.io/acme/*",   "ghcr.io/acme/a:1",         true },
		{"ghcr.io/acme/*",   "acme/a",                   false},
		{"localhost:5000/*", "localhost:5000/a",         true },
		{"localhost:5000/*", "localhost:5001/a",         false},
		{"a@sha256:aa",      "a@sha256:aa",              true },
		{"a@sha256:aa",      "a@sha256:ab",              false},
		{"a@sha256:aa",      "a",                        false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (policy_image_matches(rows[i].pattern, rows[i].reference) !=
		    rows[i].fits)
			fail_msg("%s and %s", rows[i].pattern,
			         rows[i].reference);
}

static void tools(void **state)
{
	struct mcp_options o = {0};

	(void)state;
	assert_true(policy_has_tool(&o, "a_b", false));
	o.read_only = true;
	assert_false(policy_has_tool(&o, "a_b", false));
	assert_true(policy_has_tool(&o, "a_b", true));
	assert_int_equal(strv_add(&o.allow_tools, "a_*"), 0);
	assert_false(policy_has_tool(&o, "b", true));
	assert_int_equal(strv_add(&o.deny_tools, "*_b"), 0);
	assert_false(policy_has_tool(&o, "a_b", true));
	assert_true(policy_has_tool(&o, "a_c", true));
	strv_release(&o.allow_tools);
	strv_release(&o.deny_tools);
}

/* ---- paths --------------------------------------------------------------- */

struct tree {
	char top[64];
	struct mcp_options opt;
	struct policy policy;
};

static void touch(const char *path)
{
	assert_int_equal(file_write_atomic(AT_FDCWD, path, "x", 1, 0600), 0);
}

/* in/{file,dir/,to_out,to_in}, out/file, inside/ (a longer name) */
static int setup(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));
	struct err err = {0};

	assert_non_null(t);
	(void)snprintf(t->top, sizeof(t->top), "/tmp/msb-test-mcp-XXXXXX");
	assert_non_null(mkdtemp(t->top));
	assert_int_equal(chdir(t->top), 0);
	assert_int_equal(mkdir("in", 0700) | mkdir("in/dir", 0700) |
	                         mkdir("out", 0700) | mkdir("inside", 0700),
	                 0);
	touch("in/file");
	touch("out/file");
	touch("inside/file");
	assert_int_equal(symlink("../out", "in/to_out") |
	                         symlink("dir", "in/to_in") |
	                         symlink("../out/new", "in/to_new"),
	                 0);
	assert_int_equal(strv_add(&t->opt.paths, "in"), 0);
	assert_int_equal(policy_open(&t->policy, &t->opt, &err), 0);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct tree *t = *state;

	policy_release(&t->policy);
	strv_release(&t->opt.paths);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(dir_remove(AT_FDCWD, t->top), 0);
	free(t);
	return 0;
}

static const struct {
	const char *path, *real; /* NULL: refused */
} paths[] = {
	{"in",		    "in"        },
	{"in/file",               "in/file"   },
	{"in/new",                "in/new"    },
	{"in/dir/new",            "in/dir/new"},
	{"in/to_in",              "in/dir"    },
	{"in/to_in/new",          "in/dir/new"},
	{"in/dir/../file",        "in/file"   },
	{"./in//file",            "in/file"   },
	{"out/../in/file",        "in/file"   },
	{"out",		   NULL        },
	{"out/file",              NULL        },
	{"out/new",               NULL        },
	{"inside/file",           NULL        },
	{"in/../out/file",        NULL        },
	{"in/to_out",             NULL        },
	{"in/to_out/file",        NULL        },
	{"in/to_out/new",         NULL        },
	{"in/to_new",             NULL        },
	{"in/dir/../../out/file", NULL        },
	{".",		     NULL        },
	{"/",		     NULL        },
	{"/etc/passwd",           NULL        },
	{"/proc/self/root/etc",   NULL        },
	{"in/none/new",           NULL        },
	{"in/new/..",             NULL        },
	{"in/new/.",              NULL        },
	{"",		      NULL        },
};

static void real_paths(void **state)
{
	struct tree *t = *state;

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		char *real = NULL, want[128];
		struct msb_error e;
		int r = policy_path(&t->policy, paths[i].path, &real, &e);

		if ((r == 0) != (paths[i].real != NULL))
			fail_msg("%s: %d", paths[i].path, r);
		if (r < 0)
			continue;
		(void)snprintf(want, sizeof(want), "%s/%s", t->top,
		               paths[i].real);
		assert_string_equal(real, want);
		free(real);
	}
}

static void pins(void **state)
{
	struct tree *t = *state;
	struct policy_pin pin = {.fd = -1};
	struct msb_error e;

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		int r = policy_pin(&t->policy, paths[i].path, &pin, &e);

		if ((r == 0) != (paths[i].real != NULL))
			fail_msg("%s: %d", paths[i].path, r);
		if (r == 0)
			policy_unpin(&pin);
	}
	/* What is held is the folder, whatever happens to its name. */
	assert_int_equal(policy_pin(&t->policy, "in/dir/x", &pin, &e), 0);
	assert_int_equal(
		rename("in/dir", "in/moved") | symlink("../out", "in/dir"), 0);
	touch(pin.text);
	assert_int_equal(access("in/moved/x", F_OK), 0);
	assert_int_equal(access("out/x", F_OK), -1);
	policy_unpin(&pin);
}

/* Read as who opens it reads it: options are behind the last colon. */
static void paths_of_images(void **state)
{
	static const struct {
		const char *reference;
		bool allowed;
	} rows[] = {
		{"./in/file",				 true },
		{"./in/file:format=raw",                      true },
		{"./in/file:fstype=ext4,format=raw",          true },
		{"./out/file:format=raw",                     false},
		{"./in/d:format=x/../../out/file:format=raw", false},
		{"./in/d:fstype=x/../../out/file:format=raw", false},
	};
	struct tree *t = *state;
	struct msb_error e;

	assert_int_equal(
		mkdir("in/d:format=x", 0700) | mkdir("in/d:fstype=x", 0700), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if ((policy_image(&t->policy, rows[i].reference, NULL, &e) ==
		     0) != rows[i].allowed)
			fail_msg("%s", rows[i].reference);
}

static void images_as_they_really_are(void **state)
{
	static const struct {
		const char *reference, *real; /* below the top; NULL: refused */
	} rows[] = {
		{"./in/to_in/../file:format=raw", "in/file:format=raw"},
		{"./in/to_in",                    "in/dir"            },
		{"./in/to_odd",                   NULL                },
		{"./in/to_out/file",              NULL                },
	};
	struct tree *t = *state;
	struct msb_error e;
	char *real;

	/* Who opens that path would take what is behind the colon off it. */
	assert_int_equal(mkdir("in/d:format=x", 0700) |
	                         symlink("d:format=x", "in/to_odd"),
	                 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char want[128];
		int r = policy_image(&t->policy, rows[i].reference, &real, &e);

		if ((r == 0) != (rows[i].real != NULL))
			fail_msg("%s: %d", rows[i].reference, r);
		if (r < 0)
			continue;
		(void)snprintf(want, sizeof(want), "%s/%s", t->top,
		               rows[i].real);
		assert_string_equal(real, want);
		free(real);
	}
	assert_int_equal(policy_image(&t->policy, "alpine", &real, &e), 0);
	assert_string_equal(real, "alpine");
	free(real);
}

static void any_path(void **state)
{
	struct tree *t = *state;
	struct policy_pin pin = {.fd = -1};
	struct msb_error e;
	char *real;

	t->opt.any_path = true;
	assert_false(policy_refuses_links(&t->policy));
	assert_int_equal(policy_path(&t->policy, "out/file", &real, &e), 0);
	free(real);
	assert_int_equal(policy_pin(&t->policy, "out/new", &pin, &e), 0);
	policy_unpin(&pin);
	assert_int_equal(policy_path(&t->policy, "none/x", &real, &e),
	                 -MSB_ERR_NOT_FOUND);
}

static void folders_must_be_there(void **state)
{
	struct mcp_options o = {0};
	struct policy p;
	struct err err = {0};

	(void)state;
	assert_int_equal(strv_add(&o.paths, "none"), 0);
	assert_int_equal(policy_open(&p, &o, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "--allow-path none"));
	strv_release(&o.paths);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(images),
		cmocka_unit_test(tools),
		cmocka_unit_test_setup_teardown(real_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(pins, setup, teardown),
		cmocka_unit_test_setup_teardown(paths_of_images, setup,
	                                        teardown),
		cmocka_unit_test_setup_teardown(images_as_they_really_are,
	                                        setup, teardown),
		cmocka_unit_test_setup_teardown(any_path, setup, teardown),
		cmocka_unit_test(folders_must_be_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
