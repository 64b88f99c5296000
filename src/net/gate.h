/*
 * gate.h - the one place where flows are decided: policy, pins, the host's own
 * addresses, and the count of what was denied.
 */
#ifndef NET_GATE_H
#define NET_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "net/flow.h"
#include "policy/policy.h"

struct net;

/*
 * May the guest reach @t->peer? A denial is counted and, where asked for,
 * logged once a second at most. @said: SNI or Host, or NULL.
 */
enum verdict gate_egress(struct net *n, enum policy_proto proto,
                         const struct tuple *t, const char *said);

/*
 * The name under which somebody else may be asked for @t->peer (a proxy, which
 * makes of it what it likes): the newest of those that the policy allows. NULL:
 * none, or it is a network that is allowed, and a name might lead out of it.
 * Valid until pins change.
 */
const char *gate_name(struct net *n, enum policy_proto proto,
                      const struct tuple *t);

/* May @client reach the guest's published @port? */
enum verdict gate_ingress(struct net *n, enum policy_proto proto,
                          const struct addr *client, uint16_t port);

/*
 * The address to dial for @peer: the host's loopback for the gateway's address
 * (the policy was asked before), else @peer itself; embedded IPv4 stays as it
 * is, the host's routes know what to do.
 */
struct addr gate_target(const struct net *n, const struct addr *peer);

/* Is it the gateway's address? */
bool gate_is_gateway(const struct net *n, const struct addr *a);

/* Is it the gateway's or one of the host's own? */
bool gate_is_host(struct net *n, const struct addr *a);

/* UDP that is not let out, so that its TLS can be looked into: as a denial. */
void gate_quic(struct net *n, const struct tuple *t);

/* A limit of ours refused a flow: counted, logged now and then. */
void gate_refused(struct net *n, const char *what);

#endif
