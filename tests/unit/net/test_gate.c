/* The gate: flows as the policy sees them, counted; and explained. */
#include "lib/test.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/num.h"
#include "net/net_int.h"

/* A network of which only what the gate looks at is there. */
struct rig {
	struct net n;
	struct net_host_ops ops;
	struct policy *policy;
	const char *own; /* an address of the host */
	uint64_t now;
};

static struct addr addr_of(const char *text)
{
	struct addr a;

	if (addr_parse(text, &a) < 0)
		fail_msg("%s does not parse", text);
	return a;
}

static bool is_own(void *arg, const struct addr *a)
{
	const struct rig *r = arg;
	struct addr own = addr_of(r->own);

	return addr_eq(&own, a);
}

static uint64_t rig_now(void *arg)
{
	return ((struct rig *)arg)->now;
}

static void set_up(struct rig *r, const char *profile, const char *rules,
                   bool strict)
{
	cleanup_strv struct strv list = {0};
	struct policy_spec spec = {
		.profile = profile, .rules = &list, .strict = strict};
	struct err err = {0};

	*r = (struct rig){.own = "93.184.216.34", .now = 1000};
	if (rules)
		assert_int_equal(strv_add(&list, rules), 0);
	if (policy_new(&spec, &r->policy, &err) < 0)
		fail_msg("%s", err.msg);
	r->ops = (struct net_host_ops){
		.now_ns = rig_now, .is_local = is_own, .arg = r};
	r->n.cfg = (struct net_config){
		.policy = r->policy,
		.gateway4 = addr_of("172.16.0.1"),
		.gateway6 = addr_of("fd42:6d73:62::1"),
		.host = &r->ops,
	};
	r->n.pins = pins_new();
	assert_non_null(r->n.pins);
}

static void tear_down(struct rig *r)
{
	pins_free(r->n.pins);
	policy_free(r->policy);
}

static enum verdict ask(struct rig *r, const char *addr, uint16_t port,
                        const char *said)
{
	struct tuple t = {.peer = addr_of(addr), .pport = port};

	return gate_egress(&r->n, POLICY_TCP, &t, said);
}

static void denials_are_counted(void **state)
{
	struct rig r;

	(void)state;
	set_up(&r, "public", NULL, false);
	assert_int_equal(ask(&r, "8.8.8.8", 443, NULL), VERDICT_ALLOW);
	assert_int_equal(r.n.counters.denied, 0);
	assert_int_equal(ask(&r, "10.0.0.1", 443, NULL), VERDICT_DENY);
	assert_int_equal(ask(&r, "64:ff9b::a9fe:a9fe", 80, NULL), VERDICT_DENY);
	assert_int_equal(r.n.counters.denied, 2);
	gate_refused(&r.n, "a test");
	assert_int_equal(r.n.counters.refused, 1);
	assert_int_equal(r.n.counters.denied, 2);
	tear_down(&r);
}

static void the_host_is_reached_only_when_allowed(void **state)
{
	static const char *const own[] = {"93.184.216.34", "172.16.0.1",
	                                  "fd42:6d73:62::1"};
	struct rig pub, host;

	(void)state;
	set_up(&pub, "public,private", "allow@172.16.0.0/12", false);
	set_up(&host, "host", NULL, false);
	for (size_t i = 0; i < 3; i++) {
		struct addr a = addr_of(own[i]);

		assert_true(gate_is_host(&pub.n, &a));
		assert_int_equal(gate_is_gateway(&pub.n, &a), i > 0);
		assert_int_equal(ask(&pub, own[i], 22, NULL), VERDICT_DENY);
		assert_int_equal(ask(&host, own[i], 22, NULL), VERDICT_ALLOW);
	}
	assert_int_equal(ask(&pub, "172.16.0.5", 22, NULL), VERDICT_ALLOW);
	tear_down(&pub);
	tear_down(&host);
}

static void the_gateway_stands_for_the_loopback(void **state)
{
	static const struct {
		const char *peer, *target;
	} cases[] = {
		{"172.16.0.1",      "127.0.0.1" },
		{"fd42:6d73:62::1", "::1"       },
		{"172.16.0.2",      "172.16.0.2"},
		{"64:ff9b::1",      "64:ff9b::1"},
	};
	char text[ADDR_TEXT_MAX];
	struct rig r;

	(void)state;
	set_up(&r, "host", NULL, false);
	for (size_t i = 0; i < 4; i++) {
		struct addr a = addr_of(cases[i].peer);
		struct addr to = gate_target(&r.n, &a);

		assert_string_equal(addr_text(&to, text), cases[i].target);
	}
	tear_down(&r);
}

