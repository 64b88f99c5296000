/*
 * icmp.c - echo requests of the guest. The gateway answers its own; for others
 * there are ping sockets: a datagram socket of ICMP, which sends echo requests
 * and nothing else, under an id that the kernel gives it. One for each pair of
 * guest's id and peer, so that answers are told apart by where they arrive and
 * the ids are mapped back.
 *
 * Nothing else of ICMP goes out: an error that the guest sends could only be
 * about a packet of a flow, and flows end here.
 */
#include "net/icmp.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/num.h"
#include "net/icmp_int.h"
#include "net/neigh.h"
#include "net/net_int.h"

#include "base/banned.h"

#define PING_LIFE_NS (30 * NS_PER_S)
#define PING_READS   16 /* in one turn */
#define MESSAGE_MAX  65536

struct ping {
	struct flow f;
	struct net *n;
	struct loop_fd src;
	struct wheel_timer timer;
	int fd;
	uint16_t seq; /* of the last request */
	uint8_t ttl;
	bool df;
};

/* What a family's sockets and messages are called. */
struct family {
	int domain, protocol, level, ttl, recv_ttl, mtu, recv_err;
	uint8_t proto, echo, reply;
};

static const struct family ip4 = {
	.domain = AF_INET,
	.protocol = IPPROTO_ICMP,
	.level = IPPROTO_IP,
	.ttl = IP_TTL,
	.recv_ttl = IP_RECVTTL,
	.mtu = IP_MTU_DISCOVER,
	.recv_err = IP_RECVERR,
	.proto = PROTO_ICMP4,
	.echo = ICMP4_ECHO,
	.reply = ICMP4_ECHO_REPLY,
};

static const struct family ip6 = {
	.domain = AF_INET6,
	.protocol = IPPROTO_ICMPV6,
	.level = IPPROTO_IPV6,
	.ttl = IPV6_UNICAST_HOPS,
	.recv_ttl = IPV6_RECVHOPLIMIT,
	.mtu = IPV6_MTU_DISCOVER,
	.recv_err = IPV6_RECVERR,
	.proto = PROTO_ICMP6,
	.echo = ICMP6_ECHO,
	.reply = ICMP6_ECHO_REPLY,
};

static const struct family *family_of(const struct addr *a)
{
	return addr_is_v4(a) ? &ip4 : &ip6;
}

/* ---- life -------------------------------------------------------------- */

int icmp_new(struct net *n, struct icmp **ret)
{
	struct icmp *i = calloc(1, sizeof(*i));

	if (!i)
		return -ENOMEM;
	i->n = n;
	if (flow_table_init(&i->flows, ICMP_FLOWS_MAX) < 0) {
		free(i);
		return -ENOMEM;
	}
	*ret = i;
	return 0;
}

static void ping_end(struct ping *p)
{
	struct net *n = p->n;

	wheel_del(&n->wheel, &p->timer);
	loop_del(n->loop, &p->src);
	close_fd(&p->fd);
	flow_del(&n->icmp->flows, &p->f);
	pins_drop(n->pins, &p->f.t.peer, net_now(n));
	atomic_fetch_sub_explicit(&n->counters.open, 1, memory_order_relaxed);
	free(p);
}

static void end_oldest(struct icmp *i)
{
	ping_end(container_of(i->flows.oldest, struct ping, f));
}

void icmp_reset(struct net *n)
{
	while (n->icmp->flows.oldest)
		end_oldest(n->icmp);
}

void icmp_free(struct icmp *i)
{
	if (!i)
		return;
	while (i->flows.oldest)
		end_oldest(i);
	flow_table_release(&i->flows);
	free(i->buf);
	free(i);
}

static void on_old(struct wheel_timer *t)
{
	struct ping *p = container_of(t, struct ping, timer);
	uint64_t end = p->f.used_ns + PING_LIFE_NS;

	if (end > net_now(p->n))
		wheel_set(&p->n->wheel, t, end, on_old);
	else
		ping_end(p);
}

static bool have_buf(struct icmp *i)
{
	if (!i->buf)
		i->buf = malloc(MESSAGE_MAX);
	return i->buf;
}

/* ---- payload ----------------------------------------------------------- */

/* A packet's, in as few pieces as out_send() takes; 0: no memory. */
static int payload(struct icmp *i, struct pkt *p, struct iovec v[OUT_DATA_MAX])
{
	size_t len = p->payload.len;

	if (p->payload.n <= OUT_DATA_MAX)
		return (int)iov_take(&p->payload, len, v);
	if (!have_buf(i))
		return -ENOMEM;
	(void)iov_get(&p->payload, i->buf, len);
	v[0] = (struct iovec){i->buf, len};
	return 1;
}

/* ---- the gateway ------------------------------------------------------- */

