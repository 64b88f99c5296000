/*
 * shape.h - token buckets: so many bytes and packets a second each way, with
 * what may go at once.
 *
 * A bucket holds @burst tokens when idle. Whoever finds it empty is woken by a
 * timer that may be some ticks late; what comes in meanwhile is kept beyond
 * the burst, up to SHAPE_LATE_NS worth, so that a coarse timer and a small
 * burst do not lower the rate.
 */
#ifndef NET_SHAPE_H
#define NET_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "net/net.h"

#define SHAPE_LATE_NS 20000000ULL

struct shape_bucket {
	uint64_t per_s, burst; /* 0: no limit */
	int64_t tokens;        /* in 1/1000; below zero: in debt */
	uint64_t at_ns;        /* up to when they were filled in */
	bool waited;           /* somebody was told to come back */
};

struct shape {
	struct shape_bucket bytes, packets;
};

/* A rate without a burst has a second's worth of it. */
void shape_init(struct shape *s, const struct net_rate *bytes,
                const struct net_rate *packets, uint64_t now_ns);

/* May anything pass now? When not, *ret_at_ns is when. */
bool shape_open(struct shape *s, uint64_t now_ns, uint64_t *ret_at_ns);

/* A frame of @len bytes passed; one may go into debt. */
void shape_take(struct shape *s, uint64_t len);

#endif
