/* Placeholders in TCP that nobody encrypts. */
#include "drill.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/num.h"
#include "lib/test.h"
#include "tls_link.h"

#define PEER "93.184.216.34"
#define KEY  "MSB_0123456789abcdef0123456789abcdef"
#define API  "api.example.com"

#define SECRETS(violation)                                                     \
	TLS_CONFIG("\"" API "\"", "", TLS_TEXT("KEY", KEY, violation))

static struct drill *clear_drill(const char *config)
{
	const struct drill_options o = {.tls = config};

	return drill_new(&o);
}

static uint64_t violations(struct drill *d)
{
	return net_counters(d->net)->secret_violations;
}

static void write_all(struct drill_conn *c, const char *text)
{
	conn_write(c, text, strlen(text));
	drill_run(c->d);
}

/* ---- what comes of it ---------------------------------------------------- */

static const struct {
	const char *violation, *line, *why;
	bool passes;
} ends[] = {
	{"block",               NULL,			NULL,						       false},
	{"block-and-log",
         "secret KEY: its placeholder was sent in clear text to " PEER
         ":80 (example.com): blocked; a value is put in only inside TLS, on "
         "the way to hosts that are allowed for it",         NULL,						       false},
	{"block-and-terminate",
         "secret KEY: its placeholder was sent in clear text to " PEER
         ":80 (example.com): blocked, and the sandbox ends", "secret KEY: its placeholder was sent in clear text to " PEER
         ":80 (example.com): blocked, and the sandbox ends", false},
	{"passthrough",
         "secret KEY: its placeholder was sent in clear text to " PEER
         ":80 (example.com): it passed, as its option says", NULL,						       true },
};

static void its_option_decides(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		char config[600], back[100];
		struct drill_conn c;
		struct drill *d;
		struct addr a;

		(void)snprintf(config, sizeof(config), SECRETS("%s"),
		               ends[i].violation);
		d = clear_drill(config);
		assert_int_equal(addr_parse(PEER, &a), 0);
		assert_int_equal(
			pins_add(d->net->pins, &a, "example.com", 300, d->now),
			0);
		conn_open(d, &c, PEER, 80);
		/* Twice: once a flow is enough. */
		write_all(&c, "GET /?key=" KEY);
		if (ends[i].passes)
			write_all(&c, KEY);
		assert_int_equal(violations(d), 1);
		assert_int_equal(d->nsaid, !!ends[i].line);
		if (ends[i].line)
			assert_string_equal(d->said[0], ends[i].line);
		assert_int_equal(d->nviolated, !!ends[i].why);
		if (ends[i].why)
			assert_string_equal(d->why, ends[i].why);
		if (ends[i].passes) {
			assert_int_equal(host_read(c.fd, back, 100, NULL),
			                 10 + 2 * strlen(KEY));
		} else {
			drill_got_flags(d, TCP_RST | TCP_ACK);
			assert_int_equal(host_read(c.fd, back, 100, NULL), -1);
			assert_int_equal(drill_open_flows(d), 0);
		}
		(void)close(c.fd);
		drill_free(d);
	}
}

static void an_address_of_ipv6_is_in_brackets(void **state)
{
	struct drill *d = clear_drill(SECRETS("block-and-log"));
	struct drill_conn c;

	(void)state;
	conn_open(d, &c, "2606:2800::1", 25);
	write_all(&c, KEY);
	assert_non_null(strstr(d->said[0], " to [2606:2800::1]:25: blocked"));
	(void)close(c.fd);
	drill_free(d);
}

/* Two in one segment: the harder end counts, in whatever order they come. */
static void the_worst_of_several_counts(void **state)
{
	static const char *const texts[] = {"aaaa bbbb", "bbbb aaaa",
	                                    "cccc bbbb aaaa"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct drill *d = clear_drill(TLS_CONFIG(
			"", "",
			TLS_TEXT("A", "aaaa", "block-and-terminate") "," TLS_TEXT(
				"B", "bbbb",
				"block") "," TLS_TEXT("C", "cccc",
		                                      "passthrough")));
		struct drill_conn c;

		conn_open(d, &c, PEER, 80);
		write_all(&c, texts[i]);
		drill_got_flags(d, TCP_RST | TCP_ACK);
		assert_int_equal(violations(d), 1);
		assert_int_equal(d->nviolated, 1);
		(void)close(c.fd);
		drill_free(d);
	}
}

