/*
 * icmp.h - echo (the gateway answers for itself, others through ping sockets
 * of the host where it has them) and errors to the guest.
 */
#ifndef NET_ICMP_H
#define NET_ICMP_H

#include <stdint.h>

#include "net/flow.h"
#include "net/frame.h"

#define ICMP_FLOWS_MAX 64

struct net;
struct icmp;

int icmp_new(struct net *n, struct icmp **ret); /* -ENOMEM */
void icmp_free(struct icmp *i);

void icmp_input(struct net *n, struct pkt *p);
void icmp_reset(struct net *n);

enum icmp_reason {
	ICMP_NO_NET, /* no route */
	ICMP_NO_HOST,
	ICMP_NO_PORT,
	ICMP_PROHIBITED,  /* by the policy */
	ICMP_TOO_BIG,     /* with the MTU */
	ICMP_TTL_EXPIRED, /* from @from */
	ICMP_NO_PROTO,
};

/*
 * Tell the guest that its packet was not delivered. @from NULL: the gateway.
 * Bounded: at most 200 a second, the rest is silence.
 */
void icmp_error(struct net *n, const struct pkt *about, enum icmp_reason why,
                const struct addr *from, uint32_t mtu);

/* The same for a flow, of which no packet is at hand. */
void icmp_error_flow(struct net *n, uint8_t proto, const struct tuple *t,
                     uint32_t tcp_seq, enum icmp_reason why,
                     const struct addr *from, uint32_t mtu);

/*
 * The next error that the kernel has for a socket with IP_RECVERR, as what
 * the guest is to hear: 1 and *ret_why, *ret_from, *ret_mtu; 0 if there is
 * none.
 */
int icmp_from_errqueue(int fd, enum icmp_reason *ret_why, struct addr *ret_from,
                       uint32_t *ret_mtu);

#endif
