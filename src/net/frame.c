#include "net/frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "net/net.h"

#include "base/banned.h"

/*
 * Headers move from the frame to pkt.head piece by piece, each as long as the
 * one before it says, so that every byte is read once and the payload is what
 * is left. Nothing else here touches guest memory.
 */

#define IP4_LEN  20
#define IP6_LEN  40
#define TCP_LEN  20
#define UDP_LEN  8
#define ICMP_LEN 8

#define IP4_DF      0x4000
#define IP4_MF      0x2000
#define IP4_OFF     0x1fff
#define IP4_OPT_END 0
#define IP4_OPT_NOP 1
#define IP4_OPT_LSR 131
#define IP4_OPT_SSR 137

#define IP6_HOP      0
#define IP6_ROUTING  43
#define IP6_FRAGMENT 44
#define IP6_DEST     60
#define IP6_EXT_MAX  8
#define IP6_OPT_PAD1 0
#define IP6_OPT_ACT  0xc0 /* what to do by who does not know the option */

static int bad(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EPROTO;
}

static int pull(struct pkt *p, size_t len, const char **ret_why)
{
	if (len > PKT_HEAD_MAX - p->head_len)
		return bad(ret_why, "headers too long");
	if (iov_get(&p->payload, p->head + p->head_len, len) < 0)
		return bad(ret_why, "cut short");
	p->head_len += (unsigned)len;
	return 0;
}

/* ---- transports -------------------------------------------------------- */

static int parse_tcp(struct pkt *p, const char **ret_why)
{
	unsigned len;

	if (pull(p, TCP_LEN, ret_why) < 0)
		return -EPROTO;
	len = (p->head[p->l4 + 12] >> 4) * 4U;
	if (len < TCP_LEN)
		return bad(ret_why, "TCP header length");
	p->l4_len = len;
	return pull(p, len - TCP_LEN, ret_why);
}

static int parse_udp(struct pkt *p, const char **ret_why)
{
	size_t len;

	if (pull(p, UDP_LEN, ret_why) < 0)
		return -EPROTO;
	len = get_be16(p->head + p->l4 + 4);
	if (len < UDP_LEN || len - UDP_LEN > p->payload.len)
		return bad(ret_why, "UDP length");
	p->l4_len = UDP_LEN;
	iov_keep(&p->payload, len - UDP_LEN);
	return 0;
}

static int parse_icmp(struct pkt *p, const char **ret_why)
{
	if ((p->proto == PROTO_ICMP6) != p->v6)
		return bad(ret_why, "ICMP of the other family");
	p->l4_len = ICMP_LEN;
	return pull(p, ICMP_LEN, ret_why);
}

static bool gso_agrees(const struct pkt *p)
{
	if (p->gso_type == VNET_GSO_NONE)
		return true;
	return !p->fragment && p->proto == PROTO_TCP &&
	       p->gso_type == (p->v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4);
}

static int parse_transport(struct pkt *p, const char **ret_why)
{
	p->l4 = p->head_len;
	p->l4_len = 0;
	if (!gso_agrees(p))
		return bad(ret_why, "segmentation of another protocol");
	if (p->fragment)
		return 0;
	switch (p->proto) {
	case PROTO_TCP:
		return parse_tcp(p, ret_why);
	case PROTO_UDP:
		return parse_udp(p, ret_why);
	case PROTO_ICMP4:
	case PROTO_ICMP6:
		return parse_icmp(p, ret_why);
	default:
		return 0;
	}
}

/* ---- IPv4 -------------------------------------------------------------- */

static int check_ip4_options(const uint8_t *o, size_t len, const char **ret_why)
{
	size_t i = 0;

	while (i < len && o[i] != IP4_OPT_END) {
		if (o[i] == IP4_OPT_NOP) {
			i++;
			continue;
		}
		if (o[i] == IP4_OPT_LSR || o[i] == IP4_OPT_SSR)
			return bad(ret_why, "source routing");
		if (len - i < 2 || o[i + 1] < 2 || o[i + 1] > len - i)
			return bad(ret_why, "IP options");
		i += o[i + 1];
	}
	return 0;
}

static void set_ip4(struct pkt *p, const uint8_t *ip)
{
	uint16_t flags = get_be16(ip + 6);

	p->src = (struct addr){
		.b = {[10] = 0xff, [11] = 0xff}
        };
	p->dst = p->src;
	memcpy(p->src.b + 12, ip + 12, 4);
	memcpy(p->dst.b + 12, ip + 16, 4);
	p->tos = ip[1];
	p->ttl = ip[8];
	p->proto = ip[9];
	p->df = flags & IP4_DF;
	p->more = flags & IP4_MF;
	p->frag_id = get_be16(ip + 4);
	p->frag_off = (uint16_t)((flags & IP4_OFF) * 8);
	p->fragment = p->more || p->frag_off;
}

