/*
 * exec.h - one command in a guest: the exec session of proto/proto.h over one
 * stream socket, from the host's side.
 *
 *	state    may be sent          may arrive
 *	WAITING  anything             STARTED, EXEC_FAILED, STDIN_ACK
 *	RUNNING  anything             STDOUT, STDERR, STDIN_ACK, EXITED
 *	LOST     nothing              nothing
 *	OVER     nothing              nothing
 *
 * LOST: the stream ended without EXITED or EXEC_FAILED; why, is not known yet
 * (sandbox_loss). The socket is then out of the epoll, what may tell is in it.
 *
 * Frames that have arrived lie in `in`, from `in_off` on; the event given out
 * last points into it, so it is only moved at the next call. What cannot be
 * sent at once waits in `out`: standard input in it is bounded by the
 * protocol's window, all else by OUT_MAX. The one descriptor callers poll is
 * an epoll of the socket, which asks for EPOLLOUT only while `out` has bytes.
 */
#ifndef LIB_EXEC_H
#define LIB_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/reclog.h"
#include "lib/sandbox.h"
#include "microsandbox.h"
#include "proto/proto.h"

#define EXEC_READ_CHUNK (64u << 10) /* `in` grows by at most so much a time */

enum exec_state { EXEC_WAITING, EXEC_RUNNING, EXEC_LOST, EXEC_OVER };

struct msb_exec {
	struct msb_sandbox *sandbox; /* NULL in unit tests */
	enum exec_state state;
	int sock, epfd;
	struct buf in, out;
	size_t in_off;
	bool sending; /* epfd asks for EPOLLOUT */
	bool has_stdin, stdin_closed;
	bool blocked;     /* a write was cut short: tell when it may go on */
	uint32_t unacked; /* bytes of input the command has not taken */
	struct proto_msg msg; /* of the event given out last */
	uint64_t session;     /* its number in the logs, not 0 */
	bool tty, is_main;
	bool exited; /* OVER by EXITED, which said: */
	struct proto_exited how;
	struct sandbox_loss loss;
	struct reclog_file log;
	bool no_log;
};

struct command;

/* Nothing can be sent any more. */
static inline bool exec_is_over(const struct msb_exec *x)
{
	return x->state >= EXEC_LOST;
}

/*
 * A handle for @sock (taken in every case) that nothing was sent or read on;
 * @sandbox may be NULL. WAITING, with a new session number.
 */
int exec_new(int sock, struct msb_sandbox *sandbox, struct msb_exec **ret);

/* The same, and sends EXEC. 0 or a negative errno. */
int exec_open(int sock, struct msb_sandbox *sandbox, const struct command *c,
              const struct msb_exec_opts *o, struct msb_exec **ret);

/* Where its output is logged as well: its sandbox's folder, or nowhere. */
void exec_log_begin(struct msb_exec *x, bool wanted);
/* Log an event that is given out. Never fails. */
void exec_log_event(struct msb_exec *x, const struct msb_exec_event *ev);

/* Send what the socket takes at once. 0 or a negative errno. */
int exec_flush(struct msb_exec *x);

/* Read what is there into `in`: 1 when bytes came, 0, -ECONNRESET at the end.
 */
int exec_fill(struct msb_exec *x);

/* msb_exec_run() of a session that was opened. */
int exec_run(struct msb_exec *x, const void *input, size_t input_len,
             size_t max, int timeout_ms, struct msb_output **ret_output,
             struct msb_error *error);

/*
 * Give the session to msb-vmm, as msb_exec_detach(); with @is_main the machine
 * ends with it. @err says why not.
 */
int exec_detach(struct msb_exec *x, bool is_main, struct err *err);

#endif
