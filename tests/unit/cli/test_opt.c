#include "lib/test.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "cli/command.h"
#include "cli/opt.h"

struct values {
	bool quiet, tty;
	const char *name;
	struct strv list, env, files;
	uint32_t cpus;
	uint64_t memory, timeout;
	int32_t when, engine;
};

static const char *const when_choices[] = {"missing", "always", NULL};
static const char *const engine_choices[] = {"", "auto", "kvm", NULL};

#define FIELD(f) offsetof(struct values, f)
static const struct opt opts[] = {
	OPT_ROW('q', "quiet", NULL, OPT_FLAG, FIELD(quiet), ""),
	OPT_ROW('t', "tty", NULL, OPT_FLAG, FIELD(tty), ""),
	OPT_ROW('n', "name", "NAME", OPT_STRING, FIELD(name), ""),
	OPT_ROW('l', "list", "X", OPT_LIST, FIELD(list), ""),
	OPT_ROW('e', "env", "K=V", OPT_ENV, FIELD(env), ""),
	OPT_ROW('c', "cpus", "N", OPT_COUNT, FIELD(cpus), ""),
	OPT_ROW('m', "memory", "SIZE", OPT_MEMORY, FIELD(memory), ""),
	OPT_ROW(0, "timeout", "D", OPT_DURATION, FIELD(timeout), ""),
	OPT_ROW_CHOICE(0, "when", "W", FIELD(when), "", when_choices,
                       "MSB_TEST_WHEN"),
	OPT_ROW_CHOICE(0, "engine", "E", FIELD(engine), "", engine_choices,
                       "MSB_TEST_ENGINE"),
	OPT_ROW(0, "file", "PATH", OPT_NAMED, FIELD(files), ""),
	OPT_ROW(0, "other-file", "PATH", OPT_NAMED, FIELD(files), ""),
	OPT_ROW(0, "secret", "X", OPT_STRING, FIELD(name), NULL),
	{0},
};
static const struct opt globals[] = {
	OPT_ROW('h', "help", NULL, OPT_FLAG, 0, ""),
	{0},
};

#define ARGS_MAX 32

struct parse {
	struct values v;
	struct opt_parser p;
	struct err err;
	char *argv[ARGS_MAX], *words[ARGS_MAX];
	int r;
};

/* @line is cut at spaces. */
static struct parse *parse(char *line, bool tail, int words_max)
{
	static struct parse x;
	static bool help;
	size_t n = 0;

	opt_release(opts, &x.v);
	x = (struct parse){0};
	for (char *save, *s = strtok_r(line, " ", &save); s;
	     s = strtok_r(NULL, " ", &save))
		x.argv[n++] = s;
	x.p = (struct opt_parser){
		.targets = {{opts, &x.v}, {globals, &help}},
		.argv = x.argv,
		.tail = tail,
		.words_max = words_max,
		.words = x.words
        };
	x.r = opt_parse(&x.p, &x.err);
	return &x;
}

#define PARSE(text)                                                            \
	({                                                                     \
		static char line_[] = text;                                    \
		parse(line_, false, -1);                                       \
	})
#define PARSE_RUN(text)                                                        \
	({                                                                     \
		static char line_[] = text;                                    \
		parse(line_, true, 1);                                         \
	})

static void all_spellings_of_a_value_work(void **state)
{
	(void)state;
	assert_string_equal(PARSE("--name x")->v.name, "x");
	assert_string_equal(PARSE("--name=x")->v.name, "x");
	assert_string_equal(PARSE("--name=")->v.name, "");
	assert_string_equal(PARSE("-n x")->v.name, "x");
	assert_string_equal(PARSE("-nx")->v.name, "x");
	assert_string_equal(PARSE("-n=x")->v.name, "x");
	assert_string_equal(PARSE("-qtn x")->v.name, "x");
	assert_true(PARSE("-qtnx")->v.tty);
}

static void options_may_stand_behind_words(void **state)
{
	struct parse *x = PARSE("a -q b --name=n -- -t c");

	(void)state;
	assert_int_equal(x->r, OPT_DONE);
	assert_true(x->v.quiet);
	assert_false(x->v.tty);
	assert_int_equal(x->p.nwords, 4);
	assert_string_equal(x->words[2], "-t");
}

static void a_lone_dash_is_a_word(void **state)
{
	(void)state;
	assert_string_equal(PARSE("-q -")->words[0], "-");
}

static void what_follows_the_dashes_is_the_command(void **state)
{
	struct parse *x = PARSE_RUN("-q image -t -- ls -n --cpus");

	(void)state;
	assert_int_equal(x->p.nwords, 1);
	assert_true(x->v.tty);
	assert_null(x->v.name);
	assert_string_equal(x->p.rest[0], "ls");
	assert_string_equal(x->p.rest[2], "--cpus");
}

