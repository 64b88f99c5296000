#include "lib/test.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "lib/command.h"

static struct image_config config(const char *const *entrypoint,
                                  const char *const *cmd,
                                  const char *const *env)
{
	struct image_config c = {0};

	for (; entrypoint && *entrypoint; entrypoint++)
		assert_int_equal(strv_add(&c.entrypoint, *entrypoint), 0);
	for (; cmd && *cmd; cmd++)
		assert_int_equal(strv_add(&c.cmd, *cmd), 0);
	for (; env && *env; env++)
		assert_int_equal(strv_add(&c.env, *env), 0);
	return c;
}

static void config_release(struct image_config *c)
{
	strv_release(&c->entrypoint);
	strv_release(&c->cmd);
	strv_release(&c->env);
}

static const char *const entry[] = {"/entry", "-x", NULL};
static const char *const cmd[] = {"serve", "--port=1", NULL};
static const char *const args[] = {"ls", "-l", NULL};

static void check_argv(struct msb_exec_opts o, const char *want)
{
	struct image_config c = config(entry, cmd, NULL);
	struct command got = {0};
	char text[256] = "";

	assert_int_equal(command_compose(&c, &o, &got, NULL), 0);
	for (size_t i = 0; i < got.argv.n; i++) {
		size_t used = strlen(text);

		(void)snprintf(text + used, sizeof(text) - used, "%s%s",
		               i ? " " : "", got.argv.v[i]);
	}
	assert_string_equal(text, want);
	command_release(&got);
	config_release(&c);
}

static void image_command_is_entrypoint_and_cmd(void **state)
{
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;

	(void)state;
	o.flags = MSB_EXEC_IMAGE_COMMAND;
	check_argv(o, "/entry -x serve --port=1");
}

static void arguments_replace_cmd_and_keep_entrypoint(void **state)
{
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;

	(void)state;
	o.flags = MSB_EXEC_IMAGE_COMMAND;
	o.argv = args;
	check_argv(o, "/entry -x ls -l");
}

static void own_entrypoint_drops_both(void **state)
{
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;

	(void)state;
	o.flags = MSB_EXEC_IMAGE_COMMAND;
	o.entrypoint = "/bin/sh";
	check_argv(o, "/bin/sh");
	o.argv = args;
	check_argv(o, "/bin/sh ls -l");
	o.entrypoint = ""; /* docker: none at all */
	check_argv(o, "ls -l");
}

static void a_plain_command_ignores_the_image(void **state)
{
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;

	(void)state;
	o.argv = args;
	check_argv(o, "ls -l");
}

static void nothing_to_run_is_refused_with_a_hint(void **state)
{
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;
	struct image_config c = {0};
	struct command got = {0};
	struct err err = {0};

	(void)state;
	o.flags = MSB_EXEC_IMAGE_COMMAND;
	assert_int_equal(command_compose(&c, &o, &got, &err), -EINVAL);
	assert_non_null(strstr(err.hint, "--"));
	assert_null(got.argv.v);
}

static const char *env_of(const struct command *c, const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < c->env.n; i++)
		if (strncmp(c->env.v[i], key, len) == 0 &&
		    c->env.v[i][len] == '=')
			return c->env.v[i] + len + 1;
	return NULL;
}

static void environment_is_the_images_then_the_callers(void **state)
{
	static const char *const image_env[] = {"A=image", "B=image", "BAD",
	                                        "=x", NULL};
	static const char *const env[] = {"B=mine", "C=a=b", NULL};
	struct image_config c = config(entry, NULL, image_env);
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;
	struct command got = {0};

	(void)state;
	o.flags = MSB_EXEC_IMAGE_COMMAND;
	o.env = env;
	assert_int_equal(command_compose(&c, &o, &got, NULL), 0);
	assert_string_equal(env_of(&got, "A"), "image");
	assert_string_equal(env_of(&got, "B"), "mine");
	assert_string_equal(env_of(&got, "C"), "a=b");
	assert_string_equal(env_of(&got, "PATH"), MSB_DEFAULT_PATH);
	assert_null(env_of(&got, "TERM"));
	assert_int_equal(got.env.n, 4);
	command_release(&got);
	config_release(&c);
}

