/* Whom servers are checked against; the failures are in test_flow.c. */
#include "tls/upstream.h"

#include <openssl/err.h>
#include <string.h>

#include "base/clock.h"
#include "tls/world.h"

struct setting {
	struct world w;
	EVP_PKEY *key;
	X509 *other; /* an authority that only some patterns trust */
	char *roots, *other_pem;
};

static void setting_open(struct setting *t)
{
	world_open(&t->w, NULL);
	t->key = EVP_EC_gen("P-256");
	t->other = world_cert(t->key, &(struct cert_wish){.ca = true});
	t->roots = world_pem(t->w.ca);
	t->other_pem = world_pem(t->other);
}

static void setting_close(struct setting *t)
{
	free(t->roots);
	free(t->other_pem);
	X509_free(t->other);
	EVP_PKEY_free(t->key);
	world_close(&t->w);
}

/* A handshake in memory: X509_V_OK or why not. */
static long shake(struct upstreams *u, SSL_CTX *server, const char *name,
                  const char *ip, bool *ret_verified)
{
	SSL *c = upstream_ssl(u, name, ip, NULL, 0, NULL);
	SSL *s = SSL_new(server);
	BIO *a, *b;
	long r;

	assert_non_null(c);
	assert_true(BIO_new_bio_pair(&a, 0, &b, 0));
	SSL_set_bio(c, a, a);
	SSL_set_bio(s, b, b);
	SSL_set_accept_state(s);
	for (int i = 0; i < 10; i++) {
		ERR_clear_error();
		(void)SSL_do_handshake(c);
		ERR_clear_error();
		(void)SSL_do_handshake(s);
	}
	r = SSL_get_verify_result(c);
	*ret_verified = SSL_is_init_finished(c) && upstream_verified(c);
	SSL_free(c);
	SSL_free(s);
	return r;
}

static SSL_CTX *ctx_of(struct setting *t, const char *name, bool other)
{
	X509 *x = world_cert(
		t->w.key,
		&(struct cert_wish){.name = name,
	                            .issuer = other ? t->other : t->w.ca,
	                            .key = other ? t->key : t->w.key});
	SSL_CTX *ctx = world_server_ctx(&t->w, NULL, x);

	X509_free(x);
	return ctx;
}

static void check(struct setting *t, struct upstreams *u, const char *name,
                  bool other, bool want)
{
	SSL_CTX *ctx = ctx_of(t, name, other);
	bool is_ip = name[0] >= '0' && name[0] <= '9', verified;
	long r = shake(u, ctx, is_ip ? "" : name, is_ip ? name : "", &verified);

	if (verified != want)
		fail_msg("%s: %d, %s", name, verified,
		         X509_verify_cert_error_string(r));
	SSL_CTX_free(ctx);
}

static void more_authorities_are_for_their_patterns(void **state)
{
	struct upstream_ca more[] = {
		{.pattern = (char *)(uintptr_t) "*.in.test"},
		{.pattern = (char *)(uintptr_t) "10.1.2.3"}};
	struct strv none = {0};
	struct upstreams *u;
	struct setting t;

	(void)state;
	setting_open(&t);
	more[0].pem = more[1].pem = t.other_pem;
	assert_int_equal(upstreams_new(t.roots, more, 2, &none, &u, NULL), 0);
	for (int i = 0; i < 2; i++) {
		check(&t, u, "a.in.test", true, true);
		check(&t, u, "in.test", true, true);
		check(&t, u, "a.in.test", false, true);
		check(&t, u, "in.test.evil", true, false);
		check(&t, u, "api.test", true, false);
		check(&t, u, "api.test", false, true);
		check(&t, u, "10.1.2.3", true, true);
		check(&t, u, "10.1.2.4", true, false);
	}
	upstreams_free(u);
	setting_close(&t);
}

static void for_all_is_for_all(void **state)
{
	struct upstream_ca more = {.pattern = (char *)(uintptr_t) "*"};
	struct strv none = {0};
	struct upstreams *u;
	struct setting t;

	(void)state;
	setting_open(&t);
	more.pem = t.other_pem;
	/* a host may have no certificates at all */
	assert_int_equal(upstreams_new("", &more, 1, &none, &u, NULL), 0);
	check(&t, u, "api.test", true, true);
	check(&t, u, "192.0.2.9", true, true);
	check(&t, u, "api.test", false, false);
	upstreams_free(u);
	setting_close(&t);
}

