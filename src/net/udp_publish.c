/*
 * udp_publish.c - what somebody outside sends to a published port.
 *
 * The guest sees every client as a port of the gateway, from 49152 on, and
 * answers to that; the client sees the address that it sent to. One that is
 * silent for UDP_ANSWERED_NS is forgotten, as is the one silent longest when
 * there are UDP_FLOWS_MAX and another comes.
 *
 *	client  --(published socket)--  peer  --(gateway:49152+i)--  guest
 *	     clients: local, client, which port       peers: guest, gateway
 */
#include "net/udp_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

#define PORT_LAST 65535

struct udp_port {
	struct udp_sock s;
	uint16_t guest, index;
	struct udp_port *next;
};

/* Where the kernel says that a datagram came to. */
struct local {
	struct addr addr; /* ::, if it is none to answer from */
	int ifindex;      /* of IPv6's link-local addresses; else 0 */
};

struct udp_peer {
	struct flow f;      /* in peers: as the guest sees it */
	struct flow client; /* in clients */
	struct udp_port *port;
	struct wheel_timer timer;
	struct sockaddr_storage name;
	socklen_t name_len;
	struct local local;
};

static struct udp_peer *peer_of(struct flow *f)
{
	return container_of(f, struct udp_peer, f);
}

/* ---- control messages ---------------------------------------------------- */

static void local_of_pktinfo(const struct cmsghdr *c, struct local *ret)
{
	struct in6_pktinfo i6;
	struct in_pktinfo i4;

	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO &&
	    c->cmsg_len >= CMSG_LEN(sizeof(i4))) {
		memcpy(&i4, CMSG_DATA(c), sizeof(i4));
		ret->addr = addr_v4(ntohl(i4.ipi_spec_dst.s_addr));
	} else if (c->cmsg_level == IPPROTO_IPV6 &&
	           c->cmsg_type == IPV6_PKTINFO &&
	           c->cmsg_len >= CMSG_LEN(sizeof(i6))) {
		memcpy(&i6, CMSG_DATA(c), sizeof(i6));
		memcpy(&ret->addr, &i6.ipi6_addr, sizeof(ret->addr));
		ret->ifindex = (int)i6.ipi6_ifindex;
	}
}

static struct local local_of(struct msghdr *m)
{
	struct local l = {0};
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		local_of_pktinfo(c, &l);
	if (addr_kind(&l.addr) == ADDR_MULTICAST)
		l.addr = (struct addr){0};
	if (addr_kind(&l.addr) != ADDR_LINK_LOCAL)
		l.ifindex = 0;
	return l;
}

static void add_ctl(struct msghdr *m, int level, int type, const void *data,
                    size_t len)
{
	struct cmsghdr *c =
		(void *)((char *)m->msg_control + m->msg_controllen);

	*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(len),
	                      .cmsg_level = level,
	                      .cmsg_type = type};
	memcpy(CMSG_DATA(c), data, len);
	m->msg_controllen += CMSG_SPACE(len);
}

/* The address to answer from: a socket of IPv6 is told so of IPv4, too. */
static void add_local(struct msghdr *m, const struct local *l, bool v6)
{
	struct in6_pktinfo i6 = {.ipi6_ifindex = (unsigned)l->ifindex};
	struct in_pktinfo i4 = {0};

	if (v6) {
		memcpy(&i6.ipi6_addr, &l->addr, sizeof(l->addr));
		add_ctl(m, IPPROTO_IPV6, IPV6_PKTINFO, &i6, sizeof(i6));
	} else {
		i4.ipi_spec_dst.s_addr = htonl(addr_to_v4(&l->addr));
		add_ctl(m, IPPROTO_IP, IP_PKTINFO, &i4, sizeof(i4));
	}
}

static void port_address(struct udp_tx *t, struct msghdr *m, void *ctl)
{
	static const struct addr none;
	struct udp_peer *p = t->to;
	bool v4 = addr_is_v4(&p->client.t.peer);
	int tos = t->opts.tos;

	m->msg_name = &p->name;
	m->msg_namelen = p->name_len;
	m->msg_control = ctl;
	add_ctl(m, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TOS : IPV6_TCLASS,
	        &tos, sizeof(tos));
	if (!addr_eq(&p->local.addr, &none))
		add_local(m, &p->local, p->port->s.v6);
}

/* ---- peers --------------------------------------------------------------- */

static void peer_end(struct udp_peer *p)
{
	struct net *n = p->port->s.n;

	udp_sock_flush(&p->port->s);
	wheel_del(&n->wheel, &p->timer);
	flow_del(&n->udp->peers, &p->f);
	flow_del(&n->udp->clients, &p->client);
	atomic_fetch_sub_explicit(&n->counters.open, 1, memory_order_relaxed);
	free(p);
}

static void on_time(struct wheel_timer *t)
{
	struct udp_peer *p = container_of(t, struct udp_peer, timer);
	struct net *n = p->port->s.n;
	uint64_t end = p->f.used_ns + UDP_ANSWERED_NS;

	if (net_now(n) < end)
		wheel_set(&n->wheel, &p->timer, end, on_time);
	else
		peer_end(p);
	net_turn_end(n);
}

/* The guest's address and the gateway's, of the client's family if it can. */
static struct tuple guest_tuple(const struct net *n, const struct udp_port *u,
                                const struct addr *client)
{
	static const struct addr none;
	const struct net_config *c = &n->cfg;
	bool v4 = addr_is_v4(client);

	if (addr_eq(v4 ? &c->guest4 : &c->guest6, &none))
		v4 = !v4;
	return (struct tuple){.guest = v4 ? c->guest4 : c->guest6,
	                      .peer = v4 ? c->gateway4 : c->gateway6,
	                      .gport = u->guest};
}

