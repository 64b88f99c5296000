/* The handshakes of a flow: who is answered with what, who is refused, and what
   is said of it. */
#include "tls/flow.h"

#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>

#include "tls/world.h"

/* Servers choose the first of theirs that is offered. */
static int choose(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                  const unsigned char *in, unsigned in_len, void *arg)
{
	unsigned char *got;
	const char *mine = arg;
	int r = SSL_select_next_proto(&got, out_len,
	                              (const unsigned char *)mine,
	                              (unsigned)strlen(mine), in, in_len);

	(void)ssl;
	*out = got;
	return r == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK
	                                   : SSL_TLSEXT_ERR_NOACK;
}

static bool both_secure(const struct peer *a, const struct peer *b)
{
	return a->secure && b->secure;
}

/* A guest of api.test whose server is what @ctx says, until both are secure. */
static void open_flow(struct world *w, SSL_CTX *ctx, struct peer *g,
                      struct peer *s, const char *alpn)
{
	struct tlslink_flow m = world_message(w, "api.test");

	assert_int_equal(world_flow(w, &m, g, s), 0);
	peer_client(g, w, "api.test", alpn);
	peer_server(s, ctx);
	SSL_set1_host(g->ssl, "api.test");
	world_until(w, both_secure(g, s), g, s);
	SSL_CTX_free(ctx);
}

static void peers_close(struct peer *g, struct peer *s)
{
	peer_close(g);
	peer_close(s);
}

static void bytes_pass_both_ways(void **state)
{
	struct peer g, s;
	struct world w;

	(void)state;
	world_open(&w, NULL);
	open_flow(&w, world_server_ctx(&w, "api.test", NULL), &g, &s, NULL);
	buf_adds(&g.out, "\x01 from the guest");
	world_until(&w, s.in.len == 16, &g, &s);
	assert_memory_equal(s.in.data, "\x01 from the guest", 16);
	buf_adds(&s.out, "from the server");
	world_until(&w, g.in.len == 15, &g, &s);
	assert_memory_equal(g.in.data, "from the server", 15);
	assert_int_equal(w.nevents, 0);
	peers_close(&g, &s);
	world_until(&w, w.tls.nflows == 0, &g);
	assert_int_equal(w.naborts, 0);
	world_close(&w);
}

static void servers_may_speak_first(void **state)
{
	struct peer g, s;
	struct world w;

	(void)state;
	world_open(&w, NULL);
	open_flow(&w, world_server_ctx(&w, "api.test", NULL), &g, &s, NULL);
	buf_adds(&s.out, "220 hello");
	world_until(&w, g.in.len == 9, &g, &s);
	peers_close(&g, &s);
	world_close(&w);
}

/* What the server sees offered, and what the guest gets. */
static void alpn_case(const char *guest, const char *server, const char *want)
{
	SSL_CTX *ctx;
	struct peer g, s;
	struct world w;
	const unsigned char *p;
	unsigned len;

	world_open(&w, NULL);
	ctx = world_server_ctx(&w, "api.test", NULL);
	if (server)
		SSL_CTX_set_alpn_select_cb(ctx, choose,
		                           (void *)(uintptr_t)server);
	open_flow(&w, ctx, &g, &s, guest);
	SSL_get0_alpn_selected(g.ssl, &p, &len);
	assert_int_equal(len, strlen(want));
	assert_memory_equal(p ? p : (const void *)"", want, len);
	SSL_get0_alpn_selected(s.ssl, &p, &len);
	assert_int_equal(len, strlen(want));
	peers_close(&g, &s);
	world_close(&w);
}

static void the_server_chooses_the_protocol(void **state)
{
	(void)state;
	alpn_case("\x02h2\x08http/1.1", "\x02h2\x08http/1.1", "h2");
	alpn_case("\x02h2\x08http/1.1", "\x08http/1.1", "http/1.1");
	alpn_case("\x08http/1.1", "\x02h2\x08http/1.1", "http/1.1");
	alpn_case("\x02h2", NULL, "");
	alpn_case(NULL, "\x02h2", "");
	/* what we cannot relay is not offered, when there is better */
	alpn_case("\x03xyz\x08http/1.1", "\x03xyz\x08http/1.1", "http/1.1");
	alpn_case("\x03xyz\x03"
	          "abc",
	          "\x03"
	          "abc",
	          "abc");
}

