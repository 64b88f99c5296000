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

	assert_int_equal(command_compose(&c, NULL, &o, &got, NULL), 0);
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
	assert_int_equal(command_compose(&c, NULL, &o, &got, &err), -EINVAL);
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
	assert_int_equal(command_compose(&c, NULL, &o, &got, NULL), 0);
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
	assert_int_equal(command_compose(&c, NULL, &o, &got, NULL), 0);
	assert_string_equal(env_of(&got, "TERM"), "xterm");
	command_release(&got);
	o.env = env;
	assert_int_equal(command_compose(&c, NULL, &o, &got, NULL), 0);
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
	assert_int_equal(command_compose(&c, NULL, &o, &got, NULL), -EINVAL);
}

static void folder_and_user_come_from_caller_or_image(void **state)
{
	char workdir[] = "srv/app", user[] = "www";
	struct image_config c = {.workdir = workdir, .user = user};
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;
	struct command got = {0};

	(void)state;
	o.argv = args;
	assert_int_equal(command_compose(&c, NULL, &o, &got, NULL), 0);
	assert_string_equal(got.cwd, "/srv/app");
	assert_string_equal(got.user, "www");
	command_release(&got);
	o.cwd = "/tmp";
	o.user = "0:0";
	assert_int_equal(command_compose(&c, NULL, &o, &got, NULL), 0);
	assert_string_equal(got.cwd, "/tmp");
	assert_string_equal(got.user, "0:0");
	command_release(&got);
	o.cwd = "tmp";
	assert_int_equal(command_compose(&c, NULL, &o, &got, NULL), -EINVAL);
	c = (struct image_config){0};
	o.cwd = NULL;
	assert_int_equal(command_compose(&c, NULL, &o, &got, NULL), 0);
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
		r = command_compose(&c, NULL, &o, &got, NULL);
		assert_int_equal(r, rows[i].want ? 0 : -EINVAL);
		if (r == 0)
			assert_string_equal(got.rlimits.v[0], rows[i].want);
		command_release(&got);
	}
}

/* ---- what the sandbox was made with ------------------------------------- */

static void add(struct strv *s, const char *const *list)
{
	for (; *list; list++)
		assert_int_equal(strv_add(s, *list), 0);
}

struct three {
	struct image_config image;
	struct sandbox_config sandbox;
	struct msb_exec_opts exec;
	struct command got;
};

static struct three three(void)
{
	return (struct three){.exec = MSB_EXEC_OPTS_INIT};
}

static void compose(struct three *t)
{
	command_release(&t->got);
	assert_int_equal(command_compose(&t->image, &t->sandbox, &t->exec,
	                                 &t->got, NULL),
	                 0);
}

static void three_end(struct three *t)
{
	command_release(&t->got);
	config_release(&t->image);
	strv_release(&t->sandbox.env);
	strv_release(&t->sandbox.rlimits);
	strv_release(&t->sandbox.scripts);
}

static void the_sandbox_goes_over_the_image_and_under_the_caller(void **state)
{
	static const char *const of_image[] = {"A=i", "B=i", "C=i", NULL};
	static const char *const of_sandbox[] = {"B=s", "C=s", NULL};
	static const char *const of_exec[] = {"C=e", NULL};
	static const char *const limits[] = {"nofile=10", "nproc=5", NULL};
	static const char *const exec_limits[] = {"nofile=20:30", NULL};
	struct three t = three();

	(void)state;
	add(&t.image.env, of_image);
	add(&t.sandbox.env, of_sandbox);
	add(&t.sandbox.rlimits, limits);
	t.image.workdir = (char *)(uintptr_t) "/image";
	t.image.user = (char *)(uintptr_t) "image";
	t.exec.argv = args;
	compose(&t);
	assert_string_equal(t.got.cwd, "/image");
	assert_string_equal(t.got.user, "image");
	t.sandbox.workdir = (char *)(uintptr_t) "/sandbox";
	t.sandbox.user = (char *)(uintptr_t) "sandbox";
	compose(&t);
	assert_string_equal(t.got.cwd, "/sandbox");
	assert_string_equal(t.got.user, "sandbox");
	t.exec.cwd = "/exec";
	t.exec.user = "exec";
	t.exec.env = of_exec;
	t.exec.rlimits = exec_limits;
	compose(&t);
	assert_string_equal(t.got.cwd, "/exec");
	assert_string_equal(t.got.user, "exec");
	assert_string_equal(env_of(&t.got, "A"), "i");
	assert_string_equal(env_of(&t.got, "B"), "s");
	assert_string_equal(env_of(&t.got, "C"), "e");
	assert_int_equal(t.got.rlimits.n, 2);
	assert_string_equal(t.got.rlimits.v[0], "nofile=20:30");
	assert_string_equal(t.got.rlimits.v[1], "nproc=5:5");
	three_end(&t);
}

