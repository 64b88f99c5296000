/*
 * flow.h - flows by their addresses and ports: a hash with a secret key, and
 * an order of use, so that the one idle longest can make room.
 */
#ifndef NET_FLOW_H
#define NET_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/addr.h"

/* ICMP echo: gport is the id, pport 0. */
struct tuple {
	struct addr guest, peer;
	uint16_t gport, pport;
};

/* The first member of each kind's struct; zeroed before flow_add(). */
struct flow {
	struct tuple t;
	uint32_t hash;
	struct flow *next;          /* in its bucket */
	struct flow *older, *newer; /* by use */
	uint64_t used_ns;
};

struct flow_table {
	struct flow **bucket; /* grows with the flows, a power of two */
	uint32_t nbuckets, n, max;
	uint64_t key[2];
	struct flow *oldest, *newest;
};

int flow_table_init(struct flow_table *t, uint32_t max); /* -ENOMEM */
void flow_table_release(struct flow_table *t); /* flows are their owners' */

struct flow *flow_find(const struct flow_table *t, const struct tuple *key);
/* -ENFILE: full; -ENOMEM. @key must not be in it. */
int flow_add(struct flow_table *t, struct flow *f, const struct tuple *key,
             uint64_t now_ns);
void flow_del(struct flow_table *t, struct flow *f);
/* It is in use now: the newest. */
void flow_touch(struct flow_table *t, struct flow *f, uint64_t now_ns);

/* SipHash-2-4 of @len bytes. */
uint64_t siphash(const uint64_t key[2], const void *data, size_t len);

#endif