/* ---- servers that are refused -------------------------------------------- */

struct failure {
	X509 *cert;
	const char *words, *option;
	int alert;
};

/* The guest gets the alert and people the words. */
static void server_case(struct world *w, SSL_CTX *ctx, const struct failure *f)
{
	struct tlslink_flow m = world_message(w, "api.test");
	struct peer g, s;

	w->nevents = 0;
	assert_int_equal(world_flow(w, &m, &g, &s), 0);
	peer_client(&g, w, "api.test", NULL);
	peer_server(&s, ctx);
	world_until(w, g.end != PEER_OPEN, &g, &s);
	if (!world_said(w, TLSLINK_REFUSED, f->words) ||
	    !world_said(w, TLSLINK_REFUSED, f->option))
		fail_msg("\"%s\" and \"%s\" are not in \"%s\"", f->words,
		         f->option, w->events[0].text);
	assert_int_equal(w->nevents, 1);
	assert_int_equal(g.alert, f->alert);
	assert_false(g.secure);
	peers_close(&g, &s);
	world_until(w, w->tls.nflows == 0, &g);
	SSL_CTX_free(ctx);
}

static void cert_case(struct world *w, const struct cert_wish *wish,
                      const struct failure *f)
{
	X509 *x = world_cert(w->key, wish);

	server_case(w, world_server_ctx(w, NULL, x), f);
	X509_free(x);
}

static void bad_certificates_are_refused_with_words(void **state)
{
	EVP_PKEY *other = EVP_EC_gen("P-256");
	X509 *stranger = world_cert(other, &(struct cert_wish){.ca = true});
	struct world w;

	(void)state;
	world_open(&w, NULL);
	cert_case(&w,
	          &(struct cert_wish){.name = "api.test",
	                              .from = -99,
	                              .to = -9,
	                              .issuer = w.ca},
	          &(struct failure){.words = "has expired",
	                            .option = "--tls-no-verify-upstream-for "
	                                      "api.test",
	                            .alert = SSL_AD_CERTIFICATE_EXPIRED});
	cert_case(&w,
	          &(struct cert_wish){.name = "api.test",
	                              .from = 999,
	                              .to = 9999,
	                              .issuer = w.ca},
	          &(struct failure){.words = "not valid yet",
	                            .option = "--tls-no-verify-upstream-for",
	                            .alert = SSL_AD_BAD_CERTIFICATE});
	cert_case(&w, &(struct cert_wish){.name = "api.test"},
	          &(struct failure){.words = "self-signed",
	                            .option = "--tls-upstream-ca-cert FILE",
	                            .alert = SSL_AD_UNKNOWN_CA});
	cert_case(&w, &(struct cert_wish){.name = "evil.test", .issuer = w.ca},
	          &(struct failure){.words = "for other names",
	                            .option = "--tls-no-verify-upstream-for",
	                            .alert = SSL_AD_BAD_CERTIFICATE});
	cert_case(&w, &(struct cert_wish){.issuer = w.ca},
	          &(struct failure){.words = "for other names",
	                            .option = "--tls-no-verify-upstream-for",
	                            .alert = SSL_AD_BAD_CERTIFICATE});
	cert_case(&w,
	          &(struct cert_wish){
			  .name = "api.test", .issuer = stranger, .key = other},
	          &(struct failure){.words = "authority",
	                            .option = "--tls-upstream-ca-cert-for "
	                                      "api.test=FILE",
	                            .alert = SSL_AD_UNKNOWN_CA});
	world_close(&w);
	X509_free(stranger);
	EVP_PKEY_free(other);
}

static int deny(int ok, X509_STORE_CTX *x)
{
	(void)ok;
	(void)x;
	return 0;
}

