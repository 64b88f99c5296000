#include "lib/test.h"

#include <stdio.h>
#include <string.h>

#include "dns_rig.h"

static struct rig *r;
static struct server *s, *s2;

static int setup(void **state)
{
	(void)state;
	s = server_new();
	s2 = server_new();
	return 0;
}

static int teardown(void **state)
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
static void stack(const char *profile, const char *rules)
{
	struct strv v = {0};
	const struct policy_spec spec = {.profile = profile, .rules = &v};

	if (rules)
		assert_int_equal(strv_add(&v, rules), 0);
	r = rig_new(&spec, (const struct server *const[]){s}, 1);
	r->port53 = s2->port;
	strv_release(&v);
}

static uint64_t denied(void)
{
	return atomic_load(&net_counters(r->net)->dns_denied);
}

static size_t names_of(const char *address, const char *ret[PIN_NAMES_MAX])
{
	struct addr a = ip(address);

	return pins_names(r->net->pins, &a, r->now, ret);
}

static bool is_pinned(const char *address, const char *name)
{
	const char *names[PIN_NAMES_MAX];

	return names_of(address, names) == 1 && strcmp(names[0], name) == 0;
}

/* ---- the plain way ---- */

static void a_name_is_resolved_and_pinned(void **state)
{
	struct dns_msg m;
	struct addr a;

	(void)state;
	stack("public", NULL);
	ASK(r, .name = "www.Example", .type = DNS_A);
	server_answers(r, s, "93.184.216.34", 60);
	m = rig_answered(r, 0);
	assert_int_equal(m.id, 0x1234);
	assert_int_equal(rcode(&m), 0);
	assert_int_equal(addresses(&m, &a, 1), 1);
	assert_int_equal(addr_to_v4(&a), 0x5db8d822);
	assert_memory_equal(m.name.b, "\3www\7Example", 13); /* as asked */
	assert_true(is_pinned("93.184.216.34", "www.example"));
	assert_true(addr_eq(&r->answer[0].from, &r->net->cfg.gateway4));
	assert_int_equal(r->answer[0].port, 4000);
}

static void the_gateway_answers_by_ipv6_too(void **state)
{
	struct dns_msg m;

	(void)state;
	stack("public", NULL);
	rig_ask_at(r, GATEWAY6,
	           &(struct query){.name = "a.example", .type = DNS_AAAA});
	server_answers(r, s, "2606:4700::1", 60);
	m = rig_answered(r, 0);
	assert_int_equal(m.count[DNS_ANSWER], 1);
	assert_true(addr_eq(&r->answer[0].from, &r->net->cfg.gateway6));
	assert_true(is_pinned("2606:4700::1", "a.example"));
}

/* All that is not between us and the server stays: AD, DO, options, data. */
static void an_answer_that_may_enter_is_unchanged(void **state)
{
	struct dns_msg m;
	uint8_t *b;

	(void)state;
	stack("public", NULL);
	ASK(r, .name = "a.example", .type = DNS_A, .flags = DNS_AD, .opt = true,
	    .dnssec_ok = true);
	server_take(s);
	assert_int_equal(get_be16(s->query + 2), DNS_RD | DNS_AD);
	assert_int_equal(s->query[s->query_len - 4], 0x80); /* DO */
	says(s, DNS_AD | DNS_AA);
	adds_address(s, NULL, "93.184.216.34", 60);
	adds(s, DNS_ANSWER, NULL, 46, 60, "a signature", 11);
	adds_soa(s, 60);
	adds_opt(s, 4096);
	server_send(r, s);
	m = rig_answered(r, 0);
	assert_int_equal(m.len, s->len);
	b = server_msg(s);
	put_be16(b, 0x1234);
	memcpy(b + DNS_HEAD, m.b + DNS_HEAD, 15); /* the spelling */
	put_be16(b + s->len - 8, DNS_UDP_MAX);
	assert_memory_equal(m.b, b, m.len);
}

static void a_failing_server_is_servfail(void **state)
{
	struct dns_msg m;

	(void)state;
	stack("public", NULL);
	ASK(r, .name = "a.example", .type = DNS_A, .opt = true);
	rig_later(r, 2100 * NS_PER_MS);
	m = rig_answered(r, 0);
	assert_int_equal(rcode(&m), DNS_SERVFAIL);
	assert_int_equal(ede(&m), DNS_EDE_NO_REACHABLE);
}

static void without_a_server_it_is_servfail(void **state)
{
	struct dns_msg m;

	(void)state;
	stack("public", NULL);
	dns_set_servers(r->net, NULL, 0);
	ASK(r, .name = "a.example", .type = DNS_A, .opt = true);
	m = rig_answered(r, 0);
	assert_int_equal(rcode(&m), DNS_SERVFAIL);
	assert_int_equal(ede(&m), DNS_EDE_NO_REACHABLE);
	assert_int_equal(r->sockets, 0);
}

