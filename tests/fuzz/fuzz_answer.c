/*
 * What a msb-vmm in the hands of its guest may say to the library that asks it
 * for a detached command: any packets, with or without a session, then the
 * session itself. Input: pieces of { u8 how, u16 length, bytes }; bit 0 of
 * `how`: the packet carries the session's socket, bit 1: the bytes are the
 * session's. The first byte of all: bit 0: a certain session is asked for.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "lib/error.h"
#include "lib/exec.h"
#include "lib/sandbox.h"

static struct msb_sandbox sb;

/* It is never counted down to nothing. */
struct msb_sandbox *sandbox_ref(struct msb_sandbox *s)
{
	return s;
}

void sandbox_unref(struct msb_sandbox *s)
{
	(void)s;
}

void sandbox_look(struct msb_sandbox *s)
{
	machine_process(&s->machine);
}

int sandbox_connect(struct msb_sandbox *s, uint32_t port)
{
	(void)s;
	(void)port;
	abort();
}

int sandbox_lost(struct msb_sandbox *s, struct err *err)
{
	machine_process(&s->machine);
	if (!machine_has_ended(&s->machine))
		return err_set(err, -LIB_EGONE, "lost");
	return machine_end_error(&s->machine, err);
}

/* Known at once. */
int sandbox_loss_begin(struct msb_sandbox *s, struct sandbox_loss *l, int epfd)
{
	(void)s;
	(void)l;
	(void)epfd;
	return 0;
}

int sandbox_loss_look(struct msb_sandbox *s, struct sandbox_loss *l,
                      struct err *err)
{
	(void)l;
	return sandbox_lost(s, err);
}

void sandbox_loss_end(struct msb_sandbox *s, struct sandbox_loss *l)
{
	(void)s;
	(void)l;
}

int sandbox_ask(struct msb_sandbox *s, const struct proto_msg *msg, int fd,
                enum proto_type type, int timeout_ms,
                struct machine_answer *ret, struct err *err)
{
	int r = machine_ask(&s->machine, msg, fd, type, timeout_ms, ret);

	return r == -LIB_EGONE ? machine_end_error(&s->machine, err) : r;
}

struct vmm {
	const uint8_t *data;
	size_t size;
	int control, session[2];
};

/* What does not fit into the sockets is left out. */
static void play(const struct vmm *v)
{
	const uint8_t *data = v->data;
	size_t size = v->size;

	while (size >= 3) {
		size_t n = MIN((size_t)(data[1] | data[2] << 8), size - 3);

		if (data[0] & 2)
			(void)send(v->session[1], data + 3, n,
			           MSG_NOSIGNAL | MSG_DONTWAIT);
		else if (n)
			(void)fd_send(v->control, data + 3, n, &v->session[0],
			              data[0] & 1);
		data += 3 + n;
		size -= 3 + n;
	}
}

/* An answer counts only behind the question. */
static void *vmm(void *arg)
{
	const struct vmm *v = arg;
	char question[64];

	(void)recv(v->control, question, sizeof(question), 0);
	play(v);
	(void)shutdown(v->control, SHUT_WR);
	(void)shutdown(v->session[1], SHUT_WR);
	return NULL;
}

/* All that is told must be readable, and nothing may follow the last event. */
static void use(struct msb_exec *x)
{
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	unsigned sum = 0;
	int r;

	if (msb_exec_session(x) == 0 || msb_exec_unread(x) > PROTO_STDIN_WINDOW)
		abort();
	(void)msb_exec_write(x, "input", 5, NULL);
	while ((r = msb_exec_next(x, 0, &ev, NULL)) > 0)
		for (size_t i = 0; i < ev.len; i++)
			sum += ((const uint8_t *)ev.data)[i];
	if (msb_exec_unread(x) > PROTO_STDIN_WINDOW)
		abort();
	(void)msb_exec_detach(x, NULL);
	if (sum == 1)
		(void)msb_exec_resize(x, 1, 1, NULL); /* keeps the reads */
	msb_exec_free(x);
}

static void begin(int control)
{
	sb.machine = (struct machine)MACHINE_INIT;
	sb.machine.control = control;
	sb.machine.state = MSB_STATE_READY;
	sb.machine.joined = true;
	sb.machine.ready_ns = 1;
	sb.place.dir_fd = -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmm v = {.data = data + 1, .size = size - 1};
	struct msb_error error = {0};
	struct msb_exec *x = NULL;
	pthread_t thread;
	int control[2], r;

	if (size < 1 || size > 65536 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) <
	            0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, v.session) < 0)
		return 0;
	v.control = control[1];
	if (fd_set_nonblock(control[0]) < 0)
		abort();
	begin(control[0]);
	if (pthread_create(&thread, NULL, vmm, &v) != 0)
		abort();
	r = msb_exec_attach(&sb, data[0] & 1 ? 42 : 0, &x, &error);
	(void)pthread_join(thread, NULL);
	close_fd(&v.session[0]);
	if (r == 0)
		use(x);
	else if (x || error.code != -r || !*error.message)
		abort();
	machine_release(&sb.machine);
	(void)close(control[1]);
	(void)close(v.session[1]);
	return 0;
}
