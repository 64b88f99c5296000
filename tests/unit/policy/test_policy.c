/* Which rule decides: groups, embedded addresses, names, queries, answers. */
#include "lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/num.h"
#include "policy/policy.h"

static struct policy *make(const struct policy_spec *spec, const char *rules)
{
	cleanup_strv struct strv list = {0};
	struct policy_spec copy = *spec;
	struct policy *p = NULL;
	struct err err = {0};

	if (rules)
		assert_int_equal(strv_add(&list, rules), 0);
	copy.rules = &list;
	if (policy_new(&copy, &p, &err) < 0)
		fail_msg("%s: %s", rules, err.msg);
	return p;
}

static struct policy *policy_of(const char *profile, const char *rules)
{
	const struct policy_spec spec = {.profile = profile};

	return make(&spec, rules);
}

static struct policy *strict_of(const char *profile, const char *rules)
{
	const struct policy_spec spec = {.profile = profile, .strict = true};

	return make(&spec, rules);
}

static struct policy_flow tcp_to(const char *addr, uint16_t port)
{
	struct policy_flow f = {
		.dir = POLICY_EGRESS, .proto = POLICY_TCP, .port = port};

	if (addr_parse(addr, &f.peer) < 0)
		fail_msg("%s does not parse", addr);
	return f;
}

static const char *said(enum verdict v)
{
	return v == VERDICT_DENY    ? "deny"
	       : v == VERDICT_ALLOW ? "allow"
	                            : "need-name";
}

/* @rule: its text; NULL: any. */
static void check_flow(const struct policy *p, const struct policy_flow *f,
                       enum verdict want, const char *rule)
{
	struct policy_answer a = policy_decide(p, f);
	char text[POLICY_RULE_TEXT], addr[ADDR_TEXT_MAX];

	(void)policy_rule_text(p, f->dir, a, text);
	if (a.verdict != want || (rule && strcmp(rule, text) != 0))
		fail_msg("%s port %u: %s by %s", addr_text(&f->peer, addr),
		         f->port, said(a.verdict), text);
}

static void check(const struct policy *p, const char *addr, enum verdict want,
                  const char *rule)
{
	struct policy_flow f = tcp_to(addr, 443);

	check_flow(p, &f, want, rule);
}

#define NOTHING "the default of egress: deny"

/* ---- profiles and groups ------------------------------------------------ */

/* One of each kind and of each way to write it. */
static const char *const never_public[] = {
	"127.0.0.1",
	"127.9.9.9",
	"10.1.2.3",
	"172.16.0.1",
	"192.168.1.1",
	"100.64.0.1",
	"169.254.1.1",
	"169.254.169.254",
	"100.100.100.200",
	"168.63.129.16",
	"224.0.0.251",
	"255.255.255.255",
	"0.0.0.0",
	"0.1.2.3",
	"240.0.0.1",
	"192.0.2.1",
	"198.18.0.1",
	"::",
	"::1",
	"fe80::1",
	"fec0::1",
	"fd12::1",
	"fd00:ec2::254",
	"ff02::1",
	"2001:db8::1",
	"::ffff:10.0.0.1",
	"::10.0.0.1",
	"::127.0.0.1",
	"64:ff9b::a00:1",
	"64:ff9b::7f00:1",
	"64:ff9b::a9fe:a9fe",
	"64:ff9b:1::a00:1",
	"64:ff9b:1:a00:0:100::",
	"64:ff9b:1:7::808:808",
	"2002:a00:1::1",
	"2002:7f00:1::",
	"2002:a9fe:a9fe::1",
	"::ffff:0:127.0.0.1",
	"200::1",
};

static void public_is_the_profile_without_one(void **state)
{
	cleanup_policy struct policy *p = policy_of(NULL, NULL);

	(void)state;
	check(p, "8.8.8.8", VERDICT_ALLOW, "allow@public");
	check(p, "2606:4700::1111", VERDICT_ALLOW, "allow@public");
	check(p, "64:ff9b::808:808", VERDICT_ALLOW, "allow@public");
	for (size_t i = 0; i < ARRAY_SIZE(never_public); i++)
		check(p, never_public[i], VERDICT_DENY, NOTHING);
}

static void a_public_address_of_the_host_is_not_public(void **state)
{
	cleanup_policy struct policy *pub = policy_of("public", NULL);
	cleanup_policy struct policy *host = policy_of("host", NULL);
	struct policy_flow f = tcp_to("8.8.8.8", 22);

	(void)state;
	f.host = true;
	check_flow(pub, &f, VERDICT_DENY, NOTHING);
	check_flow(host, &f, VERDICT_ALLOW, "allow@host");
	f.host = false;
	check_flow(host, &f, VERDICT_DENY, NOTHING);
}

/* A packet to 64:ff9b::7f00:1 is for a translator, whose loopback it means. */
static void
an_address_that_hides_the_hosts_is_denied_with_it_not_allowed(void **state)
{
	static const char *const hidden[] = {"64:ff9b::7f00:1",
	                                     "2002:7f00:1::", "::a63:1"};
	cleanup_policy struct policy *host = policy_of("host", NULL);
	cleanup_policy struct policy *all = policy_of("all", "deny@host");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
		struct policy_flow f = tcp_to(hidden[i], 22);

		f.host = true;
		check_flow(host, &f, VERDICT_DENY, NOTHING);
		check_flow(all, &f, VERDICT_DENY, "deny@host");
	}
}