/* resolv.conf was replaced: the next question goes to the new server. */
static void other_servers_are_asked_from_then_on(void **state)
{
	struct net_dns_server other = {ip("127.0.0.1"), s2->port};

	(void)state;
	stack("public", NULL);
	ASK(r, .name = "a.example", .type = DNS_A);
	server_answers(r, s, "93.184.216.34", 60);
	dns_set_servers(r->net, &other, 1);
	ASK(r, .name = "a.example", .type = DNS_A);
	server_answers(r, s2, "93.184.216.35", 60);
	(void)rig_answered(r, 1);
	assert_true(is_pinned("93.184.216.35", "a.example"));
}

/* ---- names that are denied ---- */

static void denied_at_once(const struct query *q)
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

static void a_denied_name_sends_no_upstream_packet(void **state)
{
	(void)state;
	stack(NULL, "deny@evil.example,allow@any");
	denied_at_once(&(struct query){.name = "evil.example", .type = DNS_A});
	denied_at_once(&(struct query){
		.name = "EVIL.Example", .type = DNS_A, .opt = true});
}

/* A secret in the names of questions to who owns a denied domain. */
static void a_tunnel_of_names_sends_nothing(void **state)
{
	static const unsigned types[] = {
		DNS_A,         DNS_AAAA,    16 /* TXT */, DNS_CNAME,
		10 /* NULL */, 15 /* MX */, 33 /* SRV */, DNS_HTTPS,
		DNS_SVCB,      2 /* NS */,  DNS_PTR,      65280};
	char name[300];

	(void)state;
	stack("none", "allow@api.good.example");
	for (unsigned i = 0; i < 4 * ARRAY_SIZE(types); i++) {
		(void)snprintf(
			name, sizeof(name),
			"mfzgkzlom5sxezjaonuw4zdjmzuwkzbamfzsa43fmnzgk5a%u"
			".mfzgkzlom5sxezjaonuw4zdjmzuwkzbamfzsa43fmnzgk5a"
			".attacker.example",
			i);
		denied_at_once(&(struct query){.name = name,
		                               .type = types[i / 4],
		                               .opt = i & 1,
		                               .flags = i & 2 ? DNS_CD : 0});
	}
}

static void padding_of_a_denied_question_goes_nowhere(void **state)
{
	uint8_t b[DNS_GUEST_MAX];
	size_t n;

	(void)state;
	stack("none", "allow@api.good.example");
	n = query_bytes(&(struct query){.name = "a.example",
	                                .type = DNS_A,
	                                .opt = true},
	                b);
	put_be16(b + n - 2, 1004);
	put_be16(b + n, 12);
	put_be16(b + n + 2, 1000);
	memset(b + n + 4, 'x', 1000);
	rig_say(r, 4000, GATEWAY4, b, n + 1004);
	(void)rig_answered(r, 0);
	assert_int_equal(r->sockets, 0);
	/* Of an allowed one neither: the server sees the name alone. */
	n = query_bytes(&(struct query){.name = "api.good.example",
	                                .type = DNS_A,
	                                .opt = true},
	                b);
	put_be16(b + n - 2, 1004);
	put_be16(b + n, 12);
	put_be16(b + n + 2, 1000);
	rig_say(r, 4000, GATEWAY4, b, n + 1004);
	server_take(s);
	assert_int_equal(s->query_len, n);
	assert_memory_equal(s->query + n - 11, "\0\0\x29\x04\xd0\0\0\0\0\0\0",
	                    11);
}

static void only_allowed_names_are_asked_for(void **state)
{
	static const char *const no[] = {
		"notgood.example",
		"good.example.evil.example", /* a search domain behind it */
		"api.good.example",
		"good",
		"example",
		"xn--god-ula.example",
		"good-example",
	};
	static const char *const yes[] = {"good.example", "GOOD.EXAMPLE",
	                                  "a.b.suffix.example",
	                                  "suffix.example"};

	(void)state;
	stack("none", "allow@good.example,allow@*.suffix.example");
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		denied_at_once(&(struct query){.name = no[i], .type = DNS_A});
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		ASK(r, .name = yes[i], .type = 16);
		server_take(s);
		says(s, 0);
		server_send(r, s);
	}
}

static void names_with_odd_bytes_are_denied(void **state)
{
	static const char *const odd[] = {
		"\3a\0b\4good\7example", "\3a.b\4good\7example",
		"\3a b\4good\7example", "\3a\xc3\xa4\4good\7example"};
	uint8_t b[64] = {0x12, 0x34, 1, 0, 0, 1};
	struct dns_msg m;

	(void)state;
	stack("all", NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
		memcpy(b + DNS_HEAD, odd[i], 18);
		memcpy(b + DNS_HEAD + 18, "\0\1\0\1", 4);
		rig_say(r, 4000, GATEWAY4, b, DNS_HEAD + 22);
		m = rig_answered(r, i);
		assert_int_equal(rcode(&m), DNS_NXDOMAIN);
		assert_memory_equal(m.b + DNS_HEAD, odd[i], 18);
	}
	assert_int_equal(r->sockets, 0);
}

