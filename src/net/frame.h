/*
 * frame.h - a guest's frame, taken apart with every bound checked.
 *
 * The headers are copied out of guest memory once (at most PKT_HEAD_MAX bytes),
 * and all that follows reads the copy; the payload stays in place. The lengths
 * and offsets in the virtio header are never used: NEEDS_CSUM means "do not
 * verify", gso_type must agree with the packet.
 */
#ifndef NET_FRAME_H
#define NET_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/iov.h"
#include "base/num.h"
#include "base/vnet.h"
#include "policy/addr.h"

#define ETH_LEN      14
#define ETH_TYPE_IP4 0x0800
#define ETH_TYPE_ARP 0x0806
#define ETH_TYPE_IP6 0x86dd

/* Ethernet, IPv6 with 8 small extension headers or IPv4 with options, TCP with
   options. */
#define PKT_HEAD_MAX 320

#define PROTO_ICMP4 1
#define PROTO_TCP   6
#define PROTO_UDP   17
#define PROTO_ICMP6 58

struct pkt {
	uint8_t head[PKT_HEAD_MAX]; /* a copy from the Ethernet header on */
	unsigned head_len;
	uint16_t ethertype;
	bool vlan_or_odd;
	/* IP; unset for ARP */
	struct addr src, dst;
	bool v6, df;
	uint8_t proto, ttl, tos;
	unsigned l3;     /* offset of the IP header in head */
	unsigned l4;     /* ... of the transport's */
	unsigned l4_len; /* its length with TCP's options; 8 for UDP, ICMP */
	size_t ip_len;   /* of the packet from l3 on, by its header */
	/* A fragment (then there is no l4 yet): where it belongs. */
	bool fragment, more;
	uint32_t frag_id;
	uint16_t frag_off; /* bytes */
	bool need_csum;    /* the sum is not there: do not verify */
	uint8_t gso_type;
	/* What follows the transport header (of a fragment: the IP header);
	   exact. In guest memory, or of frag.c's until the batch ends. */
	struct iov payload;
};

/*
 * Take @frame (the virtio header left out) apart; it is consumed. 0, or
 * -EPROTO with @ret_why set to a few words. Neither checksums of the transport
 * (the link is memory) nor addresses are judged here, but for: a runt, a wrong
 * version, a header or total length that cannot be, IPv4's header sum, source
 * routing, a routing header, more than 8 extension headers, jumbograms.
 */
int pkt_parse(const struct vnet_hdr *h, struct iov *frame, struct pkt *ret,
              const char **ret_why);

/*
 * The same from the network header on, for a packet that frag.c has whole
 * again: @p's IP fields stay, transport header and payload are set.
 */
int pkt_parse_l4(struct pkt *p, const char **ret_why);

/* One's complement sums, RFC 1071; @sum is what came before. */
uint32_t csum_add(uint32_t sum, const void *data, size_t len);
uint32_t csum_add_iov(uint32_t sum, const struct iovec *v, unsigned n);
uint16_t csum_fold(uint32_t sum); /* not yet inverted */
/* Of TCP, UDP and ICMPv6's pseudo header. */
uint32_t csum_pseudo(const struct addr *src, const struct addr *dst,
                     uint8_t proto, uint32_t len);

#endif
