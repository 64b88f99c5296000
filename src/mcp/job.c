#include "mcp/job.h"

#include "base/clock.h"

#include "base/banned.h"

#define SLICE_MS 1000 /* between words of progress */

void job_release(struct job *o)
{
	strv_release(&o->argv);
	strv_release(&o->env);
	strv_release(&o->rlimits);
	buf_release(&o->input);
}

static int take_rlimits(const json_t *list, struct strv *to)
{
	const json_t *one;
	size_t i;
	int r = 0;

	json_array_foreach(list, i, one)
	{
		int64_t soft = json_int(one, "soft", 0);

		if (r == 0)
			r = strv_addf(to, "%s=%lld:%lld",
			              json_str(one, "resource", ""),
			              (long long)soft,
			              (long long)json_int(one, "hard", soft));
	}
	return r;
}

static int take_argv(const json_t *args, bool shell, bool optional,
                     struct job *o, struct msb_error *error)
{
	const char *command = json_str(args, "command", NULL),
		   *program = json_str(args, "shell", NULL);
	int r = 0;

	if (!command && !optional)
		return tool_fail(error, MSB_ERR_INVALID, "command is missing");
	if (!command && json_object_get(args, "args"))
		return tool_fail(error, MSB_ERR_INVALID, "args need a command");
	if (!command)
		o->opts.flags |= MSB_EXEC_IMAGE_COMMAND;
	if (shell && program)
		r = strv_add(&o->argv, program) < 0 ||
		    strv_add(&o->argv, "-c") < 0;
	else if (shell)
		o->opts.flags |= MSB_EXEC_SHELL;
	if (command)
		r |= strv_add(&o->argv, command) < 0;
	r |= args_list(json_object_get(args, "args"), &o->argv) < 0;
	return r ? tool_no_memory(error) : 0;
}

static int take_input(const json_t *args, struct job *o,
                      struct msb_error *error)
{
	const json_t *text = json_object_get(args, "stdin"),
		     *base64 = json_object_get(args, "stdinBase64");

	if (text && base64)
		return tool_fail(error, MSB_ERR_INVALID,
		                 "stdin and stdinBase64: one of them");
	o->has_input = text || base64;
	if (text && buf_add(&o->input, json_string_value(text),
	                    json_string_length(text)) < 0)
		return tool_no_memory(error);
	if (base64 && !text_from_base64(json_string_value(base64),
	                                json_string_length(base64), &o->input))
		return tool_fail(error, MSB_ERR_INVALID,
		                 "stdinBase64 is not base64");
	return 0;
}

int job_make(const json_t *args, bool shell, bool optional, struct job *o,
             struct msb_error *error)
{
	int r = take_argv(args, shell, optional, o, error);

	if (r == 0)
		r = take_input(args, o, error);
	if (r < 0)
		return r;
	if (args_pairs(json_object_get(args, "env"), &o->env) < 0 ||
	    take_rlimits(json_object_get(args, "rlimits"), &o->rlimits) < 0)
		return tool_no_memory(error);
	o->opts.argv = (const char *const *)strv_list(&o->argv);
	o->opts.env = (const char *const *)strv_list(&o->env);
	o->opts.rlimits = (const char *const *)strv_list(&o->rlimits);
	o->opts.cwd = json_str(args, "cwd", json_str(args, "workdir", NULL));
	o->opts.user = json_str(args, "user", NULL);
	if (json_bool(args, "tty", false))
		o->opts.flags |= MSB_EXEC_TTY;
	if (o->has_input)
		o->opts.flags |= MSB_EXEC_STDIN;
	return 0;
}

/* ---- a run --------------------------------------------------------------- */

struct run {
	struct mcp_call *call;
	struct msb_exec *exec;
	struct buf out, err;
	size_t left; /* bytes that may still be kept */
	uint64_t out_total, err_total, begin_ns, end_ns;
	const struct buf *input;
	size_t sent;
	bool closed, ended, timed_out;
	int code, signal;
};

static int keep(struct run *x, struct buf *b, uint64_t *total,
                const struct msb_exec_event *ev)
{
	size_t n = text_cut(ev->data, ev->len, x->left);

	*total += ev->len;
	/* Behind a cut nothing is kept, so that there is no hole. */
	x->left = n < ev->len ? 0 : x->left - n;
	return n ? buf_add(b, ev->data, n) : 0;
}

static int send_input(struct run *x, struct msb_error *error)
{
	while (x->sent < x->input->len) {
		int64_t n = msb_exec_write(x->exec, x->input->data + x->sent,
		                           x->input->len - x->sent, error);

		if (n <= 0)
			return (int)n;
		x->sent += (size_t)n;
	}
	if (x->closed)
		return 0;
	x->closed = true;
	return msb_exec_close_stdin(x->exec, error);
}

