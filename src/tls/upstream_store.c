#include "tls/upstream_store.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tls/vault.h"

#include "base/banned.h"

struct extra {
	char *pattern;
	STACK_OF(X509) * certs;
};

struct store {
	X509_STORE *store;
	uint8_t *mask; /* a byte for each extra: is it in? */
	uint64_t used;
};

struct stores {
	char *roots_pem;        /* NULL once it was read */
	STACK_OF(X509) * roots; /* NULL before */
	size_t nmore;
	struct extra *more;
	uint8_t *mask; /* of the name that is looked for */
	uint64_t uses;
	struct store kept[STORES_MAX];
};

void stores_free(struct stores *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < STORES_MAX; i++) {
		X509_STORE_free(s->kept[i].store);
		free(s->kept[i].mask);
	}
	for (size_t i = 0; i < s->nmore; i++) {
		free(s->more[i].pattern);
		sk_X509_pop_free(s->more[i].certs, X509_free);
	}
	free(s->more);
	free(s->mask);
	free(s->roots_pem);
	sk_X509_pop_free(s->roots, X509_free);
	free(s);
}

static void stores_freep(struct stores **s)
{
	stores_free(*s);
}

/*
 * At most @max certificates of @pem; those that cannot be read are left out: a
 * host's bundle has odd ones at times. NULL: no memory.
 */
static STACK_OF(X509) * read_pem(const char *pem, int max)
{
	STACK_OF(X509) *all = sk_X509_new_null();
	BIO *b = BIO_new_mem_buf(pem, -1);
	X509 *x = NULL;

	while (all && b && sk_X509_num(all) < max) {
		unsigned long why;

		x = PEM_read_bio_X509_AUX(b, NULL, NULL, NULL);
		if (x && !sk_X509_push(all, x)) {
			X509_free(x);
			break;
		}
		if (x)
			continue;
		why = ERR_GET_REASON(ERR_peek_last_error());
		ERR_clear_error();
		if (why == PEM_R_NO_START_LINE || BIO_eof(b))
			break;
	}
	BIO_free(b);
	return all;
}

/* Is there any? Only the first is read. */
static bool has_cert(const char *pem)
{
	STACK_OF(X509) *one = read_pem(pem, 1);
	bool has = one && sk_X509_num(one) == 1;

	sk_X509_pop_free(one, X509_free);
	return has;
}

static int add_more(struct stores *s, const struct upstream_ca *more,
                    size_t nmore, struct err *err)
{
	s->more = calloc(nmore + 1, sizeof(*s->more));
	s->mask = calloc(nmore + 1, 1);
	if (!s->more || !s->mask)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < nmore; i++) {
		struct extra *e = &s->more[s->nmore++];

		e->pattern = strdup(more[i].pattern);
		e->certs = read_pem(more[i].pem, INT_MAX);
		if (!e->pattern || !e->certs)
			return err_set(err, -ENOMEM, "out of memory");
		if (sk_X509_num(e->certs) == 0)
			return err_set(err, -EINVAL,
			               "the upstream CA file for %s has no "
			               "certificate in PEM form",
			               e->pattern);
	}
	return 0;
}

int stores_new(const char *roots_pem, const struct upstream_ca *more,
               size_t nmore, struct stores **ret, struct err *err)
{
	cleanup(stores_freep) struct stores *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(err, -ENOMEM, "out of memory");
	if (roots_pem[0] && !has_cert(roots_pem))
		return err_set(err, -EINVAL,
		               "the host's certificates hold none in PEM form");
	s->roots_pem = strdup(roots_pem);
	if (!s->roots_pem)
		return err_set(err, -ENOMEM, "out of memory");
	r = add_more(s, more, nmore, err);
	if (r < 0)
		return r;
	*ret = take_ptr(s);
	return 0;
}

static bool add_all(X509_STORE *st, const STACK_OF(X509) * certs)
{
	for (int i = 0; i < sk_X509_num(certs); i++)
		if (!X509_STORE_add_cert(st, sk_X509_value(certs, i)))
			return false;
	return true;
}

/* What a user names as trusted is, be it an authority in the middle. */
static X509_STORE *store_make(struct stores *s)
{
	X509_STORE *st = X509_STORE_new();

	if (!s->roots) {
		s->roots = read_pem(s->roots_pem, INT_MAX);
		if (s->roots)
			free(take_ptr(s->roots_pem));
	}
	if (!st || !s->roots ||
	    !X509_STORE_set_flags(st, X509_V_FLAG_PARTIAL_CHAIN) ||
	    !add_all(st, s->roots))
		goto failed;
	for (size_t i = 0; i < s->nmore; i++)
		if (s->mask[i] && !add_all(st, s->more[i].certs))
			goto failed;
	return st;
failed:
	X509_STORE_free(st);
	return NULL;
}

/* The one of this choice; else the place of the least used. */
static struct store *store_find(struct stores *s)
{
	struct store *old = s->kept;

	for (size_t i = 0; i < STORES_MAX; i++) {
		struct store *k = &s->kept[i];

		if (k->store && memcmp(k->mask, s->mask, s->nmore) == 0)
			return k;
		if (k->used < old->used)
			old = k;
	}
	return old;
}

X509_STORE *stores_get(struct stores *s, const char *name)
{
	struct store *k, n = {0};

	for (size_t i = 0; i < s->nmore; i++)
		s->mask[i] = pattern_match(s->more[i].pattern, name);
	k = store_find(s);
	if (!k->store || memcmp(k->mask, s->mask, s->nmore) != 0) {
		n.store = store_make(s);
		n.mask = calloc(s->nmore + 1, 1);
		if (!n.store || !n.mask) {
			X509_STORE_free(n.store);
			free(n.mask);
			return NULL;
		}
		memcpy(n.mask, s->mask, s->nmore);
		X509_STORE_free(k->store);
		free(k->mask);
		*k = n;
	}
	k->used = ++s->uses;
	return k->store;
}
