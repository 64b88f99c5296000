/*
 * out.h - packets to the guest: Ethernet and IP header, checksums, and the
 * order to send a large one in pieces.
 */
#ifndef NET_OUT_H
#define NET_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "policy/addr.h"

struct net;

#define OUT_DATA_MAX 4 /* pieces of payload */

struct out {
	const struct addr *src, *dst; /* of one family */
	uint8_t proto;                /* of IP */
	uint8_t ttl;                  /* 0: 64 */
	uint8_t tos;
	bool df;
	/*
	 * The transport's header, with zeros where the checksum belongs (TCP
	 * at 16, UDP at 6, ICMP at 2): it is filled in here, or left to the
	 * guest where it offered that.
	 */
	void *head;
	size_t head_len;
	const struct iovec *data;
	unsigned ndata; /* at most OUT_DATA_MAX */
	size_t data_len;
	/* TCP, if net's link has TSO: data in segments of this size; 0: one */
	uint16_t gso_size;
	/*
	 * Without room it is kept (copied) and sent before anything else; for
	 * what is small and nobody would send again. Else -EAGAIN.
	 */
	bool keep;
};

/*
 * Send it. UDP and ICMP beyond the MTU go in fragments. 0; -EAGAIN (not with
 * keep); -EMSGSIZE: TCP beyond the MTU without gso_size, or nothing that an IP
 * packet can hold. With keep what does not fit is dropped and counted.
 */
int out_send(struct net *n, const struct out *o);

/* A whole frame that is no IP packet (ARP); kept without room. */
void out_frame(struct net *n, const void *frame, size_t len);

/* Send what was kept; false when there is still some. */
bool out_run(struct net *n);
void out_release(struct net *n);

#endif