static void client_certificates_are_spoken_of(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct world w;

	(void)state;
	world_open(&w, NULL);
	for (size_t i = 0; i < 2; i++) {
		SSL_CTX *ctx = world_server_ctx(&w, "api.test", NULL);
		struct tlslink_flow m = world_message(&w, "api.test");
		struct peer g, s;

		SSL_CTX_set_max_proto_version(ctx, versions[i]);
		SSL_CTX_set_verify(
			ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
			deny);
		w.nevents = 0;
		assert_int_equal(world_flow(&w, &m, &g, &s), 0);
		peer_client(&g, &w, "api.test", NULL);
		peer_server(&s, ctx);
		world_until(&w, g.end != PEER_OPEN, &g, &s);
		assert_true(world_said(&w, TLSLINK_REFUSED,
		                       "wants a client certificate"));
		assert_true(world_said(&w, TLSLINK_REFUSED,
		                       "--tls-bypass api.test"));
		peers_close(&g, &s);
		world_until(&w, w.tls.nflows == 0, &g);
		SSL_CTX_free(ctx);
	}
	world_close(&w);
}

/* A server that sends @text and closes. */
static void clear_server_case(const char *text, size_t len, const char *words,
                              int alert)
{
	struct world w;
	struct tlslink_flow m;
	struct peer g, s;

	world_open(&w, NULL);
	m = world_message(&w, "api.test");
	assert_int_equal(world_flow(&w, &m, &g, &s), 0);
	peer_client(&g, &w, "api.test", NULL);
	buf_add(&s.out, text, len);
	s.shut = true;
	world_until(&w, g.end != PEER_OPEN, &g, &s);
	if (!world_said(&w, TLSLINK_REFUSED, words))
		fail_msg("\"%s\" is not in \"%s\"", words, w.events[0].text);
	assert_int_equal(g.alert, alert);
	peers_close(&g, &s);
	world_close(&w);
}

