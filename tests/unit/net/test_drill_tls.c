/* Which flows go to msb-tls, how, and what comes of it; it is played here. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/test.h"

#include "base/num.h"
#include "drill_tls.h"
#include "net/sniff.h"

/* ---- TLS ----------------------------------------------------------------- */

static void a_flow_is_handed_over_by_its_name(void **state)
{
	struct drill *d = tls_drill(ONE);
	uint8_t hello[600], back[600];
	size_t len = tls_hello(hello, "API.Example.com", false);
	struct drill_conn c;
	struct tls_got g;
	struct addr peer;

	(void)state;
	pin(d, PEER, API);
	g = handed(d, &c, "API.Example.com");
	assert_int_equal(g.m.kind, TLSLINK_TLS);
	assert_int_equal(g.m.pinned, 1);
	assert_int_equal(g.m.port, 443);
	assert_string_equal(g.m.name, API);
	assert_true(g.m.id);
	memcpy(&peer, g.m.peer, sizeof(peer));
	assert_true(addr_eq(&peer, &c.peer));
	/* What was looked at is still in the stream. */
	assert_int_equal(host_read(g.guest, back, sizeof(back), NULL), len);
	assert_memory_equal(back, hello, len);
	assert_int_equal(host_read(c.fd, back, sizeof(back), NULL), 0);
	/* And the server's socket is that of the flow. */
	assert_int_equal(write(g.server, "up", 2), 2);
	assert_int_equal(host_read(c.fd, back, sizeof(back), NULL), 2);
	host_write(d, g.guest, "down", 4);
	assert_int_equal(conn_read(&c, back, sizeof(back)), 4);
	conn_write(&c, "more", 4);
	drill_run(d);
	assert_int_equal(host_read(g.guest, back, sizeof(back), NULL), 4);
	assert_int_equal(net_counters(d->net)->tls_flows, 1);
	tls_close(&g);
	(void)close(c.fd);
	drill_free(d);
}

static void a_hello_may_come_in_any_pieces(void **state)
{
	uint8_t hello[600], back[600];
	size_t len = tls_hello(hello, API, false);

	(void)state;
	for (size_t cut = 1; cut < len; cut += 7) {
		struct drill *d = tls_drill(ONE);
		struct drill_conn c;
		struct tls_got g;

		conn_open(d, &c, PEER, 443);
		for (size_t at = 0; at < len; at += cut) {
			assert_false(tls_flow(d->tls, &g));
			conn_write(&c, hello + at, MIN(cut, len - at));
			drill_run(d);
		}
		assert_int_equal(host_read(c.fd, back, 600, NULL), 0);
		assert_true(tls_flow(d->tls, &g));
		assert_int_equal(g.m.pinned, 0);
		assert_int_equal(host_read(g.guest, back, 600, NULL), len);
		assert_memory_equal(back, hello, len);
		tls_close(&g);
		(void)close(c.fd);
		drill_free(d);
	}
}

/* clang-format off */
static const struct {
	const char *config, *name;
	uint16_t port;
	bool taken;
} names[] = {
	{ONE,                                            API,                443,  true },
	{ONE,                                            API ".",            443,  true },
	{ONE,                                            API,                8443, true },
	{ONE,                                            API,                444,  false},
	{ONE,                                            "www.example.com",  443,  false},
	{ONE,                                            "x." API,           443,  false},
	{ONE,                                            NULL,               443,  false},
	{ALL,                                            "any.test",         443,  true },
	{ALL,                                            NULL,               443,  true },
	{ALL,                                            "bank.example",     443,  false},
	{ALL,                                            "a.b.bank.example", 443,  false},
	{ALL,                                            "mybank.example",   443,  true },
	{TLS_CONFIG("\"*.a.b\"",          "\"x.a.b\"", ""), "a.b",              443,  true },
	{TLS_CONFIG("\"*.a.b\"",          "\"x.a.b\"", ""), "y.a.b",            443,  true },
	{TLS_CONFIG("\"*.a.b\"",          "\"x.a.b\"", ""), "x.a.b",            443,  false},
	{TLS_CONFIG("\"*.a.b\"",          "\"x.a.b\"", ""), "xa.b",             443,  false},
	{TLS_CONFIG("\"*.a.b\"",          "\"x.a.b\"", ""), NULL,               443,  false},
	{TLS_CONFIG("\"*\"",              "\"*\"",     ""), NULL,               443,  false},
	{TLS_CONFIG("",                   "",          ""), API,                443,  false},
};
/* clang-format on */

