/*
 * exec_log.c - what commands of this process write goes to the logs of their
 * sandbox (base/reclog.h), as it is given out. With it go marks of the source
 * SYSTEM: that a command started, and how it ended. They say no argument and no
 * variable of it: those may be secrets.
 *
 * To write a log is never a reason to fail: what cannot be written is dropped.
 */
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "lib/exec.h"
#include "lib/sandbox.h"

#include "base/banned.h"

#define MARK_MAX 128

void exec_log_begin(struct msb_exec *x, bool wanted)
{
	int dir_fd = wanted && x->sandbox ? x->sandbox->place.dir_fd : -1;

	x->no_log = !wanted;
	x->log = (struct reclog_file)RECLOG_FILE_INIT(dir_fd, "exec.log");
}

static void mark(struct msb_exec *x, const char *text)
{
	(void)reclog_append(&x->log, RECLOG_SYSTEM, x->session, text,
	                    strlen(text));
}

static void log_failed(struct msb_exec *x, const struct msb_exec_event *ev)
{
	char text[MARK_MAX];

	(void)snprintf(text, sizeof(text), "did not start: %.32s: %s\n",
	               ev->stage, strerror(ev->error_no));
	mark(x, text);
}

static void log_exited(struct msb_exec *x, const struct msb_exec_event *ev)
{
	char text[MARK_MAX];

	if (ev->signal)
		(void)snprintf(text, sizeof(text), "ended by signal %d\n",
		               ev->signal);
	else
		(void)snprintf(text, sizeof(text), "exited with code %d\n",
		               ev->code);
	mark(x, text);
}

void exec_log_event(struct msb_exec *x, const struct msb_exec_event *ev)
{
	enum reclog_source source = x->tty ? RECLOG_OUTPUT
	                            : ev->kind == MSB_EXEC_STDERR
	                                    ? RECLOG_STDERR
	                                    : RECLOG_STDOUT;

	if (x->log.dir_fd < 0)
		return;
	if (ev->kind == MSB_EXEC_STDOUT || ev->kind == MSB_EXEC_STDERR)
		(void)reclog_append(&x->log, source, x->session, ev->data,
		                    ev->len);
	else if (ev->kind == MSB_EXEC_STARTED)
		mark(x, "started\n");
	else if (ev->kind == MSB_EXEC_FAILED)
		log_failed(x, ev);
	else if (ev->kind == MSB_EXEC_EXITED)
		log_exited(x, ev);
}
