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

/* Several times the largest message that msb-vmm sends. */
#define PACKET_MAX 65536

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

static void on_started(struct machine *m, const struct proto_msg *msg)
{
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
	m->spawn_ns = msg->vmm_ready.spawn_ns;
	m->init_ns = msg->vmm_ready.init_ns;
	m->ready_ns = msg->vmm_ready.ready_ns;
	if (m->state != MSB_STATE_STARTING)
		return;
	keep_walls(m, &msg->vmm_ready.jail);
	m->state = MSB_STATE_READY;
}

static void on_failed(struct machine *m, const struct proto_msg *msg)
{
	const struct proto_vmm_failed *f = &msg->vmm_failed;
	char text[ERR_MSG_MAX];

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

	(void)snprintf(text, sizeof(text), "the machine ended (%s)%s%s",
	               e->reason, *e->message ? ": " : "", e->message);
	keep_console(m, &e->console);
	end_with(m, fine ? 0 : -LIB_EGONE, text, "");
}

static const struct {
	enum proto_type type;
	void (*fn)(struct machine *m, const struct proto_msg *msg);
} handlers[] = {
	{PROTO_VMM_STARTED, on_started},
	{PROTO_VMM_READY,   on_ready  },
	{PROTO_VMM_FAILED,  on_failed },
	{PROTO_VMM_EXITED,  on_exited },
};

static int handle(struct machine *m, const void *data, size_t len)
{
	struct proto_msg cleanup_proto msg = {0};
	ssize_t n = proto_decode(data, len, &msg);

	if (n != (ssize_t)len)
		return n < 0 ? (int)n : -EPROTO;
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

void machine_process(struct machine *m)
{
	static const size_t max = PACKET_MAX;
	cleanup_free uint8_t *packet = NULL;

	while (!m->hung_up) {
		int fds[FD_PASS_MAX];
		size_t nfds = 0;
		ssize_t n;

		if (!packet && !(packet = malloc(max)))
			return; /* tried again with the next call */
		n = fd_recv(m->control, packet, max, fds, &nfds);
		while (n > 0 && nfds)
			(void)close(fds[--nfds]); /* it may send none */
		if (n == -EAGAIN)
			return;
		/*
		 * It went with a packet of ours unread. The kernel says so
		 * once, before what it had sent, which is the reason.
		 */
		if (n == -ECONNRESET)
			continue;
		if (n == -EMSGSIZE || (n > 0 && handle(m, packet, (size_t)n)))
			on_breach(m);
		else if (n <= 0)
			on_hangup(m);
	}
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

int machine_connect(struct machine *m, int sock, uint32_t port)
{
	struct proto_msg msg = {.type = PROTO_VMM_CONNECT,
	                        .vmm_connect = {.port = port}};
	struct buf cleanup_buf b = BUF_INIT;
	ssize_t n;
	int r;

	if (m->hung_up || machine_has_ended(m))
		return -LIB_EGONE;
	r = proto_encode(&b, &msg);
	if (r < 0)
		return r;
	n = fd_send(m->control, b.data, b.len, &sock, 1);
	return n < 0 ? (int)n : 0;
}

void machine_stop(struct machine *m, uint32_t timeout_ms)
{
	struct proto_msg msg = {.type = PROTO_VMM_STOP,
	                        .vmm_stop = {.timeout_ms = timeout_ms}};
	struct buf cleanup_buf b = BUF_INIT;
	uint32_t limit = MIN(timeout_ms, 86400000u) + STOP_SLACK_MS;

	machine_process(m);
	m->stop_asked = true;
	if (!machine_has_ended(m) && proto_encode(&b, &msg) == 0 &&
	    fd_send(m->control, b.data, b.len, NULL, 0) > 0)
		(void)machine_wait_end(m, limit);
	machine_kill(m);
}

/*
 * Without its control socket msb-vmm kills QEMU, waits for it and exits. So
 * nothing is left when this returns, not even a dead process for init: there
 * are containers whose init does not wait for strangers.
 */
static void end_process(struct machine *m)
{
	struct pollfd pf = {.events = POLLIN};
	int pidfd;

	if (m->pid <= 0)
		return;
	(void)shutdown(m->control, SHUT_WR);
	pidfd = (int)syscall(SYS_pidfd_open, m->pid, 0);
	pf.fd = pidfd;
	if (pidfd < 0 || poll(&pf, 1, END_LIMIT_MS) != 1)
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
	if (m->control >= 0)
		machine_kill(m);
	close_fd(&m->control);
	free(m->console);
	m->console = NULL;
	strv_release(&m->walls);
}
