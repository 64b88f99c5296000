/* A sandbox's configuration: what is written is what is read. */
#include "lib/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "lib/record.h"

static const char *const env[] = {"A=1", "B=x\xff\x01y", NULL};
static const char *const scripts[] = {"hi=#!/bin/sh\necho =\n", NULL};
static const char *const nothing[] = {NULL};

static void take(struct sandbox_config *ret)
{
	struct msb_sandbox_opts o = MSB_SANDBOX_OPTS_INIT;
	struct image_config image = {0};

	assert_int_equal(strv_add(&image.entrypoint, "/e"), 0);
	assert_int_equal(strv_add(&image.env, "PATH=/p"), 0);
	image.workdir = (char *)(uintptr_t) "/w";
	o.cpus = 3;
	o.memory_bytes = 512 * MIB;
	o.engine = MSB_ENGINE_QEMU;
	o.accel = MSB_ACCEL_TCG;
	o.env = env;
	o.scripts = scripts;
	o.user = "";
	o.init = "auto";
	o.command = nothing;
	o.idle_timeout_s = 9;
	assert_int_equal(sandbox_config_take(ret, &o, &image), 0);
	strv_release(&image.entrypoint);
	strv_release(&image.env);
}

static void what_is_written_is_read(void **state)
{
	struct sandbox_config cleanup_sandbox_config c = {0};
	struct sandbox_config cleanup_sandbox_config d = {0};
	cleanup_free char *text = NULL, *again = NULL;

	(void)state;
	take(&c);
	c.root.no_links = 1;
	text = sandbox_config_write(&c);
	assert_non_null(text);
	assert_int_equal(sandbox_config_read(text, &d, NULL), 0);
	assert_int_equal(d.root.no_links, 1);
	assert_int_equal(d.cpus, 3);
	assert_int_equal(d.memory_bytes, 512 * MIB);
	assert_int_equal(d.upper_bytes, MSB_UPPER_DEFAULT);
	assert_int_equal(d.idle_timeout_s, 9);
	assert_string_equal(d.env.v[1], env[1]); /* bytes that are no UTF-8 */
	assert_string_equal(d.scripts.v[0], scripts[0]);
	assert_string_equal(d.user, ""); /* set, and empty: not the same */
	assert_null(d.shell);
	assert_string_equal(d.init, "auto");
	assert_int_equal(d.has_main, 1);
	assert_int_equal(d.command.n, 0);
	assert_string_equal(d.image.entrypoint.v[0], "/e");
	assert_string_equal(d.image.workdir, "/w");
	again = sandbox_config_write(&d);
	assert_string_equal(text, again);
}

static void without_a_command_there_is_no_main(void **state)
{
	struct sandbox_config cleanup_sandbox_config c = {0};
	struct msb_sandbox_opts o = MSB_SANDBOX_OPTS_INIT;
	const struct image_config image = {0};

	(void)state;
	assert_int_equal(sandbox_config_take(&c, &o, &image), 0);
	assert_int_equal(c.has_main, 0);
}

static void keys_of_a_newer_msb_are_left_out(void **state)
{
	struct sandbox_config cleanup_sandbox_config c = {0};

	(void)state;
	assert_int_equal(
		sandbox_config_read("{\"cpus\":2,\"colour\":1}", &c, NULL), 0);
	assert_int_equal(c.cpus, 2);
}

static void a_record_that_is_wrong_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{",
		"{\"cpus\":-1}",
		"{\"cpus\":4294967296}",
		"{\"cpus\":\"2\"}",
		"{\"cpus\":1,\"cpus\":2}",
		"{\"memory_bytes\":-5}",
		"{\"engine\":4}",
		"{\"accel\":4}",
		"{\"accel\":4294967295}",
		"{\"user\":5}",
		"{\"user\":\"a\\u0000b\"}",
		"{\"user\":{\"hex\":\"6\"}}",
		"{\"user\":{\"hex\":\"00\"}}",
		"{\"user\":{\"hex\":\"zz\"}}",
		"{\"env\":\"A=1\"}",
		"{\"env\":[1]}",
		"{\"env\":[null]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct sandbox_config c = {0};
		struct err err = {0};

		assert_int_equal(sandbox_config_read(bad[i], &c, &err),
		                 -EUCLEAN);
		assert_true(err.msg[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(without_a_command_there_is_no_main),
		cmocka_unit_test(keys_of_a_newer_msb_are_left_out),
		cmocka_unit_test(a_record_that_is_wrong_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
