/*
 * dns_rig.h - the stack with a guest that asks for names, and name servers on
 * this machine's loopback that say what the test wants. The clock stands until
 * it is moved.
 */
#ifndef TEST_NET_DNS_RIG_H
#define TEST_NET_DNS_RIG_H

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "frames.h"
#include "net/dns_int.h"

#define RIG_ANSWERS 512

struct rig_answer {
	struct addr from;
	uint16_t port; /* of the guest */
	size_t len;
	uint8_t b[2048];
};

struct rig {
	struct loop *loop;
	struct policy *policy;
	struct net *net;
	struct net_host_ops host;
	uint64_t now;
	unsigned sockets; /* that were opened */
	int connect_error;
	uint16_t port53;       /* where who dials port 53 gets to */
	struct addr dialled;   /* the last one */
	struct addr hosts_own; /* an address that the host has */
	unsigned n;
	struct rig_answer answer[RIG_ANSWERS];
};

/* A name server: what it got last, and what it will say. */
struct server {
	int udp, tcp, conn;
	uint16_t port;
	bool by_tcp;
	struct sockaddr_in from; /* of the datagram */
	uint8_t query[DNS_MSG_MAX];
	size_t query_len;
	uint8_t b[DNS_MSG_MAX + 2]; /* behind a place for TCP's prefix */
	size_t len;
};

/* ---- the stack ---- */

static inline uint64_t rig_now(void *arg)
{
	return ((struct rig *)arg)->now;
}

static inline int rig_socket(void *arg, int domain, int type, int protocol)
{
	int fd = socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);

	((struct rig *)arg)->sockets++;
	return fd < 0 ? -errno : fd;
}

static inline int rig_connect(void *arg, int fd, const struct sockaddr *sa,
                              socklen_t len)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct rig *r = arg;
	uint16_t port;

	if (r->connect_error)
		return r->connect_error;
	if (addr_from_sockaddr(sa, &r->dialled, &port) < 0)
		abort();
	if (port != 53)
		return connect(fd, sa, len) < 0 ? -errno : 0;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons(r->port53);
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

static inline bool rig_is_local(void *arg, const struct addr *a)
{
	return addr_kind(a) == ADDR_LOOPBACK ||
	       addr_eq(a, &((struct rig *)arg)->hosts_own);
}

/* UDP to the guest; of anything else nothing is kept. */
static inline int rig_send(void *arg, const struct vnet_hdr *h,
                           const struct iovec *v, unsigned nv, size_t len)
{
	struct rig *r = arg;
	struct rig_answer *a = &r->answer[r->n % RIG_ANSWERS];
	static struct fr f;
	struct iovec one = {f.b, 0};
	struct iov frame = {&one, 1, 0};
	static struct pkt p;
	const char *why;

	(void)h;
	f.len = 0;
	for (unsigned i = 0; i < nv; i++)
		fr_add(&f, v[i].iov_base, v[i].iov_len);
	one.iov_len = frame.len = len;
	if (f.len != len || pkt_parse(h, &frame, &p, &why) < 0 || p.fragment)
		abort();
	if (p.proto != PROTO_UDP)
		return 0;
	if (fr_l4_sum(&f, p.l4, PROTO_UDP) != 0xffff)
		abort();
	a->from = p.src;
	a->port = get_be16(p.head + p.l4 + 2);
	a->len = p.payload.len;
	if (get_be16(p.head + p.l4) != 53 || a->len > sizeof(a->b) ||
	    iov_get(&p.payload, a->b, a->len) < 0)
		abort();
	r->n++;
	return 0;
}

static inline void rig_nothing(void *arg)
{
	(void)arg;
}

