/*
 * targets.h - the sandboxes that a command is about: NAMES, those that have
 * all of some labels, or both together; each once.
 *
 *	targets_run() -> for each: act() -> "   ✓ VERB  name", or an error
 *
 * One that fails does not keep the others from their turn.
 */
#ifndef CLI_TARGETS_H
#define CLI_TARGETS_H

#include <stdbool.h>

#include "base/strv.h"
#include "cli/command.h"
#include "microsandbox.h"

/* Rows of the options of such commands. @labels is a struct strv. */
#define TARGETS_LABEL_OPT(labels)                                              \
	OPT_ROW(0, "label", "KEY[=VALUE]", OPT_LIST, labels,                   \
	        "Also all sandboxes with this label (repeatable: with all)")
#define TARGETS_QUIET_OPT(quiet)                                               \
	OPT_ROW('q', "quiet", NULL, OPT_FLAG, quiet, "Say nothing on success")

/* Rows of the options of commands that list sandboxes. */
#define DESCRIBE_LIST_OPTS(labels, format, quiet)                              \
	OPT_ROW(0, "label", "KEY[=VALUE]", OPT_LIST, labels,                   \
	        "Only those with this label (repeatable: with all)"),          \
		OPT_ROW_CHOICE(0, "format", "FORMAT", format, "How to print",  \
	                       opt_format_choices, NULL),                      \
		OPT_ROW('q', "quiet", NULL, OPT_FLAG, quiet,                   \
	                "Print names only")

/* One of them, while its turn lasts. */
struct target {
	struct msb_home *home;
	const char *name;
	const void *values; /* the command's */
	/* Results. */
	struct msb_error error;
	char note[128]; /* instead of the line of success */
	char extra[64]; /* behind the name in that line */
	char *console;  /* of a machine that did not come up; freed for it */
};

/* 0, or a negative enum msb_code and t->error. */
typedef int (*target_fn)(struct target *t);

struct targets {
	const struct strv *labels;
	bool quiet;
	const char *verb; /* "Stopped" */
	const char *busy; /* "Stopping": shown on a terminal; NULL: nothing */
	target_fn act;
	const void *values;
};

/* The exit code: EXIT_FAILED when one of them failed. */
int targets_run(const struct cli *cli, const struct targets *what);

/* The same for one of them, whose home is open; labels are not looked at. */
int targets_one(struct msb_home *home, const struct targets *what,
                const char *name);

/*
 * All on record that match @labels (as msb_sandbox_list()), with a note on
 * stderr when that is none.
 */
int targets_of_labels(struct msb_home *home, const struct strv *labels,
                      struct strv *ret, struct msb_error *error);

/*
 * Start the machine of t->name, wait until it is ready, run its main command
 * and detach it.
 */
int targets_start(struct target *t);

/*
 * Whether it runs, whoever started it. Of one that comes up just now the answer
 * waits: until it is ready it may still end with who starts it.
 */
bool targets_is_running(const struct target *t);

/* Stop and start it. When somebody else is faster at the start, that is it. */
int targets_restart(struct target *t, uint32_t timeout_ms);

/* Stop it, and wait until it has ended; fine when it does not run: 1 then. */
int targets_stop(struct target *t, uint32_t timeout_ms);

/* A line on a terminal's stderr that the next one overwrites; NULL: gone. */
void targets_progress(const char *word, const char *name);

#endif
