#include "lib/machine.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"
#include "lib/error.h"

#include "base/banned.h"

#define PACKET_MAX PROTO_VMM_MAX

/* Packets of one call: who never stops to talk must not hold its caller. */
#define TURN_MAX 256

/* What msb-vmm takes for itself beyond the guest's time limit to stop. */
#define STOP_SLACK_MS 5000

/* What it takes to end QEMU and wait for it; 10 to 30 ms when idle. */
#define END_LIMIT_MS 3000

bool machine_has_ended(const struct machine *m)
{
	return m->state == MSB_STATE_FAILED || m->state == MSB_STATE_STOPPED;
}

static void end_with(struct machine *m, int code, const char *message,
                     const char *hint)
{
	m->state = m->state == MSB_STATE_STARTING ? MSB_STATE_FAILED
	                                          : MSB_STATE_STOPPED;
	m->end = (struct err){.code = code};
	(void)snprintf(m->end.msg, sizeof(m->end.msg), "%s", message);
	(void)snprintf(m->end.hint, sizeof(m->end.hint), "%s", hint);
}

static void keep_console(struct machine *m, const struct proto_bytes *b)
{
	size_t len = MIN(b->n, PROTO_CONSOLE_MAX);

	free(m->console);
	m->console = len ? strndup((const char *)b->p + b->n - len, len) : NULL;
}

/* Once: what was handed out of it is not changed any more. */
static void on_started(struct machine *m, const struct proto_msg *msg)
{
	if (*m->engine || *m->accel || m->state != MSB_STATE_STARTING)
		return;
	m->spawn_ns = msg->vmm_started.spawn_ns;
	(void)snprintf(m->engine, sizeof(m->engine), "%s",
	               msg->vmm_started.engine);
	(void)snprintf(m->accel, sizeof(m->accel), "%s",
	               msg->vmm_started.accel);
}

/* Out of memory they are not known: no reason to end a machine. */
static void keep_walls(struct machine *m, const struct proto_strs *s)
{
	strv_release(&m->walls);
	for (uint32_t i = 0; i < s->n; i++)
		(void)strv_add(&m->walls, s->v[i]);
}

static void on_ready(struct machine *m, const struct proto_msg *msg)
{
	if (m->state != MSB_STATE_STARTING)
		return;
	m->spawn_ns = msg->vmm_ready.spawn_ns;
	m->init_ns = msg->vmm_ready.init_ns;
	m->ready_ns = msg->vmm_ready.ready_ns;
	keep_walls(m, &msg->vmm_ready.jail);
	m->state = MSB_STATE_READY;
}

static void on_failed(struct machine *m, const struct proto_msg *msg)
{
	const struct proto_vmm_failed *f = &msg->vmm_failed;
	char text[ERR_MSG_MAX];

	if (machine_has_ended(m))
		return;
	(void)snprintf(text, sizeof(text), "%s",
	               *f->message ? f->message
	                           : "the machine did not get ready");
	keep_console(m, &f->console);
	end_with(m, -LIB_EBOOT, text, f->hint);
}

static void on_exited(struct machine *m, const struct proto_msg *msg)
{
	const struct proto_vmm_exited *e = &msg->vmm_exited;
	char text[ERR_MSG_MAX];
	bool fine = m->stop_asked;

	/* It ends once: its console was given out since. */
	if (machine_has_ended(m))
		return;
	(void)snprintf(text, sizeof(text), "the machine ended (%s)%s%s",
	               e->reason, *e->message ? ": " : "", e->message);
	keep_console(m, &e->console);
	m->exit_code = e->exit_code;
	(void)snprintf(m->end_reason, sizeof(m->end_reason), "%s", e->reason);
	end_with(m, fine ? 0 : -LIB_EGONE, text, "");
}

/* An answer that nobody waits for any more. */
static void on_answer(struct machine *m, const struct proto_msg *msg)
{
	(void)m;
	(void)msg;
}

