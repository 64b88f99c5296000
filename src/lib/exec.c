#include "lib/exec.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "lib/command.h"
#include "lib/error.h"
#include "lib/options.h"
#include "lib/sandbox.h"

#include "base/banned.h"

#define IN_MAX     (PROTO_FRAME_MAX + PROTO_HEADER_LEN + EXEC_READ_CHUNK)
#define OUT_MAX    (2u << 20)
#define SIGNAL_MAX 64

static struct proto_strs as_strs(const struct strv *s)
{
	return (struct proto_strs){strv_list(s), (uint32_t)s->n};
}

static int watch(struct msb_exec *x)
{
	bool want = x->out.len > 0;
	struct epoll_event ev = {.events = EPOLLIN | (want ? EPOLLOUT : 0)};

	if (want == x->sending)
		return 0;
	if (epoll_ctl(x->epfd, EPOLL_CTL_MOD, x->sock, &ev) < 0)
		return -errno;
	x->sending = want;
	return 0;
}

/* Send what the socket takes. A closed one is noticed by the reading side. */
int exec_flush(struct msb_exec *x)
{
	while (x->out.len > 0) {
		ssize_t n =
			send(x->sock, x->out.data, x->out.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
			buf_reset(&x->out);
			break;
		}
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n < 0)
			break;
		buf_consume(&x->out, (size_t)n);
	}
	return watch(x);
}

static int put(struct msb_exec *x, const struct proto_msg *msg)
{
	int r = proto_encode(&x->out, msg);

	return r < 0 ? r : exec_flush(x);
}

static int put_exec(struct msb_exec *x, const struct command *c,
                    const struct msb_exec_opts *o)
{
	struct proto_msg msg = {
		.type = PROTO_EXEC,
		.exec = {.argv = as_strs(&c->argv),
	                 .env = as_strs(&c->env),
	                 .cwd = c->cwd,
	                 .user = c->user,
	                 .rlimits = as_strs(&c->rlimits),
	                 .tty = !!(o->flags & MSB_EXEC_TTY),
	                 .rows = o->rows,
	                 .cols = o->cols,
	                 .want_stdin = !!(o->flags & MSB_EXEC_STDIN)}
        };

	return put(x, &msg);
}

static void exec_close(struct msb_exec *x)
{
	proto_release(&x->msg);
	reclog_file_close(&x->log);
	close_fd(&x->epfd);
	close_fd(&x->sock);
	buf_release(&x->in);
	buf_release(&x->out);
	free(x);
}

/* Random, so that no two commands of a sandbox's life have the same. */
static int new_session(uint64_t *ret)
{
	do {
		if (getrandom(ret, sizeof(*ret), 0) != sizeof(*ret))
			return -EIO;
		*ret &= INT64_MAX; /* SQLite, JSON readers and shells take it */
	} while (*ret == 0);
	return 0;
}

int exec_new(int sock, struct msb_sandbox *sandbox, struct msb_exec **ret)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct msb_exec *x = calloc(1, sizeof(*x));
	int r;

	if (!x) {
		(void)close(sock);
		return -ENOMEM;
	}
	x->sock = sock;
	x->loss = (struct sandbox_loss)SANDBOX_LOSS_INIT;
	x->log.fd = x->log.dir_fd = -1;
	x->in = (struct buf)BUF_INIT_MAX(IN_MAX);
	x->out = (struct buf)BUF_INIT_MAX(OUT_MAX);
	x->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (x->epfd < 0 || epoll_ctl(x->epfd, EPOLL_CTL_ADD, sock, &ev) < 0)
		r = -errno;
	else
		r = new_session(&x->session);
	if (r < 0) {
		exec_close(x);
		return r;
	}
	x->sandbox = sandbox ? sandbox_ref(sandbox) : NULL;
	exec_log_begin(x, true);
	*ret = x;
	return 0;
}

int exec_open(int sock, struct msb_sandbox *sandbox, const struct command *c,
              const struct msb_exec_opts *o, struct msb_exec **ret)
{
	struct msb_exec *x;
	int r = exec_new(sock, sandbox, &x);

	if (r < 0)
		return r;
	x->has_stdin = !!(o->flags & MSB_EXEC_STDIN);
	x->tty = !!(o->flags & MSB_EXEC_TTY);
	x->is_main = !!(o->flags & MSB_EXEC_MAIN);
	exec_log_begin(x, !(o->flags & MSB_EXEC_NO_LOG));
	r = put_exec(x, c, o);
	if (r < 0) {
		msb_exec_free(x);
		return r;
	}
	*ret = x;
	return 0;
}

