#include "lib/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/num.h"
#include "base/strv.h"
#include "lib/members.h"
#include "lib/options.h"

#include "base/banned.h"

#define PLACEHOLDER_BYTES 16

/* No row for `value`: it is never kept. */
static const struct member secret_members[] = {
	MEMBER(struct msb_secret, env, MEMBER_TEXT),
	MEMBER(struct msb_secret, source, MEMBER_TEXT),
	MEMBER(struct msb_secret, placeholder, MEMBER_TEXT),
	MEMBER(struct msb_secret, hosts, MEMBER_LIST),
	MEMBER(struct msb_secret, flags, MEMBER_NUMBER),
	MEMBER(struct msb_secret, violation, MEMBER_NUMBER),
	{0},
};

static const struct member tls_members[] = {
	MEMBER(struct msb_tls, flags, MEMBER_NUMBER),
	MEMBER(struct msb_tls, violation, MEMBER_NUMBER),
	MEMBER(struct msb_tls, ports, MEMBER_LIST),
	MEMBER(struct msb_tls, bypass, MEMBER_LIST),
	MEMBER(struct msb_tls, ca_cert, MEMBER_TEXT),
	MEMBER(struct msb_tls, ca_key, MEMBER_TEXT),
	MEMBER(struct msb_tls, upstream_cas, MEMBER_LIST),
	MEMBER(struct msb_tls, upstream_cas_for, MEMBER_LIST),
	MEMBER(struct msb_tls, no_verify_for, MEMBER_LIST),
	{0},
};

/* ---- the list ------------------------------------------------------------ */

static void free_secret(struct msb_secret *s)
{
	if (s)
		members_release(secret_members, s);
	free(s);
}

void secrets_release(struct secret_list *s)
{
	for (size_t i = 0; i < s->n; i++)
		free_secret(s->v[i]);
	free(s->v);
	*s = (struct secret_list){0};
}

/* Takes @one, also on failure. */
static int append(struct secret_list *s, struct msb_secret *one)
{
	struct msb_secret **more =
		one ? reallocarray(s->v, s->n + 2, sizeof(*more)) : NULL;

	if (!more) {
		free_secret(one);
		return -ENOMEM;
	}
	s->v = more;
	more[s->n++] = one;
	more[s->n] = NULL;
	return 0;
}

static int make_placeholder(const char **ret)
{
	uint8_t random[PLACEHOLDER_BYTES];
	char text[4 + 2 * PLACEHOLDER_BYTES + 1] = "MSB_";

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	for (size_t i = 0; i < sizeof(random); i++)
		(void)snprintf(text + 4 + 2 * i, 3, "%02x", random[i]);
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

int secrets_add(struct secret_list *s, const struct msb_secret *from)
{
	struct msb_secret given = MSB_SECRET_INIT, *copy;
	int r;

	if (!options_take(&given, sizeof(given), from))
		return -EINVAL;
	copy = calloc(1, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	copy->size = sizeof(*copy);
	r = members_copy(secret_members, copy, &given);
	if (r == 0 && !copy->placeholder)
		r = make_placeholder(&copy->placeholder);
	if (r < 0) {
		free_secret(copy);
		return r;
	}
	return append(s, copy);
}

int secrets_take(struct secret_list *ret, const struct msb_secret *const *from)
{
	int r = 0;

	for (; from && *from && r == 0; from++)
		r = secrets_add(ret, *from);
	return r;
}

void secrets_drop(struct secret_list *s, size_t i)
{
	free_secret(s->v[i]);
	memmove(s->v + i, s->v + i + 1, (s->n - i) * sizeof(*s->v));
	s->n--;
}

int secrets_put(struct secret_list *s, const struct msb_secret *from)
{
	long k = secrets_find(s, from->env);
	int r = secrets_add(s, from);

	if (r < 0 || k < 0)
		return r;
	free_secret(s->v[k]);
	s->v[k] = s->v[--s->n];
	s->v[s->n] = NULL;
	return 0;
}

long secrets_find(const struct secret_list *s, const char *env)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i]->env, env) == 0)
			return (long)i;
	return -1;
}

const struct msb_secret *const *secrets_get(const struct secret_list *s)
{
	static const struct msb_secret *const none[] = {NULL};

	return s->v ? (const struct msb_secret *const *)s->v : none;
}

/* ---- options ------------------------------------------------------------- */

void tls_options_release(struct msb_tls *t)
{
	members_release(tls_members, t);
	*t = (struct msb_tls){0};
}

/* A path of the host that means the same wherever msb is started. */
static int make_absolute(char **text, const char *path)
{
	cleanup_free char *cwd = NULL;
	char *whole;

	if (*path == '/')
		return 0;
	cwd = getcwd(NULL, 0);
	if (!cwd)
		return -errno;
	if (asprintf(&whole, "%.*s%s/%s", (int)(path - *text), *text,
	             strcmp(cwd, "/") ? cwd : "", path) < 0)
		return -ENOMEM;
	free(*text);
	*text = whole;
	return 0;
}