static const struct {
	enum proto_type type;
	void (*fn)(struct machine *m, const struct proto_msg *msg);
} handlers[] = {
	{PROTO_VMM_STARTED,       on_started},
	{PROTO_VMM_READY,         on_ready  },
	{PROTO_VMM_FAILED,        on_failed },
	{PROTO_VMM_EXITED,        on_exited },
	{PROTO_VMM_PONG,          on_answer },
	{PROTO_VMM_KEPT,          on_answer },
	{PROTO_VMM_TAKEN,         on_answer },
	{PROTO_VMM_STATS_REPLY,   on_answer },
	{PROTO_VMM_NET_EXPLAINED, on_answer },
};

/*
 * What a machine_ask() waits for: the first answer of @type with the same
 * number as the question. TAKEN has none: there is one such question at a time.
 */
struct wanted {
	enum proto_type type;
	uint64_t number;
	struct machine_answer *answer; /* NULL: nothing is wanted */
	bool found;
};

static bool is_wanted(const struct wanted *w, const struct proto_msg *msg)
{
	uint64_t number = w->number;

	if (!w->answer || w->found || msg->type != w->type)
		return false;
	if (msg->type == PROTO_VMM_PONG)
		number = msg->vmm_pong.cookie;
	else if (msg->type == PROTO_VMM_KEPT)
		number = msg->vmm_kept.session;
	else if (msg->type == PROTO_VMM_STATS_REPLY)
		number = msg->vmm_stats_reply.cookie;
	else if (msg->type == PROTO_VMM_NET_EXPLAINED)
		number = msg->vmm_net_explained.cookie;
	return number == w->number;
}

/* Keeps the packet, which the message points into, and the descriptor. */
static void keep_answer(struct wanted *w, struct proto_msg *msg,
                        uint8_t **packet, int *fd)
{
	w->found = true;
	w->answer->msg = *msg;
	*msg = (struct proto_msg){0};
	w->answer->packet = take_ptr(*packet);
	w->answer->fd = take_fd(*fd);
}

static int handle(struct machine *m, uint8_t **packet, size_t len, int *fd,
                  struct wanted *w)
{
	struct proto_msg cleanup_proto msg = {0};
	ssize_t n = proto_decode(*packet, len, &msg);

	if (n != (ssize_t)len)
		return n < 0 ? (int)n : -EPROTO;
	if (is_wanted(w, &msg)) {
		keep_answer(w, &msg, packet, fd);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
		if (handlers[i].type == msg.type) {
			handlers[i].fn(m, &msg);
			return 0;
		}
	}
	return -EPROTO;
}

static void reap(struct machine *m)
{
	pid_t r;

	if (m->pid <= 0)
		return;
	do {
		r = waitpid(m->pid, &m->wait_status, 0);
	} while (r < 0 && errno == EINTR);
	m->pid = 0; /* ECHILD: the host program waited for it already */
}

/* The socket has ended: no more messages, the process is gone or going. */
static void on_hangup(struct machine *m)
{
	char text[128];

	m->hung_up = true;
	if (machine_has_ended(m))
		return;
	if (m->pid > 0)
		(void)kill(m->pid, SIGKILL); /* it may have only closed it */
	reap(m);
	if (m->stop_asked) {
		end_with(m, 0, "stopped", "");
	} else if (m->joined) {
		end_with(m, m->ready_ns ? -LIB_EGONE : -LIB_EBOOT,
		         "msb-vmm died unexpectedly", "");
	} else if (WIFSIGNALED(m->wait_status)) {
		(void)snprintf(text, sizeof(text),
		               "msb-vmm died unexpectedly (signal %d)",
		               WTERMSIG(m->wait_status));
		end_with(m, m->ready_ns ? -LIB_EGONE : -LIB_EBOOT, text, "");
	} else if (WEXITSTATUS(m->wait_status) == 128 + SIGSYS) {
		end_with(m, m->ready_ns ? -LIB_EGONE : -LIB_EBOOT,
		         "msb-vmm was stopped by its own jail: it tried a "
		         "system call that it has no need of",
		         "this is a fault in msb-vmm, or an attack on it; "
		         "--debug shows which call it was");
	} else {
		(void)snprintf(text, sizeof(text),
		               "msb-vmm ended unexpectedly (exit code %d)",
		               WEXITSTATUS(m->wait_status));
		end_with(m, m->ready_ns ? -LIB_EGONE : -LIB_EBOOT, text,
		         "try again with --debug to see what it says");
	}
}

