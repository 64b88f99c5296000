/*
 * opt.h - command lines from tables.
 *
 * A table of struct opt ends with a row without a name. It is the one source
 * for parsing, --help, --tree and completion. Values go into a struct of the
 * command's own, at `offset`; its type follows from the kind:
 *
 *	OPT_FLAG      bool             --quiet
 *	OPT_STRING    const char *     points into argv
 *	OPT_LIST      struct strv      repeatable
 *	OPT_ENV       struct strv      KEY=VALUE, or KEY: copied from the host
 *	OPT_NAMED     struct strv      OPTION:VALUE: several options may share
 *	                               one list and keep their order
 *	OPT_COUNT     uint32_t         a number of 1 or more
 *	OPT_MEMORY    uint64_t         bytes; a bare number is MiB
 *	OPT_DURATION  uint64_t         ms; 500ms 30s 5m 2h 1d, bare: seconds
 *	OPT_CHOICE    int32_t          index into `choices`; where the first
 *	                               is "", 0 means that none was given
 *
 * Long options may be given as --name VALUE or --name=VALUE, short ones may be
 * clustered (-qt) with the value behind (-m512) or next. "--" ends options.
 */
#ifndef CLI_OPT_H
#define CLI_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"

enum opt_kind {
	OPT_FLAG,
	OPT_STRING,
	OPT_LIST,
	OPT_ENV,
	OPT_NAMED,
	OPT_COUNT,
	OPT_MEMORY,
	OPT_DURATION,
	OPT_CHOICE,
};

struct opt {
	char letter;       /* 0: none */
	const char *name;  /* without dashes */
	const char *value; /* placeholder; NULL: a flag; PATH: a host file */
	enum opt_kind kind;
	size_t offset;
	const char *help;           /* NULL: hidden */
	const char *const *choices; /* NULL-terminated */
	const char *env;            /* variable that gives the default */
};

/* Rows, as calls: clang-format garbles a long table of initialisers. */
#define OPT_ROW(letter_, name_, value_, kind_, offset_, help_)                 \
	{                                                                      \
		.letter = (letter_), .name = (name_), .value = (value_),       \
		.kind = (kind_), .offset = (offset_), .help = (help_)          \
	}
#define OPT_ROW_CHOICE(letter_, name_, value_, offset_, help_, choices_, env_) \
	{                                                                      \
		.letter = (letter_), .name = (name_), .value = (value_),       \
		.kind = OPT_CHOICE, .offset = (offset_), .help = (help_),      \
		.choices = (choices_), .env = (env_)                           \
	}

/* A table and the struct its values go into. */
struct opt_target {
	const struct opt *opts;
	void *values;
};

enum opt_stop { OPT_DONE, OPT_SUBCOMMAND, OPT_HELP, OPT_TREE, OPT_VERSION };

struct opt_parser {
	struct opt_target targets[2]; /* the command's (may be NULL), global */
	char **argv;       /* what is left to parse, NULL-terminated */
	bool stop_at_word; /* a group: the first word is a subcommand */
	int words_max;     /* with `tail`: further words begin the tail */
	bool tail;         /* takes a command after its words or "--" */
	char **words;      /* result: room for all of argv, by the caller */
	int nwords;
	char **rest; /* result: the tail, or where a subcommand begins */
};

/*
 * Parse. Returns an enum opt_stop (--help, --tree, --version end the parse at
 * once) or -EINVAL with a message and maybe a hint.
 */
int opt_parse(struct opt_parser *p, struct err *err);

/* Apply the environment variables of rows whose value was not given. */
int opt_defaults(const struct opt_target *t, struct err *err);

/*
 * The other way: append "--NAME=VALUE" for each value that is not its default,
 * in the table's order. What an environment variable says is left out.
 */
int opt_unparse(const struct opt *opts, const void *values, struct strv *out);

/* May be given several times. */
bool opt_is_list(const struct opt *o);

/* Free the lists in @values. */
void opt_release(const struct opt *opts, void *values);

/* The one of @names (n of them) nearest to @word, or NULL when none is near. */
const char *opt_nearest(const char *word, const char *const *names, size_t n);

/* "-m, --memory <SIZE>" into @out; returns @out. */
const char *opt_spelling(const struct opt *o, char *out, size_t len);

extern const char *const opt_format_choices[]; /* json */

#endif