static void patterns_and_ports_decide(void **state)
{
	uint8_t hello[600], back[600];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct drill *d = tls_drill(names[i].config);
		size_t len = tls_hello(hello, names[i].name, false);
		struct drill_conn c;
		struct tls_got g;

		conn_open(d, &c, PEER, names[i].port);
		conn_write(&c, hello, len);
		drill_run(d);
		if (tls_flow(d->tls, &g) != names[i].taken)
			fail_msg("%zu: %s", i, names[i].name);
		/* All of it, to one of the two. */
		assert_int_equal(host_read(names[i].taken ? g.guest : c.fd,
		                           back, sizeof(back), NULL),
		                 len);
		if (names[i].taken)
			tls_close(&g);
		(void)close(c.fd);
		drill_free(d);
	}
}

static void an_address_is_pinned_for_its_own_name_only(void **state)
{
	struct drill *d = tls_drill(ALL);
	struct drill_conn c;
	struct tls_got g;

	(void)state;
	pin(d, PEER, "one.test");
	pin(d, PEER, "two.test");
	for (int i = 0; i < 3; i++) {
		const char *const said[] = {"one.test", "two.test",
		                            "three.test"};

		g = handed(d, &c, said[i]);
		assert_int_equal(g.m.pinned, i < 2);
		tls_close(&g);
		(void)close(c.fd);
	}
	drill_free(d);
}

/* The outer name is all that can be seen of it. */
static void an_encrypted_hello_goes_by_its_outer_name(void **state)
{
	struct drill *d = tls_drill(ONE);
	uint8_t hello[600];
	struct drill_conn c;
	struct tls_got g;

	(void)state;
	conn_open(d, &c, PEER, 443);
	conn_write(&c, hello, tls_hello(hello, API, true));
	drill_run(d);
	assert_true(tls_flow(d->tls, &g));
	tls_close(&g);
	(void)close(c.fd);
	drill_free(d);
}

/* Servers that speak first are heard at once, and so is who answers them. */
static void nobody_waits_who_speaks_no_tls(void **state)
{
	static const char *const lines[] = {
		"EHLO x\r\n", "\0\0\0\1", "CON", "G", "\x16\2\1", "\x15\3\1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct drill *d = tls_drill(ALL);
		struct drill_conn c;
		char back[100];
		size_t len = i == 1 ? 4 : strlen(lines[i]);

		conn_open(d, &c, PEER, 443);
		host_write(d, c.fd, "220 hello\r\n", 11);
		assert_int_equal(conn_read(&c, back, 100), 11);
		conn_write(&c, lines[i], len);
		drill_run(d);
		/* "CON" may become CONNECT; "CONX" does not. */
		if (i == 2) {
			assert_int_equal(host_read(c.fd, back, 100, NULL), 0);
			conn_write(&c, "X", 1);
			drill_run(d);
			len++;
		}
		assert_int_equal(host_read(c.fd, back, 100, NULL), len);
		assert_int_equal(net_counters(d->net)->tls_flows, 0);
		(void)close(c.fd);
		drill_free(d);
	}
}

static void a_broken_hello_is_refused(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct drill *d = tls_drill(ONE);
		static uint8_t hello[20000];
		struct drill_conn c;
		size_t len = tls_hello(hello, API, false);
		char back[8];

		conn_open(d, &c, PEER, 443);
		if (i == 0) {
			hello[5] = 2; /* no ClientHello */
		} else if (i == 1) {
			hello[60]++; /* a length within is wrong */
		} else {             /* it never ends */
			put_be16(hello + 3, 1 << 14);
			put_be16(hello + 7, 17000);
			len = SNIFF_MAX;
		}
		conn_write(&c, hello, len);
		assert_last_is_reset(d);
		assert_int_equal(host_read(c.fd, back, 8, NULL), -1);
		assert_int_equal(drill_open_flows(d), 0);
		assert_int_equal(net_counters(d->net)->tls_refused, 1);
		(void)close(c.fd);
		drill_free(d);
	}
}