static inline struct rig *rig_new(const struct policy_spec *spec,
                                  const struct server *const *servers,
                                  unsigned nservers)
{
	struct rig *r = calloc(1, sizeof(*r));
	const struct net_link link = {.send = rig_send,
	                              .flush = rig_nothing,
	                              .resume = rig_nothing,
	                              .arg = r};
	struct net_config c = {.mtu = 1500,
	                       .pcap_fd = -1,
	                       .host = &r->host,
	                       .dns_timeout_ms = 2000,
	                       .rebind_protection = true};
	struct err err = {0};

	r->host = (struct net_host_ops){rig_now, rig_socket, rig_connect,
	                                rig_is_local, r};
	r->now = 1000 * NS_PER_S;
	r->loop = loop_new();
	memcpy(c.guest_mac, GUEST_MAC, NET_MAC_LEN);
	memcpy(c.gateway_mac, GATEWAY_MAC, NET_MAC_LEN);
	c.guest4 = ip(GUEST4);
	c.gateway4 = ip(GATEWAY4);
	c.guest6 = ip(GUEST6);
	c.gateway6 = ip(GATEWAY6);
	for (unsigned i = 0; i < nservers; i++)
		c.servers[i] = (struct net_dns_server){ip("127.0.0.1"),
		                                       servers[i]->port};
	c.nservers = nservers;
	if (!r->loop || policy_new(spec, &r->policy, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.msg);
		abort();
	}
	c.policy = r->policy;
	if (net_new(&c, r->loop, &link, &r->net, NULL) < 0)
		abort();
	/* Timers by the rig's clock: rig_later(). */
	loop_timer_del(r->loop, &r->net->wheel.timer);
	r->net->wheel.loop = NULL;
	return r;
}

static inline void rig_free(struct rig *r)
{
	net_free(r->net);
	policy_free(r->policy);
	loop_free(r->loop);
	free(r);
}

/* Let the loop run until it is idle. */
static inline void rig_run(struct rig *r)
{
	for (int i = 0; i < 4; i++)
		(void)loop_step(r->loop, 1);
}

static inline void rig_later(struct rig *r, uint64_t ns)
{
	for (uint64_t end = r->now + ns; r->now < end;) {
		r->now = MIN(end, r->now + 10 * NS_PER_MS);
		wheel_run(&r->net->wheel, r->now);
	}
	rig_run(r);
}

/* ---- the guest ---- */

struct query {
	const char *name;
	unsigned type, class, flags, id;
	bool opt, dnssec_ok;
	unsigned size;
};

static inline size_t query_bytes(const struct query *q, uint8_t *ret)
{
	struct dns_query d = {.type = (uint16_t)q->type,
	                      .class = (uint16_t)(q->class ? q->class : 1),
	                      .flags = (uint16_t)(q->flags | DNS_RD),
	                      .opt = q->opt || q->size,
	                      .dnssec_ok = q->dnssec_ok};
	size_t n;

	if (dns_name_from_text(q->name, &d.name) < 0)
		abort();
	n = dns_query_build(&d, &d.name, (uint16_t)(q->id ? q->id : 0x1234),
	                    ret);
	if (d.opt)
		put_be16(ret + n - 8, (uint16_t)(q->size ? q->size : 1232));
	put_be16(ret + 2, (uint16_t)((q->flags | DNS_RD)));
	return n;
}

/* Any bytes, from a port of the guest to port 53 of @dst. */
static inline void rig_say(struct rig *r, uint16_t port, const char *dst,
                           const void *data, size_t len)
{
	const struct vnet_hdr h = {.flags = VNET_NEEDS_CSUM};
	struct addr to = ip(dst);
	static struct fr f;
	struct iovec v = {f.b, 0};
	struct iov frame = {&v, 1, 0};

	if (addr_is_v4(&to))
		fr_ip4(&f, GUEST4, dst, PROTO_UDP);
	else
		fr_ip6(&f, GUEST6, dst, PROTO_UDP);
	fr_udp(&f, port, 53, len);
	if (len)
		memcpy(f.b + f.len - len, data, len);
	if (addr_is_v4(&to))
		fr_end4(&f);
	else
		fr_end6(&f);
	v.iov_len = frame.len = f.len;
	net_input(r->net, &h, &frame);
	net_batch_end(r->net);
}

static inline void rig_ask_at(struct rig *r, const char *dst,
                              const struct query *q)
{
	uint8_t b[DNS_QUERY_MAX];

	rig_say(r, 4000, dst, b, query_bytes(q, b));
}

