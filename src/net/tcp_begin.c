/*
 * tcp_begin.c - from a SYN to the first byte: the policy, the host's answer,
 * the handshake, and (where a rule about names decides) what the guest says
 * first.
 */
#include "net/tcp_int.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/num.h"
#include "net/sniff.h"

#include "base/banned.h"

#define OPT_END   0
#define OPT_NOP   1
#define OPT_MSS   2
#define OPT_SCALE 3

#define TLS_HANDSHAKE 0x16

#define SYN_AGAIN_NS (1 * NS_PER_S) /* of tcp_open(), doubled each time */

/* Ports that we call the guest from. */
#define PORT_FIRST 32768
#define PORT_COUNT 28232
#define PORT_TRIES 64

/* ---- options ------------------------------------------------------------- */

static void use_mss(struct tcp_flow *f, unsigned mss)
{
	unsigned most = f->n->cfg.mtu - (addr_is_v4(&f->f.t.guest) ? 40u : 60u);

	f->mss = (uint16_t)MAX(MIN(mss, most), TCP_MSS_MIN);
}

static void use_scale(struct tcp_flow *f, unsigned scale)
{
	f->scale = (uint8_t)MIN(scale, TCP_SCALE_MAX);
	f->flags |= TCP_F_SCALE;
}

static void one_option(struct tcp_flow *f, const uint8_t *o)
{
	if (o[0] == OPT_MSS && o[1] == 4)
		use_mss(f, get_be16(o + 2));
	else if (o[0] == OPT_SCALE && o[1] == 3)
		use_scale(f, o[2]);
}

/* Of a SYN; what is broken ends the list. */
void tcp_options(struct tcp_flow *f, const struct pkt *p)
{
	const uint8_t *o = p->head + p->l4 + TCP_HEAD;
	const uint8_t *end = p->head + p->l4 + p->l4_len;

	f->flags &= (uint16_t)~TCP_F_SCALE;
	f->scale = 0;
	use_mss(f, addr_is_v4(&f->f.t.guest) ? TCP_MSS_V4 : TCP_MSS_V6);
	while (o < end && *o != OPT_END) {
		if (*o == OPT_NOP) {
			o++;
			continue;
		}
		if (end - o < 2 || o[1] < 2 || o[1] > end - o)
			return;
		one_option(f, o);
		o += o[1];
	}
}

/* ---- a SYN of the guest -------------------------------------------------- */

/* RFC 6528: a secret function of the tuple, and a clock of 4 microseconds. */
static uint32_t first_number(const struct tcp_flow *f)
{
	return (uint32_t)siphash(f->n->tcp->key, &f->f.t, sizeof(f->f.t)) +
	       (uint32_t)(net_now(f->n) / 4000);
}

static void number_syn(struct tcp_flow *f)
{
	f->snd_una = first_number(f);
	f->snd_nxt = f->snd_una + 1;
}

/* The host's side is there: answer. */
static void answer(struct tcp_flow *f, int fd)
{
	f->sock.fd = fd;
	number_syn(f);
	tcp_state(f, TCP_SYN_RCVD);
	tcp_send_syn(f);
	tcp_timer(f, TCP_RTO_NS);
}

static const struct {
	int error;
	enum icmp_reason why;
} unreachable[] = {
	{-ENETUNREACH,  ICMP_NO_NET },
	{-EHOSTUNREACH, ICMP_NO_HOST},
	{-EHOSTDOWN,    ICMP_NO_HOST},
};

/* The guest is to see what the host saw. */
static void dial_failed(struct tcp_flow *f, int error)
{
	for (size_t i = 0; i < ARRAY_SIZE(unreachable); i++)
		if (unreachable[i].error == error) {
			icmp_error_flow(f->n, PROTO_TCP, &f->f.t,
			                f->rcv_nxt - 1, unreachable[i].why,
			                NULL, 0);
			tcp_kill(f, false);
			return;
		}
	if (error == -ETIMEDOUT)
		tcp_kill(f, false);
	else
		tcp_abort(f);
}

static int dial_again(struct tcp_flow *f, int error);

