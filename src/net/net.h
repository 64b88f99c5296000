/*
 * net.h - the network of one machine: the guest's frames end here, and for
 * every flow that the policy allows a socket of the host takes their place.
 * There is no other way out.
 *
 *	link (virtqueues, TAP, socket pair)
 *	  | net_input()                              ^ struct net_link.send
 *	frame.c  parse; neigh.c ARP, NDP; frag.c     | out.c
 *	  | by protocol                              |
 *	tcp.c  udp.c  icmp.c  dns.c  <- gate.c: policy, pins, host's addresses
 *	  | dial.c, publish.c
 *	sockets of the host
 *
 * One machine's network lives in one thread, its loop's; nothing in here has a
 * lock but the counters, which any thread may read. A flow's far side is always
 * a descriptor: a socket of the host, or one end of a socket pair to whoever
 * serves the flow here (DNS over TCP) or elsewhere (msb-tls).
 *
 * The guest is hostile: a frame's headers are copied once and checked, its
 * payload stays where it is and is read once. What breaks the rules is dropped
 * and counted, with a line in the log from time to time; never more than that.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/iov.h"
#include "base/loop.h"
#include "base/vnet.h"
#include "policy/addr.h"
#include "policy/policy.h"

#define NET_MAC_LEN     6
#define NET_MTU_MIN     1280
#define NET_MTU_MAX     65520
#define NET_MTU_DEFAULT 1500
#define NET_FRAME_MAX   (65535 + 14 + 4) /* without the virtio header */
#define NET_SERVERS_MAX 8
#define NET_PORTS_MAX   128
#define NET_FLOWS_MAX   10000 /* what a user may ask for */
#define NET_SAY_MAX     1024

/* ---- what it is made of ------------------------------------------------ */

/* How frames get to the guest; the link's owner calls net_input(). */
struct net_link {
	/*
	 * One frame: @v[0] begins with @h's place left out (the link puts the
	 * header). Copied before it returns. 0, or -EAGAIN when there is no
	 * room: net_writable() follows when there is.
	 */
	int (*send)(void *arg, const struct vnet_hdr *h, const struct iovec *v,
	            unsigned n, size_t len);
	/* All frames of this turn were sent: tell the guest once. */
	void (*flush)(void *arg);
	/* net_wants() would say yes again: call net_input() with what waits. */
	void (*resume)(void *arg);
	void *arg;
	/* What the guest takes; may change until its first frame. */
	bool csum, tso4, tso6;
};

/* A published port: its socket was opened by who had the right to. */
struct net_port {
	int fd; /* TCP: listening; UDP: bound. Owned by the net */
	uint16_t guest;
	bool udp;
};

enum net_proxy_kind { NET_DIRECT, NET_SOCKS4, NET_SOCKS5, NET_CONNECT };

struct net_proxy {
	enum net_proxy_kind kind;
	struct addr addr;
	uint16_t port;
	char user[256], password[256]; /* "": none */
};

/* Bytes or packets per second, and how much at once; 0: no limit. */
struct net_rate {
	uint64_t per_s, burst;
};

struct net_dns_server {
	struct addr addr;
	uint16_t port;
};

struct net_config {
	uint8_t guest_mac[NET_MAC_LEN], gateway_mac[NET_MAC_LEN];
	uint16_t mtu;
	/* The guest's and the gateway's; the rest of the /30 and the /64 is
	   nobody's. */
	struct addr guest4, gateway4, guest6, gateway6;
	const struct policy *policy;                    /* borrowed */
	struct net_dns_server servers[NET_SERVERS_MAX]; /* 0: of the host */
	unsigned nservers;
	uint32_t dns_timeout_ms; /* a query's, at each server */
	bool rebind_protection;
	struct net_port ports[NET_PORTS_MAX];
	unsigned nports;
	uint32_t connections_max; /* TCP flows; 0: 4096 */
	struct net_rate egress_bytes, egress_packets;
	struct net_rate ingress_bytes, ingress_packets;
	struct net_proxy proxy;
	int pcap_fd; /* -1: none; owned by the net */
	bool log_denied;
	/* To msb-tls, base/tlslink.h; 0: nothing is intercepted. Owned by the
	   net. */
	int tls_fd;
	/* A secret's placeholder went where it ends the machine; NULL: nobody
	   ends it. Once, in the loop's thread. */
	void (*violated)(void *arg, const char *why);
	void *violated_arg;
	/* Keeps such a line, of NET_SAY_MAX bytes at most; NULL: nobody does.
	 */
	void (*say)(void *arg, const char *line);
	void *say_arg;
	/* Drills and fuzzers: no sockets of the host are opened but by this. */
	const struct net_host_ops *host; /* NULL: the kernel's */
};

/* The clock and the calls by which flows begin; see tests/unit/net. */
struct net_host_ops {
	uint64_t (*now_ns)(void *arg);
	/* As socket(): a non-blocking descriptor. */
	int (*socket)(void *arg, int domain, int type, int protocol);
	int (*connect)(void *arg, int fd, const struct sockaddr *sa,
	               socklen_t len);
	bool (*is_local)(void *arg, const struct addr *a);
	void *arg;
};

/* ---- counters ---------------------------------------------------------- */

/* Since the start; rx is what the guest got, tx what it sent. */
struct net_counters {
	_Atomic uint64_t rx_bytes, rx_packets, tx_bytes, tx_packets;
	_Atomic uint64_t tcp_flows, udp_flows,
		icmp_flows;      /* that were let in */
	_Atomic uint64_t open;   /* flows now */
	_Atomic uint64_t denied; /* flows, by the policy */
	_Atomic uint64_t dns_queries, dns_denied;
	_Atomic uint64_t refused; /* flows, by a limit of ours */
	_Atomic uint64_t bad;     /* frames that break the rules */
	_Atomic uint64_t lost;    /* frames for the guest, without room */
	/* Flows that msb-tls got, those that it or we refused; the rest is as
	   it says (base/tlslink.h). */
	_Atomic uint64_t tls_flows, tls_refused;
	_Atomic uint64_t secrets_used, secret_violations, secrets_masked;
};

struct net;

/* @link is copied; @cfg's descriptors are the net's on success. */
int net_new(const struct net_config *cfg, struct loop *loop,
            const struct net_link *link, struct net **ret, struct err *err);
void net_free(struct net *n); /* NULL is fine; closes all */

/* The link's other end said what it takes. */
void net_features(struct net *n, bool csum, bool tso4, bool tso6);

/* May the next frame come? No: its sender is over its rate. */
bool net_wants(struct net *n);

/*
 * One frame from the guest. @frame may be changed; its memory must stay as it
 * is until net_batch_end(), which ends each batch (at most 64 frames).
 */
void net_input(struct net *n, const struct vnet_hdr *h, struct iov *frame);
void net_batch_end(struct net *n);

/* The link has room again. */
void net_writable(struct net *n);

/* The driver was reset: every flow ends. */
void net_reset(struct net *n);

struct net_counters *net_counters(struct net *n);

/*
 * Which rule decides on a flow to @host (a name or an address) now, and why,
 * as JSON (docs/network.md). In the loop's thread; free it. NULL: no memory.
 */
char *net_explain(struct net *n, const char *host, uint16_t port,
                  enum policy_proto proto);

#endif
