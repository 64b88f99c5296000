#include "tls/ca.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tls/world.h"

static X509 *cert_of(const char *pem)
{
	BIO *b = BIO_new_mem_buf(pem, -1);
	X509 *x = PEM_read_bio_X509(b, NULL, NULL, NULL);

	BIO_free(b);
	assert_non_null(x);
	return x;
}

/* X509_V_OK, or why not. */
static int verify(struct ca *c, X509 *leaf, const char *host, const char *ip,
                  time_t at)
{
	X509 *root = cert_of(ca_pem(c));
	X509_STORE *st = X509_STORE_new();
	X509_STORE_CTX *x = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *p;
	int r;

	X509_STORE_add_cert(st, root);
	X509_STORE_CTX_init(x, st, leaf, NULL);
	p = X509_STORE_CTX_get0_param(x);
	X509_VERIFY_PARAM_set_flags(p, X509_V_FLAG_X509_STRICT);
	X509_VERIFY_PARAM_set_purpose(p, X509_PURPOSE_SSL_SERVER);
	X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (host)
		X509_VERIFY_PARAM_set1_host(p, host, 0);
	if (ip)
		X509_VERIFY_PARAM_set1_ip_asc(p, ip);
	if (at)
		X509_VERIFY_PARAM_set_time(p, at);
	r = X509_verify_cert(x) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(x);
	X509_STORE_CTX_free(x);
	X509_STORE_free(st);
	X509_free(root);
	return r;
}

