/* The link to msb-tls: what it says, where it ends, when it is full. */
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/test.h"

#include "base/num.h"
#include "drill_tls.h"

/* ---- it fails closed ----------------------------------------------------- */

static void before_its_first_word_all_is_refused(void **state)
{
	struct drill *d = tls_drill("");
	struct drill_conn c;
	struct tls_got g;
	char back[9];

	(void)state;
	for (int i = 0; i < 2; i++) {
		conn_open(d, &c, PEER, 443);
		write_hello(&c, i ? API : NULL);
		assert_last_is_reset(d);
		drill_skip(d);
		(void)close(c.fd);
	}
	assert_int_equal(net_counters(d->net)->tls_refused, 2);
	assert_string_equal(d->said[1], "refused: tls to " PEER " port 443 "
	                                "named " API ": msb-tls is not ready");
	/* What is no TLS is not meant. */
	conn_open(d, &c, PEER, 443);
	conn_write(&c, "hello", 5);
	drill_run(d);
	assert_int_equal(host_read(c.fd, back, 9, NULL), 5);
	(void)close(c.fd);
	drill_skip(d);
	tls_config(d->tls, ONE);
	drill_run(d);
	g = handed(d, &c, API);
	tls_close(&g);
	(void)close(c.fd);
	drill_free(d);
}

static void the_end_of_the_link_is_the_end_of_its_flows(void **state)
{
	struct drill *d = tls_drill(TLS_CONFIG(
		"\"" API "\"", "", TLS_TEXT("KEY", "MSB_12345678", "block")));
	struct drill_conn c, other, c2;
	struct tls_got g;
	char back[700];

	(void)state;
	conn_open(d, &other, PEER, 443);
	write_hello(&other, "other.test");
	g = handed(d, &c, API);
	drill_skip(d);
	close_fd(&d->tls);
	drill_got_flags(d, TCP_RST | TCP_ACK);
	drill_silent(d);
	assert_int_equal(drill_open_flows(d), 1);
	assert_int_equal(d->nsaid, 1);
	/* What it would have looked into is refused, the rest is as before. */
	conn_open(d, &c2, PEER, 443);
	write_hello(&c2, API);
	assert_last_is_reset(d);
	assert_string_equal(d->said[1], "refused: tls to " PEER " port 443 "
	                                "named " API ": msb-tls has ended");
	drill_skip(d);
	assert_true(host_read(other.fd, back, 700, NULL) > 0);
	(void)close(c2.fd);
	conn_open(d, &c2, PEER, 443);
	write_hello(&c2, "other.test");
	assert_true(host_read(c2.fd, back, 700, NULL) > 0);
	(void)close(c2.fd);
	drill_skip(d);
	/* Placeholders are still looked for. */
	conn_open(d, &c2, PEER, 80);
	conn_write(&c2, "x=MSB_12345678", 14);
	assert_last_is_reset(d);
	assert_int_equal(net_counters(d->net)->secret_violations, 1);
	(void)close(c2.fd);
	(void)close(c.fd);
	(void)close(other.fd);
	tls_close(&g);
	drill_free(d);
}

/* ---- what it says -------------------------------------------------------- */

static void events_are_told_and_counted(void **state)
{
	struct drill *d = tls_drill(ONE);
	const struct net_counters *c = net_counters(d->net);

	(void)state;
	tls_event(d->tls, TLSLINK_NOTE, 0, 1, "a note");
	tls_event(d->tls, TLSLINK_USED, 0, 3, "");
	tls_event(d->tls, TLSLINK_MASKED, 0, 2, "");
	tls_event(d->tls, TLSLINK_REFUSED, 0, 1, "no\nway \x80");
	tls_event(d->tls, TLSLINK_VIOLATION, TLSLINK_TERMINATE, 1, "the end");
	tls_event(d->tls, TLSLINK_VIOLATION, TLSLINK_TERMINATE, 1, "again");
	drill_run(d);
	assert_int_equal(c->secrets_used, 3);
	assert_int_equal(c->secrets_masked, 2);
	assert_int_equal(c->tls_refused, 1);
	assert_int_equal(c->secret_violations, 2);
	assert_int_equal(d->nsaid, 4);
	assert_string_equal(d->said[0], "a note");
	assert_string_equal(d->said[1], "no?way ?");
	assert_string_equal(d->said[2], "the end");
	assert_int_equal(d->nviolated, 1);
	assert_string_equal(d->why, "the end");
	drill_free(d);
}

/* Denials do not use up what there is for violations; both have an end. */
static void lines_are_bounded_by_their_kind(void **state)
{
	const struct drill_options o = {
		.rule = "deny@any", .tls = ONE, .log_denied = true};
	struct drill *d = drill_new(&o);
	struct drill_conn c;

	(void)state;
	for (int i = 0; i < 30; i++) {
		conn_init(d, &c, PEER, 80);
		conn_syn(&c);
	}
	assert_int_equal(d->nsaid, 20);
	for (int i = 0; i < 30; i++)
		tls_event(d->tls, TLSLINK_VIOLATION, 0, 1, "violation");
	drill_run(d);
	assert_int_equal(d->nsaid, 40);
	assert_int_equal(net_counters(d->net)->secret_violations, 30);
	d->now += 11 * NS_PER_S;
	tls_event(d->tls, TLSLINK_VIOLATION, 0, 1, "violation");
	drill_run(d);
	assert_string_equal(d->said[40], "secrets and TLS: and 10 more");
	drill_free(d);
}

