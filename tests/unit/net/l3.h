/*
 * l3.h - a guest's side of the link for tests of one part: what is sent to it
 * is kept, what breaks the rules is counted. Included once per program.
 */
#ifndef TEST_NET_L3_H
#define TEST_NET_L3_H

#include <errno.h>

#include "base/clock.h"
#include "frames.h"
#include "net/net_int.h"

#define SENT_MAX 300

static struct net n;
static struct {
	struct vnet_hdr h;
	struct fr f;
} sent[SENT_MAX];
static unsigned nsent, nbad, nturns;
static const char *last_bad;
static uint64_t now;
static struct fr f;  /* of the guest */
static struct pkt p; /* ... taken apart */

int net_transmit(struct net *net, const struct vnet_hdr *h,
                 const struct iovec *v, unsigned nv, size_t len)
{
	unsigned i;

	assert_ptr_equal(net, &n);
	assert_true(nsent < SENT_MAX);
	sent[nsent].h = *h;
	sent[nsent].f.len = 0;
	for (i = 0; i < nv; i++)
		fr_add(&sent[nsent].f, v[i].iov_base, v[i].iov_len);
	assert_int_equal(sent[nsent].f.len, len);
	nsent++;
	return 0;
}

void net_bad(struct net *net, const char *why)
{
	assert_ptr_equal(net, &n);
	nbad++;
	last_bad = why;
}

void net_turn_end(struct net *net)
{
	assert_ptr_equal(net, &n);
	nturns++;
}

static uint64_t l3_now(void *arg)
{
	(void)arg;
	return now;
}

static void l3_setup(void)
{
	static const struct net_host_ops ops = {.now_ns = l3_now};

	memset(&n, 0, sizeof(n));
	now = 100 * NS_PER_S;
	n.kept_end = &n.kept;
	n.cfg.host = &ops;
	n.cfg.mtu = 1500;
	n.cfg.guest4 = ip(GUEST4);
	n.cfg.guest6 = ip(GUEST6);
	n.cfg.gateway4 = ip(GATEWAY4);
	n.cfg.gateway6 = ip(GATEWAY6);
	memcpy(n.cfg.guest_mac, GUEST_MAC, 6);
	memcpy(n.cfg.gateway_mac, GATEWAY_MAC, 6);
	nsent = nbad = nturns = 0;
	last_bad = "";
}

/* Take @f apart to @p. */
static void l3_parse(void)
{
	static struct iovec v;
	struct iov s = {&v, 1, f.len};
	struct vnet_hdr h = {0};
	const char *why = "";

	v = (struct iovec){f.b, f.len};
	if (pkt_parse(&h, &s, &p, &why) < 0)
		fail_msg("%s", why);
}

/* Frame @i that the guest got; its transport's sum must be right. */
static struct pkt l3_got(unsigned i)
{
	static struct iovec v;
	struct iov s = {&v, 1, sent[i].f.len};
	const char *why = "";
	struct pkt got;

	assert_true(i < nsent);
	v = (struct iovec){sent[i].f.b, sent[i].f.len};
	if (pkt_parse(&sent[i].h, &s, &got, &why) < 0)
		fail_msg("frame %u: %s", i, why);
	assert_memory_equal(got.head, GUEST_MAC GATEWAY_MAC, 12);
	if (got.ethertype != ETH_TYPE_ARP && !got.fragment)
		assert_int_equal(fr_l4_sum(&sent[i].f, got.l4, got.proto),
		                 0xffff);
	return got;
}

static inline void assert_addr(const struct addr *a, const char *text)
{
	char buf[ADDR_TEXT_MAX];

	assert_string_equal(addr_text(a, buf), text);
}

#endif
