#include "guest/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "guest/files.h"
#include "guest/pty.h"

#include "base/banned.h"

#define READ_CHUNK (64u << 10)
#define IN_MAX     (PROTO_HEADER_LEN + PROTO_FRAME_MAX + READ_CHUNK)
#define OUT_MAX    (4 * PROTO_DATA_MAX) /* never reached, see session.h */
#define SIGNAL_MAX 64

enum state { WAITING, STARTING, RUNNING, DRAINING, CLOSING, FILES };

struct session {
	const struct session_env *env;
	enum state state;
	int sock;
	struct loop_fd sock_src, status_src, in_src, out_src, err_src;
	struct buf in, out; /* frames from and to the host */
	size_t parsed;      /* bytes of `in` that are done with */
	struct child child;
	bool reaped, tty, has_stdin, input_end;
	bool hung_up; /* FILES: the host is gone, the child has a moment */
	const char *refused; /* why, or NULL */
	int wait_status;
	struct buf input; /* stdin that the command has not taken yet */
	uint32_t ack;     /* stdin bytes to acknowledge */
	uint64_t signals; /* came before the command ran: bit n-1 */
	struct loop_timer grace;
};

/* ---- towards the host ---------------------------------------------------- */

static int put(struct session *s, const struct proto_msg *msg)
{
	return proto_encode(&s->out, msg);
}

static int flush(struct session *s)
{
	while (s->out.len > 0) {
		ssize_t n =
			send(s->sock, s->out.data, s->out.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		buf_consume(&s->out, (size_t)n);
	}
	return 0;
}

static int put_failed(struct session *s, const char *stage, int error,
                      const char *message)
{
	struct proto_msg msg = {
		.type = PROTO_EXEC_FAILED,
		.exec_failed = {
				.stage = stage, .error = error, .message = message}
        };

	s->state = CLOSING;
	return put(s, &msg);
}

/* The same to who wants files. */
static int put_refused(struct session *s)
{
	struct proto_msg msg = {
		.type = PROTO_FILE_DONE,
		.file_done = {.error = EAGAIN, .message = s->refused}
        };

	s->state = CLOSING;
	return put(s, &msg);
}

static int put_ack(struct session *s)
{
	struct proto_msg msg = {.type = PROTO_STDIN_ACK,
	                        .stdin_ack = {.count = s->ack}};

	s->ack = 0;
	return put(s, &msg);
}

static int put_exited(struct session *s)
{
	int st = s->wait_status;
	struct proto_msg msg = {.type = PROTO_EXITED};

	if (WIFSIGNALED(st))
		msg.exited.signo = (uint32_t)WTERMSIG(st);
	else
		msg.exited.code = WEXITSTATUS(st);
	s->state = CLOSING;
	return put(s, &msg);
}

/* ---- the command's side -------------------------------------------------- */

static void drop(struct session *s, struct loop_fd *src, int *fd)
{
	loop_del(s->env->loop, src);
	close_fd(fd);
}

/*
 * One chunk of output. Returns 1 when there was something, 0 when not; the end
 * of the stream closes @fd (a terminal says EIO when nobody has it open).
 */
static int pull(struct session *s, struct loop_fd *src, int *fd,
                enum proto_type type)
{
	static uint8_t chunk[PROTO_DATA_MAX];
	struct proto_msg msg = {.type = type};
	ssize_t n = *fd < 0 ? 0 : read(*fd, chunk, sizeof(chunk));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		drop(s, src, fd);
		return 0;
	}
	/* STDOUT and STDERR have the same one field. */
	msg.stdout_data.data = (proto_bytes){chunk, (uint32_t)n};
	return put(s, &msg) < 0 ? -ENOMEM : 1;
}

static void input_taken(struct session *s, size_t n)
{
	buf_consume(&s->input, n);
	s->ack += (uint32_t)n;
}

/* Nobody reads any more: take what is there as read, so the host goes on. */
static void input_gone(struct session *s)
{
	input_taken(s, s->input.len);
	drop(s, &s->in_src, &s->child.in_fd);
}

/* A key such as Ctrl-C means nothing to a terminal that nobody leads yet. */
static bool takes_input(const struct session *s)
{
	return s->state == RUNNING || s->state == DRAINING ||
	       (s->state == STARTING && !s->tty);
}