int msb_exec_start(struct msb_sandbox *sb, const struct msb_exec_opts *opts,
                   struct msb_exec **ret_exec, struct msb_error *error)
{
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;
	struct command cleanup_command c = {0};
	struct err err = {0};
	int r, sock;

	if (!options_take(&o, sizeof(o), opts))
		return error_set(error, -EINVAL, "msb_exec_opts: wrong size");
	r = command_compose(&sb->config.image, &sb->config, &o, &c, &err);
	if (r < 0)
		return error_return(error, r, &err);
	sock = sandbox_connect(sb, PROTO_PORT_AGENT);
	if (sock < 0) {
		r = sock;
		if (r == -LIB_EGONE || r == -EPIPE || r == -ECONNRESET)
			r = sandbox_lost(sb, &err);
		return error_return(error, r, &err);
	}
	r = exec_open(sock, sb, &c, &o, ret_exec);
	if (r == -E2BIG)
		return error_set(error, r,
		                 "the command's arguments and environment are "
		                 "too long (at most %u KiB)",
		                 PROTO_FRAME_MAX >> 10);
	return r < 0 ? error_return(error, r, NULL) : 0;
}

void msb_exec_free(struct msb_exec *x)
{
	struct msb_sandbox *sb;

	if (!x)
		return;
	sb = x->sandbox;
	if (sb)
		sandbox_loss_end(sb, &x->loss);
	exec_close(x);
	if (sb)
		sandbox_unref(sb);
}

uint64_t msb_exec_session(const struct msb_exec *x)
{
	return x->session;
}

int msb_exec_is_tty(const struct msb_exec *x)
{
	return x->tty;
}

int msb_exec_fd(const struct msb_exec *x)
{
	return x->epfd;
}

/* ---- what arrives -------------------------------------------------------- */

/* Each returns 1 with the event, 0 when there is nothing to tell, -EPROTO. */

static int on_started(struct msb_exec *x, const struct proto_msg *m,
                      struct msb_exec_event *ev)
{
	x->state = EXEC_RUNNING;
	ev->kind = MSB_EXEC_STARTED;
	ev->pid = m->started.pid;
	/* The machine is ready: whoever inspects it shall see that. */
	if (x->sandbox)
		sandbox_look(x->sandbox);
	return 1;
}

static int on_failed(struct msb_exec *x, const struct proto_msg *m,
                     struct msb_exec_event *ev)
{
	x->state = EXEC_OVER;
	ev->kind = MSB_EXEC_FAILED;
	ev->error_no = m->exec_failed.error;
	ev->stage = m->exec_failed.stage;
	ev->message = m->exec_failed.message;
	return 1;
}

static int on_stdout(struct msb_exec *x, const struct proto_msg *m,
                     struct msb_exec_event *ev)
{
	(void)x;
	ev->kind = MSB_EXEC_STDOUT;
	ev->data = m->stdout_data.data.p;
	ev->len = m->stdout_data.data.n;
	return 1;
}

static int on_stderr(struct msb_exec *x, const struct proto_msg *m,
                     struct msb_exec_event *ev)
{
	(void)x;
	ev->kind = MSB_EXEC_STDERR;
	ev->data = m->stderr_data.data.p;
	ev->len = m->stderr_data.data.n;
	return 1;
}

static int on_ack(struct msb_exec *x, const struct proto_msg *m,
                  struct msb_exec_event *ev)
{
	/* Nor for nothing: a stream of these would keep us from the caller. */
	if (m->stdin_ack.count == 0 || m->stdin_ack.count > x->unacked)
		return -EPROTO;
	x->unacked -= m->stdin_ack.count;
	if (!x->blocked)
		return 0;
	x->blocked = false;
	ev->kind = MSB_EXEC_WRITABLE;
	return 1;
}

static int on_exited(struct msb_exec *x, const struct proto_msg *m,
                     struct msb_exec_event *ev)
{
	if (m->exited.code < 0 || m->exited.code > 255 ||
	    m->exited.signo > SIGNAL_MAX)
		return -EPROTO;
	x->state = EXEC_OVER;
	x->exited = true;
	x->how = m->exited;
	ev->kind = MSB_EXEC_EXITED;
	ev->code = m->exited.signo ? 0 : m->exited.code;
	ev->signal = (int32_t)m->exited.signo;
	return 1;
}

