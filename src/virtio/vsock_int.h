/*
 * vsock_int.h - what the two halves of the vsock device share: vsock.c (the
 * guest's side: packets and queues) and vsock_conn.c (connections and the
 * host's side: descriptors, credit, timers).
 *
 * Theory
 *
 *	guest app ── guest kernel ══ tx ═► vsock.c ──► conn ──► fd ── host app
 *	                          ◄═ rx ══         ◄──      ◄──
 *
 * A connection is named by two ports and is in one state of enum conn_state.
 * Bytes are never held for the guest: they stay in the descriptor until the
 * guest has both credit and an rx buffer, and are read straight into it. Bytes
 * from the guest go straight from its memory to the descriptor; what that does
 * not take is kept in the connection's ring, which is as large as the credit
 * we gave. So memory is bounded: VSOCK_CONNS_MAX rings, of which only those
 * exist whose host application does not read.
 *
 * What waits for an rx buffer is in one of three queues, served in this order:
 *
 *	replies  RST for ports without a connection; bounded: while it is
 *	         full, nothing is taken off tx, which slows only this guest
 *	ctl      connections that have a control packet to send (c->ctl)
 *	data     connections whose descriptor has bytes: one packet each
 */
#ifndef VIRTIO_VSOCK_INT_H
#define VIRTIO_VSOCK_INT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/loop.h"
#include "virtio/queue.h"
#include "virtio/vsock.h"

#define VSOCK_CONNS_MAX     1024
#define VSOCK_BY_GUEST_MAX  512 /* so that a flood leaves room for the host */
#define VSOCK_LISTENERS_MAX 64
#define VSOCK_REPLIES_MAX   256
#define VSOCK_BUCKETS       256 /* power of two */
#define VSOCK_PACKET_MAX    (64u << 10)

/* Credit: large for the first few connections, modest for a crowd. */
#define VSOCK_BUF_LARGE (256u << 10)
#define VSOCK_BUF_SMALL (64u << 10)
#define VSOCK_LARGE_MAX 32

#define VSOCK_CONNECT_NS (10 * NS_PER_S) /* emulated guests are slow */
#define VSOCK_CLOSE_NS   (10 * NS_PER_S)
#define VSOCK_CREDIT_NS  (500 * NS_PER_MS)

#define VSOCK_HEADER 44u

enum vsock_queue { VSOCK_RX, VSOCK_TX, VSOCK_EVENT, VSOCK_QUEUES };

enum vsock_op {
	OP_INVALID,
	OP_REQUEST,
	OP_RESPONSE,
	OP_RST,
	OP_SHUTDOWN,
	OP_RW,
	OP_CREDIT_UPDATE,
	OP_CREDIT_REQUEST,
	OP_COUNT
};

#define SHUT_F_RECV 1u /* the sender of the packet receives no more */
#define SHUT_F_SEND 2u
#define SHUT_F_BOTH 3u

struct vsock_packet {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint32_t len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
};

enum conn_state {
	CONN_ASKED,     /* by the host: REQUEST is on its way, or waits */
	CONN_WAITING,   /* by the guest: for vsock_answer(), without fd */
	CONN_OPEN,      /* bytes flow; either direction may be shut already */
	CONN_CLOSING,   /* the host is gone; the guest has to say RST */
	CONN_RESETTING, /* RST waits for an rx buffer, then the end */
	CONN_STATES
};

struct conn {
	struct vsock *v;
	uint32_t guest_port, host_port;
	enum conn_state state;
	uint8_t ctl; /* ops to send, as bits 1 << enum vsock_op */
	bool in_ctl, in_data;
	bool requested;     /* REQUEST went out */
	bool by_guest;      /* the guest opened it */
	uint8_t guest_shut; /* SHUT_F_ bits that the guest said */
	uint8_t host_shut;  /* SHUT_F_ bits that we say */
	bool asked_credit;

	int fd;
	struct loop_fd src;
	struct loop_timer timer;

	uint32_t peer_alloc, peer_fwd, tx_cnt; /* host to guest */
	uint32_t alloc, fwd, told_fwd, rx_cnt; /* guest to host */

	struct listener *listener; /* whose n it is in; or NULL */
	uint64_t id;               /* for vsock_answer() */

	struct vsock_follower follower;
	uint8_t last[VSOCK_LAST_MAX]; /* that the guest sent */
	uint8_t nlast;

	uint8_t *ring; /* alloc bytes; NULL while nothing is kept */
	uint32_t ring_head, ring_len;

	LIST_ENTRY(conn) by_port;
	TAILQ_ENTRY(conn) all, ctl_link, data_link;
};

LIST_HEAD(conn_bucket, conn);
TAILQ_HEAD(conn_list, conn);

struct listener {
	uint32_t port;
	int (*accept)(void *arg); /* or: */
	int (*ask)(void *arg, uint64_t id);
	void *arg;
	unsigned n, max; /* connections, of those that asked */
};

struct reply {
	uint32_t guest_port, host_port;
	uint16_t type;
};

struct vsock {
	struct virtio_dev dev;
	struct loop *l;
	uint64_t guest_cid;

	struct conn_bucket bucket[VSOCK_BUCKETS];
	struct conn_list conns, ctl, data;
	unsigned nconns, nby_guest;
	uint32_t next_port;

	struct listener listener[VSOCK_LISTENERS_MAX];
	unsigned nlisteners;
	uint64_t next_id;

	struct reply reply[VSOCK_REPLIES_MAX];
	unsigned reply_head, nreplies;

	bool rx_empty;   /* a notification of rx will come */
	bool tx_blocked; /* tx waits for room in reply[] */
};

/* ---- vsock.c ----------------------------------------------------------- */

/*
 * Send what waits, as far as the guest has rx buffers. A breach drops all
 * connections: a caller must not touch its own afterwards.
 */
void vsock_run_rx(struct vsock *v);

/*
 * The same when all events of the loop's round are known, so that turns are
 * fair. Sets rx_empty if the queue is not there at the moment.
 */
void vsock_run_soon(struct vsock *v);

/* ---- vsock_conn.c ------------------------------------------------------ */

struct conn *conn_find(struct vsock *v, uint32_t guest_port,
                       uint32_t host_port);

/* Is there room for one more connection? */
bool conn_room(const struct vsock *v, bool by_guest);

/*
 * Takes @fd in any case; -1 in CONN_WAITING. -EMFILE past the bound, -ENOMEM.
 */
int conn_new(struct vsock *v, uint32_t guest_port, uint32_t host_port, int fd,
             enum conn_state state, struct conn **ret);
void conn_free(struct conn *c);

/* Let packet @op go out for @c as soon as there is an rx buffer. */
void conn_queue(struct conn *c, enum vsock_op op);

/* The guest waits for us: not for ever. */
void conn_await(struct conn *c);

/* Here is what it waited for. */
void conn_accept(struct conn *c, int fd);

/* Close the host's side now, and send RST. */
void conn_reset(struct conn *c);

/* A packet of the guest for this connection; @data has p->len bytes. */
void conn_packet(struct conn *c, const struct vsock_packet *p,
                 struct iov *data);

/* The control packet @op went out. May free @c. */
void conn_sent(struct conn *c, enum vsock_op op);

/*
 * Fill @room (whose first bytes are behind the header) from the descriptor.
 * Returns how many bytes, or 0 if there is nothing to send now: then @c is no
 * longer in the data list. Sets *@ret_more if it should stay in it.
 */
size_t conn_fill(struct conn *c, struct iov *room, bool *ret_more);

/* Watch the descriptor for what the connection can use. */
void conn_watch(struct conn *c);

#endif
