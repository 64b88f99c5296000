/*
 * dial_proxy.h - what is said to the user's proxy before a connection through
 * it is the flow's: SOCKS4 and 4a, SOCKS5 (RFC 1928, 1929), HTTP CONNECT.
 *
 * Its answers are read to the byte: what follows them is the peer's, and stays
 * in the socket.
 */
#ifndef NET_DIAL_PROXY_H
#define NET_DIAL_PROXY_H

#include <stdint.h>

#include "net/net.h"

struct dial_proxy;

/*
 * For a connection to @name, or @peer if it is NULL. -ENETUNREACH: this proxy
 * has no words for it (IPv6 by SOCKS4); -ENOMEM. @p is borrowed.
 */
int dial_proxy_new(const struct net_proxy *p, const struct addr *peer,
                   uint16_t port, const char *name, struct dial_proxy **ret);
void dial_proxy_free(struct dial_proxy *d); /* NULL is fine */

/*
 * Go on with the connected, non-blocking @fd. 0: joined. -EAGAIN: come again at
 * *@ret_events. Else what the proxy said, or -EPROTO, as the flow's error.
 */
int dial_proxy_step(struct dial_proxy *d, int fd, uint32_t *ret_events);

#endif
