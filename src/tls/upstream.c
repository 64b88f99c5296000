#include "tls/upstream.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "tls/end.h"
#include "tls/upstream_store.h"
#include "tls/vault.h"

#include "base/banned.h"

/*
 * Sessions that servers let us take up again, by name. Only of those that were
 * verified, for an hour: after that the certificate is looked at again.
 */
#define NAMES_MAX         128
#define SESSIONS_PER_NAME 4
#define SESSION_S         3600

struct known {
	char *name;
	SSL_SESSION *v[SESSIONS_PER_NAME]; /* the newest last */
	unsigned n;
	uint64_t used;
};

struct upstreams {
	SSL_CTX *ctx;
	struct stores *stores;
	struct strv no_verify;
	uint64_t uses;
	struct known known[NAMES_MAX];
};

static void known_clear(struct known *k)
{
	for (unsigned i = 0; i < k->n; i++)
		SSL_SESSION_free(k->v[i]);
	free(k->name);
	*k = (struct known){0};
}

void upstreams_free(struct upstreams *u)
{
	if (!u)
		return;
	for (size_t i = 0; i < NAMES_MAX; i++)
		known_clear(&u->known[i]);
	SSL_CTX_free(u->ctx);
	stores_free(u->stores);
	strv_release(&u->no_verify);
	free(u);
}

static void upstreams_freep(struct upstreams **u)
{
	upstreams_free(*u);
}

/* ---- sessions ------------------------------------------------------------ */

static struct known *known_find(struct upstreams *u, const char *name,
                                struct known **ret_old)
{
	struct known *old = u->known;

	for (size_t i = 0; i < NAMES_MAX; i++) {
		struct known *k = &u->known[i];

		if (k->name && strcmp(k->name, name) == 0)
			return k;
		if (k->used < old->used)
			old = k;
	}
	*ret_old = old;
	return NULL;
}

/* Takes the reference when it says 1. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct upstreams *u = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	struct known *k, *old;

	if (!name || !upstream_verified(ssl))
		return 0;
	k = known_find(u, name, &old);
	if (!k) {
		k = old;
		known_clear(k);
		k->name = strdup(name);
		if (!k->name)
			return 0;
	}
	if (k->n == SESSIONS_PER_NAME) {
		SSL_SESSION_free(k->v[0]);
		memmove(k->v, k->v + 1, sizeof(k->v) - sizeof(k->v[0]));
		k->n--;
	}
	k->v[k->n++] = session;
	k->used = ++u->uses;
	return 1;
}

/* A ticket of TLS 1.3 is used once, so that nobody can tell two flows are of
   one client; an older session stays. The caller frees it. */
static SSL_SESSION *session_take(struct upstreams *u, const char *name)
{
	long now = (long)(clock_unix_ns() / NS_PER_S);
	struct known *old, *k = known_find(u, name, &old);

	while (k && k->n > 0) {
		SSL_SESSION *s = k->v[k->n - 1];
		long age = now - SSL_SESSION_get_time(s);
		bool good = age >= 0 && age < SESSION_S &&
		            SSL_SESSION_is_resumable(s);

		if (good &&
		    SSL_SESSION_get_protocol_version(s) < TLS1_3_VERSION) {
			(void)SSL_SESSION_up_ref(s);
			return s;
		}
		k->n--;
		if (good)
			return s;
		SSL_SESSION_free(s);
	}
	return NULL;
}

/* ---- settings ------------------------------------------------------------ */

/* The server asked for a certificate: we have none; upstream_why.c tells it. */
static int on_client_cert(SSL *ssl, X509 **x, EVP_PKEY **key)
{
	(void)x;
	(void)key;
	(void)SSL_set_app_data(ssl, ssl);
	return 0;
}

