/*
 * net.h - the machine's network interface as the host planned it: BOOT.net of
 * proto/proto.h. No program of the image has a part in it.
 */
#ifndef GUEST_NET_H
#define GUEST_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "proto/proto.h"

#define NET_INTERFACE "eth0"

struct net_address {
	int family; /* AF_INET, AF_INET6; 0: there is none */
	uint8_t bits;
	uint8_t addr[16]; /* the first 4 of IPv4 */
};

struct net_plan {
	uint32_t mtu; /* 0: as it is */
	struct net_address ip4, gw4, ip6, gw6;
	bool route6; /* is there IPv6 beyond the gateway? */
};

/* -EINVAL names the entry. Keys that are not known are ignored. */
int net_parse(const struct proto_strs *list, struct net_plan *ret,
              struct err *err);

/* The value of the @nth (from 0) entry KEY=..., NULL when there is none. */
const char *net_value(const struct proto_strs *list, const char *key,
                      unsigned nth);

/*
 * Bring @interface up with its addresses and default routes. Without IPv6 in
 * the kernel there is none; all else that fails is an error.
 */
int net_up(const char *interface, const struct net_plan *plan, struct err *err);

#endif