static void private_opens_no_metadata_and_no_loopback(void **state)
{
	cleanup_policy struct policy *p = policy_of("private,public", NULL);
	static const char *const closed[] = {
		"169.254.169.254",  "100.100.100.200",
		"fd00:ec2::254",    "fd20:ce::254",
		"127.0.0.1",        "::1",
		"169.254.3.4",      "64:ff9b::a9fe:a9fe",
		"2002:6464:64c8::", "224.0.0.1",
		"0.0.0.0",
	};

	(void)state;
	check(p, "10.0.0.1", VERDICT_ALLOW, "allow@private");
	check(p, "fd12::1", VERDICT_ALLOW, "allow@private");
	check(p, "64:ff9b::a00:1", VERDICT_ALLOW, "allow@private");
	check(p, "8.8.8.8", VERDICT_ALLOW, "allow@public");
	for (size_t i = 0; i < ARRAY_SIZE(closed); i++)
		check(p, closed[i], VERDICT_DENY, NOTHING);
}

static void all_and_none_are_what_they_say(void **state)
{
	cleanup_policy struct policy *all = policy_of("all", NULL);
	cleanup_policy struct policy *none = policy_of("none", NULL);
	struct policy_flow in = tcp_to("8.8.8.8", 80);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(never_public); i++) {
		check(all, never_public[i], VERDICT_ALLOW,
		      "the default of egress: allow");
		check(none, never_public[i], VERDICT_DENY, NOTHING);
	}
	check(none, "8.8.8.8", VERDICT_DENY, NOTHING);
	assert_int_equal(policy_rules(none), 0);
	in.dir = POLICY_INGRESS;
	check_flow(all, &in, VERDICT_ALLOW, "the default of ingress: allow");
	check_flow(none, &in, VERDICT_DENY, "the default of ingress: deny");
}

static void defaults_stand_without_a_profile(void **state)
{
	const struct policy_spec open = {.egress = POLICY_ALLOW};
	const struct policy_spec shut = {.ingress = POLICY_DENY};
	const struct policy_spec both = {.profile = "public",
	                                 .ingress = POLICY_DENY};
	cleanup_policy struct policy *a = make(&open, NULL);
	cleanup_policy struct policy *b = make(&shut, NULL);
	cleanup_policy struct policy *c = make(&both, NULL);
	struct policy_flow in = tcp_to("8.8.8.8", 80);

	(void)state;
	in.dir = POLICY_INGRESS;
	assert_int_equal(policy_rules(a), 0);
	assert_int_equal(policy_rules(b), 0);
	check(a, "10.0.0.1", VERDICT_ALLOW, NULL);
	check_flow(a, &in, VERDICT_ALLOW, NULL);
	check(b, "8.8.8.8", VERDICT_DENY, NULL);
	check_flow(b, &in, VERDICT_DENY, NULL);
	check(c, "8.8.8.8", VERDICT_ALLOW, NULL);
	check_flow(c, &in, VERDICT_DENY, NULL);
}

static void reserved_addresses_need_any_or_their_own_rule(void **state)
{
	cleanup_policy struct policy *p = policy_of(
		"none", "allow@public,allow@private,allow@loopback,allow@meta,"
			"allow@link-local,allow@multicast,allow@host,"
			"allow@192.0.2.1,allow@198.18.0.0/15,"
			"allow@[2001:db8::/32],allow@any:tcp:7");
	struct policy_flow f = tcp_to("240.0.0.1", 443);

	(void)state;
	check_flow(p, &f, VERDICT_DENY, NOTHING);
	f.port = 7;
	check_flow(p, &f, VERDICT_ALLOW, "allow@any:tcp:7");
	check(p, "192.0.2.1", VERDICT_ALLOW, "allow@192.0.2.1");
	check(p, "192.0.2.2", VERDICT_DENY, NOTHING);
	check(p, "198.19.1.1", VERDICT_ALLOW, "allow@198.18.0.0/15");
	check(p, "2001:db8::5", VERDICT_ALLOW, "allow@[2001:db8::/32]");
	check(p, "0.0.0.0", VERDICT_DENY, NOTHING);
}

/* The host's own loopback and metadata addresses are of both groups. */
static void denials_of_loopback_and_metadata_hold_on_the_host(void **state)
{
	cleanup_policy struct policy *p =
		policy_of("none", "deny@loopback,deny@meta,allow@host");
	cleanup_policy struct policy *q =
		policy_of("none", "deny@private,allow@host");
	struct policy_flow f = tcp_to("127.0.0.1", 80);

	(void)state;
	f.host = true;
	check_flow(p, &f, VERDICT_DENY, "deny@loopback");
	f = tcp_to("169.254.169.254", 80);
	f.host = true;
	check_flow(p, &f, VERDICT_DENY, "deny@meta");
	f = tcp_to("192.168.1.5", 80);
	f.host = true;
	check_flow(q, &f, VERDICT_ALLOW, "allow@host");
	f.host = false;
	check_flow(q, &f, VERDICT_DENY, "deny@private");
}

