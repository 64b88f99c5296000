#include "forms/describe_secret.h"

#include "base/buf.h"
#include "base/num.h"
#include "forms/describe.h"
#include "forms/secret_opts.h"

#include "base/banned.h"

#define WHERE                                                                  \
	(MSB_SECRET_HEADERS | MSB_SECRET_BASIC | MSB_SECRET_QUERY |            \
	 MSB_SECRET_BODY)

static const struct {
	uint32_t flag;
	const char *word;
} places[] = {
	{MSB_SECRET_HEADERS, "header"},
	{MSB_SECRET_BASIC,   "basic" },
	{MSB_SECRET_QUERY,   "query" },
	{MSB_SECRET_BODY,    "body"  },
};

static uint32_t where(const struct msb_secret *s)
{
	return s->flags & WHERE ? s->flags & WHERE
	                        : MSB_SECRET_HEADERS | MSB_SECRET_BASIC;
}

static const char *violation(const struct msb_secret *s,
                             const struct msb_tls *t)
{
	int32_t v = s->violation ? s->violation : t->violation;

	return secret_violation_choices[v ? v : MSB_VIOLATION_BLOCK_LOG];
}

/* ---- text ---------------------------------------------------------------- */

static int add_secret(const struct msb_secret *s, const struct msb_tls *t,
                      bool first, struct strv *ret)
{
	struct buf cleanup_buf b = BUF_INIT;
	const char *between = " in ";

	(void)buf_printf(&b, "%s for ", s->env);
	for (const char *const *h = s->hosts; h && *h; h++)
		(void)buf_printf(&b, "%s%s", h == s->hosts ? "" : ", ", *h);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (!(where(s) & places[i].flag))
			continue;
		(void)buf_printf(&b, "%s%s", between, places[i].word);
		between = ", ";
	}
	if (s->flags & MSB_SECRET_MASK)
		(void)buf_adds(&b, ", masked in answers");
	(void)buf_printf(&b, "; else %s", violation(s, t));
	return strv_addf(ret, "%s\t%s", first ? "Secrets" : "", buf_str(&b));
}

static int add_list(const char *name, const char *const *list, struct strv *ret)
{
	int r = 0;

	for (const char *const *w = list; w && *w && r == 0; w++)
		r = strv_addf(ret, "%s\t%s", w == list ? name : "", *w);
	return r;
}

static int add_tls(const struct msb_tls *t, bool any, struct strv *ret)
{
	struct buf cleanup_buf b = BUF_INIT;

	if (!(t->flags & MSB_TLS_INTERCEPT) && !any)
		return 0;
	(void)buf_printf(&b, "decrypted to %s, port",
	                 t->flags & MSB_TLS_INTERCEPT ? "all hosts"
	                                              : "hosts of secrets");
	if (!t->ports)
		(void)buf_adds(&b, " 443");
	for (const char *const *p = t->ports; p && *p; p++)
		(void)buf_printf(&b, " %s", *p);
	if (t->flags & MSB_TLS_NO_BLOCK_QUIC)
		(void)buf_adds(&b, ", QUIC passes");
	return strv_addf(ret, "TLS\t%s", buf_str(&b));
}

int describe_secrets(const struct msb_sandbox_info *i, struct strv *ret)
{
	const struct msb_tls *t = i->tls;
	int r = 0;

	for (size_t k = 0; i->secrets[k] && r == 0; k++)
		r = add_secret(i->secrets[k], t, k == 0, ret);
	if (r == 0)
		r = add_tls(t, *i->secrets != NULL, ret);
	if (r == 0)
		r = add_list("TLS bypass", t->bypass, ret);
	if (r == 0 && t->ca_cert)
		r = strv_addf(ret, "TLS CA\t%s", t->ca_cert);
	if (r == 0)
		r = add_list("TLS trusts", t->upstream_cas, ret);
	if (r == 0)
		r = add_list("TLS trusts", t->upstream_cas_for, ret);
	return r < 0 ? r : add_list("Unverified", t->no_verify_for, ret);
}

/* ---- JSON ---------------------------------------------------------------- */

static json_t *where_json(uint32_t flags)
{
	json_t *a = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (flags & places[i].flag)
			(void)json_array_append_new(
				a, json_string(places[i].word));
	return a;
}

static json_t *list_json(const char *const *list)
{
	static const char *const none[] = {NULL};

	return describe_list(list ? list : none);
}

json_t *describe_secrets_json(const struct msb_sandbox_info *i)
{
	json_t *a = json_array();

	for (const struct msb_secret *const *p = i->secrets; *p; p++) {
		const struct msb_secret *s = *p;

		(void)json_array_append_new(
			a, json_pack("{s:s, s:o, s:o, s:b, s:s}", "name",
		                     s->env, "allow", list_json(s->hosts),
		                     "inject", where_json(where(s)), "mask",
		                     (s->flags & MSB_SECRET_MASK) != 0,
		                     "on_violation", violation(s, i->tls)));
	}
	return a;
}

static json_t *ports_json(const char *const *list)
{
	static const char *const https[] = {"443", NULL};
	json_t *a = json_array();
	uint64_t port;

	for (list = list ? list : https; *list; list++)
		if (num_parse_u64(*list, UINT16_MAX, &port))
			(void)json_array_append_new(
				a, json_integer((json_int_t)port));
	return a;
}

json_t *describe_tls_json(const struct msb_sandbox_info *i)
{
	const struct msb_tls *t = i->tls;

	if (!(t->flags & MSB_TLS_INTERCEPT) && !*i->secrets)
		return json_null();
	return json_pack(
		"{s:b, s:o, s:o, s:b, s:o, s:o, s:o, s:o}", "all",
		(t->flags & MSB_TLS_INTERCEPT) != 0, "ports",
		ports_json(t->ports), "bypass", list_json(t->bypass),
		"block_quic", (t->flags & MSB_TLS_NO_BLOCK_QUIC) == 0,
		"ca_cert", t->ca_cert ? json_string(t->ca_cert) : json_null(),
		"upstream_ca_certs", list_json(t->upstream_cas),
		"upstream_ca_certs_for", list_json(t->upstream_cas_for),
		"no_verify_for", list_json(t->no_verify_for));
}
