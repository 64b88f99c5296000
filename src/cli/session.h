/*
 * session.h - what run, exec, shell and attach have in common: a command in a
 * sandbox that is joined to our terminal or pipes, and is let go of.
 *
 *	session_prepare()  what the options and our descriptors make of it
 *	session_opts()     the same for msb_exec_start()
 *	session_serve()    join it until it ends or is let go of
 *	session_leave()    or give it away as soon as it has started
 *	session_release()
 */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"
#include "cli/command.h"
#include "cli/opt.h"
#include "cli/run_io.h"
#include "microsandbox.h"

struct session_values {
	const char *detach_keys; /* NULL: KEYS_DEFAULT */
	uint64_t timeout_ms;
	bool tty, no_tty, interactive, no_stdin, detach;
};

/* Rows for a value struct with a struct session_values at @base. */
#define SESSION_FIELD(base, f) ((base) + offsetof(struct session_values, f))
#define SESSION_KEYS(base)                                                     \
	OPT_ROW(0, "detach-keys", "KEYS", OPT_STRING,                          \
	        SESSION_FIELD(base, detach_keys),                              \
	        "Keys that let go of the command, as ctrl-p,ctrl-q; \"\": "    \
	        "none (ctrl-])"),
#define SESSION_OPTS(base)                                                     \
	OPT_ROW('t', "tty", NULL, OPT_FLAG, SESSION_FIELD(base, tty),          \
	        "Give the command a terminal, whatever we have here"),         \
		OPT_ROW(0, "no-tty", NULL, OPT_FLAG,                           \
	                SESSION_FIELD(base, no_tty),                           \
	                "Give it none, even if there is one here"),            \
		OPT_ROW('i', "interactive", NULL, OPT_FLAG,                    \
	                SESSION_FIELD(base, interactive),                      \
	                "With --detach: keep standard input open for msb "     \
	                "attach. Else it is passed on anyway"),                \
		OPT_ROW(0, "no-stdin", NULL, OPT_FLAG,                         \
	                SESSION_FIELD(base, no_stdin),                         \
	                "Do not pass standard input on"),                      \
		OPT_ROW(0, "timeout", "DURATION", OPT_DURATION,                \
	                SESSION_FIELD(base, timeout_ms),                       \
	                "Kill the command after this time, as 500ms, 30s or "  \
	                "5m"),                                                 \
		SESSION_KEYS(base)

/* What is freed at the end; io.command and io.path are the caller's to set. */
struct session {
	struct msb_home *home;
	struct msb_sandbox *sandbox;
	struct msb_exec *exec;
	struct msb_error error; /* of the last failure */
	struct run_io_opts io;
	struct run_io_result result;
	bool quiet;
	bool is_main; /* msb attach finds it without a number */
};

/* 0, or EXIT_USAGE after a message. */
int session_prepare(const struct cli *cli, struct session *s,
                    const struct session_values *v);

/* Fill flags and size; TERM goes to @env, unless it is there, where ours is. */
int session_opts(struct session *s, struct strv *env, struct msb_exec_opts *o);

/*
 * Join it. The exit code; with result.let_go it was given to msb-vmm and, with
 * @machine_too, the machine outlives us: both were said.
 */
int session_serve(struct session *s, bool machine_too);

/* Wait until it has started and give it away. 0, or an exit code, said. */
int session_leave(struct session *s);

/* "error: ..." of s->error, and the console; EXIT_MSB. */
int session_failed(const struct session *s);

/* Open the home and the running sandbox @name: 0, or EXIT_MSB, said. */
int session_open(struct session *s, const char *name);

void session_release(struct session *s);

#endif