static void servers_without_tls_are_told_of(void **state)
{
	static const char http[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
	static const char alert[] = {21, 3, 3, 0, 2, 2, 40};

	(void)state;
	clear_server_case(http, sizeof(http) - 1, "does not answer in TLS",
	                  SSL_AD_PROTOCOL_VERSION);
	clear_server_case("", 0, "closed the connection",
	                  SSL_AD_INTERNAL_ERROR);
	clear_server_case(alert, sizeof(alert), "refused the handshake",
	                  SSL_AD_HANDSHAKE_FAILURE);
}

static void old_servers_are_refused(void **state)
{
	struct world w;
	SSL_CTX *ctx;

	(void)state;
	world_open(&w, NULL);
	ctx = world_server_ctx(&w, "api.test", NULL);
	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
	server_case(&w, ctx,
	            &(struct failure){.words = "has no TLS 1.2 or later",
	                              .option = "--tls-bypass api.test",
	                              .alert = SSL_AD_PROTOCOL_VERSION});
	world_close(&w);
}

static void a_server_that_says_nothing_is_left_in_time(void **state)
{
	struct world w;
	struct tlslink_flow m;
	struct peer g, s;

	(void)state;
	world_open(&w, NULL);
	w.tls.handshake_ns = NS_PER_S / 2;
	m = world_message(&w, "api.test");
	assert_int_equal(world_flow(&w, &m, &g, &s), 0);
	peer_client(&g, &w, "api.test", NULL);
	world_until(&w, g.end != PEER_OPEN, &g);
	assert_true(world_said(&w, TLSLINK_REFUSED, "in time"));
	assert_int_equal(g.alert, SSL_AD_INTERNAL_ERROR);
	peers_close(&g, &s);
	world_close(&w);
}

static void a_guest_that_says_nothing_is_cut_in_time(void **state)
{
	struct world w;
	struct tlslink_flow m;
	struct peer g, s;

	(void)state;
	world_open(&w, NULL);
	w.tls.handshake_ns = NS_PER_S / 2;
	m = world_message(&w, "api.test");
	assert_int_equal(world_flow(&w, &m, &g, &s), 0);
	world_until(&w, w.tls.nflows == 0, &g, &s);
	assert_int_equal(w.naborts, 1);
	peers_close(&g, &s);
	world_close(&w);
}

static void what_is_not_verified_is_said_to_the_gate(void **state)
{
	struct strv all = {0};
	struct peer g, s;
	struct world w;
	X509 *x;

	(void)state;
	assert_int_equal(strv_add(&all, "api.test"), 0);
	world_open(&w, &all);
	x = world_cert(w.key, &(struct cert_wish){.name = "evil.test"});
	open_flow(&w, world_server_ctx(&w, NULL, x), &g, &s, NULL);
	world_until(&w, w.tls.flows->state == FLOW_RELAY, &g, &s);
	assert_false(w.tls.flows->gate.verified);
	assert_false(gate_open(&w.tls.flows->gate));
	peers_close(&g, &s);
	/* right or not, what is not looked at opens nothing */
	open_flow(&w, world_server_ctx(&w, "api.test", NULL), &g, &s, NULL);
	world_until(&w, w.tls.flows->state == FLOW_RELAY, &g, &s);
	assert_false(w.tls.flows->gate.verified);
	peers_close(&g, &s);
	X509_free(x);
	world_close(&w);
	strv_release(&all);
}

static void the_gate_opens_for_a_verified_name(void **state)
{
	struct peer g, s;
	struct world w;

	(void)state;
	world_open(&w, NULL);
	open_flow(&w, world_server_ctx(&w, "api.test", NULL), &g, &s, NULL);
	world_until(&w, w.tls.flows->state == FLOW_RELAY, &g, &s);
	assert_true(gate_open(&w.tls.flows->gate));
	assert_string_equal(w.tls.flows->gate.name, "api.test");
	assert_int_equal(w.tls.flows->gate.port, 443);
	peers_close(&g, &s);
	world_close(&w);
}

static void sessions_are_taken_up_again(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct peer g, s;
		struct world w;
		SSL_CTX *ctx;

		world_open(&w, NULL);
		ctx = world_server_ctx(&w, "api.test", NULL);
		SSL_CTX_set_max_proto_version(ctx, versions[i]);
		for (int n = 0; n < 3; n++) {
			SSL_CTX_up_ref(ctx);
			open_flow(&w, ctx, &g, &s, NULL);
			assert_int_equal(SSL_session_reused(s.ssl), n > 0);
			assert_false(SSL_session_reused(g.ssl));
			buf_adds(&s.out, "x"); /* tickets came before it */
			world_until(&w, g.in.len == 1, &g, &s);
			assert_true(gate_open(&w.tls.flows->gate));
			peers_close(&g, &s);
			world_until(&w, w.tls.nflows == 0, &g);
		}
		SSL_CTX_free(ctx);
		world_close(&w);
	}
}

/* ---- guests that are refused --------------------------------------------- */

static void guest_case(const char *name, const char *sni, const char *words)
{
	struct world w;
	struct tlslink_flow m;
	struct peer g, s;
	char byte;

	world_open(&w, NULL);
	m = world_message(&w, name);
	assert_int_equal(world_flow(&w, &m, &g, &s), 0);
	peer_client(&g, &w, sni, NULL);
	world_until(&w, g.end != PEER_OPEN, &g);
	if (!world_said(&w, TLSLINK_REFUSED, words))
		fail_msg("\"%s\" is not in \"%s\"", words, w.events[0].text);
	assert_int_equal(g.alert, SSL_AD_UNRECOGNIZED_NAME);
	/* the server was not spoken to */
	assert_true(recv(s.fd, &byte, 1, 0) <= 0);
	peers_close(&g, &s);
	world_close(&w);
}

static void names_must_agree(void **state)
{
	(void)state;
	guest_case("api.test", "evil.test", "another host, evil.test");
	guest_case("api.test", NULL, "no SNI");
	guest_case("", "api.test", "another host");
	guest_case("api.test", "api.test.evil.test", "another host");
	guest_case("api.test", "a b", "no valid host");
}

static void case_and_a_dot_do_not_matter(void **state)
{
	struct world w;
	struct tlslink_flow m;
	struct peer g, s;

	(void)state;
	world_open(&w, NULL);
	m = world_message(&w, "api.test");
	assert_int_equal(world_flow(&w, &m, &g, &s), 0);
	peer_client(&g, &w, "API.Test.", NULL);
	SSL_CTX *ctx = world_server_ctx(&w, "api.test", NULL);
	peer_server(&s, ctx);
	world_until(&w, both_secure(&g, &s), &g, &s);
	assert_string_equal(SSL_get_servername(s.ssl, 0), "api.test");
	peers_close(&g, &s);
	SSL_CTX_free(ctx);
	world_close(&w);
}