static void a_terminal_gets_term_unless_set(void **state)
{
	static const char *const env[] = {"TERM=vt100", NULL};
	struct image_config c = config(entry, NULL, NULL);
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;
	struct command got = {0};

	(void)state;
	o.flags = MSB_EXEC_IMAGE_COMMAND | MSB_EXEC_TTY;
	assert_int_equal(command_compose(&c, &o, &got, NULL), 0);
	assert_string_equal(env_of(&got, "TERM"), "xterm");
	command_release(&got);
	o.env = env;
	assert_int_equal(command_compose(&c, &o, &got, NULL), 0);
	assert_string_equal(env_of(&got, "TERM"), "vt100");
	command_release(&got);
	config_release(&c);
}

static void malformed_environment_is_refused(void **state)
{
	static const char *const bad[] = {"NOVALUE", NULL};
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;
	struct image_config c = {0};
	struct command got = {0};

	(void)state;
	o.argv = args;
	o.env = bad;
	assert_int_equal(command_compose(&c, &o, &got, NULL), -EINVAL);
}

static void folder_and_user_come_from_caller_or_image(void **state)
{
	char workdir[] = "srv/app", user[] = "www";
	struct image_config c = {.workdir = workdir, .user = user};
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;
	struct command got = {0};

	(void)state;
	o.argv = args;
	assert_int_equal(command_compose(&c, &o, &got, NULL), 0);
	assert_string_equal(got.cwd, "/srv/app");
	assert_string_equal(got.user, "www");
	command_release(&got);
	o.cwd = "/tmp";
	o.user = "0:0";
	assert_int_equal(command_compose(&c, &o, &got, NULL), 0);
	assert_string_equal(got.cwd, "/tmp");
	assert_string_equal(got.user, "0:0");
	command_release(&got);
	o.cwd = "tmp";
	assert_int_equal(command_compose(&c, &o, &got, NULL), -EINVAL);
	c = (struct image_config){0};
	o.cwd = NULL;
	assert_int_equal(command_compose(&c, &o, &got, NULL), 0);
	assert_string_equal(got.cwd, "/");
	command_release(&got);
}

static void rlimits_are_checked_and_completed(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: refused */
	} rows[] = {
		{"nofile=1024",      "nofile=1024:1024"           },
		{"nofile=1024:4096", "nofile=1024:4096"           },
		{"core=0:unlimited", "core=0:18446744073709551615"},
		{"nofile=2:1",       NULL                         },
		{"nofile",           NULL                         },
		{"nofile=",          NULL                         },
		{"nofile=x",         NULL                         },
		{"nofile=1:2:3",     NULL                         },
		{"files=1",          NULL                         },
		{"=1",               NULL                         },
	};
	struct image_config c = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *const list[] = {rows[i].text, NULL};
		struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;
		struct command got = {0};
		int r;

		o.argv = args;
		o.rlimits = list;
		r = command_compose(&c, &o, &got, NULL);
		assert_int_equal(r, rows[i].want ? 0 : -EINVAL);
		if (r == 0)
			assert_string_equal(got.rlimits.v[0], rows[i].want);
		command_release(&got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(image_command_is_entrypoint_and_cmd),
		cmocka_unit_test(arguments_replace_cmd_and_keep_entrypoint),
		cmocka_unit_test(own_entrypoint_drops_both),
		cmocka_unit_test(a_plain_command_ignores_the_image),
		cmocka_unit_test(nothing_to_run_is_refused_with_a_hint),
		cmocka_unit_test(environment_is_the_images_then_the_callers),
		cmocka_unit_test(a_terminal_gets_term_unless_set),
		cmocka_unit_test(malformed_environment_is_refused),
		cmocka_unit_test(folder_and_user_come_from_caller_or_image),
		cmocka_unit_test(rlimits_are_checked_and_completed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
