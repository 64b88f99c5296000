/*
 * udp_int.h - what the parts of UDP share.
 *
 * Guest to host (udp_send.c): udp_input() finds or makes the flow and notes the
 * datagram, whose payload stays in the guest's memory; at the end of the batch
 * each socket's go by one sendmmsg().
 *
 * Host to guest (udp_recv.c): an event reads up to UDP_RX_MAX datagrams into
 * memory that all sockets share. Those that the link has no room for wait
 * there, and as long no socket is read: what comes fills the kernel's buffers,
 * which are bounded.
 *
 * A socket is a flow's own and connected (udp.c), or that of a published port
 * and bound (udp_publish.c): struct udp_sock is what they have in common.
 */
#ifndef NET_UDP_INT_H
#define NET_UDP_INT_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "net/net_int.h"

#define UDP_HEAD_LEN 8
#define UDP_DATA_MAX (65535 - UDP_HEAD_LEN)

#define UDP_TX_MAX 64   /* datagrams of a batch that wait */
#define UDP_TX_IOV 1024 /* and the pieces of all of them */
#define UDP_RX_MAX 32
#define UDP_RX_LEN 65536 /* more than a datagram can hold */

/* Addresses and type of service, as the kernel tells and takes them. */
#define UDP_CTL_LEN                                                            \
	(CMSG_SPACE(sizeof(struct in6_pktinfo)) +                              \
	 CMSG_SPACE(sizeof(struct in_pktinfo)) + 2 * CMSG_SPACE(sizeof(int)))

#define UDP_PORT_FIRST 49152 /* of the gateway, for who comes from outside */

struct udp_sock;
struct udp_peer;

/* What the guest wrote in the IP header, for the host's socket to do alike. */
struct udp_opts {
	uint8_t ttl, tos;
	bool df;
};

/* A datagram of the guest that waits for the end of its batch. */
struct udp_tx {
	struct udp_tx *next;
	struct iovec *v;
	unsigned n;
	struct udp_opts opts;
	struct udp_peer *to; /* NULL: the socket is connected */
};

/* A datagram of a socket. */
struct udp_got {
	const struct iovec *data;
	size_t len;
	uint8_t tos;
	struct msghdr *msg; /* its name and control messages */
};

struct udp_sock_ops {
	/* Before a run of datagrams with the same options. */
	void (*prepare)(struct udp_sock *s, const struct udp_opts *o);
	/* Name and control messages; @ctl has UDP_CTL_LEN bytes. NULL: none. */
	void (*address)(struct udp_tx *t, struct msghdr *m, void *ctl);
	/* 0, or -EAGAIN: the link has no room. */
	int (*deliver)(struct udp_sock *s, const struct udp_got *g);
	/* The kernel has an error: ask for it, so that it has none. */
	void (*failed)(struct udp_sock *s);
};

struct udp_sock {
	const struct udp_sock_ops *ops;
	struct net *n;
	struct loop_fd src;
	int fd;
	bool v6;                                  /* its family */
	struct udp_tx *tx, **tx_end;              /* that wait */
	struct udp_sock *next_dirty;              /* with such */
	struct udp_sock *next_stalled, **stalled; /* not read; NULL: it is */
};

struct udp {
	struct flow_table flows;
	/* udp_publish.c: who came from outside, as the guest and as the host
	   sees them; and the ports. */
	struct flow_table peers, clients;
	struct udp_port *ports;
	unsigned nports;
	uint16_t next_port;
	/* udp_send.c */
	struct udp_tx tx[UDP_TX_MAX];
	struct iovec tx_iov[UDP_TX_IOV];
	unsigned ntx, ntx_iov;
	struct udp_sock *dirty;
	struct mmsghdr out[UDP_TX_MAX];
	uint8_t out_ctl[UDP_TX_MAX][UDP_CTL_LEN] __attribute__((aligned(8)));
	/* udp_recv.c */
	uint8_t *rx_mem; /* UDP_RX_MAX times UDP_RX_LEN */
	struct mmsghdr in[UDP_RX_MAX];
	struct iovec in_iov[UDP_RX_MAX];
	struct sockaddr_storage in_name[UDP_RX_MAX];
	uint8_t in_ctl[UDP_RX_MAX][UDP_CTL_LEN] __attribute__((aligned(8)));
	struct udp_sock *rx_of; /* whose datagrams wait; NULL: none do */
	unsigned rx_n, rx_next;
	struct udp_sock *stalled;
};

/* Watch @fd, which is the socket's from then on. */
int udp_sock_open(struct udp_sock *s, struct net *n, int fd, bool v6,
                  const struct udp_sock_ops *ops);
/* What waits for it is sent or forgotten. */
void udp_sock_close(struct udp_sock *s);

/* @p's payload goes when the batch ends; its memory stays as long. */
void udp_queue(struct udp_sock *s, const struct pkt *p, struct udp_peer *to);
void udp_flush(struct udp *u);
void udp_forget(struct udp *u); /* instead of sending it */
/* Of one, at once: who is to be told about it is about to go. */
void udp_sock_flush(struct udp_sock *s);

int udp_rx_new(struct udp *u);
int udp_rx_watch(struct udp_sock *s);
void udp_rx_end(struct udp_sock *s); /* it is about to be closed */
void udp_rx_reset(struct udp *u);

/* -EAGAIN without room, or unless @keep. */
int udp_deliver(struct net *n, const struct tuple *t, uint8_t tos, bool keep,
                const struct iovec *data, size_t len);

/* Set an integer option; a kernel without it is no reason to fail. */
void udp_option(int fd, int level, int option, int value);

/* udp_publish.c */
int udp_peers_new(struct udp *u);
void udp_peers_reset(struct net *n);
void udp_peers_free(struct udp *u);
/* The guest answers @t->peer, somebody from outside: true. */
bool udp_peers_input(struct net *n, const struct pkt *p, const struct tuple *t);

#endif
