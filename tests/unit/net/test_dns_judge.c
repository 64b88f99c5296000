#include "lib/test.h"

#include "dns_world.h"

/* ---- addresses that may not enter ---- */

static const char *const inner[] = {
	"127.0.0.1",
	"10.0.0.1",
	"172.16.0.1",
	"192.168.1.1",
	"169.254.169.254",
	"169.254.1.1",
	"100.64.0.1",
	"0.0.0.0",
	"224.0.0.251",
	"255.255.255.255",
	"240.0.0.1",
	"198.51.100.77" /* host's */,
	"::1",
	"::",
	"fe80::1",
	"fd00:ec2::254",
	"fd42:6d73:62::2",
	"fc00::1",
	"ff02::fb",
	"::ffff:10.0.0.1",
	"::ffff:127.0.0.1",
	"::10.0.0.1",
	"64:ff9b::10.0.0.1",
	"64:ff9b::169.254.169.254",
	"64:ff9b:1::10.0.0.1",
	"2002:a00:1::1",
	"2002:7f00:1::1",
	"::ffff:0:10.0.0.1",
	"fec0::1",
	"2001:db8::1",
};

/* As AAAA where it has a colon, also what is mapped. */
static void adds_raw(const char *address)
{
	adds_address(s, NULL, address, 60);
}

static void inner_addresses_do_not_enter(void **state)
{
	const char *names[PIN_NAMES_MAX];
	char name[32];
	struct dns_msg m;

	(void)state;
	stack("public", NULL);
	r->hosts_own = ip("198.51.100.77");
	for (unsigned i = 0; i < ARRAY_SIZE(inner); i++) {
		bool v6 = strchr(inner[i], ':') != NULL;
		uint64_t before = denied();

		(void)snprintf(name, sizeof(name), "n%u.example", i);
		ASK(r, .name = name, .type = v6 ? DNS_AAAA : DNS_A,
		    .opt = true);
		server_take(s);
		says(s, DNS_AD);
		adds_raw(inner[i]);
		adds_opt(s, 1232);
		server_send(r, s);
		m = rig_answered(r, i);
		assert_int_equal(rcode(&m), DNS_NXDOMAIN);
		assert_int_equal(ede(&m), DNS_EDE_BLOCKED);
		assert_int_equal(m.flags & DNS_AD, 0);
		assert_int_equal(m.count[DNS_ANSWER], 0);
		assert_int_equal(denied(), before + 1);
		assert_int_equal(names_of(inner[i], names), 0);
	}
}

static void a_mixed_answer_loses_what_may_not_enter(void **state)
{
	struct dns_msg m;
	struct addr a[4];

	(void)state;
	stack("public", NULL);
	ASK(r, .name = "a.example", .type = DNS_A, .opt = true);
	server_take(s);
	says(s, DNS_AD);
	adds_address(s, NULL, "127.0.0.1", 60);
	adds_address(s, NULL, "93.184.216.34", 50);
	adds_address(s, NULL, "10.0.0.1", 60);
	adds_soa(s, 60);
	adds_opt(s, 1232);
	server_send(r, s);
	m = rig_answered(r, 0);
	assert_int_equal(rcode(&m), 0);
	assert_int_equal(addresses(&m, a, 4), 1);
	assert_int_equal(addr_to_v4(&a[0]), 0x5db8d822);
	assert_int_equal(m.flags & DNS_AD, 0); /* it was changed */
	assert_true(m.opt != 0);
	assert_int_equal(m.count[DNS_ADDITIONAL], 1);
}

static void rebinding_with_ttl_0_is_stopped(void **state)
{
	static const char *const second[] = {"127.0.0.1", "169.254.169.254",
	                                     "172.16.0.1"};
	struct dns_msg m;

	(void)state;
	stack("public", NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(second); i++) {
		ASK(r, .name = "rebind.example", .type = DNS_A);
		server_answers(r, s, "93.184.216.34", 0);
		m = rig_answered(r, 2 * i);
		assert_int_equal(m.count[DNS_ANSWER], 1);
		ASK(r, .name = "rebind.example", .type = DNS_A);
		server_answers(r, s, second[i], 0);
		m = rig_answered(r, 2 * i + 1);
		assert_int_equal(rcode(&m), DNS_NXDOMAIN);
	}
}