static void names_come_from_the_pins(void **state)
{
	struct addr a = addr_of("8.8.8.8");
	struct rig r;

	(void)state;
	set_up(&r, "none", "allow@a.example", false);
	assert_int_equal(ask(&r, "8.8.8.8", 443, NULL), VERDICT_DENY);
	assert_int_equal(pins_add(r.n.pins, &a, "a.example", 1, r.now), 0);
	assert_int_equal(ask(&r, "8.8.8.8", 443, NULL), VERDICT_ALLOW);
	assert_int_equal(ask(&r, "8.8.8.8", 443, "b.example"), VERDICT_DENY);
	assert_int_equal(ask(&r, "8.8.4.4", 443, "a.example"), VERDICT_DENY);
	r.now += (PIN_LIFE_MIN + 1) * NS_PER_S;
	assert_int_equal(ask(&r, "8.8.8.8", 443, NULL), VERDICT_DENY);
	tear_down(&r);

	set_up(&r, "none", "allow@a.example", true);
	assert_int_equal(pins_add(r.n.pins, &a, "a.example", 1, r.now), 0);
	assert_int_equal(ask(&r, "8.8.8.8", 443, NULL), VERDICT_NEED_NAME);
	assert_int_equal(r.n.counters.denied, 0);
	assert_int_equal(ask(&r, "8.8.8.8", 443, ""), VERDICT_DENY);
	assert_int_equal(ask(&r, "8.8.8.8", 443, "a.example"), VERDICT_ALLOW);
	assert_int_equal(r.n.counters.denied, 1);
	tear_down(&r);
}

static const char *name_for(struct rig *r, const char *addr)
{
	struct tuple t = {.peer = addr_of(addr), .pport = 443};
	const char *name = gate_name(&r->n, POLICY_TCP, &t);

	return name ? name : "";
}

/* A proxy makes of a name what it likes: it is one that the policy means. */
static void a_proxy_hears_only_names_that_are_allowed(void **state)
{
	static const struct {
		const char *profile, *rules, *name;
	} cases[] = {
		{"public",  NULL,                              "evil.example"}, /* the newest of any */
		{"none",    "allow@8.8.8.8",                   ""            },
		{"public",  "allow@8.8.8.0/24",                ""            },
		{"public",  "allow@any:udp,deny@evil.example", "good.example"},
		{"private", "allow@good.example",              "good.example"},
		{"private", "allow@other.example",             ""            },
	};
	struct addr a = addr_of("8.8.8.8");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rig r;

		set_up(&r, cases[i].profile, cases[i].rules, false);
		assert_string_equal(name_for(&r, "8.8.8.8"), "");
		assert_int_equal(
			pins_add(r.n.pins, &a, "good.example", 300, r.now), 0);
		assert_int_equal(
			pins_add(r.n.pins, &a, "evil.example", 300, r.now), 0);
		assert_string_equal(name_for(&r, "8.8.8.8"), cases[i].name);
		assert_int_equal(r.n.counters.denied, 0);
		tear_down(&r);
	}
}

static void clients_are_judged_by_address_and_guest_port(void **state)
{
	struct addr lan = addr_of("192.168.1.7"),
		    own = addr_of("93.184.216.34");
	struct rig r;

	(void)state;
	set_up(&r, "public",
	       "deny:ingress@192.168.0.0/16:tcp:80,deny:ingress@host:udp",
	       false);
	assert_int_equal(gate_ingress(&r.n, POLICY_TCP, &lan, 80),
	                 VERDICT_DENY);
	assert_int_equal(gate_ingress(&r.n, POLICY_TCP, &lan, 81),
	                 VERDICT_ALLOW);
	assert_int_equal(gate_ingress(&r.n, POLICY_UDP, &own, 81),
	                 VERDICT_DENY);
	assert_int_equal(gate_ingress(&r.n, POLICY_TCP, &own, 81),
	                 VERDICT_ALLOW);
	assert_int_equal(r.n.counters.denied, 2);
	tear_down(&r);
}

