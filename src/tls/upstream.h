/*
 * upstream.h - whom the real servers are checked against: the host's
 * certificates, the user's for all names or for some, and names that are not
 * checked at all (and so get no value).
 *
 * PEM is read when the first connection needs it.
 */
#ifndef TLS_UPSTREAM_H
#define TLS_UPSTREAM_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strv.h"

struct upstream_ca {
	char *pattern, *pem;
};

struct upstreams;

/* Copies all. Refused with words: PEM without a certificate. */
int upstreams_new(const char *roots_pem, const struct upstream_ca *more,
                  size_t nmore, const struct strv *no_verify,
                  struct upstreams **ret, struct err *err);
void upstreams_free(struct upstreams *u); /* NULL is fine */

/*
 * A client's SSL for @name ("": the address @ip is checked instead): SNI, TLS
 * 1.2 at least, verification with the host name, no renegotiation, no client
 * certificate. @alpn: the wire form of what the guest offers of {h2, http/1.1}
 * (or all that it offers, when neither); NULL: none. Free with SSL_free().
 */
SSL *upstream_ssl(struct upstreams *u, const char *name, const char *ip,
                  const unsigned char *alpn, size_t alpn_len, struct err *err);

/* After the handshake: was the certificate verified for the name? */
bool upstream_verified(const SSL *ssl);

/*
 * Why a handshake failed, for people and the guest: a sentence without bytes of
 * the peer in it but made harmless, and the alert that fits (SSL_AD_*).
 */
int upstream_failure(const SSL *ssl, int ssl_error, struct err *err);

#endif