static void on_breach(struct machine *m)
{
	end_with(m, m->ready_ns ? -LIB_EGONE : -LIB_EBOOT,
	         "msb-vmm broke the protocol", "");
	m->hung_up = true;
	if (m->pid > 0)
		(void)kill(m->pid, SIGKILL);
}

/* Take the packets that are there, until none is or the answer came. */
static void receive(struct machine *m, struct wanted *w)
{
	static const size_t max = PACKET_MAX;
	cleanup_free uint8_t *packet = NULL;

	for (int i = 0; i < TURN_MAX && !m->hung_up && !w->found; i++) {
		int fds[FD_PASS_MAX] = {-1};
		size_t nfds = 0;
		ssize_t n;

		if (!packet && !(packet = malloc(max)))
			return; /* tried again with the next call */
		n = fd_recv(m->control, packet, max, fds, &nfds);
		while (nfds > 1)
			(void)close(fds[--nfds]); /* it may send one */
		if (nfds == 0)
			fds[0] = -1;
		if (n == -EAGAIN)
			return;
		/*
		 * It went with a packet of ours unread. The kernel says so
		 * once, before what it had sent, which is the reason.
		 */
		if (n == -ECONNRESET)
			continue;
		if (n == -EMSGSIZE ||
		    (n > 0 && handle(m, &packet, (size_t)n, &fds[0], w) < 0))
			on_breach(m);
		else if (n <= 0)
			on_hangup(m);
		close_fd(&fds[0]);
	}
}

void machine_process(struct machine *m)
{
	receive(m, &(struct wanted){0});
}

void machine_answer_release(struct machine_answer *a)
{
	proto_release(&a->msg);
	free(a->packet);
	close_fd(&a->fd);
	*a = (struct machine_answer){.fd = -1};
}

static uint64_t question_number(const struct proto_msg *msg)
{
	if (msg->type == PROTO_VMM_PING)
		return msg->vmm_ping.cookie;
	if (msg->type == PROTO_VMM_KEEP)
		return msg->vmm_keep.session;
	if (msg->type == PROTO_VMM_NET_EXPLAIN)
		return msg->vmm_net_explain.cookie;
	return msg->type == PROTO_VMM_STATS ? msg->vmm_stats.cookie : 0;
}

/* A full socket: msb-vmm is slow; a moment may help. */
static int send_waiting(struct machine *m, const struct buf *b, int fd,
                        uint64_t end)
{
	for (;;) {
		ssize_t n = fd_send(m->control, b->data, b->len, &fd,
		                    fd >= 0 ? 1 : 0);
		struct pollfd pf = {.fd = m->control, .events = POLLOUT};
		uint64_t now = clock_now_ns();

		if (n != -EAGAIN)
			return n < 0 ? -LIB_EGONE : 0;
		if (now >= end)
			return -ETIMEDOUT;
		(void)poll(&pf, 1, (int)((end - now) / NS_PER_MS) + 1);
	}
}

int machine_ask(struct machine *m, const struct proto_msg *msg, int fd,
                enum proto_type type, int timeout_ms,
                struct machine_answer *ret)
{
	uint64_t end =
		clock_now_ns() + (uint64_t)MAX(timeout_ms, 0) * NS_PER_MS;
	struct machine_answer a = {.fd = -1};
	struct wanted w = {type, question_number(msg), &a, false};
	struct buf cleanup_buf b = BUF_INIT;
	int r = proto_encode(&b, msg);

