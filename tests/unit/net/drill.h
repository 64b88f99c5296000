/*
 * drill.h - TCP by the segment: the test program is the guest on a link that
 * it holds both ends of, with a clock of its own and a host whose answers are
 * written down beforehand.
 *
 * The whole stack runs (net.c); only the kernel's clock and connect() are
 * replaced. Whatever the guest connects to, the socket goes to a listener of
 * the drill on the loopback, unless d->host says otherwise.
 */
#ifndef TEST_NET_DRILL_H
#define TEST_NET_DRILL_H

#include "net/net_int.h"
#include "net/tcp_int.h"

#define DRILL_SEGS  8192
#define DRILL_MSS   1460
#define DRILL_LINES 64

enum drill_host {
	HOST_ANSWERS,
	HOST_REFUSES, /* a port that nobody listens at */
	HOST_SILENT,  /* SYNs get no answer */
	HOST_ERROR,   /* connect() fails at once with d->error */
};

/* A segment that the guest got. */
struct drill_seg {
	bool icmp; /* an error; type and code in seq's place */
	bool v6;
	uint8_t flags;
	uint16_t from, to, wnd, mss, gso;
	int scale; /* -1: no option */
	uint32_t seq, ack;
	size_t len;
	uint8_t *data;
};

struct drill {
	struct loop *loop;
	struct net *net;
	struct policy *policy;
	uint64_t now;
	/* The host */
	enum drill_host host;
	int error, listener, deaf[2];
	uint16_t port, closed_port, deaf_port;
	unsigned dialled;
	int refused;    /* a family: refused whatever @host is */
	struct addr to; /* dialled last */
	int rcvbuf;     /* of sockets that dial, 0: as they are */
	/* The link */
	bool blocked, batching;
	bool fast;      /* drill_run() does not wait for what may come */
	unsigned room;  /* frames until it blocks by itself; 0: never */
	unsigned split; /* cut frames into so many pieces */
	struct drill_seg segs[DRILL_SEGS];
	unsigned nsegs, at; /* got; looked at */
	void *keep[256];    /* frames of the batch */
	unsigned nkeep;
	/* msb-tls's end of the link; -1: there is none. And what was told. */
	int tls;
	char said[DRILL_LINES][NET_SAY_MAX], why[NET_SAY_MAX];
	unsigned nsaid, nviolated;
};

/* The guest's side of one connection. */
struct drill_conn {
	struct drill *d;
	struct addr guest, peer;
	uint16_t gport, pport;
	uint32_t seq, ack; /* to send next; to acknowledge */
	uint32_t isn;
	uint16_t wnd;
	int fd; /* the host's server, -1: not accepted */
};

#define DRILL_SCALE 7 /* of the guest, in conn_open() */

struct drill_options {
	const char *rule; /* NULL: everything is allowed */
	bool strict;
	bool offload;
	uint32_t connections;
	uint16_t mtu;
	/* There is a link to msb-tls, with this CONFIG in it; "": nothing. */
	const char *tls;
	bool log_denied;
};

struct drill *drill_new(const struct drill_options *o);
void drill_free(struct drill *d);

/* Let the loop do what there is to do. */
void drill_run(struct drill *d);
/* Time passes, in steps of at most 10 ms. */
void drill_sleep(struct drill *d, uint64_t ns);

/* The next segment that came; it is an error if there is none, or another. */
const struct drill_seg *drill_got(struct drill *d);
const struct drill_seg *drill_got_flags(struct drill *d, uint8_t flags);
void drill_silent(struct drill *d); /* there is none */
void drill_skip(struct drill *d);   /* forget what came */

/* Many segments in one batch. */
void drill_batch(struct drill *d);
void drill_batch_end(struct drill *d);

void conn_init(struct drill *d, struct drill_conn *c, const char *peer,
               uint16_t pport);
/* A segment with whatever one likes. */
void conn_send(struct drill_conn *c, uint8_t flags, uint32_t seq, uint32_t ack,
               const void *data, size_t len);
/* The same with options (a multiple of 4 bytes) and any window. */
void conn_raw(struct drill_conn *c, uint8_t flags, uint32_t seq, uint32_t ack,
              uint16_t wnd, const void *opt, size_t opt_len, const void *data,
              size_t len);
void conn_syn(struct drill_conn *c); /* MSS and scale */
void conn_shake(struct drill_conn *c);
/* conn_init() and the handshake; the server's end is c->fd. */
void conn_open(struct drill *d, struct drill_conn *c, const char *peer,
               uint16_t pport);
int drill_accept(struct drill *d);

/* Data and ACKs of a guest that behaves. */
void conn_write(struct drill_conn *c, const void *data, size_t len);
void conn_ack(struct drill_conn *c);
/* Take what came in order, up to @max bytes; acknowledge it. */
size_t conn_read(struct drill_conn *c, void *data, size_t max);
/* All that the server's end has; -1: it is reset. *ret_eof: no more. */
ssize_t host_read(int fd, void *data, size_t max, bool *ret_eof);
void host_write(struct drill *d, int fd, const void *data, size_t len);

struct tcp_flow *conn_flow(struct drill_conn *c);
uint64_t drill_open_flows(struct drill *d);

#endif