static void the_root_and_services_can_be_asked_for(void **state)
{
	(void)state;
	stack("public", NULL);
	ASK(r, .name = "", .type = 2);
	server_take(s);
	says(s, 0);
	server_send(r, s);
	(void)rig_answered(r, 0);
	ASK(r, .name = "_xmpp-server._tcp.a_b.example", .type = 33);
	server_take(s);
	says(s, 0);
	server_send(r, s);
	(void)rig_answered(r, 1);
}

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

/* ---- the cache ---- */

static uint32_t first_ttl(const struct dns_msg *m)
{
	struct dns_walk w = {.m = m};
	struct dns_rr rr;

	assert_true(dns_walk(&w, &rr));
	return rr.ttl;
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

/* ---- names of our own ---- */

static void the_hosts_name_is_known_where_it_is_allowed(void **state)
{
	static const char *const rules[] = {"allow@host", "allow@host:tcp:8080",
	                                    "deny@host:tcp:22,allow@any"};
	struct dns_msg m;
	struct addr a;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rules); i++) {
		stack("public", rules[i]);
		ASK(r, .name = "Host.MicroSandbox.Internal", .type = DNS_A);
		m = rig_answered(r, 0);
		assert_int_equal(addresses(&m, &a, 1), 1);
		assert_true(addr_eq(&a, &r->net->cfg.gateway4));
		assert_int_equal(first_ttl(&m), 60);
		ASK(r, .name = "host.docker.internal", .type = DNS_AAAA);
		m = rig_answered(r, 1);
		assert_int_equal(addresses(&m, &a, 1), 1);
		assert_true(addr_eq(&a, &r->net->cfg.gateway6));
		ASK(r, .name = "host.docker.internal", .type = 16);
		m = rig_answered(r, 2);
		assert_int_equal(rcode(&m), 0);
		assert_int_equal(m.count[DNS_ANSWER], 0);
		assert_int_equal(r->sockets, 0);
		rig_free(r);
		r = NULL;
	}
}

static void the_hosts_name_is_unknown_elsewhere(void **state)
{
	static const char *const rules[] = {NULL, "deny@host,allow@any",
	                                    "allow@host:icmpv4"};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rules); i++) {
		stack("public", rules[i]);
		denied_at_once(
			&(struct query){.name = DNS_HOST_NAME, .type = DNS_A});
		denied_at_once(&(struct query){.name = DNS_HOST_ALIAS,
		                               .type = DNS_AAAA});
		rig_free(r);
		r = NULL;
	}
}

static void special_names_never_leave(void **state)
{
	static const struct {
		const char *name;
		unsigned type, rcode;
	} names[] = {
		{"other.microsandbox.internal",   DNS_A,    DNS_NXDOMAIN},
		{"microsandbox.internal",         DNS_A,    DNS_NXDOMAIN},
		{"_dns.resolver.arpa",            DNS_SVCB, DNS_NOERROR },
		{"use-application-dns.net",       DNS_A,    DNS_NXDOMAIN},
		{"1.1.168.192.in-addr.arpa",      DNS_PTR,  DNS_NXDOMAIN},
		{"1.0.0.127.IN-addr.arpa",        DNS_PTR,  DNS_NXDOMAIN},
		{"1.0.16.172.in-addr.arpa",       DNS_PTR,  DNS_NXDOMAIN},
		{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
	         "0.0.ip6.arpa", DNS_PTR,  DNS_NXDOMAIN},
	};
	struct dns_msg m;

	(void)state;
	stack("public", "deny@evil.example");
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		ASK(r, .name = names[i].name, .type = names[i].type);
		m = rig_answered(r, i);
		assert_int_equal(rcode(&m), names[i].rcode);
		assert_int_equal(m.count[DNS_ANSWER], 0);
	}
	assert_int_equal(r->sockets, 0);
}

static void the_gateways_address_has_its_name(void **state)
{
	static const char *const names[] = {
		"1.0.16.172.in-addr.arpa",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.6.0.0.3.7.d.6.2.4."
		"d.f.ip6.arpa"};
	struct dns_walk w = {0};
	struct dns_name host;
	struct dns_rr rr;
	struct dns_msg m;

	(void)state;
	stack("public", "allow@host");
	(void)dns_name_from_text(DNS_HOST_NAME, &host);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		ASK(r, .name = names[i], .type = DNS_PTR);
		m = rig_answered(r, i);
		w = (struct dns_walk){.m = &m};
		assert_true(dns_walk(&w, &rr));
		assert_int_equal(rr.type, DNS_PTR);
		assert_int_equal(rr.len, host.len);
		assert_memory_equal(m.b + rr.data, host.b, host.len);
	}
}

