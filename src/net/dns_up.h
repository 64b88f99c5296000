/*
 * dns_up.h - questions to name servers.
 *
 * Each question goes from a socket of its own, connected to the server, so
 * its source port is the kernel's random choice and strangers' datagrams do
 * not arrive; with a random id, and the case of the name's letters random. It
 * goes by TCP when the guest asked so, when the answer was cut, when somebody
 * sends answers that do not match, and when a server does not keep the case.
 * A server that says nothing in time, SERVFAIL, NOTIMP or REFUSED is followed
 * by the next; one that said nothing is the last to be asked for a while.
 *
 *	dns_up_ask() -> job (a question in flight) <- waits (who asked it)
 *
 * The same question of two askers is asked once.
 */
#ifndef NET_DNS_UP_H
#define NET_DNS_UP_H

#include "net/dns_msg.h"
#include "net/net.h"

#define DNS_IN_FLIGHT_MAX   256 /* waits, and so jobs */
#define DNS_TIMEOUT_DEFAULT 5000
#define DNS_SERVER_REST_NS  (30 * 1000000000ULL)
/* Upstream questions a second, and at once: what a tunnel may have at most. */
#define DNS_RATE       500
#define DNS_RATE_BURST 1000

struct net;
struct dns_up;

struct dns_ask {
	struct dns_query q;
	bool tcp;
	/* To this server and no other; else the configured ones. */
	bool direct;
	struct net_dns_server server;
};

struct dns_job;

struct dns_wait {
	/* Once; @m, valid during the call, or NULL and why. */
	void (*done)(struct dns_wait *w, int error, const struct dns_msg *m);
	/* private */
	struct dns_wait *next, **prev;
	struct dns_job *job;
};

struct dns_up *dns_up_new(struct net *n); /* NULL: no memory */
void dns_up_free(struct dns_up *u);       /* forgets all, without done() */

/*
 * Ask; @w->done() comes from the loop, or before this returns (with an error
 * only). -EBUSY: DNS_IN_FLIGHT_MAX; -EDQUOT: over the rate; -ENOMEM. Then
 * there is no done().
 */
int dns_up_ask(struct dns_up *u, const struct dns_ask *ask, struct dns_wait *w);

/* No done() for @w; fine when it is over. */
void dns_up_cancel(struct dns_up *u, struct dns_wait *w);

/* Other servers from the next question on. */
void dns_up_servers(struct dns_up *u, const struct net_dns_server *s,
                    unsigned n);
unsigned dns_up_nservers(const struct dns_up *u);

#endif