static int parse_ip4(struct pkt *p, const char **ret_why)
{
	const uint8_t *ip = p->head + p->l3;
	unsigned len;

	if (pull(p, IP4_LEN, ret_why) < 0)
		return -EPROTO;
	len = (ip[0] & 15) * 4U;
	if (ip[0] >> 4 != 4 || len < IP4_LEN)
		return bad(ret_why, "IP version or header length");
	p->ip_len = get_be16(ip + 2);
	if (p->ip_len < len || p->ip_len - IP4_LEN > p->payload.len)
		return bad(ret_why, "IP length");
	iov_keep(&p->payload, p->ip_len - IP4_LEN);
	if (pull(p, len - IP4_LEN, ret_why) < 0 ||
	    check_ip4_options(ip + IP4_LEN, len - IP4_LEN, ret_why) < 0)
		return -EPROTO;
	if (csum_fold(csum_add(0, ip, len)) != 0xffff)
		return bad(ret_why, "IP header checksum");
	if (!ip[8])
		return bad(ret_why, "TTL 0");
	set_ip4(p, ip);
	return parse_transport(p, ret_why);
}

/* ---- IPv6 -------------------------------------------------------------- */

/* Unknown options are fine if they say so; the jumbogram's does not. */
static int check_ip6_options(const uint8_t *o, size_t len, const char **ret_why)
{
	size_t i = 0;

	while (i < len) {
		if (o[i] == IP6_OPT_PAD1) {
			i++;
			continue;
		}
		if (len - i < 2 || o[i + 1] > len - i - 2)
			return bad(ret_why, "IPv6 options");
		if (o[i] & IP6_OPT_ACT)
			return bad(ret_why, "IPv6 option that forbids it");
		i += 2U + o[i + 1];
	}
	return 0;
}

/* Its first 8 bytes are the last of p->head. */
static void set_ip6_fragment(struct pkt *p, const uint8_t *e)
{
	uint16_t off = get_be16(e + 2);

	p->frag_off = off & 0xfff8;
	p->more = off & 1;
	p->frag_id = get_be32(e + 4);
	/* RFC 6946: one that is whole is none. */
	p->fragment = p->more || p->frag_off;
}

/* One extension header; @ret_next is what follows it. */
static int parse_ip6_ext(struct pkt *p, uint8_t kind, uint8_t *ret_next,
                         const char **ret_why)
{
	const uint8_t *e = p->head + p->head_len;

	if (kind == IP6_ROUTING)
		return bad(ret_why, "routing header");
	if (pull(p, 8, ret_why) < 0)
		return -EPROTO;
	if (kind == IP6_FRAGMENT)
		set_ip6_fragment(p, e);
	else if (pull(p, e[1] * 8U, ret_why) < 0 ||
	         check_ip6_options(e + 2, 6 + e[1] * 8U, ret_why) < 0)
		return -EPROTO;
	*ret_next = e[0];
	return 0;
}

static bool is_ip6_ext(uint8_t kind)
{
	return kind == IP6_HOP || kind == IP6_ROUTING || kind == IP6_FRAGMENT ||
	       kind == IP6_DEST;
}

/*
 * Walk from the header @kind to the transport, or to a fragment's payload.
 * @inside: of a packet that came in fragments; then there are no more, and
 * hop-by-hop options stood before them.
 */
static int walk_ip6(struct pkt *p, uint8_t kind, bool inside,
                    const char **ret_why)
{
	bool seen = inside;
	unsigned i;

	for (i = 0; is_ip6_ext(kind); i++) {
		uint8_t next = 0;

		if (i == IP6_EXT_MAX)
			return bad(ret_why, "too many extension headers");
		if (kind == IP6_HOP && (i || inside))
			return bad(ret_why, "hop-by-hop options not first");
		if (kind == IP6_FRAGMENT && seen)
			return bad(ret_why, "fragment of a fragment");
		if (parse_ip6_ext(p, kind, &next, ret_why) < 0)
			return -EPROTO;
		seen |= kind == IP6_FRAGMENT;
		kind = next;
		if (p->fragment)
			break;
	}
	p->proto = kind;
	return 0;
}