static void an_address_rule_lets_them_in(void **state)
{
	struct dns_msg m;

	(void)state;
	stack("public", "allow@10.1.0.0/16,allow@192.168.0.0/16:tcp:443");
	ASK(r, .name = "a.example", .type = DNS_A);
	server_answers(r, s, "10.1.2.3", 60);
	m = rig_answered(r, 0);
	assert_int_equal(m.count[DNS_ANSWER], 1);
	assert_true(is_pinned("10.1.2.3", "a.example"));
	ASK(r, .name = "b.example", .type = DNS_A);
	server_answers(r, s, "10.2.0.1", 60);
	m = rig_answered(r, 1);
	assert_int_equal(rcode(&m), DNS_NXDOMAIN);
	ASK(r, .name = "c.example", .type = DNS_A); /* a rule with ports */
	server_answers(r, s, "192.168.1.1", 60);
	m = rig_answered(r, 2);
	assert_int_equal(rcode(&m), DNS_NXDOMAIN);
}

static void all_and_defaults_do_not_let_them_in(void **state)
{
	struct dns_msg m;

	(void)state;
	stack("all", NULL);
	ASK(r, .name = "a.example", .type = DNS_A);
	server_answers(r, s, "10.1.2.3", 60);
	m = rig_answered(r, 0);
	assert_int_equal(rcode(&m), DNS_NXDOMAIN);
}

static void protection_can_be_switched_off(void **state)
{
	struct dns_msg m;

	(void)state;
	stack("public", NULL);
	r->net->cfg.rebind_protection = false;
	ASK(r, .name = "a.example", .type = DNS_A);
	server_answers(r, s, "10.1.2.3", 60);
	m = rig_answered(r, 0);
	assert_int_equal(m.count[DNS_ANSWER], 1);
}

static void a_cname_chain_is_pinned_to_the_asked_name(void **state)
{
	struct dns_msg m;
	struct addr a;

	(void)state;
	stack("public", NULL);
	ASK(r, .name = "www.example", .type = DNS_A);
	server_take(s);
	says(s, 0);
	/* Out of order, as some servers have them. */
	adds_address(s, "edge.cdn.example", "93.184.216.34", 60);
	adds_cname(s, "site.cdn.example", "edge.cdn.example", 60);
	adds_cname(s, NULL, "site.cdn.example", 60);
	server_send(r, s);
	m = rig_answered(r, 0);
	assert_int_equal(m.count[DNS_ANSWER], 3);
	assert_int_equal(addresses(&m, &a, 1), 1);
	assert_true(is_pinned("93.184.216.34", "www.example"));
}

static void a_cname_to_an_inner_address_is_denied(void **state)
{
	struct dns_msg m;

	(void)state;
	stack("public", NULL);
	ASK(r, .name = "www.example", .type = DNS_A);
	server_take(s);
	says(s, 0);
	adds_cname(s, NULL, "router.lan", 60);
	adds_address(s, "router.lan", "192.168.1.1", 60);
	server_send(r, s);
	m = rig_answered(r, 0);
	assert_int_equal(rcode(&m), DNS_NXDOMAIN);
	assert_int_equal(m.count[DNS_ANSWER], 0);
}

/* An allowed name's server would like to be another one, too. */
static void addresses_of_other_names_do_not_enter(void **state)
{
	const char *names[PIN_NAMES_MAX];
	struct dns_msg m;
	struct addr a[2];

	(void)state;
	stack("public", NULL);
	ASK(r, .name = "www.example", .type = DNS_A);
	server_take(s);
	says(s, 0);
	adds_address(s, NULL, "93.184.216.34", 60);
	adds_address(s, "bank.example", "93.184.216.66", 60);
	server_send(r, s);
	m = rig_answered(r, 0);
	assert_int_equal(addresses(&m, a, 2), 1);
	assert_int_equal(m.count[DNS_ANSWER], 1);
	assert_int_equal(names_of("93.184.216.66", names), 0);
}

static void cnames_in_a_loop_come_to_an_end(void **state)
{
	char from[32], to[32];
	struct dns_msg m;

	(void)state;
	stack("public", NULL);
	ASK(r, .name = "n0.example", .type = DNS_A);
	server_take(s);
	says(s, 0);
	adds_cname(s, NULL, "n1.example", 60);
	adds_cname(s, "n1.example", "n0.example", 60);
	server_send(r, s);
	m = rig_answered(r, 0);
	assert_int_equal(m.count[DNS_ANSWER], 2);
	/* A chain that is too long leads nowhere. */
	ASK(r, .name = "m0.example", .type = DNS_A);
	server_take(s);
	says(s, 0);
	for (int i = 0; i < 20; i++) {
		(void)snprintf(from, sizeof(from), "m%d.example", i);
		(void)snprintf(to, sizeof(to), "m%d.example", i + 1);
		adds_cname(s, from, to, 60);
	}
	adds_address(s, to, "93.184.216.34", 60);
	server_send(r, s);
	rig_run(r);
	assert_false(is_pinned("93.184.216.34", "m0.example"));
}

