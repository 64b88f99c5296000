#include "lib/test.h"

#include "dns_world.h"

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