/* ---- however it comes ---------------------------------------------------- */

/* Segments of their own, in one batch or in many. */
static void it_is_found_at_each_cut(void **state)
{
	static const char text[] = "x" KEY "y";
	const size_t len = sizeof(text) - 1;

	(void)state;
	for (size_t cut = 1; cut < len; cut++)
		for (int batch = 0; batch < 2; batch++) {
			struct drill *d = clear_drill(SECRETS("block"));
			struct drill_conn c;
			char back[100];

			conn_open(d, &c, PEER, 80);
			if (batch)
				drill_batch(d);
			conn_write(&c, text, cut);
			conn_write(&c, text + cut, len - cut);
			if (batch)
				drill_batch_end(d);
			drill_run(d);
			assert_int_equal(violations(d), 1);
			/* The second may find no flow any more. */
			assert_true(d->segs[d->nsegs - 1].flags & TCP_RST);
			assert_int_equal(host_read(c.fd, back, 100, NULL), -1);
			(void)close(c.fd);
			drill_free(d);
		}
}

static void it_is_found_byte_by_byte(void **state)
{
	static const char text[] = "MSB_0MSB_" KEY;
	struct drill *d = clear_drill(SECRETS("block"));
	struct drill_conn c;
	size_t sent = 0;

	(void)state;
	conn_open(d, &c, PEER, 80);
	while (!violations(d) && sent < sizeof(text) - 1)
		conn_write(&c, text + sent++, 1);
	assert_int_equal(violations(d), 1);
	assert_int_equal(sent, sizeof(text) - 1);
	(void)close(c.fd);
	drill_free(d);
}

/* A driver may cut a frame into pieces anywhere. */
static void it_is_found_in_pieces_of_a_frame(void **state)
{
	(void)state;
	for (unsigned split = 2; split < 16; split++) {
		struct drill *d = clear_drill(SECRETS("block"));
		struct drill_conn c;

		conn_open(d, &c, PEER, 80);
		d->split = split;
		write_all(&c, "GET / HTTP/1.1\r\nX: " KEY "\r\n");
		assert_int_equal(violations(d), 1);
		(void)close(c.fd);
		drill_free(d);
	}
}

static void what_is_nearly_one_passes(void **state)
{
	static const char text[] =
		"MSB_0123456789abcdef0123456789abcde MSB_ " API;
	struct drill *d = clear_drill(SECRETS("block"));
	struct drill_conn c;
	char back[200];

	(void)state;
	conn_open(d, &c, PEER, 80);
	for (int i = 0; i < 3; i++)
		write_all(&c, text);
	assert_int_equal(host_read(c.fd, back, 200, NULL), 3 * strlen(text));
	assert_int_equal(violations(d), 0);
	(void)close(c.fd);
	drill_free(d);
}

/* What finds no memory is taken back, and comes again: it is seen once. */
static void bytes_that_were_taken_back_are_seen_again(void **state)
{
	struct drill *d = clear_drill(SECRETS("block"));
	static uint8_t fill[60000];
	struct ring_pool *pool;
	struct drill_conn c;
	const size_t half = 20;
	uint32_t before;

	(void)state;
	conn_open(d, &c, PEER, 80);
	pool = &d->net->tcp->pool;
	do {
		conn_write(&c, fill, sizeof(fill));
		drill_skip(d);
	} while (!conn_flow(&c)->up.used);
	/* The ring gets room for some bytes and no more. */
	while (ring_room(&conn_flow(&c)->up) > half)
		conn_write(&c, fill,
		           MIN(sizeof(fill),
		               ring_room(&conn_flow(&c)->up) - half));
	pool->max = pool->used;
	drill_skip(d);
	before = conn_flow(&c)->rcv_nxt;
	assert_int_equal(before, c.seq);
	/* The window may be closed by now: nothing is taken then. */
	conn_flow(&c)->rcv_adv = before + 1000;
	conn_send(&c, TCP_ACK, c.seq, c.ack, KEY, strlen(KEY) - 1);
	drill_skip(d);
	assert_int_equal(conn_flow(&c)->rcv_nxt - before, half);
	conn_flow(&c)->rcv_adv = before + 1000;
	conn_send(&c, TCP_ACK, before + half, c.ack, KEY + half,
	          strlen(KEY) - half);
	drill_run(d);
	assert_int_equal(violations(d), 1);
	(void)close(c.fd);
	drill_free(d);
}