/* It cannot become one any more. */
static void a_hello_that_ends_early_is_passed_on(void **state)
{
	struct drill *d = tls_drill(ONE);
	uint8_t hello[600];
	struct drill_conn c;
	bool eof = false;

	(void)state;
	(void)tls_hello(hello, API, false);
	conn_open(d, &c, PEER, 443);
	conn_write(&c, hello, 50);
	conn_send(&c, TCP_ACK | TCP_FIN, c.seq, c.ack, NULL, 0);
	drill_run(d);
	assert_int_equal(host_read(c.fd, hello, 600, &eof), 50);
	assert_true(eof);
	(void)close(c.fd);
	drill_free(d);
}

/* ---- the policy ---------------------------------------------------------- */

static void a_name_that_is_denied_is_not_handed_over(void **state)
{
	const struct drill_options o = {.rule = "deny@" API ",allow@any",
	                                .tls = ALL,
	                                .log_denied = true};
	struct drill *d = drill_new(&o);
	struct drill_conn c;
	struct tls_got g;

	(void)state;
	conn_open(d, &c, PEER, 443);
	write_hello(&c, API);
	assert_last_is_reset(d);
	assert_false(tls_flow(d->tls, &g));
	assert_int_equal(net_counters(d->net)->denied, 1);
	assert_int_equal(d->nsaid, 1);
	assert_non_null(strstr(d->said[0], "denied: tcp to " PEER));
	(void)close(c.fd);
	drill_free(d);
}

/* By the policy's wish, in which case both sides wait. */
static void a_flow_that_was_held_is_handed_over_then(void **state)
{
	const struct drill_options o = {
		.rule = "allow@" API, .strict = true, .tls = ONE};
	struct drill *d = drill_new(&o);
	struct drill_conn c;
	struct tls_got g;
	char back[8];

	(void)state;
	pin(d, PEER, API);
	conn_open(d, &c, PEER, 443);
	assert_int_equal(conn_flow(&c)->state, TCP_HELD);
	host_write(d, c.fd, "early", 5);
	drill_silent(d);
	write_hello(&c, API);
	assert_true(tls_flow(d->tls, &g));
	assert_int_equal(g.m.pinned, 1);
	assert_int_equal(host_read(g.server, back, 8, NULL), 5);
	tls_close(&g);
	(void)close(c.fd);
	drill_free(d);
}

/* ---- CONNECT ------------------------------------------------------------- */

#define CONNECT(to) "CONNECT " to " HTTP/1.1\r\nHost: " to "\r\n\r\n"

/* clang-format off */
static const struct {
	const char *request;
	const char *name; /* NULL: it is not handed over */
	uint16_t port;
	bool pinned;
} connects[] = {
	{CONNECT(API ":443"),                                    API,  443,  true },
	{CONNECT("Api.Example.Com.:8443"),                       API,  8443, true },
	{"CONNECT " API ":443 HTTP/1.0\r\n\r\n",                 API,  443,  true },
	{"\r\n\r\n" CONNECT(API ":443"),                         API,  443,  true },
	{CONNECT(API ":22"),                                     NULL, 0,    false},
	{CONNECT("a.bank.example:443"),                          NULL, 0,    false},
	{CONNECT("192.0.2.1:443"),                               "",   443,  false},
	{CONNECT("[2606:2800::1]:443"),                          "",   443,  false},
	{"GET http://" API ":443/ HTTP/1.1\r\nHost: " API ":443\r\n\r\n", NULL, 0, false},
	{"CONNECT {\"verbose\":false}\r\n",                      NULL, 0,    false},
	{"CONNECT\nlogin:x\n\n",                                 NULL, 0,    false},
	{"CONNECT " API ":443 HTTP/1.1\r\nHost: other:443\r\n\r\n", NULL, 0, false},
	{"\r\n\r\n",                                             NULL, 0,    false},
};
/* clang-format on */