static int make_all_absolute(const struct msb_tls *t)
{
	char *const *list = (char *const *)(uintptr_t)t->upstream_cas,
		    *const *pairs =
			    (char *const *)(uintptr_t)t->upstream_cas_for;
	int r = 0;

	for (char **s = (char **)(uintptr_t)list; s && *s && r == 0; s++)
		r = make_absolute(s, *s);
	for (char **s = (char **)(uintptr_t)pairs; s && *s && r == 0; s++)
		r = make_absolute(s, *s + strcspn(*s, "=") + 1);
	return r;
}

int tls_options_take(struct msb_tls *ret, const struct msb_tls *from)
{
	struct msb_tls given = MSB_TLS_INIT;
	int r = options_take(&given, sizeof(given), from) ? 0 : -EINVAL;

	*ret = (struct msb_tls)MSB_TLS_INIT;
	if (r == 0)
		r = members_copy(tls_members, ret, &given);
	if (r == 0 && ret->ca_cert)
		r = make_absolute((char **)(uintptr_t)&ret->ca_cert,
		                  ret->ca_cert);
	if (r == 0 && ret->ca_key)
		r = make_absolute((char **)(uintptr_t)&ret->ca_key,
		                  ret->ca_key);
	return r < 0 ? r : make_all_absolute(ret);
}

/* ---- the record ---------------------------------------------------------- */

json_t *secrets_json(const struct secret_list *s)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < s->n; i++) {
		if (json_array_append_new(
			    list, members_json(secret_members, s->v[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static int read_secret(const json_t *j, struct secret_list *ret)
{
	struct msb_secret *s = calloc(1, sizeof(*s));
	int r = s ? members_read(secret_members, j, s) : -ENOMEM;

	if (r == 0)
		s->size = sizeof(*s);
	if (r == 0 && (!s->env || !s->placeholder || !s->hosts ||
	               s->violation > MSB_VIOLATION_PASS))
		r = -EINVAL;
	if (r < 0) {
		free_secret(s);
		return r;
	}
	return append(ret, s);
}

int secrets_read(const json_t *j, struct secret_list *ret)
{
	struct secret_list cleanup_secrets s = {0};
	size_t n = json_array_size(j);
	int r = json_is_array(j) && n <= MSB_SECRETS_MAX ? 0 : -EINVAL;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = read_secret(json_array_get(j, i), &s);
	if (r < 0)
		return r;
	*ret = s;
	s = (struct secret_list){0};
	return 0;
}

json_t *tls_options_json(const struct msb_tls *t)
{
	return members_json(tls_members, t);
}

int tls_options_read(const json_t *j, struct msb_tls *ret)
{
	struct msb_tls t = MSB_TLS_INIT;
	int r = members_read(tls_members, j, &t);

	if (r == 0 && t.violation > MSB_VIOLATION_PASS) {
		tls_options_release(&t);
		r = -EINVAL;
	}
	if (r == 0)
		*ret = t;
	return r;
}

/* ---- words --------------------------------------------------------------- */

#define WHERE                                                                  \
	(MSB_SECRET_HEADERS | MSB_SECRET_BASIC | MSB_SECRET_QUERY |            \
	 MSB_SECRET_BODY)

uint32_t secret_where(const struct msb_secret *s)
{
	return s->flags & WHERE
	               ? s->flags
	               : s->flags | MSB_SECRET_HEADERS | MSB_SECRET_BASIC;
}

const char *secret_source(const struct msb_secret *s)
{
	return s->source ? s->source : s->env;
}

const char *secret_violation_name(int32_t violation, const struct msb_tls *tls)
{
	static const char *const names[] = {
		[MSB_VIOLATION_DEFAULT] = "block-and-log",
		[MSB_VIOLATION_BLOCK] = "block",
		[MSB_VIOLATION_BLOCK_LOG] = "block-and-log",
		[MSB_VIOLATION_BLOCK_TERMINATE] = "block-and-terminate",
		[MSB_VIOLATION_PASS] = "passthrough",
	};

	if (violation == MSB_VIOLATION_DEFAULT && tls)
		violation = tls->violation;
	return violation >= 0 && violation < (int32_t)ARRAY_SIZE(names)
	               ? names[violation]
	               : names[MSB_VIOLATION_DEFAULT];
}

int secret_describe(const struct msb_secret *s, struct buf *ret)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} flags[] = {
		{MSB_SECRET_HEADERS, "header"},
                {MSB_SECRET_BASIC,   "basic" },
		{MSB_SECRET_QUERY,   "query" },
                {MSB_SECRET_BODY,    "body"  },
		{MSB_SECRET_MASK,    "mask"  },
	};
	uint32_t where = secret_where(s);
	const char *between = " (";

	for (const char *const *h = s->hosts; h && *h; h++)
		(void)buf_printf(ret, "%s%s", h == s->hosts ? "" : ", ", *h);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (!(where & flags[i].flag))
			continue;
		(void)buf_printf(ret, "%s%s", between, flags[i].name);
		between = ", ";
	}
	if (s->violation)
		(void)buf_printf(ret, "; %s",
		                 secret_violation_name(s->violation, NULL));
	(void)buf_addc(ret, ')');
	return buf_ok(ret) ? 0 : -ENOMEM;
}