#define IN_WAITING (1u << EXEC_WAITING)
#define IN_RUNNING (1u << EXEC_RUNNING)
static const struct {
	enum proto_type type;
	unsigned states; /* in which it may arrive: bits */
	int (*fn)(struct msb_exec *x, const struct proto_msg *m,
	          struct msb_exec_event *ev);
} handlers[] = {
	{PROTO_STARTED,     IN_WAITING,              on_started},
	{PROTO_EXEC_FAILED, IN_WAITING,              on_failed },
	{PROTO_STDOUT,      IN_RUNNING,              on_stdout },
	{PROTO_STDERR,      IN_RUNNING,              on_stderr },
	{PROTO_STDIN_ACK,   IN_WAITING | IN_RUNNING, on_ack    },
	{PROTO_EXITED,      IN_RUNNING,              on_exited },
};

static int dispatch(struct msb_exec *x, struct msb_exec_event *ev)
{
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
		if (handlers[i].type == x->msg.type &&
		    (handlers[i].states & (1u << x->state)))
			return handlers[i].fn(x, &x->msg, ev);
	return -EPROTO;
}

/* The next whole frame of `in`: 1, 0 when there is none, negative errno. */
static int take_frame(struct msb_exec *x)
{
	ssize_t n;

	proto_release(&x->msg);
	x->msg = (struct proto_msg){0};
	if (x->in_off == x->in.len) {
		buf_reset(&x->in);
		x->in_off = 0;
	}
	if (x->in.len == 0)
		return 0;
	n = proto_decode(x->in.data + x->in_off, x->in.len - x->in_off,
	                 &x->msg);
	if (n > 0)
		x->in_off += (size_t)n;
	return n < 0 ? (int)n : n > 0;
}

