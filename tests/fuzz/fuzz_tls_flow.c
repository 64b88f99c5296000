/*
 * A guest and a server, both hostile, before TLS is up: ClientHello, CONNECT
 * and its answer, what a server says in its handshake. Nothing of it may open
 * the gate or reach the server but a CONNECT for the name, and when both have
 * gone, the flow has.
 *
 *	input: flags, then pieces: who, length (2), bytes
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/num.h"
#include "tls/flow.h"

#include "base/banned.h"

enum { F_CONNECT = 1, F_ADDRESS = 2, F_NO_VERIFY = 4, F_SECRET = 8 };

#define NAME    "api.example"
#define CONNECT "CONNECT "
#define VALUE   "never-to-be-seen"
#define TURNS   200

#define CHECK(what)                                                            \
	do {                                                                   \
		if (!(what))                                                   \
			abort();                                               \
	} while (0)

void link_send_abort(struct link *l, uint64_t id)
{
	(void)l;
	CHECK(id == 1);
}

/* Nobody here can end a handshake. */
struct relay *http1_new(const struct relay_env *env)
{
	(void)env;
	abort();
}

struct relay *http2_new(const struct relay_env *env)
{
	(void)env;
	abort();
}

static void on_event(void *arg, const struct tls_event *ev)
{
	(void)arg;
	if (!ev->text)
		return;
	for (const char *p = ev->text; *p; p++)
		CHECK(*p >= ' ' && *p <= '~');
}

/* ---- once ---------------------------------------------------------------- */

static struct tls base[2]; /* with verification, and without */

static void set_up(struct tls *t, bool verify)
{
	struct strv none = {0};

	CHECK((t->loop = loop_new()) != NULL);
	t->sink.event = on_event;
	CHECK(ca_make(&t->ca, NULL) == 0);
	if (!verify)
		CHECK(strv_add(&none, "*") == 0);
	CHECK(upstreams_new("", NULL, 0, &none, &t->upstreams, NULL) == 0);
	strv_release(&none);
}

static struct secrets *secrets_make(bool any)
{
	struct secrets *s = secrets_new();
	struct secret c = {.name = (char *)(uintptr_t) "KEY",
	                   .placeholder = (char *)(uintptr_t) "MSB_KEY",
	                   .placeholder_len = 7,
	                   .value = (uint8_t *)(uintptr_t)VALUE,
	                   .len = strlen(VALUE),
	                   .where = SECRET_HEADERS | SECRET_BASIC,
	                   .violation = SECRET_BLOCK_LOG};

	CHECK(s && strv_add(&c.hosts, "*") == 0);
	if (any)
		CHECK(secrets_set(s, &c, NULL) == 0);
	CHECK(secrets_seal(s) == 0);
	strv_release(&c.hosts);
	return s;
}

/* ---- a run --------------------------------------------------------------- */

struct run {
	struct tls *t;
	int fd[2];               /* by enum side: the peers' ends */
	struct buf got[2], sent; /* sent: by the guest */
};

static void take(struct run *r)
{
	uint8_t data[4096];

	for (int s = 0; s < 2; s++) {
		ssize_t n;

		while ((n = recv(r->fd[s], data, sizeof(data), 0)) > 0)
			CHECK(buf_add(&r->got[s], data, (size_t)n) == 0);
	}
}

static void turns(struct run *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		CHECK(loop_step(r->t->loop, 0) == 0);
		if (r->t->flows)
			CHECK(!gate_open(&r->t->flows->gate));
	}
	take(r);
}

static void start(struct run *r, uint8_t flags)
{
	struct tlslink_flow m = {
		.type = TLSLINK_FLOW,
		.kind = flags & F_CONNECT ? TLSLINK_CONNECT : TLSLINK_TLS,
		.pinned = 1,
		.port = 443,
		.id = 1,
		.peer = {[10] = 0xff, 0xff, 192, 0, 2, 1}
        };
	int pair[2][2];

	if (!(flags & F_ADDRESS))
		(void)snprintf(m.name, sizeof(m.name), "%s", NAME);
	for (int s = 0; s < 2; s++) {
		CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
		                 pair[s]) == 0);
		r->fd[s] = pair[s][0];
	}
	CHECK(flow_start(r->t, &m, pair[0][1], pair[1][1]) == 0);
}

static void pieces(struct run *r, const uint8_t *p, size_t len)
{
	while (len > 3) {
		int who = p[0] & 1;
		size_t n = MIN((size_t)get_le16(p + 1), len - 3);

		(void)send(r->fd[who], p + 3, n, MSG_NOSIGNAL);
		if (who == SIDE_GUEST)
			CHECK(buf_add(&r->sent, p + 3, n) == 0);
		if (p[0] & 2)
			(void)shutdown(r->fd[who], SHUT_WR);
		turns(r, 4);
		p += 3 + n;
		len -= 3 + n;
	}
}

/* In clear, the server sees a CONNECT for the name, and never a value. */
static void check_server(const struct run *r, uint8_t flags)
{
	const struct buf *b = &r->got[SIDE_SERVER];

	if (b->len == 0)
		return;
	/* the fuzzer finds out what we look for, and sends it itself */
	CHECK(!memmem(b->data, b->len, VALUE, strlen(VALUE)) ||
	      memmem(r->sent.data, r->sent.len, VALUE, strlen(VALUE)));
	if (!(flags & F_CONNECT))
		return;
	CHECK(b->len > strlen(CONNECT));
	CHECK(memcmp(b->data, CONNECT, strlen(CONNECT)) == 0);
	if (flags & F_SECRET)
		CHECK(!memmem(b->data, b->len, "MSB_KEY", 7));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct run r = {0};
	uint8_t flags;

	r.got[0].max = r.got[1].max = r.sent.max = BUF_MAX_DEFAULT;
	if (!base[0].loop) {
		(void)signal(SIGPIPE, SIG_IGN);
		set_up(&base[0], true);
		set_up(&base[1], false);
	}
	if (len < 1)
		return 0;
	flags = data[0];
	r.t = &base[(flags & F_NO_VERIFY) != 0];
	r.t->secrets = secrets_make(flags & F_SECRET);
	start(&r, flags);
	pieces(&r, data + 1, len - 1);
	check_server(&r, flags);
	(void)close(r.fd[0]);
	(void)close(r.fd[1]);
	for (int i = 0; i < TURNS && r.t->nflows; i++)
		CHECK(loop_step(r.t->loop, 0) == 0);
	CHECK(r.t->nflows == 0 && r.t->nhandshakes == 0);
	CHECK(!r.t->again && !r.t->waiting);
	secrets_unref(r.t->secrets);
	buf_release(&r.got[0]);
	buf_release(&r.got[1]);
	buf_release(&r.sent);
	return 0;
}