static int ctx_settings(SSL_CTX *x)
{
	SSL_CTX_set_security_level(x, 2);
	(void)SSL_CTX_clear_options(x, SSL_OP_LEGACY_SERVER_CONNECT);
	(void)SSL_CTX_set_options(x, SSL_OP_NO_RENEGOTIATION |
	                                     SSL_OP_NO_COMPRESSION);
	(void)SSL_CTX_set_session_cache_mode(
		x, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL |
			   SSL_SESS_CACHE_NO_AUTO_CLEAR);
	SSL_CTX_sess_set_new_cb(x, on_session);
	SSL_CTX_set_client_cert_cb(x, on_client_cert);
	SSL_CTX_set_read_ahead(x, 1);
	SSL_CTX_set_default_read_buffer_len(x, END_READ);
	(void)SSL_CTX_set_mode(x, SSL_MODE_ENABLE_PARTIAL_WRITE |
	                                  SSL_MODE_RELEASE_BUFFERS |
	                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return SSL_CTX_set_min_proto_version(x, TLS1_2_VERSION) &&
	       SSL_CTX_set_max_proto_version(x, TLS1_3_VERSION) &&
	       SSL_CTX_set_cipher_list(x, "DEFAULT:!aNULL:!eNULL:!PSK:!SRP") &&
	       SSL_CTX_set_ciphersuites(x, "TLS_AES_128_GCM_SHA256:"
	                                   "TLS_AES_256_GCM_SHA384:"
	                                   "TLS_CHACHA20_POLY1305_SHA256");
}

int upstreams_new(const char *roots_pem, const struct upstream_ca *more,
                  size_t nmore, const struct strv *no_verify,
                  struct upstreams **ret, struct err *err)
{
	cleanup(upstreams_freep) struct upstreams *u = calloc(1, sizeof(*u));
	int r;

	if (!u || strv_add_all(&u->no_verify, no_verify->v) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	r = stores_new(roots_pem, more, nmore, &u->stores, err);
	if (r < 0)
		return r;
	u->ctx = SSL_CTX_new(TLS_client_method());
	if (!u->ctx || !ctx_settings(u->ctx))
		return err_set(err, -EIO,
		               "cannot set up TLS towards servers: %s",
		               ERR_reason_error_string(ERR_peek_last_error()));
	(void)SSL_CTX_set_app_data(u->ctx, u);
	*ret = take_ptr(u);
	return 0;
}

/* ---- one connection ------------------------------------------------------ */

/* What the certificate must be for. */
static bool set_identity(SSL *ssl, const char *name, const char *ip)
{
	X509_VERIFY_PARAM *p = SSL_get0_param(ssl);

	if (!name[0])
		return X509_VERIFY_PARAM_set1_ip_asc(p, ip);
	X509_VERIFY_PARAM_set_hostflags(
		p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
			   X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return X509_VERIFY_PARAM_set1_host(p, name, 0) &&
	       SSL_set_tlsext_host_name(ssl, name);
}

static bool set_up(struct upstreams *u, SSL *ssl, const char *name,
                   const char *ip, const unsigned char *alpn, size_t alpn_len)
{
	const char *who = name[0] ? name : ip;
	bool check = !pattern_any(&u->no_verify, who);
	X509_STORE *st = stores_get(u->stores, who);
	SSL_SESSION *session;

	SSL_set_verify(ssl, check ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	SSL_set_connect_state(ssl);
	if (!st || !SSL_set1_verify_cert_store(ssl, st) ||
	    !set_identity(ssl, name, ip) ||
	    (alpn_len > 0 &&
	     SSL_set_alpn_protos(ssl, alpn, (unsigned)alpn_len) != 0))
		return false;
	session = check && name[0] ? session_take(u, name) : NULL;
	if (session)
		(void)SSL_set_session(ssl, session);
	SSL_SESSION_free(session);
	return true;
}

SSL *upstream_ssl(struct upstreams *u, const char *name, const char *ip,
                  const unsigned char *alpn, size_t alpn_len, struct err *err)
{
	SSL *ssl;

	ERR_clear_error();
	ssl = SSL_new(u->ctx);
	if (ssl && set_up(u, ssl, name, ip, alpn, alpn_len))
		return ssl;
	(void)err_set(err, -EINVAL, "cannot set up TLS towards %s: %s",
	              name[0] ? name : ip,
	              ERR_reason_error_string(ERR_peek_last_error()));
	SSL_free(ssl);
	ERR_clear_error();
	return NULL;
}

bool upstream_verified(const SSL *ssl)
{
	return (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) &&
	       SSL_get_verify_result(ssl) == X509_V_OK &&
	       SSL_get0_peer_certificate(ssl) != NULL;
}