static void answer(struct net *n, struct pkt *p, const struct family *fam)
{
	size_t len = p->payload.len;
	struct iovec v[OUT_DATA_MAX];
	uint8_t m[ICMP_HEAD_LEN] = {fam->reply};
	int nv = payload(n->icmp, p, v);
	struct out o = {.src = &p->dst,
	                .dst = &p->src,
	                .proto = fam->proto,
	                .tos = p->tos,
	                .head = m,
	                .head_len = sizeof(m),
	                .data = v,
	                .ndata = (unsigned)nv,
	                .data_len = len};

	if (nv < 0)
		return;
	memcpy(m + 4, p->head + p->l4 + 4, 4);
	(void)out_send(n, &o);
}

/* ---- from the host ----------------------------------------------------- */

/* The TTL with which a message came; 0: not known. */
static uint8_t ttl_of(struct msghdr *m)
{
	struct cmsghdr *c;
	int ttl = 0;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
		    (c->cmsg_level == IPPROTO_IPV6 &&
		     c->cmsg_type == IPV6_HOPLIMIT))
			memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
	return ttl > 0 && ttl < 256 ? (uint8_t)ttl : 0;
}

/* @m of @len bytes is in the buffer; the kernel's id becomes the guest's. */
static void deliver(struct ping *p, const struct family *fam, size_t len,
                    uint8_t ttl)
{
	uint8_t *m = p->n->icmp->buf;
	struct iovec v = {m + ICMP_HEAD_LEN, len - ICMP_HEAD_LEN};
	struct out o = {.src = &p->f.t.peer,
	                .dst = &p->f.t.guest,
	                .proto = fam->proto,
	                .ttl = ttl,
	                .head = m,
	                .head_len = ICMP_HEAD_LEN,
	                .data = &v,
	                .ndata = 1,
	                .data_len = v.iov_len};

	put_be16(m + 4, p->f.t.gport);
	(void)out_send(p->n, &o);
}

/* The kernel looks at the id only: others could know it. */
static bool is_answer(const struct ping *p, const struct family *fam,
                      const struct sockaddr_storage *from, size_t len)
{
	const uint8_t *m = p->n->icmp->buf;
	struct addr target = gate_target(p->n, &p->f.t.peer), a;
	uint16_t port;

	return len >= ICMP_HEAD_LEN && m[0] == fam->reply && !m[1] &&
	       addr_from_sockaddr((const void *)from, &a, &port) == 0 &&
	       addr_eq(&a, &target);
}

static bool receive(struct ping *p)
{
	const struct family *fam = family_of(&p->f.t.peer);
	struct sockaddr_storage from;
	uint8_t control[CMSG_SPACE(sizeof(int))];
	struct iovec v = {p->n->icmp->buf, MESSAGE_MAX};
	struct msghdr m = {.msg_name = &from,
	                   .msg_namelen = sizeof(from),
	                   .msg_iov = &v,
	                   .msg_iovlen = 1,
	                   .msg_control = control,
	                   .msg_controllen = sizeof(control)};
	ssize_t r;

	memset(&from, 0, sizeof(from));
	r = recvmsg(p->fd, &m, MSG_DONTWAIT);
	if (r < 0)
		return false;
	if (is_answer(p, fam, &from, (size_t)r))
		deliver(p, fam, (size_t)r, ttl_of(&m));
	return true;
}

/* The host's own addresses are nothing for the guest to know. */
static const struct addr *teller(struct net *n, const struct addr *from)
{
	static const struct addr nobody;

	return addr_eq(from, &nobody) || gate_is_host(n, from) ? NULL : from;
}

static void failed(struct ping *p)
{
	const struct family *fam = family_of(&p->f.t.peer);
	struct icmp_told told;
	int error;
	socklen_t len = sizeof(error);
	unsigned i;

	for (i = 0; i < PING_READS && icmp_read_error(p->fd, &told) > 0; i++) {
		/* The host's own "too big" quotes nothing. */
		uint16_t seq = told.nquoted == ICMP_HEAD_LEN
		                       ? get_be16(told.quoted + 6)
		                       : p->seq;

		icmp_error_flow(p->n, fam->proto, &p->f.t, seq, told.why,
		                teller(p->n, &told.from), told.mtu);
	}
	/* One that is not in that queue would be told for ever. */
	(void)getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len);
}

static void on_ping(void *arg, uint32_t events)
{
	struct ping *p = arg;
	struct net *n = p->n;
	unsigned i = 0;

	if (events & EPOLLERR)
		failed(p);
	if (have_buf(n->icmp))
		while (i < PING_READS && receive(p))
			i++;
	net_turn_end(n);
}

/* ---- to the host ------------------------------------------------------- */

static void option(int fd, int level, int name, int value)
{
	(void)setsockopt(fd, level, name, &value, sizeof(value));
}

static void set_ttl(struct ping *p, const struct family *fam,
                    const struct pkt *k, bool all)
{
	if (all || p->ttl != k->ttl)
		option(p->fd, fam->level, fam->ttl, k->ttl);
	if (all || p->df != k->df)
		option(p->fd, fam->level, fam->mtu,
		       k->df ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT);
	p->ttl = k->ttl;
	p->df = k->df;
}

