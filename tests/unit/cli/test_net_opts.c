/* A sandbox's network, from options and files to the library's struct. */
#include "lib/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "cli/opt.h"
#include "forms/conf.h"

struct holder {
	struct net_values net;
};
#define AT(f) offsetof(struct holder, net.f)
static const struct opt opts[] = {NET_OPTS(AT){0}};
static const struct opt none[] = {{0}};

static struct holder values;
static struct conf conf;
static struct net_made *made;
static struct err err;

static int teardown(void **state)
{
	(void)state;
	net_made_free(made);
	made = NULL;
	opt_release(opts, &values);
	conf_release(&conf);
	values = (struct holder){0};
	err = (struct err){0};
	return 0;
}

static void file(const char *text)
{
	assert_int_equal(
		conf_parse(&conf, "conf", "f.yaml", text, strlen(text), &err),
		0);
}

static int make(const char *const *args)
{
	static char room[40][256];
	char *argv[40], *words[40];
	struct opt_parser p = {
		.targets = {{opts, &values}, {none, NULL}},
		.argv = argv,
		.words = words
        };
	size_t n = 0;
	int r;

	for (; args[n]; n++) {
		(void)snprintf(room[n], sizeof(room[n]), "%s", args[n]);
		argv[n] = room[n];
	}
	argv[n] = NULL;
	r = opt_parse(&p, &err);
	if (r == OPT_DONE)
		r = net_opts_put(&conf.net, &values.net, &err);
	return r < 0 ? r : net_conf_make(&conf.net, &made, &err);
}

#define ARGS(...)  ((const char *const[]){__VA_ARGS__, NULL})
#define NO_ARGS    ((const char *const[]){NULL})
#define NET        (&made->network)
#define TEST(name) cmocka_unit_test_teardown(name, teardown)

static void makes(const char *const *args)
{
	if (make(args) < 0)
		fail_msg("%s: %s", args[0] ? args[0] : "", err.msg);
}

static void refuses(const char *const *args, const char *message)
{
	assert_true(make(args) < 0);
	if (!strstr(err.msg, message))
		fail_msg("'%s' is not in: %s", message, err.msg);
	(void)teardown(NULL);
}

static size_t count(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static void nothing_said_is_nothing_set(void **state)
{
	(void)state;
	makes(NO_ARGS);
	assert_null(NET->profile);
	assert_int_equal(NET->flags, 0);
	assert_int_equal(NET->default_egress, MSB_NET_UNSET);
	assert_int_equal(count(NET->rules), 0);
	assert_null(NET->ports[0]);
	assert_int_equal(NET->egress_bytes.per_second, 0);
}

static void ports_have_an_address_and_a_protocol(void **state)
{
	const struct msb_port *const *p;

	(void)state;
	makes(ARGS("-p", "8080:80", "-p0:1", "--port=[::1]:53:53/udp", "-p",
	           "0.0.0.0:65535:65535/tcp", "-p", "[fe80::1%eth0]:1:2"));
	p = NET->ports;
	assert_null(p[0]->bind);
	assert_int_equal(p[0]->host, 8080);
	assert_int_equal(p[0]->guest, 80);
	assert_int_equal(p[1]->host, 0);
	assert_string_equal(p[2]->bind, "::1");
	assert_int_equal(p[2]->flags, MSB_PORT_UDP);
	assert_string_equal(p[3]->bind, "0.0.0.0");
	assert_int_equal(p[3]->flags, 0);
	assert_string_equal(p[4]->bind, "fe80::1%eth0"); /* for the library */
	assert_null(p[5]);
}

static void what_is_no_port_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"80",
		":80",
		"80:",
		"80:0",
		"a:80",
		"80:a",
		"65536:80",
		"80:65536",
		"-1:80",
		"+1:80",
		"1: 2",
		"::1:80:80",
		"[::1]80:80",
		"[]:80:80",
		"[::1:8:8",
		"1.2.3.4:80",
		"a:b:1:2",
		"1:2/sctp",
		"1:2/",
		"1:2/tcp/",
		":1:2",
		"1:2:",
		"1:2:3:4",
		"1:2/TCP",
		"00000000000000000000000000000000000000000000000000"
		"0000000000000000001:2"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct msb_port p;
		const char *bind;
		size_t len;

		if (net_opts_port(bad[i], &p, &bind, &len, &err) == 0)
			fail_msg("'%s' is a port", bad[i]);
		assert_non_null(strstr(err.msg, "--port: '"));
		assert_true(err.hint[0]);
	}
}

