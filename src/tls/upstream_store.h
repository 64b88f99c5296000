/*
 * upstream_store.h - the certificates that are trusted, by name: the host's,
 * and the user's whose pattern matches. A store is made when the first name
 * needs just this choice, and kept.
 */
#ifndef TLS_UPSTREAM_STORE_H
#define TLS_UPSTREAM_STORE_H

#include "tls/upstream.h"

#define STORES_MAX 16 /* kept; who was used longest ago goes */

struct stores;

int stores_new(const char *roots_pem, const struct upstream_ca *more,
               size_t nmore, struct stores **ret, struct err *err);
void stores_free(struct stores *s); /* NULL is fine */

/* Borrowed, until the next call. NULL: no memory. */
X509_STORE *stores_get(struct stores *s, const char *name);

#endif
