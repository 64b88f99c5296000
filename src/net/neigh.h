/*
 * neigh.h - who is who on the link: ARP, neighbour discovery, router
 * advertisements. The guest's addresses are given by us at boot, so nobody
 * learns anything from it: what it announces is checked and not believed.
 */
#ifndef NET_NEIGH_H
#define NET_NEIGH_H

#include <stdbool.h>

#include "net/frame.h"

struct net;

/*
 * Is this what the guest may send: its MAC address, to the gateway's or a group
 * of it, from one of its own IP addresses (with :: for neighbour discovery)?
 */
bool neigh_is_guest(const struct net *n, const struct pkt *p);

void neigh_arp(struct net *n, struct pkt *p);

/* ICMPv6 133 to 137 and MLD: true when it was such a packet. */
bool neigh_nd(struct net *n, struct pkt *p);

/* The gateway's link-local address, made of its MAC address (EUI-64). */
struct addr neigh_link_local(const struct net *n);

#endif
