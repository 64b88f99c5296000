/*
 * intercept.h - flows that msb-tls is to look into, and what it says to us
 * (base/tlslink.h). NULL in struct net: there is no msb-tls, and nothing below
 * costs anything.
 *
 * A flow's first bytes wait in its ring until they say what it is; the host's
 * side may speak meanwhile, so protocols in which servers begin are as fast as
 * ever. A ClientHello to a port that is intercepted, or a CONNECT to such a
 * port of somebody behind a proxy, gives a name. Is that one of those to be
 * looked into, the flow's socket goes to msb-tls, and an end of a socket pair
 * takes its place; the bytes that waited are the first in it. All the rest is
 * as before: whoever serves a flow is behind a descriptor.
 *
 * It fails closed: before the first CONFIG, and when the link is gone, what
 * would be handed over is reset. As long as the link has no room flows wait,
 * in the order in which they came.
 */
#ifndef NET_INTERCEPT_H
#define NET_INTERCEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"
#include "net/clear.h"
#include "net/sniff.h"

#define INTERCEPT_PORTS_MAX 16

struct net;
struct intercept;
struct tcp_flow;

/* ---- intercept_config.c: CONFIG, as it was checked ----------------------- */

struct intercept_config {
	uint16_t ports[INTERCEPT_PORTS_MAX];
	unsigned nports;
	bool block_quic;
	struct strv names, bypass; /* patterns */
	struct clear_texts *texts; /* NULL: there are none */
};

/* -EBADMSG with what is wrong; *ret is as it was then. */
int intercept_config_parse(const void *json, size_t len,
                           struct intercept_config *ret, struct err *err);
void intercept_config_release(struct intercept_config *c);

/* Is a flow for @name ("": nobody) at @port, one of TLS, to be looked into? */
bool intercept_config_takes(const struct intercept_config *c, const char *name,
                            uint16_t port);

/* ---- intercept.c: the link ----------------------------------------------- */

/* What is in the link already is read. -ENOMEM or what the loop says. */
int intercept_new(struct net *n, struct intercept **ret);
void intercept_free(struct intercept *i); /* NULL is fine; closes the link */
/* Its descriptor is not ours after all: instead of intercept_free()'s close. */
void intercept_leave_link(struct intercept *i);

/* Is anything intercepted at all? Then each flow's first bytes count. */
bool intercept_is_on(const struct net *n);

/*
 * Could a flow to @port that begins with @data be one? What sniff() makes of
 * more bytes matters only as long as it is true.
 */
bool intercept_may_take(const struct net *n, uint16_t port, const uint8_t *data,
                        size_t len);
/* Is this one? */
bool intercept_takes(const struct net *n, uint16_t port, const struct sniff *s);

/*
 * Hand it over; intercept_takes() said yes, and the policy, too. 0: f->sock.fd
 * is the pair's end. -EAGAIN: the link has no room, tcp_look() follows when it
 * has. Else the flow is to be reset; that was told and counted.
 */
int intercept_give(struct tcp_flow *f, const struct sniff *s);
/* It ends. For each with a slot. */
void intercept_gone(struct tcp_flow *f);

/*
 * Read what the link has, now: the end of a stream that was handed over may be
 * a reset, and that is said here. Flows may be dead afterwards.
 */
void intercept_poll(struct net *n);

/* Is UDP to @port refused, so that QUIC becomes TLS? */
bool intercept_blocks_udp(const struct net *n, uint16_t port);

/* What to look for in clear text; NULL: nothing. */
struct clear_texts *intercept_texts(const struct net *n);

/* A datagram of the guest to @t->peer: may it go? */
bool intercept_datagram(struct net *n, const struct tuple *t,
                        const struct iov *data);

/* The machine is to end, for @why. */
void intercept_violated(struct net *n, const char *why);

#endif
