/*
 * Kept sessions between a hostile guest and a library that errs. The input is
 * a program: a byte says which step and on which of eight sessions, then comes
 * what the step reads. Each session that was accepted ends once or is taken,
 * output is never longer than a frame, there is one main session at most.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "virtio/vsock_int.h"
#include "vmm/keep.h"

#define SESSIONS 8

struct world {
	struct loop *loop;
	struct virtio_dev *vsock;
	struct keep keep;
	int guest[SESSIONS];  /* what the guest writes to; -1: none */
	int holder[SESSIONS]; /* who has taken it */
	struct conn *conn[SESSIONS];
	bool lives[SESSIONS];
	const uint8_t *p;
	size_t len;
};

static void check(bool ok)
{
	if (!ok)
		abort();
}

static uint32_t take(struct world *w, size_t n)
{
	uint32_t v = 0;

	for (; n && w->len; n--, w->len--)
		v = v << 8 | *w->p++;
	return v;
}

static const uint8_t *take_bytes(struct world *w, size_t *n)
{
	const uint8_t *p = w->p;

	*n = MIN(*n, w->len);
	w->p += *n;
	w->len -= *n;
	return p;
}

static void on_output(void *arg, enum reclog_source source, uint64_t session,
                      const void *data, size_t len)
{
	struct world *w = arg;
	volatile uint8_t sum = 0;

	check(session >= 1 && session <= SESSIONS && w->lives[session - 1]);
	check(len && len <= PROTO_DATA_MAX && source <= RECLOG_OUTPUT);
	for (size_t i = 0; i < len; i++)
		sum ^= ((const uint8_t *)data)[i];
}

static void on_ended(void *arg, uint64_t session, bool is_main, int code)
{
	struct world *w = arg;

	(void)is_main;
	check(session >= 1 && session <= SESSIONS && w->lives[session - 1]);
	check(code >= KEEP_NO_CODE && code <= 255);
	w->lives[session - 1] = false;
}

/* With or without the device having its other end. */
static int open_session(struct world *w, unsigned i, bool real)
{
	int pair[2];

	close_fd(&w->guest[i]);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	w->conn[i] = NULL;
	w->guest[i] = real ? dup(pair[1]) : pair[1];
	if (!real)
		return pair[0];
	if (vsock_connect(w->vsock, 1025, pair[1]) == 0)
		w->conn[i] = TAILQ_LAST(&((struct vsock *)w->vsock)->conns,
		                        conn_list);
	return pair[0];
}

static void do_keep(struct world *w, unsigned i)
{
	const uint32_t flags = take(w, 1);
	size_t n = take(w, 2);
	struct proto_vmm_keep m = {.session = i + 1,
	                           .is_main = flags & 1,
	                           .tty = flags >> 1 & 1,
	                           .want_stdin = flags >> 2 & 1,
	                           .unacked = take(w, 3)};
	const bool lived = w->lives[i];
	int fd, r;

	m.rest.p = take_bytes(w, &n);
	m.rest.n = (uint32_t)n;
	if (w->holder[i] >= 0 && flags & 8)
		fd = take_fd(w->holder[i]);
	else
		fd = open_session(w, i, flags & 16);
	w->lives[i] = true; /* it may end in there */
	r = keep_add(&w->keep, &m, fd);
	if (r < 0 && !lived)
		w->lives[i] = false;
}

static void do_take(struct world *w, unsigned i)
{
	struct proto_vmm_taken t;
	struct kept *s = keep_find(&w->keep, i == 7 ? 0 : i + 1, &t);

	if (!s)
		return;
	check(t.rest.n <= PROTO_REST_MAX && t.session <= SESSIONS &&
	      t.unacked <= PROTO_STDIN_WINDOW && w->lives[t.session - 1]);
	i = (unsigned)t.session - 1;
	close_fd(&w->holder[i]);
	w->holder[i] = dup(s->fd);
	w->lives[i] = t.is_main; /* we hear of it again */
	keep_lend(s);
}

static void do_say(struct world *w, unsigned i)
{
	size_t n = take(w, 2);
	const uint8_t *p = take_bytes(w, &n);

	if (w->guest[i] >= 0 && n)
		(void)!send(w->guest[i], p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void do_close(struct world *w, unsigned i)
{
	close_fd(take(w, 1) & 1 ? &w->guest[i] : &w->holder[i]);
}

/* The device loses the connection; these were the guest's last bytes. */
static void do_reset(struct world *w, unsigned i)
{
	size_t n = take(w, 1) % (VSOCK_LAST_MAX + 1);
	const uint8_t *p = take_bytes(w, &n);
	struct conn *c = w->conn[i];

	if (!c)
		return;
	memcpy(c->last, p, n);
	c->nlast = (uint8_t)n;
	conn_reset(c);
	w->conn[i] = NULL;
}

static void do_step(struct world *w, unsigned i)
{
	for (unsigned k = 0; k <= i; k++)
		check(loop_step(w->loop, 0) == 0);
}

static void check_all(const struct world *w)
{
	unsigned mains = 0;

	for (size_t i = 0; i < KEEP_MAX; i++) {
		const struct kept *s = &w->keep.list[i];

		mains += s->session && s->is_main;
		check(s->in.len <= PROTO_REST_MAX);
		check(!s->session || w->lives[s->session - 1]);
		check(s->session || s->fd < 0);
	}
	check(mains <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const steps[])(struct world *, unsigned) = {
		do_keep, do_take, do_say, do_close, do_reset, do_step,
	};
	struct world w = {.p = data, .len = size};
	const struct keep_events ev = {on_output, on_ended, &w};

	w.loop = loop_new();
	if (!w.loop || vsock_new(w.loop, 3, &w.vsock, NULL) < 0)
		abort();
	keep_init(&w.keep, w.loop, w.vsock, &ev);
	for (int i = 0; i < SESSIONS; i++)
		w.guest[i] = w.holder[i] = -1;
	while (w.len) {
		uint32_t op = take(&w, 1);

		steps[op % ARRAY_SIZE(steps)](&w, op >> 4 & 7);
		check_all(&w);
	}
	do_step(&w, 3);
	keep_release(&w.keep);
	for (int i = 0; i < SESSIONS; i++) {
		close_fd(&w.guest[i]);
		close_fd(&w.holder[i]);
	}
	virtio_free(w.vsock);
	loop_free(w.loop);
	return 0;
}
