/*
 * exec_run.c - a command from its start to its end, with all it wrote.
 *
 * One loop feeds input as the window opens and collects output as it comes,
 * so that neither waits for the other. What goes past the limit is read and
 * dropped: the command is not to hang on it.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/num.h"
#include "lib/error.h"
#include "lib/exec.h"
#include "lib/options.h"

#include "base/banned.h"

#define LIMIT_DEFAULT (64u << 20)

/* What a killed command may still say before its session is closed. */
#define KILL_WAIT_MS 500

/* The public part points into the buffers. */
struct collected {
	struct msb_output output;
	struct buf streams[2];
};

struct job {
	struct msb_exec *x;
	const char *input;
	size_t left;
	struct collected *to;
	uint64_t end_ns; /* 0: no limit */
};

void msb_output_free(struct msb_output *output)
{
	struct collected *c = (void *)output;

	_Static_assert(offsetof(struct collected, output) == 0, "it is first");
	if (!c)
		return;
	buf_release(&c->streams[0]);
	buf_release(&c->streams[1]);
	free(c);
}

static struct collected *collected_new(size_t max)
{
	struct collected *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->output.size = sizeof(c->output);
	for (int i = 0; i < 2; i++)
		c->streams[i] = (struct buf)BUF_INIT_MAX(max);
	return c;
}

static void point_at_buffers(struct collected *c)
{
	c->output.out = buf_str(&c->streams[0]);
	c->output.out_len = c->streams[0].len;
	c->output.err = buf_str(&c->streams[1]);
	c->output.err_len = c->streams[1].len;
}

static int keep(struct collected *c, int which, const struct msb_exec_event *ev)
{
	struct buf *b = &c->streams[which];
	size_t n = MIN(ev->len, b->max - b->len);

	if (n < ev->len)
		c->output.truncated |= 1u << which;
	return n ? buf_add(b, ev->data, n) : 0;
}

/* As much as the window takes; the end of input behind it. */
static int feed(struct job *j, struct msb_error *error)
{
	int64_t n = 1;

	while (j->left && n > 0) {
		n = msb_exec_write(j->x, j->input, j->left, error);
		if (n < 0)
			return (int)n;
		j->input += n;
		j->left -= (size_t)n;
	}
	return j->left ? 0 : msb_exec_close_stdin(j->x, error);
}

/* 1 when it is over, 0, or a negative code. */
static int handle(struct job *j, const struct msb_exec_event *ev,
                  struct msb_error *error)
{
	int r = 0;

	switch (ev->kind) {
	case MSB_EXEC_STDOUT:
	case MSB_EXEC_STDERR:
		r = keep(j->to, ev->kind == MSB_EXEC_STDERR, ev);
		return r < 0 ? error_return(error, r, NULL) : 0;
	case MSB_EXEC_WRITABLE:
		return feed(j, error);
	case MSB_EXEC_FAILED:
		r = error_set(error, -LIB_EEXEC, "%s: %s", ev->stage,
		              ev->message);
		if (error)
			error->sys_errno = ev->error_no;
		return r;
	case MSB_EXEC_EXITED:
		j->to->output.code = ev->code;
		j->to->output.signal = ev->signal;
		return 1;
	default:
		return 0;
	}
}

static int time_left(const struct job *j)
{
	uint64_t now;

	if (!j->end_ns)
		return -1;
	now = clock_now_ns();
	if (now >= j->end_ns)
		return 0;
	return (int)MIN((j->end_ns - now) / NS_PER_MS + 1, INT32_MAX);
}

/* 1 when it is over, 0 when time is up, or a negative code. */
static int collect(struct job *j, struct msb_error *error)
{
	for (;;) {
		struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
		int r;

		if (cancel_fired())
			return error_return(error, -ECANCELED, NULL);
		r = msb_exec_next(j->x, time_left(j), &ev, error);

		if (r > 0)
			r = handle(j, &ev, error);
		else if (r == 0 && time_left(j) == 0)
			return 0;
		if (r != 0)
			return r;
		/* A stream of output without an end must not hide the time. */
		if (time_left(j) == 0)
			return 0;
	}
}

/* What it says while it dies is kept; that it was killed is certain. */
static int time_is_up(struct job *j, int timeout_ms, struct msb_error *error)
{
	(void)msb_exec_signal(j->x, SIGKILL, NULL);
	j->end_ns = clock_now_ns() + KILL_WAIT_MS * NS_PER_MS;
	(void)collect(j, NULL);
	j->to->output.code = 0;
	j->to->output.signal = SIGKILL;
	return error_set(error, -ETIMEDOUT,
	                 "the command ran longer than %g s and was killed",
	                 (double)timeout_ms / 1000);
}

static int run(struct job *j, int timeout_ms, struct msb_error *error)
{
	int r = 0;

	if (timeout_ms >= 0)
		j->end_ns = clock_now_ns() + (uint64_t)timeout_ms * NS_PER_MS;
	if (j->x->has_stdin)
		r = feed(j, error);
	if (r == 0)
		r = collect(j, error);
	if (r == 0)
		return time_is_up(j, timeout_ms, error);
	return MIN(r, 0);
}

int exec_run(struct msb_exec *x, const void *input, size_t input_len,
             size_t max, int timeout_ms, struct msb_output **ret_output,
             struct msb_error *error)
{
	struct job j = {.x = x, .input = input, .left = input_len};
	int r;

	j.to = collected_new(max ? max : LIMIT_DEFAULT);
	if (!j.to)
		return error_return(error, -ENOMEM, NULL);
	r = run(&j, timeout_ms, error);
	if (r < 0 && r != -MSB_ERR_TIMEOUT) {
		msb_output_free(&j.to->output);
		return r;
	}
	point_at_buffers(j.to);
	*ret_output = &j.to->output;
	return r;
}

int msb_exec_run(struct msb_sandbox *sandbox, const struct msb_exec_opts *opts,
                 const void *input, size_t input_len, size_t max,
                 int timeout_ms, struct msb_output **ret_output,
                 struct msb_error *error)
{
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;
	struct msb_exec *x;
	int r;

	if (!options_take(&o, sizeof(o), opts))
		return error_set(error, -EINVAL, "msb_exec_opts: wrong size");
	o.size = sizeof(o);
	if (input)
		o.flags |= MSB_EXEC_STDIN;
	r = msb_exec_start(sandbox, &o, &x, error);
	if (r < 0)
		return r;
	r = exec_run(x, input, input_len, max, timeout_ms, ret_output, error);
	msb_exec_free(x);
	return r;
}