static void names_of_public_addresses_are_asked_for(void **state)
{
	static const char *const names[] = {
		"34.216.184.93.in-addr.arpa",  "184.93.in-addr.arpa",
		"256.0.0.10.in-addr.arpa",     "x.0.0.10.in-addr.arpa",
		"0.0.10.in-addr.arpa.example", "b.ip6.arpa"};

	(void)state;
	stack("public", NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		ASK(r, .name = names[i], .type = DNS_PTR);
		server_take(s);
		says(s, DNS_NXDOMAIN);
		server_send(r, s);
		(void)rig_answered(r, i);
	}
}

/* ---- what is no plain question ---- */

static void other_types_and_classes_are_refused(void **state)
{
	static const struct {
		unsigned type, class, flags, rcode;
	} odd[] = {
		{DNS_ANY,  1,   0,       DNS_NOTIMP },
		{DNS_AXFR, 1,   0,       DNS_REFUSED},
		{DNS_IXFR, 1,   0,       DNS_REFUSED},
		{DNS_TKEY, 1,   0,       DNS_REFUSED},
		{250,      1,   0,       DNS_REFUSED},
		{DNS_OPT,  1,   0,       DNS_REFUSED},
		{16,       3,   0,       DNS_REFUSED},
		{DNS_A,    254, 0,       DNS_REFUSED},
		{DNS_A,    255, 0,       DNS_REFUSED},
		{DNS_SOA,  1,   4 << 11, DNS_NOTIMP },
		{DNS_SOA,  1,   5 << 11, DNS_NOTIMP },
	};

	(void)state;
	stack("all", NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
		ASK(r, .name = "a.example", .type = odd[i].type,
		    .class = odd[i].class, .flags = odd[i].flags);
		assert_int_equal(r->n, i + 1);
		assert_int_equal(r->answer[i].b[3] & DNS_RCODE, odd[i].rcode);
	}
	assert_int_equal(r->sockets, 0);
}

static void thousands_of_questions_get_one_form_error(void **state)
{
	uint8_t b[DNS_GUEST_MAX] = {0x12, 0x34, 1, 0, 0xff, 0xff};

	(void)state;
	stack("all", NULL);
	for (size_t at = DNS_HEAD; at + 5 <= sizeof(b); at += 5)
		memcpy(b + at, "\0\0\1\0\1", 5);
	rig_say(r, 4000, GATEWAY4, b, 1400);
	assert_int_equal(r->n, 1);
	assert_int_equal(r->answer[0].len, DNS_HEAD);
	assert_int_equal(r->answer[0].b[3] & DNS_RCODE, DNS_FORMERR);
}

