/*
 * dns_int.h - what the parts of the name server share.
 */
#ifndef NET_DNS_INT_H
#define NET_DNS_INT_H

#include "net/dns.h"
#include "net/dns_cache.h"
#include "net/dns_msg.h"
#include "net/dns_up.h"
#include "net/net_int.h"

#define DNS_GUEST_MAX 4096 /* a guest's message */

struct dns_conn;
struct dns_pending;

struct dns {
	struct net *n;
	struct dns_up *up;
	struct dns_cache *cache;
	struct dns_pending *pending;
	struct dns_conn *conns; /* newest first */
	unsigned nconns;
	uint64_t slept_ns; /* how long the host slept since it started */
	uint8_t in[DNS_GUEST_MAX + 1];
	uint8_t out[DNS_MSG_MAX];
};

/* Who asked, and whom. */
struct dns_from {
	struct dns_conn *conn; /* NULL: by UDP */
	struct addr server;
	struct addr guest;
	uint16_t guest_port;
};

/* A message of the guest. */
void dns_take(struct dns *d, const struct dns_from *from, const uint8_t *msg,
              size_t len);

/* dns_stream.c: an answer to @c. */
void dns_conn_send(struct dns_conn *c, const uint8_t *msg, size_t len);
/* A question of @c went to a server; is over, answered or not: @c may be gone
   then. */
void dns_conn_asked(struct dns_conn *c);
void dns_conn_done(struct dns_conn *c);
void dns_conns_close(struct dns *d);
/* No answers for @c any more. */
void dns_forget(struct dns *d, const struct dns_conn *c);

/*
 * dns_judge.c: what the guest gets of the message @m, @age_s old, that a
 * server sent as the answer to @q about @name (as policy.h has it). To @ret,
 * of DNS_MSG_MAX bytes; returns the length.
 */
size_t dns_judge(struct dns *d, const struct dns_query *q, const char *name,
                 const struct dns_msg *m, uint32_t age_s, uint8_t *ret);

/* May an answer hold @a? */
bool dns_may_enter(struct net *n, const struct addr *a);

/* A name or an answer was denied: counted, logged where asked for. */
void dns_denied(struct net *n, const char *name, const char *why);

/*
 * dns_local.c: what is answered here whatever the policy says about the name:
 * names of our own, names of addresses, names that must not leave. False: it is
 * none of these.
 */
bool dns_local(struct dns *d, const struct dns_query *q, const char *name,
               size_t *ret_len);

#endif
