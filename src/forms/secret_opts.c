#include "forms/secret_opts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "forms/net_opts.h"

#include "base/banned.h"

#define NAME_SHOWN 64
#define WORD_SHOWN 24

const char *const secret_violation_choices[] = {
	"",  "block", "block-and-log", "block-and-terminate", "passthrough",
	NULL};

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory");
}

void secret_item_release(struct secret_item *i)
{
	free(i->env);
	free(i->source);
	free(i->placeholder);
	strv_release(&i->hosts);
	*i = (struct secret_item){0};
}

void secret_conf_release(struct secret_conf *c)
{
	struct strv *const lists[] = {&c->ports, &c->bypass, &c->cas,
	                              &c->cas_for, &c->no_verify};

	for (size_t i = 0; i < c->n; i++) {
		secret_item_release(c->v[i]);
		free(c->v[i]);
	}
	free(c->v);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		strv_release(lists[i]);
	free(c->ca_cert);
	free(c->ca_key);
	*c = (struct secret_conf){0};
}

static struct secret_item *add_item(struct secret_conf *c)
{
	struct secret_item **more = reallocarray(c->v, c->n + 1, sizeof(*more));
	struct secret_item *one = calloc(1, sizeof(*one));

	if (more)
		c->v = more;
	if (!more || !one) {
		free(one);
		return NULL;
	}
	more[c->n++] = one;
	return one;
}

struct secret_item *secret_conf_item(struct secret_conf *c, const char *env)
{
	struct secret_item *one;

	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->v[i]->env, env) == 0)
			return c->v[i];
	one = add_item(c);
	if (!one)
		return NULL;
	one->env = strdup(env);
	if (!one->env) {
		free(c->v[--c->n]);
		return NULL;
	}
	return one;
}

/* ---- the option's text --------------------------------------------------- */

uint32_t secret_opts_where(const char *word)
{
	static const struct {
		const char *word;
		uint32_t flag;
	} words[] = {
		{"header",       MSB_SECRET_HEADERS},
		{"headers",      MSB_SECRET_HEADERS},
		{"basic",        MSB_SECRET_BASIC  },
		{"basic_auth",   MSB_SECRET_BASIC  },
		{"basic-auth",   MSB_SECRET_BASIC  },
		{"query",        MSB_SECRET_QUERY  },
		{"query_params", MSB_SECRET_QUERY  },
		{"query-params", MSB_SECRET_QUERY  },
		{"body",         MSB_SECRET_BODY   },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i].word, word) == 0)
			return words[i].flag;
	return 0;
}

/* Only of letters: what else it is may be a part of a value. */
static const char *harmless(const char *word)
{
	size_t len = strspn(word, "abcdefghijklmnopqrstuvwxyz_-");

	return !word[len] && len && len <= WORD_SHOWN ? word : "...";
}

static int read_violation(const char *text, int32_t *ret, struct err *err)
{
	for (int32_t i = 1; secret_violation_choices[i]; i++)
		if (strcmp(secret_violation_choices[i], text) == 0) {
			*ret = i;
			return 0;
		}
	err_set(err, -EINVAL, "--secret: violation=%s is not known",
	        harmless(text));
	err_hint(err, "one of: block, block-and-log, block-and-terminate, "
	              "passthrough");
	return -EINVAL;
}

static int read_option(struct secret_item *i, const char *word, struct err *err)
{
	uint32_t where = secret_opts_where(word);

	if (strcmp(word, "mask") == 0)
		where = MSB_SECRET_MASK;
	i->flags |= where;
	if (where)
		return 0;
	if (strncmp(word, "placeholder=", 12) == 0)
		return str_put(&i->placeholder, word + 12) < 0 ? no_memory(err)
		                                               : 0;
	if (strncmp(word, "from=", 5) == 0)
		return str_put(&i->source, word + 5) < 0 ? no_memory(err) : 0;
	if (strncmp(word, "violation=", 10) == 0)
		return read_violation(word + 10, &i->violation, err);
	err_set(err, -EINVAL, "--secret %s: option '%s' is not known", i->env,
	        harmless(word));
	err_hint(err, "header, basic, query, body, mask, placeholder=TEXT, "
	              "violation=ACTION, from=VARIABLE; the value itself is "
	              "never given");
	return -EINVAL;
}

/* Words with commas between; *@text is cut up. */
static int read_options(struct secret_item *i, char *text, struct err *err)
{
	int r = 0;

	while (text && r == 0) {
		char *next = strchr(text, ',');

		if (next)
			*next++ = '\0';
		r = read_option(i, text, err);
		text = next;
	}
	return r;
}

