#include "tls/ca.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "tls/ca_cert.h"
#include "tls/end.h"

#include "base/banned.h"

#define CHAIN_MAX 8

struct leaf {
	char *name;
	X509 *cert;
	time_t end;
	uint64_t used; /* the higher, the later */
};

struct ca {
	X509 *cert;
	EVP_PKEY *key, *leaf_key;
	STACK_OF(X509) * chain; /* @cert, and who signed it */
	char *pem;
	SSL_CTX *ctx;
	uint64_t uses;
	size_t nleaves;
	struct leaf leaves[CA_LEAVES_MAX];
};

void ca_free(struct ca *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->nleaves; i++) {
		free(c->leaves[i].name);
		X509_free(c->leaves[i].cert);
	}
	SSL_CTX_free(c->ctx);
	sk_X509_pop_free(c->chain, X509_free);
	X509_free(c->cert);
	EVP_PKEY_free(c->key);
	EVP_PKEY_free(c->leaf_key);
	free(c->pem);
	free(c);
}

static void ca_freep(struct ca **c)
{
	ca_free(*c);
}
#define cleanup_ca cleanup(ca_freep)

const char *ca_pem(const struct ca *c)
{
	return c->pem;
}

/* ---- the guest's side of a handshake ------------------------------------- */

static int on_hello(SSL *ssl, int *alert, void *arg)
{
	struct ca_guest *g = SSL_get_app_data(ssl);

	(void)arg;
	return g->hello(g->arg, ssl, alert);
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned int in_len, void *arg)
{
	const struct ca_guest *g = SSL_get_app_data(ssl);

	(void)arg;
	if (g->alpn_len == 0)
		return SSL_TLSEXT_ERR_NOACK;
	for (unsigned i = 0; i < in_len; i += 1u + in[i]) {
		if (in[i] != g->alpn_len || in[i] >= in_len - i ||
		    memcmp(in + i + 1, g->alpn, g->alpn_len) != 0)
			continue;
		*out = in + i + 1;
		*out_len = in[i];
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/*
 * Our own ends talk over a socket pair of this host, so the fastest cipher goes
 * first. Level 1, not 2: the user's own authority may be an old one.
 */
static int ctx_settings(SSL_CTX *x)
{
	SSL_CTX_set_security_level(x, 1);
	(void)SSL_CTX_clear_options(x, SSL_OP_LEGACY_SERVER_CONNECT);
	(void)SSL_CTX_set_options(
		x, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
			   SSL_OP_NO_COMPRESSION | SSL_OP_SINGLE_ECDH_USE |
			   SSL_OP_CIPHER_SERVER_PREFERENCE);
	(void)SSL_CTX_set_session_cache_mode(x, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(x, 1);
	SSL_CTX_set_default_read_buffer_len(x, END_READ);
	(void)SSL_CTX_set_mode(x, SSL_MODE_ENABLE_PARTIAL_WRITE |
	                                  SSL_MODE_RELEASE_BUFFERS |
	                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_client_hello_cb(x, on_hello, NULL);
	SSL_CTX_set_alpn_select_cb(x, on_alpn, NULL);
	return SSL_CTX_set_min_proto_version(x, TLS1_2_VERSION) &&
	       SSL_CTX_set_max_proto_version(x, TLS1_3_VERSION) &&
	       SSL_CTX_set_num_tickets(x, 0) &&
	       SSL_CTX_set_max_early_data(x, 0) &&
	       SSL_CTX_set_cipher_list(x, "ECDHE+AESGCM:ECDHE+CHACHA20") &&
	       SSL_CTX_set_ciphersuites(x, "TLS_AES_128_GCM_SHA256:"
	                                   "TLS_AES_256_GCM_SHA384:"
	                                   "TLS_CHACHA20_POLY1305_SHA256") &&
	       SSL_CTX_set1_groups_list(x, "X25519:P-256:P-384");
}

/* The key and the chain are everybody's; ca_answer() adds a certificate. */
static int ctx_make(struct ca *c, struct err *err)
{
	c->leaf_key = EVP_EC_gen("P-256");
	c->ctx = SSL_CTX_new(TLS_server_method());
	if (!c->leaf_key || !c->ctx || !ctx_settings(c->ctx) ||
	    !SSL_CTX_use_PrivateKey(c->ctx, c->leaf_key) ||
	    !SSL_CTX_set1_chain(c->ctx, c->chain))
		return err_set(err, -EIO,
		               "cannot set up TLS towards the sandbox: %s",
		               ERR_reason_error_string(ERR_peek_last_error()));
	return 0;
}

SSL *ca_ssl(struct ca *c, struct ca_guest *g)
{
	SSL *ssl = SSL_new(c->ctx);

	if (!ssl)
		return NULL;
	(void)SSL_set_app_data(ssl, g);
	SSL_set_accept_state(ssl);
	return ssl;
}

/* ---- leaves -------------------------------------------------------------- */

/* The one of this name; else a free place, or that of the least used. */
static struct leaf *leaf_find(struct ca *c, const char *name)
{
	struct leaf *old = c->leaves;

	for (size_t i = 0; i < c->nleaves; i++) {
		if (strcmp(c->leaves[i].name, name) == 0)
			return &c->leaves[i];
		if (c->leaves[i].used < old->used)
			old = &c->leaves[i];
	}
	return c->nleaves < CA_LEAVES_MAX ? &c->leaves[c->nleaves] : old;
}

/*
 * Never one that ends within a day, unless the authority ends then as well:
 * then it is as good as it gets, and kept.
 */
static bool leaf_good(const struct ca *c, const struct leaf *l,
                      const char *name)
{
	time_t now = (time_t)(clock_unix_ns() / NS_PER_S);

	if (!l->name || strcmp(l->name, name) != 0)
		return false;
	if (X509_cmp_time(X509_get0_notBefore(l->cert), &now) > 0)
		return false; /* the host's clock was set back */
	return l->end - CA_RENEW_S > now ||
	       ASN1_TIME_compare(X509_get0_notAfter(l->cert),
	                         X509_get0_notAfter(c->cert)) == 0;
}

X509 *ca_leaf(struct ca *c, const char *name)
{
	struct leaf *l = leaf_find(c, name);
	struct leaf n = {0};

	if (leaf_good(c, l, name)) {
		l->used = ++c->uses;
		return l->cert;
	}
	n.cert = ca_cert_leaf(c->cert, c->key, c->leaf_key, name, &n.end);
	n.name = strdup(name);
	if (!n.cert || !n.name) {
		X509_free(n.cert);
		free(n.name);
		return NULL;
	}
	if (l == &c->leaves[c->nleaves])
		c->nleaves++;
	free(l->name);
	X509_free(l->cert);
	n.used = ++c->uses;
	*l = n;
	return l->cert;
}

int ca_answer(struct ca *c, SSL *ssl, const char *name)
{
	X509 *leaf = ca_leaf(c, name);

	if (!leaf)
		return -EINVAL;
	return SSL_use_certificate(ssl, leaf) == 1 ? 0 : -ENOMEM;
}

/* ---- beginnings ---------------------------------------------------------- */

static int pem_of(X509 *x, char **ret)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *text;
	long len;

	if (!b || !PEM_write_bio_X509(b, x)) {
		BIO_free(b);
		return -ENOMEM;
	}
	len = BIO_get_mem_data(b, &text);
	*ret = strndup(text, (size_t)len);
	BIO_free(b);
	return *ret ? 0 : -ENOMEM;
}

/* @c has its certificate, key and chain. */
static int finish(struct ca *c, struct err *err)
{
	int r = pem_of(c->cert, &c->pem);

	if (r < 0)
		return err_set(err, r, "out of memory");
	return ctx_make(c, err);
}

int ca_make(struct ca **ret, struct err *err)
{
	cleanup_ca struct ca *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(err, -ENOMEM, "out of memory");
	c->key = EVP_EC_gen("P-256");
	c->cert = c->key ? ca_cert_root(c->key) : NULL;
	c->chain = sk_X509_new_null();
	if (!c->cert || !c->chain || !X509_add_cert(c->chain, c->cert, 1))
		return err_set(err, -EIO,
		               "cannot make a CA for the sandbox: %s",
		               ERR_reason_error_string(ERR_peek_last_error()));
	r = finish(c, err);
	if (r < 0)
		return r;
	*ret = take_ptr(c);
	return 0;
}

/* All certificates of the text; the first is the CA's own. */
static int read_chain(struct ca *c, const char *pem, struct err *err)
{
	BIO *b = BIO_new_mem_buf(pem, -1);
	X509 *x;

	c->chain = sk_X509_new_null();
	if (!b || !c->chain) {
		BIO_free(b);
		return err_set(err, -ENOMEM, "out of memory");
	}
	while ((x = PEM_read_bio_X509(b, NULL, NULL, NULL))) {
		if (sk_X509_num(c->chain) >= CHAIN_MAX ||
		    !sk_X509_push(c->chain, x)) {
			X509_free(x);
			break;
		}
	}
	BIO_free(b);
	ERR_clear_error(); /* there was no further one */
	if (x)
		return err_set(err, -E2BIG,
		               "the CA certificate's file has more than %d "
		               "certificates",
		               CHAIN_MAX);
	c->cert = sk_X509_value(c->chain, 0);
	if (!c->cert)
		return err_set(err, -EINVAL,
		               "the CA certificate's file has no certificate "
		               "in PEM form");
	(void)X509_up_ref(c->cert);
	return 0;
}

/* Whether it was asked for one: then the key has a pass phrase. */
static int no_phrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	*(bool *)arg = true;
	return -1;
}

static int read_key(struct ca *c, const char *pem, size_t len, struct err *err)
{
	BIO *b = len <= INT_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
	bool asked = false;

	if (b)
		c->key = PEM_read_bio_PrivateKey(b, NULL, no_phrase, &asked);
	BIO_free(b);
	ERR_clear_error();
	if (c->key)
		return 0;
	if (!asked)
		return err_set(err, -EINVAL,
		               "the CA's key is not a private key in PEM form");
	(void)err_set(err, -EINVAL, "the CA's key has a pass phrase");
	err_hint(err, "take it off: openssl pkey -in KEY -out KEY2");
	return -EINVAL;
}

/* "Nov 22 00:00:00 2026 GMT" */
static const char *time_text(const ASN1_TIME *t, char *buf, int len)
{
	BIO *b = BIO_new(BIO_s_mem());
	int n = 0;

	if (b && ASN1_TIME_print(b, t))
		n = BIO_read(b, buf, len - 1);
	BIO_free(b);
	buf[MAX(n, 0)] = '\0';
	return buf;
}

static int check(const struct ca *c, struct err *err)
{
	const ASN1_TIME *from = X509_get0_notBefore(c->cert);
	const ASN1_TIME *to = X509_get0_notAfter(c->cert);
	char at[64];

	if (X509_check_private_key(c->cert, c->key) != 1)
		return err_set(err, -EINVAL,
		               "the CA's key does not belong to its "
		               "certificate");
	/* 1: by its extensions; others are old guesses */
	if (X509_check_ca(c->cert) != 1 ||
	    !(X509_get_key_usage(c->cert) & X509v3_KU_KEY_CERT_SIGN))
		return err_set(err, -EINVAL,
		               "the certificate is no CA's: it needs "
		               "basicConstraints CA:TRUE, and keyCertSign when "
		               "it has keyUsage");
	if (X509_cmp_current_time(from) > 0)
		return err_set(err, -EINVAL,
		               "the CA certificate is not valid before %s",
		               time_text(from, at, sizeof(at)));
	if (X509_cmp_current_time(to) < 0)
		return err_set(err, -EKEYEXPIRED,
		               "the CA certificate expired on %s",
		               time_text(to, at, sizeof(at)));
	return 0;
}

int ca_load(const char *cert_pem, const char *key_pem, size_t key_len,
            struct ca **ret, struct err *err)
{
	cleanup_ca struct ca *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(err, -ENOMEM, "out of memory");
	ERR_clear_error();
	r = read_chain(c, cert_pem, err);
	if (r == 0)
		r = read_key(c, key_pem, key_len, err);
	if (r == 0)
		r = check(c, err);
	ERR_clear_error();
	if (r == 0)
		r = finish(c, err);
	if (r < 0)
		return r;
	*ret = take_ptr(c);
	return 0;
}
