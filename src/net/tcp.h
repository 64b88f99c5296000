/*
 * tcp.h - our end of the guest's TCP connections. It accepts any destination:
 * the host is dialled first, the guest's SYN answered only when that worked.
 */
#ifndef NET_TCP_H
#define NET_TCP_H

#include <stdint.h>

#include "net/flow.h"
#include "net/frame.h"

struct net;
struct tcp;

int tcp_new(struct net *n, struct tcp **ret); /* -ENOMEM */
void tcp_free(struct tcp *t);

/* A segment. Its payload is used before tcp_batch_end() returns. */
void tcp_input(struct net *n, struct pkt *p);

/* All of the batch is here: data goes to the sockets, one ACK for each flow. */
void tcp_batch_end(struct net *n);

/* The link has room: flows that waited for it go on, in turn. */
void tcp_writable(struct net *n);

/* All flows end without a word (the guest's driver was reset). */
void tcp_reset(struct net *n);

/*
 * Connect to the guest's @port, from @from's address (the gateway's family
 * decides the guest's address), for a client of the host whose socket is @fd.
 * done() comes once, from the loop: 0, and the flow owns @fd; else -errno
 * (-ECONNREFUSED, -ETIMEDOUT after 10 s, -ENFILE), and @fd stays the caller's.
 * -ENFILE, -ENOMEM at once: no done().
 */
int tcp_open(struct net *n, int fd, const struct addr *from, uint16_t port,
             void (*done)(void *arg, int error), void *arg);

#endif