static int read_hosts(struct secret_item *i, const char *text, struct err *err)
{
	for (;;) {
		size_t len = strcspn(text, ",");

		if (len == 0)
			return err_set(err, -EINVAL,
			               "--secret %s: a host is missing behind "
			               "the @",
			               i->env);
		if (strv_addn(&i->hosts, text, len) < 0)
			return no_memory(err);
		if (!text[len])
			return 0;
		text += len + 1;
	}
}

static bool is_variable(const char *s, size_t len)
{
	static const char inside[] = "abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

	return len && len <= NAME_SHOWN && strspn(s, inside) >= len &&
	       !(*s >= '0' && *s <= '9');
}

static int bad_form(struct err *err)
{
	err_set(err, -EINVAL,
	        "--secret: its text is not ENV[:OPTIONS]@HOST[,HOST...]");
	err_hint(err, "for example API_KEY@api.example.com: the value is that "
	              "of the variable API_KEY here");
	return -EINVAL;
}

/* What people know from env: it must not work, for their values' sake. */
static int inline_value(const char *text, size_t len, struct err *err)
{
	char name[NAME_SHOWN + 1];

	(void)snprintf(name, sizeof(name), "%.*s", (int)len, text);
	err_set(err, -EINVAL,
	        "--secret %s=...: the value itself cannot be given: it would "
	        "stand in the list of processes and in the shell's history",
	        name);
	err_hint(err,
	         "set the variable %s, then --secret %s@HOST; another "
	         "variable's: --secret %s:from=VARIABLE@HOST",
	         name, name, name);
	return -EINVAL;
}

static int parse(struct secret_item *i, char *text, bool bare, struct err *err)
{
	size_t len = strcspn(text, ":@=");
	char *options = NULL, *at;
	char kind = text[len];

	if (!is_variable(text, len))
		return bad_form(err);
	if (kind == '=')
		return inline_value(text, len, err);
	at = kind ? strrchr(text, '@') : NULL;
	if (!at && !bare)
		return bad_form(err);
	if (at)
		*at++ = '\0';
	if (kind == ':')
		options = text + len + 1;
	text[len] = '\0';
	if (str_put(&i->env, text) < 0)
		return no_memory(err);
	if (options && read_options(i, options, err) < 0)
		return -EINVAL;
	return at ? read_hosts(i, at, err) : 0;
}

int secret_opts_parse(const char *text, bool bare, struct secret_item *ret,
                      struct err *err)
{
	cleanup_free char *copy = strdup(text);
	struct secret_item i = {0};
	int r = copy ? parse(&i, copy, bare, err) : no_memory(err);

	if (r < 0)
		secret_item_release(&i);
	else
		*ret = i;
	return r;
}

/* ---- options over files -------------------------------------------------- */

/* @files: how many of the list are not from options. */
static int put_secret(struct secret_conf *c, size_t files, const char *text,
                      struct err *err)
{
	struct secret_item i = {0}, *to = NULL;
	int r = secret_opts_parse(text, false, &i, err);

	for (size_t k = 0; r == 0 && k < files && !to; k++)
		if (strcmp(c->v[k]->env, i.env) == 0)
			to = c->v[k];
	if (r == 0 && !to)
		to = add_item(c);
	if (r == 0 && !to)
		r = no_memory(err);
	if (r < 0) {
		secret_item_release(&i);
		return r;
	}
	secret_item_release(to);
	*to = i;
	return 0;
}

int secret_opts_put(struct secret_conf *c, const struct secret_values *v,
                    struct err *err)
{
	const struct {
		struct strv *to;
		const struct strv *from;
	} lists[] = {
		{&c->ports,     &v->ports    },
		{&c->bypass,    &v->bypass   },
		{&c->cas,       &v->cas      },
		{&c->cas_for,   &v->cas_for  },
		{&c->no_verify, &v->no_verify},
	};
	size_t files = c->n;
	int r = 0;