static void rates_are_a_second_and_what_comes_at_once(void **state)
{
	(void)state;
	makes(ARGS("--net-egress-bandwidth", "10M/2s", "--net-egress-ops",
	           "1000", "--net-ingress-bandwidth", "512K",
	           "--net-ingress-bandwidth-burst", "1M", "--net-ingress-ops",
	           "90/1m"));
	assert_int_equal(NET->egress_bytes.per_second, 5 * MIB);
	assert_int_equal(NET->egress_bytes.burst, 10 * MIB);
	assert_int_equal(NET->egress_packets.per_second, 1000);
	assert_int_equal(NET->egress_packets.burst, 1000);
	assert_int_equal(NET->ingress_bytes.per_second, 512 * KIB);
	assert_int_equal(NET->ingress_bytes.burst, MIB);
	assert_int_equal(NET->ingress_packets.per_second, 1);
	assert_int_equal(NET->ingress_packets.burst, 90);
}

static void what_is_no_rate_is_refused(void **state)
{
	static const char *const bad[] = {"",      "0",        "x",       "1M/",
	                                  "1M/0s", "1M/x",     "/1s",     "-1",
	                                  "1/2s",  "9999999T", "1M/1s/1s"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		refuses(ARGS("--net-egress-bandwidth", bad[i]),
		        "--net-egress-bandwidth: '");
	refuses(ARGS("--net-ingress-ops", "10K"), "--net-ingress-ops: '10K'");
	refuses(ARGS("--net-egress-ops-burst", "1"),
	        "--net-egress-ops-burst needs --net-egress-ops");
	refuses(ARGS("--net-egress-ops", "1", "--net-egress-ops-burst", "0"),
	        "--net-egress-ops-burst: '0'");
}

static void policy_options_are_those_of_the_rust_msb(void **state)
{
	(void)state;
	makes(ARGS("--net", "public,host", "--net", "private", "--net-rule",
	           "deny@1.1.1.1,allow@x.org", "--net-rule", "allow@y.org"));
	assert_string_equal(NET->profile, "public,host,private");
	assert_int_equal(count(NET->rules), 2);
	(void)teardown(NULL);
	makes(ARGS("--no-net", "--net-rule", "allow@x.org"));
	assert_null(NET->profile);
	assert_int_equal(NET->default_egress, MSB_NET_DENY);
	assert_int_equal(NET->default_ingress, MSB_NET_DENY);
	assert_string_equal(NET->rules[0], "allow@x.org");
	(void)teardown(NULL);
	makes(ARGS("--net-default", "allow"));
	assert_int_equal(NET->default_egress, MSB_NET_ALLOW);
	assert_int_equal(NET->default_ingress, MSB_NET_ALLOW);
	(void)teardown(NULL);
	makes(ARGS("--net-default-ingress", "deny"));
	assert_int_equal(NET->default_egress, MSB_NET_UNSET);
	assert_int_equal(NET->default_ingress, MSB_NET_DENY);
}

static void what_contradicts_is_refused(void **state)
{
	static const char *const defaults[] = {"--net-default=deny",
	                                       "--net-default-egress=deny",
	                                       "--net-default-ingress=deny"};

	(void)state;
	refuses(ARGS("--no-net", "--net", "all"), "--no-net and --net exclude");
	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++) {
		refuses(ARGS("--no-net", defaults[i]),
		        "--no-net and --net-def");
		refuses(ARGS("--net=none", defaults[i]), "--net and --net-def");
	}
	refuses(ARGS(defaults[0], defaults[1]), "exclude each other");
	refuses(ARGS("--net-default", "maybe"), "--net-default: 'maybe'");
}