static void on_dialled(void *arg, int fd_or_error)
{
	struct tcp_flow *f = arg;
	struct net *n = f->n;
	int r = fd_or_error;

	f->dial = NULL;
	if (r < 0)
		r = dial_again(f, r);
	if (r < 0)
		dial_failed(f, r);
	else if (!f->dial)
		answer(f, r);
	tcp_turn_end(n);
}

/*
 * The gateway is this host: a server that listens on the loopback of one family
 * is found by clients of both, as far as the policy lets them to the gateway's
 * other address, too. 0: f->dial is on its way; else the end of the flow.
 */
static int dial_again(struct tcp_flow *f, int error)
{
	const struct net_config *c = &f->n->cfg;
	struct tuple t = f->f.t;
	struct addr to;

	if (f->other || error == -ETIMEDOUT || !gate_is_gateway(f->n, &t.peer))
		return error;
	t.peer = addr_eq(&t.peer, &c->gateway4) ? c->gateway6 : c->gateway4;
	if (gate_egress(f->n, POLICY_TCP, &t, NULL) != VERDICT_ALLOW)
		return error;
	f->other = true;
	to = gate_target(f->n, &t.peer);
	return dial_start(f->n, &to, t.pport, NULL, on_dialled, f, &f->dial);
}

/* Proxies are asked for the name that the guest got the address for. */
static const char *name_for_proxy(struct net *n, const struct tuple *t)
{
	if (n->cfg.proxy.kind == NET_DIRECT || gate_is_gateway(n, &t->peer))
		return NULL;
	return gate_name(n, POLICY_TCP, t);
}

static void dial_host(struct tcp_flow *f)
{
	const struct addr *peer = &f->f.t.peer;
	struct addr to = gate_target(f->n, peer);
	int r = dial_start(f->n, &to, f->f.t.pport,
	                   name_for_proxy(f->n, &f->f.t), on_dialled, f,
	                   &f->dial);

	if (r < 0)
		dial_failed(f, r);
}

/* Whoever it was sent to: the gateway's name server answers. */
static void dial_dns(struct tcp_flow *f)
{
	int fd[2], r;

	r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	               fd);
	if (r == 0) {
		f->sock.fd = fd[0];
		r = dns_stream(f->n, fd[1], &f->f.t);
	}
	if (r < 0) {
		gate_refused(f->n, "a connection to a name server");
		tcp_abort(f);
		return;
	}
	answer(f, f->sock.fd);
}

static struct tcp_flow *add_flow(struct net *n, const struct tuple *t)
{
	struct tcp_flow *f = NULL;
	int r = -ENFILE;

	if (n->tcp->half < TCP_HALF_MAX)
		f = tcp_flow_new(n, t, &r);
	if (!f)
		gate_refused(n, r == -ENFILE ? "a TCP connection, of so many"
		                             : "a TCP connection: no memory");
	return f;
}

void tcp_begin(struct net *n, const struct tcp_in *s)
{
	const uint8_t *tcp = s->p->head + s->p->l4;
	struct tuple t = {s->p->src, s->p->dst, get_be16(tcp),
	                  get_be16(tcp + 2)};
	enum verdict verdict = VERDICT_ALLOW;
	struct tcp_flow *f;

	if (t.pport != DNS_PORT)
		verdict = gate_egress(n, POLICY_TCP, &t, NULL);
	f = verdict == VERDICT_DENY ? NULL : add_flow(n, &t);
	if (!f) {
		tcp_refuse(n, s);
		return;
	}
	tcp_state(f, TCP_DIALLING);
	f->flags = verdict == VERDICT_NEED_NAME ? TCP_F_NAME : 0;
	f->open_text = n->intercept != NULL;
	f->first = t.pport != DNS_PORT && intercept_is_on(n);
	f->rcv_nxt = f->rcv_adv = s->seq + 1;
	tcp_options(f, s->p);
	if (t.pport == DNS_PORT) {
		dial_dns(f);
	} else {
		pins_hold(n->pins, &t.peer);
		f->flags |= TCP_F_PINNED;
		dial_host(f);
	}
	if (f->state != TCP_DEAD)
		atomic_fetch_add_explicit(&n->counters.tcp_flows, 1,
		                          memory_order_relaxed);
}

/* ---- open ---------------------------------------------------------------- */

