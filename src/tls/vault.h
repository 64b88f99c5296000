/*
 * vault.h - the secrets, their values among them: the only place that has them.
 *
 * A set of secrets is never changed. A rotation makes another, and who is in
 * the middle of a request ends it with the set that it began with; the last
 * user of a set wipes it.
 */
#ifndef TLS_VAULT_H
#define TLS_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/needle.h"
#include "base/strv.h"
#include "proto/tls_setup.h"

enum secret_where {
	SECRET_HEADERS = 1 << 0,
	SECRET_BASIC = 1 << 1, /* Authorization: Basic, decoded */
	SECRET_QUERY = 1 << 2,
	SECRET_BODY = 1 << 3,
};

enum secret_violation {
	SECRET_BLOCK,
	SECRET_BLOCK_LOG,
	SECRET_BLOCK_TERMINATE,
	SECRET_PASS,
};

/*
 * @len bytes (1..TLS_VALUE_MAX) in locked pages of their own, zeroed; NULL: no
 * memory. Who has no use for them any more drops them; the last one wipes.
 */
uint8_t *value_new(size_t len);
uint8_t *value_ref(uint8_t *value, size_t len);
void value_unref(uint8_t *value, size_t len); /* NULL is fine */

struct secret {
	char *name; /* of the variable */
	char *placeholder;
	size_t placeholder_len;
	uint8_t *value; /* in memory that is locked and in no core file */
	size_t len;
	struct strv hosts; /* patterns, see pattern_match() */
	unsigned where;    /* enum secret_where */
	bool mask;         /* in answers, the value becomes the placeholder */
	enum secret_violation violation;
};

/* Bit i of a uint64_t is for v[i]. */
struct secrets {
	uint64_t id;      /* no other set has or had it; never 0 */
	unsigned refs, n; /* at most TLS_SECRETS_MAX */
	struct secret *v;
	struct needles *placeholders; /* i is v[i]'s; NULL: there are none */
};

struct secrets *secrets_ref(struct secrets *s);
void secrets_unref(struct secrets *s); /* the last one wipes; NULL is fine */

/* An empty set, to be filled, then sealed. NULL: no memory. */
struct secrets *secrets_new(void);
/*
 * Add or replace the secret of this name; copies all. @value NULL: as it was in
 * @old (-ENOENT when there was none). -E2BIG: one too many. On failure @s is
 * as it was.
 */
int secrets_set(struct secrets *s, const struct secret *c,
                const struct secrets *old);
/* Made whole: needles of the placeholders. -EEXIST: two have the same. */
int secrets_seal(struct secrets *s);

/* The one of this name, or NULL; @s NULL is fine. */
struct secret *secrets_find(const struct secrets *s, const char *name);
void secret_release(struct secret *c); /* what is in it; zeroed is fine */

/* Which are allowed for @name, of these patterns: a mask. */
uint64_t secrets_for(const struct secrets *s, const char *name);

/*
 * Values in @text, a line for people, become stars. Parts of the lines are the
 * guest's own words, and a guest may know a value from elsewhere.
 */
void secrets_blot(const struct secrets *s, char *text);

/*
 * Does @name (as policy_name()) match? NAME itself; *.NAME: NAME and all below;
 * *: all. "" matches * only.
 */
bool pattern_match(const char *pattern, const char *name);
bool pattern_any(const struct strv *patterns, const char *name);

static inline void cleanup_secrets_fn(struct secrets **s)
{
	secrets_unref(*s);
}
#define cleanup_secrets cleanup(cleanup_secrets_fn)

#endif