/* What the log has after a denial. */
static void denials_are_logged_when_asked(void **state)
{
	struct addr a = addr_of("10.0.0.1");
	char text[1000] = "";
	int fds[2];
	struct rig r;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	set_up(&r, "public", "deny@*.corp.example", false);
	assert_int_equal(pins_add(r.n.pins, &a, "db.corp.example", 1, r.now),
	                 0);
	assert_int_equal(pins_add(r.n.pins, &a, "db2.example", 1, r.now), 0);
	log_setup("test", fds[1], LOG_WARN);
	assert_int_equal(ask(&r, "10.0.0.1", 5432, "x.corp.example"),
	                 VERDICT_DENY);
	r.n.cfg.log_denied = true;
	for (int i = 0; i < 50; i++)
		assert_int_equal(ask(&r, "10.0.0.1", 5432, "x.corp.example"),
		                 VERDICT_DENY);
	log_setup("test", 2, LOG_WARN);
	(void)close(fds[1]);
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	(void)close(fds[0]);
	assert_non_null(strstr(text, "denied: tcp to 10.0.0.1 port 5432"));
	assert_non_null(strstr(text, "db.corp.example"));
	assert_non_null(strstr(text, "db2.example"));
	assert_non_null(strstr(text, "named x.corp.example"));
	assert_non_null(strstr(text, ": deny@*.corp.example\n"));
	/* Not one line for each. */
	assert_true(strlen(text) < 900);
	assert_int_equal(r.n.counters.denied, 51);
	tear_down(&r);
}

/* ---- explain ------------------------------------------------------------ */

static json_t *explain(struct rig *r, const char *host, uint16_t port)
{
	char *text = net_explain(&r->n, host, port, POLICY_TCP);
	json_t *j;

	assert_non_null(text);
	j = json_loads(text, 0, NULL);
	assert_non_null(j);
	free(text);
	return j;
}

static const char *string_of(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

static void explain_knows_pins_and_the_host(void **state)
{
	struct addr a = addr_of("93.184.216.34"), b = addr_of("8.8.8.8");
	json_t *j, *list;
	struct rig r;

	(void)state;
	set_up(&r, "public", NULL, false);
	j = explain(&r, "93.184.216.34", 80);
	assert_string_equal(string_of(j, "verdict"), "deny");
	assert_non_null(strstr(string_of(j, "reason"), "this host's own"));
	json_decref(j);

	assert_int_equal(pins_add(r.n.pins, &a, "a.example", 1, r.now), 0);
	assert_int_equal(pins_add(r.n.pins, &b, "a.example", 1, r.now), 0);
	j = explain(&r, "A.example.", 443);
	list = json_object_get(j, "addresses");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(string_of(j, "verdict"), "depends");
	json_decref(j);

	j = explain(&r, DNS_HOST_NAME, 80);
	list = json_object_get(j, "addresses");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(string_of(j, "verdict"), "deny");
	assert_non_null(strstr(string_of(j, "reason"), "the gateway"));
	assert_null(json_object_get(j, "dns"));
	json_decref(j);
	assert_int_equal(r.n.counters.denied, 0); /* asking is no flow */
	tear_down(&r);
}

static void many_pins_are_explained(void **state)
{
	char name[32];
	json_t *j;
	struct rig r;

	(void)state;
	set_up(&r, "public", NULL, false);
	for (uint32_t i = 0; i < 100; i++) {
		struct addr a = addr_v4(0x08080000 + i);

		(void)snprintf(name, sizeof(name), "n%u.example", i);
		assert_int_equal(
			pins_add(r.n.pins, &a, "many.example", 1, r.now), 0);
		a = addr_v4(0x08080808);
		assert_int_equal(pins_add(r.n.pins, &a, name, 1, r.now), 0);
	}
	j = explain(&r, "many.example", 443);
	assert_string_equal(string_of(j, "verdict"), "allow");
	json_decref(j);
	j = explain(&r, "8.8.8.8", 443);
	assert_string_equal(string_of(j, "verdict"), "allow");
	json_decref(j);
	tear_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(denials_are_counted),
		cmocka_unit_test(the_host_is_reached_only_when_allowed),
		cmocka_unit_test(the_gateway_stands_for_the_loopback),
		cmocka_unit_test(names_come_from_the_pins),
		cmocka_unit_test(a_proxy_hears_only_names_that_are_allowed),
		cmocka_unit_test(clients_are_judged_by_address_and_guest_port),
		cmocka_unit_test(denials_are_logged_when_asked),
		cmocka_unit_test(explain_knows_pins_and_the_host),
		cmocka_unit_test(many_pins_are_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
