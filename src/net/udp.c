/*
 * udp.c - what the guest sends to somebody: flows and their sockets.
 *
 * A flow begins with the guest's first datagram to a peer, when the policy
 * allows it, and ends when it was silent for a while; sooner when there are
 * UDP_FLOWS_MAX and another begins. Its socket is connected, so the kernel
 * drops what anybody else sends to it, and tells of errors by name: with
 * IP_RECVERR they come with what is needed to tell the guest the same, as if
 * the host were a router between the two.
 */
#include "net/udp_int.h"

#include <errno.h>
#include <stdlib.h>

#include "base/num.h"

#include "base/banned.h"

#define MDNS_PORT   5353
#define LLMNR_PORT  5355
#define NETBIOS_NS  137
#define NETBIOS_DGM 138

/* So many of the oldest are looked at for one that nobody answered. */
#define VICTIM_LOOK 32
/* Errors of one socket at a time; the rest has the next turn. */
#define ERRORS_MAX 64

struct udp_flow {
	struct flow f;
	struct udp_sock s;
	struct wheel_timer timer;
	struct udp_opts opts; /* as the socket has them */
	bool has_opts, answered;
};

static struct udp_flow *flow_of(struct udp_sock *s)
{
	return container_of(s, struct udp_flow, s);
}

/* ---- errors -------------------------------------------------------------- */

static const struct {
	int error;
	enum icmp_reason reason;
} reasons[] = {
	{ENETUNREACH,   ICMP_NO_NET    },
        {EAFNOSUPPORT,  ICMP_NO_NET    },
	{EADDRNOTAVAIL, ICMP_NO_NET    },
        {ECONNREFUSED,  ICMP_NO_PORT   },
	{EACCES,        ICMP_PROHIBITED},
        {EPERM,         ICMP_PROHIBITED},
};

static enum icmp_reason reason_of(int error)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].error == error)
			return reasons[i].reason;
	return ICMP_NO_HOST;
}

/*
 * Who is named as the one that said so. The peer stands for what the gateway's
 * address leads to; the host's own addresses are nothing for the guest to know.
 */
static const struct addr *teller(struct net *n, const struct udp_flow *f,
                                 const struct addr *from)
{
	static const struct addr nobody;
	struct addr target = gate_target(n, &f->f.t.peer);

	if (addr_eq(from, &target))
		return &f->f.t.peer;
	if (addr_eq(from, &nobody) ||
	    addr_is_v4(from) != addr_is_v4(&f->f.t.peer) ||
	    gate_is_host(n, from))
		return NULL;
	return from;
}

static void flow_failed(struct udp_sock *s)
{
	struct udp_flow *f = flow_of(s);
	enum icmp_reason why;
	struct addr from = {0};
	uint32_t mtu = 0;
	int error;
	socklen_t len = sizeof(error);

	for (int i = 0; i < ERRORS_MAX; i++) {
		if (icmp_from_errqueue(s->fd, &why, &from, &mtu) <= 0)
			break;
		icmp_error_flow(s->n, PROTO_UDP, &f->f.t, 0, why,
		                teller(s->n, f, &from), mtu);
	}
	/* One that is no message in that queue would be told for ever. */
	(void)getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
}

/* ---- sockets ------------------------------------------------------------- */

struct names {
	int level, ttl, tos, df;
};

static const struct names ip4_names = {IPPROTO_IP, IP_TTL, IP_TOS,
                                       IP_MTU_DISCOVER};
static const struct names ip6_names = {IPPROTO_IPV6, IPV6_UNICAST_HOPS,
                                       IPV6_TCLASS, IPV6_MTU_DISCOVER};

static void set_opts(struct udp_sock *s, const struct udp_opts *o)
{
	const struct names *name = s->v6 ? &ip6_names : &ip4_names;
	struct udp_flow *f = flow_of(s);
	bool all = !f->has_opts;

	if (all || o->ttl != f->opts.ttl)
		udp_option(s->fd, name->level, name->ttl, o->ttl);
	if (all || o->tos != f->opts.tos)
		udp_option(s->fd, name->level, name->tos, o->tos);
	if (all || o->df != f->opts.df)
		udp_option(s->fd, name->level, name->df,
		           o->df ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT);
	f->opts = *o;
	f->has_opts = true;
}

static int flow_deliver(struct udp_sock *s, const struct udp_got *g)
{
	struct udp_flow *f = flow_of(s);
	int r = udp_deliver(s->n, &f->f.t, g->tos, false, g->data, g->len);

	if (r == -EAGAIN)
		return r;
	f->answered = true;
	flow_touch(&s->n->udp->flows, &f->f, net_now(s->n));
	return 0;
}