/* ---- rules -------------------------------------------------------------- */

static void the_first_that_matches_decides(void **state)
{
	cleanup_policy struct policy *p = policy_of(
		"public", "allow@1.1.1.1,deny@1.1.1.0/24,allow@1.1.0.0/16:udp,"
			  "deny@1.1.0.0/16,allow@1.1.2.2");

	(void)state;
	check(p, "1.1.1.1", VERDICT_ALLOW, "allow@1.1.1.1");
	check(p, "1.1.1.2", VERDICT_DENY, "deny@1.1.1.0/24");
	check(p, "1.1.2.2", VERDICT_DENY, "deny@1.1.0.0/16");
	check(p, "1.2.2.2", VERDICT_ALLOW, "allow@public");
}

static void ports_and_protocols_are_part_of_a_match(void **state)
{
	cleanup_policy struct policy *p = policy_of(
		"none", "allow@1.1.1.1:tcp:80-81,allow@1.1.1.1:any:53,"
			"allow@2.2.2.2:icmpv4,allow@[2606::1]:icmpv6,"
			"allow@3.3.3.3,allow@[2606::2]:icmpv4");
	struct policy_flow f = tcp_to("1.1.1.1", 79);

	(void)state;
	check_flow(p, &f, VERDICT_DENY, NOTHING);
	f.port = 80;
	check_flow(p, &f, VERDICT_ALLOW, NULL);
	f.port = 81;
	check_flow(p, &f, VERDICT_ALLOW, NULL);
	f.port = 82;
	check_flow(p, &f, VERDICT_DENY, NOTHING);
	f.port = 81;
	f.proto = POLICY_UDP;
	check_flow(p, &f, VERDICT_DENY, NOTHING);
	f.port = 53;
	check_flow(p, &f, VERDICT_ALLOW, "allow@1.1.1.1:any:53");
	f.proto = POLICY_ICMP;
	f.port = 0;
	check_flow(p, &f, VERDICT_DENY, NOTHING);
	f = tcp_to("2.2.2.2", 0);
	check_flow(p, &f, VERDICT_DENY, NOTHING);
	f.proto = POLICY_ICMP;
	check_flow(p, &f, VERDICT_ALLOW, NULL);
	f = tcp_to("2606::1", 0);
	f.proto = POLICY_ICMP;
	check_flow(p, &f, VERDICT_ALLOW, NULL);
	f = tcp_to("2606::2", 0);
	f.proto = POLICY_ICMP;
	check_flow(p, &f, VERDICT_DENY, NOTHING);
	f = tcp_to("3.3.3.3", 0);
	f.proto = POLICY_ICMP;
	check_flow(p, &f, VERDICT_ALLOW, "allow@3.3.3.3");
}

static void directions_are_apart(void **state)
{
	cleanup_policy struct policy *p = policy_of(
		"none", "allow:ingress@192.168.0.0/16:tcp:80,"
			"allow:any@10.0.0.0/8,allow:ingress@loopback");
	struct policy_flow f = tcp_to("192.168.1.1", 80);

	(void)state;
	check_flow(p, &f, VERDICT_DENY, NOTHING);
	f.dir = POLICY_INGRESS;
	check_flow(p, &f, VERDICT_ALLOW, "allow:ingress@192.168.0.0/16:tcp:80");
	f.port = 81;
	check_flow(p, &f, VERDICT_DENY, "the default of ingress: deny");
	f = tcp_to("10.0.0.1", 1);
	check_flow(p, &f, VERDICT_ALLOW, NULL);
	f.dir = POLICY_INGRESS;
	check_flow(p, &f, VERDICT_ALLOW, NULL);
	f = tcp_to("127.0.0.1", 1);
	f.dir = POLICY_INGRESS;
	f.host = true;
	check_flow(p, &f, VERDICT_ALLOW, "allow:ingress@loopback");
}

/* ---- embedded addresses ------------------------------------------------- */