static void addresses_are_answered_as_such(void **state)
{
	struct world w;
	struct tlslink_flow m;
	struct peer g, s;
	SSL_CTX *ctx;

	(void)state;
	world_open(&w, NULL);
	m = world_message(&w, "");
	ctx = world_server_ctx(&w, "192.0.2.1", NULL);
	assert_int_equal(world_flow(&w, &m, &g, &s), 0);
	peer_client(&g, &w, NULL, NULL);
	X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(g.ssl), "192.0.2.1");
	peer_server(&s, ctx);
	world_until(&w, both_secure(&g, &s), &g, &s);
	assert_null(SSL_get_servername(s.ssl, 0));
	world_until(&w, w.tls.flows->state == FLOW_RELAY, &g, &s);
	assert_false(gate_open(&w.tls.flows->gate)); /* no name */
	peers_close(&g, &s);
	SSL_CTX_free(ctx);

	/* another address's certificate */
	m = world_message(&w, "");
	ctx = world_server_ctx(&w, "192.0.2.2", NULL);
	assert_int_equal(world_flow(&w, &m, &g, &s), 0);
	peer_client(&g, &w, NULL, NULL);
	peer_server(&s, ctx);
	world_until(&w, g.end != PEER_OPEN, &g, &s);
	assert_true(world_said(&w, TLSLINK_REFUSED, "not for this address"));
	peers_close(&g, &s);
	SSL_CTX_free(ctx);
	world_close(&w);
}

static void a_client_that_pins_is_told_of(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct world w;
		struct tlslink_flow m;
		struct peer g, s;
		SSL_CTX *ctx;
		X509_STORE *none = X509_STORE_new();

		world_open(&w, NULL);
		m = world_message(&w, "api.test");
		ctx = world_server_ctx(&w, "api.test", NULL);
		assert_int_equal(world_flow(&w, &m, &g, &s), 0);
		peer_client(&g, &w, "api.test", NULL);
		SSL_set1_verify_cert_store(g.ssl, none);
		SSL_set_max_proto_version(g.ssl, versions[i]);
		peer_server(&s, ctx);
		world_until(&w, w.nevents > 0, &g, &s);
		assert_true(world_said(&w, TLSLINK_REFUSED,
		                       "api.test: the client in the sandbox "
		                       "does not trust"));
		assert_true(world_said(&w, TLSLINK_REFUSED,
		                       "--tls-bypass api.test"));
		assert_true(world_said(&w, TLSLINK_REFUSED, "/.msb/ca.pem"));
		peers_close(&g, &s);
		world_until(&w, w.tls.nflows == 0, &g);
		assert_int_equal(w.nevents, 1);
		SSL_CTX_free(ctx);
		X509_STORE_free(none);
		world_close(&w);
	}
}

/* Closes when it has got our certificate, without a word. */
static void a_client_that_just_leaves_is_told_of(void **state)
{
	struct world w;
	struct tlslink_flow m;
	struct peer g, s;
	SSL_CTX *ctx;

	(void)state;
	world_open(&w, NULL);
	m = world_message(&w, "api.test");
	ctx = world_server_ctx(&w, "api.test", NULL);
	assert_int_equal(world_flow(&w, &m, &g, &s), 0);
	peer_client(&g, &w, "api.test", NULL);
	peer_server(&s, ctx);
	peer_step(&g); /* its ClientHello */
	world_until(&w, w.tls.flows->state == FLOW_GUEST, &s);
	peer_close(&g);
	world_until(&w, w.nevents > 0, &s);
	assert_true(world_said(&w, TLSLINK_REFUSED, "does not trust"));
	peer_close(&s);
	SSL_CTX_free(ctx);
	world_close(&w);
}

