/*
 * icmp_error.c - what the guest hears of packets that did not arrive, as if
 * the network had said it; and what the kernel says of those that we sent.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/errqueue.h>

#include "base/num.h"
#include "net/icmp_int.h"
#include "net/net_int.h"

#include "base/banned.h"

#define IP4_LEN       20
#define IP6_LEN       40
#define ERROR4_MAX    576  /* RFC 1812, 4.3.2.3 */
#define ERROR6_MAX    1280 /* RFC 4443, 2.4 (c) */
#define PER_SECOND    200
#define READ_MAX      16 /* errors that mean nothing to us, in a row */
#define MTU4_MIN      68
#define MTU6_MIN      1280
#define IP6_NEXT_AT   6
#define ICMP4_ERRORS  0x00001838U /* bits of types 3, 4, 5, 11, 12 */
#define ICMP6_INFORMS 0x80        /* bit: not an error */

#define UNREACHABLE4 3
#define EXPIRED4     11
#define UNREACHABLE6 1
#define TOO_BIG6     2
#define EXPIRED6     3
#define PARAMETER6   4

#define ANY_CODE 255

/* What each reason is on the wire; read in both directions, first match. */
static const struct {
	enum icmp_reason why;
	uint8_t type4, code4, type6, code6;
} wire[] = {
	{ICMP_NO_NET,      UNREACHABLE4, 0,        UNREACHABLE6, 0       },
	{ICMP_NO_HOST,     UNREACHABLE4, 1,        UNREACHABLE6, 3       },
	{ICMP_NO_PROTO,    UNREACHABLE4, 2,        PARAMETER6,   1       },
	{ICMP_NO_PORT,     UNREACHABLE4, 3,        UNREACHABLE6, 4       },
	{ICMP_TOO_BIG,     UNREACHABLE4, 4,        TOO_BIG6,     0       },
	{ICMP_PROHIBITED,  UNREACHABLE4, 13,       UNREACHABLE6, 1       },
	{ICMP_TTL_EXPIRED, EXPIRED4,     0,        EXPIRED6,     0       },
 /* Others may say the same with these. */
	{ICMP_PROHIBITED,  UNREACHABLE4, 9,        UNREACHABLE6, 5       },
	{ICMP_PROHIBITED,  UNREACHABLE4, 10,       UNREACHABLE6, 6       },
	{ICMP_NO_NET,      UNREACHABLE4, 6,        UNREACHABLE6, 2       },
	{ICMP_NO_NET,      UNREACHABLE4, 11,       UNREACHABLE6, 2       },
	{ICMP_NO_HOST,     UNREACHABLE4, ANY_CODE, UNREACHABLE6, ANY_CODE},
	{ICMP_TTL_EXPIRED, EXPIRED4,     ANY_CODE, EXPIRED6,     ANY_CODE},
};

/* ---- may it be said? --------------------------------------------------- */

static bool may_speak(struct net *n)
{
	struct icmp *i = n->icmp;
	uint64_t now = net_now(n);

	if (now - i->second_ns >= NS_PER_S) {
		i->second_ns = now;
		i->nerrors = 0;
	}
	return i->nerrors++ < PER_SECOND;
}

static bool is_one_host(const struct pkt *p)
{
	return !(p->head[0] & 1) && addr_kind(&p->dst) != ADDR_MULTICAST;
}

static bool is_icmp_error(const struct pkt *p)
{
	uint8_t type = p->head[p->l4];

	if (p->proto == PROTO_ICMP4)
		return type < 32 && (ICMP4_ERRORS >> type & 1);
	return p->proto == PROTO_ICMP6 && !(type & ICMP6_INFORMS);
}

/* RFC 1122, 3.2.2, RFC 4443, 2.4 (e): never an answer to an error, to a group
   or to a part. */
static bool may_be_about(const struct net *n, const struct pkt *p)
{
	return !p->fragment && !is_icmp_error(p) && is_one_host(p) &&
	       addr_eq(&p->src, p->v6 ? &n->cfg.guest6 : &n->cfg.guest4);
}

/* ---- to the guest ------------------------------------------------------ */

struct error {
	bool v6;
	enum icmp_reason why;
	const struct addr *from;
	uint32_t mtu;
	uint32_t pointer; /* where in the packet the cause is */
	const struct iovec *quote;
	unsigned nquote;
};

