/*
 * dns.h - the gateway's name server. Everything that the guest sends to a port
 * 53, to whomever, UDP and TCP, ends here: names are judged before any packet
 * leaves, answers before they enter, and the addresses in them are tied to the
 * names (pins.h).
 */
#ifndef NET_DNS_H
#define NET_DNS_H

#include <stdint.h>

#include "base/err.h"
#include "net/flow.h"
#include "net/frame.h"

#define DNS_PORT 53

/* Names of our own, of the gateway: only if the policy allows `host`. */
#define DNS_HOST_NAME  POLICY_HOST_NAME
#define DNS_HOST_ALIAS POLICY_HOST_ALIAS

struct net;
struct dns;

int dns_new(struct net *n, struct dns **ret, struct err *err);
void dns_free(struct dns *d);
void dns_reset(struct net *n);

/* A datagram to port 53. */
void dns_input(struct net *n, struct pkt *p);

/*
 * The other end of a guest's TCP connection to port 53 (of whomever: the
 * policy is asked for each question). Owns @fd, also when it fails: -ENOMEM,
 * -ENFILE.
 */
int dns_stream(struct net *n, int fd, const struct tuple *t);

struct net_dns_server;

/* The host has other name servers now. */
void dns_set_servers(struct net *n, const struct net_dns_server *s,
                     unsigned ns);

#endif
