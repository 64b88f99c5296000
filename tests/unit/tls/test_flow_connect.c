/* CONNECT to a proxy, in clear, and the TLS behind it. */
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "tls/flow.h"
#include "tls/world.h"

#define HEAD "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n"
#define MARK "MSB_0123456789abcdef"

struct scene {
	struct world w;
	struct peer g, s;
	SSL_CTX *ctx;
};

static void scene_open(struct scene *c, const char *name)
{
	struct tlslink_flow m;

	world_open(&c->w, NULL);
	c->ctx = world_server_ctx(&c->w, "api.test", NULL);
	m = world_message(&c->w, name);
	m.kind = TLSLINK_CONNECT;
	assert_int_equal(world_flow(&c->w, &m, &c->g, &c->s), 0);
}

static void scene_close(struct scene *c)
{
	peer_close(&c->g);
	peer_close(&c->s);
	world_until(&c->w, c->w.tls.nflows == 0, &c->g);
	SSL_CTX_free(c->ctx);
	world_close(&c->w);
}

static bool has(const struct buf *b, const char *text)
{
	return strstr(buf_str(b), text) != NULL;
}

/* Both go on with TLS, over what they have. */
static void go_secure(struct scene *c, const char *name)
{
	buf_reset(&c->g.in);
	buf_reset(&c->s.in);
	peer_client(&c->g, &c->w, name, NULL);
	peer_server(&c->s, c->ctx);
	world_until(&c->w, c->g.secure && c->s.secure, &c->g, &c->s);
	buf_adds(&c->g.out, "\x01 secret");
	world_until(&c->w, c->s.in.len == 8, &c->g, &c->s);
	world_until(&c->w, c->w.tls.flows->state == FLOW_RELAY, &c->g);
}

static void tls_begins_behind_the_proxys_answer(void **state)
{
	struct scene c;

	(void)state;
	scene_open(&c, "api.test");
	buf_adds(&c.g.out, HEAD);
	world_until(&c.w, has(&c.s.in, "\r\n\r\n"), &c.g, &c.s);
	assert_string_equal(buf_str(&c.s.in), HEAD);
	buf_adds(&c.s.out, "HTTP/1.1 200 Connection established\r\n\r\n");
	world_until(&c.w, has(&c.g.in, "\r\n\r\n"), &c.g, &c.s);
	go_secure(&c, "api.test");
	assert_true(gate_open(&c.w.tls.flows->gate));
	scene_close(&c);
}

static void heads_may_come_in_single_bytes(void **state)
{
	struct scene c;

	(void)state;
	scene_open(&c, "api.test");
	c.g.chunk = c.s.chunk = 1;
	buf_adds(&c.g.out, HEAD);
	world_until(&c.w, c.s.in.len == strlen(HEAD), &c.g, &c.s);
	buf_adds(&c.s.out, "HTTP/1.0 100 wait\r\n\r\n"
	                   "HTTP/1.0 200 ok\r\nX: y\r\n\r\n");
	world_until(&c.w, has(&c.g.in, "y\r\n\r\n"), &c.g, &c.s);
	c.g.chunk = c.s.chunk = 0;
	go_secure(&c, "api.test");
	scene_close(&c);
}

/* Some clients do not wait for the answer; the hello stays where it is. */
static void a_hello_right_behind_the_head_is_kept(void **state)
{
	struct scene c;

	(void)state;
	scene_open(&c, "api.test");
	assert_int_equal(send(c.g.fd, HEAD, strlen(HEAD), 0), strlen(HEAD));
	peer_client(&c.g, &c.w, "api.test", NULL);
	peer_step(&c.g);
	world_until(&c.w, has(&c.s.in, "\r\n\r\n"), &c.s);
	assert_string_equal(buf_str(&c.s.in), HEAD);
	scene_close(&c);
}

static void another_name_inside_is_refused(void **state)
{
	struct scene c;

	(void)state;
	scene_open(&c, "api.test");
	buf_adds(&c.g.out, HEAD);
	world_until(&c.w, has(&c.s.in, "\r\n\r\n"), &c.g, &c.s);
	buf_adds(&c.s.out, "HTTP/1.1 200 ok\r\n\r\n");
	world_until(&c.w, has(&c.g.in, "\r\n\r\n"), &c.g, &c.s);
	peer_client(&c.g, &c.w, "evil.test", NULL);
	world_until(&c.w, c.g.end != PEER_OPEN, &c.g);
	assert_true(world_said(&c.w, TLSLINK_REFUSED, "evil.test"));
	scene_close(&c);
}

/* Status and words for the guest; nothing for the proxy. */
static void refused(const char *name, const char *head, const char *status)
{
	struct scene c;
	char byte;

	scene_open(&c, name);
	buf_adds(&c.g.out, head);
	world_until(&c.w, c.g.end != PEER_OPEN, &c.g);
	if (!has(&c.g.in, status) || !has(&c.g.in, "\r\n\r\nmicrosandbox: "))
		fail_msg("\"%s\" got \"%s\"", head, buf_str(&c.g.in));
	assert_int_equal(c.g.end, PEER_FIN);
	assert_true(recv(c.s.fd, &byte, 1, 0) <= 0);
	assert_int_equal(c.w.nevents, 1);
	scene_close(&c);
}

