#include "net/out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/num.h"
#include "net/frame.h"
#include "net/net_int.h"

#include "base/banned.h"

#define IP4_LEN 20
#define IP6_LEN 40
#define IP_MAX  65535 /* of what a length field can say */

#define IP4_DF          0x4000
#define IP4_MF          0x2000
#define IP6_FRAGMENT    44
#define IP6_FRAG_LEN    8
#define IP6_MORE        1
#define L3_MAX          (IP6_LEN + IP6_FRAG_LEN)
#define TTL_DEFAULT     64
#define TCP_CSUM_OFFSET 16

/* What waits for the link: as much as a burst of small answers and one whole
   datagram in pieces, and no more. */
#define KEPT_MAX       256
#define KEPT_BYTES_MAX (512 * KIB)

struct out_kept {
	struct out_kept *next;
	struct vnet_hdr h;
	uint32_t len;
	uint8_t data[];
};

/* ---- what waits for the link ------------------------------------------- */

static void lost(struct net *n)
{
	atomic_fetch_add_explicit(&n->counters.lost, 1, memory_order_relaxed);
}

static void keep_frame(struct net *n, const struct vnet_hdr *h,
                       const struct iovec *v, unsigned nv, size_t len)
{
	struct out_kept *k;
	uint8_t *to;
	unsigned i;

	if (n->nkept >= KEPT_MAX || n->kept_bytes + len > KEPT_BYTES_MAX ||
	    !(k = malloc(sizeof(*k) + len))) {
		lost(n);
		return;
	}
	k->next = NULL;
	k->h = *h;
	k->len = (uint32_t)len;
	to = k->data;
	for (i = 0; i < nv; i++) {
		memcpy(to, v[i].iov_base, v[i].iov_len);
		to += v[i].iov_len;
	}
	*n->kept_end = k;
	n->kept_end = &k->next;
	n->nkept++;
	n->kept_bytes += len;
}

static void drop_first(struct net *n)
{
	struct out_kept *k = n->kept;

	n->kept = k->next;
	if (!n->kept)
		n->kept_end = &n->kept;
	n->nkept--;
	n->kept_bytes -= k->len;
	free(k);
}

bool out_run(struct net *n)
{
	while (n->kept) {
		struct out_kept *k = n->kept;
		struct iovec v = {k->data, k->len};
		int r = net_transmit(n, &k->h, &v, 1, k->len);

		if (r == -EAGAIN)
			return false;
		if (r < 0)
			lost(n);
		drop_first(n);
	}
	return true;
}

void out_release(struct net *n)
{
	while (n->kept)
		drop_first(n);
}

/* In its place behind what is kept, so that frames stay in order. */
static int transmit(struct net *n, const struct vnet_hdr *h,
                    const struct iovec *v, unsigned nv, size_t len, bool keep)
{
	int r = -EAGAIN;

	if (!n->kept)
		r = net_transmit(n, h, v, nv, len);
	if (r == -EAGAIN && keep) {
		keep_frame(n, h, v, nv, len);
		return 0;
	}
	return r;
}

/* ---- headers ----------------------------------------------------------- */

/* A packet on its way: v[0] is the headers up to the transport's. */
struct packet {
	const struct out *o;
	bool v6;
	unsigned l3_len;
	size_t len; /* of the transport's header and data */
	struct vnet_hdr h;
	uint8_t head[ETH_LEN + L3_MAX];
};

static void put_eth(const struct net *n, uint8_t *to, bool v6)
{
	memcpy(to, n->cfg.guest_mac, NET_MAC_LEN);
	memcpy(to + NET_MAC_LEN, n->cfg.gateway_mac, NET_MAC_LEN);
	put_be16(to + 12, v6 ? ETH_TYPE_IP6 : ETH_TYPE_IP4);
}