static void connect_is_handed_over_by_its_authority(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(connects); i++) {
		const char *request = connects[i].request;
		size_t len = strlen(request);
		struct drill *d = tls_drill(ALL);
		struct drill_conn c;
		struct tls_got g;
		char back[600];

		conn_open(d, &c, PEER, 3128);
		conn_write(&c, request, len);
		drill_run(d);
		if (tls_flow(d->tls, &g) != !!connects[i].name)
			fail_msg("%s", request);
		assert_int_equal(host_read(connects[i].name ? g.guest : c.fd,
		                           back, sizeof(back), NULL),
		                 len);
		assert_memory_equal(back, request, len);
		if (connects[i].name) {
			assert_int_equal(g.m.kind, TLSLINK_CONNECT);
			assert_int_equal(g.m.port, connects[i].port);
			assert_int_equal(g.m.pinned, connects[i].pinned);
			assert_string_equal(g.m.name, connects[i].name);
			tls_close(&g);
		}
		(void)close(c.fd);
		drill_free(d);
	}
}

/* The proxy's side is not held up meanwhile. */
static void connect_may_come_in_any_pieces(void **state)
{
	static const char request[] = "\r\n" CONNECT(API ":443");
	const size_t len = sizeof(request) - 1;

	(void)state;
	for (size_t cut = 1; cut < len; cut++) {
		struct drill *d = tls_drill(ONE);
		struct drill_conn c;
		struct tls_got g;
		char back[600];
		size_t got;

		conn_open(d, &c, PEER, 8080);
		conn_write(&c, request, cut);
		drill_run(d);
		assert_false(tls_flow(d->tls, &g));
		host_write(d, c.fd, "hi", 2);
		assert_int_equal(conn_read(&c, back, 600), 2);
		conn_write(&c, request + cut, len - cut);
		drill_run(d);
		assert_true(tls_flow(d->tls, &g));
		/* Empty lines go their way at once. */
		got = (size_t)host_read(c.fd, back, 600, NULL);
		assert_int_equal(got, cut <= 2 ? cut : 0);
		got += (size_t)host_read(g.guest, back + got, 600, NULL);
		assert_int_equal(got, len);
		assert_memory_equal(back, request, len);
		tls_close(&g);
		(void)close(c.fd);
		drill_free(d);
	}
}

static void who_is_behind_a_proxy_is_judged(void **state)
{
	const struct drill_options o = {
		.rule = "deny@evil.test,deny@10.0.0.0/8,allow@any", .tls = ALL};
	static const char *const to[] = {CONNECT("evil.test:443"),
	                                 CONNECT("10.0.0.1:443"),
	                                 CONNECT("good.test:443")};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(to); i++) {
		struct drill *d = drill_new(&o);
		struct drill_conn c;
		struct tls_got g;

		conn_open(d, &c, PEER, 3128);
		conn_write(&c, to[i], strlen(to[i]));
		drill_run(d);
		assert_int_equal(tls_flow(d->tls, &g), i == 2);
		assert_int_equal(drill_open_flows(d), i == 2);
		if (i == 2)
			tls_close(&g);
		(void)close(c.fd);
		drill_free(d);
	}
}

/* ---- ends ---------------------------------------------------------------- */