static void what_is_no_question_gets_no_answer(void **state)
{
	static const uint8_t answer[] = {0, 1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	static uint8_t large[8000];
	uint64_t bad;

	(void)state;
	stack("all", NULL);
	bad = atomic_load(&net_counters(r->net)->bad);
	rig_say(r, 4000, GATEWAY4, answer, sizeof(answer));
	rig_say(r, 4000, GATEWAY4, answer, 11);
	rig_say(r, 4000, GATEWAY4, answer, 0);
	large[5] = 1;
	rig_say(r, 4000, GATEWAY4, large, sizeof(large));
	rig_say(r, 4000, "224.0.0.251", large, 30);
	rig_say(r, 4000, "255.255.255.255", large, 30);
	assert_int_equal(r->n, 0);
	assert_in_range(atomic_load(&net_counters(r->net)->bad), bad + 4,
	                bad + 6);
}

static void a_large_answer_is_cut(void **state)
{
	static const unsigned sizes[] = {0, 512, 1232, 4096};
	uint8_t text[256] = {255};
	struct dns_msg m;

	(void)state;
	stack("public", NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		ASK(r, .name = "a.example", .type = 16, .size = sizes[i]);
		server_take(s);
		says(s, 0);
		for (int k = 0; k < 5; k++)
			adds(s, DNS_ANSWER, NULL, 16, 60, text, 256);
		server_send(r, s);
		m = rig_answered(r, i);
		assert_true(m.flags & DNS_TC);
		assert_int_equal(m.count[DNS_ANSWER], 0);
		assert_int_equal(m.opt != 0, sizes[i] != 0);
		dns_cache_clear(r->net->dns->cache);
	}
	ASK(r, .name = "a.example", .type = 16, .size = 4096);
	server_take(s);
	says(s, 0);
	for (int k = 0; k < 4; k++)
		adds(s, DNS_ANSWER, NULL, 16, 60, text, 256);
	server_send(r, s);
	m = rig_answered(r, ARRAY_SIZE(sizes));
	assert_int_equal(m.count[DNS_ANSWER], 4);
	assert_int_equal(m.flags & DNS_TC, 0);
}

/* ---- other servers ---- */

static void another_server_is_asked_where_it_is_allowed(void **state)
{
	struct addr quad = ip("9.9.9.9");
	struct dns_msg m;

	(void)state;
	stack("public", NULL);
	rig_ask_at(r, "9.9.9.9",
	           &(struct query){.name = "a.example", .type = DNS_A});
	assert_true(addr_eq(&r->dialled, &quad));
	server_answers(r, s2, "93.184.216.34", 60);
	m = rig_answered(r, 0);
	assert_int_equal(m.count[DNS_ANSWER], 1);
	assert_true(addr_eq(&r->answer[0].from, &quad));
	assert_true(is_pinned("93.184.216.34", "a.example"));
	/* Its answers are not the gateway's. */
	ASK(r, .name = "a.example", .type = DNS_A);
	assert_false(server_is_silent(s));
	assert_true(server_is_silent(s2));
}

static void answers_of_another_server_are_judged_too(void **state)
{
	struct dns_msg m;

	(void)state;
	stack("public", NULL);
	rig_ask_at(r, "9.9.9.9",
	           &(struct query){.name = "a.example", .type = DNS_A});
	server_answers(r, s2, "169.254.169.254", 60);
	m = rig_answered(r, 0);
	assert_int_equal(rcode(&m), DNS_NXDOMAIN);
}

static void a_server_that_is_denied_is_not_asked(void **state)
{
	static const char *const servers[] = {
		"192.168.1.1",   "127.0.0.53",        "169.254.169.254",
		"10.0.0.1",      "64:ff9b::10.0.0.1", "fd00:ec2::254",
		"2002:a00:1::1", "172.16.0.5",        "198.51.100.77"};
	struct dns_msg m;

	(void)state;
	stack("public", NULL);
	r->hosts_own = ip("198.51.100.77");
	for (unsigned i = 0; i < ARRAY_SIZE(servers); i++) {
		rig_ask_at(r, servers[i],
		           &(struct query){.name = "a.example",
		                           .type = DNS_A,
		                           .opt = true});
		m = rig_answered(r, i);
		assert_int_equal(rcode(&m), DNS_NXDOMAIN);
		assert_int_equal(ede(&m), DNS_EDE_BLOCKED);
		assert_int_equal(denied(), i + 1);
	}
	assert_int_equal(r->sockets, 0);
	assert_int_equal(atomic_load(&net_counters(r->net)->denied),
	                 ARRAY_SIZE(servers));
}

static void a_denied_name_is_denied_at_any_server(void **state)
{
	struct dns_msg m;

	(void)state;
	stack("public", "deny@*.evil.example");
	rig_ask_at(r, "9.9.9.9",
	           &(struct query){.name = "x.evil.example", .type = DNS_A});
	m = rig_answered(r, 0);
	assert_int_equal(rcode(&m), DNS_NXDOMAIN);
	assert_int_equal(r->sockets, 0);
}

/* ---- bounds ---- */

static void questions_over_the_bound_get_no_answer(void **state)
{
	char name[32];

	(void)state;
	stack("public", NULL);
	for (unsigned i = 0; i < DNS_IN_FLIGHT_MAX + 100; i++) {
		(void)snprintf(name, sizeof(name), "n%u.example", i);
		ASK(r, .name = name, .type = DNS_A);
	}
	assert_int_equal(r->sockets, DNS_IN_FLIGHT_MAX);
	assert_int_equal(atomic_load(&net_counters(r->net)->refused), 100);
	rig_later(r, 3 * NS_PER_S);
	assert_int_equal(r->n, DNS_IN_FLIGHT_MAX);
	ASK(r, .name = "a.example", .type = DNS_A);
	assert_int_equal(r->sockets, DNS_IN_FLIGHT_MAX + 1);
}

static void a_reset_forgets_questions_but_not_answers(void **state)
{
	(void)state;
	stack("public", NULL);
	ASK(r, .name = "a.example", .type = DNS_A);
	server_answers(r, s, "93.184.216.34", 300);
	ASK(r, .name = "b.example", .type = DNS_A);
	server_take(s);
	net_reset(r->net);
	says(s, 0);
	adds_address(s, NULL, "93.184.216.35", 60);
	server_send(r, s);
	(void)rig_answered(r, 0);
	ASK(r, .name = "a.example", .type = DNS_A);
	(void)rig_answered(r, 1);
}

/* ---- over TCP ---- */

static int stream_to(const char *dst)
{
	struct tuple t = {.guest = ip(GUEST4),
	                  .peer = ip(dst),
	                  .gport = 5000,
	                  .pport = 53};
	int sp[2];

	assert_int_equal(socketpair(AF_UNIX,
	                            SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	                            0, sp),
	                 0);
	if (dns_stream(r->net, sp[1], &t) < 0) {
		(void)close(sp[0]);
		return -1;
	}
	return sp[0];
}

static size_t put_query(uint8_t *b, const struct query *q)
{
	size_t n = query_bytes(q, b + 2);

	put_be16(b, (uint16_t)n);
	return n + 2;
}

static void stream_say(int fd, const struct query *q)
{
	uint8_t b[DNS_QUERY_MAX + 2];
	size_t n = put_query(b, q);

	assert_int_equal(send(fd, b, n, MSG_NOSIGNAL), n);
	rig_run(r);
}

static bool stream_is_over(int fd)
{
	uint8_t b;

	rig_run(r);
	return readable(fd, 0) && recv(fd, &b, 1, MSG_PEEK) <= 0;
}

static struct dns_msg stream_answer(int fd)
{
	static uint8_t b[DNS_MSG_MAX];
	uint8_t prefix[2];
	struct dns_msg m;
	size_t len, at = 0;

	rig_run(r);
	assert_int_equal(recv(fd, prefix, 2, 0), 2);
	len = get_be16(prefix);
	while (at < len) {
		ssize_t k = recv(fd, b + at, len - at, 0);

		if (k < 0) {
			rig_run(r);
			continue;
		}
		assert_true(k > 0);
		at += (size_t)k;
	}
	assert_int_equal(dns_msg_parse(b, len, &m), 0);
	return m;
}

static void tcp_is_answered_by_tcp(void **state)
{
	uint8_t data[200] = {199};
	struct dns_msg m;
	int fd;

	(void)state;
	stack("public", NULL);
	fd = stream_to(GATEWAY4);
	stream_say(fd, &(struct query){.name = "a.example", .type = 16});
	server_take_tcp(r, s);
	says(s, 0);
	for (int i = 0; i < 200; i++)
		adds(s, DNS_ANSWER, NULL, 16, 60, data, sizeof(data));
	server_send(r, s);
	m = stream_answer(fd);
	assert_int_equal(m.count[DNS_ANSWER], 200);
	assert_int_equal(m.flags & DNS_TC, 0);
	(void)close(fd);
	rig_run(r);
	assert_int_equal(r->net->dns->nconns, 0);
}

static void names_are_judged_over_tcp_too(void **state)
{
	struct dns_msg m;
	int fd, other;

	(void)state;
	stack("public", "deny@evil.example");
	fd = stream_to(GATEWAY4);
	stream_say(fd, &(struct query){.name = "evil.example",
	                               .type = DNS_A,
	                               .opt = true});
	m = stream_answer(fd);
	assert_int_equal(rcode(&m), DNS_NXDOMAIN);
	assert_int_equal(ede(&m), DNS_EDE_BLOCKED);
	/* And servers. */
	other = stream_to("192.168.1.1");
	stream_say(other, &(struct query){.name = "a.example", .type = DNS_A});
	m = stream_answer(other);
	assert_int_equal(rcode(&m), DNS_NXDOMAIN);
	assert_int_equal(r->sockets, 0);
	(void)close(other);
	other = stream_to("9.9.9.9");
	stream_say(other, &(struct query){.name = "a.example", .type = DNS_A});
	server_take_tcp(r, s2);
	says(s2, 0);
	adds_address(s2, NULL, "127.0.0.1", 60);
	server_send(r, s2);
	m = stream_answer(other);
	assert_int_equal(rcode(&m), DNS_NXDOMAIN);
	(void)close(other);
	(void)close(fd);
}

static void questions_may_come_in_a_row_and_in_pieces(void **state)
{
	uint8_t b[3 * (DNS_QUERY_MAX + 2)];
	struct dns_msg m;
	size_t n = 0;
	int fd;

	(void)state;
	stack("none", NULL);
	fd = stream_to(GATEWAY4);
	for (unsigned i = 1; i <= 3; i++)
		n += put_query(b + n, &(struct query){.name = "a.example",
		                                      .type = DNS_A,
		                                      .id = i});
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(send(fd, b + i, 1, MSG_NOSIGNAL), 1);
		(void)loop_step(r->loop, 0);
	}
	for (unsigned i = 1; i <= 3; i++) {
		m = stream_answer(fd);
		assert_int_equal(m.id, i);
	}
	assert_int_equal(send(fd, b, n, MSG_NOSIGNAL), n);
	for (unsigned i = 1; i <= 3; i++) {
		m = stream_answer(fd);
		assert_int_equal(m.id, i);
	}
	(void)close(fd);
}

