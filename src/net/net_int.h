/*
 * net_int.h - what the parts of the stack share.
 */
#ifndef NET_NET_INT_H
#define NET_NET_INT_H

#include "base/clock.h"
#include "net/dns.h"
#include "net/frag.h"
#include "net/gate.h"
#include "net/hostaddr.h"
#include "net/icmp.h"
#include "net/intercept.h"
#include "net/net.h"
#include "net/out.h"
#include "net/pcap.h"
#include "net/pins.h"
#include "net/publish.h"
#include "net/shape.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "net/wheel.h"

/* How many lines of one kind were said in the window that began then. */
struct say {
	uint64_t ns;
	unsigned said, unsaid;
};

struct net {
	struct net_config cfg;
	struct loop *loop;
	struct net_link link;
	struct wheel wheel;
	struct hostaddr *hostaddr; /* NULL: cfg.host answers */
	struct pins *pins;
	struct intercept *intercept; /* NULL: nothing is */
	/* In the order in which they are made; freed the other way round. */
	struct frags *frags;
	struct icmp *icmp;
	struct udp *udp;
	struct tcp *tcp;
	struct dns *dns;
	struct publish *publish;
	struct pcap *pcap; /* NULL: none */
	/* out.c */
	struct out_kept *kept; /* frames that wait for the link, oldest first */
	struct out_kept **kept_end;
	unsigned nkept;
	size_t kept_bytes;
	uint16_t ip_id;
	bool sent; /* frames of this turn, of which nobody told the guest */
	/* net.c */
	bool udp_first; /* of the last time that the link had room */
	struct shape egress, ingress;
	struct wheel_timer egress_timer, ingress_timer, pcap_timer;
	struct pkt pkt;          /* the frame at hand */
	struct say denied, told; /* say.c */
	struct net_counters counters;
};

static inline uint64_t net_now(const struct net *n)
{
	return n->cfg.host ? n->cfg.host->now_ns(n->cfg.host->arg)
	                   : clock_now_ns();
}

/* A non-blocking, close-on-exec socket; negative errno. */
int net_socket(struct net *n, int domain, int type, int protocol);
/* 0, -EINPROGRESS, or another negative errno. */
int net_connect(struct net *n, int fd, const struct addr *a, uint16_t port);

/* A line about what was denied, for cfg.say; some are left out. */
void net_say(struct net *n, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * The same about secrets and TLS: apart from the others, who cannot use up what
 * is left for it. Whether or not denials are told.
 */
void net_tell(struct net *n, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* A frame that breaks the rules: counted, a line in the log now and then. */
void net_bad(struct net *n, const char *why);

/*
 * To the link, with shaping, capture and counters: out.c only. 0, -EAGAIN.
 */
int net_transmit(struct net *n, const struct vnet_hdr *h, const struct iovec *v,
                 unsigned nv, size_t len);

/*
 * Every callback from the loop (a socket's event, a timer) ends with it: the
 * guest is told of what was sent. net_batch_end() does it by itself.
 */
void net_turn_end(struct net *n);

/* Packets that are whole, by protocol; frag.c and net.c. */
void net_dispatch(struct net *n, struct pkt *p);

#endif