/* ---- where it is not looked for ------------------------------------------ */

static void tls_is_not_searched(void **state)
{
	uint8_t hello[700], back[700];
	size_t len = tls_hello(hello, "other.test", false);

	(void)state;
	for (size_t cut = 1; cut < 10; cut++) {
		struct drill *d = clear_drill(SECRETS("block"));
		struct drill_conn c;

		/* Also at ports that are not intercepted. */
		conn_open(d, &c, PEER, cut % 2 ? 443 : 993);
		conn_write(&c, hello, cut);
		conn_write(&c, hello + cut, len - cut);
		write_all(&c, KEY);
		assert_int_equal(host_read(c.fd, back, 700, NULL),
		                 len + strlen(KEY));
		assert_int_equal(violations(d), 0);
		assert_null(conn_flow(&c)->clear);
		(void)close(c.fd);
		drill_free(d);
	}
}

/* It looks for itself there. */
static void what_msb_tls_has_is_not_searched(void **state)
{
	struct drill *d = clear_drill(SECRETS("block"));
	uint8_t hello[700], back[700];
	struct drill_conn c;
	struct tls_got g;

	(void)state;
	conn_open(d, &c, PEER, 443);
	conn_write(&c, hello, tls_hello(hello, API, false));
	drill_run(d);
	assert_true(tls_flow(d->tls, &g));
	(void)host_read(g.guest, back, 700, NULL);
	write_all(&c, KEY);
	assert_int_equal(host_read(g.guest, back, 700, NULL), strlen(KEY));
	assert_int_equal(violations(d), 0);
	tls_close(&g);
	(void)close(c.fd);
	drill_free(d);
}

static void the_host_s_bytes_are_not_searched(void **state)
{
	struct drill *d = clear_drill(SECRETS("block"));
	struct drill_conn c;
	char back[100];

	(void)state;
	conn_open(d, &c, PEER, 80);
	host_write(d, c.fd, KEY, strlen(KEY));
	assert_int_equal(conn_read(&c, back, 100), strlen(KEY));
	assert_int_equal(violations(d), 0);
	(void)close(c.fd);
	drill_free(d);
}

static void on_opened(void *arg, int error)
{
	*(int *)arg = error;
}

/* A server in the guest and a client of the host. */
static void a_published_port_s_answers_are_not_searched(void **state)
{
	struct drill *d = clear_drill(SECRETS("block"));
	int pair[2], opened = 1;
	struct drill_conn c;
	const struct drill_seg *s;
	char back[100];

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(tcp_open(d->net, pair[0], &d->net->cfg.gateway4, 80,
	                          on_opened, &opened),
	                 0);
	s = drill_got_flags(d, TCP_SYN);
	conn_init(d, &c, "172.16.0.1", s->from);
	c.gport = 80;
	conn_send(&c, TCP_SYN | TCP_ACK, c.isn, s->seq + 1, NULL, 0);
	c.seq = c.isn + 1;
	c.ack = s->seq + 1;
	drill_run(d);
	assert_int_equal(opened, 0);
	write_all(&c, KEY);
	assert_int_equal(host_read(pair[1], back, 100, NULL), strlen(KEY));
	assert_int_equal(violations(d), 0);
	(void)close(pair[1]);
	drill_free(d);
}

/* ---- while it runs ------------------------------------------------------- */

/* A secret that comes later is looked for in flows that are there. */
static void other_secrets_are_looked_for_at_once(void **state)
{
	struct drill *d = clear_drill(TLS_CONFIG("", "", ""));
	struct drill_conn c, c2;

	(void)state;
	conn_open(d, &c, PEER, 80);
	conn_open(d, &c2, PEER, 80);
	write_all(&c, KEY);
	assert_int_equal(violations(d), 0);
	tls_config(d->tls, SECRETS("block"));
	drill_run(d);
	write_all(&c2, "MSB_0123456789");
	/* Others, and among them the same. */
	tls_config(
		d->tls,
		TLS_CONFIG("", "",
	                   TLS_TEXT("NEW", "newnewnew", "block") "," TLS_TEXT(
				   "KEY", KEY, "block-and-log")));
	drill_run(d);
	write_all(&c2, "abcdef0123456789abcdef");
	assert_int_equal(violations(d), 1);
	assert_non_null(strstr(d->said[0], "secret KEY:"));
	/* None any more. */
	tls_config(d->tls, TLS_CONFIG("", "", ""));
	drill_run(d);
	write_all(&c, KEY "newnewnew");
	assert_int_equal(violations(d), 1);
	(void)close(c.fd);
	(void)close(c2.fd);
	drill_free(d);
}