/* @off has IPv4's flags, too; @len is of what follows the header. */
static void put_ip4(struct net *n, const struct out *o, uint8_t *ip,
                    uint16_t off, size_t len)
{
	ip[0] = 0x45;
	ip[1] = o->tos;
	put_be16(ip + 2, (uint16_t)(IP4_LEN + len));
	put_be16(ip + 4, n->ip_id);
	put_be16(ip + 6, off);
	ip[8] = o->ttl ? o->ttl : TTL_DEFAULT;
	ip[9] = o->proto;
	put_be16(ip + 10, 0);
	memcpy(ip + 12, o->src->b + 12, 4);
	memcpy(ip + 16, o->dst->b + 12, 4);
	put_be16(ip + 10, (uint16_t)~csum_fold(csum_add(0, ip, IP4_LEN)));
}

static void put_ip6(const struct out *o, uint8_t *ip, uint8_t proto, size_t len)
{
	put_be32(ip, 6U << 28 | (uint32_t)o->tos << 20);
	put_be16(ip + 4, (uint16_t)len);
	ip[6] = proto;
	ip[7] = o->ttl ? o->ttl : TTL_DEFAULT;
	memcpy(ip + 8, o->src->b, 16);
	memcpy(ip + 24, o->dst->b, 16);
}

static void put_l3(struct net *n, struct packet *p)
{
	uint8_t *ip = p->head + ETH_LEN;

	put_eth(n, p->head, p->v6);
	n->ip_id++;
	if (p->v6)
		put_ip6(p->o, ip, p->o->proto, p->len);
	else
		put_ip4(n, p->o, ip, p->o->df ? IP4_DF : 0, p->len);
}

/* ---- checksums --------------------------------------------------------- */

/* Where a protocol has its sum. */
static const struct csum {
	uint8_t proto, offset;
	bool pseudo;  /* the addresses are in it */
	bool partial; /* the guest may be asked to fill it in */
	bool no_zero; /* as a sum, zero means that there is none */
} csums[] = {
	{PROTO_TCP,   TCP_CSUM_OFFSET, true,  true,  false},
	{PROTO_UDP,   6,               true,  true,  true },
	{PROTO_ICMP4, 2,               false, false, false},
	{PROTO_ICMP6, 2,               true,  false, false},
};

static const struct csum *find_csum(uint8_t proto)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(csums); i++)
		if (csums[i].proto == proto)
			return &csums[i];
	return NULL;
}

static uint32_t pseudo_sum(const struct packet *p, const struct csum *c)
{
	if (!c->pseudo)
		return 0;
	return csum_pseudo(p->o->src, p->o->dst, p->o->proto, (uint32_t)p->len);
}

/* The addresses' part only, the guest's kernel adds the rest. */
static void put_partial(struct packet *p, const struct csum *c)
{
	put_be16((uint8_t *)p->o->head + c->offset,
	         csum_fold(pseudo_sum(p, c)));
	p->h.flags = VNET_NEEDS_CSUM;
	p->h.csum_start = (uint16_t)(ETH_LEN + p->l3_len);
	p->h.csum_offset = c->offset;
}

/* @v is transport's header and data. */
static void put_full(struct packet *p, const struct csum *c,
                     const struct iovec *v, unsigned nv)
{
	uint16_t sum;

	put_be16((uint8_t *)p->o->head + c->offset, 0);
	sum = (uint16_t)~csum_fold(csum_add_iov(pseudo_sum(p, c), v, nv));
	if (!sum && c->no_zero)
		sum = 0xffff;
	put_be16((uint8_t *)p->o->head + c->offset, sum);
}

/* ---- large ones -------------------------------------------------------- */

static bool can_gso(const struct net *n, const struct packet *p)
{
	return p->o->proto == PROTO_TCP && p->o->gso_size &&
	       p->o->data_len > p->o->gso_size && n->link.csum &&
	       p->l3_len + p->len <= IP_MAX && /* IPv6 could say more */
	       (p->v6 ? n->link.tso6 : n->link.tso4);
}

static void put_gso(struct packet *p)
{
	p->h.gso_type = p->v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
	p->h.gso_size = p->o->gso_size;
	p->h.hdr_len = (uint16_t)(ETH_LEN + p->l3_len + p->o->head_len);
}

