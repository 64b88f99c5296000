/*
 * frag.h - fragments from the guest put together: a flow is never decided on
 * by a part. Any overlap, and what is too large or too many, drops the packet.
 */
#ifndef NET_FRAG_H
#define NET_FRAG_H

#include <stdbool.h>

#include "net/frame.h"

#define FRAG_SLOTS   16
#define FRAG_LIFE_NS 15000000000ULL

struct net;
struct frags;

int frags_new(struct net *n, struct frags **ret); /* -ENOMEM */
void frags_free(struct frags *f);

/*
 * A fragment came. True when @p is now the whole packet, parsed, with its
 * payload in memory of ours until frags_done().
 */
bool frags_add(struct frags *f, struct pkt *p);

/* The batch is over: free what it had whole. */
void frags_done(struct frags *f);

/* The driver was reset: nothing of before goes with what comes. */
void frags_reset(struct frags *f);

#endif