static void other_authorities_are_refused(void **state)
{
	static const char *const heads[] = {
		"CONNECT evil.test:443 HTTP/1.1\r\n\r\n",
		"CONNECT api.test:444 HTTP/1.1\r\n\r\n",
		"CONNECT api.test HTTP/1.1\r\n\r\n",
		"CONNECT api.test:0443x HTTP/1.1\r\n\r\n",
		"CONNECT x@api.test:443 HTTP/1.1\r\n\r\n",
		"CONNECT :443 HTTP/1.1\r\n\r\n",
		"CONNECT [api.test:443 HTTP/1.1\r\n\r\n",
		"CONNECT 192.0.2.1:443 HTTP/1.1\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		refused("api.test", heads[i], "HTTP/1.1 400 ");
	refused("192.0.2.1", "CONNECT 192.0.2.2:443 HTTP/1.1\r\n\r\n",
	        "HTTP/1.1 400 ");
}

static void broken_heads_are_refused(void **state)
{
	static const char *const heads[] = {
		"GET / HTTP/1.1\r\n\r\n",
		"connect api.test:443 HTTP/1.1\r\n\r\n",
		"CONNECT  api.test:443 HTTP/1.1\r\n\r\n",
		"CONNECT api.test:443 HTTP/2.0\r\n\r\n",
		"CONNECT api.test:443 HTTP/1.1 x\r\n\r\n",
		"CONNECT api.test:443 HTTP/1.1\n\n\r\n\r\n",
		"CONNECT api.test:443 HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
		"CONNECT api.test:443 HTTP/1.1\r\nA : b\r\n\r\n",
		"CONNECT api.test:443 HTTP/1.1\r\nnothing\r\n\r\n",
		"CONNECT api.test:443 HTTP/1.1\r\nA: b\rc\r\n\r\n",
		"CONNECT api.test:443 HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
		"CONNECT api.test:443 HTTP/1.1\r\n"
		"transfer-ENCODING: chunked\r\n\r\n",
		"\r\n\r\n",
	};
	struct buf big = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		refused("api.test", heads[i], "HTTP/1.1 400 ");
	buf_adds(&big, "CONNECT api.test:443 HTTP/1.1\r\nA: ");
	for (int i = 0; i < 20000; i++)
		buf_addc(&big, 'a');
	refused("api.test", buf_str(&big), "HTTP/1.1 400 ");
	buf_release(&big);
}

static void addresses_can_be_asked_for(void **state)
{
	struct scene c;

	(void)state;
	scene_open(&c, "192.0.2.7");
	SSL_CTX_free(c.ctx);
	c.ctx = world_server_ctx(&c.w, "192.0.2.7", NULL);
	buf_adds(&c.g.out, "CONNECT 192.0.2.7:443 HTTP/1.1\r\n\r\n");
	world_until(&c.w, has(&c.s.in, "\r\n\r\n"), &c.g, &c.s);
	buf_adds(&c.s.out, "HTTP/1.1 200 ok\r\n\r\n");
	world_until(&c.w, has(&c.g.in, "\r\n\r\n"), &c.g, &c.s);
	go_secure(&c, NULL);
	assert_true(c.w.tls.flows->gate.verified);
	assert_false(gate_open(&c.w.tls.flows->gate));
	scene_close(&c);
}

/* ---- answers of the proxy ------------------------------------------------ */

static void a_refusal_passes_as_it_is(void **state)
{
	static const char no[] = "HTTP/1.1 407 no\r\nContent-Length: 3\r\n\r\n"
				 "why";
	struct scene c;

	(void)state;
	scene_open(&c, "api.test");
	buf_adds(&c.g.out, HEAD);
	world_until(&c.w, has(&c.s.in, "\r\n\r\n"), &c.g, &c.s);
	buf_adds(&c.s.out, no);
	world_until(&c.w, has(&c.g.in, "why"), &c.g, &c.s);
	assert_string_equal(buf_str(&c.g.in), no);
	c.s.shut = true;
	world_until(&c.w, c.g.end == PEER_FIN, &c.g, &c.s);
	assert_false(c.w.tls.flows && gate_open(&c.w.tls.flows->gate));
	scene_close(&c);
}

static void a_proxy_without_an_answer_is_told_of(void **state)
{
	struct scene c;
	struct buf big = BUF_INIT;

	(void)state;
	scene_open(&c, "api.test");
	buf_adds(&c.g.out, HEAD);
	world_until(&c.w, has(&c.s.in, "\r\n\r\n"), &c.g, &c.s);
	peer_close(&c.s);
	world_until(&c.w, c.w.tls.nflows == 0, &c.g);
	assert_true(world_said(&c.w, TLSLINK_REFUSED, "missing"));
	assert_int_equal(c.w.naborts, 1);
	scene_close(&c);

	scene_open(&c, "api.test");
	buf_adds(&c.g.out, HEAD);
	world_until(&c.w, has(&c.s.in, "\r\n\r\n"), &c.g, &c.s);
	for (int i = 0; i < 9000; i++)
		buf_addc(&big, 'a');
	buf_add(&c.s.out, big.data, big.len);
	world_until(&c.w, c.w.tls.nflows == 0, &c.g, &c.s);
	assert_true(world_said(&c.w, TLSLINK_REFUSED, "too long"));
	scene_close(&c);
	buf_release(&big);
}

/* ---- placeholders -------------------------------------------------------- */

static void add_secret(struct world *w, enum secret_violation v)
{
	struct secret s = {.name = (char *)(uintptr_t) "KEY",
	                   .placeholder = (char *)(uintptr_t)MARK,
	                   .placeholder_len = strlen(MARK),
	                   .value = (uint8_t *)(uintptr_t) "real",
	                   .len = 4,
	                   .where = SECRET_HEADERS | SECRET_BASIC,
	                   .violation = v};

	assert_int_equal(strv_add(&s.hosts, "*"), 0);
	secrets_unref(w->tls.secrets);
	w->tls.secrets = secrets_new();
	assert_int_equal(secrets_set(w->tls.secrets, &s, NULL), 0);
	assert_int_equal(secrets_seal(w->tls.secrets), 0);
	strv_release(&s.hosts);
}

/* Allowed or not, CONNECT is clear text: no value, and a violation. */
static void placeholders_in_it_are_violations(void **state)
{
	static const char *const headers[] = {
		"Proxy-Authorization: Bearer " MARK,
		/* user:MSB_0123456789abcdef */
		"Proxy-Authorization: Basic "
		"dXNlcjpNU0JfMDEyMzQ1Njc4OWFiY2RlZg==",
		"X: y" MARK "z",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		struct scene c;
		char byte;

		scene_open(&c, "api.test");
		add_secret(&c.w, SECRET_BLOCK_LOG);
		buf_printf(&c.g.out,
		           "CONNECT api.test:443 HTTP/1.1\r\n%s\r\n\r\n",
		           headers[i]);
		world_until(&c.w, c.g.end != PEER_OPEN, &c.g);
		assert_true(has(&c.g.in, "HTTP/1.1 403 "));
		assert_true(has(&c.g.in, "\r\n\r\nmicrosandbox: "));
		assert_true(world_said(&c.w, TLSLINK_VIOLATION, "KEY"));
		assert_false(world_said(&c.w, TLSLINK_VIOLATION, "real"));
		assert_true(recv(c.s.fd, &byte, 1, 0) <= 0);
		scene_close(&c);
	}
}

static void one_that_may_pass_passes_as_it_is(void **state)
{
	static const char head[] = "CONNECT api.test:443 HTTP/1.1\r\n"
				   "X: " MARK "\r\n\r\n";
	struct scene c;

	(void)state;
	scene_open(&c, "api.test");
	add_secret(&c.w, SECRET_PASS);
	buf_adds(&c.g.out, head);
	world_until(&c.w, has(&c.s.in, "\r\n\r\n"), &c.g, &c.s);
	assert_string_equal(buf_str(&c.s.in), head);
	assert_true(world_said(&c.w, TLSLINK_VIOLATION, "KEY"));
	scene_close(&c);
}

static void a_placeholder_behind_a_refusal_is_found(void **state)
{
	struct scene c;

	(void)state;
	scene_open(&c, "api.test");
	add_secret(&c.w, SECRET_BLOCK_LOG);
	buf_adds(&c.g.out, HEAD);
	world_until(&c.w, has(&c.s.in, "\r\n\r\n"), &c.g, &c.s);
	buf_adds(&c.s.out, "HTTP/1.1 407 no\r\n\r\n");
	world_until(&c.w, has(&c.g.in, "407"), &c.g, &c.s);
	buf_adds(&c.g.out, "X: " MARK);
	world_until(&c.w, c.w.tls.nflows == 0, &c.g, &c.s);
	assert_int_equal(c.w.naborts, 1);
	assert_true(world_said(&c.w, TLSLINK_VIOLATION, "not encrypted"));
	assert_false(has(&c.s.in, MARK));
	scene_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tls_begins_behind_the_proxys_answer),
		cmocka_unit_test(heads_may_come_in_single_bytes),
		cmocka_unit_test(a_hello_right_behind_the_head_is_kept),
		cmocka_unit_test(another_name_inside_is_refused),
		cmocka_unit_test(other_authorities_are_refused),
		cmocka_unit_test(broken_heads_are_refused),
		cmocka_unit_test(addresses_can_be_asked_for),
		cmocka_unit_test(a_refusal_passes_as_it_is),
		cmocka_unit_test(a_proxy_without_an_answer_is_told_of),
		cmocka_unit_test(placeholders_in_it_are_violations),
		cmocka_unit_test(one_that_may_pass_passes_as_it_is),
		cmocka_unit_test(a_placeholder_behind_a_refusal_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