/*
 * A port of the gateway that means nobody else to this port of the guest, be
 * it a client or a service of the host. There are more ports than flows.
 */
static void pick_port(struct udp *u, struct tuple *t)
{
	do {
		if (u->next_port < UDP_PORT_FIRST)
			u->next_port = UDP_PORT_FIRST;
		t->pport = u->next_port++;
	} while (flow_find(&u->peers, t) || flow_find(&u->flows, t));
}

_Static_assert(PORT_LAST - UDP_PORT_FIRST > 2 * UDP_FLOWS_MAX,
               "there is always a free one");

static int peer_add(struct net *n, struct udp_peer *p, const struct tuple *key,
                    const struct tuple *t)
{
	struct udp *u = n->udp;
	uint64_t now = net_now(n);
	int r;

	if (u->peers.n >= UDP_FLOWS_MAX)
		peer_end(peer_of(u->peers.oldest));
	r = flow_add(&u->clients, &p->client, key, now);
	if (r < 0)
		return r;
	r = flow_add(&u->peers, &p->f, t, now);
	if (r < 0)
		flow_del(&u->clients, &p->client);
	return r;
}

static struct udp_peer *peer_new(struct udp_port *port, const struct tuple *key)
{
	struct net *n = port->s.n;
	struct tuple t = guest_tuple(n, port, &key->peer);
	struct udp_peer *p;

	if (gate_ingress(n, POLICY_UDP, &key->peer, port->guest) !=
	    VERDICT_ALLOW)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->port = port;
	pick_port(n->udp, &t);
	if (peer_add(n, p, key, &t) < 0) {
		free(p);
		return NULL;
	}
	wheel_set(&n->wheel, &p->timer, p->f.used_ns + UDP_ANSWERED_NS,
	          on_time);
	atomic_fetch_add_explicit(&n->counters.udp_flows, 1,
	                          memory_order_relaxed);
	atomic_fetch_add_explicit(&n->counters.open, 1, memory_order_relaxed);
	return p;
}

/* ---- both ways ----------------------------------------------------------- */

/* Who sent it, and to which of the host's addresses. */
static struct udp_peer *peer_for(struct udp_port *port, struct msghdr *m)
{
	struct local l = local_of(m);
	struct tuple key = {.guest = l.addr, .gport = port->index};
	struct flow *f;
	struct udp_peer *p;

	if (m->msg_namelen < sizeof(sa_family_t) ||
	    addr_from_sockaddr(m->msg_name, &key.peer, &key.pport) < 0)
		return NULL;
	f = flow_find(&port->s.n->udp->clients, &key);
	p = f ? container_of(f, struct udp_peer, client) : peer_new(port, &key);
	if (!p)
		return NULL;
	memcpy(&p->name, m->msg_name, m->msg_namelen);
	p->name_len = m->msg_namelen;
	p->local = l;
	return p;
}

static int port_deliver(struct udp_sock *s, const struct udp_got *g)
{
	struct udp_port *port = container_of(s, struct udp_port, s);
	struct udp_peer *p = peer_for(port, g->msg);

	if (!p)
		return 0;
	flow_touch(&s->n->udp->peers, &p->f, net_now(s->n));
	return udp_deliver(s->n, &p->f.t, g->tos, false, g->data, g->len);
}

static void port_failed(struct udp_sock *s)
{
	int error;
	socklen_t len = sizeof(error);

	(void)getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
}

static const struct udp_sock_ops port_ops = {
	.address = port_address,
	.deliver = port_deliver,
	.failed = port_failed,
};

bool udp_peers_input(struct net *n, const struct pkt *p, const struct tuple *t)
{
	struct udp *u = n->udp;
	struct flow *f;
	struct udp_peer *peer;

	if (t->pport < UDP_PORT_FIRST || !u->peers.n)
		return false;
	f = flow_find(&u->peers, t);
	if (!f)
		return false;
	peer = peer_of(f);
	flow_touch(&u->peers, f, net_now(n));
	udp_queue(&peer->port->s, p, peer);
	return true;
}

/* ---- ports --------------------------------------------------------------- */

static int family_of(int fd)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	return ss.ss_family;
}

static void ask_for_addresses(int fd, bool v6)
{
	udp_option(fd, IPPROTO_IP, IP_RECVTOS, 1);
	if (v6) {
		udp_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
		udp_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	} else {
		udp_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
	}
}

int udp_publish(struct net *n, int fd, uint16_t port)
{
	struct udp *u = n->udp;
	int family = family_of(fd), r;
	struct udp_port *p;

	if (family < 0)
		return family;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->guest = port;
	p->index = (uint16_t)u->nports;
	ask_for_addresses(fd, family == AF_INET6);
	r = udp_sock_open(&p->s, n, fd, family == AF_INET6, &port_ops);
	if (r < 0) {
		free(p);
		return r;
	}
	u->nports++;
	p->next = u->ports;
	u->ports = p;
	return 0;
}

/* ---- all of it ----------------------------------------------------------- */

int udp_peers_new(struct udp *u)
{
	int r = flow_table_init(&u->peers, UDP_FLOWS_MAX);

	return r < 0 ? r : flow_table_init(&u->clients, UDP_FLOWS_MAX);
}

void udp_peers_reset(struct net *n)
{
	while (n->udp->peers.oldest)
		peer_end(peer_of(n->udp->peers.oldest));
}

void udp_peers_free(struct udp *u)
{
	struct udp_port *p;

	while (u->peers.oldest)
		peer_end(peer_of(u->peers.oldest));
	while ((p = u->ports)) {
		u->ports = p->next;
		udp_sock_close(&p->s);
		free(p);
	}
	flow_table_release(&u->peers);
	flow_table_release(&u->clients);
}