static void leaves_please_strict_clients(void **state)
{
	static const char *const names[] = {"api.test", "a-b.c.example", "x"};
	struct ca *c;

	(void)state;
	assert_int_equal(ca_make(&c, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		X509 *leaf = ca_leaf(c, names[i]);

		assert_non_null(leaf);
		assert_int_equal(verify(c, leaf, names[i], NULL, 0), X509_V_OK);
		assert_int_equal(verify(c, leaf, "other.test", NULL, 0),
		                 X509_V_ERR_HOSTNAME_MISMATCH);
		assert_int_equal(X509_get_key_usage(leaf),
		                 KU_DIGITAL_SIGNATURE);
		assert_int_equal(X509_get_extended_key_usage(leaf),
		                 XKU_SSL_SERVER);
		assert_non_null(X509_get0_authority_key_id(leaf));
	}
	ca_free(c);
}

static void the_clock_of_a_guest_may_be_a_day_off(void **state)
{
	time_t now = time(NULL);
	struct ca *c;
	X509 *leaf;

	(void)state;
	assert_int_equal(ca_make(&c, NULL), 0);
	leaf = ca_leaf(c, "api.test");
	assert_int_equal(verify(c, leaf, NULL, NULL, now - 24 * 3600), 0);
	assert_int_equal(verify(c, leaf, NULL, NULL, now + 6 * 24 * 3600), 0);
	assert_int_equal(verify(c, leaf, NULL, NULL, now + 8 * 24 * 3600),
	                 X509_V_ERR_CERT_HAS_EXPIRED);
	ca_free(c);
}

static void addresses_are_ip_names(void **state)
{
	struct ca *c;

	(void)state;
	assert_int_equal(ca_make(&c, NULL), 0);
	assert_int_equal(
		verify(c, ca_leaf(c, "192.0.2.7"), NULL, "192.0.2.7", 0),
		X509_V_OK);
	assert_int_equal(
		verify(c, ca_leaf(c, "2001:db8::1"), NULL, "2001:db8::1", 0),
		X509_V_OK);
	assert_int_equal(
		verify(c, ca_leaf(c, "192.0.2.7"), "192.0.2.7", NULL, 0),
		X509_V_ERR_HOSTNAME_MISMATCH);
	ca_free(c);
}

static void long_names_are_not_in_the_subject(void **state)
{
	char name[254];
	struct ca *c;
	X509 *leaf;

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[253] = '\0';
	name[63] = name[127] = name[191] = '.';
	assert_int_equal(ca_make(&c, NULL), 0);
	leaf = ca_leaf(c, name);
	assert_int_equal(verify(c, leaf, name, NULL, 0), X509_V_OK);
	assert_int_equal(X509_NAME_get_index_by_NID(X509_get_subject_name(leaf),
	                                            NID_commonName, -1),
	                 -1);
	name[64] = '\0';
	name[63] = 'a'; /* 64: fits */
	leaf = ca_leaf(c, name);
	assert_true(X509_NAME_get_index_by_NID(X509_get_subject_name(leaf),
	                                       NID_commonName, -1) >= 0);
	ca_free(c);
}

static void odd_names_get_no_certificate(void **state)
{
	static const char *const names[] = {"",    "*.test", "a b",
	                                    "a\n", "a,b",    "DNS:x/y"};
	struct ca *c;

	(void)state;
	assert_int_equal(ca_make(&c, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_null(ca_leaf(c, names[i]));
	ca_free(c);
}

static void leaves_are_kept_and_the_oldest_goes(void **state)
{
	struct ca *c;
	X509 *first, *second;
	char name[32];

	(void)state;
	assert_int_equal(ca_make(&c, NULL), 0);
	first = ca_leaf(c, "first.test");
	second = ca_leaf(c, "second.test");
	X509_up_ref(second);
	assert_ptr_equal(ca_leaf(c, "first.test"), first);
	for (int i = 0; i < CA_LEAVES_MAX - 1; i++) {
		(void)snprintf(name, sizeof(name), "n%d.test", i);
		assert_non_null(ca_leaf(c, name));
	}
	assert_ptr_equal(ca_leaf(c, "first.test"), first);
	/* second is out: what comes is another, with another serial */
	assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(second),
	                                      X509_get0_serialNumber(ca_leaf(
						      c, "second.test"))),
	                     0);
	X509_free(second);
	ca_free(c);
}

static void the_users_authority_signs(void **state)
{
	EVP_PKEY *root_key = EVP_EC_gen("P-384"), *key = EVP_RSA_gen(2048);
	X509 *root = world_cert(root_key, &(struct cert_wish){.ca = true});
	X509 *mid = world_cert(key, &(struct cert_wish){.ca = true,
	                                                .issuer = root,
	                                                .key = root_key,
	                                                .from = -60,
	                                                .to = 7200});
	char *a = world_pem(mid), *b = world_pem(root), *both;
	char *key_pem = world_key_pem(key);
	struct ca *c;
	X509 *leaf;

	(void)state;
	assert_true(asprintf(&both, "%s%s", a, b) > 0);
	assert_int_equal(ca_load(both, key_pem, strlen(key_pem), &c, NULL), 0);
	assert_string_equal(ca_pem(c), a);
	leaf = ca_leaf(c, "api.test");
	assert_int_equal(X509_verify(leaf, X509_get0_pubkey(mid)), 1);
	/* never longer than the authority itself; and not made anew for it */
	assert_int_equal(ASN1_TIME_compare(X509_get0_notAfter(leaf),
	                                   X509_get0_notAfter(mid)),
	                 0);
	assert_ptr_equal(ca_leaf(c, "api.test"), leaf);
	ca_free(c);
	free(a);
	free(b);
	free(both);
	free(key_pem);
	X509_free(root);
	X509_free(mid);
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(key);
}

static void ed25519_authorities_sign(void **state)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	X509 *x = X509_new();
	char *pem, *key_pem = world_key_pem(key);
	X509V3_CTX ctx;
	struct ca *c;

	(void)state;
	X509_set_version(x, X509_VERSION_3);
	ASN1_TIME_set(X509_getm_notBefore(x), time(NULL) - 60);
	ASN1_TIME_set(X509_getm_notAfter(x), time(NULL) + 9999);
	X509_set_pubkey(x, key);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(
		NULL, &ctx, NID_basic_constraints, "critical,CA:TRUE");
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	assert_true(X509_sign(x, key, NULL));
	pem = world_pem(x);
	assert_int_equal(ca_load(pem, key_pem, strlen(key_pem), &c, NULL), 0);
	assert_int_equal(X509_verify(ca_leaf(c, "api.test"), key), 1);
	ca_free(c);
	free(pem);
	free(key_pem);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void refused(const char *cert, const char *key, const char *words)
{
	struct err err = {0};
	struct ca *c = NULL;

	assert_true(ca_load(cert, key, strlen(key), &c, &err) < 0);
	assert_null(c);
	if (!strstr(err.msg, words))
		fail_msg("\"%s\" is not in \"%s\"", words, err.msg);
	assert_int_equal(ERR_peek_error(), 0);
}

static char *signed_by_itself(EVP_PKEY *key, bool ca, long from, long to)
{
	X509 *x = world_cert(
		key, &(struct cert_wish){.ca = ca, .from = from, .to = to});
	char *pem = world_pem(x);

	X509_free(x);
	return pem;
}

static void bad_authorities_are_refused_with_words(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
	char *key_pem = world_key_pem(key), *other_pem = world_key_pem(other);
	char *good = signed_by_itself(key, true, -9, 99999);
	char *leaf = signed_by_itself(key, false, -9, 99999);
	char *old = signed_by_itself(key, true, -99, -9);
	char *young = signed_by_itself(key, true, 999, 9999);
	BIO *b = BIO_new(BIO_s_mem());
	char *locked, *text;
	long len;

	(void)state;
	PEM_write_bio_PKCS8PrivateKey(b, key, EVP_aes_128_cbc(), "phrase", 6,
	                              NULL, NULL);
	len = BIO_get_mem_data(b, &text);
	locked = strndup(text, (size_t)len);
	BIO_free(b);
	refused("nothing", key_pem, "no certificate");
	refused("", key_pem, "no certificate");
	refused(good, "nothing", "not a private key");
	refused(good, locked, "pass phrase");
	refused(good, other_pem, "does not belong");
	refused(leaf, key_pem, "no CA's");
	refused(old, key_pem, "expired on");
	refused(young, key_pem, "not valid before");
	free(key_pem);
	free(other_pem);
	free(good);
	free(leaf);
	free(old);
	free(young);
	free(locked);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
}

static void two_sandboxes_do_not_share_an_authority(void **state)
{
	struct ca *a, *b;

	(void)state;
	assert_int_equal(ca_make(&a, NULL), 0);
	assert_int_equal(ca_make(&b, NULL), 0);
	assert_string_not_equal(ca_pem(a), ca_pem(b));
	assert_int_not_equal(verify(a, ca_leaf(b, "api.test"), NULL, NULL, 0),
	                     X509_V_OK);
	ca_free(a);
	ca_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_please_strict_clients),
		cmocka_unit_test(the_clock_of_a_guest_may_be_a_day_off),
		cmocka_unit_test(addresses_are_ip_names),
		cmocka_unit_test(long_names_are_not_in_the_subject),
		cmocka_unit_test(odd_names_get_no_certificate),
		cmocka_unit_test(leaves_are_kept_and_the_oldest_goes),
		cmocka_unit_test(the_users_authority_signs),
		cmocka_unit_test(ed25519_authorities_sign),
		cmocka_unit_test(bad_authorities_are_refused_with_words),
		cmocka_unit_test(two_sandboxes_do_not_share_an_authority),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
