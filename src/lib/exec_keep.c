/*
 * exec_keep.c - a command's session on its way to msb-vmm and back.
 *
 * A session is a socket and what is under way on it:
 *
 *	this process                                 the guest
 *	`out`: not sent yet ->  | socket |  -> ... ->  command
 *	`in`: not given out  <- | socket |  <- ... <-
 *
 * To give it away, all of `out` is sent (the guest takes it: input is bounded
 * by the window, and what the guest says meanwhile is read into `in`), then
 * the socket goes with `in` as `rest`. Nothing is lost, nothing comes twice.
 * What comes back is checked: msb-vmm may be in the hands of its guest.
 *
 * A main command that has ended is given away, too: what it ended with is
 * then the `rest`, so that msb-vmm ends the machine and writes that down.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"
#include "lib/error.h"
#include "lib/exec.h"
#include "lib/sandbox.h"

#include "base/banned.h"

/* Both are local; a guest under emulation on a busy host is slow. */
#define FLUSH_LIMIT_MS  10000
#define ANSWER_LIMIT_MS 10000

/* Room in `rest` for one more read. */
static bool may_read(const struct msb_exec *x)
{
	return x->in.len - x->in_off <= PROTO_REST_MAX - EXEC_READ_CHUNK;
}

/* Send all of `out`; the other end must not have to wait for us meanwhile. */
static int send_all(struct msb_exec *x)
{
	uint64_t end = clock_now_ns() + FLUSH_LIMIT_MS * NS_PER_MS;
	int r = exec_flush(x);

	while (r >= 0 && x->out.len > 0) {
		struct pollfd pf = {.fd = x->sock, .events = POLLOUT};
		uint64_t now = clock_now_ns();

		if (now >= end)
			return -ETIMEDOUT;
		if (may_read(x))
			pf.events |= POLLIN;
		if (cancel_poll(&pf, 1, (int)((end - now) / NS_PER_MS) + 1) ==
		    -ECANCELED)
			return -ECANCELED;
		r = pf.revents & POLLIN ? exec_fill(x) : 0;
		if (r >= 0)
			r = exec_flush(x);
	}
	return r < 0 && r != -ECONNRESET ? r : 0;
}

/* What is still to be read: of `in`, or how it ended. */
static int add_rest(const struct msb_exec *x, struct buf *rest)
{
	struct proto_msg msg = {.type = PROTO_EXITED, .exited = x->how};

	if (x->exited)
		return proto_encode(rest, &msg);
	return buf_add(rest, x->in.data + x->in_off, x->in.len - x->in_off);
}

static int keep(struct msb_exec *x, bool is_main, struct err *err)
{
	struct buf cleanup_buf rest = BUF_INIT_MAX(PROTO_REST_MAX);
	struct machine_answer a = {.fd = -1};
	struct proto_msg msg = {
		.type = PROTO_VMM_KEEP,
		.vmm_keep = {.session = x->session,
	                     .is_main = is_main,
	                     .tty = x->tty,
	                     .want_stdin = x->has_stdin && !x->stdin_closed,
	                     .no_log = x->no_log,
	                     .unacked = x->unacked}
        };
	int r = add_rest(x, &rest);

	if (r == -E2BIG)
		return err_set(err, -EPROTO,
		               "the guest's agent broke the protocol");
	if (r < 0)
		return r;
	msg.vmm_keep.rest = (struct proto_bytes){rest.data, (uint32_t)rest.len};
	r = sandbox_ask(x->sandbox, &msg, x->sock, PROTO_VMM_KEPT,
	                ANSWER_LIMIT_MS, &a, err);
	if (r < 0)
		return r;
	r = a.msg.vmm_kept.error ? -EIO : 0;
	if (r < 0)
		err_set(err, r, "msb-vmm does not take the command: %s",
		        strerror(a.msg.vmm_kept.error));
	machine_answer_release(&a);
	return r;
}

