/*
 * `secrets` and network.tls of a configuration file, and a document of
 * --secret-conf. As in the Rust msb, but that a value cannot stand in the file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "forms/conf_int.h"

#include "base/banned.h"

/* ---- one secret ---------------------------------------------------------- */

#define IN_ITEM(n, s, f)                                                       \
	{                                                                      \
		.name = (n), .set = (s),                                       \
		.offset = offsetof(struct secret_item, f), .scopes = CONF_ALL  \
	}

/* "${NAME}" and nothing else: how many bytes NAME has, or 0. */
static size_t reference(const char *text)
{
	static const char inside[] = "abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
	size_t len;

	if (strncmp(text, "${", 2) != 0)
		return 0;
	len = strspn(text + 2, inside);
	return strcmp(text + 2 + len, "}") == 0 ? len : 0;
}

/* The variable's name is kept, its value read when the sandbox starts. */
static int set_value(struct conf_source *s, const struct conf_field *f,
                     const struct ytree_node *n)
{
	char **to = conf_member(s, f), *name;
	size_t len = n->kind == YTREE_SCALAR ? reference(n->text) : 0;

	if (ytree_is_null(n))
		return 0;
	if (!len) {
		CONF_WRONG(s, n, "a secret's value cannot stand in a file");
		err_hint(s->err, "write value: \"${VARIABLE}\", or leave it "
		                 "out for the variable of the same name");
		return -EINVAL;
	}
	name = strndup(n->text + 2, len);
	if (!name)
		return conf_no_memory(s);
	free(*to);
	*to = name;
	return 0;
}

static int set_inject(struct conf_source *s, const struct conf_field *f,
                      const struct ytree_node *n)
{
	uint32_t *flags = conf_member(s, f);
	int r = conf_expect(s, n, YTREE_LIST);

	if (r == 0)
		*flags &= MSB_SECRET_MASK;
	for (const struct ytree_node *c = n->child; c && r == 0; c = c->next) {
		struct buf cleanup_buf b = CONF_VALUE_INIT;
		uint32_t flag;

		r = conf_value(s, c, &b);
		if (r < 0)
			return r;
		flag = secret_opts_where(buf_str(&b));
		if (!flag)
			r = CONF_WRONG(s, c,
			               "%s is one of headers, basic_auth, "
			               "query_params, body",
			               f->name);
		*flags |= flag;
	}
	return r;
}

static int set_violation(struct conf_source *s, const struct conf_field *f,
                         const struct ytree_node *n)
{
	struct buf cleanup_buf b = CONF_VALUE_INIT;
	int r = conf_value(s, n, &b);

	if (r < 0)
		return r;
	for (int32_t i = 1; secret_violation_choices[i]; i++) {
		if (strcmp(secret_violation_choices[i], buf_str(&b)) == 0) {
			*(int32_t *)conf_member(s, f) = i;
			return 0;
		}
	}
	return CONF_WRONG(s, n,
	                  "%s is one of block, block-and-log, "
	                  "block-and-terminate, passthrough",
	                  f->name);
}

static int read_bool(struct conf_source *s, const char *name, bool *ret,
                     const struct ytree_node *n)
{
	const struct conf_field field = {.name = name};
	struct conf_source in = *s;

	in.base = ret;
	return conf_set_bool(&in, &field, n);
}

static int set_mask(struct conf_source *s, const struct conf_field *f,
                    const struct ytree_node *n)
{
	uint32_t *flags = conf_member(s, f);
	bool mask = false;
	int r = read_bool(s, f->name, &mask, n);

	if (r == 0)
		*flags = mask ? *flags | MSB_SECRET_MASK
		              : *flags & ~(uint32_t)MSB_SECRET_MASK;
	return r;
}

static int set_identity(struct conf_source *s, const struct conf_field *f,
                        const struct ytree_node *n)
{
	bool required = true;
	int r = read_bool(s, f->name, &required, n);

	if (r < 0 || required)
		return r;
	return CONF_WRONG(
		s, n,
		"%s is always true here: a value goes only to servers "
		"whose certificate was verified",
		f->name);
}