/* The head of a CONNECT is in the open, whoever reads it. */
static void the_head_of_connect_is_searched(void **state)
{
	struct drill *d = clear_drill(SECRETS("block"));
	struct drill_conn c;
	struct tls_got g;
	char back[9];

	(void)state;
	conn_open(d, &c, PEER, 3128);
	write_all(&c, "CONNECT " API ":443 HTTP/1.1\r\nHost: " API ":443\r\n"
	              "Proxy-Authorization: Bearer " KEY "\r\n\r\n");
	drill_got_flags(d, TCP_RST | TCP_ACK);
	assert_false(tls_flow(d->tls, &g));
	assert_int_equal(host_read(c.fd, back, 9, NULL), -1);
	assert_int_equal(violations(d), 1);
	(void)close(c.fd);
	drill_free(d);
}

/* By the policy's wish; nothing has left yet. */
static void a_flow_that_is_held_is_searched(void **state)
{
	const struct drill_options o = {.rule = "allow@good.example",
	                                .strict = true,
	                                .tls = SECRETS("block")};
	struct drill *d = drill_new(&o);
	struct drill_conn c;
	struct addr a;

	(void)state;
	assert_int_equal(addr_parse(PEER, &a), 0);
	assert_int_equal(
		pins_add(d->net->pins, &a, "good.example", 300, d->now), 0);
	conn_open(d, &c, PEER, 80);
	write_all(&c, "GET /" KEY);
	drill_got_flags(d, TCP_RST | TCP_ACK);
	assert_int_equal(violations(d), 1);
	(void)close(c.fd);
	drill_free(d);
}

/* What came behind it in the same batch, and a SYN that takes its place. */
static void what_follows_in_its_batch_goes_nowhere(void **state)
{
	struct drill *d = clear_drill(SECRETS("block"));
	struct drill_conn c, other;
	char back[100];

	(void)state;
	conn_open(d, &c, PEER, 80);
	conn_open(d, &other, PEER, 80);
	drill_batch(d);
	conn_write(&c, KEY, strlen(KEY));
	conn_write(&other, "one", 3);
	conn_send(&c, TCP_ACK, c.seq + 7, c.ack, "hole", 4);
	conn_write(&c, "more", 4);
	conn_write(&other, "two", 3);
	conn_send(&c, TCP_ACK | TCP_FIN, c.seq, c.ack, "last", 4);
	conn_raw(&c, TCP_SYN, c.seq + 100, 0, 65535, NULL, 0, NULL, 0);
	drill_batch_end(d);
	drill_run(d);
	assert_int_equal(violations(d), 1);
	assert_int_equal(host_read(c.fd, back, 100, NULL), -1);
	assert_int_equal(host_read(other.fd, back, 100, NULL), 6);
	(void)close(c.fd);
	(void)close(other.fd);
	drill_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_option_decides),
		cmocka_unit_test(an_address_of_ipv6_is_in_brackets),
		cmocka_unit_test(the_worst_of_several_counts),
		cmocka_unit_test(it_is_found_at_each_cut),
		cmocka_unit_test(it_is_found_byte_by_byte),
		cmocka_unit_test(it_is_found_in_pieces_of_a_frame),
		cmocka_unit_test(what_is_nearly_one_passes),
		cmocka_unit_test(bytes_that_were_taken_back_are_seen_again),
		cmocka_unit_test(tls_is_not_searched),
		cmocka_unit_test(what_msb_tls_has_is_not_searched),
		cmocka_unit_test(the_host_s_bytes_are_not_searched),
		cmocka_unit_test(a_published_port_s_answers_are_not_searched),
		cmocka_unit_test(other_secrets_are_looked_for_at_once),
		cmocka_unit_test(the_head_of_connect_is_searched),
		cmocka_unit_test(a_flow_that_is_held_is_searched),
		cmocka_unit_test(what_follows_in_its_batch_goes_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