int exec_detach(struct msb_exec *x, bool is_main, struct err *err)
{
	int r;

	if (x->state == EXEC_WAITING)
		return err_set(err, -EBUSY, "the command has not started yet");
	if (exec_is_over(x) && !(x->exited && is_main))
		return err_set(err, -LIB_EGONE, "the command has ended");
	r = x->exited ? 0 : send_all(x);
	if (r == -ECANCELED)
		return r;
	if (r < 0)
		return err_set(err, r, "the guest does not take input: %s",
		               strerror(-r));
	r = keep(x, is_main, err);
	if (r < 0)
		return r;
	x->state = EXEC_OVER; /* the copy of its socket says nothing more */
	x->is_main = x->exited = false;
	return 0;
}

int msb_exec_detach(struct msb_exec *x, struct msb_error *error)
{
	struct err err = {0};
	int r = exec_detach(x, x->is_main, &err);

	return r < 0 ? error_return(error, r, &err) : 0;
}

/* ---- back --------------------------------------------------------------- */

static bool is_stream(int fd)
{
	int type = 0, domain = 0;
	socklen_t len = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
	       type == SOCK_STREAM && domain == AF_UNIX;
}

static bool is_sound(const struct machine_answer *a, uint64_t session)
{
	const struct proto_vmm_taken *t = &a->msg.vmm_taken;

	return a->fd >= 0 && is_stream(a->fd) && t->session != 0 &&
	       t->session <= INT64_MAX &&
	       (session == 0 || t->session == session) &&
	       t->unacked <= PROTO_STDIN_WINDOW && t->rest.n <= PROTO_REST_MAX;
}

static int adopt(struct msb_sandbox *sb, struct machine_answer *a,
                 struct msb_exec **ret)
{
	const struct proto_vmm_taken *t = &a->msg.vmm_taken;
	struct msb_exec *x;
	int r = fd_set_nonblock(a->fd);

	if (r == 0)
		r = exec_new(take_fd(a->fd), sb, &x);
	if (r < 0)
		return r;
	x->state = EXEC_RUNNING;
	x->session = t->session;
	x->is_main = t->is_main;
	x->tty = t->tty;
	x->has_stdin = t->want_stdin;
	exec_log_begin(x, !t->no_log);
	x->unacked = t->unacked;
	r = t->rest.n ? buf_add(&x->in, t->rest.p, t->rest.n) : 0;
	if (r < 0) {
		msb_exec_free(x);
		return r;
	}
	*ret = x;
	return 0;
}

static int refused(const struct proto_vmm_taken *t, uint64_t session,
                   struct err *err)
{
	if (t->error != ENOENT)
		return err_set(err, -EIO, "msb-vmm does not give it: %s",
		               strerror(t->error));
	if (session)
		err_set(err, -ENOENT, "no detached command has the number %llu",
		        (unsigned long long)session);
	else
		err_set(err, -ENOENT,
		        "there is no detached command, or more than one");
	err_hint(err, "one that somebody is attached to cannot be taken");
	return -ENOENT;
}

static int attach(struct msb_sandbox *sb, uint64_t session,
                  struct msb_exec **ret, struct err *err)
{
	struct proto_msg msg = {.type = PROTO_VMM_TAKE,
	                        .vmm_take = {.session = session}};
	struct machine_answer a = {.fd = -1};
	int r = sandbox_ask(sb, &msg, -1, PROTO_VMM_TAKEN, ANSWER_LIMIT_MS, &a,
	                    err);

	if (r < 0)
		return r;
	if (a.msg.vmm_taken.error)
		r = refused(&a.msg.vmm_taken, session, err);
	else if (!is_sound(&a, session))
		r = err_set(err, -EPROTO, "msb-vmm broke the protocol");
	else
		r = adopt(sb, &a, ret);
	machine_answer_release(&a);
	return r;
}

int msb_exec_attach(struct msb_sandbox *sandbox, uint64_t session,
                    struct msb_exec **ret_exec, struct msb_error *error)
{
	struct err err = {0};
	int r = attach(sandbox, session, ret_exec, &err);

	return r < 0 ? error_return(error, r, &err) : 0;
}
