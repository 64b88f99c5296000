/*
 * udp.h - datagrams: one connected socket of the host for each pair of guest's
 * port and peer, so that the kernel keeps strangers out.
 */
#ifndef NET_UDP_H
#define NET_UDP_H

#include <stdint.h>

#include "net/frame.h"

#define UDP_FLOWS_MAX   1024
#define UDP_ONE_WAY_NS  (30 * 1000000000ULL)
#define UDP_ANSWERED_NS (180 * 1000000000ULL)

struct net;
struct udp;

int udp_new(struct net *n, struct udp **ret); /* -ENOMEM */
void udp_free(struct udp *u);

void udp_input(struct net *n, struct pkt *p);
void udp_batch_end(struct net *n);
/* The link has room: sockets that were not read go on. */
void udp_writable(struct net *n);
void udp_reset(struct net *n);

/* Datagrams at the bound socket @fd go to the guest's @port; owned on success.
 */
int udp_publish(struct net *n, int fd, uint16_t port);

/* One datagram to the guest, of who answers in here (DNS). */
void udp_to_guest(struct net *n, const struct addr *from, uint16_t from_port,
                  const struct addr *guest, uint16_t guest_port,
                  const void *data, size_t len);

#endif
