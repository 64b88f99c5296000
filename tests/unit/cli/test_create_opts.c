#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "cli/opt.h"
#include "forms/create_opts.h"

/* The commands' table as they have it, through the real parser. */
static const struct opt opts[] = {CREATE_OPTS{0}};
static const struct opt none[] = {{0}};

#define ARGS_MAX 40

static struct create_values values;
static struct create_plan plan;
static struct err err;
static char folder[] = "/tmp/msb-create-XXXXXX";

static int setup(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	create_plan_release(&plan);
	opt_release(opts, &values);
	values = (struct create_values){0};
	return 0;
}

static int cleanup_folder(void **state)
{
	(void)state;
	return dir_remove(AT_FDCWD, folder);
}

static void file(const char *name, const char *text)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(
		file_write_atomic(AT_FDCWD, path, text, strlen(text), 0600), 0);
}

/* @args end with NULL; '%' at an argument's begin is the test's folder. */
static int make(char *const *tail, const char *const *args)
{
	static char room[ARGS_MAX][256];
	char *argv[ARGS_MAX], *words[ARGS_MAX];
	struct opt_parser p = {
		.targets = {{opts, &values}, {none, NULL}},
		.argv = argv,
		.words_max = 1,
		.words = words
        };
	size_t n = 0;

	teardown(NULL);
	for (; args[n]; n++) {
		const char *at = strchr(args[n], '%');

		(void)snprintf(room[n], sizeof(room[n]), "%.*s%s%s",
		               at ? (int)(at - args[n]) : 256, args[n],
		               at ? folder : "", at ? at + 1 : "");
		argv[n] = room[n];
	}
	argv[n] = NULL;
	err = (struct err){0};
	assert_int_equal(opt_parse(&p, &err), OPT_DONE);
	return create_plan_make(&values, p.nwords ? words[0] : NULL, tail,
	                        &plan, &err);
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void makes(const char *const *args)
{
	if (make(NULL, args) < 0)
		fail_msg("%s", err.msg);
}

static void refuses(const char *const *args, const char *message)
{
	assert_true(make(NULL, args) < 0);
	if (!strstr(err.msg, message))
		fail_msg("'%s' is not in: %s", message, err.msg);
}

static void every_option_reaches_the_library(void **state)
{
	const struct msb_sandbox_opts *o = &plan.opts;

	(void)state;
	makes(ARGS("-n", "box", "-c2", "-m", "1G", "--root-disk", "3G", "-e",
	           "A=1", "-w", "/srv", "-u", "me", "-H", "host",
	           "--max-duration", "1500ms", "--idle-timeout", "1m", "--pull",
	           "never", "--engine", "qemu", "--accel", "tcg", "img"));
	assert_string_equal(plan.reference, "img");
	assert_int_equal(plan.pull, MSB_PULL_NEVER);
	assert_string_equal(o->name, "box");
	assert_int_equal(o->flags, MSB_SANDBOX_KEEP);
	assert_int_equal(o->cpus, 2);
	assert_int_equal(o->memory_bytes, GIB);
	assert_int_equal(o->upper_bytes, 3 * GIB);
	assert_string_equal(o->env[0], "A=1");
	assert_null(o->env[1]);
	assert_string_equal(o->workdir, "/srv");
	assert_string_equal(o->user, "me");
	assert_string_equal(o->hostname, "host");
	assert_int_equal(o->max_duration_s, 2);
	assert_int_equal(o->idle_timeout_s, 60);
	assert_int_equal(o->engine, MSB_ENGINE_QEMU);
	assert_int_equal(o->accel, MSB_ACCEL_TCG);
	makes(ARGS("img", "--label", "a", "--label", "b=c", "--rlimit",
	           "nofile=5", "--init", "auto", "--init-arg", "x",
	           "--init-env", "K=v", "--boot-timeout", "3s",
	           "--replace-with-timeout", "0", "--name=z"));
	assert_string_equal(o->labels[0], "a=");
	assert_string_equal(o->labels[1], "b=c");
	assert_string_equal(o->rlimits[0], "nofile=5");
	assert_string_equal(o->init, "auto");
	assert_string_equal(o->init_args[0], "x");
	assert_string_equal(o->init_env[0], "K=v");
	assert_int_equal(o->boot_timeout_ms, 3000);
	assert_int_equal(o->flags, MSB_SANDBOX_KEEP | MSB_SANDBOX_REPLACE);
	assert_int_equal(o->replace_timeout_ms, 1);
}

static void what_is_not_said_is_left_to_the_library(void **state)
{
	const struct msb_sandbox_opts *o = &plan.opts;

	(void)state;
	makes(ARGS("img"));
	assert_int_equal(plan.pull, MSB_PULL_MISSING);
	assert_int_equal(o->flags, 0);
	assert_int_equal(o->cpus, 0);
	assert_int_equal(o->memory_bytes, 0);
	assert_int_equal(o->engine, MSB_ENGINE_DEFAULT);
	assert_null(o->env);
	assert_null(o->shell);
	assert_null(o->workdir);
	assert_null(o->entrypoint);
	assert_null(o->command);
	assert_null(o->scripts);
}

static void flags_win_over_files_and_right_over_left(void **state)
{
	const struct msb_sandbox_opts *o = &plan.opts;

	(void)state;
	file("a.yaml", "{image: one, cpus: 1, memory: 1G, workdir: /a, "
	               "env: {A: a, B: b}, pull_policy: always, "
	               "rlimits: [{resource: nofile, soft: 1}]}");
	file("b.yaml", "{cpus: 2, memory: 2G, env: {B: c}}");
	makes(ARGS("--conf", "%/a.yaml", "--conf", "%/b.yaml", "-m", "3G", "-e",
	           "A=z", "--rlimit", "nofile=7", "--rlimit", "nproc=3"));
	assert_string_equal(plan.reference, "one");
	assert_int_equal(plan.pull, MSB_PULL_ALWAYS);
	assert_int_equal(o->cpus, 2);
	assert_int_equal(o->memory_bytes, 3 * GIB);
	assert_string_equal(o->workdir, "/a");
	assert_string_equal(o->env[0], "A=z");
	assert_string_equal(o->env[1], "B=c");
	assert_string_equal(o->rlimits[0], "nofile=7");
	assert_string_equal(o->rlimits[1], "nproc=3");
}

static void interleaved_files_keep_their_order(void **state)
{
	(void)state;
	file("a.yaml", "{image: one, cpus: 1}");
	file("r.yaml", "{cpus: 4}");
	makes(ARGS("--conf", "%/a.yaml", "--resource-conf", "%/r.yaml"));
	assert_int_equal(plan.opts.cpus, 4);
	makes(ARGS("--resource-conf", "%/r.yaml", "--conf", "%/a.yaml"));
	assert_int_equal(plan.opts.cpus, 1);
	assert_string_equal(plan.reference, "one");
	makes(ARGS("--conf", "%/a.yaml", "two"));
	assert_string_equal(plan.reference, "two");
}

static void command_is_the_tail_else_the_files(void **state)
{
	static char word[] = "t";
	char *const tail[] = {word, NULL};

	(void)state;
	file("c.yaml", "{image: a, cmd: [x, y]}");
	makes(ARGS("--conf", "%/c.yaml"));
	assert_string_equal(plan.opts.command[1], "y");
	assert_int_equal(make(tail, ARGS("--conf", "%/c.yaml")), 0);
	assert_string_equal(plan.opts.command[0], "t");
	assert_null(plan.opts.command[1]);
	file("d.yaml", "{image: a, cmd: [x], entrypoint: [/bin/sh, -c]}");
	makes(ARGS("--conf", "%/d.yaml"));
	assert_string_equal(plan.opts.entrypoint, "/bin/sh");
	assert_string_equal(plan.opts.command[0], "-c");
	assert_string_equal(plan.opts.command[1], "x");
	makes(ARGS("--conf", "%/d.yaml", "--entrypoint", "/bin/echo"));
	assert_string_equal(plan.opts.entrypoint, "/bin/echo");
	assert_string_equal(plan.opts.command[0], "x");
	file("e.yaml", "{image: a, entrypoint: []}");
	makes(ARGS("--conf", "%/e.yaml"));
	assert_string_equal(plan.opts.entrypoint, "");
	assert_null(plan.opts.command);
}

static void scripts_get_what_they_need(void **state)
{
	(void)state;
	file("s.sh", "echo from a file");
	file("s.yaml", "{image: a, scripts: {y: 'echo y', one: gone}}");
	makes(ARGS("--conf", "%/s.yaml", "--shell", "bash", "--script",
	           "one=echo \\\"a\\\"\\n\\techo \\d", "--script-raw",
	           "two=#!/x\\n", "--script-path", "three:%/s.sh"));
	assert_string_equal(plan.opts.scripts[0],
	                    "y=#!/usr/bin/env bash\necho y\n");
	assert_string_equal(plan.opts.scripts[1],
	                    "one=#!/usr/bin/env bash\necho \"a\"\n\techo "
	                    "\\d\n");
	assert_string_equal(plan.opts.scripts[2], "two=#!/x\\n");
	assert_string_equal(plan.opts.scripts[3],
	                    "three=#!/usr/bin/env bash\necho from a file\n");
	makes(ARGS("img", "--script", "a=#!/bin/x\\ny"));
	assert_string_equal(plan.opts.scripts[0], "a=#!/bin/x\ny\n");
	makes(ARGS("img", "--script", "a=b"));
	assert_string_equal(plan.opts.scripts[0], "a=#!/bin/sh\nb\n");
}

static void wrong_options_are_refused(void **state)
{
	(void)state;
	refuses(ARGS("-c", "1"), "an image is missing");
	refuses(ARGS("a", "--replace"), "--replace needs a --name");
	refuses(ARGS("a", "-n", "b", "--replace-with-timeout", "soon"),
	        "'soon' is not a duration");
	refuses(ARGS("a", "--root-disk", "tmpfs:much"), "is neither a size");
	refuses(ARGS("a", "--root-disk", "./disk.raw"), "is neither a size");
	refuses(ARGS("a", "--init-arg", "b"), "need --init");
	refuses(ARGS("a", "--shell", "bash -c"), "is not a shell");
	refuses(ARGS("a", "--label", "=b"), "--label: '=b' is not");
	refuses(ARGS("a", "--engine", "kvm", "--accel", "tcg"),
	        "exclude each other");
	refuses(ARGS("a", "--script", "b"), "--script: 'b' is not NAME=BODY");
	refuses(ARGS("a", "--script", "../b=c"), "is not NAME=BODY");
	refuses(ARGS("a", "--script-path", "b:/nonexistent"),
	        "cannot read '/nonexistent': No such file");
	refuses(ARGS("a", "--script-path", "b:/dev/zero"), "not a file");
	refuses(ARGS("a", "--script", "b=c", "--script-raw", "b=d"),
	        "script 'b' is given twice");
	refuses(ARGS("a", "--conf", "%/none.yaml"), "none.yaml': No such file");
	refuses(ARGS("a", "--secret-conf", "/nonexistent"),
	        "--secret-conf: cannot read '/nonexistent'");
	refuses(ARGS("a", "--secret", "A"), "is not ENV[:OPTIONS]@HOST");
	refuses(ARGS("a", "--max-duration", "99999999d"), "is too long");
	file("bad.yaml", "cpus: 1\nimages: x\n");
	refuses(ARGS("a", "--conf", "%/bad.yaml"), "bad.yaml:2:1: unknown key");
}

static void a_script_with_a_nul_is_refused(void **state)
{
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/nul", folder);
	assert_int_equal(file_write_atomic(AT_FDCWD, path, "a\0b", 3, 0600), 0);
	refuses(ARGS("a", "--script-path", "b:%/nul"), "it has a NUL");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_option_reaches_the_library),
		TEST(what_is_not_said_is_left_to_the_library),
		TEST(flags_win_over_files_and_right_over_left),
		TEST(interleaved_files_keep_their_order),
		TEST(command_is_the_tail_else_the_files),
		TEST(scripts_get_what_they_need),
		TEST(wrong_options_are_refused),
		TEST(a_script_with_a_nul_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, cleanup_folder);
}
