/*
 * shape.h - token buckets: so many bytes and packets a second each way, with
 * what may go at once.
 */
#ifndef NET_SHAPE_H
#define NET_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "net/net.h"

struct shape_bucket {
	uint64_t per_s, burst; /* 0: no limit */
	int64_t tokens;        /* in 1/1000; below zero: in debt */
	uint64_t at_ns;
};

struct shape {
	struct shape_bucket bytes, packets;
};

void shape_init(struct shape *s, const struct net_rate *bytes,
                const struct net_rate *packets, uint64_t now_ns);

/* May anything pass now? When not, *ret_at_ns is when. */
bool shape_open(struct shape *s, uint64_t now_ns, uint64_t *ret_at_ns);

/* A frame of @len bytes passed; one large frame may go into debt. */
void shape_take(struct shape *s, uint64_t len);

#endif