static int parse_ip6(struct pkt *p, const char **ret_why)
{
	const uint8_t *ip = p->head + p->l3;
	size_t len;

	if (pull(p, IP6_LEN, ret_why) < 0)
		return -EPROTO;
	len = get_be16(ip + 4);
	if (ip[0] >> 4 != 6)
		return bad(ret_why, "IPv6 version");
	if (len > p->payload.len || (!len && ip[6] == IP6_HOP))
		return bad(ret_why, "IPv6 length");
	if (!ip[7])
		return bad(ret_why, "TTL 0");
	iov_keep(&p->payload, len);
	p->v6 = true;
	p->df = true;
	p->ip_len = IP6_LEN + len;
	p->tos = (uint8_t)(get_be16(ip) >> 4);
	p->ttl = ip[7];
	memcpy(p->src.b, ip + 8, 16);
	memcpy(p->dst.b, ip + 24, 16);
	/* Else it would be taken for IPv4 by all that follows. */
	if (addr_is_v4(&p->src) || addr_is_v4(&p->dst))
		return bad(ret_why, "IPv4 address in IPv6");
	if (walk_ip6(p, ip[6], false, ret_why) < 0)
		return -EPROTO;
	return parse_transport(p, ret_why);
}

/* ---- frames ------------------------------------------------------------ */

int pkt_parse(const struct vnet_hdr *h, struct iov *frame, struct pkt *ret,
              const char **ret_why)
{
	struct pkt *p = ret;

	if (frame->len > NET_FRAME_MAX)
		return bad(ret_why, "giant");
	memset(&p->head_len, 0, sizeof(*p) - offsetof(struct pkt, head_len));
	p->payload = *frame;
	if (pull(p, ETH_LEN, ret_why) < 0)
		return -EPROTO;
	p->l3 = ETH_LEN;
	p->ethertype = get_be16(p->head + 12);
	p->need_csum = h->flags & VNET_NEEDS_CSUM;
	p->gso_type = h->gso_type & (uint8_t)~VNET_GSO_ECN;
	switch (p->ethertype) {
	case ETH_TYPE_IP4:
		return parse_ip4(p, ret_why);
	case ETH_TYPE_IP6:
		return parse_ip6(p, ret_why);
	case ETH_TYPE_ARP:
		return 0;
	default:
		p->vlan_or_odd = true;
		return 0;
	}
}

int pkt_parse_l4(struct pkt *p, const char **ret_why)
{
	p->fragment = false;
	p->more = false;
	p->frag_off = 0;
	p->df = false;
	if (p->v6 && walk_ip6(p, p->proto, true, ret_why) < 0)
		return -EPROTO;
	return parse_transport(p, ret_why);
}

/* ---- checksums --------------------------------------------------------- */

static uint16_t fold64(uint64_t s)
{
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)((s & 0xffff) + (s >> 16));
}

/* End-around carry. */
static inline uint64_t add64(uint64_t a, uint64_t b)
{
	uint64_t s;

	return __builtin_add_overflow(a, b, &s) ? s + 1 : s;
}

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/*
 * The sum does not care for byte order but at its end (RFC 1071, 2.B), nor for
 * the width in which it is taken; four sums, so that no addition waits for the
 * one before.
 */
static uint16_t block_sum(const uint8_t *p, size_t len)
{
	uint64_t a = 0, b = 0, c = 0, d = 0, w = 0;

	for (; len >= 32; p += 32, len -= 32) {
		a = add64(a, load64(p));
		b = add64(b, load64(p + 8));
		c = add64(c, load64(p + 16));
		d = add64(d, load64(p + 24));
	}
	for (; len >= 8; p += 8, len -= 8)
		a = add64(a, load64(p));
	if (len) {
		memcpy(&w, p, len);
		b = add64(b, w);
	}
	return ntohs(fold64(add64(add64(a, b), add64(c, d))));
}

static uint32_t add32(uint32_t a, uint32_t b)
{
	uint32_t s;

	return __builtin_add_overflow(a, b, &s) ? s + 1 : s;
}

uint32_t csum_add(uint32_t sum, const void *data, size_t len)
{
	return add32(sum, block_sum(data, len));
}

uint32_t csum_add_iov(uint32_t sum, const struct iovec *v, unsigned n)
{
	bool odd = false;
	unsigned i;

	for (i = 0; i < n; i++) {
		uint16_t s = block_sum(v[i].iov_base, v[i].iov_len);

		if (odd)
			s = (uint16_t)(s << 8 | s >> 8);
		sum = add32(sum, s);
		odd ^= v[i].iov_len & 1;
	}
	return sum;
}

uint16_t csum_fold(uint32_t sum)
{
	return fold64(sum);
}

/* An IPv4 address has ffff in its form here, which adds nothing. */
uint32_t csum_pseudo(const struct addr *src, const struct addr *dst,
                     uint8_t proto, uint32_t len)
{
	uint32_t sum = csum_add(proto, src->b, sizeof(src->b));

	sum = csum_add(sum, dst->b, sizeof(dst->b));
	return add32(add32(sum, len >> 16), len & 0xffff);
}