void tcp_established(struct tcp_flow *f)
{
	void (*done)(void *arg, int error) = f->opener.done;
	void *arg = f->opener.arg;

	tcp_state(f, tcp_has(f, TCP_F_NAME) ? TCP_HELD : TCP_OPEN);
	f->tries = 0;
	f->deadline_ns = 0;
	f->ready.next = f->ready.prev = NULL;
	if (f->state == TCP_HELD)
		tcp_timer(f, SNIFF_LIFE_NS);
	if (f->active)
		done(arg, 0);
}

/* ---- who does it talk to? ------------------------------------------------ */

static bool allowed(struct net *n, const struct tuple *t, const char *said)
{
	return gate_egress(n, POLICY_TCP, t, said) == VERDICT_ALLOW;
}

/*
 * CONNECT asks a proxy to reach somebody else: that one is judged as if the
 * guest had connected to it.
 */
static bool allowed_beyond(struct net *n, const struct tuple *t,
                           const struct sniff *s)
{
	struct tuple beyond = *t;

	beyond.pport = s->port;
	if (s->has_addr)
		beyond.peer = s->addr;
	return allowed(n, &beyond, s->name);
}

static bool may_pass(struct tcp_flow *f, const struct sniff *s)
{
	if (s->kind == SNIFF_BAD) {
		gate_refused(f->n, "a connection whose first bytes are broken");
		return false;
	}
	return allowed(f->n, &f->f.t, s->name) &&
	       (s->kind != SNIFF_CONNECT || allowed_beyond(f->n, &f->f.t, s));
}

/*
 * The first bytes of @up, SNIFF_MAX at most, in one piece: they are unless
 * empty lines went before them. @copy has room for them.
 */
static const uint8_t *first_bytes(const struct tcp_flow *f, uint8_t *copy,
                                  size_t *ret_len)
{
	struct iovec v[2] = {0};
	unsigned n = ring_get(&f->up, 0, MIN(f->up.used, SNIFF_MAX), v);

	*ret_len = v[0].iov_len + v[1].iov_len;
	if (n < 2)
		return v[0].iov_base;
	memcpy(copy, v[0].iov_base, v[0].iov_len);
	memcpy(copy + v[0].iov_len, v[1].iov_base, v[1].iov_len);
	return copy;
}

static bool is_full(const struct tcp_flow *f)
{
	return f->up.used >=
	       MIN(SNIFF_MAX, ring_limit(&f->n->tcp->pool, &f->up));
}

/* Nothing but empty lines so far: servers skip them, and so do we. */
static bool is_blank(const uint8_t *data, size_t len)
{
	while (len && (data[len - 1] == '\r' || data[len - 1] == '\n'))
		len--;
	return !len;
}

/* It goes on as if there were no msb-tls. */
static void look_no_more(struct tcp_flow *f)
{
	f->first = false;
	tcp_drain(f);
}

/* It would be msb-tls's, as far as one can see, and nobody can see more. */
static void refuse_hello(struct tcp_flow *f)
{
	gate_refused(f->n, "a TLS connection whose first bytes are broken");
	atomic_fetch_add_explicit(&f->n->counters.tls_refused, 1,
	                          memory_order_relaxed);
	tcp_abort(f);
}

/* To msb-tls, if the policy is content with what the flow says now. */
static void hand_over(struct tcp_flow *f, const struct sniff *s)
{
	bool may = s->kind == SNIFF_CONNECT ? allowed_beyond(f->n, &f->f.t, s)
	                                    : allowed(f->n, &f->f.t, s->name);
	int r = -EACCES;

	/* Nobody answers a hello of which the host's side saw the end. */
	if (may && !(f->flags & (TCP_F_EOF | TCP_F_BROKEN)))
		r = intercept_give(f, s);
	if (r == -EAGAIN)
		return;
	if (r < 0) {
		tcp_abort(f);
		return;
	}
	tcp_search_no_more(f);
	look_no_more(f);
}

