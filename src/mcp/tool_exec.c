/* Tools that run commands, to their end or in the background. */
#include <signal.h>

#include "mcp/job.h"

#include "base/banned.h"

TOOL_DECLARE(sandbox_exec);
TOOL_DECLARE(sandbox_shell);
TOOL_DECLARE(sandbox_run);
TOOL_DECLARE(sandbox_exec_start);
TOOL_DECLARE(sandbox_exec_poll);
TOOL_DECLARE(sandbox_exec_write_stdin);
TOOL_DECLARE(sandbox_exec_signal);
TOOL_DECLARE(sandbox_exec_close);

/* ---- to the end ---------------------------------------------------------- */

const struct field sandbox_exec_in[] = {
	NAME_FIELD,
	FIELD_RANGE("command", FIELD_TEXT, FIELD_REQUIRED, 1, 0,
                    "A program, without a shell around it"),
	FIELD("args", FIELD_TEXTS, 0, NULL),
	COMMAND_FIELDS,
	COMMAND_WAIT_FIELDS,
	COMMAND_START_FIELD,
	FIELD("keepRunning", FIELD_BOOL, 0,
              "What startIfStopped started goes on (true)"),
	{0},
};

const struct field sandbox_shell_in[] = {
	NAME_FIELD,
	FIELD_RANGE("command", FIELD_TEXT, FIELD_REQUIRED, 1, 0,
                    "A script, as a shell reads it"),
	FIELD_RANGE("shell", FIELD_TEXT, 0, 1, 4096,
                    "A program that takes -c, instead of the sandbox's shell"),
	COMMAND_FIELDS,
	COMMAND_WAIT_FIELDS,
	COMMAND_START_FIELD,
	FIELD("keepRunning", FIELD_BOOL, 0,
              "What startIfStopped started goes on (true)"),
	{0},
};

const struct field sandbox_exec_out[] = {COMMAND_OUT, {0}};
const struct field sandbox_shell_out[] = {COMMAND_OUT, {0}};
const struct field sandbox_run_out[] = {COMMAND_OUT, {0}};

static int exec_in(struct mcp_call *c, const json_t *args, bool shell,
                   json_t **ret, struct msb_error *error)
{
	struct job cleanup(job_release) o = JOB_INIT;
	struct msb_sandbox *cleanup_sandbox sandbox = NULL;
	const char *name = json_str(args, "name", "");
	bool started = false;
	int r = job_make(args, shell, false, &o, error);

	if (r == 0)
		r = tool_open_started(c, name,
		                      json_bool(args, "startIfStopped", false),
		                      &sandbox, &started, error);
	if (r == 0)
		r = job_run(c, sandbox, args, &o, ret, error);
	if (started && !json_bool(args, "keepRunning", true)) {
		msb_cancel_use(NULL);
		(void)msb_sandbox_stop(sandbox, 10000, NULL);
		owned_drop(&c->server->owned, name);
		msb_cancel_use(c->cancel);
	}
	return r;
}

TOOL(sandbox_exec)
{
	return exec_in(c, args, false, ret, error);
}

TOOL(sandbox_shell)
{
	return exec_in(c, args, true, ret, error);
}

const struct field sandbox_run_in[] = {
	FIELD_RANGE("command", FIELD_TEXT, 0, 1, 0,
                    "A program; without one the image's own command runs"),
	FIELD("args", FIELD_TEXTS, 0, NULL),
	FIELD_RANGE("script", FIELD_TEXT, 0, 1, 0,
                    "A script for the sandbox's shell, instead of command"),
	CREATE_FIELDS,
	COMMAND_WAIT_FIELDS,
	{0},
};

/* The command's form of it: what makes the sandbox is not the command's. */
static int run_command(const json_t *args, struct job *o,
                       struct msb_error *error)
{
	static const char *const keys[] = {"args", "stdin", "stdinBase64"};
	json_t *cleanup_json own = json_object();
	json_t *script = json_object_get(args, "script"),
	       *command = json_object_get(args, "command");

	if (script && command)
		return tool_fail(error, MSB_ERR_INVALID,
		                 "command and script: one of them");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (json_object_get(args, keys[i]))
			(void)json_object_set(own, keys[i],
			                      json_object_get(args, keys[i]));
	if (script || command)
		(void)json_object_set(own, "command",
		                      script ? script : command);
	return job_make(own, script != NULL, true, o, error);
}

static int run_in(struct mcp_call *c, const json_t *args, struct job *o,
                  struct create_plan *plan, json_t **ret,
                  struct msb_error *error)
{
	struct msb_sandbox *sandbox = NULL;
	struct msb_home *home;
	int r = server_home(c->server, &home, error);

