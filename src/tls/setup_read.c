/*
 * Theory
 *
 * JSON is read by tables of fields: every key must be there, once, of its
 * type, and no other may be. Who writes it is our own library, but also
 * whoever has taken its place; so what is wrong is told in words, and nothing
 * happens before all was read and found right.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "policy/policy.h"
#include "tls/setup.h"

#include "base/banned.h"

/* ---- objects by table ---------------------------------------------------- */

struct field {
	const char *key;
	int (*read)(void *to, const json_t *v, struct err *err);
	size_t offset; /* of @to in what is filled */
};

static const struct field *find_field(const struct field *f, size_t n,
                                      const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(f[i].key, key) == 0)
			return &f[i];
	return NULL;
}

static int read_object(void *to, const json_t *o, const struct field *f,
                       size_t n, struct err *err)
{
	const char *key;
	json_t *v;

	if (!json_is_object(o))
		return err_set(err, -EINVAL, "it is no object");
	json_object_foreach(
		(json_t *)(uintptr_t)o, key,
		v) if (!find_field(f, n,
	                           key)) return err_set(err, -EINVAL,
	                                                "unknown key \"%.64s\"",
	                                                key);
	for (size_t i = 0; i < n; i++) {
		v = json_object_get(o, f[i].key);
		if (!v)
			return err_set(err, -EINVAL, "no \"%s\"", f[i].key);
		if (f[i].read((char *)to + f[i].offset, v, err) < 0)
			return err_wrap(err, "\"%s\"", f[i].key);
	}
	return 0;
}

static int read_array(const json_t *v, size_t max, struct err *err)
{
	if (!json_is_array(v))
		return err_set(err, -EINVAL, "it is no list");
	if (json_array_size(v) > max)
		return err_set(err, -E2BIG, "more than %zu in it", max);
	return 0;
}

/* ---- plain values -------------------------------------------------------- */

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "no memory");
}

static int read_known(void *to, const json_t *v, struct err *err)
{
	(void)to; /* looked at before */
	(void)v;
	(void)err;
	return 0;
}

static int read_bool(void *to, const json_t *v, struct err *err)
{
	if (!json_is_boolean(v))
		return err_set(err, -EINVAL, "it is neither true nor false");
	*(bool *)to = json_is_true(v);
	return 0;
}

static int read_text(void *to, const json_t *v, struct err *err)
{
	if (!json_is_string(v))
		return err_set(err, -EINVAL, "it is no text");
	return str_put(to, json_string_value(v)) < 0 ? no_memory(err) : 0;
}

static bool is_visible(const char *s, const char *but)
{
	for (; *s; s++)
		if (*s <= ' ' || *s > '~' || strchr(but, *s))
			return false;
	return true;
}

static int read_name(void *to, const json_t *v, struct err *err)
{
	const char *s = json_string_value(v);

	if (!s || !s[0] || strlen(s) > TLS_NAME_MAX || !is_visible(s, "="))
		return err_set(err, -EINVAL,
		               "the name of a variable has 1 to %d printable "
		               "characters but =",
		               TLS_NAME_MAX);
	return read_text(to, v, err);
}