static void a_denied_network_is_denied_in_every_form(void **state)
{
	cleanup_policy struct policy *p =
		policy_of("all", "deny@10.0.0.0/8,deny@[2002::/16]");
	static const char *const forms[] = {
		"10.0.0.1",
		"::ffff:10.0.0.1",
		"::10.0.0.1",
		"64:ff9b::a00:1",
		"64:ff9b:1::a00:1",
		"64:ff9b:1:a00:0:100::",
		"64:ff9b:1:ff0a:0:1::",
		"64:ff9b:1:9:a:0:100:0",
		"64:ff9b:1:8:9:a:a00:1",
		"2002:a00:1::",
		"::ffff:0:10.0.0.1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		check(p, forms[i], VERDICT_DENY, "deny@10.0.0.0/8");
	check(p, "2002:808:808::1", VERDICT_DENY, "deny@[2002::/16]");
	check(p, "11.0.0.1", VERDICT_ALLOW, NULL);
	check(p, "64:ff9b::b00:1", VERDICT_ALLOW, NULL);
}

static void a_denied_group_is_denied_in_every_form(void **state)
{
	cleanup_policy struct policy *p =
		policy_of("all", "deny@private,deny@loopback,deny@meta");

	(void)state;
	check(p, "64:ff9b::a00:1", VERDICT_DENY, "deny@private");
	check(p, "64:ff9b:1:a00:0:100:808:808", VERDICT_DENY, "deny@private");
	check(p, "2002:7f00:1::1", VERDICT_DENY, "deny@loopback");
	check(p, "::169.254.169.254", VERDICT_DENY, "deny@meta");
	check(p, "64:ff9b:1:0:a9:fea9:fe00:0", VERDICT_DENY, "deny@meta");
	check(p, "8.8.8.8", VERDICT_ALLOW, NULL);
}

static void an_allowance_is_for_what_is_reached_in_truth(void **state)
{
	cleanup_policy struct policy *six = policy_of("none", "allow@[::/0]");
	cleanup_policy struct policy *four =
		policy_of("none", "allow@10.0.0.0/8");
	cleanup_policy struct policy *nat =
		policy_of("none", "allow@[64:ff9b::/96],"
	                          "allow@[64:ff9b:1:2::/64]");

	(void)state;
	check(six, "2606::1", VERDICT_ALLOW, NULL);
	check(six, "fd12::1", VERDICT_ALLOW, NULL);
	check(six, "10.0.0.1", VERDICT_DENY, NULL);
	check(six, "64:ff9b::a00:1", VERDICT_DENY, NULL);
	check(six, "2002:7f00:1::1", VERDICT_DENY, NULL);
	check(six, "64:ff9b:1:2::1", VERDICT_DENY, NULL);
	check(four, "64:ff9b::a00:1", VERDICT_ALLOW, NULL);
	check(four, "2002:a00:1::1", VERDICT_ALLOW, NULL);
	check(four, "64:ff9b:1:a00:0:100::", VERDICT_DENY, NULL);
	check(nat, "64:ff9b::808:808", VERDICT_ALLOW, NULL);
	check(nat, "64:ff9b:1:2::1", VERDICT_ALLOW, NULL);
	check(nat, "64:ff9b:1:3::1", VERDICT_DENY, NULL);
	check(nat, "8.8.8.8", VERDICT_DENY, NULL);
}

/* It stands for the host's loopback, not for an address of its network. */
static void no_network_allows_the_gateway(void **state)
{
	cleanup_policy struct policy *nets =
		policy_of("private", "allow@172.16.0.0/12,allow@0.0.0.0/0");
	cleanup_policy struct policy *own =
		policy_of("none", "allow@172.16.0.1:tcp:443");
	cleanup_policy struct policy *deny =
		policy_of("all", "deny@172.16.0.0/12");
	struct policy_flow f = tcp_to("172.16.0.1", 443);

	(void)state;
	f.host = f.gateway = true;
	check_flow(nets, &f, VERDICT_DENY, NOTHING);
	check_flow(own, &f, VERDICT_ALLOW, NULL);
	check_flow(deny, &f, VERDICT_DENY, "deny@172.16.0.0/12");
	f.host = f.gateway = false;
	check_flow(nets, &f, VERDICT_ALLOW, "allow@172.16.0.0/12");
}

static void dns_is_port_53_of_the_gateway(void **state)
{
	cleanup_policy struct policy *p = policy_of("public", NULL);
	struct policy_flow f = tcp_to("172.16.0.1", 53);

	(void)state;
	f.host = f.gateway = true;
	check_flow(p, &f, VERDICT_ALLOW, "allow@dns");
	f.proto = POLICY_UDP;
	check_flow(p, &f, VERDICT_ALLOW, "allow@dns");
	f.port = 54;
	check_flow(p, &f, VERDICT_DENY, NOTHING);
	f.port = 53;
	f.gateway = false;
	check_flow(p, &f, VERDICT_DENY, NOTHING);
}

/* ---- names -------------------------------------------------------------- */

/* 8.8.8.8 with pins @a and @b (or NULL), and what the flow names. */
static void check_named(const struct policy *p, const char *a, const char *b,
                        const char *name, enum verdict want, const char *rule)
{
	const char *const pins[] = {a, b};
	struct policy_flow f = tcp_to("8.8.8.8", 443);

	f.names = pins;
	f.nnames = (a != NULL) + (b != NULL);
	f.said = name;
	check_flow(p, &f, want, rule);
}

static void a_name_matches_by_its_pin(void **state)
{
	cleanup_policy struct policy *p =
		policy_of("none", "allow@api.example.com:tcp:443,"
	                          "deny@bad.corp.example,allow@*.corp.example");

	(void)state;
	assert_true(policy_has_names(p));
	check_named(p, NULL, NULL, NULL, VERDICT_DENY, NOTHING);
	check_named(p, "api.example.com", NULL, NULL, VERDICT_ALLOW,
	            "allow@api.example.com:tcp:443");
	check_named(p, "x.api.example.com", NULL, NULL, VERDICT_DENY, NOTHING);
	check_named(p, "example.com", NULL, NULL, VERDICT_DENY, NOTHING);
	check_named(p, "corp.example", NULL, NULL, VERDICT_ALLOW,
	            "allow@*.corp.example");
	check_named(p, "a.b.corp.example", NULL, NULL, VERDICT_ALLOW,
	            "allow@*.corp.example");
	check_named(p, "evilcorp.example", NULL, NULL, VERDICT_DENY, NOTHING);
	check_named(p, "bad.corp.example", NULL, NULL, VERDICT_DENY,
	            "deny@bad.corp.example");
	check_named(p, "corp.example.evil.com", NULL, NULL, VERDICT_DENY,
	            NOTHING);
}

static void a_name_without_a_pin_allows_nothing(void **state)
{
	cleanup_policy struct policy *p = policy_of("none", "allow@a.example");

	(void)state;
	check_named(p, NULL, NULL, "a.example", VERDICT_DENY, NOTHING);
	check_named(p, "b.example", NULL, "a.example", VERDICT_DENY, NOTHING);
}

static void a_flow_that_names_another_is_not_allowed_by_its_pin(void **state)
{
	cleanup_policy struct policy *p =
		policy_of("none", "allow@a.example,allow@*.b.example");

	(void)state;
	check_named(p, "a.example", NULL, "evil.example", VERDICT_DENY,
	            NOTHING);
	check_named(p, "a.example", NULL, "a.example", VERDICT_ALLOW, NULL);
	check_named(p, "a.example", NULL, "", VERDICT_ALLOW, NULL);
	/* One rule about both. */
	check_named(p, "x.b.example", NULL, "y.b.example", VERDICT_ALLOW,
	            "allow@*.b.example");
	check_named(p, "x.b.example", NULL, "a.example", VERDICT_DENY, NOTHING);
}

static void denied_names_are_denied_by_what_the_flow_says(void **state)
{
	cleanup_policy struct policy *p =
		policy_of("public", "deny@*.evil.com");

	(void)state;
	check_named(p, NULL, NULL, NULL, VERDICT_ALLOW, "allow@public");
	check_named(p, NULL, NULL, "x.evil.com", VERDICT_DENY,
	            "deny@*.evil.com");
	check_named(p, "good.com", NULL, "x.evil.com", VERDICT_DENY,
	            "deny@*.evil.com");
	/* An unknown name does not hide the pin. */
	check_named(p, "evil.com", NULL, "good.com", VERDICT_DENY,
	            "deny@*.evil.com");
	check_named(p, "evil.com", "good.com", "good.com", VERDICT_ALLOW,
	            "allow@public");
}

static void pins_that_differ_need_a_name(void **state)
{
	cleanup_policy struct policy *p =
		policy_of("none", "allow@a.example,deny@b.example");
	struct policy_flow udp = tcp_to("8.8.8.8", 443);
	static const char *const pins[] = {"c.example", "a.example"};

	(void)state;
	check_named(p, "a.example", "b.example", NULL, VERDICT_NEED_NAME, NULL);
	check_named(p, "b.example", "a.example", NULL, VERDICT_NEED_NAME, NULL);
	check_named(p, "a.example", "b.example", "a.example", VERDICT_ALLOW,
	            "allow@a.example");
	check_named(p, "a.example", "b.example", "b.example", VERDICT_DENY,
	            "deny@b.example");
	check_named(p, "a.example", "b.example", "c.example", VERDICT_DENY,
	            "deny@b.example");
	/* Nobody named: the first rule about any of the pins. */
	check_named(p, "b.example", "a.example", "", VERDICT_ALLOW,
	            "allow@a.example");
	check_named(p, "b.example", "c.example", NULL, VERDICT_DENY, NULL);
	/* UDP never says. */
	udp.proto = POLICY_UDP;
	udp.names = pins;
	udp.nnames = 2;
	check_flow(p, &udp, VERDICT_ALLOW, "allow@a.example");
}

static void strict_wants_the_name_in_the_flow(void **state)
{
	cleanup_policy struct policy *p =
		strict_of("none", "allow@a.example,allow@1.1.1.1");
	struct policy_flow udp = tcp_to("8.8.8.8", 443);
	static const char *const pin[] = {"a.example"};

	(void)state;
	check_named(p, "a.example", NULL, NULL, VERDICT_NEED_NAME,
	            "allow@a.example");
	check_named(p, "a.example", NULL, "", VERDICT_DENY, NOTHING);
	check_named(p, "a.example", NULL, "a.example", VERDICT_ALLOW,
	            "allow@a.example");
	check_named(p, "a.example", NULL, "b.example", VERDICT_DENY, NOTHING);
	check_named(p, "b.example", NULL, NULL, VERDICT_DENY, NOTHING);
	check(p, "1.1.1.1", VERDICT_ALLOW, "allow@1.1.1.1");
	udp.proto = POLICY_UDP;
	udp.names = pin;
	udp.nnames = 1;
	check_flow(p, &udp, VERDICT_DENY, NOTHING);
}

static void strict_leaves_denials_as_they_are(void **state)
{
	cleanup_policy struct policy *p = strict_of("public", "deny@a.example");

	(void)state;
	check_named(p, "a.example", NULL, NULL, VERDICT_DENY, "deny@a.example");
	check_named(p, "b.example", NULL, NULL, VERDICT_ALLOW, "allow@public");
	check_named(p, NULL, NULL, NULL, VERDICT_ALLOW, "allow@public");
}

/* Who owns a name chooses its addresses. */
static void a_name_opens_nothing_of_the_host(void **state)
{
	cleanup_policy struct policy *p = policy_of("none", "allow@a.example");
	static const char *const pin[] = {"a.example"};
	static const char *const closed[] = {
		"127.0.0.1", "169.254.169.254", "169.254.1.1",
		"224.0.0.1", "0.0.0.0",         "64:ff9b::7f00:1",
		"::1",       "2002:7f00:1::",   "64:ff9b:1:2::1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(closed); i++) {
		struct policy_flow f = tcp_to(closed[i], 80);

		f.names = pin;
		f.nnames = 1;
		check_flow(p, &f, VERDICT_DENY, NOTHING);
		f.said = "a.example";
		check_flow(p, &f, VERDICT_DENY, NOTHING);
	}
	for (int host = 0; host < 2; host++) {
		struct policy_flow f = tcp_to("10.0.0.1", 80);

		f.names = pin;
		f.nnames = 1;
		f.host = host;
		check_flow(p, &f, host ? VERDICT_DENY : VERDICT_ALLOW, NULL);
	}
}

/* ---- queries and answers ------------------------------------------------ */

static void check_query(const struct policy *p, const char *name,
                        enum verdict want, const char *rule)
{
	struct policy_answer a = policy_decide_name(p, name, POLICY_UDP);
	char text[POLICY_RULE_TEXT];

	(void)policy_rule_text(p, POLICY_EGRESS, a, text);
	if (a.verdict != want || (rule && strcmp(rule, text) != 0))
		fail_msg("%s: %s by %s", name, said(a.verdict), text);
}

static void queries_are_decided_by_order(void **state)
{
	cleanup_policy struct policy *p = policy_of(
		"public", "allow@ok.evil.com,deny@*.evil.com,deny@b.com:tcp:25,"
			  "deny@8.8.8.8,deny@private");
	cleanup_policy struct policy *only =
		policy_of("none", "allow@a.com:tcp:443,allow@8.8.8.8");
	cleanup_policy struct policy *host = policy_of("none", "allow@host");
	cleanup_policy struct policy *nohost = policy_of("all", "deny@host");
	cleanup_policy struct policy *web =
		policy_of("none", "allow@any:tcp:443");
	cleanup_policy struct policy *any = policy_of("none", "allow@any:udp");

	(void)state;
	check_query(p, "ok.evil.com", VERDICT_ALLOW, "allow@ok.evil.com");
	check_query(p, "evil.com", VERDICT_DENY, "deny@*.evil.com");
	check_query(p, "secret.x.evil.com", VERDICT_DENY, "deny@*.evil.com");
	check_query(p, "b.com", VERDICT_ALLOW, "allow@dns");
	check_query(p, "anything.else", VERDICT_ALLOW, "allow@dns");
	check_query(only, "a.com", VERDICT_ALLOW, "allow@a.com:tcp:443");
	check_query(only, "secret.a.com", VERDICT_DENY, NOTHING);
	check_query(only, "x.com", VERDICT_DENY, NOTHING);
	check_query(host, "x.com", VERDICT_ALLOW, "allow@host");
	check_query(nohost, "x.com", VERDICT_DENY, "deny@host");
	check_query(web, "x.com", VERDICT_DENY, NOTHING);
	check_query(any, "x.com", VERDICT_ALLOW, "allow@any:udp");
	assert_int_equal(policy_decide_name(any, "x.com", POLICY_TCP).verdict,
	                 VERDICT_DENY);
}

static void answers_may_hold_what_an_address_rule_allows(void **state)
{
	static const struct {
		const char *profile, *rules, *addr;
		bool host, want;
	} cases[] = {
		{"public",  NULL,                             "10.0.0.1",        false, false},
		{"all",     NULL,                             "10.0.0.1",        false, false},
		{"none",    "allow@any",                      "10.0.0.1",        false, false},
		{"private", NULL,                             "10.0.0.1",        false, true },
		{"private", NULL,                             "10.0.0.1",        true,  false},
		{"private", NULL,                             "127.0.0.1",       true,  false},
		{"private", NULL,                             "169.254.169.254", false, false},
		{"public",  "allow@10.0.0.0/8",               "10.0.0.1",        false, true },
		{"public",  "allow@10.0.0.0/8:tcp",           "10.0.0.1",        false, true },
		{"public",  "allow@10.0.0.0/8:tcp:80",        "10.0.0.1",        false, false},
		{"public",  "deny@10.0.0.1,allow@10.0.0.0/8", "10.0.0.1",        false,
	         false								       },
		{"public",  "allow@10.0.0.0/8",               "64:ff9b::a00:1",  false, true },
		{"public",  "allow@[::/0]",                   "64:ff9b::a00:1",  false, false},
		{"public",  "allow@a.example",                "10.0.0.1",        false, false},
		{"host",    NULL,                             "8.8.8.8",         true,  true },
		{"public",  NULL,                             "8.8.8.8",         true,  false},
		{"public",  "allow@loopback",                 "127.0.0.1",       true,  true },
		{"public",  "allow:ingress@private",          "10.0.0.1",        false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_policy struct policy *p =
			policy_of(cases[i].profile, cases[i].rules);
		struct policy_flow f = tcp_to(cases[i].addr, 0);

		if (policy_allows_answer(p, &f.peer, cases[i].host) !=
		    cases[i].want)
			fail_msg("%s %s: %s", cases[i].profile, cases[i].rules,
			         cases[i].addr);
	}
}

/* ---- many --------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* One decision's time among @n rules, all of which are looked at in vain. */
static uint64_t cost_of(const struct policy *p, const char *pin)
{
	const char *const pins[] = {pin};
	struct policy_flow f = tcp_to("8.8.8.8", 443);
	uint64_t best = UINT64_MAX;

	f.names = pins;
	f.nnames = 1;
	for (int round = 0; round < 5; round++) {
		uint64_t begin = now_ns();

		for (int i = 0; i < 100; i++)
			assert_int_equal(policy_decide(p, &f).verdict,
			                 VERDICT_DENY);
		best = MIN(best, (now_ns() - begin) / 100);
	}
	return best;
}

/* The bound leaves room for sanitizers and a busy machine. */
static void ten_thousand_rules_are_fast(void **state)
{
	const struct policy_spec spec = {.profile = "none"};
	const char *const formats[] = {"allow@h%d.example.com:tcp:443",
	                               "allow@10.%d.0.0/16:tcp:%d"};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(formats); k++) {
		cleanup_strv struct strv list = {0};
		cleanup_policy struct policy *p = NULL;
		struct policy_spec s = spec;
		uint64_t ns;

		for (int i = 0; i < POLICY_RULES_MAX; i++)
			assert_int_equal(strv_addf(&list, formats[k],
			                           k ? i % 256 : i, i + 1),
			                 0);
		s.rules = &list;
		assert_int_equal(policy_new(&s, &p, NULL), 0);
		ns = cost_of(p, "very.long.name.of.some.depth.example.com");
		printf("# %d rules like %s: %llu ns a flow\n", POLICY_RULES_MAX,
		       formats[k], (unsigned long long)ns);
		assert_true(ns < (k ? 2000000 : 100000));
	}
}

/* The index of names and the walk of the rest agree with a plain walk. */
static void the_index_finds_the_first_rule(void **state)
{
	cleanup_strv struct strv list = {0};
	struct policy_spec spec = {.profile = "none", .rules = &list};
	cleanup_policy struct policy *p = NULL;
	char name[64], rule[POLICY_RULE_TEXT], want[POLICY_RULE_TEXT];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(strv_addf(&list, "deny@n%d.x.example:tcp:%d",
		                           i % 500, 1 + i / 500),
		                 0);
		assert_int_equal(strv_addf(&list, "allow@*.n%d.x.example", i),
		                 0);
	}
	assert_int_equal(policy_new(&spec, &p, NULL), 0);
	for (int i = 0; i < 500; i++) {
		const char *const pins[] = {name};
		struct policy_flow f = tcp_to("8.8.8.8", 1);
		struct policy_answer a;

		(void)snprintf(name, sizeof(name), "n%d.x.example", i);
		f.names = pins;
		f.nnames = 1;
		a = policy_decide(p, &f);
		assert_int_equal(a.rule, 2 * i);
		f.port = 2; /* its allowance comes before the next denial */
		a = policy_decide(p, &f);
		assert_int_equal(a.rule, 2 * i + 1);
		(void)snprintf(want, sizeof(want), "allow@*.%s", name);
		assert_string_equal(policy_rule_text(p, POLICY_EGRESS, a, rule),
		                    want);
	}
}

