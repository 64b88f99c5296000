/*
 * command.h - what a command is. commands.c lists them all: a new one is
 * cmd_NAME.c and a line there.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/opt.h"
#include "microsandbox.h"

/* Exit codes; all others are those of the command in the sandbox. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1, /* a command other than run failed */
	EXIT_USAGE = 2,  /* the command line is wrong */
	EXIT_TIMEOUT = 124,
	EXIT_MSB = 125, /* run: msb itself failed */
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127,
	EXIT_SIGNAL = 128, /* + number */
};

/* The global options and what main() found out. */
struct cli {
	bool help, tree, version;
	bool error, warn, info, debug, trace;
	const char *log_level; /* chosen by flag or MSB_LOG; NULL: none */
	const char *path;      /* "msb image list": for its usage errors */
	char **words;          /* positional arguments, NULL-terminated */
	int nwords;
	char **tail; /* the command after them; NULL: none given */
};

/* Room for the values of any command's options; each asserts that it fits. */
#define COMMAND_VALUES_MAX 1024

struct command {
	const char *name;
	const char *aliases; /* space-separated; NULL: none */
	const char *group;   /* heading in msb --help; NULL: hidden there */
	const char *usage;   /* positional part, or ""; <a|b>: choices */
	const char *summary; /* one line */
	const char *details; /* more lines for --help; NULL: none */
	const struct opt *opts;
	int words_min, words_max; /* words_max -1: any number */
	bool tail;                /* takes [-- COMMAND...] */
	int (*run)(struct cli *cli, void *values);
	const struct command *sub; /* a group's commands, ends with no name */
};

extern const struct command command_root;
extern const struct opt command_global_opts[];

/* By name or alias in @group->sub; NULL. */
const struct command *command_find(const struct command *group,
                                   const char *word);

/* @c and all below, hidden ones too; @path is "msb image" and so on. */
void command_each(const struct command *c, const char *path,
                  void (*visit)(const struct command *c, const char *path));

/* help.c; @path is "msb image" and so on. To stdout. */
void help_show(const struct command *c, const char *path);
void help_tree(const struct command *c, const char *path);

/* The option tables and functions of the commands, each in cmd_NAME.c. */
#define COMMAND_DECLARE(name)                                                  \
	extern const struct opt cmd_##name##_opts[];                           \
	int cmd_##name(struct cli *cli, void *values);

int cmd_help(struct cli *cli, void *values);

#endif