static void half_closed_works_both_ways(void **state)
{
	(void)state;
	for (int guest = 0; guest < 2; guest++) {
		struct drill *d = tls_drill(ONE);
		struct drill_conn c;
		struct tls_got g = handed(d, &c, API);
		char back[700];
		bool eof = false;

		(void)host_read(g.guest, back, 700, NULL);
		if (guest) {
			conn_send(&c, TCP_ACK | TCP_FIN, c.seq, c.ack, "x", 1);
			c.seq += 2;
			drill_got_flags(d, TCP_ACK);
			assert_int_equal(host_read(g.guest, back, 9, &eof), 1);
			assert_true(eof);
			host_write(d, g.guest, "answer", 6);
			assert_int_equal(conn_read(&c, back, 9), 6);
			(void)close(g.guest);
			drill_got_flags(d, TCP_ACK | TCP_FIN);
			c.ack++;
			conn_ack(&c);
		} else {
			(void)shutdown(g.guest, SHUT_WR);
			drill_got_flags(d, TCP_ACK | TCP_FIN);
			c.ack++;
			conn_write(&c, "more", 4);
			drill_got_flags(d, TCP_ACK);
			assert_int_equal(host_read(g.guest, back, 9, NULL), 4);
			conn_send(&c, TCP_ACK | TCP_FIN, c.seq, c.ack, NULL, 0);
			drill_got_flags(d, TCP_ACK);
			assert_int_equal(host_read(g.guest, back, 9, &eof), 0);
			assert_true(eof);
			(void)close(g.guest);
		}
		drill_silent(d);
		assert_int_equal(drill_open_flows(d), 0);
		(void)close(g.server);
		(void)close(c.fd);
		drill_free(d);
	}
}

static void the_guest_s_reset_ends_the_stream(void **state)
{
	struct drill *d = tls_drill(ONE);
	struct drill_conn c;
	struct tls_got g = handed(d, &c, API);
	char back[700];
	bool eof = false;

	(void)state;
	(void)host_read(g.guest, back, 700, NULL);
	conn_send(&c, TCP_RST, c.seq, 0, NULL, 0);
	drill_silent(d);
	assert_int_equal(drill_open_flows(d), 0);
	assert_int_equal(host_read(g.guest, back, 9, &eof), 0);
	assert_true(eof);
	assert_int_equal(send(g.guest, "x", 1, MSG_NOSIGNAL), -1);
	tls_close(&g);
	(void)close(c.fd);
	drill_free(d);
}

/* Behind the first member of struct intercept. */
static struct loop_fd *link_of(struct drill *d)
{
	uint8_t *i = (uint8_t *)d->net->intercept + sizeof(struct net *);
	struct loop_fd *link = (struct loop_fd *)(void *)i;

	assert_true(link->added);
	return link;
}

/* Whatever is seen first, the message or the end of the stream. */
static void abort_is_a_reset_and_no_fin(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct drill *d = tls_drill(ONE);
		struct drill_conn c;
		struct tls_got g = handed(d, &c, API);
		char back[700];

		(void)host_read(g.guest, back, 700, NULL);
		tls_abort(d->tls, g.m.id);
		if (i)
			(void)close(g.guest);
		if (i == 2) /* the stream alone is looked at */
			loop_del(d->loop, link_of(d));
		drill_got_flags(d, TCP_RST | TCP_ACK);
		drill_silent(d);
		assert_int_equal(drill_open_flows(d), 0);
		if (!i)
			(void)close(g.guest);
		/* Said again, it is about nobody. */
		tls_abort(d->tls, g.m.id);
		drill_silent(d);
		(void)close(g.server);
		(void)close(c.fd);
		drill_free(d);
	}
}

static void an_old_number_is_not_the_new_flow_s(void **state)
{
	struct drill *d = tls_drill(ONE);
	struct drill_conn c, c2;
	struct tls_got g = handed(d, &c, API), g2;

	(void)state;
	conn_send(&c, TCP_RST, c.seq, 0, NULL, 0);
	drill_run(d);
	g2 = handed(d, &c2, API);
	assert_true(g.m.id != g2.m.id);
	assert_int_equal(g.m.id & 0xffff, g2.m.id & 0xffff);
	tls_abort(d->tls, g.m.id);
	drill_silent(d);
	assert_int_equal(drill_open_flows(d), 1);
	tls_abort(d->tls, g2.m.id);
	drill_got_flags(d, TCP_RST | TCP_ACK);
	tls_close(&g);
	tls_close(&g2);
	(void)close(c.fd);
	(void)close(c2.fd);
	drill_free(d);
}

