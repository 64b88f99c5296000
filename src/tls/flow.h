/*
 * flow.h - one intercepted connection, inside; tls.h has what others see.
 *
 *	CONNECT -> HELLO -> SERVER -> GUEST -> RELAY -> CLOSING
 *
 *	CONNECT	(TLSLINK_CONNECT only) the guest's CONNECT, the proxy's answer
 *	HELLO	the guest's ClientHello
 *	SERVER	the handshake with the server; the guest's stands still
 *	GUEST	the rest of the guest's: our certificate for the name, the ALPN
 *		that the server chose; or the alert that tells why not
 *	RELAY	bytes, by a struct relay
 *	CLOSING	what is left goes out, both directions are ended, and what still
 *		comes is dropped: closing at once would be a reset, which takes
 *		the last answer away from who is still sending
 *
 * A flow that finds FLOW_HANDSHAKES others in their handshakes is in WAITS
 * until one of them is through, without any memory for TLS.
 *
 * A turn is what happens after one event: step() of the state, again while it
 * says FLOW_NEXT, then both ends tell epoll what they wait for.
 */
#ifndef TLS_FLOW_H
#define TLS_FLOW_H

#include "base/clock.h"
#include "policy/addr.h"
#include "tls/end.h"
#include "tls/relay.h"
#include "tls/tls.h"

#define FLOW_HANDSHAKES   256
#define FLOW_HANDSHAKE_NS (30 * NS_PER_S)
#define FLOW_CLOSING_NS   (5 * NS_PER_S)   /* once all is delivered */
#define FLOW_DELIVER_NS   (600 * NS_PER_S) /* nobody takes any of it */
#define FLOW_IDLE_NS      (2 * NS_PER_S)   /* then memory is given back */
#define FLOW_QUICK_NS     (2 * NS_PER_S)   /* closed "at once" */
#define FLOW_SWEEP_NS     NS_PER_S
#define FLOW_READS        16 /* of RELAY_CHUNK, a turn and direction */

enum flow_state {
	FLOW_WAITS,
	FLOW_CONNECT,
	FLOW_HELLO,
	FLOW_SERVER,
	FLOW_GUEST,
	FLOW_RELAY,
	FLOW_CLOSING,
	FLOW_STATES,
};

/* What a step says; negative: the flow is cut, both sides see a reset. */
enum flow_step {
	FLOW_WAIT,
	FLOW_NEXT,  /* the state has changed */
	FLOW_AGAIN, /* there is more to do at once, but others come first */
	FLOW_DONE,  /* close both */
};

enum flow_hello { HELLO_NEW, HELLO_HELD, HELLO_ANSWER, HELLO_REFUSE };

struct connect;

struct tls_flow {
	struct tls *tls;
	struct tls_flow *next, **link; /* of tls->flows */
	struct tls_flow *again_next, *waiting_next;
	bool in_again;
	enum flow_state state;
	enum tlslink_kind kind;
	uint64_t id, deadline_ns, active_ns, secure_ns;
	bool idle;
	struct gate gate;
	uint64_t noted[GATE_TOLD]; /* gate.told */
	char ip[ADDR_TEXT_MAX];    /* checked when the gate has no name */
	struct end end[2];
	struct connect *connect;

	/* Handshakes. */
	struct ca_guest guest;
	enum flow_hello hello;
	int alert;            /* HELLO_REFUSE */
	bool told;            /* an event has said why it failed */
	unsigned char *offer; /* ALPN for the server */
	size_t offer_len;

	/* Relaying, by enum side. */
	struct relay *relay;
	size_t skip[2]; /* of relay->out[]: sent already */
	bool clean[2];  /* its stream ended properly */
	bool kept[2];   /* its end is not told: the relay ends the flow */
	bool seen[2];   /* it has sent something */
	bool shut;      /* CLOSING: with close_notify */
	size_t left;    /* CLOSING: bytes that nobody has taken yet */
};

static inline const char *flow_who(const struct tls_flow *f)
{
	return f->gate.name[0] ? f->gate.name : f->ip;
}

/* ---- flow.c -------------------------------------------------------------- */

/* Both go on in CLOSING; returns FLOW_NEXT. */
int flow_close(struct tls_flow *f, bool clean);
/* The handshakes are over: @r; returns as a step. */
int flow_relay(struct tls_flow *f, struct relay *r);
void flow_refused(struct tls_flow *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* "--tls-bypass ... lets it pass": our certificate was not liked. */
void flow_distrusted(struct tls_flow *f, const char *how);
/* What end_read() or end_handshake() said of a side, right after it. */
void flow_guest_failed(struct tls_flow *f, int r);
void flow_server_failed(struct tls_flow *f, int r);

/* ---- steps --------------------------------------------------------------- */

int flow_step_connect(struct tls_flow *f);
int flow_step_hello(struct tls_flow *f);
int flow_step_server(struct tls_flow *f);
int flow_step_guest(struct tls_flow *f);
int flow_step_relay(struct tls_flow *f);
int flow_step_closing(struct tls_flow *f);

/* 0 or -ENOMEM. */
int flow_connect_begin(struct tls_flow *f);
void flow_connect_free(struct connect *c); /* NULL is fine */
/* The TLS phase: HELLO comes. */
int flow_hello_begin(struct tls_flow *f);
/* SERVER takes too long: the next turn tells the guest. */
void flow_hello_late(struct tls_flow *f);

#endif