static void scripts_come_first_on_the_path_once(void **state)
{
	static const char *const scripts[] = {"hi=#!/bin/sh\n", NULL};
	static const char *const own[] = {"PATH=/own", NULL};
	static const char *const none[] = {"PATH=", NULL};
	static const char *const there[] = {"PATH=/.msb/scripts:/x", NULL};
	static const struct {
		const char *const *env;
		const char *want;
	} rows[] = {
		{NULL,  "/.msb/scripts:" MSB_DEFAULT_PATH},
		{own,   "/.msb/scripts:/own"             },
		{none,  "/.msb/scripts"                  },
		{there, "/.msb/scripts:/x"               },
	};
	struct three t = three();

	(void)state;
	t.exec.argv = args;
	compose(&t);
	assert_string_equal(env_of(&t.got, "PATH"), MSB_DEFAULT_PATH);
	add(&t.sandbox.scripts, scripts);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		t.exec.env = rows[i].env;
		compose(&t);
		assert_string_equal(env_of(&t.got, "PATH"), rows[i].want);
	}
	three_end(&t);
}

static void reserved_variables_are_refused(void **state)
{
	static const char *const taken[] = {"MSB_HOME=/x", NULL};
	static const char *const like[] = {"MSBX=1", "XMSB_=1", NULL};
	struct three t = three();
	struct err err = {0};

	(void)state;
	t.exec.argv = args;
	t.exec.env = like;
	compose(&t);
	t.exec.env = taken;
	assert_int_equal(
		command_compose(&t.image, &t.sandbox, &t.exec, &t.got, &err),
		-EINVAL);
	assert_non_null(strstr(err.msg, "MSB_HOME is reserved"));
	add(&t.sandbox.env, taken);
	assert_int_equal(command_check(&t.sandbox, &err), -EINVAL);
	three_end(&t);
}

static void join(const struct strv *s, char *text, size_t len)
{
	*text = '\0';
	for (size_t i = 0; i < s->n; i++) {
		size_t used = strlen(text);

		(void)snprintf(text + used, len - used, "%s%s", i ? "|" : "",
		               s->v[i]);
	}
}

static void the_shell_is_the_sandboxes(void **state)
{
	static const char *const script[] = {"echo $1", "a", "b", NULL};
	struct three t = three();
	char text[128];

	(void)state;
	t.exec.flags = MSB_EXEC_SHELL;
	compose(&t);
	join(&t.got.argv, text, sizeof(text));
	assert_string_equal(text, "/bin/sh");
	t.exec.argv = script;
	t.sandbox.shell = (char *)(uintptr_t) "/bin/ash";
	compose(&t);
	join(&t.got.argv, text, sizeof(text));
	assert_string_equal(text, "/bin/ash|-c|echo $1|/bin/ash|a|b");
	three_end(&t);
}

static void the_sandboxes_entrypoint_is_the_images_in_its_place(void **state)
{
	struct three t = three();
	char text[128];

	(void)state;
	add(&t.image.entrypoint, entry);
	add(&t.image.cmd, cmd);
	t.sandbox.entrypoint = (char *)(uintptr_t) "/mine";
	t.exec.flags = MSB_EXEC_IMAGE_COMMAND;
	compose(&t);
	join(&t.got.argv, text, sizeof(text));
	assert_string_equal(text, "/mine");
	t.exec.argv = args;
	compose(&t);
	join(&t.got.argv, text, sizeof(text));
	assert_string_equal(text, "/mine|ls|-l");
	t.exec.flags = 0;
	compose(&t);
	join(&t.got.argv, text, sizeof(text));
	assert_string_equal(text, "ls|-l");
	three_end(&t);
}

static void a_sandbox_is_checked_when_it_is_made(void **state)
{
	static const char *const bad_limit[] = {"files=1", NULL};
	struct sandbox_config c = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(command_check(&c, &err), 0);
	c.workdir = (char *)(uintptr_t) "here";
	assert_int_equal(command_check(&c, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "here"));
	c.workdir = NULL;
	c.shell = (char *)(uintptr_t) "sh";
	assert_int_equal(command_check(&c, &err), -EINVAL);
	c.shell = NULL;
	add(&c.rlimits, bad_limit);
	assert_int_equal(command_check(&c, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "files=1"));
	strv_release(&c.rlimits);
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
		cmocka_unit_test(
			the_sandbox_goes_over_the_image_and_under_the_caller),
		cmocka_unit_test(scripts_come_first_on_the_path_once),
		cmocka_unit_test(reserved_variables_are_refused),
		cmocka_unit_test(the_shell_is_the_sandboxes),
		cmocka_unit_test(
			the_sandboxes_entrypoint_is_the_images_in_its_place),
		cmocka_unit_test(a_sandbox_is_checked_when_it_is_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