void tcp_look(struct tcp_flow *f, bool last)
{
	uint16_t port = f->f.t.pport;
	uint8_t copy[SNIFF_MAX];
	struct sniff s = {.kind = SNIFF_OTHER};
	const uint8_t *data;
	size_t len;
	bool more;

	if (!f->up.used || f->state != TCP_OPEN)
		return;
	data = first_bytes(f, copy, &len);
	if (is_blank(data, len)) {
		tcp_drain(f);
		f->first = !f->up.used;
		return;
	}
	if (intercept_may_take(f->n, port, data, len))
		sniff(data, len, &s);
	more = s.kind == SNIFF_MORE && !last;
	if (more && !is_full(f))
		return;
	if (intercept_takes(f->n, port, &s))
		hand_over(f, &s);
	else if (data[0] == TLS_HANDSHAKE && (more || s.kind == SNIFF_BAD))
		refuse_hello(f);
	else
		look_no_more(f);
}

/* Nothing was taken out of @up yet: its bytes are in one piece. */
void tcp_judge(struct tcp_flow *f, bool last)
{
	struct sniff s = {.kind = SNIFF_OTHER};
	struct iovec v[2];

	if (ring_get(&f->up, 0, MIN(f->up.used, SNIFF_MAX), v))
		sniff(v[0].iov_base, v[0].iov_len, &s);
	else if (!last)
		return;
	if (s.kind == SNIFF_MORE && !last && f->up.used < SNIFF_MAX)
		return;
	if (!may_pass(f, &s)) {
		tcp_abort(f);
		return;
	}
	tcp_state(f, TCP_OPEN);
	f->deadline_ns = 0;
	if (f->first)
		tcp_look(f, tcp_has(f, TCP_F_GFIN));
	else
		tcp_drain(f);
}

/* ---- too late ------------------------------------------------------------ */

static void syn_again(struct tcp_flow *f)
{
	if (net_now(f->n) >= f->f.used_ns + TCP_OPEN_NS) {
		tcp_give_up(f, -ETIMEDOUT);
		return;
	}
	tcp_send_syn(f);
	f->tries++;
	tcp_timer(f, SYN_AGAIN_NS << MIN(f->tries, 3));
}

static void answer_again(struct tcp_flow *f)
{
	if (f->tries++ < TCP_SYN_TRIES) {
		tcp_send_syn(f);
		tcp_timer(f, TCP_RTO_NS << f->tries);
	} else if (f->active) {
		tcp_give_up(f, -ETIMEDOUT);
	} else {
		tcp_abort(f);
	}
}

void tcp_begin_late(struct tcp_flow *f)
{
	if (f->state == TCP_SYN_SENT)
		syn_again(f);
	else if (f->state == TCP_SYN_RCVD)
		answer_again(f);
	else if (f->state == TCP_HELD)
		tcp_judge(f, true);
}

/* ---- into the guest ------------------------------------------------------ */

/* A port of @from's that no flow to the same port of the guest has. */
static int pick_port(struct net *n, struct tuple *t)
{
	uint16_t start = 0;

	if (getrandom(&start, sizeof(start), 0) != sizeof(start))
		return -EIO;
	for (unsigned i = 0; i < PORT_TRIES; i++) {
		t->pport = (uint16_t)(PORT_FIRST + (start + i) % PORT_COUNT);
		if (!flow_find(&n->tcp->table, t))
			return 0;
	}
	return -ENFILE;
}

int tcp_open(struct net *n, int fd, const struct addr *from, uint16_t port,
             void (*done)(void *arg, int error), void *arg)
{
	struct tuple t = {
		.guest = addr_is_v4(from) ? n->cfg.guest4 : n->cfg.guest6,
		.peer = *from,
		.gport = port,
	};
	struct tcp_flow *f;
	int r = pick_port(n, &t);

	if (r < 0)
		return r;
	if (n->tcp->half >= TCP_HALF_MAX)
		return -ENFILE;
	f = tcp_flow_new(n, &t, &r);
	if (!f)
		return r;
	f->active = true;
	f->opener.done = done;
	f->opener.arg = arg;
	f->sock.fd = fd;
	tcp_state(f, TCP_SYN_SENT);
	number_syn(f);
	tcp_send_syn(f);
	tcp_timer(f, SYN_AGAIN_NS);
	atomic_fetch_add_explicit(&n->counters.tcp_flows, 1,
	                          memory_order_relaxed);
	return 0;
}
