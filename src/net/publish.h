/*
 * publish.h - ports of the host that lead to the guest. Their sockets listen
 * already; here clients are accepted, judged, and joined with a connection
 * into the guest.
 */
#ifndef NET_PUBLISH_H
#define NET_PUBLISH_H

#include "base/err.h"

struct net;
struct publish;

/* Owns the descriptors of n->cfg.ports. */
int publish_new(struct net *n, struct publish **ret, struct err *err);
void publish_free(struct publish *p);

#endif
