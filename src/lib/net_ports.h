/*
 * net_ports.h - ports of the host that lead into a sandbox: their sockets, and
 * ports.json in its folder, which says which ones a machine that runs has:
 *
 *	[{"bind": "127.0.0.1", "host": 8080, "guest": 80, "protocol": "tcp"}]
 */
#ifndef LIB_NET_PORTS_H
#define LIB_NET_PORTS_H

#include "base/err.h"
#include "base/json.h"
#include "lib/net_launch.h"

/* Open those of n->opts. See net_launch_open(). */
int net_ports_open(struct net_launch *n, struct msb_home *home,
                   struct err *err);

/* Write ports.json, or remove it when there are none. */
int net_ports_write(const struct net_launch *n, const struct place *p,
                    struct err *err);

/* What was written, checked; an empty array when there is nothing. */
json_t *net_ports_read(const struct place *p);

/* May a port of the host not be open at both addresses? */
bool net_port_clash(const struct addr *a, const struct addr *b);

#endif