/* With bytes that nobody read: the kernel says so, and so do we. */
static void a_stream_that_is_dropped_is_a_reset(void **state)
{
	struct drill *d = tls_drill(ONE);
	struct drill_conn c;
	struct tls_got g = handed(d, &c, API);

	(void)state;
	(void)close(g.guest);
	drill_got_flags(d, TCP_RST | TCP_ACK);
	assert_int_equal(drill_open_flows(d), 0);
	(void)close(g.server);
	(void)close(c.fd);
	drill_free(d);
}

static void resets_and_ends_with_flows_leave_nothing(void **state)
{
	struct drill *d = tls_drill(ONE);
	struct drill_conn c, c2;
	struct tls_got g = handed(d, &c, API), g2;
	char back[700];
	bool eof = false;

	(void)state;
	net_reset(d->net);
	assert_int_equal(drill_open_flows(d), 0);
	(void)host_read(g.guest, back, 700, &eof);
	assert_true(eof);
	tls_close(&g);
	(void)close(c.fd);
	g2 = handed(d, &c2, API);
	tls_close(&g2);
	(void)close(c2.fd);
	drill_free(d);
}

/* ---- nobody pays without it ---------------------------------------------- */

static void without_a_link_nothing_is_looked_at(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	uint8_t hello[600];

	(void)state;
	conn_open(d, &c, PEER, 443);
	conn_write(&c, hello, (tls_hello(hello, API, false), 3));
	drill_run(d);
	assert_int_equal(host_read(c.fd, hello, 600, NULL), 3);
	assert_null(conn_flow(&c)->clear);
	(void)close(c.fd);
	drill_free(d);
}

static void explain_says_whether_it_is_looked_into(void **state)
{
	static const struct {
		const char *host;
		uint16_t port;
		enum policy_proto proto;
		const char *says;
	} asked[] = {
		{API,         443, POLICY_TCP, "\"intercepted\":true" },
		{API ".",     443, POLICY_TCP, "\"intercepted\":true" },
		{API,         80,  POLICY_TCP, "\"intercepted\":false"},
		{API,         443, POLICY_UDP, "\"intercepted\":false"},
		{"other.com", 443, POLICY_TCP, "\"intercepted\":false"},
		{PEER,        443, POLICY_TCP, "\"intercepted\":false"},
	};
	struct drill *d = tls_drill(ONE);
	char *text;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		text = net_explain(d->net, asked[i].host, asked[i].port,
		                   asked[i].proto);
		assert_non_null(text);
		if (!strstr(text, asked[i].says))
			fail_msg("%zu: %s", i, text);
		free(text);
	}
	drill_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flow_is_handed_over_by_its_name),
		cmocka_unit_test(a_hello_may_come_in_any_pieces),
		cmocka_unit_test(patterns_and_ports_decide),
		cmocka_unit_test(an_address_is_pinned_for_its_own_name_only),
		cmocka_unit_test(an_encrypted_hello_goes_by_its_outer_name),
		cmocka_unit_test(nobody_waits_who_speaks_no_tls),
		cmocka_unit_test(a_broken_hello_is_refused),
		cmocka_unit_test(a_hello_that_ends_early_is_passed_on),
		cmocka_unit_test(a_name_that_is_denied_is_not_handed_over),
		cmocka_unit_test(a_flow_that_was_held_is_handed_over_then),
		cmocka_unit_test(connect_is_handed_over_by_its_authority),
		cmocka_unit_test(connect_may_come_in_any_pieces),
		cmocka_unit_test(who_is_behind_a_proxy_is_judged),
		cmocka_unit_test(half_closed_works_both_ways),
		cmocka_unit_test(the_guest_s_reset_ends_the_stream),
		cmocka_unit_test(abort_is_a_reset_and_no_fin),
		cmocka_unit_test(an_old_number_is_not_the_new_flow_s),
		cmocka_unit_test(a_stream_that_is_dropped_is_a_reset),
		cmocka_unit_test(resets_and_ends_with_flows_leave_nothing),
		cmocka_unit_test(without_a_link_nothing_is_looked_at),
		cmocka_unit_test(explain_says_whether_it_is_looked_into),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