	if (r == 0)
		r = owned_reserve(&c->server->owned, error);
	if (r < 0)
		return r;
	r = create_start(c, home, plan, &sandbox, error);
	if (r == 0)
		r = job_run(c, sandbox, args, o, ret, error);
	if (r == 0) {
		msb_cancel_use(NULL);
		(void)msb_sandbox_stop(sandbox, 2000, NULL);
		msb_cancel_use(c->cancel);
	}
	msb_sandbox_free(sandbox);
	owned_give(&c->server->owned);
	return r;
}

TOOL(sandbox_run)
{
	struct job cleanup(job_release) o = JOB_INIT;
	struct create_plan plan;
	int r = run_command(args, &o, error);

	if (r == 0)
		r = create_plan_of(c, args, &plan, error);
	if (r < 0)
		return r;
	r = run_in(c, args, &o, &plan, ret, error);
	create_plan_release(&plan);
	return r;
}

/* ---- in the background --------------------------------------------------- */

#define SESSION_FIELD                                                          \
	FIELD_RANGE("execSessionId", FIELD_TEXT, FIELD_REQUIRED, 1, 64,        \
	            "From sandbox_exec_start")
#define SESSION_OUT                                                            \
	FIELD("execSessionId", FIELD_TEXT, FIELD_REQUIRED, NULL),              \
		FIELD_CHOICE("status", FIELD_TEXT, FIELD_REQUIRED, 0,          \
	                     "running exited failed", NULL),                   \
		FIELD("exitCode", FIELD_INT, FIELD_NULLABLE, NULL),            \
		FIELD("signal", FIELD_INT, FIELD_NULLABLE, NULL),              \
		FIELD("pid", FIELD_INT, FIELD_NULLABLE, NULL)

const struct field sandbox_exec_start_in[] = {
	NAME_FIELD,
	FIELD_RANGE("command", FIELD_TEXT, FIELD_REQUIRED, 1, 0,
                    "A program; or a script, with shell"),
	FIELD("args", FIELD_TEXTS, 0, NULL),
	FIELD("shell", FIELD_BOOL, 0,
              "command is a script for the sandbox's shell"),
	COMMAND_FIELDS,
	FIELD("closeStdin", FIELD_BOOL, 0,
              "It gets no input (false: sandbox_exec_write_stdin gives it)"),
	COMMAND_START_FIELD,
	{0},
};

const struct field sandbox_exec_start_out[] = {
	FIELD("execSessionId", FIELD_TEXT, FIELD_REQUIRED, NULL),
	FIELD("cursor", FIELD_INT, FIELD_REQUIRED,
              "For the first sandbox_exec_poll"),
	FIELD("expiresInMs", FIELD_INT, FIELD_REQUIRED,
              "It is ended when nobody asks for so long"),
	{0},
};

static int start_in(struct mcp_call *c, struct msb_sandbox *sandbox,
                    const char *name, struct job *o, json_t **ret,
                    struct msb_error *error)
{
	char id[SESSION_ID_LEN + 1];
	struct msb_exec *exec;
	int r = msb_exec_start(sandbox, &o->opts, &exec, error);

	if (r == 0)
		r = sessions_add(c->server->sessions, exec, name, id, error);
	if (r == 0)
		*ret = json_pack("{s:s, s:i, s:I}", "execSessionId", id,
		                 "cursor", 0, "expiresInMs",
		                 (json_int_t)c->server->opt->session_ttl_ms);
	return r;
}

TOOL(sandbox_exec_start)
{
	struct job cleanup(job_release) o = JOB_INIT;
	struct msb_sandbox *cleanup_sandbox sandbox = NULL;
	bool started;
	int r = job_make(args, json_bool(args, "shell", false), false, &o,
	                 error);

	if (!json_bool(args, "closeStdin", false))
		o.opts.flags |= MSB_EXEC_STDIN;
	if (r == 0)
		r = tool_open_started(c, json_str(args, "name", ""),
		                      json_bool(args, "startIfStopped", false),
		                      &sandbox, &started, error);
	if (r < 0)
		return r;
	return start_in(c, sandbox, json_str(args, "name", ""), &o, ret, error);
}

const struct field sandbox_exec_poll_in[] = {
	SESSION_FIELD,
	FIELD("cursor", FIELD_INT, 0,
              "Where to go on: nextCursor of the last poll (0)"),
	FIELD_RANGE("limit", FIELD_INT, 0, 1, 1000, "Events at most (1000)"),
	FIELD_RANGE("waitMs", FIELD_INT, 0, 0, 600000,
                    "How long to wait for something new (0)"),
	MAX_BYTES_FIELD,
	ENCODING_FIELD,
	{0},
};