static void put_error(const struct error *e, uint8_t m[ICMP_HEAD_LEN])
{
	size_t i = 0;

	while (wire[i].why != e->why)
		i++;
	m[0] = e->v6 ? wire[i].type6 : wire[i].type4;
	m[1] = e->v6 ? wire[i].code6 : wire[i].code4;
	if (e->why == ICMP_TOO_BIG && e->v6)
		put_be32(m + 4, MAX(e->mtu, MTU6_MIN));
	else if (e->why == ICMP_TOO_BIG)
		put_be16(m + 6, (uint16_t)MIN(MAX(e->mtu, MTU4_MIN), 65535));
	else if (m[0] == PARAMETER6 && e->v6)
		put_be32(m + 4, e->pointer);
}

/* Of the other family, or nobody: it is the gateway that speaks. */
static const struct addr *teller(const struct net *n, const struct error *e)
{
	const struct addr *gw = e->v6 ? &n->cfg.gateway6 : &n->cfg.gateway4;

	return e->from && addr_is_v4(e->from) == !e->v6 ? e->from : gw;
}

static void send_error(struct net *n, const struct error *e)
{
	uint8_t m[ICMP_HEAD_LEN] = {0};
	struct out o = {.src = teller(n, e),
	                .dst = e->v6 ? &n->cfg.guest6 : &n->cfg.guest4,
	                .proto = e->v6 ? PROTO_ICMP6 : PROTO_ICMP4,
	                .head = m,
	                .head_len = sizeof(m),
	                .data = e->quote,
	                .ndata = e->nquote,
	                .keep = true};
	unsigned i;

	put_error(e, m);
	for (i = 0; i < e->nquote; i++)
		o.data_len += e->quote[i].iov_len;
	(void)out_send(n, &o);
}

/* The header whose next is what nobody knows. */
static uint32_t next_header_at(const struct pkt *p)
{
	unsigned at = p->l3 + IP6_LEN, prev = IP6_NEXT_AT;

	while (at + 8 <= p->l4) {
		bool fragment = p->head[p->l3 + prev] == 44;

		prev = at - p->l3;
		at += fragment ? 8U : 8U + p->head[at + 1] * 8U;
	}
	return prev;
}

/* As much of the payload as @room: copied, since the guest may have it in many
   pieces; who reads the packet goes on with @p as it is. */
static size_t copy_payload(const struct pkt *p, uint8_t *to, size_t room)
{
	size_t left = MIN(p->payload.len, room), done = 0;
	unsigned i;

	for (i = 0; left > done; i++) {
		size_t part = MIN(p->payload.v[i].iov_len, left - done);

		memcpy(to + done, p->payload.v[i].iov_base, part);
		done += part;
	}
	return done;
}

void icmp_error(struct net *n, const struct pkt *about, enum icmp_reason why,
                const struct addr *from, uint32_t mtu)
{
	uint8_t q[ERROR6_MAX];
	size_t head = about->head_len - about->l3;
	size_t room = about->v6 ? ERROR6_MAX - IP6_LEN - ICMP_HEAD_LEN
	                        : ERROR4_MAX - IP4_LEN - ICMP_HEAD_LEN;
	struct iovec v = {q, head};
	struct error e = {.v6 = about->v6,
	                  .why = why,
	                  .from = from,
	                  .mtu = mtu,
	                  .quote = &v,
	                  .nquote = 1};

	if (!may_be_about(n, about) || !may_speak(n))
		return;
	memcpy(q, about->head + about->l3, head);
	v.iov_len += copy_payload(about, q + head, room - head);
	if (about->v6)
		e.pointer = next_header_at(about);
	send_error(n, &e);
}

/* ---- of a flow --------------------------------------------------------- */

/* The first eight bytes of a transport: as many as RFC 792 asks for. */
static void put_transport(uint8_t proto, const struct tuple *t, uint32_t seq,
                          uint8_t l4[8])
{
	switch (proto) {
	case PROTO_ICMP4:
	case PROTO_ICMP6:
		l4[0] = proto == PROTO_ICMP4 ? ICMP4_ECHO : ICMP6_ECHO;
		put_be16(l4 + 4, t->gport);
		put_be16(l4 + 6, (uint16_t)seq);
		return;
	case PROTO_UDP:
		put_be16(l4 + 4, 8);
		break;
	default:
		put_be32(l4 + 4, seq);
	}
	put_be16(l4, t->gport);
	put_be16(l4 + 2, t->pport);
}

static void put_ip4(const struct tuple *t, uint8_t proto, uint8_t *h)
{
	h[0] = 0x45;
	put_be16(h + 2, IP4_LEN + 8);
	put_be16(h + 6, 0x4000);
	h[8] = 64;
	h[9] = proto;
	memcpy(h + 12, t->guest.b + 12, 4);
	memcpy(h + 16, t->peer.b + 12, 4);
	put_be16(h + 10, (uint16_t)~csum_fold(csum_add(0, h, IP4_LEN)));
}