static void a_files_allow_list_is_all_that_is_allowed(void **state)
{
	(void)state;
	file("network: {policy: public, allow: [x.org], deny: [y.x.org], "
	     "rules: ['deny@any']}");
	makes(ARGS("--net-rule", "deny@z.org"));
	assert_null(NET->profile);
	assert_int_equal(NET->default_egress, MSB_NET_DENY);
	assert_int_equal(NET->default_ingress, MSB_NET_UNSET);
	assert_int_equal(count(NET->rules), 4);
	assert_string_equal(NET->rules[0], "deny@z.org");
	assert_string_equal(NET->rules[1], "deny@y.x.org");
	assert_string_equal(NET->rules[2], "allow@x.org");
	assert_string_equal(NET->rules[3], "deny@any");
	(void)teardown(NULL);
	file("network: {policy: none, allow: [x.org]}");
	makes(NO_ARGS);
	assert_string_equal(NET->profile, "none");
	(void)teardown(NULL);
	file("network: {deny: [x.org]}");
	makes(NO_ARGS);
	assert_null(NET->profile); /* public, by the library */
	assert_int_equal(NET->default_egress, MSB_NET_UNSET);
}

static void options_replace_a_files_policy(void **state)
{
	(void)state;
	file("network: {policy: private, allow: [x.org], rules: ['allow@any'], "
	     "default_ingress: deny, mtu: 9000}");
	makes(ARGS("--no-net"));
	assert_null(NET->profile);
	assert_int_equal(count(NET->rules), 0);
	assert_int_equal(NET->default_egress, MSB_NET_DENY);
	assert_int_equal(NET->mtu, 9000); /* that is no policy */
	(void)teardown(NULL);
	file("network: {policy: none, deny: [x.org]}");
	makes(ARGS("--net", "all"));
	assert_string_equal(NET->profile, "all");
	assert_int_equal(count(NET->rules), 0);
}

static void lists_of_options_are_added(void **state)
{
	(void)state;
	file("network: {ports: ['1:1'], dns: {nameservers: [1.1.1.1]}, "
	     "vsock: ['/a:5']}\nports: ['2:2']");
	makes(ARGS("-p", "3:3", "--dns-nameserver", "9.9.9.9", "--vsock",
	           "/b:6/dgram", "--dns-query-timeout-ms", "100"));
	assert_int_equal(NET->ports[0]->host, 1);
	assert_int_equal(NET->ports[1]->host, 2);
	assert_int_equal(NET->ports[2]->host, 3);
	assert_null(NET->ports[3]);
	assert_int_equal(count(NET->nameservers), 2);
	assert_string_equal(NET->vsock[1], "/b:6/dgram");
	assert_int_equal(NET->dns_timeout_ms, 100);
}

static void flags_and_texts_arrive(void **state)
{
	(void)state;
	makes(ARGS("--net-strict", "--trust-host-cas", "--net-log-denied",
	           "--no-dns-rebind-protection", "--proxy",
	           "socks5://1.2.3.4:5", "--socks5-username", "u",
	           "--socks5-password-env", "PW", "--pcap", "x.pcap",
	           "--net-mtu", "9000", "--max-connections", "7",
	           "--net-ipv4-pool", "10.0.0.0/8", "--net-ipv6-pool",
	           "fd00::/48"));
	assert_int_equal(NET->flags, MSB_NET_STRICT | MSB_NET_TRUST_HOST_CAS |
	                                     MSB_NET_LOG_DENIED |
	                                     MSB_NET_NO_REBIND_PROTECTION);
	assert_string_equal(NET->proxy, "socks5://1.2.3.4:5");
	assert_string_equal(NET->socks5_username, "u");
	assert_string_equal(NET->socks5_password_env, "PW");
	assert_string_equal(NET->pcap, "x.pcap");
	assert_int_equal(NET->mtu, 9000);
	assert_int_equal(NET->max_connections, 7);
	assert_string_equal(NET->ipv4_pool, "10.0.0.0/8");
	assert_string_equal(NET->ipv6_pool, "fd00::/48");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_said_is_nothing_set),
		TEST(ports_have_an_address_and_a_protocol),
		TEST(what_is_no_port_is_refused),
		TEST(rates_are_a_second_and_what_comes_at_once),
		TEST(what_is_no_rate_is_refused),
		TEST(policy_options_are_those_of_the_rust_msb),
		TEST(what_contradicts_is_refused),
		TEST(a_files_allow_list_is_all_that_is_allowed),
		TEST(options_replace_a_files_policy),
		TEST(lists_of_options_are_added),
		TEST(flags_and_texts_arrive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