static void no_verify_lets_all_in_and_verifies_nothing(void **state)
{
	struct strv no_verify = {0};
	struct upstreams *u;
	struct setting t;
	SSL_CTX *ctx;
	bool verified;
	SSL *ssl;

	(void)state;
	setting_open(&t);
	assert_int_equal(strv_add(&no_verify, "*.dev.test"), 0);
	assert_int_equal(upstreams_new(t.roots, NULL, 0, &no_verify, &u, NULL),
	                 0);
	ctx = ctx_of(&t, "wrong.test", true);
	(void)shake(u, ctx, "x.dev.test", "", &verified);
	assert_false(verified);
	ssl = upstream_ssl(u, "x.dev.test", "", NULL, 0, NULL);
	assert_int_equal(SSL_get_verify_mode(ssl), SSL_VERIFY_NONE);
	SSL_free(ssl);
	ssl = upstream_ssl(u, "x.devi.test", "", NULL, 0, NULL);
	assert_int_equal(SSL_get_verify_mode(ssl), SSL_VERIFY_PEER);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	check(&t, u, "api.test", false, true);
	upstreams_free(u);
	strv_release(&no_verify);
	setting_close(&t);
}

static void pem_without_certificates_is_refused(void **state)
{
	struct upstream_ca more = {.pattern = (char *)(uintptr_t) "api.test",
	                           .pem = (char *)(uintptr_t) "hello"};
	struct strv none = {0};
	struct upstreams *u = NULL;
	struct err err = {0};

	(void)state;
	assert_int_equal(upstreams_new("rubbish", NULL, 0, &none, &u, &err),
	                 -EINVAL);
	assert_non_null(strstr(err.msg, "PEM"));
	assert_int_equal(upstreams_new("", &more, 1, &none, &u, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "api.test"));
	assert_null(u);
	assert_int_equal(ERR_peek_error(), 0);
}

/* One that nobody can read among the host's does not hide those behind it. */
static void an_odd_certificate_does_not_hide_others(void **state)
{
	struct strv none = {0};
	struct upstreams *u;
	struct setting t;
	cleanup_buf struct buf b = BUF_INIT;

	(void)state;
	setting_open(&t);
	buf_printf(&b,
	           "# a comment\n%s"
	           "-----BEGIN CERTIFICATE-----\nAAAA\n"
	           "-----END CERTIFICATE-----\n%s",
	           t.other_pem, t.roots);
	assert_int_equal(upstreams_new(buf_str(&b), NULL, 0, &none, &u, NULL),
	                 0);
	check(&t, u, "api.test", false, true);
	upstreams_free(u);
	setting_close(&t);
}

static void a_wildcard_is_for_one_label(void **state)
{
	struct setting t;
	struct strv none = {0};
	struct upstreams *u;
	SSL_CTX *ctx;
	bool verified;

	(void)state;
	setting_open(&t);
	assert_int_equal(upstreams_new(t.roots, NULL, 0, &none, &u, NULL), 0);
	ctx = ctx_of(&t, "*.api.test", false);
	assert_int_equal(shake(u, ctx, "x.api.test", "", &verified), X509_V_OK);
	assert_true(verified);
	(void)shake(u, ctx, "y.x.api.test", "", &verified);
	assert_false(verified);
	(void)shake(u, ctx, "api.test", "", &verified);
	assert_false(verified);
	SSL_CTX_free(ctx);
	/* the subject's name is none */
	ctx = ctx_of(&t, NULL, false);
	(void)shake(u, ctx, "a test", "", &verified);
	assert_false(verified);
	SSL_CTX_free(ctx);
	upstreams_free(u);
	setting_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_authorities_are_for_their_patterns),
		cmocka_unit_test(for_all_is_for_all),
		cmocka_unit_test(no_verify_lets_all_in_and_verifies_nothing),
		cmocka_unit_test(pem_without_certificates_is_refused),
		cmocka_unit_test(an_odd_certificate_does_not_hide_others),
		cmocka_unit_test(a_wildcard_is_for_one_label),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