static void answers_come_as_they_are_known(void **state)
{
	struct dns_msg m;
	int fd;

	(void)state;
	stack("public", "deny@evil.example");
	fd = stream_to(GATEWAY4);
	stream_say(fd, &(struct query){
			       .name = "a.example", .type = DNS_A, .id = 1});
	stream_say(fd, &(struct query){
			       .name = "evil.example", .type = DNS_A, .id = 2});
	m = stream_answer(fd);
	assert_int_equal(m.id, 2);
	server_take_tcp(r, s);
	says(s, 0);
	server_send(r, s);
	m = stream_answer(fd);
	assert_int_equal(m.id, 1);
	(void)close(fd);
}

static void more_questions_than_the_bound_wait(void **state)
{
	char name[32];
	int fd;

	(void)state;
	stack("public", NULL);
	fd = stream_to(GATEWAY4);
	for (unsigned i = 0; i < 6; i++) {
		(void)snprintf(name, sizeof(name), "n%u.example", i);
		stream_say(fd, &(struct query){.name = name, .type = DNS_A});
	}
	assert_int_equal(r->sockets, 4);
	server_take_tcp(r, s);
	says(s, 0);
	server_send(r, s);
	assert_int_equal(r->sockets, 5);
	(void)stream_answer(fd);
	(void)close(fd);
}