const struct field sandbox_exec_poll_out[] = {
	SESSION_OUT,
	FIELD("events", FIELD_OBJECTS, FIELD_REQUIRED,
              "cursor, stream, timeMs, data"),
	FIELD("nextCursor", FIELD_INT, FIELD_REQUIRED, NULL),
	FIELD("more", FIELD_BOOL, FIELD_REQUIRED,
              "There is more already: poll again"),
	FIELD("missed", FIELD_BOOL, FIELD_REQUIRED,
              "Older output was dropped before it was asked for"),
	FIELD("droppedBytes", FIELD_INT, FIELD_REQUIRED, NULL),
	{0},
};

TOOL(sandbox_exec_poll)
{
	const struct session_poll p = {
		.cursor = (uint64_t)json_int(args, "cursor", 0),
		.limit = (size_t)json_int(args, "limit", 1000),
		.max_bytes = tool_max_bytes(c, args),
		.wait_ms = (uint64_t)json_int(args, "waitMs", 0),
		.encoding = json_str(args, "encoding", NULL)};

	return sessions_poll(c->server->sessions, c,
	                     json_str(args, "execSessionId", ""), &p, ret,
	                     error);
}

const struct field sandbox_exec_write_stdin_in[] = {
	SESSION_FIELD,
	FIELD("data", FIELD_BYTES, 0, NULL),
	{"dataBase64", FIELD_TEXT, 0, 0, 0, NULL, NULL, NULL},
	FIELD("close", FIELD_BOOL, 0, "Nothing more comes"),
	{0	  },
};

const struct field sandbox_exec_write_stdin_out[] = {
	FIELD("written", FIELD_INT, FIELD_REQUIRED, "Bytes"),
	FIELD("closed", FIELD_BOOL, FIELD_REQUIRED, NULL),
	{0},
};

TOOL(sandbox_exec_write_stdin)
{
	const json_t *text = json_object_get(args, "data"),
		     *base64 = json_object_get(args, "dataBase64");
	struct buf cleanup_buf b = BUF_INIT;
	bool close = json_bool(args, "close", false);
	size_t taken;
	int r;

	if (text && base64)
		return tool_fail(error, MSB_ERR_INVALID,
		                 "data and dataBase64: one of them");
	if (base64 && !text_from_base64(json_string_value(base64),
	                                json_string_length(base64), &b))
		return tool_fail(error, MSB_ERR_INVALID,
		                 "dataBase64 is not base64");
	if (text &&
	    buf_add(&b, json_string_value(text), json_string_length(text)) < 0)
		return tool_no_memory(error);
	r = sessions_write(c->server->sessions, c,
	                   json_str(args, "execSessionId", ""), b.data, b.len,
	                   close, c->server->opt->timeout_ms, &taken, error);
	if (r == 0)
		*ret = json_pack("{s:I, s:b}", "written", (json_int_t)taken,
		                 "closed", (int)close);
	return r;
}

const struct field sandbox_exec_signal_in[] = {
	SESSION_FIELD,
	FIELD_RANGE("signal", FIELD_TEXT, FIELD_REQUIRED, 1, 16,
                    "hup, int, quit, kill, usr1, usr2, term, cont, stop, or a "
                    "number"),
	{0},
};

const struct field sandbox_exec_signal_out[] = {
	FIELD("signal", FIELD_INT, FIELD_REQUIRED, NULL),
	{0},
};

/* The guest's numbers: Linux on every machine of ours. */
static int signal_of(const char *word)
{
	static const struct {
		const char *word;
		int number;
	} words[] = {
		{"hup",  SIGHUP },
                {"int",  SIGINT },
                {"quit", SIGQUIT},
		{"kill", SIGKILL},
                {"usr1", SIGUSR1},
                {"usr2", SIGUSR2},
		{"term", SIGTERM},
                {"cont", SIGCONT},
                {"stop", SIGSTOP},
	};
	uint64_t n;

	if (strncasecmp(word, "sig", 3) == 0)
		word += 3;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasecmp(words[i].word, word) == 0)
			return words[i].number;
	return num_parse_u64(word, 64, &n) ? (int)n : 0;
}

TOOL(sandbox_exec_signal)
{
	int number = signal_of(json_str(args, "signal", ""));
	int r;

	if (!number)
		return tool_fail(error, MSB_ERR_INVALID,
		                 "signal: there is none "
		                 "that is called so");
	r = sessions_signal(c->server->sessions,
	                    json_str(args, "execSessionId", ""), number, error);
	if (r == 0)
		*ret = json_pack("{s:i}", "signal", number);
	return r;
}

const struct field sandbox_exec_close_in[] = {SESSION_FIELD, {0}};
const struct field sandbox_exec_close_out[] = {SESSION_OUT, {0}};

TOOL(sandbox_exec_close)
{
	return sessions_close(c->server->sessions,
	                      json_str(args, "execSessionId", ""), ret, error);
}