/* The header of the fragment of @len bytes at @off; returns its length. */
static unsigned put_fragment(struct net *n, struct packet *p, size_t off,
                             size_t len)
{
	bool more = off + len < p->len;
	uint8_t *ip = p->head + ETH_LEN, *f = ip + IP6_LEN;

	if (!p->v6) {
		put_ip4(n, p->o, ip, (uint16_t)(off / 8 | (more ? IP4_MF : 0)),
		        len);
		return ETH_LEN + IP4_LEN;
	}
	put_ip6(p->o, ip, IP6_FRAGMENT, IP6_FRAG_LEN + len);
	f[0] = p->o->proto;
	f[1] = 0;
	put_be16(f + 2, (uint16_t)(off | (more ? IP6_MORE : 0)));
	put_be32(f + 4, n->ip_id);
	return ETH_LEN + IP6_LEN + IP6_FRAG_LEN;
}

/* The first goes or does not; those that follow are kept, not to spoil it. */
static int send_fragments(struct net *n, struct packet *p,
                          const struct iovec *v, unsigned nv)
{
	size_t room = n->cfg.mtu - p->l3_len - (p->v6 ? IP6_FRAG_LEN : 0);
	struct iovec left[OUT_DATA_MAX + 1], part[OUT_DATA_MAX + 2];
	struct iov rest = {left, nv, p->len};
	size_t off = 0;
	int r = 0;

	memcpy(left, v, nv * sizeof(*v));
	room &= ~(size_t)7;
	while (rest.len && r == 0) {
		size_t len = MIN(rest.len, room);
		unsigned head = put_fragment(n, p, off, len);
		unsigned used = 1 + iov_take(&rest, len, part + 1);

		part[0] = (struct iovec){p->head, head};
		r = transmit(n, &p->h, part, used, head + len,
		             off || p->o->keep);
		off += len;
	}
	return r;
}

/* ---- packets ----------------------------------------------------------- */

/* v[0] is for the headers below; returns how many there are. */
static unsigned gather(const struct out *o, struct iovec v[OUT_DATA_MAX + 2])
{
	unsigned i, n = 1;

	v[n++] = (struct iovec){o->head, o->head_len};
	for (i = 0; i < o->ndata; i++)
		if (o->data[i].iov_len)
			v[n++] = o->data[i];
	return n;
}

static int send_whole(struct net *n, struct packet *p, struct iovec *v,
                      unsigned nv)
{
	size_t head = ETH_LEN + p->l3_len;

	v[0] = (struct iovec){p->head, head};
	return transmit(n, &p->h, v, nv, head + p->len, p->o->keep);
}

int out_send(struct net *n, const struct out *o)
{
	struct packet p = {.o = o, .v6 = !addr_is_v4(o->src)};
	const struct csum *c = find_csum(o->proto);
	struct iovec v[OUT_DATA_MAX + 2];
	bool gso, large;
	unsigned nv;

	p.l3_len = p.v6 ? IP6_LEN : IP4_LEN;
	p.len = o->head_len + o->data_len;
	if (o->ndata > OUT_DATA_MAX || p.len + (p.v6 ? 0 : IP4_LEN) > IP_MAX)
		return -EMSGSIZE;
	gso = can_gso(n, &p);
	large = !gso && p.l3_len + p.len > n->cfg.mtu;
	if (large && o->proto == PROTO_TCP)
		return -EMSGSIZE;
	nv = gather(o, v);
	put_l3(n, &p);
	if (c && c->partial && n->link.csum && !large)
		put_partial(&p, c);
	else if (c)
		put_full(&p, c, v + 1, nv - 1);
	if (gso)
		put_gso(&p);
	return large ? send_fragments(n, &p, v + 1, nv - 1)
	             : send_whole(n, &p, v, nv);
}

void out_frame(struct net *n, const void *frame, size_t len)
{
	const struct vnet_hdr h = {0};
	struct iovec v = {(void *)(uintptr_t)frame, len};

	(void)transmit(n, &h, &v, 1, len, true);
}