static void an_inner_address_beside_the_answer_is_cut_off(void **state)
{
	struct dns_msg m;

	(void)state;
	stack("public", NULL);
	ASK(r, .name = "a.example", .type = 15, .opt = true);
	server_take(s);
	says(s, DNS_AD);
	adds(s, DNS_ANSWER, NULL, 15, 60, "\0\1\2mx\xc0\x0c", 7);
	adds(s, DNS_ADDITIONAL, "mx.a.example", DNS_A, 60, "\x0a\0\0\1", 4);
	adds_opt(s, 1232);
	server_send(r, s);
	m = rig_answered(r, 0);
	assert_int_equal(m.count[DNS_ANSWER], 1);
	assert_int_equal(m.count[DNS_ADDITIONAL], 1); /* OPT */
	assert_int_equal(m.flags & DNS_AD, 0);
}

static void addresses_of_an_answer_are_bounded(void **state)
{
	struct dns_msg m;
	struct addr a[200];
	char text[32];

	(void)state;
	stack("public", NULL);
	ASK(r, .name = "a.example", .type = DNS_A, .size = 1232);
	server_take(s);
	says(s, DNS_TC);
	server_send(r, s);
	server_take_tcp(r, s);
	says(s, 0);
	for (int i = 1; i < 200; i++) {
		(void)snprintf(text, sizeof(text), "93.184.1.%d", i);
		adds_address(s, NULL, text, 60);
	}
	server_send(r, s);
	m = rig_answered(r, 0);
	assert_int_equal(m.flags & DNS_TC, 0); /* 64 of them fit */
	assert_int_equal(addresses(&m, a, 200), 64);
	assert_true(is_pinned("93.184.1.64", "a.example"));
	assert_false(is_pinned("93.184.1.65", "a.example"));
}

/* ---- HTTPS records ---- */

static const char svcb[] = "\0\1\0"
			   "\0\1\0\3\2h2"
			   "\0\4\0\4\x5d\xb8\xd8\x22"
			   "\0\5\0\4echo",
		  svcb_ech[] = "\0\1\0"
			       "\0\1\0\3\2h2"
			       "\0\5\0\4echo",
		  svcb_plain[] = "\0\1\0"
				 "\0\1\0\3\2h2";

static void https_loses(const char *rules, const char *left, size_t len)
{
	struct dns_walk w = {0};
	struct dns_rr rr;
	struct dns_msg m;

	stack("public", rules);
	ASK(r, .name = "a.example", .type = DNS_HTTPS);
	server_take(s);
	says(s, DNS_AD);
	adds(s, DNS_ANSWER, NULL, DNS_HTTPS, 60, svcb, sizeof(svcb) - 1);
	server_send(r, s);
	m = rig_answered(r, 0);
	w.m = &m;
	assert_true(dns_walk(&w, &rr));
	assert_int_equal(rr.len, len);
	assert_memory_equal(m.b + rr.data, left, len);
	assert_int_equal(m.flags & DNS_AD, 0);
}

static void https_records_lose_address_hints(void **state)
{
	(void)state;
	https_loses(NULL, svcb_ech, sizeof(svcb_ech) - 1);
}

static void https_records_lose_ech_where_names_matter(void **state)
{
	(void)state;
	https_loses("deny@evil.example", svcb_plain, sizeof(svcb_plain) - 1);
}

static unsigned https_stays(const char *data, size_t len)
{
	unsigned before = r->n;
	struct dns_msg m;

	ASK(r, .name = "a.example", .type = DNS_HTTPS);
	server_take(s);
	says(s, 0);
	adds(s, DNS_ANSWER, NULL, DNS_HTTPS, 60, data, len);
	server_send(r, s);
	m = rig_answered(r, before);
	assert_int_equal(rcode(&m), 0);
	dns_cache_clear(r->net->dns->cache);
	return m.count[DNS_ANSWER];
}