static void a_new_config_takes_the_place_of_the_old(void **state)
{
	struct drill *d = tls_drill(ONE);
	struct drill_conn c, c2;
	struct tls_got g = handed(d, &c, API), g2;
	char back[700];

	(void)state;
	tls_config(d->tls, TLS_CONFIG("\"new.test\"", "", ""));
	drill_run(d);
	conn_open(d, &c2, PEER, 443);
	write_hello(&c2, API);
	assert_true(host_read(c2.fd, back, 700, NULL) > 0);
	(void)close(c2.fd);
	drill_skip(d);
	g2 = handed(d, &c2, "new.test");
	/* The one that is there stays. */
	(void)host_read(g.guest, back, 700, NULL);
	conn_write(&c, "x", 1);
	drill_run(d);
	assert_int_equal(host_read(g.guest, back, 700, NULL), 1);
	tls_close(&g);
	tls_close(&g2);
	(void)close(c.fd);
	(void)close(c2.fd);
	drill_free(d);
}

static void broken_messages_change_nothing(void **state)
{
	static const char *const configs[] = {
		"",
		"x",
		"[]",
		"{}",
		"null",
		"{\"ports\": [443]}",
		TLS_CONFIG("\"UPPER\"", "", ""),
		TLS_CONFIG("\"a b\"", "", ""),
		TLS_CONFIG("\"*x\"", "", ""),
		TLS_CONFIG("7", "", ""),
		TLS_CONFIG("", "\"a..b\"", ""),
		TLS_CONFIG("", "", "{}"),
		TLS_CONFIG("", "", TLS_TEXT("KEY", "abc", "block")),
		TLS_CONFIG("", "", TLS_TEXT("", "abcd", "block")),
		TLS_CONFIG("", "", TLS_TEXT("a b", "abcd", "block")),
		TLS_CONFIG("", "", TLS_TEXT("KEY", "abcd", "blocks")),
		TLS_CONFIG("", "",
	                   "{\"name\":\"K\",\"text\":\"abcd\","
	                   "\"violation\":\"block\",\"x\":1}"),
		"{\"ports\": [0], \"block_quic\": true, \"intercept\": [], "
		"\"bypass\": [], \"placeholders\": []}",
		"{\"ports\": [65536], \"block_quic\": true, \"intercept\": [], "
		"\"bypass\": [], \"placeholders\": []}",
		"{\"ports\": {}, \"block_quic\": true, \"intercept\": [], "
		"\"bypass\": [], \"placeholders\": []}",
		"{\"ports\": [], \"block_quic\": 1, \"intercept\": [], "
		"\"bypass\": [], \"placeholders\": []}",
		"{\"ports\": [], \"ports\": [], \"block_quic\": true, "
		"\"intercept\": [], \"bypass\": [], \"placeholders\": []}",
		"{\"ports\": [], \"block_quic\": true, \"intercept\": [], "
		"\"bypass\": [], \"placeholders\": [], \"more\": 1}",
	};
	static uint8_t p[TLSLINK_PACKET_MAX + 100];
	struct drill *d = tls_drill(ONE);
	struct tlslink_event e = {.type = TLSLINK_EVENT, .what = TLSLINK_NOTE};
	struct tlslink_abort a = {.type = TLSLINK_ABORT};
	const struct tlslink_flow flow = {.type = TLSLINK_FLOW, .id = 1};
	struct drill_conn c;
	struct tls_got g = handed(d, &c, API);
	const int fds[] = {0, 0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++)
		tls_config(d->tls, configs[i]);
	drill_run(d);
	for (uint32_t type = 0; type < 9; type++) {
		put_le32(p, type);
		for (size_t len = 1; len < 40; len++)
			if (type != TLSLINK_CONFIG)
				tls_send(d->tls, p, len);
		drill_run(d);
	}
	tls_send(d->tls, &flow, sizeof(flow));
	e.what = 77;
	tls_send(d->tls, &e, sizeof(e));
	e.what = 0;
	tls_send(d->tls, &e, sizeof(e));
	e.what = TLSLINK_VIOLATION;
	e.flags = 0xff;
	tls_send(d->tls, &e, sizeof(e));
	e.flags = TLSLINK_TERMINATE;
	memset(e.text, 'x', sizeof(e.text)); /* no end */
	tls_send(d->tls, &e, sizeof(e));
	a.id = g.m.id;
	a.zero = 1;
	tls_send(d->tls, &a, sizeof(a));
	a.zero = 0;
	for (unsigned i = 0; i < 3; i++) {
		a.id = (uint64_t[]){g.m.id + 1, g.m.id + 65536, UINT64_MAX}[i];
		tls_send(d->tls, &a, sizeof(a));
	}
	/* Descriptors are none of its business; one that is too long. */
	a.id = g.m.id;
	assert_true(fd_send(d->tls, &a, sizeof(a), fds, 2) > 0);
	put_le32(p, TLSLINK_CONFIG);
	assert_int_equal(send(d->tls, p, sizeof(p), 0), sizeof(p));
	drill_run(d);
	drill_silent(d);
	assert_int_equal(drill_open_flows(d), 1);
	assert_int_equal(d->nsaid, 0);
	assert_int_equal(d->nviolated, 0);
	assert_int_equal(net_counters(d->net)->secret_violations, 0);
	tls_close(&g);
	(void)close(c.fd);
	drill_skip(d);
	g = handed(d, &c, API);
	tls_close(&g);
	(void)close(c.fd);
	drill_free(d);
}

