/*
 * secret.h - secrets and TLS interception as the sandbox's record has them:
 * all but the values, which are in no struct of this file.
 *
 * They are the public struct msb_secret and struct msb_tls, of which these
 * functions make copies that own all they point to.
 */
#ifndef LIB_SECRET_H
#define LIB_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "microsandbox.h"

struct secret_list {
	struct msb_secret **v; /* ends with NULL; NULL while empty */
	size_t n;
};

/* ---- checks -------------------------------------------------------------- */

/* What a caller gave, together: -EINVAL says what cannot be. */
struct secret_checked {
	const struct msb_secret *const *secrets; /* NULL: none */
	const struct msb_tls *tls;               /* NULL: what secrets need */
	const char *const *env;                  /* KEY=VALUE of the sandbox */
	const struct msb_network *network;       /* NULL: the default */
	bool recorded; /* options may be left over: secrets come and go */
};
int secrets_check(const struct secret_checked *c, struct err *err);

/* A public suffix (com, co.uk), below which anybody may have a name? */
bool secret_is_public_suffix(const char *name);

/* A value's own rules. @name is the secret's. */
int secret_check_value(const char *name, const void *value, size_t len,
                       const char *placeholder, struct err *err);

/* ---- copies -------------------------------------------------------------- */

/* Of a list that was checked (NULL: none). Placeholders are made here. */
int secrets_take(struct secret_list *ret, const struct msb_secret *const *from);
void secrets_release(struct secret_list *s); /* zeroed is fine */

/* Add a copy at the end. */
int secrets_add(struct secret_list *s, const struct msb_secret *from);
/* The same in the place of the one with that env, if there is one. */
int secrets_put(struct secret_list *s, const struct msb_secret *from);
/* Take out and free v[i]. */
void secrets_drop(struct secret_list *s, size_t i);
/* -1: there is none. */
long secrets_find(const struct secret_list *s, const char *env);

/* Never NULL. */
const struct msb_secret *const *secrets_get(const struct secret_list *s);

/* Paths become absolute. NULL: the default. */
int tls_options_take(struct msb_tls *ret, const struct msb_tls *from);
void tls_options_release(struct msb_tls *t);

/* ---- the record ---------------------------------------------------------- */

json_t *secrets_json(const struct secret_list *s);
int secrets_read(const json_t *j, struct secret_list *ret);
json_t *tls_options_json(const struct msb_tls *t);
int tls_options_read(const json_t *j, struct msb_tls *ret);

/* ---- words --------------------------------------------------------------- */

/* "api.example.com, *.x.example (header, basic; block)", for plans. */
int secret_describe(const struct msb_secret *s, struct buf *ret);
/* "block-and-log"; the default of @tls (may be NULL) for DEFAULT. */
const char *secret_violation_name(int32_t violation, const struct msb_tls *tls);
/* The flags, HEADERS and BASIC when none of the four is set. */
uint32_t secret_where(const struct msb_secret *s);
/* The host's variable. */
const char *secret_source(const struct msb_secret *s);

#define cleanup_secrets cleanup(secrets_release)

#endif