#define ASK(r, ...) rig_ask_at(r, GATEWAY4, &(struct query){__VA_ARGS__})

/* The last answer, taken apart; it is there, and the only one since @before. */
static inline struct dns_msg rig_answered(struct rig *r, unsigned before)
{
	const struct rig_answer *a = &r->answer[(r->n - 1) % RIG_ANSWERS];
	struct dns_msg m;

	if (r->n != before + 1 || dns_msg_parse(a->b, a->len, &m) < 0)
		(void)fprintf(stderr, "%u answers after %u\n", r->n, before);
	assert_int_equal(r->n, before + 1);
	assert_int_equal(dns_msg_parse(a->b, a->len, &m), 0);
	return m;
}

static inline unsigned rcode(const struct dns_msg *m)
{
	return m->flags & DNS_RCODE;
}

/* The extended error of @m, 0 without. */
static inline unsigned ede(const struct dns_msg *m)
{
	const uint8_t *o = m->b + m->opt + 11;

	if (!m->opt || get_be16(o - 2) < 6 || get_be16(o) != 15)
		return 0;
	return get_be16(o + 4);
}

/* Addresses in the answer section. */
static inline unsigned addresses(const struct dns_msg *m, struct addr *ret,
                                 unsigned max)
{
	struct dns_walk w = {.m = m};
	struct dns_rr rr;
	unsigned n = 0;

	while (dns_walk(&w, &rr))
		if (rr.section == DNS_ANSWER && dns_rr_is_address(&rr) &&
		    n < max)
			ret[n++] = dns_rr_addr(m, &rr);
	return n;
}

/* ---- servers ---- */

static inline struct server *server_new(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	struct server *s = calloc(1, sizeof(*s));
	socklen_t len = sizeof(sa);
	int on = 1;

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->conn = -1;
	for (int i = 0; i < 100; i++) {
		sa.sin_port = 0;
		s->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		s->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		(void)setsockopt(s->tcp, SOL_SOCKET, SO_REUSEADDR, &on,
		                 sizeof(on));
		if (bind(s->udp, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
		    getsockname(s->udp, (struct sockaddr *)&sa, &len) < 0)
			abort();
		s->port = ntohs(sa.sin_port);
		if (bind(s->tcp, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
		    listen(s->tcp, 64) == 0)
			return s;
		(void)close(s->udp); /* somebody has its TCP port */
		(void)close(s->tcp);
	}
	abort();
}

static inline void server_hang_up(struct server *s)
{
	if (s->conn >= 0)
		(void)close(s->conn);
	s->conn = -1;
}

/* Nobody listens there any more. */
static inline void server_down(struct server *s)
{
	server_hang_up(s);
	if (s->udp >= 0)
		(void)close(s->udp);
	if (s->tcp >= 0)
		(void)close(s->tcp);
	s->udp = s->tcp = -1;
}

static inline void server_free(struct server *s)
{
	server_down(s);
	free(s);
}

static inline bool readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) > 0;
}

static inline bool server_is_silent(struct server *s)
{
	return !readable(s->udp, 10) && !readable(s->tcp, 0);
}

/* The next question, by UDP. */
static inline void server_take(struct server *s)
{
	socklen_t len = sizeof(s->from);
	ssize_t n;

	assert_true(readable(s->udp, 2000));
	n = recvfrom(s->udp, s->query, sizeof(s->query), 0,
	             (struct sockaddr *)&s->from, &len);
	assert_true(n >= DNS_HEAD);
	s->query_len = (size_t)n;
	s->by_tcp = false;
}

/* The next question, by TCP. */
static inline void server_take_tcp(struct rig *r, struct server *s)
{
	uint8_t prefix[2];

	rig_run(r);
	assert_true(readable(s->tcp, 2000));
	server_hang_up(s);
	s->conn = accept4(s->tcp, NULL, NULL, SOCK_CLOEXEC);
	assert_true(s->conn >= 0);
	rig_run(r);
	assert_true(readable(s->conn, 2000));
	assert_int_equal(recv(s->conn, prefix, 2, MSG_WAITALL), 2);
	s->query_len = get_be16(prefix);
	assert_int_equal(recv(s->conn, s->query, s->query_len, MSG_WAITALL),
	                 s->query_len);
	s->by_tcp = true;
}