static int on_event(struct run *x, const struct msb_exec_event *ev,
                    struct msb_error *error)
{
	int r = 0;

	switch (ev->kind) {
	case MSB_EXEC_STDOUT:
		r = keep(x, &x->out, &x->out_total, ev);
		break;
	case MSB_EXEC_STDERR:
		r = keep(x, &x->err, &x->err_total, ev);
		break;
	case MSB_EXEC_WRITABLE:
		return x->input ? send_input(x, error) : 0;
	case MSB_EXEC_EXITED:
		x->ended = true;
		x->signal = ev->signal;
		x->code = ev->signal ? 128 + ev->signal : ev->code;
		break;
	case MSB_EXEC_FAILED:
		(void)tool_fail(error, MSB_ERR_EXEC, "%s", ev->message);
		error->sys_errno = ev->error_no;
		return -error->code;
	default:
		break;
	}
	return r < 0 ? tool_no_memory(error) : 0;
}

static int wait_end(struct run *x, struct msb_error *error)
{
	while (!x->ended) {
		struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
		uint64_t now = clock_now_ns(), left;
		int r;

		if (now >= x->end_ns) {
			x->timed_out = true;
			return 0;
		}
		if (tool_cancelled(x->call)) /* output may have no end */
			return tool_was_cancelled(error);
		left = (x->end_ns - now) / NS_PER_MS + 1;
		r = msb_exec_next(x->exec, (int)MIN(left, SLICE_MS), &ev,
		                  error);
		if (r == 0)
			tool_progress(x->call, 0, 0, "running for %llu s",
			              (unsigned long long)((clock_now_ns() -
			                                    x->begin_ns) /
			                                   NS_PER_S));
		else if (r > 0)
			r = on_event(x, &ev, error);
		if (r < 0)
			return r;
	}
	return 0;
}

static json_t *or_null(bool set, int n)
{
	return set ? json_integer(n) : json_null();
}

static json_t *run_json(const struct run *x, const char *encoding)
{
	bool cut = x->out_total > x->out.len || x->err_total > x->err.len;

	return json_pack(
		"{s:o, s:o, s:b, s:b, s:o, s:o, s:b, s:I, s:I, s:I}",
		"exitCode", or_null(!x->timed_out, x->code), "signal",
		or_null(x->signal, x->signal), "success",
		!x->timed_out && x->code == 0, "timedOut", (int)x->timed_out,
		"stdout", text_encoded(x->out.data, x->out.len, encoding),
		"stderr", text_encoded(x->err.data, x->err.len, encoding),
		"truncated", (int)cut, "stdoutBytes", (json_int_t)x->out_total,
		"stderrBytes", (json_int_t)x->err_total, "durationMs",
		(json_int_t)((clock_now_ns() - x->begin_ns) / NS_PER_MS));
}

static uint64_t timeout_of(const struct mcp_call *c, const json_t *args)
{
	const json_t *seconds = json_object_get(args, "timeout");
	double s = json_number_value(seconds);

	if (json_object_get(args, "timeoutMs"))
		return (uint64_t)json_int(args, "timeoutMs", 0);
	if (seconds && s > 0 && s <= 86400)
		return (uint64_t)(s * 1000);
	return c->server->opt->timeout_ms;
}

int job_run(struct mcp_call *c, struct msb_sandbox *sandbox, const json_t *args,
            struct job *o, json_t **ret, struct msb_error *error)
{
	struct run x = {.call = c,
	                .out = BUF_INIT_MAX(MCP_OUTPUT_MAX),
	                .err = BUF_INIT_MAX(MCP_OUTPUT_MAX),
	                .left = tool_max_bytes(c, args),
	                .begin_ns = clock_now_ns()};
	int r = msb_exec_start(sandbox, &o->opts, &x.exec, error);

	x.end_ns = x.begin_ns + timeout_of(c, args) * NS_PER_MS;
	if (r == 0 && o->has_input) {
		x.input = &o->input;
		r = send_input(&x, error);
	}
	if (r == 0)
		r = wait_end(&x, error);
	msb_exec_free(x.exec); /* which kills what was too long */
	if (r == 0) {
		*ret = run_json(&x, json_str(args, "encoding", NULL));
		if (x.timed_out ||
		    (x.code != 0 && json_bool(args, "treatNonZeroAsError", 0)))
			tool_set_error(c);
	}
	buf_release(&x.out);
	buf_release(&x.err);
	return r;
}
