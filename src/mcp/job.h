/* job.h - commands that calls run: from arguments, to what they gave. */
#ifndef MCP_JOB_H
#define MCP_JOB_H

#include "mcp/tools_int.h"

/* Arguments of a command; ends with a comma. */
#define COMMAND_FIELDS                                                         \
	FIELD_RANGE("cwd", FIELD_TEXT, 0, 1, 4096, "Working folder"),          \
		FIELD_RANGE("workdir", FIELD_TEXT, 0, 1, 4096,                 \
	                    "The same as cwd"),                                \
		FIELD("env", FIELD_PAIRS, 0, NULL),                            \
		FIELD_RANGE("user", FIELD_TEXT, 0, 1, 256,                     \
	                    "NAME, UID, UID:GID"),                             \
		FIELD("tty", FIELD_BOOL, 0,                                    \
	              "Give it a terminal; all output is stdout"),             \
		FIELD_SUB("rlimits", FIELD_OBJECTS, 0, 32,                     \
	                  create_rlimit_fields, NULL)

/* Of one that is waited for; ends with a comma. */
#define COMMAND_WAIT_FIELDS                                                    \
	FIELD_RANGE("timeoutMs", FIELD_INT, 0, 1, 86400000,                    \
	            "It is killed after so long"),                             \
		FIELD_RANGE("timeout", FIELD_NUMBER, 0, 0, 86400,              \
	                    "The same in seconds"),                            \
		FIELD("stdin", FIELD_BYTES, 0, "Its standard input"),          \
		{"stdinBase64", FIELD_TEXT,           0,   0, 0,               \
	         NULL,          "The same for bytes", NULL},                   \
		MAX_BYTES_FIELD, ENCODING_FIELD,                               \
		FIELD("treatNonZeroAsError", FIELD_BOOL, 0,                    \
	              "An exit code that is not 0 makes the result an "        \
	              "error")

#define COMMAND_START_FIELD                                                    \
	FIELD("startIfStopped", FIELD_BOOL, 0,                                 \
	      "Start the sandbox first if it does not run")

/* What one that ended gave; see job_run(). */
#define COMMAND_OUT                                                            \
	FIELD("exitCode", FIELD_INT, FIELD_REQUIRED | FIELD_NULLABLE,          \
	      "128 and its number for a signal; null when it was killed for "  \
	      "time"),                                                         \
		FIELD("signal", FIELD_INT, FIELD_REQUIRED | FIELD_NULLABLE,    \
	              NULL),                                                   \
		FIELD("success", FIELD_BOOL, FIELD_REQUIRED, NULL),            \
		FIELD("timedOut", FIELD_BOOL, FIELD_REQUIRED, NULL),           \
		FIELD("stdout", FIELD_TEXT, FIELD_REQUIRED, NULL),             \
		FIELD("stderr", FIELD_TEXT, FIELD_REQUIRED, NULL),             \
		FIELD("truncated", FIELD_BOOL, FIELD_REQUIRED,                 \
	              "There was more output than is here"),                   \
		FIELD("stdoutBytes", FIELD_INT, FIELD_REQUIRED, "All of it"),  \
		FIELD("stderrBytes", FIELD_INT, FIELD_REQUIRED, NULL),         \
		FIELD("durationMs", FIELD_INT, FIELD_REQUIRED, NULL),          \
	{                                                                      \
		0                                                              \
	}

/* The options of msb_exec_start() and what they point to. */
struct job {
	struct msb_exec_opts opts;
	struct strv argv, env, rlimits;
	struct buf input;
	bool has_input;
};
#define JOB_INIT                                                               \
	{                                                                      \
		.opts = MSB_EXEC_OPTS_INIT, .input = BUF_INIT                  \
	}
void job_release(struct job *o);

/*
 * Fill @o. @shell: "command" is a script for the sandbox's shell, or for
 * "shell". "command" may be missing where @optional: then it is what the image
 * says.
 */
int job_make(const json_t *args, bool shell, bool optional, struct job *o,
             struct msb_error *error);

/* Run it to its end: what COMMAND_OUT says. */
int job_run(struct mcp_call *c, struct msb_sandbox *sandbox, const json_t *args,
            struct job *o, json_t **ret, struct msb_error *error);

#endif
