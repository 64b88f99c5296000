/*
 * neigh_nd.c - neighbour discovery, RFC 4861. The gateway answers who asks for
 * it, at its address and its link-local one, and is the only router.
 */
#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "net/neigh.h"
#include "net/net_int.h"

#include "base/banned.h"

#define ND_RS       133
#define ND_RA       134
#define ND_NS       135
#define ND_NA       136
#define ND_REDIRECT 137
#define ND_TTL      255 /* nobody forwarded it */

#define MLD_QUERY   130
#define MLD_REPORT  131
#define MLD_DONE    132
#define MLD_REPORT2 143

#define NA_ROUTER    0x80
#define NA_SOLICITED 0x40
#define NA_OVERRIDE  0x20

#define OPT_SOURCE_MAC 1
#define OPT_TARGET_MAC 2
#define OPT_PREFIX     3
#define OPT_MTU        5
#define OPT_RDNSS      25

#define PREFIX_ON_LINK 0x80
#define FOR_EVER       0xffffffff

/* Nobody sends advertisements again and again, so it must last: RFC 8319. */
#define ROUTER_LIFETIME 65535

static const struct addr unspecified;
static const struct addr all_nodes = {
	.b = {0xff, 2, [15] = 1}
};

/* To who asked, or to all when it has no address yet. */
static void answer(struct net *n, const struct pkt *p, const struct addr *from,
                   void *msg, size_t len)
{
	struct out o = {.src = from,
	                .dst = addr_eq(&p->src, &unspecified) ? &all_nodes
	                                                      : &p->src,
	                .proto = PROTO_ICMP6,
	                .ttl = ND_TTL,
	                .head = msg,
	                .head_len = len,
	                .keep = true};

	(void)out_send(n, &o);
}

static void put_mac_option(const struct net *n, uint8_t *o, uint8_t kind)
{
	o[0] = kind;
	o[1] = 1;
	memcpy(o + 2, n->cfg.gateway_mac, NET_MAC_LEN);
}

/* ---- the gateway's address --------------------------------------------- */

static void answer_neighbour(struct net *n, const struct pkt *p,
                             const struct addr *target)
{
	bool asked = !addr_eq(&p->src, &unspecified);
	uint8_t m[32] = {ND_NA};

	m[4] = NA_ROUTER | NA_OVERRIDE | (asked ? NA_SOLICITED : 0);
	memcpy(m + 8, target->b, 16);
	put_mac_option(n, m + 24, OPT_TARGET_MAC);
	answer(n, p, target, m, sizeof(m));
}

static bool get_target(struct pkt *p, struct addr *ret)
{
	return iov_get(&p->payload, ret->b, sizeof(ret->b)) == 0;
}

/* Who has none of the gateway's addresses gets no answer: whether another
   address is taken is asked so. */
static void on_solicitation(struct net *n, struct pkt *p)
{
	struct addr target, ll = neigh_link_local(n);

	if (!get_target(p, &target))
		net_bad(n, "neighbour solicitation cut short");
	else if (addr_eq(&target, &n->cfg.gateway6) || addr_eq(&target, &ll))
		answer_neighbour(n, p, &target);
}

static void on_advertisement(struct net *n, struct pkt *p)
{
	struct addr target, ll = neigh_link_local(n);

	if (!get_target(p, &target) || addr_eq(&target, &n->cfg.gateway6) ||
	    addr_eq(&target, &ll))
		net_bad(n, "neighbour advertisement in the gateway's name");
}

/* ---- the router -------------------------------------------------------- */

static bool has_route(const struct net *n)
{
	return !n->hostaddr || hostaddr_has_route(n->hostaddr, true);
}

/* No address is to be made of the prefix: the guest has its one. */
static void put_prefix(const struct net *n, uint8_t o[32])
{
	o[0] = OPT_PREFIX;
	o[1] = 4;
	o[2] = 64;
	o[3] = PREFIX_ON_LINK;
	put_be32(o + 4, FOR_EVER);
	put_be32(o + 8, FOR_EVER);
	memcpy(o + 16, n->cfg.gateway6.b, 8);
}

static void put_rdnss(const struct net *n, uint8_t o[24])
{
	o[0] = OPT_RDNSS;
	o[1] = 3;
	put_be32(o + 4, FOR_EVER);
	memcpy(o + 8, n->cfg.gateway6.b, 16);
}

static void on_router_solicitation(struct net *n, struct pkt *p)
{
	uint8_t m[16 + 8 + 8 + 32 + 24] = {ND_RA};
	struct addr ll = neigh_link_local(n);

	m[4] = 64; /* hop limit */
	put_be16(m + 6, has_route(n) ? ROUTER_LIFETIME : 0);
	put_mac_option(n, m + 16, OPT_SOURCE_MAC);
	m[24] = OPT_MTU;
	m[25] = 1;
	put_be32(m + 28, n->cfg.mtu);
	put_prefix(n, m + 32);
	put_rdnss(n, m + 64);
	answer(n, p, &ll, m, sizeof(m));
}

/* ---- what comes -------------------------------------------------------- */

static void on_router_advertisement(struct net *n, struct pkt *p)
{
	(void)p;
	net_bad(n, "router advertisement of the guest");
}

static void on_redirect(struct net *n, struct pkt *p)
{
	(void)p;
	net_bad(n, "redirect of the guest");
}

static void (*const messages[])(struct net *n, struct pkt *p) = {
	[ND_RS] = on_router_solicitation, [ND_RA] = on_router_advertisement,
	[ND_NS] = on_solicitation,        [ND_NA] = on_advertisement,
	[ND_REDIRECT] = on_redirect,
};

static bool is_mld(uint8_t type)
{
	return (type >= MLD_QUERY && type <= MLD_DONE) || type == MLD_REPORT2;
}

bool neigh_nd(struct net *n, struct pkt *p)
{
	const uint8_t *m = p->head + p->l4;

	if (!p->v6 || p->proto != PROTO_ICMP6)
		return false;
	if (is_mld(m[0]))
		return true;
	if (m[0] >= ARRAY_SIZE(messages) || !messages[m[0]])
		return false;
	if (p->ttl != ND_TTL || m[1] || p->l4 != p->l3 + 40)
		net_bad(n, "neighbour discovery not from the link");
	else
		messages[m[0]](n, p);
	return true;
}
