/*
 * dns_world.h - a stack and two name servers for each test: @s is the one that
 * the gateway asks, who dials port 53 anywhere gets to @s2.
 */
#ifndef TEST_NET_DNS_WORLD_H
#define TEST_NET_DNS_WORLD_H

#include <stdio.h>
#include <string.h>

#include "dns_rig.h"

static struct rig *r;
static struct server *s, *s2;

static inline int setup(void **state)
{
	(void)state;
	s = server_new();
	s2 = server_new();
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	if (r)
		rig_free(r);
	r = NULL;
	server_free(s);
	server_free(s2);
	return 0;
}

/* The stack with rules (a comma list) and, behind them, the profile. */
static inline void stack(const char *profile, const char *rules)
{
	struct strv v = {0};
	const struct policy_spec spec = {.profile = profile, .rules = &v};

	if (rules)
		assert_int_equal(strv_add(&v, rules), 0);
	r = rig_new(&spec, (const struct server *const[]){s}, 1);
	r->port53 = s2->port;
	strv_release(&v);
}

static inline uint64_t denied(void)
{
	return atomic_load(&net_counters(r->net)->dns_denied);
}

static inline size_t names_of(const char *address,
                              const char *ret[PIN_NAMES_MAX])
{
	struct addr a = ip(address);

	return pins_names(r->net->pins, &a, r->now, ret);
}

static inline bool is_pinned(const char *address, const char *name)
{
	const char *names[PIN_NAMES_MAX];

	return names_of(address, names) == 1 && strcmp(names[0], name) == 0;
}

static inline void denied_at_once(const struct query *q)
{
	unsigned before = r->n;
	uint64_t count = denied();
	struct dns_msg m;

	rig_ask_at(r, GATEWAY4, q);
	m = rig_answered(r, before);
	assert_int_equal(rcode(&m), DNS_NXDOMAIN);
	assert_int_equal(ede(&m), q->opt ? DNS_EDE_BLOCKED : 0);
	assert_int_equal(m.count[DNS_ANSWER], 0);
	assert_int_equal(denied(), count + 1);
	assert_int_equal(r->sockets, 0);
	assert_true(server_is_silent(s));
}

static inline uint32_t first_ttl(const struct dns_msg *m)
{
	struct dns_walk w = {.m = m};
	struct dns_rr rr;

	assert_true(dns_walk(&w, &rr));
	return rr.ttl;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