	machine_process(m);
	if (r == 0)
		r = machine_has_ended(m) ? -LIB_EGONE
		                         : send_waiting(m, &b, fd, end);
	while (r == 0) {
		struct pollfd pf = {.fd = m->control, .events = POLLIN};
		uint64_t now;

		receive(m, &w);
		if (w.found)
			break;
		now = clock_now_ns();
		if (machine_has_ended(m))
			r = -LIB_EGONE;
		else if (timeout_ms >= 0 && now >= end)
			r = -ETIMEDOUT;
		else
			(void)poll(&pf, 1,
			           timeout_ms < 0
			                   ? -1
			                   : (int)((end - now) / NS_PER_MS) +
			                             1);
	}
	if (r == 0)
		*ret = a;
	return r;
}

int machine_wait_end(struct machine *m, uint32_t timeout_ms)
{
	uint64_t end = clock_now_ns() + timeout_ms * NS_PER_MS;

	machine_process(m);
	while (!machine_has_ended(m)) {
		struct pollfd pf = {.fd = m->control, .events = POLLIN};
		uint64_t now = clock_now_ns();

		if (now >= end)
			return -ETIMEDOUT;
		(void)poll(&pf, 1, (int)((end - now) / NS_PER_MS) + 1);
		machine_process(m);
	}
	return 0;
}

int machine_tell(struct machine *m, const struct proto_msg *msg, int fd)
{
	struct buf cleanup_buf b = BUF_INIT;
	ssize_t n;
	int r;

	if (m->hung_up || machine_has_ended(m))
		return -LIB_EGONE;
	r = proto_encode(&b, msg);
	if (r < 0)
		return r;
	n = fd_send(m->control, b.data, b.len, &fd, fd >= 0 ? 1 : 0);
	return n < 0 ? (int)n : 0;
}

int machine_connect(struct machine *m, int sock, uint32_t port)
{
	return machine_tell(m,
	                    &(struct proto_msg){.type = PROTO_VMM_CONNECT,
	                                        .vmm_connect = {port}},
	                    sock);
}

void machine_stop(struct machine *m, uint32_t timeout_ms)
{
	const struct proto_msg msg = {.type = PROTO_VMM_STOP,
	                              .vmm_stop = {timeout_ms}};
	uint32_t limit = MIN(timeout_ms, 86400000u) + STOP_SLACK_MS;

	machine_process(m);
	m->stop_asked = true;
	if (!machine_has_ended(m) && machine_tell(m, &msg, -1) == 0)
		(void)machine_wait_end(m, limit);
	if (!m->joined)
		machine_kill(m);
}

bool machine_await_process(int pidfd, uint32_t timeout_ms)
{
	uint64_t end = clock_now_ns() + timeout_ms * NS_PER_MS;
	struct pollfd pf = {.fd = pidfd, .events = POLLIN};
	uint64_t now;
	int n;

	do {
		now = clock_now_ns();
		n = poll(&pf, 1,
		         now < end ? (int)((end - now) / NS_PER_MS) + 1 : 0);
	} while (n != 1 && now < end);
	return n == 1;
}

/*
 * Without its control socket msb-vmm kills QEMU, waits for it and exits. So
 * nothing is left when this returns, not even a dead process for init: there
 * are containers whose init does not wait for strangers.
 */
static void end_process(struct machine *m)
{
	int pidfd;

	if (m->pid <= 0)
		return;
	(void)shutdown(m->control, SHUT_WR);
	pidfd = (int)syscall(SYS_pidfd_open, m->pid, 0);
	if (pidfd < 0 || !machine_await_process(pidfd, END_LIMIT_MS))
		(void)kill(m->pid, SIGKILL);
	close_fd(&pidfd);
	reap(m);
}

void machine_kill(struct machine *m)
{
	end_process(m);
	machine_process(m);
	if (!machine_has_ended(m))
		end_with(m, 0, "killed", "");
}

int machine_end_error(const struct machine *m, struct err *err)
{
	if (m->end.code == 0)
		return err_set(err, -LIB_EGONE, "the machine was stopped");
	if (err)
		*err = m->end;
	return m->end.code;
}

void machine_release(struct machine *m)
{
	m->stop_asked = true;
	if (m->control >= 0 && !m->joined)
		machine_kill(m);
	close_fd(&m->control);
	free(m->console);
	m->console = NULL;
	strv_release(&m->walls);
}