/* Said once: it stays so. */
static void say_none(struct icmp *i)
{
	if (!i->told)
		log_limited(LOG_WARN,
		            "network: echo requests of the guest are dropped: "
		            "no ping sockets here (net.ipv4.ping_group_range)");
	i->told = true;
}

static int ping_socket(struct net *n, const struct family *fam)
{
	int fd = net_socket(n, fam->domain, SOCK_DGRAM, fam->protocol);

	if (fd == -EACCES || fd == -EPERM || fd == -EPROTONOSUPPORT)
		say_none(n->icmp);
	else if (fd < 0)
		gate_refused(n, "echo: no socket");
	return fd;
}

/* Where to @t leads, with a socket that is connected there. */
static int open_ping(struct net *n, const struct tuple *t,
                     const struct family *fam)
{
	struct addr target = gate_target(n, &t->peer);
	cleanup_close int fd = ping_socket(n, fam);
	int r;

	if (fd < 0)
		return fd;
	option(fd, fam->level, fam->recv_err, 1);
	option(fd, fam->level, fam->recv_ttl, 1);
	r = net_connect(n, fd, &target, 0);
	return r < 0 ? r : take_fd(fd);
}

static struct ping *ping_new(struct net *n, const struct tuple *t, int fd)
{
	struct icmp *i = n->icmp;
	struct ping *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->n = n;
	p->fd = fd;
	if (i->flows.n >= ICMP_FLOWS_MAX)
		end_oldest(i);
	if (flow_add(&i->flows, &p->f, t, net_now(n)) < 0)
		goto no_flow;
	if (loop_add(n->loop, &p->src, fd, EPOLLIN, on_ping, p) < 0)
		goto no_event;
	return p;
no_event:
	flow_del(&i->flows, &p->f);
no_flow:
	free(p);
	return NULL;
}

static struct ping *begin(struct net *n, const struct tuple *t,
                          const struct pkt *k)
{
	const struct family *fam = family_of(&t->peer);
	struct ping *p;
	int fd;

	if (gate_egress(n, POLICY_ICMP, t, NULL) != VERDICT_ALLOW)
		return NULL;
	fd = open_ping(n, t, fam);
	if (fd < 0) {
		if (fd == -ENETUNREACH || fd == -EHOSTUNREACH)
			icmp_error(n, k, ICMP_NO_NET, NULL, 0);
		return NULL;
	}
	p = ping_new(n, t, fd);
	if (!p) {
		close_fd(&fd);
		gate_refused(n, "echo: no room for a flow");
		return NULL;
	}
	set_ttl(p, fam, k, true);
	wheel_set(&n->wheel, &p->timer, net_now(n) + PING_LIFE_NS, on_old);
	pins_hold(n->pins, &t->peer);
	atomic_fetch_add_explicit(&n->counters.icmp_flows, 1,
	                          memory_order_relaxed);
	atomic_fetch_add_explicit(&n->counters.open, 1, memory_order_relaxed);
	return p;
}

/* One that waits at the socket is told by the first call; then it goes. */
static bool is_of_before(int error)
{
	return error != EAGAIN && error != EMSGSIZE;
}

/* What did not go is lost, as it may be in any network. */
static void send_echo(struct ping *p, const struct family *fam, struct pkt *k)
{
	uint8_t m[ICMP_HEAD_LEN] = {fam->echo};
	struct iovec v[1 + OUT_DATA_MAX] = {
		{m, sizeof(m)}
        };
	int nv = payload(p->n->icmp, k, v + 1);
	struct msghdr h = {.msg_iov = v, .msg_iovlen = 1 + (size_t)nv};

	if (nv < 0)
		return;
	p->seq = get_be16(k->head + k->l4 + 6);
	put_be16(m + 6, p->seq);
	if (sendmsg(p->fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	    is_of_before(errno))
		(void)sendmsg(p->fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void forward(struct net *n, struct pkt *k, const struct family *fam)
{
	struct tuple t = {.guest = k->src,
	                  .peer = k->dst,
	                  .gport = get_be16(k->head + k->l4 + 4)};
	struct flow *f = flow_find(&n->icmp->flows, &t);
	struct ping *p = f ? container_of(f, struct ping, f) : begin(n, &t, k);

	if (!p)
		return;
	flow_touch(&n->icmp->flows, &p->f, net_now(n));
	set_ttl(p, fam, k, false);
	send_echo(p, fam, k);
}

/* ---- from the guest ---------------------------------------------------- */

static bool is_for_gateway(const struct net *n, const struct pkt *p)
{
	struct addr ll = neigh_link_local(n);

	return gate_is_gateway(n, &p->dst) || addr_eq(&p->dst, &ll);
}

void icmp_input(struct net *n, struct pkt *p)
{
	const struct family *fam = family_of(&p->src);
	const uint8_t *m = p->head + p->l4;

	if (m[0] != fam->echo || m[1] || addr_kind(&p->dst) == ADDR_MULTICAST)
		return;
	if (is_for_gateway(n, p))
		answer(n, p, fam);
	else if (addr_eq(&p->src, p->v6 ? &n->cfg.guest6 : &n->cfg.guest4))
		forward(n, p, fam);
}