/* ---- what it says ---- */

static inline uint8_t *server_msg(struct server *s)
{
	return s->b + 2;
}

/* Header and question, as they came. */
static inline void says(struct server *s, unsigned flags)
{
	uint8_t *b = server_msg(s);
	size_t at = DNS_HEAD;
	struct dns_name n;

	assert_int_equal(dns_name_read(s->query, s->query_len, &at, &n), 0);
	s->len = at + 4;
	memcpy(b, s->query, s->len);
	put_be16(b + 2, (uint16_t)(DNS_QR | DNS_RD | DNS_RA | flags));
	memset(b + 6, 0, 6);
}

/* A record; @owner NULL is the asked name. */
static inline void adds(struct server *s, enum dns_section section,
                        const char *owner, unsigned type, uint32_t ttl,
                        const void *data, size_t len)
{
	uint8_t *b = server_msg(s), *p = b + s->len;
	struct dns_name n;

	if (owner) {
		assert_int_equal(dns_name_from_text(owner, &n), 0);
		memcpy(p, n.b, n.len);
		p += n.len;
	} else {
		put_be16(p, 0xc000 | DNS_HEAD);
		p += 2;
	}
	put_be16(p, (uint16_t)type);
	put_be16(p + 2, DNS_CLASS_IN);
	put_be32(p + 4, ttl);
	put_be16(p + 8, (uint16_t)len);
	memcpy(p + 10, data, len);
	s->len = (size_t)(p + 10 + len - b);
	put_be16(b + 4 + 2 * section,
	         (uint16_t)(get_be16(b + 4 + 2 * section) + 1));
}

static inline void adds_address(struct server *s, const char *owner,
                                const char *address, uint32_t ttl)
{
	struct addr a = ip(address);
	bool v6 = strchr(address, ':') != NULL;

	adds(s, DNS_ANSWER, owner, v6 ? DNS_AAAA : DNS_A, ttl,
	     v6 ? a.b : a.b + 12, v6 ? 16 : 4);
}

static inline void adds_cname(struct server *s, const char *owner,
                              const char *target, uint32_t ttl)
{
	struct dns_name n;

	assert_int_equal(dns_name_from_text(target, &n), 0);
	adds(s, DNS_ANSWER, owner, DNS_CNAME, ttl, n.b, n.len);
}

static inline void adds_soa(struct server *s, uint32_t ttl)
{
	uint8_t data[22] = {0};

	put_be32(data + 18, ttl);
	adds(s, DNS_AUTHORITY, "example", DNS_SOA, ttl, data, sizeof(data));
}

static inline void adds_opt(struct server *s, unsigned size)
{
	uint8_t *b = server_msg(s), *p = b + s->len;

	memset(p, 0, 11);
	put_be16(p + 1, DNS_OPT);
	put_be16(p + 3, (uint16_t)size);
	s->len += 11;
	put_be16(b + 10, (uint16_t)(get_be16(b + 10) + 1));
}

static inline void server_send(struct rig *r, struct server *s)
{
	if (s->by_tcp) {
		put_be16(s->b, (uint16_t)s->len);
		assert_int_equal(send(s->conn, s->b, s->len + 2, MSG_NOSIGNAL),
		                 s->len + 2);
	} else {
		assert_int_equal(sendto(s->udp, server_msg(s), s->len, 0,
		                        (struct sockaddr *)&s->from,
		                        sizeof(s->from)),
		                 s->len);
	}
	rig_run(r);
}

/* One question answered with one address. */
static inline void server_answers(struct rig *r, struct server *s,
                                  const char *address, uint32_t ttl)
{
	server_take(s);
	says(s, 0);
	adds_address(s, NULL, address, ttl);
	server_send(r, s);
}

#endif
