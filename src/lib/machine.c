#include "lib/machine.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cancel.h"
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

/* Between two looks of who has no descriptor to be woken by. */
#define LOOK_MS 20

#define TELL_MS  1000 /* for room on the line */
#define OWNER_MS 100  /* of what may take 200 after a cancel */

bool machine_has_ended(const struct machine *m)
{
	return m->state > MSB_STATE_READY;
}

bool machine_is_clean_end(const char *reason)
{
	static const char *const clean[] = {
		"poweroff", "exited",  "idle_timeout",     "max_duration",
		"killed",   "stopped", "secret_violation",
	};

	for (size_t i = 0; i < ARRAY_SIZE(clean); i++)
		if (strcmp(reason, clean[i]) == 0)
			return true;
	return false;
}

/* @reason is what goes on record, too: both shall tell the same state. */
static void end_with(struct machine *m, int code, const char *reason,
                     const char *message, const char *hint)
{
	if (m->state == MSB_STATE_STARTING)
		m->state = MSB_STATE_FAILED;
	else
		m->state = machine_is_clean_end(reason) ? MSB_STATE_STOPPED
		                                        : MSB_STATE_CRASHED;
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
	end_with(m, -LIB_EBOOT, "failed", text, f->hint);
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
	end_with(m, fine ? 0 : -LIB_EGONE, e->reason, text, "");
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

/* ---- who waits ----------------------------------------------------------- */

/* At the end: of two alike questions, the first is answered first. */
void machine_waiter_add(struct machine *m, struct machine_waiter *w)
{
	struct machine_waiter **at = &m->waiters;

	while (*at)
		at = &(*at)->next;
	w->next = NULL;
	*at = w;
}

void machine_waiter_del(struct machine *m, struct machine_waiter *w)
{
	struct machine_waiter **at = &m->waiters;

	while (*at && *at != w)
		at = &(*at)->next;
	if (*at)
		*at = w->next;
}

static void wake(const struct machine_waiter *w)
{
	const uint64_t one = 1;
	ssize_t n = w->fd >= 0 ? write(w->fd, &one, sizeof(one)) : 0;

	(void)n; /* full: it is readable */
}

static void wake_all(const struct machine *m)
{
	for (const struct machine_waiter *w = m->waiters; w; w = w->next)
		wake(w);
}

static void let_go(struct machine *m)
{
	if (m->lock)
		(void)pthread_mutex_unlock(m->lock);
}

static void take_back(struct machine *m)
{
	if (m->lock)
		(void)pthread_mutex_lock(m->lock);
}

/* UINT64_MAX: no end. */
static uint64_t end_of(int64_t timeout_ms)
{
	return timeout_ms < 0
	               ? UINT64_MAX
	               : clock_now_ns() + (uint64_t)timeout_ms * NS_PER_MS;
}

static int ms_until(uint64_t end)
{
	uint64_t now = clock_now_ns();

	if (end == UINT64_MAX)
		return -1;
	return now < end ? (int)MIN((end - now) / NS_PER_MS + 1, INT32_MAX) : 0;
}

/* What another thread takes from the line is told by way of w->fd. */
static void prepare_wait(struct machine *m, struct machine_waiter *w)
{
	if (m->lock && w->fd < 0)
		w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

/* Until something may have changed: 0, -ETIMEDOUT or -ECANCELED. */
static int wait_news(struct machine *m, struct machine_waiter *w, uint64_t end)
{
	struct pollfd pf[2] = {
		{.fd = m->control, .events = POLLIN},
		{.fd = w->fd,      .events = POLLIN}
        };
	int ms = ms_until(end), r;
	uint64_t count;
	ssize_t n = 0;

	if (ms == 0)
		return -ETIMEDOUT;
	if (m->lock && w->fd < 0) /* there was no descriptor to be had */
		ms = ms < 0 ? LOOK_MS : MIN(ms, LOOK_MS);
	let_go(m);
	r = cancel_poll(pf, ARRAY_SIZE(pf), ms);
	take_back(m);
	if (r > 0 && pf[1].revents)
		n = read(w->fd, &count, sizeof(count));
	(void)n;
	return r == -ECANCELED ? r : 0;
}

/* ---- what arrives -------------------------------------------------------- */

/*
 * TAKEN has no number: such questions are answered in their order, those that
 * were given up as well.
 */
static uint64_t answer_number(struct machine *m, const struct proto_msg *msg)
{
	if (msg->type == PROTO_VMM_TAKEN)
		return ++m->taken;
	if (msg->type == PROTO_VMM_PONG)
		return msg->vmm_pong.cookie;
	if (msg->type == PROTO_VMM_KEPT)
		return msg->vmm_kept.session;
	if (msg->type == PROTO_VMM_STATS_REPLY)
		return msg->vmm_stats_reply.cookie;
	return msg->type == PROTO_VMM_NET_EXPLAINED
	               ? msg->vmm_net_explained.cookie
	               : 0;
}

/* Who waits for it: the first with its number. */
static struct machine_waiter *who_asked(struct machine *m,
                                        const struct proto_msg *msg)
{
	uint64_t number = answer_number(m, msg);

	for (struct machine_waiter *w = m->waiters; w; w = w->next)
		if (w->answer && !w->found && w->type == msg->type &&
		    w->number == number)
			return w;
	return NULL;
}

/* Keeps the packet, which the message points into, and the descriptor. */
static void keep_answer(struct machine_waiter *w, struct proto_msg *msg,
                        uint8_t **packet, int *fd)
{
	w->found = true;
	w->answer->msg = *msg;
	*msg = (struct proto_msg){0};
	w->answer->packet = take_ptr(*packet);
	w->answer->fd = take_fd(*fd);
	wake(w);
}

static int handle(struct machine *m, uint8_t **packet, size_t len, int *fd)
{
	struct proto_msg cleanup_proto msg = {0};
	ssize_t n = proto_decode(*packet, len, &msg);
	struct machine_waiter *w;

	if (n != (ssize_t)len)
		return n < 0 ? (int)n : -EPROTO;
	w = who_asked(m, &msg);
	if (w) {
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

static void crash(struct machine *m, const char *message, const char *hint)
{
	end_with(m, m->ready_ns ? -LIB_EGONE : -LIB_EBOOT, "crashed", message,
	         hint);
}

static void crash_by_signal(struct machine *m)
{
	char text[128];

	(void)snprintf(text, sizeof(text),
	               "msb-vmm died unexpectedly (signal %d)",
	               WTERMSIG(m->wait_status));
	crash(m, text, "");
}

static void crash_by_exit(struct machine *m)
{
	char text[128];

	(void)snprintf(text, sizeof(text),
	               "msb-vmm ended unexpectedly (exit code %d)",
	               WEXITSTATUS(m->wait_status));
	crash(m, text, "try again with --debug to see what it says");
}

/* The socket has ended: no more messages, the process is gone or going. */
static void on_hangup(struct machine *m)
{
	m->hung_up = true;
	if (machine_has_ended(m))
		return;
	if (m->pid > 0)
		(void)kill(m->pid, SIGKILL); /* it may have only closed it */
	reap(m);
	if (m->stop_asked)
		end_with(m, 0, "stopped", "stopped", "");
	else if (m->joined)
		crash(m, "msb-vmm died unexpectedly", "");
	else if (WIFSIGNALED(m->wait_status))
		crash_by_signal(m);
	else if (WEXITSTATUS(m->wait_status) == 128 + SIGSYS)
		crash(m,
		      "msb-vmm was stopped by its own jail: it tried a "
		      "system call that it has no need of",
		      "this is a fault in msb-vmm, or an attack on it; "
		      "--debug shows which call it was");
	else
		crash_by_exit(m);
}

static void on_breach(struct machine *m)
{
	crash(m, "msb-vmm broke the protocol", "");
	m->hung_up = true;
	if (m->pid > 0)
		(void)kill(m->pid, SIGKILL);
}

/* Take the packets that are there, until none is or the answer to @w came. */
static void take_packets(struct machine *m, const struct machine_waiter *w)
{
	static const size_t max = PACKET_MAX;
	cleanup_free uint8_t *packet = NULL;

	for (int i = 0; i < TURN_MAX && !m->hung_up && !(w && w->found); i++) {
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
		    (n > 0 && handle(m, &packet, (size_t)n, &fds[0]) < 0))
			on_breach(m);
		else if (n <= 0)
			on_hangup(m);
		close_fd(&fds[0]);
	}
}

static void receive(struct machine *m, const struct machine_waiter *w)
{
	enum msb_state state = m->state;
	bool hung_up = m->hung_up;

	take_packets(m, w);
	if (m->state != state || m->hung_up != hung_up)
		wake_all(m);
}

void machine_process(struct machine *m)
{
	receive(m, NULL);
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
		struct pollfd pf = {.fd = m->control, .events = POLLOUT};
		ssize_t n;
		int r;

		if (m->hung_up || machine_has_ended(m))
			return -LIB_EGONE;
		n = fd_send(m->control, b->data, b->len, &fd, fd >= 0 ? 1 : 0);
		if (n != -EAGAIN)
			return n < 0 ? (int)n : 0;
		r = ms_until(end);
		if (r == 0)
			return -EAGAIN;
		let_go(m);
		r = cancel_poll(&pf, 1, r);
		take_back(m);
		if (r == -ECANCELED)
			return r;
	}
}

static int wait_answer(struct machine *m, struct machine_waiter *w,
                       uint64_t end)
{
	int r = 0;

	while (r == 0) {
		receive(m, w);
		if (w->found)
			return 0;
		r = machine_has_ended(m) ? -LIB_EGONE : wait_news(m, w, end);
	}
	/* The last thing that came while nobody held the lock. */
	return w->found ? 0 : r;
}

/*
 * Whose a session is, is changed by the question: if it can be had soon, the
 * answer is waited for in spite of a cancel.
 */
static int wait_owner(struct machine *m, struct machine_waiter *w)
{
	struct cancel *cleanup_cancel held = cancel_hold();
	int r = wait_answer(m, w, end_of(OWNER_MS));

	return r == -ETIMEDOUT ? -ECANCELED : r;
}

static bool changes_owner(enum proto_type answer)
{
	return answer == PROTO_VMM_KEPT || answer == PROTO_VMM_TAKEN;
}

int machine_ask(struct machine *m, const struct proto_msg *msg, int fd,
                enum proto_type type, int timeout_ms,
                struct machine_answer *ret)
{
	uint64_t end = end_of(timeout_ms);
	struct machine_answer a = {.fd = -1};
	struct machine_waiter w = {.fd = -1,
	                           .type = type,
	                           .number = question_number(msg),
	                           .answer = &a};
	struct buf cleanup_buf b = BUF_INIT;
	int r = proto_encode(&b, msg);

	machine_process(m);
	if (r == 0)
		r = send_waiting(m, &b, fd, end);
	if (r < 0)
		return r == -EAGAIN      ? -ETIMEDOUT
		       : r == -ECANCELED ? r
		                         : -LIB_EGONE;
	if (msg->type == PROTO_VMM_TAKE)
		w.number = ++m->takes;
	prepare_wait(m, &w);
	machine_waiter_add(m, &w);
	r = wait_answer(m, &w, end);
	if (r == -ECANCELED && changes_owner(type))
		r = wait_owner(m, &w);
	machine_waiter_del(m, &w);
	close_fd(&w.fd);
	if (r == 0)
		*ret = a;
	return r;
}

/* Until it is in none of the states up to @last of those that pass. */
static int wait_past(struct machine *m, enum msb_state last, int64_t timeout_ms)
{
	uint64_t end = end_of(timeout_ms);
	struct machine_waiter w = {.fd = -1};
	int r = 0;

	machine_process(m);
	if (m->state > last)
		return 0;
	prepare_wait(m, &w);
	machine_waiter_add(m, &w);
	while (m->state <= last && r == 0) {
		r = wait_news(m, &w, end);
		machine_process(m);
	}
	machine_waiter_del(m, &w);
	close_fd(&w.fd);
	return m->state > last ? 0 : r;
}

_Static_assert((int)MSB_STATE_STARTING == 0 && (int)MSB_STATE_READY == 1,
               "what passes comes first");

int machine_wait_end(struct machine *m, int64_t timeout_ms)
{
	return wait_past(m, MSB_STATE_READY, timeout_ms);
}

int machine_wait_ready(struct machine *m, int64_t timeout_ms)
{
	return wait_past(m, MSB_STATE_STARTING, timeout_ms);
}

int machine_tell(struct machine *m, const struct proto_msg *msg, int fd)
{
	struct buf cleanup_buf b = BUF_INIT;
	int r = proto_encode(&b, msg);

	return r < 0 ? r : send_waiting(m, &b, fd, end_of(TELL_MS));
}

int machine_connect(struct machine *m, int sock, uint32_t port)
{
	return machine_tell(m,
	                    &(struct proto_msg){.type = PROTO_VMM_CONNECT,
	                                        .vmm_connect = {port}},
	                    sock);
}

int machine_stop(struct machine *m, uint32_t timeout_ms)
{
	const struct proto_msg msg = {.type = PROTO_VMM_STOP,
	                              .vmm_stop = {timeout_ms}};
	uint32_t limit = MIN(timeout_ms, 86400000u) + STOP_SLACK_MS;
	int r = 0;

	machine_process(m);
	m->stop_asked = true;
	if (!machine_has_ended(m))
		r = machine_tell(m, &msg, -1);
	if (r == 0)
		r = machine_wait_end(m, limit);
	if (r == -ECANCELED)
		return r;
	return m->joined ? 0 : machine_kill(m);
}

int machine_await_process(int pidfd, uint32_t timeout_ms)
{
	uint64_t end = end_of(timeout_ms);
	struct pollfd pf = {.fd = pidfd, .events = POLLIN};
	int r, ms;

	do {
		ms = ms_until(end);
		r = cancel_poll(&pf, 1, ms);
	} while (r != 1 && r != -ECANCELED && ms != 0);
	return r == 1 ? 0 : r == -ECANCELED ? r : -ETIMEDOUT;
}

/* Nobody reaps it meanwhile: its number may be a stranger's then. */
static int open_process(const struct machine *m)
{
	return (int)syscall(SYS_pidfd_open, m->pid, 0);
}

static int await_end(int pidfd)
{
	int r = pidfd < 0 ? -ETIMEDOUT
	                  : machine_await_process(pidfd, END_LIMIT_MS);

	if (r != -ETIMEDOUT || pidfd < 0)
		return r;
	(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	return machine_await_process(pidfd, END_LIMIT_MS);
}

/*
 * Without its control socket msb-vmm kills QEMU, waits for it and exits. So
 * nothing is left when this returns, not even a dead process for init: there
 * are containers whose init does not wait for strangers.
 */
static int end_process(struct machine *m)
{
	int pidfd, r;

	if (m->pid <= 0)
		return 0;
	(void)shutdown(m->control, SHUT_WR);
	pidfd = open_process(m);
	let_go(m);
	r = await_end(pidfd);
	close_fd(&pidfd);
	take_back(m);
	if (r == -ECANCELED)
		return r;
	if (r < 0 && m->pid > 0)
		(void)kill(m->pid, SIGKILL);
	reap(m);
	return 0;
}

int machine_kill(struct machine *m)
{
	int r = end_process(m);

	machine_process(m);
	if (r < 0)
		return r;
	if (!machine_has_ended(m)) {
		end_with(m, 0, "killed", "killed", "");
		wake_all(m);
	}
	return 0;
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
	struct cancel *cleanup_cancel held = cancel_hold();

	m->lock = NULL;
	m->stop_asked = true;
	if (m->control >= 0 && !m->joined)
		(void)machine_kill(m);
	close_fd(&m->control);
	free(m->console);
	m->console = NULL;
	strv_release(&m->walls);
}