static void the_second_word_begins_the_command_too(void **state)
{
	struct parse *x = PARSE_RUN("image -q ls -t -l");

	(void)state;
	assert_true(x->v.quiet);
	assert_false(x->v.tty);
	assert_string_equal(x->p.rest[0], "ls");
	assert_string_equal(x->p.rest[2], "-l");
	assert_null(PARSE_RUN("image")->p.rest);
	assert_null(*PARSE_RUN("image --")->p.rest);
}

static void values_are_parsed(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-c 4")->v.cpus, 4);
	assert_int_equal(PARSE("-m 512")->v.memory, 512 * MIB);
	assert_int_equal(PARSE("-m512M")->v.memory, 512 * MIB);
	assert_int_equal(PARSE("-m 1.5g")->v.memory, 1536 * MIB);
	assert_int_equal(PARSE("--timeout 2")->v.timeout, 2000);
	assert_int_equal(PARSE("--timeout 500ms")->v.timeout, 500);
	assert_int_equal(PARSE("--timeout 5m")->v.timeout, 300000);
	assert_int_equal(PARSE("--when always")->v.when, 1);
	assert_int_equal(PARSE("-l a -l b --list c")->v.list.n, 3);
}

static void refused(struct parse *x, const char *message, const char *hint)
{
	assert_int_equal(x->r, -EINVAL);
	if (!strstr(x->err.msg, message) || !strstr(x->err.hint, hint))
		fail_msg("'%s' / '%s'", x->err.msg, x->err.hint);
}

static void wrong_values_are_named(void **state)
{
	(void)state;
	refused(PARSE("-c 0"), "--cpus: '0'", "");
	refused(PARSE("-c 1x"), "--cpus: '1x'", "");
	refused(PARSE("-c -1"), "--cpus: '-1'", "");
	refused(PARSE("-m lots"), "--memory: 'lots'", "512M");
	refused(PARSE("-m 0"), "--memory: '0'", "512M");
	refused(PARSE("--timeout 1y"), "--timeout: '1y'", "30s");
	refused(PARSE("--timeout 0"), "--timeout: '0'", "30s");
	refused(PARSE("--when never"), "'never'", "missing, always");
	refused(PARSE("--name"), "--name needs a value", "");
	refused(PARSE("-qn"), "--name needs a value", "");
	refused(PARSE("--quiet=1"), "--quiet takes no value", "");
}

static void unknown_options_come_with_a_suggestion(void **state)
{
	(void)state;
	refused(PARSE("--memroy 1"), "'--memroy'", "--memory");
	refused(PARSE("--time=1"), "'--time'", "");
	refused(PARSE("--zzzzzz"), "'--zzzzzz'", "");
	assert_string_equal(PARSE("--zzzzzz")->err.hint, "");
	refused(PARSE("-qx"), "'-x'", "");
	/* hidden ones are not suggested */
	assert_string_equal(PARSE("--secre 1")->err.hint, "");
	assert_int_equal(PARSE("--secret 1")->r, OPT_DONE);
}

static void environment_values_may_come_from_here(void **state)
{
	struct parse *x;

	(void)state;
	(void)setenv("MSB_TEST_A", "from here", 1);
	(void)unsetenv("MSB_TEST_B");
	x = PARSE("-e MSB_TEST_A -e B=b=c -e C=");
	assert_string_equal(x->v.env.v[0], "MSB_TEST_A=from here");
	assert_string_equal(x->v.env.v[1], "B=b=c");
	assert_string_equal(x->v.env.v[2], "C=");
	refused(PARSE("-e MSB_TEST_B"), "MSB_TEST_B is not set", "VALUE");
	refused(PARSE("-e =x"), "'=x'", "");
}

static void a_variable_gives_the_default_of_a_choice(void **state)
{
	struct values v = {0};
	struct opt_target t = {opts, &v};
	struct err err = {0};

	(void)state;
	(void)setenv("MSB_TEST_WHEN", "always", 1);
	assert_int_equal(opt_defaults(&t, &err), 0);
	assert_int_equal(v.when, 1);
	v.when = 0;
	(void)setenv("MSB_TEST_WHEN", "bogus", 1);
	assert_int_equal(opt_defaults(&t, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "MSB_TEST_WHEN"));
	(void)unsetenv("MSB_TEST_WHEN");
	assert_int_equal(opt_defaults(&t, &err), 0);
}

static void a_choice_that_is_auto_beats_its_variable(void **state)
{
	struct opt_target t = {opts, NULL};
	struct parse *x;

	(void)state;
	(void)setenv("MSB_TEST_ENGINE", "kvm", 1);
	x = PARSE("--engine auto");
	t.values = &x->v;
	assert_int_equal(opt_defaults(&t, NULL), 0);
	assert_string_equal(engine_choices[x->v.engine], "auto");
	x = PARSE("x");
	assert_int_equal(opt_defaults(&t, NULL), 0);
	assert_string_equal(engine_choices[x->v.engine], "kvm");
	(void)unsetenv("MSB_TEST_ENGINE");
	x = PARSE("x");
	assert_int_equal(opt_defaults(&t, NULL), 0);
	assert_int_equal(x->v.engine, 0);
	refused(PARSE("--engine="), "''", "one of: auto, kvm");
	refused(PARSE("--engine xen"), "'xen'", "one of: auto, kvm");
}