static void half_closed_is_still_answered(void **state)
{
	struct dns_msg m;
	int fd;

	(void)state;
	stack("public", NULL);
	fd = stream_to(GATEWAY4);
	stream_say(fd, &(struct query){.name = "a.example", .type = DNS_A});
	(void)shutdown(fd, SHUT_WR);
	server_take_tcp(r, s);
	says(s, 0);
	adds_address(s, NULL, "93.184.216.34", 60);
	server_send(r, s);
	m = stream_answer(fd);
	assert_int_equal(m.count[DNS_ANSWER], 1);
	assert_true(stream_is_over(fd));
	assert_int_equal(r->net->dns->nconns, 0);
	(void)close(fd);
}

static void a_reset_connection_asks_no_more(void **state)
{
	int fd;

	(void)state;
	stack("public", NULL);
	fd = stream_to(GATEWAY4);
	stream_say(fd, &(struct query){.name = "a.example", .type = DNS_A});
	server_take_tcp(r, s);
	(void)close(fd);
	rig_run(r);
	assert_int_equal(r->net->dns->nconns, 0);
	assert_true(r->net->dns->pending == NULL);
	says(s, 0);
	server_send(r, s); /* to nobody */
}

static void an_idle_connection_is_closed_after_10_seconds(void **state)
{
	int fd;

	(void)state;
	stack("none", NULL);
	fd = stream_to(GATEWAY4);
	rig_later(r, 9 * NS_PER_S);
	stream_say(fd, &(struct query){.name = "a.example", .type = DNS_A});
	(void)stream_answer(fd);
	rig_later(r, 9 * NS_PER_S);
	assert_false(stream_is_over(fd));
	rig_later(r, 2 * NS_PER_S);
	assert_true(stream_is_over(fd));
	(void)close(fd);
}

static void who_does_not_read_is_not_read(void **state)
{
	uint8_t b[DNS_QUERY_MAX + 2], sink[1 << 16];
	size_t n, asked = 0, got = 0;
	ssize_t k;
	int fd;

	(void)state;
	stack("none", NULL);
	fd = stream_to(GATEWAY4);
	n = put_query(b, &(struct query){.name = "a.example", .type = DNS_A});
	for (int idle = 0; idle < 3;) {
		if (send(fd, b, n, MSG_NOSIGNAL) == (ssize_t)n) {
			asked++;
			idle = 0;
			continue;
		}
		rig_run(r);
		idle++;
	}
	/* Bounded by the sockets' buffers and ours: all is answered in the
	   end. */
	assert_in_range(asked, 100, 100000);
	assert_int_equal(r->net->dns->nconns, 1);
	for (int idle = 0; idle < 3;) {
		k = recv(fd, sink, sizeof(sink), 0);
		if (k > 0) {
			got += (size_t)k;
			idle = 0;
			continue;
		}
		rig_run(r);
		idle++;
	}
	assert_int_equal(got, asked * n);
	(void)close(fd);
}

static void who_does_not_read_is_closed_in_the_end(void **state)
{
	uint8_t b[DNS_QUERY_MAX + 2];
	size_t n;
	int fd;

	(void)state;
	stack("none", NULL);
	fd = stream_to(GATEWAY4);
	n = put_query(b, &(struct query){.name = "a.example", .type = DNS_A});
	for (int full = 0; full < 3; full++) {
		while (send(fd, b, n, MSG_NOSIGNAL) == (ssize_t)n)
			full = 0;
		rig_run(r);
	}
	rig_later(r, 11 * NS_PER_S);
	assert_int_equal(r->net->dns->nconns, 0);
	(void)close(fd);
}