static void put_ip6(const struct tuple *t, uint8_t proto, uint8_t *h)
{
	h[0] = 0x60;
	put_be16(h + 4, 8);
	h[6] = proto;
	h[7] = 64;
	memcpy(h + 8, t->guest.b, 16);
	memcpy(h + 24, t->peer.b, 16);
}

void icmp_error_flow(struct net *n, uint8_t proto, const struct tuple *t,
                     uint32_t tcp_seq, enum icmp_reason why,
                     const struct addr *from, uint32_t mtu)
{
	uint8_t q[IP6_LEN + 8] = {0};
	bool v6 = !addr_is_v4(&t->peer);
	struct iovec v = {q, (v6 ? IP6_LEN : IP4_LEN) + 8};
	struct error e = {.v6 = v6,
	                  .why = why,
	                  .from = from,
	                  .mtu = mtu,
	                  .pointer = IP6_NEXT_AT,
	                  .quote = &v,
	                  .nquote = 1};

	if (!may_speak(n))
		return;
	if (v6)
		put_ip6(t, proto, q);
	else
		put_ip4(t, proto, q);
	put_transport(proto, t, tcp_seq, q + v.iov_len - 8);
	send_error(n, &e);
}

/* ---- from the kernel --------------------------------------------------- */

static bool code_is(uint8_t want, uint8_t code)
{
	return want == ANY_CODE || want == code;
}

static bool reason_of(const struct sock_extended_err *ee, enum icmp_reason *ret)
{
	bool v6 = ee->ee_origin == SO_EE_ORIGIN_ICMP6;
	size_t i;

	if (ee->ee_origin == SO_EE_ORIGIN_LOCAL) {
		*ret = ee->ee_errno == EMSGSIZE ? ICMP_TOO_BIG : ICMP_NO_HOST;
		return true;
	}
	if (!v6 && ee->ee_origin != SO_EE_ORIGIN_ICMP)
		return false;
	for (i = 0; i < ARRAY_SIZE(wire); i++) {
		if (ee->ee_type == (v6 ? wire[i].type6 : wire[i].type4) &&
		    code_is(v6 ? wire[i].code6 : wire[i].code4, ee->ee_code)) {
			*ret = wire[i].why;
			return true;
		}
	}
	return false;
}

static bool is_recverr(const struct cmsghdr *c)
{
	return (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
	       (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
}

static bool read_cmsg(const struct cmsghdr *c, struct icmp_told *ret)
{
	union {
		struct sock_extended_err ee;
		uint8_t b[sizeof(struct sock_extended_err) +
		          sizeof(struct sockaddr_in6)];
	} u;
	size_t len = c->cmsg_len - CMSG_LEN(0);
	uint16_t port;

	memset(&u, 0, sizeof(u));
	memcpy(&u, CMSG_DATA(c), MIN(len, sizeof(u)));
	if (!is_recverr(c) || !reason_of(&u.ee, &ret->why))
		return false;
	ret->mtu = u.ee.ee_info;
	ret->from = (struct addr){0};
	/* Nobody is of no family. */
	(void)addr_from_sockaddr(SO_EE_OFFENDER(&u.ee), &ret->from, &port);
	return true;
}

/* 1, 0 when the queue is empty, -EAGAIN when it was nothing for the guest. */
static int read_one(int fd, struct icmp_told *ret)
{
	union {
		struct cmsghdr align;
		uint8_t b[512];
	} control;
	struct iovec v = {ret->quoted, sizeof(ret->quoted)};
	struct msghdr m = {.msg_iov = &v,
	                   .msg_iovlen = 1,
	                   .msg_control = &control,
	                   .msg_controllen = sizeof(control)};
	ssize_t r = recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);
	struct cmsghdr *c;

	if (r < 0)
		return 0;
	ret->nquoted = (size_t)r;
	for (c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (read_cmsg(c, ret))
			return 1;
	return -EAGAIN;
}

int icmp_read_error(int fd, struct icmp_told *ret)
{
	struct icmp_told told;
	unsigned i;
	int r = -EAGAIN;

	for (i = 0; i < READ_MAX && r == -EAGAIN; i++)
		r = read_one(fd, &told);
	if (r <= 0)
		return 0;
	*ret = told;
	return 1;
}

int icmp_from_errqueue(int fd, enum icmp_reason *ret_why, struct addr *ret_from,
                       uint32_t *ret_mtu)
{
	struct icmp_told told;
	int r = icmp_read_error(fd, &told);

	if (r <= 0)
		return r;
	*ret_why = told.why;
	*ret_from = told.from;
	*ret_mtu = told.mtu;
	return 1;
}