static void a_client_that_leaves_after_the_handshake_is_noted(void **state)
{
	struct peer g, s;
	struct world w;

	(void)state;
	world_open(&w, NULL);
	open_flow(&w, world_server_ctx(&w, "api.test", NULL), &g, &s, NULL);
	peer_close(&g);
	world_until(&w, w.nevents > 0, &s);
	assert_true(world_said(&w, TLSLINK_NOTE, "right after the handshake"));
	peer_close(&s);
	world_close(&w);
}

static void what_is_no_tls_is_refused(void **state)
{
	struct world w;
	struct tlslink_flow m;
	struct peer g, s;

	(void)state;
	world_open(&w, NULL);
	m = world_message(&w, "api.test");
	assert_int_equal(world_flow(&w, &m, &g, &s), 0);
	buf_adds(&g.out, "GET / HTTP/1.1\r\nHost: api.test\r\n\r\n");
	world_until(&w, g.end != PEER_OPEN, &g);
	assert_true(world_said(&w, TLSLINK_REFUSED, "failed"));
	peers_close(&g, &s);
	world_until(&w, w.tls.nflows == 0, &g);
	world_close(&w);
}

/* ---- what is odd, but right ---------------------------------------------- */

/* GREASE for ECH: the extension is there, and means nothing to us. */
static int add_ech(SSL *ssl, unsigned type, unsigned context,
                   const unsigned char **out, size_t *len, X509 *x,
                   size_t chain, int *alert, void *arg)
{
	static const unsigned char grease[200] = {0, 0, 1, 0, 1, 7};

	(void)ssl;
	(void)type;
	(void)context;
	(void)x;
	(void)chain;
	(void)alert;
	(void)arg;
	*out = grease;
	*len = sizeof(grease);
	return 1;
}

static void grease_for_ech_passes(void **state)
{
	struct peer g, s;
	struct world w;

	(void)state;
	world_open(&w, NULL);
	assert_true(SSL_CTX_add_custom_ext(w.client_ctx, 0xfe0d,
	                                   SSL_EXT_CLIENT_HELLO, add_ech, NULL,
	                                   NULL, NULL, NULL));
	open_flow(&w, world_server_ctx(&w, "api.test", NULL), &g, &s, NULL);
	assert_int_equal(w.nevents, 0);
	peers_close(&g, &s);
	world_close(&w);
}

static void a_huge_hello_in_single_bytes_is_read(void **state)
{
	struct world w;
	struct tlslink_flow m;
	struct peer g, s;
	unsigned char alpn[9000];
	BIO *out;
	SSL_CTX *ctx;
	char *data;
	long len;
	size_t n = 0;

	(void)state;
	world_open(&w, NULL);
	m = world_message(&w, "api.test");
	ctx = world_server_ctx(&w, "api.test", NULL);
	assert_int_equal(world_flow(&w, &m, &g, &s), 0);
	for (; n + 101 < sizeof(alpn); n += 101) {
		alpn[n] = 100;
		memset(alpn + n + 1, 'a', 100);
	}
	peer_client(&g, &w, "api.test", NULL);
	assert_int_equal(SSL_set_alpn_protos(g.ssl, alpn, (unsigned)n), 0);
	out = BIO_new(BIO_s_mem());
	BIO_up_ref(out);
	SSL_set0_wbio(g.ssl, out);
	assert_int_equal(SSL_do_handshake(g.ssl), -1);
	len = BIO_get_mem_data(out, &data);
	assert_true(len > 8000);
	for (long i = 0; i < len; i++) {
		assert_int_equal(send(g.fd, data + i, 1, 0), 1);
		assert_int_equal(loop_step(w.tls.loop, 0), 0);
	}
	SSL_set0_wbio(g.ssl, BIO_new_socket(g.fd, BIO_NOCLOSE));
	peer_server(&s, ctx);
	world_until(&w, both_secure(&g, &s), &g, &s);
	BIO_free(out);
	peers_close(&g, &s);
	SSL_CTX_free(ctx);
	world_close(&w);
}