static void push(struct session *s)
{
	ssize_t n;

	while (s->input.len > 0 && s->child.in_fd >= 0) {
		n = write(s->child.in_fd, s->input.data, s->input.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			input_gone(s);
		else
			input_taken(s, (size_t)n);
	}
	if (s->child.in_fd < 0)
		input_taken(s, s->input.len);
	else if (s->input_end && !s->tty)
		drop(s, &s->in_src, &s->child.in_fd);
}

static void send_signal(struct session *s, uint32_t signo)
{
	if (s->state == RUNNING && !s->reaped)
		(void)kill(-s->child.pid, (int)signo);
	else if (s->state == STARTING)
		s->signals |= 1ULL << (signo - 1);
}

static int started(struct session *s)
{
	struct proto_msg msg = {.type = PROTO_STARTED,
	                        .started = {.pid = (uint32_t)s->child.pid}};
	uint64_t pending = s->signals;

	s->state = RUNNING;
	for (uint32_t n = 1; pending; n++, pending >>= 1)
		if (pending & 1)
			send_signal(s, n);
	return put(s, &msg);
}

/* How the start went: nothing means well. */
static int take_status(struct session *s)
{
	struct child_failure f;
	ssize_t n = read(s->child.status_fd, &f, sizeof(f));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	drop(s, &s->status_src, &s->child.status_fd);
	if (n == 0)
		return started(s);
	if (n != sizeof(f))
		return put_failed(s, "fork", EIO, "the start was cut short");
	f.stage[sizeof(f.stage) - 1] = '\0';
	f.message[sizeof(f.message) - 1] = '\0';
	return put_failed(s, f.stage, f.error, f.message);
}

/* ---- from the host ------------------------------------------------------- */

/* It waited long for its turn: nobody is there any more. */
static bool is_left(const struct session *s)
{
	struct pollfd pf = {.fd = s->sock, .events = POLLRDHUP};

	return poll(&pf, 1, 0) > 0 && pf.revents;
}

static int on_exec(struct session *s, const struct proto_msg *m)
{
	const char *stage = "fork";
	struct err err = {0};
	int r;

	if (is_left(s))
		return -ECONNRESET;
	if (s->refused)
		return put_failed(s, stage, EAGAIN, s->refused);
	r = child_start(&s->env->child, &m->exec, &s->child, &stage, &err);
	if (r < 0)
		return put_failed(s, stage, -r, err.msg);
	s->tty = m->exec.tty;
	s->has_stdin = m->exec.want_stdin || s->tty;
	s->state = STARTING;
	return 0;
}

/* The connection is the child's from here on. */
static int on_files(struct session *s, const struct proto_msg *m)
{
	struct files_env env = {.upper_fd = s->env->upper_fd,
	                        .proc_fd = s->env->proc_fd,
	                        .spared = s->env->child.spared};
	int r;

	if (s->refused)
		return put_refused(s);
	r = files_start(&env, s->sock, &m->file_req, s->in.data + s->parsed,
	                s->in.len - s->parsed, &s->child.pid);
	if (r < 0)
		return r;
	s->state = FILES;
	return 0;
}

static int on_stdin(struct session *s, const struct proto_msg *m)
{
	const proto_bytes *d = &m->stdin_data.data;

	if (!s->has_stdin || s->input_end || d->n > PROTO_DATA_MAX ||
	    s->input.len + s->ack + d->n > PROTO_STDIN_WINDOW)
		return -EPROTO;
	if (d->n == 0)
		s->input_end = true;
	return buf_add(&s->input, d->p, d->n);
}

static int on_signal(struct session *s, const struct proto_msg *m)
{
	if (m->signal.signo < 1 || m->signal.signo > SIGNAL_MAX)
		return -EPROTO;
	send_signal(s, m->signal.signo);
	return 0;
}

static int on_resize(struct session *s, const struct proto_msg *m)
{
	if (!s->tty)
		return -EPROTO;
	if (s->child.out_fd >= 0)
		(void)pty_resize(s->child.out_fd, m->resize.rows,
		                 m->resize.cols);
	return 0;
}

/* What may arrive while the command lives; the first two only at the start. */
static const struct {
	enum proto_type type;
	enum state from, to;
	int (*fn)(struct session *s, const struct proto_msg *m);
} handlers[] = {
	{PROTO_EXEC,     WAITING,  WAITING,  on_exec  },
	{PROTO_FILE_REQ, WAITING,  WAITING,  on_files },
	{PROTO_STDIN,    STARTING, DRAINING, on_stdin },
	{PROTO_SIGNAL,   STARTING, DRAINING, on_signal},
	{PROTO_RESIZE,   STARTING, DRAINING, on_resize},
};

static int dispatch(struct session *s, const struct proto_msg *m)
{
	if (s->state == CLOSING)
		return 0; /* sent before our last word arrived there */
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
		if (handlers[i].type == m->type &&
		    s->state >= handlers[i].from && s->state <= handlers[i].to)
			return handlers[i].fn(s, m);
	return -EPROTO;
}

static int fill(struct session *s)
{
	ssize_t n;
	int r = buf_reserve(&s->in, READ_CHUNK);

	if (r < 0)
		return r;
	n = recv(s->sock, s->in.data + s->in.len, READ_CHUNK, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -ECONNRESET;
	buf_commit(&s->in, (size_t)n);
	return 0;
}

static int parse(struct session *s)
{
	struct proto_msg msg;
	ssize_t n = 1;
	int r = 0;

	s->parsed = 0;
	while (r >= 0 && n > 0 && s->parsed < s->in.len && s->state != FILES) {
		n = proto_decode(s->in.data + s->parsed, s->in.len - s->parsed,
		                 &msg);
		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		s->parsed += (size_t)n;
		r = dispatch(s, &msg);
		proto_release(&msg);
	}
	buf_consume(&s->in, s->parsed);
	return r;
}

/* ---- the loop ------------------------------------------------------------ */

static void on_sock(void *arg, uint32_t events);
static void on_status(void *arg, uint32_t events);
static void on_in(void *arg, uint32_t events);
static void on_out(void *arg, uint32_t events);
static void on_err(void *arg, uint32_t events);

/* Not watched means removed: a hang-up is reported whatever one asks for. */
static int watch(struct session *s, struct loop_fd *src, int fd, bool want,
                 uint32_t events, void (*cb)(void *, uint32_t))
{
	if (want && fd >= 0 && !src->added)
		return loop_add(s->env->loop, src, fd, events, cb, s);
	if (!want && src->added)
		loop_del(s->env->loop, src);
	return 0;
}

/* Of a file session only the end is seen: first the host's, then the child's.
 */
static int watch_files(struct session *s)
{
	if (s->hung_up)
		return 0;
	buf_release(&s->in);
	return loop_mod(s->env->loop, &s->sock_src, EPOLLRDHUP);
}

static int watch_all(struct session *s)
{
	struct child *c = &s->child;
	bool room = s->out.len < PROTO_DATA_MAX && s->state >= RUNNING;
	int r = loop_mod(s->env->loop, &s->sock_src,
	                 EPOLLIN | (s->out.len ? EPOLLOUT : 0));

	if (r == 0)
		r = watch(s, &s->status_src, c->status_fd, s->state == STARTING,
		          EPOLLIN, on_status);
	if (r == 0)
		r = watch(s, &s->out_src, c->out_fd, room, EPOLLIN, on_out);
	if (r == 0)
		r = watch(s, &s->err_src, c->err_fd, room, EPOLLIN, on_err);
	if (r == 0)
		r = watch(s, &s->in_src, c->in_fd,
		          s->input.len > 0 && takes_input(s), EPOLLOUT, on_in);
	return r;
}

static void on_grace(void *arg);

static void arm_grace(struct session *s)
{
	loop_timer_set(s->env->loop, &s->grace,
	               clock_now_ns() + SESSION_GRACE_MS * NS_PER_MS, on_grace,
	               s);
}

/*
 * After every event: hand on what there is, decide what to wait for. @r is the
 * event's result. The session may be gone when this returns.
 */
static void update(struct session *s, int r)
{
	if (r >= 0 && takes_input(s))
		push(s);
	if (r >= 0 && s->ack && s->state != CLOSING)
		r = put_ack(s);
	if (r >= 0 && s->state == RUNNING && s->reaped) {
		s->state = DRAINING;
		arm_grace(s);
	}
	if (r >= 0 && s->state == DRAINING && s->child.out_fd < 0 &&
	    s->child.err_fd < 0)
		r = put_exited(s);
	if (r >= 0)
		r = flush(s);
	if (r >= 0 && s->state == FILES)
		r = s->reaped ? -ECONNRESET : watch_files(s);
	else if (r >= 0 && !(s->state == CLOSING && s->out.len == 0))
		r = watch_all(s);
	if (r == -EPROTO)
		log_limited(LOG_WARN, "a session broke the protocol: ended");
	if (r < 0 || (s->state == CLOSING && s->out.len == 0))
		s->env->over(s->env->arg, s);
}

static void on_files_end(void *arg)
{
	update(arg, -ECONNRESET);
}

/* The child sees it too, and tidies up; for one that hangs there is a limit. */
static void hang_up(struct session *s)
{
	s->hung_up = true;
	loop_del(s->env->loop, &s->sock_src);
	loop_timer_set(s->env->loop, &s->grace,
	               clock_now_ns() + FILES_END_MS * NS_PER_MS, on_files_end,
	               s);
}

static void on_sock(void *arg, uint32_t events)
{
	struct session *s = arg;
	int r = 0;

	if (s->state == FILES) {
		hang_up(s);
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		r = fill(s);
	if (r >= 0)
		r = parse(s);
	update(s, r);
}

static void on_status(void *arg, uint32_t events)
{
	struct session *s = arg;

	(void)events;
	update(s, take_status(s));
}

static void on_in(void *arg, uint32_t events)
{
	(void)events;
	update(arg, 0); /* which pushes */
}

static void on_stream(struct session *s, struct loop_fd *src, int *fd,
                      enum proto_type type)
{
	int r = pull(s, src, fd, type);

	if (r > 0 && s->state == DRAINING)
		arm_grace(s);
	update(s, r);
}

static void on_out(void *arg, uint32_t events)
{
	struct session *s = arg;

	(void)events;
	on_stream(s, &s->out_src, &s->child.out_fd, PROTO_STDOUT);
}

static void on_err(void *arg, uint32_t events)
{
	struct session *s = arg;

	(void)events;
	on_stream(s, &s->err_src, &s->child.err_fd, PROTO_STDERR);
}

/* Silence: but a slow host, not the command, may be its reason. */
static void on_grace(void *arg)
{
	struct session *s = arg;
	int out = 0, err = 0;

	if (s->state != DRAINING)
		return;
	if (s->out.len == 0) {
		out = pull(s, &s->out_src, &s->child.out_fd, PROTO_STDOUT);
		err = pull(s, &s->err_src, &s->child.err_fd, PROTO_STDERR);
	}
	if (s->out.len > 0) {
		arm_grace(s);
	} else {
		drop(s, &s->out_src, &s->child.out_fd);
		drop(s, &s->err_src, &s->child.err_fd);
	}
	update(s, MIN(out, err));
}

/* ---- life ---------------------------------------------------------------- */

struct session *session_new(const struct session_env *env, int fd)
{
	struct session *s = calloc(1, sizeof(*s));
	int r;

	if (!s) {
		(void)close(fd);
		errno = ENOMEM;
		return NULL;
	}
	s->env = env;
	s->sock = fd;
	s->child = (struct child)CHILD_INIT;
	s->in = (struct buf)BUF_INIT_MAX(IN_MAX);
	s->out = (struct buf)BUF_INIT_MAX(OUT_MAX);
	s->input = (struct buf)BUF_INIT_MAX(PROTO_STDIN_WINDOW);
	r = fd_set_nonblock(fd);
	if (r == 0)
		r = loop_add(env->loop, &s->sock_src, fd, EPOLLIN, on_sock, s);
	if (r < 0) {
		session_free(s);
		errno = -r;
		return NULL;
	}
	return s;
}

void session_refuse(struct session *s, const char *why)
{
	s->refused = why;
}

bool session_is_refused(const struct session *s)
{
	return s->refused != NULL;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	if (s->child.pid > 0 && !s->reaped)
		child_kill_session(s->env->proc_fd, s->child.pid);
	loop_timer_del(s->env->loop, &s->grace);
	drop(s, &s->status_src, &s->child.status_fd);
	drop(s, &s->in_src, &s->child.in_fd);
	drop(s, &s->out_src, &s->child.out_fd);
	drop(s, &s->err_src, &s->child.err_fd);
	drop(s, &s->sock_src, &s->sock);
	buf_release(&s->in);
	buf_release(&s->out);
	buf_release(&s->input);
	free(s);
}

pid_t session_pid(const struct session *s)
{
	return s->reaped ? 0 : s->child.pid;
}

void session_reaped(struct session *s, int status)
{
	int r = 0;

	s->reaped = true;
	s->wait_status = status;
	/* It is dead, so the pipe has its word or its end. */
	if (s->state == STARTING)
		r = take_status(s);
	update(s, r);
}