static const struct udp_sock_ops flow_ops = {
	.prepare = set_opts,
	.deliver = flow_deliver,
	.failed = flow_failed,
};

static void ask_for_errors(int fd, bool v6)
{
	if (v6) {
		udp_option(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
		udp_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	} else {
		udp_option(fd, IPPROTO_IP, IP_RECVERR, 1);
		udp_option(fd, IPPROTO_IP, IP_RECVTOS, 1);
	}
}

/* ---- life ---------------------------------------------------------------- */

static void flow_end(struct udp_flow *f)
{
	struct net *n = f->s.n;

	udp_sock_close(&f->s);
	wheel_del(&n->wheel, &f->timer);
	flow_del(&n->udp->flows, &f->f);
	pins_drop(n->pins, &f->f.t.peer, net_now(n));
	atomic_fetch_sub_explicit(&n->counters.open, 1, memory_order_relaxed);
	free(f);
}

static void on_time(struct wheel_timer *t);

static void set_timer(struct udp_flow *f)
{
	uint64_t life = f->answered ? UDP_ANSWERED_NS : UDP_ONE_WAY_NS;

	wheel_set(&f->s.n->wheel, &f->timer, f->f.used_ns + life, on_time);
}

/* Its use moved the end, or an answer did. */
static void on_time(struct wheel_timer *t)
{
	struct udp_flow *f = container_of(t, struct udp_flow, timer);
	struct net *n = f->s.n;
	uint64_t life = f->answered ? UDP_ANSWERED_NS : UDP_ONE_WAY_NS;

	if (net_now(n) < f->f.used_ns + life)
		set_timer(f);
	else
		flow_end(f);
	net_turn_end(n);
}

/*
 * The one idle longest; but rather one that nobody answered, so that a scan
 * does not end what works.
 */
static bool make_room(struct udp *u)
{
	struct flow *f = u->flows.oldest;
	struct flow *victim = f;

	for (int i = 0; f && i < VICTIM_LOOK; i++, f = f->newer)
		if (!container_of(f, struct udp_flow, f)->answered) {
			victim = f;
			break;
		}
	if (!victim)
		return false;
	flow_end(container_of(victim, struct udp_flow, f));
	return true;
}

static int open_socket(struct net *n, const struct addr *target)
{
	int domain = addr_is_v4(target) ? AF_INET : AF_INET6;
	int fd = net_socket(n, domain, SOCK_DGRAM, 0);

	if ((fd == -EMFILE || fd == -ENFILE) && make_room(n->udp))
		fd = net_socket(n, domain, SOCK_DGRAM, 0);
	return fd;
}

/* A connected socket for @t; -ENOBUFS when it is by a limit of ours. */
static int dial_peer(struct net *n, const struct tuple *t, bool *ret_v6)
{
	struct addr target = gate_target(n, &t->peer);
	cleanup_close int fd = open_socket(n, &target);
	bool v6 = !addr_is_v4(&target);
	int r;

	if (fd < 0)
		return fd == -EAFNOSUPPORT ? fd : -ENOBUFS;
	ask_for_errors(fd, v6);
	r = net_connect(n, fd, &target, t->pport);
	if (r < 0)
		return r;
	*ret_v6 = v6;
	return take_fd(fd);
}

/* @fd is the flow's on success. */
static int flow_new(struct net *n, const struct tuple *t, int fd, bool v6,
                    struct udp_flow **ret)
{
	struct udp_flow *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	r = flow_add(&n->udp->flows, &f->f, t, net_now(n));
	if (r == -ENFILE && make_room(n->udp))
		r = flow_add(&n->udp->flows, &f->f, t, net_now(n));
	if (r < 0) {
		free(f);
		return r;
	}
	r = udp_sock_open(&f->s, n, fd, v6, &flow_ops);
	if (r < 0) {
		flow_del(&n->udp->flows, &f->f);
		free(f);
		return r;
	}
	*ret = f;
	return 0;
}

static void flow_begun(struct net *n, struct udp_flow *f)
{
	set_timer(f);
	pins_hold(n->pins, &f->f.t.peer);
	atomic_fetch_add_explicit(&n->counters.udp_flows, 1,
	                          memory_order_relaxed);
	atomic_fetch_add_explicit(&n->counters.open, 1, memory_order_relaxed);
}

/*
 * One that would have to name itself first cannot do so in a datagram: told
 * that nobody is there, QUIC goes on by TCP, which can.
 */
static bool may_begin(struct net *n, const struct pkt *p, const struct tuple *t)
{
	enum verdict v = gate_egress(n, POLICY_UDP, t, NULL);

	if (v == VERDICT_ALLOW && intercept_blocks_udp(n, t->pport)) {
		gate_quic(n, t);
		v = VERDICT_NEED_NAME;
	}

	if (v != VERDICT_ALLOW)
		icmp_error(n, p,
		           v == VERDICT_DENY ? ICMP_PROHIBITED : ICMP_NO_PORT,
		           NULL, 0);
	return v == VERDICT_ALLOW;
}

static struct udp_flow *begin(struct net *n, const struct pkt *p,
                              const struct tuple *t)
{
	cleanup_close int fd = -1;
	struct udp_flow *f;
	bool v6;

	if (!may_begin(n, p, t))
		return NULL;
	fd = dial_peer(n, t, &v6);
	if (fd < 0 && fd != -ENOBUFS) {
		icmp_error(n, p, reason_of(-fd), NULL, 0);
		return NULL;
	}
	if (fd < 0 || flow_new(n, t, fd, v6, &f) < 0) {
		gate_refused(n, "UDP: no room for a flow");
		return NULL;
	}
	(void)take_fd(fd);
	flow_begun(n, f);
	return f;
}

/* ---- from the guest ------------------------------------------------------ */

static const uint16_t quiet_ports[] = {NETBIOS_NS, NETBIOS_DGM, MDNS_PORT,
                                       LLMNR_PORT};

/* The last address of the guest's /30. */
static bool is_broadcast(const struct net *n, const struct addr *a)
{
	return addr_is_v4(a) && addr_is_v4(&n->cfg.guest4) &&
	       addr_to_v4(a) == (addr_to_v4(&n->cfg.guest4) | 3);
}

/*
 * Said to all on the link, where nobody else is: no flow, and not worth an
 * answer, since every system keeps saying such things.
 */
static bool is_chatter(const struct net *n, const struct tuple *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(quiet_ports); i++)
		if (t->pport == quiet_ports[i])
			return true;
	return addr_kind(&t->peer) == ADDR_MULTICAST ||
	       is_broadcast(n, &t->peer);
}

