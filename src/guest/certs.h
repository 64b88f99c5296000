/*
 * certs.h - as much of certificates as stores of them need: PEM to DER, the
 * subject's hash as OpenSSL's folders are named by it, and Java's key stores.
 *
 * What comes from an image is hostile: it is taken apart with bounds, and what
 * is not understood is left out.
 */
#ifndef GUEST_CERTS_H
#define GUEST_CERTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define CERTS_DER_MAX   (64u << 10) /* of one certificate */
#define CERTS_COUNT_MAX 4096u       /* of one store */

struct bytes {
	const uint8_t *p;
	size_t n;
};

/*
 * The next certificate of the PEM text @text, from *pos on: its DER form in
 * @der (emptied first), and *ret_pem is it with its two lines. Blocks that are
 * broken are passed over. 1, 0 at the end, -ENOMEM.
 */
int certs_next(struct bytes text, size_t *pos, struct buf *der,
               struct bytes *ret_pem);

/* Where the last one begins, when there are more than @n; else 0. */
size_t certs_tail(struct bytes text, unsigned n);

/*
 * One element of DER at the beginning of *in, which it is taken from: its tag,
 * and what is in it. False: there is none, or it is broken.
 */
bool certs_der(struct bytes *in, uint8_t *ret_tag, struct bytes *ret_body);

/*
 * What `openssl x509 -hash` says of a certificate. -EBADMSG: it is none;
 * -EOPNOTSUPP: its subject is written in a way that is not looked into.
 */
int certs_hash(struct bytes der, uint32_t *ret);

/*
 * A key store that any Java takes for its list of authorities ("cacerts",
 * JKS with the usual password), onto @out: the certificates of @old, a JKS or
 * a PKCS #12 whose certificates are not encrypted, or else those of the PEM
 * text @bundle; and those of the PEM text @more. @now_ms: when they came.
 * -ENODATA when neither @old nor @bundle has any: it would take away more than
 * it gives.
 */
int certs_java(struct bytes old, struct bytes bundle, struct bytes more,
               uint64_t now_ms, struct buf *out);

#endif