static void a_hello_without_end_takes_no_memory_without_end(void **state)
{
	static const unsigned char head[] = {22, 3,    1,    0x40, 0,
	                                     1,  0xff, 0xff, 0xff};
	struct world w;
	struct tlslink_flow m;
	struct peer g, s;

	(void)state;
	world_open(&w, NULL);
	m = world_message(&w, "api.test");
	assert_int_equal(world_flow(&w, &m, &g, &s), 0);
	buf_add(&g.out, head, sizeof(head));
	buf_addz(&g.out, 1 << 20);
	world_until(&w, g.end != PEER_OPEN, &g);
	peers_close(&g, &s);
	world_until(&w, w.tls.nflows == 0, &g);
	world_close(&w);
}

/* A first group that we do not take: HelloRetryRequest, and so two hellos. */
static void a_second_hello_is_answered(void **state)
{
	struct world w;
	struct tlslink_flow m;
	struct peer g, s;
	SSL_CTX *ctx;

	(void)state;
	world_open(&w, NULL);
	m = world_message(&w, "api.test");
	ctx = world_server_ctx(&w, "api.test", NULL);
	assert_int_equal(world_flow(&w, &m, &g, &s), 0);
	peer_client(&g, &w, "api.test", NULL);
	assert_true(SSL_set1_groups_list(g.ssl, "P-521:P-256"));
	peer_server(&s, ctx);
	world_until(&w, both_secure(&g, &s), &g, &s);
	buf_adds(&g.out, "\x01x");
	world_until(&w, s.in.len == 2, &g, &s);
	peers_close(&g, &s);
	SSL_CTX_free(ctx);
	world_close(&w);
}

static void renegotiation_is_not_done(void **state)
{
	struct peer g, s;
	struct world w;
	SSL_CTX *ctx;

	(void)state;
	world_open(&w, NULL);
	SSL_CTX_set_max_proto_version(w.client_ctx, TLS1_2_VERSION);
	ctx = world_server_ctx(&w, "api.test", NULL);
	open_flow(&w, ctx, &g, &s, NULL);
	assert_int_equal(SSL_renegotiate(g.ssl), 1);
	(void)SSL_do_handshake(g.ssl);
	world_until(&w, g.end != PEER_OPEN || g.alert >= 0, &g, &s);
	assert_int_equal(g.alert, SSL_AD_NO_RENEGOTIATION);
	peers_close(&g, &s);
	world_until(&w, w.tls.nflows == 0, &g);
	world_close(&w);
}

static void guests_get_no_tickets(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct peer g, s;
		struct world w;

		world_open(&w, NULL);
		SSL_CTX_set_max_proto_version(w.client_ctx, versions[i]);
		open_flow(&w, world_server_ctx(&w, "api.test", NULL), &g, &s,
		          NULL);
		buf_adds(&s.out, "x");
		world_until(&w, g.in.len == 1, &g, &s);
		assert_false(SSL_SESSION_has_ticket(SSL_get_session(g.ssl)));
		peers_close(&g, &s);
		world_close(&w);
	}
}

/* ---- the link ------------------------------------------------------------ */

static void bad_messages_are_refused(void **state)
{
	struct world w;
	struct tlslink_flow good, m;
	struct peer g, s;

	(void)state;
	world_open(&w, NULL);
	good = world_message(&w, "api.test");
#define BAD(change)                                                            \
	do {                                                                   \
		m = good;                                                      \
		change;                                                        \
		assert_int_equal(world_flow(&w, &m, &g, &s), -EINVAL);         \
		peers_close(&g, &s);                                           \
	} while (0)
	BAD(m.kind = 3);
	BAD(m.pinned = 2);
	BAD(m.port = 0);
	BAD(m.id = 0);
	BAD(memset(m.name, 'a', sizeof(m.name)));
	BAD(strncpy(m.name, "API.test", sizeof(m.name)));
	BAD(strncpy(m.name, "a b", sizeof(m.name)));
#undef BAD
	assert_int_equal(w.naborts, 7);
	assert_int_equal(w.tls.nflows, 0);
	world_close(&w);
}

/* ---- many ---------------------------------------------------------------- */

#define MANY (FLOW_HANDSHAKES + 100)

static unsigned count_secure(const struct peer *g, unsigned n)
{
	unsigned c = 0;

	for (unsigned i = 0; i < n; i++)
		c += g[i].secure;
	return c;
}