static const struct conf_field secret_keys[] = {
	IN_ITEM("value", set_value, source),
	IN_ITEM("allow", conf_set_list, hosts),
	IN_ITEM("inject", set_inject, flags),
	IN_ITEM("require_tls_identity", set_identity, flags),
	IN_ITEM("placeholder", conf_set_text, placeholder),
	IN_ITEM("on_violation", set_violation, violation),
	IN_ITEM("mask", set_mask, flags),
	{0},
};

int conf_read_secrets(struct conf_source *s, const struct ytree_node *n)
{
	int r = conf_expect(s, n, YTREE_MAP);

	for (const struct ytree_node *c = n->child; c && r == 0; c = c->next) {
		struct secret_item *item =
			secret_conf_item(&s->conf->secret, c->key);
		struct conf_source in = *s;

		if (!item)
			return conf_no_memory(s);
		in.base = item;
		r = conf_map(&in, secret_keys, CONF_ALL, c);
		if (r == 0 && !item->hosts.n) {
			ytree_error(s->err, s->path, c->key_at,
			            "secret %s has no host that it is for",
			            c->key);
			err_hint(s->err, "allow: [api.example.com]");
			return -EINVAL;
		}
	}
	return r;
}

int conf_set_secrets(struct conf_source *s, const struct conf_field *f,
                     const struct ytree_node *n)
{
	(void)f;
	return conf_read_secrets(s, n);
}

/* ---- interception -------------------------------------------------------- */

#define AT(f) offsetof(struct conf, secret.f)
#define KEY(n, s, f)                                                           \
	{                                                                      \
		.name = (n), .set = (s), .offset = AT(f), .scopes = CONF_ALL   \
	}

static int set_paths(struct conf_source *s, const struct conf_field *f,
                     const struct ytree_node *n)
{
	struct strv *list = conf_member(s, f);
	int r = conf_set_list(s, f, n);

	for (size_t i = 0; i < list->n && r == 0; i++)
		r = conf_put_beside(s, &list->v[i]);
	return r;
}

/* PATTERN: PATH */
static int set_paths_for(struct conf_source *s, const struct conf_field *f,
                         const struct ytree_node *n)
{
	struct strv *list = conf_member(s, f);
	int r = conf_expect(s, n, YTREE_MAP);

	for (const struct ytree_node *c = n->child; c && r == 0; c = c->next) {
		static const struct conf_field path = {.name = "the CA's file",
		                                       .scopes = CONF_ALL};
		struct conf_source in = *s;
		cleanup_free char *text = NULL, *whole = NULL;

		in.base = &text;
		r = conf_set_path(&in, &path, c);
		if (r == 0 && (asprintf(&whole, "%s=%s", c->key, text) < 0 ||
		               strv_env_set(list, whole) < 0))
			r = conf_no_memory(s);
	}
	return r;
}

static const struct conf_field tls_keys[] = {
	KEY("enabled", conf_set_bool, intercept),
	KEY("ports", conf_set_list, ports),
	KEY("bypass", conf_set_list, bypass),
	KEY("block_quic", conf_set_not, no_block_quic),
	KEY("verify_upstream", conf_set_not, no_verify_any),
	KEY("no_verify_for", conf_set_list, no_verify),
	KEY("upstream_ca_certs", set_paths, cas),
	KEY("upstream_ca_certs_for", set_paths_for, cas_for),
	KEY("ca_cert", conf_set_path, ca_cert),
	KEY("ca_key", conf_set_path, ca_key),
	KEY("on_secret_violation", set_violation, violation),
	{0},
};

int conf_set_tls(struct conf_source *s, const struct conf_field *f,
                 const struct ytree_node *n)
{
	(void)f;
	return conf_map(s, tls_keys, CONF_ALL, n);
}
