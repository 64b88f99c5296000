/*
 * main.c - from the command line to a command: options, words, the table.
 * What a command does is in cmd_NAME.c; this file only finds it.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/num.h"
#include "cli/command.h"
#include "cli/out.h"

#include "base/banned.h"

#define PATH_LEN  128
#define NAMES_MAX 64

/* Descriptors 0 to 2 must not be taken by a socket that we open. */
static int open_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return -errno;
	} while (fd <= 2 && fcntl(fd, F_SETFD, 0) == 0);
	(void)close(fd);
	return 0;
}

static void set_log_level(struct cli *cli)
{
	static const char *const names[] = {"none", "error", "warn",
	                                    "info", "debug", "trace"};
	const bool flags[] = {false,     cli->error, cli->warn,
	                      cli->info, cli->debug, cli->trace};
	const char *env = getenv("MSB_LOG");
	enum log_level level = LOG_ERROR;

	for (size_t i = 1; i < ARRAY_SIZE(names); i++) {
		if (flags[i] ||
		    (env && strcmp(env, names[i]) == 0 && !cli->log_level)) {
			cli->log_level = names[i];
			level = (enum log_level)i;
		}
	}
	log_setup("msb", 2, level);
}

static int usage_error(const char *path, const struct err *e)
{
	struct err copy = *e;

	if (!copy.hint[0])
		err_hint(&copy, "run '%s --help'", path);
	out_err(&copy);
	return EXIT_USAGE;
}

static int unknown_command(const struct command *group, const char *path,
                           const char *word)
{
	const char *names[NAMES_MAX], *near;
	struct err err = {0};
	size_t n = 0;

	for (const struct command *c = group->sub; c->name; c++)
		if (c->group && n < ARRAY_SIZE(names))
			names[n++] = c->name;
	near = opt_nearest(word, names, n);
	err_set(&err, -EINVAL, "unknown command '%s'", word);
	if (near)
		err_hint(&err, "did you mean '%s %s'?", path, near);
	return usage_error(path, &err);
}

static int check_words(const struct command *c, const struct cli *cli,
                       struct err *err)
{
	if (cli->nwords < c->words_min)
		return err_set(err, -EINVAL, "%s is missing", c->usage);
	if (c->words_max >= 0 && cli->nwords > c->words_max)
		return err_set(err, -EINVAL, "unexpected argument '%s'",
		               cli->words[c->words_max]);
	return 0;
}

static int run_command(const struct command *c, const char *path,
                       struct cli *cli, void *values)
{
	struct opt_target own = {c->opts, values};
	struct err err = {0};

	if (check_words(c, cli, &err) < 0 || opt_defaults(&own, &err) < 0)
		return usage_error(path, &err);
	set_log_level(cli);
	cli->path = path;
	return out_finish(c->run(cli, values));
}

static int show(enum opt_stop stop, const struct command *c, const char *path)
{
	if (stop == OPT_VERSION)
		(void)printf("msb %s\n", msb_version());
	else if (stop == OPT_TREE)
		help_tree(c, path);
	else
		help_show(c, path);
	return out_finish(EXIT_OK);
}

static int dispatch(const struct command *c, char *path, struct cli *cli,
                    char **argv);

static int descend(const struct command *group, char *path, struct cli *cli,
                   char **argv)
{
	const struct command *c = command_find(group, *argv);
	size_t used = strlen(path);

	if (!c)
		return unknown_command(group, path, *argv);
	(void)snprintf(path + used, PATH_LEN - used, " %s", c->name);
	return dispatch(c, path, cli, argv + 1);
}

static int parse_and_run(const struct command *c, char *path, struct cli *cli,
                         char **argv, void *values)
{
	struct opt_parser p = {
		.targets = {{c->opts, values}, {command_global_opts, cli}},
		.argv = argv,
		.stop_at_word = c->sub != NULL,
		.words_max = c->words_max,
		.tail = c->tail,
		.words = cli->words,
	};
	struct err err = {0};
	int r = opt_parse(&p, &err);

	if (r < 0)
		return usage_error(path, &err);
	if (r == OPT_SUBCOMMAND)
		return descend(c, path, cli, p.rest);
	if (r != OPT_DONE)
		return show((enum opt_stop)r, c, path);
	if (c->sub) { /* a group alone shows what it has */
		help_show(c, path);
		return out_finish(c == &command_root ? EXIT_OK : EXIT_USAGE);
	}
	cli->nwords = p.nwords;
	cli->words[p.nwords] = NULL;
	cli->tail = p.rest;
	return run_command(c, path, cli, values);
}

static int dispatch(const struct command *c, char *path, struct cli *cli,
                    char **argv)
{
	void *values = calloc(1, COMMAND_VALUES_MAX);
	int code;

	if (!values) {
		out_errorf("", "out of memory");
		return EXIT_FAILED;
	}
	code = parse_and_run(c, path, cli, argv, values);
	opt_release(c->opts, values);
	free(values);
	return code;
}

int main(int argc, char **argv)
{
	struct cli cli = {0};
	char path[PATH_LEN] = "msb";
	int code;

	if (open_standard_fds() < 0)
		return EXIT_FAILED;
	(void)setlocale(LC_TIME, "C");
	cli.words = calloc((size_t)argc + 1, sizeof(char *));
	if (!cli.words)
		return EXIT_FAILED;
	code = dispatch(&command_root, path, &cli, argc ? argv + 1 : argv);
	free(cli.words);
	return code;
}