/* 1 when bytes came, 0 when none are there, -ECONNRESET at the end. */
int exec_fill(struct msb_exec *x)
{
	ssize_t n;
	int r;

	buf_consume(&x->in, x->in_off);
	x->in_off = 0;
	r = buf_reserve(&x->in, EXEC_READ_CHUNK);
	if (r < 0)
		return r;
	do {
		n = recv(x->sock, x->in.data + x->in.len, EXEC_READ_CHUNK, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return n < 0 && errno != ECONNRESET ? -errno : -ECONNRESET;
	buf_commit(&x->in, (size_t)n);
	return 1;
}

/* 1 with an event, 0 when there is nothing now, or a negative errno. */
static int step(struct msb_exec *x, struct msb_exec_event *ev)
{
	int r = x->out.len ? exec_flush(x) : 0;

	while (r >= 0) {
		r = take_frame(x);
		if (r > 0)
			r = dispatch(x, ev);
		else if (r == 0 && (r = exec_fill(x)) == 0)
			return 0;
		else if (r > 0)
			continue;
		if (r > 0)
			return 1;
	}
	return r;
}

/* The socket's end is for ever readable: only where nothing else tells. */
static void begin_loss(struct msb_exec *x)
{
	x->state = EXEC_LOST;
	if (sandbox_loss_begin(x->sandbox, &x->loss, x->epfd) == 0)
		(void)epoll_ctl(x->epfd, EPOLL_CTL_DEL, x->sock, NULL);
}

/* 0 while nobody knows. */
static int look_why(struct msb_exec *x, struct msb_error *error)
{
	struct err err = {0};
	int r = sandbox_loss_look(x->sandbox, &x->loss, &err);

	if (r == -EAGAIN)
		return 0;
	x->state = EXEC_OVER;
	return error_return(error, r, &err);
}

/* 0 when it is LOST now. */
static int next_failed(struct msb_exec *x, int r, struct msb_error *error)
{
	struct err err = {0};

	if (r == -ECONNRESET && x->sandbox) {
		begin_loss(x);
		return 0;
	}
	if (r == -EPROTO)
		err_set(&err, r, "the guest's agent broke the protocol");
	else if (r == -ECONNRESET)
		r = err_set(&err, -LIB_EGONE, "the session was cut");
	x->state = EXEC_OVER;
	return error_return(error, r, &err);
}

/* 1 with an event, 0 when there is nothing now, or what to return. */
static int advance(struct msb_exec *x, struct msb_exec_event *ev,
                   struct msb_error *error)
{
	int r = x->state == EXEC_LOST ? 0 : step(x, ev);

	if (r < 0)
		r = next_failed(x, r, error);
	return r == 0 && x->state == EXEC_LOST ? look_why(x, error) : r;
}

int msb_exec_next(struct msb_exec *x, int timeout_ms,
                  struct msb_exec_event *ret_event, struct msb_error *error)
{
	uint64_t end =
		clock_now_ns() + (uint64_t)MAX(timeout_ms, 0) * NS_PER_MS;

	for (;;) {
		struct msb_exec_event ev = {.stage = "", .message = ""};
		struct pollfd pf = {.fd = x->epfd, .events = POLLIN};
		uint64_t now;
		int r, ms = -1;

		if (x->state == EXEC_OVER)
			return 0;
		r = advance(x, &ev, error);
		if (r < 0)
			return r;
		if (r > 0) {
			exec_log_event(x, &ev);
			options_give(ret_event, &ev, sizeof(ev));
			return 1;
		}
		now = timeout_ms > 0 ? clock_now_ns() : end;
		if (timeout_ms >= 0 && now >= end)
			return 0;
		if (timeout_ms > 0)
			ms = (int)((end - now) / NS_PER_MS) + 1;
		if (cancel_poll(&pf, 1, ms) == -ECANCELED)
			return error_return(error, -ECANCELED, NULL);
	}
}

/* ---- what is sent -------------------------------------------------------- */

static int put_stdin(struct msb_exec *x, const void *data, uint32_t len)
{
	struct proto_msg msg = {.type = PROTO_STDIN,
	                        .stdin_data = {.data = {data, len}}};

	return put(x, &msg);
}

int64_t msb_exec_write(struct msb_exec *x, const void *data, size_t len,
                       struct msb_error *error)
{
	size_t done = 0;

	if (!x->has_stdin || x->stdin_closed)
		return error_set(error, -EINVAL, "standard input is closed");
	if (exec_is_over(x))
		return (int64_t)len;
	while (done < len && x->unacked < PROTO_STDIN_WINDOW) {
		uint32_t n = (uint32_t)MIN(len - done, PROTO_DATA_MAX);
		int r;

		n = MIN(n, PROTO_STDIN_WINDOW - x->unacked);
		r = put_stdin(x, (const char *)data + done, n);
		if (r < 0)
			return error_return(error, r, NULL);
		x->unacked += n;
		done += n;
	}
	x->blocked = done < len;
	return (int64_t)done;
}

int msb_exec_close_stdin(struct msb_exec *x, struct msb_error *error)
{
	int r = 0;

	if (x->has_stdin && !x->stdin_closed && !exec_is_over(x))
		r = put_stdin(x, "", 0);
	x->stdin_closed = true;
	return r < 0 ? error_return(error, r, NULL) : 0;
}

size_t msb_exec_unread(const struct msb_exec *x)
{
	return x->unacked;
}

int msb_exec_signal(struct msb_exec *x, int signal, struct msb_error *error)
{
	struct proto_msg msg = {.type = PROTO_SIGNAL,
	                        .signal = {.signo = (uint32_t)signal}};
	int r;

	if (signal < 1 || signal > SIGNAL_MAX)
		return error_set(error, -EINVAL, "no such signal: %d", signal);
	if (exec_is_over(x))
		return 0;
	r = put(x, &msg);
	return r < 0 ? error_return(error, r, NULL) : 0;
}

int msb_exec_resize(struct msb_exec *x, uint16_t rows, uint16_t cols,
                    struct msb_error *error)
{
	struct proto_msg msg = {
		.type = PROTO_RESIZE, .resize = {.rows = rows, .cols = cols}
        };
	int r = exec_is_over(x) ? 0 : put(x, &msg);

	return r < 0 ? error_return(error, r, NULL) : 0;
}

static int wait_result(const struct msb_exec_event *ev, int *ret_code,
                       struct msb_error *error)
{
	if (ev->kind == MSB_EXEC_FAILED)
		return error_set(error, -LIB_EEXEC, "%s: %s", ev->stage,
		                 ev->message);
	*ret_code = ev->signal ? 128 + ev->signal : ev->code;
	return 0;
}

int msb_exec_wait(struct msb_exec *x, int timeout_ms, int *ret_code,
                  struct msb_error *error)
{
	uint64_t end =
		clock_now_ns() + (uint64_t)MAX(timeout_ms, 0) * NS_PER_MS;

	for (;;) {
		struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
		uint64_t now = clock_now_ns();
		int ms = -1, r;

		if (cancel_fired()) /* output may come without an end */
			return error_return(error, -ECANCELED, NULL);
		if (timeout_ms >= 0)
			ms = now < end ? (int)((end - now) / NS_PER_MS) : 0;
		r = msb_exec_next(x, ms, &ev, error);
		if (r < 0)
			return r;
		if (r == 0)
			return error_set(error, -ETIMEDOUT,
			                 "the command still runs");
		if (ev.kind == MSB_EXEC_FAILED || ev.kind == MSB_EXEC_EXITED)
			return wait_result(&ev, ret_code, error);
	}
}