	for (size_t i = 0; i < v->secrets.n && r == 0; i++)
		r = put_secret(c, files, v->secrets.v[i], err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (strv_add_all(lists[i].to, strv_list(lists[i].from)) < 0)
			return no_memory(err);
	if (str_put(&c->ca_cert, v->ca_cert) < 0 ||
	    str_put(&c->ca_key, v->ca_key) < 0)
		return no_memory(err);
	if (v->violation)
		c->violation = v->violation;
	c->intercept = c->intercept || v->intercept;
	c->no_block_quic = c->no_block_quic || v->no_block_quic;
	return 0;
}

/* ---- the library's form -------------------------------------------------- */

static const char *const *list_or_null(const struct strv *s)
{
	return s->n ? (const char *const *)s->v : NULL;
}

void secret_item_make(const struct secret_item *i, struct msb_secret *ret)
{
	*ret = (struct msb_secret){
		.size = sizeof(*ret),
		.env = i->env,
		.source = i->source,
		.placeholder = i->placeholder,
		.hosts = list_or_null(&i->hosts),
		.flags = i->flags,
		.violation = i->violation,
	};
}

static int fill(struct secret_made *m, const struct secret_conf *c)
{
	int r = strv_add_all(&m->no_verify, strv_list(&c->no_verify));

	if (r == 0 && c->no_verify_any)
		r = strv_add(&m->no_verify, "*");
	m->secrets = calloc(c->n + 1, sizeof(*m->secrets));
	m->pointers = calloc(c->n + 1, sizeof(*m->pointers));
	if (r < 0 || !m->secrets || !m->pointers)
		return -ENOMEM;
	for (size_t i = 0; i < c->n; i++) {
		secret_item_make(c->v[i], &m->secrets[i]);
		m->pointers[i] = &m->secrets[i];
	}
	m->tls = (struct msb_tls){
		.size = sizeof(m->tls),
		.flags = (c->intercept ? (uint32_t)MSB_TLS_INTERCEPT : 0) |
	                 (c->no_block_quic ? (uint32_t)MSB_TLS_NO_BLOCK_QUIC
	                                   : 0),
		.violation = c->violation,
		.ports = list_or_null(&c->ports),
		.bypass = list_or_null(&c->bypass),
		.ca_cert = c->ca_cert,
		.ca_key = c->ca_key,
		.upstream_cas = list_or_null(&c->cas),
		.upstream_cas_for = list_or_null(&c->cas_for),
		.no_verify_for = list_or_null(&m->no_verify),
	};
	return 0;
}

int secret_conf_make(const struct secret_conf *c, struct secret_made **ret,
                     struct err *err)
{
	struct secret_made *m = calloc(1, sizeof(*m));

	if (!m || fill(m, c) < 0) {
		secret_made_free(m);
		return no_memory(err);
	}
	*ret = m;
	return 0;
}

void secret_made_free(struct secret_made *m)
{
	if (!m)
		return;
	strv_release(&m->no_verify);
	free(m->secrets);
	free(m->pointers);
	free(m);
}

/* ---- paths --------------------------------------------------------------- */

void secret_paths_release(struct secret_paths *p)
{
	free(p->ca_cert);
	free(p->ca_key);
	strv_release(&p->cas);
	strv_release(&p->cas_for);
	*p = (struct secret_paths){0};
}

static int add_absolute(struct strv *to, const char *pattern, size_t len,
                        const char *path)
{
	cleanup_free char *whole = NULL;
	int r = net_opts_absolute(path, &whole);

	return r < 0 ? r : strv_addf(to, "%.*s%s", (int)len, pattern, whole);
}

int secret_opts_absolute(const struct secret_values *v,
                         struct secret_paths *ret)
{
	struct secret_paths p = {0};
	int r = net_opts_absolute(v->ca_cert, &p.ca_cert);

	if (r == 0)
		r = net_opts_absolute(v->ca_key, &p.ca_key);
	for (size_t i = 0; i < v->cas.n && r == 0; i++)
		r = add_absolute(&p.cas, "", 0, v->cas.v[i]);
	for (size_t i = 0; i < v->cas_for.n && r == 0; i++) {
		const char *text = v->cas_for.v[i];
		size_t len = strcspn(text, "=");

		len += text[len] == '=';
		r = add_absolute(&p.cas_for, text, len, text + len);
	}
	if (r < 0)
		secret_paths_release(&p);
	else
		*ret = p;
	return r;
}

/* ---- notes --------------------------------------------------------------- */

void secret_opts_notes(const struct msb_secret *const *secrets,
                       struct strv *ret)
{
	for (; secrets && *secrets; secrets++)
		for (const char *const *h = (*secrets)->hosts; h && *h; h++)
			if (strcmp(*h, "*") == 0)
				(void)strv_addf(
					ret, "secret %s may go to every host",
					(*secrets)->env);
}
