/*
 * udp_rig.h - the whole stack with a guest made of frames: its link keeps what
 * was sent, its clock stands until it is moved, and whatever address a flow
 * dials is this machine's loopback, with the port as it was.
 */
#ifndef TEST_NET_UDP_RIG_H
#define TEST_NET_UDP_RIG_H

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
#include "net/net_int.h"
#include "net/udp_int.h"

#define RIG_KEPT 128 /* frames that stay to be looked at */

struct rig {
	struct loop *loop;
	struct policy *policy;
	struct net *net;
	struct net_host_ops host;
	uint64_t now;
	unsigned sockets;                /* that were opened */
	int fd;                          /* the last of them */
	int socket_error, connect_error; /* what they say; 0: they work */
	/* The link. */
	int room; /* frames that it takes; -1: all */
	unsigned n, flushes;
	struct fr *got; /* RIG_KEPT of them */
	/* What was told, last and how often. */
	char said[NET_SAY_MAX];
	unsigned nsaid, nviolated;
};

/* Of the next rig: the network's end of a link to msb-tls; 0: none. */
static int rig_tls_fd;

static void rig_on_said(void *arg, const char *line)
{
	struct rig *r = arg;

	r->nsaid++;
	(void)snprintf(r->said, sizeof(r->said), "%s", line);
}

static void rig_on_violated(void *arg, const char *why)
{
	(void)why;
	((struct rig *)arg)->nviolated++;
}

/* Of one rig at a time: to clear it for each would be most of the work. */
static struct fr rig_kept[RIG_KEPT];

static uint64_t rig_now(void *arg)
{
	return ((struct rig *)arg)->now;
}

static int rig_socket(void *arg, int domain, int type, int protocol)
{
	struct rig *r = arg;

	if (r->socket_error)
		return r->socket_error;
	r->sockets++;
	r->fd = socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	return r->fd < 0 ? -errno : r->fd;
}

static int rig_connect(void *arg, int fd, const struct sockaddr *sa,
                       socklen_t len)
{
	struct rig *r = arg;
	struct sockaddr_storage ss = {0};

	if (r->connect_error)
		return r->connect_error;
	memcpy(&ss, sa, len);
	if (ss.ss_family == AF_INET)
		((struct sockaddr_in *)&ss)->sin_addr.s_addr =
			htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&ss)->sin6_addr = in6addr_loopback;
	return connect(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
}

static bool rig_is_local(void *arg, const struct addr *a)
{
	(void)arg;
	return addr_kind(a) == ADDR_LOOPBACK;
}

static int rig_send(void *arg, const struct vnet_hdr *h, const struct iovec *v,
                    unsigned nv, size_t len)
{
	struct rig *r = arg;
	struct fr *f = &r->got[r->n % RIG_KEPT];

	(void)h;
	if (!r->room)
		return -EAGAIN;
	if (r->room > 0)
		r->room--;
	f->len = 0;
	for (unsigned i = 0; i < nv; i++)
		fr_add(f, v[i].iov_base, v[i].iov_len);
	if (f->len != len)
		abort();
	r->n++;
	return 0;
}

static void rig_flush(void *arg)
{
	((struct rig *)arg)->flushes++;
}

static void rig_resume(void *arg)
{
	(void)arg;
}

static struct rig *rig_new(const struct policy_spec *spec,
                           const struct net_port *ports, unsigned nports)
{
	struct rig *r = calloc(1, sizeof(*r));
	const struct net_link link = {.send = rig_send,
	                              .flush = rig_flush,
	                              .resume = rig_resume,
	                              .arg = r};
	struct net_config c = {.mtu = 1500,
	                       .pcap_fd = -1,
	                       .host = &r->host,
	                       .log_denied = true,
	                       .tls_fd = rig_tls_fd,
	                       .say = rig_on_said,
	                       .say_arg = r,
	                       .violated = rig_on_violated,
	                       .violated_arg = r};

	r->host = (struct net_host_ops){rig_now, rig_socket, rig_connect,
	                                rig_is_local, r};
	r->now = 1000 * NS_PER_S;
	r->room = -1;
	r->got = rig_kept;
	r->loop = loop_new();
	memcpy(c.guest_mac, GUEST_MAC, NET_MAC_LEN);
	memcpy(c.gateway_mac, GATEWAY_MAC, NET_MAC_LEN);
	c.guest4 = ip(GUEST4);
	c.gateway4 = ip(GATEWAY4);
	c.guest6 = ip(GUEST6);
	c.gateway6 = ip(GATEWAY6);
	c.nports = nports;
	for (unsigned i = 0; i < nports; i++)
		c.ports[i] = ports[i];
	if (!r->loop || policy_new(spec, &r->policy, NULL) < 0)
		abort();
	c.policy = r->policy;
	if (net_new(&c, r->loop, &link, &r->net, NULL) < 0)
		abort();
	/* Timers by the rig's clock: rig_later(). */
	loop_timer_del(r->loop, &r->net->wheel.timer);
	r->net->wheel.loop = NULL;
	return r;
}