static void handshakes_wait_for_their_turn(void **state)
{
	static struct peer g[MANY], s[MANY];
	struct world w;
	SSL_CTX *ctx;
	uint64_t end = clock_now_ns() + 60 * NS_PER_S;

	(void)state;
	world_open(&w, NULL);
	ctx = world_server_ctx(&w, "api.test", NULL);
	for (unsigned i = 0; i < MANY; i++) {
		struct tlslink_flow m = world_message(&w, "api.test");

		assert_int_equal(world_flow(&w, &m, &g[i], &s[i]), 0);
		peer_client(&g[i], &w, "api.test", NULL);
		peer_server(&s[i], ctx);
	}
	assert_int_equal(w.tls.nhandshakes, FLOW_HANDSHAKES);
	while (count_secure(g, MANY) < MANY) {
		for (unsigned i = 0; i < MANY; i++) {
			peer_step(&g[i]);
			peer_step(&s[i]);
		}
		assert_int_equal(loop_step(w.tls.loop, 0), 0);
		assert_true(w.tls.nhandshakes <= FLOW_HANDSHAKES);
		assert_true(clock_now_ns() < end);
	}
	for (unsigned i = 0; i < MANY; i++)
		peers_close(&g[i], &s[i]);
	world_until(&w, w.tls.nflows == 0, &g[0]);
	SSL_CTX_free(ctx);
	world_close(&w);
}

static void those_that_wait_can_leave(void **state)
{
	static struct peer g[MANY], s[MANY];
	struct world w;

	(void)state;
	world_open(&w, NULL);
	for (unsigned i = 0; i < MANY; i++) {
		struct tlslink_flow m = world_message(&w, "api.test");

		assert_int_equal(world_flow(&w, &m, &g[i], &s[i]), 0);
	}
	for (unsigned i = FLOW_HANDSHAKES; i < MANY; i++)
		peer_close(&g[i]);
	world_until(&w, w.tls.nflows == FLOW_HANDSHAKES, &g[0]);
	assert_null(w.tls.waiting);
	for (unsigned i = 0; i < MANY; i++)
		peers_close(&g[i], &s[i]);
	world_until(&w, w.tls.nflows == 0, &g[0]);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_pass_both_ways),
		cmocka_unit_test(servers_may_speak_first),
		cmocka_unit_test(the_server_chooses_the_protocol),
		cmocka_unit_test(bad_certificates_are_refused_with_words),
		cmocka_unit_test(client_certificates_are_spoken_of),
		cmocka_unit_test(servers_without_tls_are_told_of),
		cmocka_unit_test(old_servers_are_refused),
		cmocka_unit_test(a_server_that_says_nothing_is_left_in_time),
		cmocka_unit_test(a_guest_that_says_nothing_is_cut_in_time),
		cmocka_unit_test(what_is_not_verified_is_said_to_the_gate),
		cmocka_unit_test(the_gate_opens_for_a_verified_name),
		cmocka_unit_test(sessions_are_taken_up_again),
		cmocka_unit_test(names_must_agree),
		cmocka_unit_test(case_and_a_dot_do_not_matter),
		cmocka_unit_test(addresses_are_answered_as_such),
		cmocka_unit_test(a_client_that_pins_is_told_of),
		cmocka_unit_test(a_client_that_just_leaves_is_told_of),
		cmocka_unit_test(
			a_client_that_leaves_after_the_handshake_is_noted),
		cmocka_unit_test(what_is_no_tls_is_refused),
		cmocka_unit_test(grease_for_ech_passes),
		cmocka_unit_test(a_huge_hello_in_single_bytes_is_read),
		cmocka_unit_test(
			a_hello_without_end_takes_no_memory_without_end),
		cmocka_unit_test(a_second_hello_is_answered),
		cmocka_unit_test(renegotiation_is_not_done),
		cmocka_unit_test(guests_get_no_tickets),
		cmocka_unit_test(bad_messages_are_refused),
		cmocka_unit_test(handshakes_wait_for_their_turn),
		cmocka_unit_test(those_that_wait_can_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
