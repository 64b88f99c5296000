/*
 * drill_tls.h - a drill with msb-tls's link in it, and flows for it. Behind
 * lib/test.h.
 */
#ifndef TEST_NET_DRILL_TLS_H
#define TEST_NET_DRILL_TLS_H

#include "drill.h"
#include "tls_link.h"

#define PEER "93.184.216.34"
#define API  "api.example.com"
#define ONE  TLS_CONFIG("\"" API "\"", "", "")
#define ALL  TLS_CONFIG("\"*\"", "\"*.bank.example\"", "")

static inline struct drill *tls_drill(const char *config)
{
	const struct drill_options o = {.tls = config};

	return drill_new(&o);
}

static inline void pin(struct drill *d, const char *addr, const char *name)
{
	struct addr a;

	assert_int_equal(addr_parse(addr, &a), 0);
	assert_int_equal(pins_add(d->net->pins, &a, name, 300, d->now), 0);
}

static inline void write_hello(struct drill_conn *c, const char *name)
{
	uint8_t hello[600];

	conn_write(c, hello, tls_hello(hello, name, false));
	drill_run(c->d);
}

/* Opened at @port, handed over for @name. */
static inline struct tls_got handed(struct drill *d, struct drill_conn *c,
                                    const char *name)
{
	struct tls_got g;

	drill_skip(d);
	conn_open(d, c, PEER, 443);
	write_hello(c, name);
	assert_true(tls_flow(d->tls, &g));
	drill_got_flags(d, TCP_ACK);
	return g;
}

static inline void assert_last_is_reset(struct drill *d)
{
	drill_run(d);
	assert_true(d->nsegs > 0);
	assert_int_equal(d->segs[d->nsegs - 1].flags, TCP_RST | TCP_ACK);
}

#endif
