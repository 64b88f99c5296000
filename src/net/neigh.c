#include "net/neigh.h"

#include <errno.h>
#include <string.h>

#include "net/net_int.h"

#include "base/banned.h"

#define ARP_LEN        28
#define ARP_ETHERNET   1
#define ARP_REQUEST    1
#define ARP_REPLY      2
#define ARP_SENDER_MAC 8
#define ARP_SENDER_IP  14
#define ARP_TARGET_MAC 18
#define ARP_TARGET_IP  24

/* ---- who sends --------------------------------------------------------- */

static bool is_link_local(const struct addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

struct addr neigh_link_local(const struct net *n)
{
	const uint8_t *m = n->cfg.gateway_mac;

	return (struct addr){
		.b = {0xfe, 0x80, [8] = m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3],
	              m[4], m[5]}
        };
}

static bool is_mac_of_guest(const struct net *n, const uint8_t *eth)
{
	return memcmp(eth + NET_MAC_LEN, n->cfg.guest_mac, NET_MAC_LEN) == 0 &&
	       ((eth[0] & 1) ||
	        memcmp(eth, n->cfg.gateway_mac, NET_MAC_LEN) == 0);
}

/*
 * Its kernel gives itself a link-local address of which nobody told us, and has
 * none at first. Both may talk to the link, not through it.
 */
static bool is_on_link(const struct net *n, const struct pkt *p)
{
	static const struct addr none;
	struct addr ll = neigh_link_local(n);

	if (!p->v6 || p->fragment || p->proto != PROTO_ICMP6)
		return false;
	if (addr_eq(&p->src, &none))
		return p->dst.b[0] == 0xff;
	return is_link_local(&p->src) && !addr_eq(&p->src, &ll) &&
	       (p->dst.b[0] == 0xff || addr_eq(&p->dst, &ll) ||
	        addr_eq(&p->dst, &n->cfg.gateway6));
}

bool neigh_is_guest(const struct net *n, const struct pkt *p)
{
	if (!is_mac_of_guest(n, p->head))
		return false;
	if (p->ethertype != ETH_TYPE_IP4 && p->ethertype != ETH_TYPE_IP6)
		return true;
	return addr_eq(&p->src, p->v6 ? &n->cfg.guest6 : &n->cfg.guest4) ||
	       is_on_link(n, p);
}

/* ---- ARP --------------------------------------------------------------- */

/* Ethernet and IPv4: the one kind there is. */
static bool is_arp(const uint8_t *a)
{
	return get_be16(a) == ARP_ETHERNET && get_be16(a + 2) == ETH_TYPE_IP4 &&
	       a[4] == NET_MAC_LEN && a[5] == 4;
}

/* Its own address, or none yet: who asks whether an address is taken. */
static bool is_arp_of_guest(const struct net *n, const uint8_t *a)
{
	static const uint8_t none[4];

	return memcmp(a + ARP_SENDER_MAC, n->cfg.guest_mac, NET_MAC_LEN) == 0 &&
	       (memcmp(a + ARP_SENDER_IP, n->cfg.guest4.b + 12, 4) == 0 ||
	        memcmp(a + ARP_SENDER_IP, none, 4) == 0);
}

static void answer_arp(struct net *n, const uint8_t *asked)
{
	uint8_t f[ETH_LEN + ARP_LEN], *a = f + ETH_LEN;

	memcpy(f, n->cfg.guest_mac, NET_MAC_LEN);
	memcpy(f + NET_MAC_LEN, n->cfg.gateway_mac, NET_MAC_LEN);
	put_be16(f + 12, ETH_TYPE_ARP);
	memcpy(a, asked, 6);
	put_be16(a + 6, ARP_REPLY);
	memcpy(a + ARP_SENDER_MAC, n->cfg.gateway_mac, NET_MAC_LEN);
	memcpy(a + ARP_SENDER_IP, n->cfg.gateway4.b + 12, 4);
	memcpy(a + ARP_TARGET_MAC, n->cfg.guest_mac, NET_MAC_LEN);
	memcpy(a + ARP_TARGET_IP, asked + ARP_SENDER_IP, 4);
	out_frame(n, f, sizeof(f));
}

/*
 * What the guest says of its own address is known; only the question for the
 * gateway's has an answer. The rest of the link is nobody.
 */
void neigh_arp(struct net *n, struct pkt *p)
{
	uint8_t a[ARP_LEN];

	if (iov_get(&p->payload, a, sizeof(a)) < 0 || !is_arp(a))
		net_bad(n, "ARP that is not of Ethernet and IPv4");
	else if (!is_arp_of_guest(n, a))
		net_bad(n, "ARP in the name of another");
	else if (get_be16(a + 6) != ARP_REQUEST)
		net_bad(n, "ARP that nobody asked for");
	else if (memcmp(a + ARP_TARGET_IP, n->cfg.gateway4.b + 12, 4) == 0)
		answer_arp(n, a);
}