static const char *wrong(const struct pkt *p, const struct tuple *t)
{
	if (!t->pport)
		return "a datagram to port 0";
	if (p->v6 && !p->need_csum && !get_be16(p->head + p->l4 + 6))
		return "a datagram without a checksum in IPv6";
	return NULL;
}

void udp_input(struct net *n, struct pkt *p)
{
	const struct tuple t = {p->src, p->dst, get_be16(p->head + p->l4),
	                        get_be16(p->head + p->l4 + 2)};
	const char *why = wrong(p, &t);
	struct udp *u = n->udp;
	struct flow *found;
	struct udp_flow *f;

	if (why) {
		net_bad(n, why);
		return;
	}
	if (udp_peers_input(n, p, &t))
		return;
	found = flow_find(&u->flows, &t);
	if (!found && is_chatter(n, &t))
		return;
	f = found ? container_of(found, struct udp_flow, f) : begin(n, p, &t);
	if (!f || !intercept_datagram(n, &t, &p->payload))
		return;
	flow_touch(&u->flows, &f->f, net_now(n));
	udp_queue(&f->s, p, NULL);
}

/* ---- all of it ----------------------------------------------------------- */

int udp_new(struct net *n, struct udp **ret)
{
	struct udp *u = calloc(1, sizeof(*u));
	int r;

	(void)n;
	if (!u)
		return -ENOMEM;
	r = udp_rx_new(u);
	if (r == 0)
		r = flow_table_init(&u->flows, UDP_FLOWS_MAX);
	if (r == 0)
		r = udp_peers_new(u);
	if (r < 0) {
		udp_free(u);
		return r;
	}
	*ret = u;
	return 0;
}

static void end_all(struct udp *u)
{
	udp_forget(u);
	while (u->flows.oldest)
		flow_end(container_of(u->flows.oldest, struct udp_flow, f));
}

void udp_reset(struct net *n)
{
	end_all(n->udp);
	udp_peers_reset(n);
	udp_rx_reset(n->udp);
}

void udp_free(struct udp *u)
{
	if (!u)
		return;
	end_all(u);
	udp_peers_free(u);
	flow_table_release(&u->flows);
	free(u->rx_mem);
	free(u);
}