static void https_records_lead_nowhere_else_where_names_matter(void **state)
{
	static const char alias[] = "\0\0\3cdn\7example\0",
			  service[] = "\0\1\3cdn\7example\0\0\1\0\3\2h2",
			  itself[] = "\0\1\1A\7example\0\0\1\0\3\2h2";

	(void)state;
	stack("public", "deny@evil.example");
	assert_int_equal(https_stays(alias, sizeof(alias) - 1), 0);
	assert_int_equal(https_stays(service, sizeof(service) - 1), 0);
	assert_int_equal(https_stays(itself, sizeof(itself) - 1), 1);
	rig_free(r);
	stack("public", NULL);
	assert_int_equal(https_stays(alias, sizeof(alias) - 1), 1);
	assert_int_equal(https_stays(service, sizeof(service) - 1), 1);
}

/* ---- the cache ---- */

/* As long as its owner likes would be for ever. */
static void a_name_is_tied_for_a_day_at_most(void **state)
{
	struct dns_msg m;

	(void)state;
	stack("public", NULL);
	ASK(r, .name = "a.example", .type = DNS_A);
	server_answers(r, s, "93.184.216.34", INT32_MAX);
	m = rig_answered(r, 0);
	assert_int_equal(first_ttl(&m), 86400);
	r->now += 86399 * NS_PER_S;
	assert_true(is_pinned("93.184.216.34", "a.example"));
	r->now += 2 * NS_PER_S;
	assert_false(is_pinned("93.184.216.34", "a.example"));
}

static void a_second_question_is_answered_from_the_cache(void **state)
{
	struct dns_msg m;

	(void)state;
	stack("public", NULL);
	ASK(r, .name = "a.example", .type = DNS_A);
	server_answers(r, s, "93.184.216.34", 300);
	r->now += 100 * NS_PER_S;
	ASK(r, .name = "A.EXAMPLE", .type = DNS_A, .id = 77);
	m = rig_answered(r, 1);
	assert_int_equal(m.id, 77);
	assert_int_equal(first_ttl(&m), 200);
	assert_memory_equal(m.name.b, "\1A\7EXAMPLE", 11);
	assert_true(server_is_silent(s));
	/* Given again, so tied again: 100 s later, for 200 s. */
	r->now += 199 * NS_PER_S;
	assert_true(is_pinned("93.184.216.34", "a.example"));
	r->now += 2 * NS_PER_S;
	assert_false(is_pinned("93.184.216.34", "a.example"));
	ASK(r, .name = "a.example", .type = DNS_A);
	server_take(s);
}

static void what_does_not_exist_is_kept_for_60_seconds(void **state)
{
	struct dns_msg m;

	(void)state;
	stack("public", NULL);
	ASK(r, .name = "a.example", .type = DNS_A);
	server_take(s);
	says(s, DNS_NXDOMAIN);
	adds_soa(s, 900);
	server_send(r, s);
	r->now += 59 * NS_PER_S;
	ASK(r, .name = "a.example", .type = DNS_A);
	m = rig_answered(r, 1);
	assert_int_equal(rcode(&m), DNS_NXDOMAIN);
	r->now += 2 * NS_PER_S;
	ASK(r, .name = "a.example", .type = DNS_A);
	server_take(s);
}

/* The host gets the address meanwhile: what is kept is judged anew. */
static void what_is_kept_is_judged_each_time(void **state)
{
	struct dns_msg m;

	(void)state;
	stack("public", NULL);
	ASK(r, .name = "a.example", .type = DNS_A);
	server_answers(r, s, "93.184.216.34", 300);
	r->hosts_own = ip("93.184.216.34");
	ASK(r, .name = "a.example", .type = DNS_A);
	m = rig_answered(r, 1);
	assert_int_equal(rcode(&m), DNS_NXDOMAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(inner_addresses_do_not_enter),
		T(a_mixed_answer_loses_what_may_not_enter),
		T(rebinding_with_ttl_0_is_stopped),
		T(an_address_rule_lets_them_in),
		T(all_and_defaults_do_not_let_them_in),
		T(protection_can_be_switched_off),
		T(a_cname_chain_is_pinned_to_the_asked_name),
		T(a_cname_to_an_inner_address_is_denied),
		T(addresses_of_other_names_do_not_enter),
		T(cnames_in_a_loop_come_to_an_end),
		T(an_inner_address_beside_the_answer_is_cut_off),
		T(addresses_of_an_answer_are_bounded),
		T(https_records_lose_address_hints),
		T(https_records_lose_ech_where_names_matter),
		T(https_records_lead_nowhere_else_where_names_matter),
		T(a_name_is_tied_for_a_day_at_most),
		T(a_second_question_is_answered_from_the_cache),
		T(what_does_not_exist_is_kept_for_60_seconds),
		T(what_is_kept_is_judged_each_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