static void help_ends_the_parse(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--help --bogus")->r, OPT_HELP);
	assert_int_equal(PARSE("-qh")->r, OPT_HELP);
	assert_int_equal(PARSE_RUN("image -- ls --help")->r, OPT_DONE);
}

static void the_nearest_name_is_found(void **state)
{
	static const char *const names[] = {"run", "pull", "image", "doctor"};

	(void)state;
	assert_string_equal(opt_nearest("rnu", names, 4), "run");
	assert_string_equal(opt_nearest("docter", names, 4), "doctor");
	assert_string_equal(opt_nearest("imgae", names, 4), "image");
	assert_null(opt_nearest("xyz", names, 4));
	assert_null(opt_nearest("", names, 4));
	assert_null(opt_nearest("a-very-long-word-that-nobody-would-ever-type-"
	                        "and-longer-than-the-limit-of-the-table",
	                        names, 4));
}

static void check_group(const struct command *group)
{
	for (const struct command *c = group->sub; c->name; c++) {
		assert_non_null(c->summary);
		assert_non_null(c->usage);
		assert_true((c->run != NULL) != (c->sub != NULL));
		assert_ptr_equal(command_find(group, c->name), c);
		for (const struct opt *o = c->opts; o && o->name; o++) {
			assert_true((o->kind == OPT_FLAG) == !o->value);
			assert_true((o->kind == OPT_CHOICE) == !!o->choices);
			for (const struct opt *p = o + 1; p->name; p++) {
				assert_string_not_equal(o->name, p->name);
				assert_true(!o->letter ||
				            o->letter != p->letter);
			}
			for (const struct opt *g = command_global_opts; g->name;
			     g++) {
				assert_string_not_equal(o->name, g->name);
				assert_true(!g->letter ||
				            o->letter != g->letter);
			}
		}
		if (c->sub)
			check_group(c);
	}
}

static void the_command_table_is_sound(void **state)
{
	(void)state;
	check_group(&command_root);
	assert_non_null(command_find(&command_root, "images"));
	assert_string_equal(
		command_find(command_find(&command_root, "image"), "rm")->name,
		"remove");
	assert_null(command_find(&command_root, "ru"));
}

static void named_options_share_a_list_in_their_order(void **state)
{
	struct parse *x = PARSE("--file a --other-file=b:c --file d");

	(void)state;
	assert_int_equal(x->r, OPT_DONE);
	assert_int_equal(x->v.files.n, 3);
	assert_string_equal(x->v.files.v[0], "file:a");
	assert_string_equal(x->v.files.v[1], "other-file:b:c");
	assert_string_equal(x->v.files.v[2], "file:d");
}

static void values_become_the_same_arguments_again(void **state)
{
	static const char *const want[] = {
		"--quiet",         "--name=x",         "--list=1",
		"--list=--2",      "--env=A=b",        "--cpus=3",
		"--memory=65536K", "--timeout=1500ms", "--when=always",
		"--engine=kvm",    "--file=a",         "--other-file=b:c",
		"--file=d",
	};
	struct parse *x = PARSE("-q -n x -l 1 --list=--2 -e A=b -c3 -m 64 "
	                        "--timeout 1500ms --file a --other-file=b:c "
	                        "--file d --when always --engine kvm");
	struct strv cleanup_strv out = {0};

	(void)state;
	assert_int_equal(opt_unparse(opts, &x->v, &out), 0);
	assert_int_equal(out.n, ARRAY_SIZE(want));
	for (size_t i = 0; i < out.n; i++)
		assert_string_equal(out.v[i], want[i]);
	x = PARSE("word");
	strv_release(&out);
	assert_int_equal(opt_unparse(opts, &x->v, &out), 0);
	assert_int_equal(out.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_spellings_of_a_value_work),
		cmocka_unit_test(options_may_stand_behind_words),
		cmocka_unit_test(a_lone_dash_is_a_word),
		cmocka_unit_test(what_follows_the_dashes_is_the_command),
		cmocka_unit_test(the_second_word_begins_the_command_too),
		cmocka_unit_test(values_are_parsed),
		cmocka_unit_test(wrong_values_are_named),
		cmocka_unit_test(unknown_options_come_with_a_suggestion),
		cmocka_unit_test(environment_values_may_come_from_here),
		cmocka_unit_test(a_variable_gives_the_default_of_a_choice),
		cmocka_unit_test(a_choice_that_is_auto_beats_its_variable),
		cmocka_unit_test(help_ends_the_parse),
		cmocka_unit_test(the_nearest_name_is_found),
		cmocka_unit_test(the_command_table_is_sound),
		cmocka_unit_test(named_options_share_a_list_in_their_order),
		cmocka_unit_test(values_become_the_same_arguments_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
