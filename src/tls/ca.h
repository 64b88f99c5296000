/*
 * ca.h - the authority that the guest trusts: made at each start, or the
 * user's own; and the certificates that it signs, one for each name, kept.
 *
 * The key never leaves this process. All certificates of a sandbox share one
 * key of their own (P-256), so that a new name costs one signature; and one
 * SSL_CTX (which costs 14 KiB and 250 us to make), so that a kept name costs
 * its certificate.
 */
#ifndef TLS_CA_H
#define TLS_CA_H

#include <openssl/ssl.h>
#include <stddef.h>

#include "base/err.h"

#define CA_LEAVES_MAX 512         /* kept; who was used longest ago goes */
#define CA_BACK_S     (25 * 3600) /* before now: clocks of guests go wrong */
#define CA_LEAF_S     (7 * 24 * 3600)
#define CA_RENEW_S    (24 * 3600) /* before its end */
#define CA_S          (3650 * 24 * 3600LL)

struct ca;

/* A new one: EC P-256, CN "microsandbox CA", random serial, a CA by its
   extensions (path length 0). */
int ca_make(struct ca **ret, struct err *err);

/*
 * The user's: PEM with one certificate (the rest of the file are those above
 * it, which are sent with every leaf) and its key. Refused with words: a key
 * that is not the certificate's, one that is no CA, one that has expired or is
 * not valid yet, a key with a pass phrase.
 */
int ca_load(const char *cert_pem, const char *key_pem, size_t key_len,
            struct ca **ret, struct err *err);
void ca_free(struct ca *c); /* NULL is fine */

/* What the guest is to trust. Valid as long as @c. */
const char *ca_pem(const struct ca *c);

/*
 * A guest's handshake, in which the ClientHello may be looked at before it is
 * answered. Lives as long as the SSL of ca_ssl().
 */
struct ca_guest {
	/* SSL_CLIENT_HELLO_SUCCESS (ca_answer() was called), _RETRY: the
	   handshake pauses with SSL_ERROR_WANT_CLIENT_HELLO_CB, _ERROR with
	   *@alert. Called again after a pause, and for a second ClientHello. */
	int (*hello)(void *arg, SSL *ssl, int *alert);
	void *arg;
	/* What is answered to ALPN; 0: nothing. One that the guest does not
	   offer ends the handshake. */
	unsigned char alpn[256];
	size_t alpn_len;
};

/*
 * A server's SSL: TLS 1.2 and 1.3, no tickets, no early data, no renegotiation,
 * no compression. NULL: no memory. SSL_free() it.
 */
SSL *ca_ssl(struct ca *c, struct ca_guest *g);

/*
 * Let @ssl answer as @name (a DNS name, or an address's text). The certificate
 * is renewed a day before its end. -ENOMEM, or -EINVAL for a name that cannot
 * be in a certificate.
 */
int ca_answer(struct ca *c, SSL *ssl, const char *name);

/* The certificate of @name, for tests; borrowed until the next call. */
X509 *ca_leaf(struct ca *c, const char *name);

#endif