/* ---- explain ------------------------------------------------------------ */

static json_t *explain(const struct policy *p, const char *host, uint16_t port,
                       const struct policy_seen *seen, size_t n)
{
	char *text = policy_explain(p, host, port, POLICY_TCP, seen, n);
	json_t *j;

	assert_non_null(text);
	j = json_loads(text, 0, NULL);
	assert_non_null(j);
	free(text);
	return j;
}

static void check_string(const json_t *j, const char *key, const char *want)
{
	const char *got = json_string_value(json_object_get(j, key));

	if (!got || !strstr(got, want))
		fail_msg("%s is %s, not %s", key, got ? got : "missing", want);
}

static void addresses_are_explained(void **state)
{
	cleanup_policy struct policy *p = policy_of("public", NULL);
	struct policy_seen own = {.host = true};
	json_t *j = explain(p, "8.8.8.8", 443, NULL, 0);

	(void)state;
	check_string(j, "verdict", "allow");
	check_string(j, "rule", "allow@public");
	check_string(j, "reason", "a public address, unless it is");
	assert_int_equal(json_integer_value(json_object_get(j, "number")), 2);
	json_decref(j);

	j = explain(p, "64:ff9b::a00:1", 443, NULL, 0);
	check_string(j, "verdict", "deny");
	check_string(j, "reason", "stands for the private address 10.0.0.1");
	assert_int_equal(json_integer_value(json_object_get(j, "number")), 0);
	json_decref(j);

	assert_int_equal(addr_parse("8.8.8.8", &own.addr), 0);
	j = explain(p, "8.8.8.8", 443, &own, 1);
	check_string(j, "verdict", "deny");
	check_string(j, "reason", "an address of this host's own");
	assert_true(json_is_true(json_object_get(
		json_array_get(json_object_get(j, "addresses"), 0),
		"host_own")));
	json_decref(j);
}