static void lengths_that_cannot_be_end_the_connection(void **state)
{
	static const char *const bad[] = {"\0\0", "\xff\xff", "\x10\1"};

	(void)state;
	stack("none", NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		int fd = stream_to(GATEWAY4);

		assert_int_equal(send(fd, bad[i], 2, MSG_NOSIGNAL), 2);
		assert_true(stream_is_over(fd));
		(void)close(fd);
	}
}

static void the_oldest_idle_connection_makes_room(void **state)
{
	int fd[34];

	(void)state;
	stack("public", NULL);
	for (unsigned i = 0; i < 33; i++) {
		fd[i] = stream_to(GATEWAY4);
		assert_true(fd[i] >= 0);
		if (i == 0)
			stream_say(fd[0], &(struct query){.name = "a.example",
			                                  .type = DNS_A});
	}
	assert_int_equal(r->net->dns->nconns, 32);
	assert_false(stream_is_over(fd[0])); /* it waits for an answer */
	assert_true(stream_is_over(fd[1]));
	for (unsigned i = 0; i < 33; i++)
		(void)close(fd[i]);
}

static void busy_connections_are_bounded(void **state)
{
	char name[32];
	int fd[33];

	(void)state;
	stack("public", NULL);
	for (unsigned i = 0; i < 32; i++) {
		fd[i] = stream_to(GATEWAY4);
		(void)snprintf(name, sizeof(name), "n%u.example", i);
		stream_say(fd[i], &(struct query){.name = name, .type = DNS_A});
	}
	assert_int_equal(stream_to(GATEWAY4), -1);
	assert_int_equal(atomic_load(&net_counters(r->net)->refused), 1);
	for (unsigned i = 0; i < 32; i++)
		(void)close(fd[i]);
}

/* All of one job at one connection that breaks while they are told. */
static void a_broken_connection_takes_its_questions_along(void **state)
{
	int fd, other;

	(void)state;
	stack("public", NULL);
	fd = stream_to(GATEWAY4);
	other = stream_to(GATEWAY4);
	for (unsigned i = 0; i < 3; i++)
		stream_say(fd, &(struct query){.name = "a.example",
		                               .type = DNS_A,
		                               .id = i + 1});
	stream_say(other, &(struct query){.name = "a.example", .type = DNS_A});
	assert_int_equal(r->sockets, 1);
	server_take_tcp(r, s);
	(void)close(fd); /* seen when the first answer is written */
	says(s, 0);
	put_be16(s->b, (uint16_t)s->len);
	assert_int_equal(send(s->conn, s->b, s->len + 2, MSG_NOSIGNAL),
	                 s->len + 2);
	(void)stream_answer(other);
	assert_int_equal(r->net->dns->nconns, 1);
	(void)close(other);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_name_is_resolved_and_pinned),
		T(the_gateway_answers_by_ipv6_too),
		T(an_answer_that_may_enter_is_unchanged),
		T(a_failing_server_is_servfail),
		T(without_a_server_it_is_servfail),
		T(other_servers_are_asked_from_then_on),
		T(a_denied_name_sends_no_upstream_packet),
		T(a_tunnel_of_names_sends_nothing),
		T(padding_of_a_denied_question_goes_nowhere),
		T(only_allowed_names_are_asked_for),
		T(names_with_odd_bytes_are_denied),
		T(the_root_and_services_can_be_asked_for),
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
		T(a_second_question_is_answered_from_the_cache),
		T(what_does_not_exist_is_kept_for_60_seconds),
		T(what_is_kept_is_judged_each_time),
		T(the_hosts_name_is_known_where_it_is_allowed),
		T(the_hosts_name_is_unknown_elsewhere),
		T(special_names_never_leave),
		T(the_gateways_address_has_its_name),
		T(names_of_public_addresses_are_asked_for),
		T(other_types_and_classes_are_refused),
		T(thousands_of_questions_get_one_form_error),
		T(what_is_no_question_gets_no_answer),
		T(a_large_answer_is_cut),
		T(another_server_is_asked_where_it_is_allowed),
		T(answers_of_another_server_are_judged_too),
		T(a_server_that_is_denied_is_not_asked),
		T(a_denied_name_is_denied_at_any_server),
		T(questions_over_the_bound_get_no_answer),
		T(a_reset_forgets_questions_but_not_answers),
		T(tcp_is_answered_by_tcp),
		T(names_are_judged_over_tcp_too),
		T(questions_may_come_in_a_row_and_in_pieces),
		T(answers_come_as_they_are_known),
		T(more_questions_than_the_bound_wait),
		T(half_closed_is_still_answered),
		T(a_reset_connection_asks_no_more),
		T(an_idle_connection_is_closed_after_10_seconds),
		T(who_does_not_read_is_not_read),
		T(who_does_not_read_is_closed_in_the_end),
		T(lengths_that_cannot_be_end_the_connection),
		T(the_oldest_idle_connection_makes_room),
		T(busy_connections_are_bounded),
		T(a_broken_connection_takes_its_questions_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