static void rig_free(struct rig *r)
{
	net_free(r->net);
	policy_free(r->policy);
	loop_free(r->loop);
	free(r);
}

/* ---- the guest ----------------------------------------------------------- */

static inline void rig_frame_hdr(struct rig *r, const struct vnet_hdr *h,
                                 const struct fr *f)
{
	struct iovec v = {(void *)f->b, f->len};
	struct iov frame = {&v, 1, f->len};

	net_input(r->net, h, &frame);
}

static inline void rig_frame(struct rig *r, const struct fr *f)
{
	const struct vnet_hdr h = {.flags = VNET_NEEDS_CSUM};

	rig_frame_hdr(r, &h, f);
}

/* From the guest's port to @dst, @len bytes as of fr_fill(). */
static inline void fr_datagram(struct fr *f, uint16_t sport, const char *dst,
                               uint16_t dport, size_t len)
{
	struct addr to = ip(dst);

	if (addr_is_v4(&to)) {
		fr_ip4(f, GUEST4, dst, PROTO_UDP);
		fr_udp(f, sport, dport, len);
		fr_end4(f);
	} else {
		fr_ip6(f, GUEST6, dst, PROTO_UDP);
		fr_udp(f, sport, dport, len);
		fr_end6(f);
	}
}

static inline void rig_say(struct rig *r, uint16_t sport, const char *dst,
                           uint16_t dport, size_t len)
{
	static struct fr f;

	fr_datagram(&f, sport, dst, dport, len);
	rig_frame(r, &f);
	net_batch_end(r->net);
}

/* Let the loop run until nothing comes for a moment. */
static inline void rig_run(struct rig *r)
{
	for (int idle = 0; idle < 3; idle++) {
		unsigned n = r->n;

		(void)loop_step(r->loop, 2);
		if (r->n != n)
			idle = 0;
	}
}

/* So much later; what was due in between has run. */
static inline void rig_later(struct rig *r, uint64_t ns)
{
	for (uint64_t end = r->now + ns; r->now < end;) {
		r->now = MIN(end, r->now + NS_PER_S);
		wheel_run(&r->net->wheel, r->now);
	}
	wheel_run(&r->net->wheel, r->now + 2 * WHEEL_TICK_NS);
}

/* ---- what the guest got -------------------------------------------------- */

struct got {
	struct addr src, dst;
	uint8_t proto, tos;
	uint16_t sport, dport; /* UDP */
	uint8_t type, code;    /* ICMP */
	const uint8_t *data;   /* behind the transport's header */
	size_t len;
};

/* The frame number @i, taken apart by the product's own parser. */
static inline struct got rig_got(struct rig *r, unsigned i)
{
	static struct pkt p;
	const struct vnet_hdr h = {0};
	struct fr *f = &r->got[i % RIG_KEPT];
	struct iovec v = {f->b, f->len};
	struct iov frame = {&v, 1, f->len};
	const char *why;
	struct got g;

	if (i >= r->n || r->n - i > RIG_KEPT ||
	    pkt_parse(&h, &frame, &p, &why) < 0 || p.fragment)
		abort();
	g = (struct got){.src = p.src,
	                 .dst = p.dst,
	                 .proto = p.proto,
	                 .tos = p.tos,
	                 .type = p.head[p.l4],
	                 .code = p.head[p.l4 + 1],
	                 .data = f->b + p.l4 + p.l4_len,
	                 .len = p.payload.len};
	if (p.proto == PROTO_UDP) {
		g.sport = get_be16(p.head + p.l4);
		g.dport = get_be16(p.head + p.l4 + 2);
		/* The sum over all of it, with itself inside, is all ones. */
		if (fr_l4_sum(f, p.l4, PROTO_UDP) != 0xffff)
			abort();
	}
	return g;
}

static inline uint64_t rig_open(struct rig *r)
{
	return atomic_load(&net_counters(r->net)->open);
}

/* ---- the host ------------------------------------------------------------ */

/* A socket at a port of @addr that is free, or at @port. */
static inline int server_at(const char *addr, uint16_t port, uint16_t *ret_port)
{
	struct addr a = ip(addr), got;
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&a, port, &ss);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct timeval patience = {.tv_sec = 5};

	if (fd < 0 || bind(fd, (struct sockaddr *)&ss, len) < 0)
		abort();
	len = sizeof(ss);
	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
	               sizeof(patience)) < 0 ||
	    addr_from_sockaddr((struct sockaddr *)&ss, &got, ret_port) < 0)
		abort();
	return fd;
}

static inline bool is_silent(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 20) == 0;
}

static inline bool is_filled(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != (uint8_t)(i * 7 + i / 256))
			return false;
	return true;
}

#endif