/* It is looked for in requests: no end of line may be in it. */
static bool is_one_line(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

static int read_placeholder(void *to, const json_t *v, struct err *err)
{
	const char *s = json_string_value(v);
	size_t n = s ? strlen(s) : 0;

	if (n < TLS_PLACEHOLDER_MIN || n > TLS_PLACEHOLDER_MAX ||
	    !is_one_line(s))
		return err_set(err, -EINVAL,
		               "a placeholder has %d to %d bytes and no "
		               "control characters",
		               TLS_PLACEHOLDER_MIN, TLS_PLACEHOLDER_MAX);
	return read_text(to, v, err);
}

static int read_ports(void *to, const json_t *v, struct err *err)
{
	struct tls_options *o = to;
	int r = read_array(v, TLS_PORTS_MAX, err);
	json_t *port;
	size_t i;

	if (r < 0)
		return r;
	json_array_foreach((json_t *)(uintptr_t)v, i, port)
	{
		json_int_t n = json_integer_value(port);

		if (n < 1 || n > UINT16_MAX)
			return err_set(err, -EINVAL,
			               "a port is a number of 1 to 65535");
		o->ports[o->nports++] = (uint16_t)n;
	}
	return 0;
}

/* ---- patterns ------------------------------------------------------------ */

/* 1.2.3.4 and whatever a URL's reader takes for it. */
static bool is_address(const char *name)
{
	const char *last = strrchr(name, '.');

	last = last ? last + 1 : name;
	if (last[0] == '0' && last[1] == 'x')
		return strspn(last + 2, "0123456789abcdef") == strlen(last + 2);
	return strspn(last, "0123456789") == strlen(last);
}

static int wrong_pattern(const char *s, struct err *err)
{
	(void)err_set(err, -EINVAL, "\"%.260s\" is not NAME, *.NAME or *", s);
	err_hint(err, "addresses cannot be given; write names of other scripts "
	              "in their xn-- form");
	return -EINVAL;
}

static int add_pattern(struct strv *to, const char *s, struct err *err)
{
	bool below = strncmp(s, "*.", 2) == 0;
	char name[POLICY_NAME_MAX + 1];

	if (strcmp(s, "*") == 0)
		return strv_add(to, s) < 0 ? no_memory(err) : 0;
	if (policy_name(below ? s + 2 : s, name) < 0 || strchr(name, '/') ||
	    is_address(name))
		return wrong_pattern(s, err);
	return strv_addf(to, "%s%s", below ? "*." : "", name) < 0
	               ? no_memory(err)
	               : 0;
}

static int read_pattern_list(struct strv *to, const json_t *v, size_t max,
                             struct err *err)
{
	int r = read_array(v, max, err);
	json_t *one;
	size_t i;

	if (r < 0)
		return r;
	json_array_foreach((json_t *)(uintptr_t)v, i, one)
	{
		const char *s = json_string_value(one);

		if (!s)
			return err_set(err, -EINVAL, "it is no list of texts");
		r = add_pattern(to, s, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_patterns(void *to, const json_t *v, struct err *err)
{
	return read_pattern_list(to, v, TLS_PATTERNS_MAX, err);
}

static int read_hosts(void *to, const json_t *v, struct err *err)
{
	struct strv *hosts = to;
	int r = read_pattern_list(hosts, v, TLS_HOSTS_MAX, err);

	if (r == 0 && hosts->n == 0)
		return err_set(err, -EINVAL, "no host is allowed");
	return r;
}

static int read_pattern(void *to, const json_t *v, struct err *err)
{
	const char *s = json_string_value(v);
	struct strv list cleanup_strv = {0};
	int r = s ? add_pattern(&list, s, err)
	          : err_set(err, -EINVAL, "it is no text");

	if (r == 0 && str_put(to, list.v[0]) < 0)
		r = no_memory(err);
	return r;
}

/* ---- upstream_cas -------------------------------------------------------- */

static int read_cas(void *to, const json_t *v, struct err *err)
{
	static const struct field fields[] = {
		{"pattern", read_pattern,
	         offsetof(struct upstream_ca,                          pattern)},
		{"pem",     read_text,    offsetof(struct upstream_ca, pem)    },
	};
	struct setup_request *rq = to;
	int r = read_array(v, TLS_PATTERNS_MAX, err);
	json_t *one;
	size_t i;

	if (r < 0)
		return r;
	rq->cas = calloc(json_array_size(v) + 1, sizeof(*rq->cas));
	if (!rq->cas)
		return no_memory(err);
	json_array_foreach((json_t *)(uintptr_t)v, i, one)
	{
		r = read_object(&rq->cas[rq->ncas++], one, fields,
		                ARRAY_SIZE(fields), err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- secrets ------------------------------------------------------------- */

struct word {
	const char *word;
	unsigned value;
};

static const struct word places[] = {
	{"headers", SECRET_HEADERS},
	{"basic",   SECRET_BASIC  },
	{"query",   SECRET_QUERY  },
	{"body",    SECRET_BODY   },
};

static const struct word violations[] = {
	{"block",               SECRET_BLOCK          },
	{"block-and-log",       SECRET_BLOCK_LOG      },
	{"block-and-terminate", SECRET_BLOCK_TERMINATE},
	{"passthrough",         SECRET_PASS           },
};

static const struct word *find_word(const struct word *w, size_t n,
                                    const json_t *v)
{
	const char *s = json_string_value(v);

	for (size_t i = 0; s && i < n; i++)
		if (strcmp(w[i].word, s) == 0)
			return &w[i];
	return NULL;
}

const char *setup_violation_name(enum secret_violation v)
{
	return violations[v].word;
}

static int read_where(void *to, const json_t *v, struct err *err)
{
	unsigned *where = to;
	int r = read_array(v, ARRAY_SIZE(places), err);
	const struct word *w;
	json_t *one;
	size_t i;

	if (r < 0)
		return r;
	json_array_foreach((json_t *)(uintptr_t)v, i, one)
	{
		w = find_word(places, ARRAY_SIZE(places), one);
		if (!w)
			return err_set(err, -EINVAL,
			               "it is one of headers, basic, query, "
			               "body");
		if (*where & w->value)
			return err_set(err, -EINVAL, "%s is there twice",
			               w->word);
		*where |= w->value;
	}
	return *where ? 0 : err_set(err, -EINVAL, "there is none");
}

static int read_violation(void *to, const json_t *v, struct err *err)
{
	const struct word *w = find_word(violations, ARRAY_SIZE(violations), v);

	if (!w)
		return err_set(err, -EINVAL,
		               "it is one of block, block-and-log, "
		               "block-and-terminate, passthrough");
	*(enum secret_violation *)to = (enum secret_violation)w->value;
	return 0;
}

#define IN_SECRET(member) offsetof(struct setup_secret, member)

static int read_secret(struct setup_secret *to, const json_t *v,
                       struct err *err)
{
	static const struct field fields[] = {
		{"name",        read_name,        IN_SECRET(s.name)       },
		{"placeholder", read_placeholder, IN_SECRET(s.placeholder)},
		{"hosts",       read_hosts,       IN_SECRET(s.hosts)      },
		{"where",       read_where,       IN_SECRET(s.where)      },
		{"mask",        read_bool,        IN_SECRET(s.mask)       },
		{"violation",   read_violation,   IN_SECRET(s.violation)  },
		{"value",       read_bool,        IN_SECRET(has_value)    },
	};
	int r = read_object(to, v, fields, ARRAY_SIZE(fields), err);

	if (r == 0)
		to->s.placeholder_len = strlen(to->s.placeholder);
	return r < 0 && to->s.name ? err_wrap(err, "%s", to->s.name) : r;
}

/* Two of a name; or one's placeholder begins with, or is, another's. */
int setup_clash(const struct secret *a, const struct secret *b, struct err *err)
{
	size_t n = MIN(a->placeholder_len, b->placeholder_len);

	if (strcmp(a->name, b->name) == 0)
		return err_set(err, -EEXIST, "%s is there twice", a->name);
	if (memcmp(a->placeholder, b->placeholder, n) != 0)
		return 0;
	if (a->placeholder_len == b->placeholder_len)
		return err_set(err, -EEXIST,
		               "%s and %s have the same placeholder", a->name,
		               b->name);
	return err_set(err, -EEXIST,
	               "the placeholders of %s and %s begin alike: one is "
	               "the beginning of the other",
	               a->name, b->name);
}

static int read_secrets(void *to, const json_t *v, struct err *err)
{
	struct setup_request *rq = to;
	int r = read_array(v, TLS_SECRETS_MAX, err);
	json_t *one;
	size_t i;

	if (r < 0)
		return r;
	rq->set = calloc(json_array_size(v) + 1, sizeof(*rq->set));
	if (!rq->set)
		return no_memory(err);
	json_array_foreach((json_t *)(uintptr_t)v, i, one)
	{
		r = read_secret(&rq->set[rq->nset++], one, err);
		for (size_t k = 0; k < i && r == 0; k++)
			r = setup_clash(&rq->set[k].s, &rq->set[i].s, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_removed(void *to, const json_t *v, struct err *err)
{
	int r = read_array(v, TLS_SECRETS_MAX, err);
	struct strv *names = to;
	json_t *one;
	size_t i;

	if (r < 0)
		return r;
	json_array_foreach((json_t *)(uintptr_t)v, i, one)
	{
		char *cleanup_free name = NULL;

		r = read_name(&name, one, err);
		if (r < 0)
			return r;
		for (size_t k = 0; k < names->n; k++)
			if (strcmp(names->v[k], name) == 0)
				return err_set(err, -EEXIST,
				               "%s is there twice", name);
		if (strv_add(names, name) < 0)
			return no_memory(err);
	}
	return 0;
}

/* ---- requests ------------------------------------------------------------ */

#define IN_REQUEST(member) offsetof(struct setup_request, member)

static const struct field setup_fields[] = {
	{"version",      read_known,    0                             },
	{"op",           read_known,    0			     },
	{"all",          read_bool,     IN_REQUEST(options.all)       },
	{"ports",        read_ports,    IN_REQUEST(options)           },
	{"block_quic",   read_bool,     IN_REQUEST(options.block_quic)},
	{"bypass",       read_patterns, IN_REQUEST(options.bypass)    },
	{"roots",        read_text,     IN_REQUEST(roots)             },
	{"upstream_cas", read_cas,      0                             },
	{"no_verify",    read_patterns, IN_REQUEST(no_verify)         },
	{"ca_cert",      read_text,     IN_REQUEST(ca_cert)           },
	{"secrets",      read_secrets,  0                             },
};

static const struct field update_fields[] = {
	{"version", read_known,   0                 },
	{"op",      read_known,   0                 },
	{"set",     read_secrets, 0                 },
	{"remove",  read_removed, IN_REQUEST(remove)},
};

/* Before the keys: another version may have others. */
static int check_kind(const json_t *o, bool update, struct err *err)
{
	const char *want = update ? "update" : "setup";

	if (!json_is_object(o))
		return err_set(err, -EINVAL, "it is no object");
	if (json_int(o, "version", 0) != TLS_SETUP_VERSION)
		return err_set(err, -EPROTO, "its version is not %d",
		               TLS_SETUP_VERSION);
	if (strcmp(json_str(o, "op", ""), want) != 0)
		return err_set(err, -EPROTO, "its \"op\" is not \"%s\"", want);
	return 0;
}

int setup_request_parse(struct setup_request *rq, const char *json, size_t len,
                        struct err *err)
{
	json_t *cleanup_json o = json_parse(json, len, "it", err);
	int r = o ? check_kind(o, rq->update, err) : -EBADMSG;

	if (r == 0 && rq->update)
		r = read_object(rq, o, update_fields, ARRAY_SIZE(update_fields),
		                err);
	else if (r == 0)
		r = read_object(rq, o, setup_fields, ARRAY_SIZE(setup_fields),
		                err);
	return r < 0 ? err_wrap(err, "msb-tls refuses the request") : 0;
}

void setup_request_release(struct setup_request *rq)
{
	for (size_t i = 0; i < rq->nset; i++)
		secret_release(&rq->set[i].s);
	free(rq->set);
	for (size_t i = 0; i < rq->ncas; i++) {
		free(rq->cas[i].pattern);
		free(rq->cas[i].pem);
	}
	free(rq->cas);
	value_unref(rq->ca_key, rq->ca_key_len);
	free(rq->roots);
	free(rq->ca_cert);
	strv_release(&rq->options.bypass);
	strv_release(&rq->no_verify);
	strv_release(&rq->remove);
	*rq = (struct setup_request){.update = rq->update};
}