/* ---- many ---------------------------------------------------------------- */

static void raise_files(void)
{
	struct rlimit l;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &l), 0);
	l.rlim_cur = l.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &l), 0);
}

#define MANY 1500

/* More than the link holds: they wait, in their order, and lose nothing. */
static void flows_wait_for_a_link_that_is_full(void **state)
{
	const struct drill_options o = {.tls = ONE};
	struct drill *d = drill_new(&o);
	static struct drill_conn c[MANY];
	static struct tls_got g[MANY];
	uint8_t hello[600], back[600];
	size_t len = tls_hello(hello, API, false);
	unsigned n = 0, ended = 0;

	(void)state;
	raise_files();
	d->fast = true;
	for (int i = 0; i < MANY; i++) {
		conn_open(d, &c[i], PEER, 443);
		conn_write(&c[i], hello, len);
		drill_skip(d);
	}
	assert_true(net_counters(d->net)->tls_flows < MANY);
	assert_int_equal(drill_open_flows(d), MANY);
	/* Some say more, some end, some are reset while they wait. */
	for (int i = MANY - 40; i < MANY; i++) {
		if (i % 4 == 0)
			conn_write(&c[i], "more", 4);
		if (i % 4 == 1)
			conn_send(&c[i], TCP_ACK | TCP_FIN, c[i].seq, c[i].ack,
			          NULL, 0);
		if (i % 4 == 2)
			conn_send(&c[i], TCP_RST, c[i].seq, 0, NULL, 0);
		drill_skip(d);
	}
	for (int i = 0; i < 20000 && n < MANY - 10; i++) {
		while (n < MANY && tls_flow(d->tls, &g[n]))
			n++;
		drill_run(d);
	}
	assert_int_equal(n, MANY - 10);
	assert_false(tls_flow(d->tls, &g[n]));
	for (unsigned i = 0, k = 0; i < n; i++, k++) {
		bool eof = false;
		size_t more;

		if (k >= MANY - 40 && k % 4 == 2)
			k++; /* it was reset */
		more = k >= MANY - 40 && k % 4 == 0 ? 4 : 0;
		assert_int_equal(host_read(g[i].guest, back, 600, &eof),
		                 len + more);
		assert_int_equal(eof, k >= MANY - 40 && k % 4 == 1);
		ended += eof;
		assert_int_equal(write(g[i].server, &k, sizeof(k)), sizeof(k));
		assert_int_equal(host_read(c[k].fd, back, 600, NULL),
		                 sizeof(k));
		assert_memory_equal(back, &k, sizeof(k));
		tls_close(&g[i]);
	}
	assert_int_equal(ended, 10);
	for (int i = 0; i < MANY; i++)
		(void)close(c[i].fd);
	drill_free(d);
}

/* The link ends while some wait. */
static void those_that_wait_are_reset_with_the_link(void **state)
{
	struct drill *d = tls_drill(ONE);
	static struct drill_conn c[MANY];
	uint8_t hello[600];
	size_t len = tls_hello(hello, API, false);

	(void)state;
	raise_files();
	d->fast = true;
	for (int i = 0; i < MANY; i++) {
		conn_open(d, &c[i], PEER, 443);
		conn_write(&c[i], hello, len);
		drill_skip(d);
	}
	close_fd(&d->tls);
	drill_run(d);
	assert_int_equal(drill_open_flows(d), 0);
	for (int i = 0; i < MANY; i++)
		(void)close(c[i].fd);
	drill_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_its_first_word_all_is_refused),
		cmocka_unit_test(the_end_of_the_link_is_the_end_of_its_flows),
		cmocka_unit_test(events_are_told_and_counted),
		cmocka_unit_test(lines_are_bounded_by_their_kind),
		cmocka_unit_test(a_new_config_takes_the_place_of_the_old),
		cmocka_unit_test(broken_messages_change_nothing),
		cmocka_unit_test(flows_wait_for_a_link_that_is_full),
		cmocka_unit_test(those_that_wait_are_reset_with_the_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