static void names_are_explained(void **state)
{
	cleanup_policy struct policy *p =
		policy_of("public", "deny@*.evil.com,deny@1.1.1.1");
	cleanup_policy struct policy *strict =
		strict_of("none", "allow@a.example");
	static const char *const name[] = {"a.example"};
	struct policy_seen seen[] = {
		{.names = name, .nnames = 1},
                {.names = name, .nnames = 1}
        };
	json_t *j = explain(p, "X.evil.com.", 443, NULL, 0);

	(void)state;
	check_string(j, "verdict", "deny");
	check_string(j, "reason", "may not be looked up: deny@*.evil.com");
	check_string(json_object_get(j, "dns"), "verdict", "deny");
	json_decref(j);

	j = explain(p, "a.example", 443, NULL, 0);
	check_string(j, "verdict", "allow");
	check_string(j, "reason", "has no address of the name; for public");
	check_string(json_object_get(j, "dns"), "rule", "allow@dns");
	json_decref(j);

	assert_int_equal(addr_parse("8.8.8.8", &seen[0].addr), 0);
	assert_int_equal(addr_parse("1.1.1.1", &seen[1].addr), 0);
	j = explain(p, "a.example", 0, seen, 2);
	check_string(j, "verdict", "depends");
	check_string(j, "reason", "its addresses differ");
	check_string(j, "reason", "without a port");
	json_decref(j);

	j = explain(strict, "a.example", 443, seen, 1);
	check_string(j, "verdict", "allow");
	check_string(j, "reason", "once the flow names it");
	json_decref(j);
}

static void what_is_no_host_is_explained_too(void **state)
{
	cleanup_policy struct policy *p = policy_of("all", NULL);
	static const char *const odd[] = {"", "a b", "1.2.3.4:80", "\xff\xfe",
	                                  "::1%lo"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		json_t *j = explain(p, odd[i], 80, NULL, 0);

		check_string(j, "verdict", "deny");
		check_string(j, "reason", "neither a name nor an address");
		json_decref(j);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(public_is_the_profile_without_one),
		cmocka_unit_test(a_public_address_of_the_host_is_not_public),
		cmocka_unit_test(
			an_address_that_hides_the_hosts_is_denied_with_it_not_allowed),
		cmocka_unit_test(private_opens_no_metadata_and_no_loopback),
		cmocka_unit_test(all_and_none_are_what_they_say),
		cmocka_unit_test(defaults_stand_without_a_profile),
		cmocka_unit_test(reserved_addresses_need_any_or_their_own_rule),
		cmocka_unit_test(
			denials_of_loopback_and_metadata_hold_on_the_host),
		cmocka_unit_test(the_first_that_matches_decides),
		cmocka_unit_test(ports_and_protocols_are_part_of_a_match),
		cmocka_unit_test(directions_are_apart),
		cmocka_unit_test(a_denied_network_is_denied_in_every_form),
		cmocka_unit_test(a_denied_group_is_denied_in_every_form),
		cmocka_unit_test(an_allowance_is_for_what_is_reached_in_truth),
		cmocka_unit_test(no_network_allows_the_gateway),
		cmocka_unit_test(dns_is_port_53_of_the_gateway),
		cmocka_unit_test(a_name_matches_by_its_pin),
		cmocka_unit_test(a_name_without_a_pin_allows_nothing),
		cmocka_unit_test(
			a_flow_that_names_another_is_not_allowed_by_its_pin),
		cmocka_unit_test(denied_names_are_denied_by_what_the_flow_says),
		cmocka_unit_test(pins_that_differ_need_a_name),
		cmocka_unit_test(strict_wants_the_name_in_the_flow),
		cmocka_unit_test(strict_leaves_denials_as_they_are),
		cmocka_unit_test(a_name_opens_nothing_of_the_host),
		cmocka_unit_test(queries_are_decided_by_order),
		cmocka_unit_test(answers_may_hold_what_an_address_rule_allows),
		cmocka_unit_test(ten_thousand_rules_are_fast),
		cmocka_unit_test(the_index_finds_the_first_rule),
		cmocka_unit_test(addresses_are_explained),
		cmocka_unit_test(names_are_explained),
		cmocka_unit_test(what_is_no_host_is_explained_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
