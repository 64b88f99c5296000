/*
 * What secrets and interception may be, each refusal with its words. No value
 * is in any of them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/num.h"
#include "lib/options.h"
#include "lib/secret.h"
#include "policy/addr.h"
#include "policy/policy.h"
#include "proto/tls_setup.h"

#include "base/banned.h"

#define RESERVED "MSB_"
#define SHOWN    100 /* bytes of a wrong word that are shown */

_Static_assert(MSB_SECRETS_MAX == TLS_SECRETS_MAX &&
                       MSB_SECRET_VALUE_MAX == TLS_VALUE_MAX &&
                       MSB_PLACEHOLDER_MIN == TLS_PLACEHOLDER_MIN &&
                       MSB_PLACEHOLDER_MAX == TLS_PLACEHOLDER_MAX,
               "the public limits are those of msb-tls");

/* ---- public suffixes ----------------------------------------------------- */

/*
 * libpsl has the list of them. It is looked for when the first wildcard is
 * given, and never unloaded; without it only a single label is known to be one.
 */
static struct {
	const void *(*builtin)(void);
	int (*is_public)(const void *list, const char *domain);
} psl;

static void load_psl(void)
{
	/* tools/bundle.py puts one beside us, under a name of its own. */
	void *lib = dlopen("libmsb-psl.so.5", RTLD_NOW | RTLD_LOCAL);

	if (!lib)
		lib = dlopen("libpsl.so.5", RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return;
	*(void **)&psl.builtin = dlsym(lib, "psl_builtin");
	*(void **)&psl.is_public = dlsym(lib, "psl_is_public_suffix");
}

bool secret_is_public_suffix(const char *name)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const void *list;

	if (!strchr(name, '.'))
		return true;
	(void)pthread_once(&once, load_psl);
	if (!psl.builtin || !psl.is_public)
		return false;
	list = psl.builtin();
	return list && psl.is_public(list, name);
}

/* ---- patterns ------------------------------------------------------------ */

/* What a pattern is of, for words: "secret KEY", "bypass". */
static int bad_pattern(const char *of, const char *text, const char *why,
                       const char *hint, struct err *err)
{
	bool plain = true;

	for (const char *p = text; *p; p++)
		plain = plain && *p > ' ' && *p < 0x7f;
	err_set(err, -EINVAL, "%s: host '%.*s' %s", of, SHOWN,
	        plain ? text : "...", why);
	err_hint(err, "%s", hint);
	return -EINVAL;
}

static int why_no_name(const char *of, const char *text, const char *base,
                       struct err *err)
{
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p >= 0x80)
			return bad_pattern(
				of, text, "is not ASCII",
				"write the name as DNS has it, with xn-- "
				"(punycode)",
				err);
	if (strstr(text, "://") || strchr(text, '/'))
		return bad_pattern(of, text, "is no name",
		                   "the name alone, without https:// and path",
		                   err);
	if (strchr(text, ':'))
		return bad_pattern(of, text, "is no name",
		                   "the name alone, without a port", err);
	if (strchr(base, '*'))
		return bad_pattern(of, text, "has a * inside",
		                   "* stands for whole labels at the "
		                   "beginning, as *.example.com",
		                   err);
	return bad_pattern(of, text, "is no name",
	                   "for example api.example.com or *.example.com", err);
}

/* What a reader of URLs takes for an address: its last label is a number. */
static bool is_numeric(const char *name)
{
	const char *last = strrchr(name, '.');

	last = last ? last + 1 : name;
	if (last[0] == '0' && last[1] == 'x')
		return strspn(last + 2, "0123456789abcdef") == strlen(last + 2);
	return strspn(last, "0123456789") == strlen(last);
}

/* @base: of the pattern @text. */
static int check_name(const char *of, const char *text, const char *base,
                      struct err *err)
{
	char name[POLICY_NAME_MAX + 1];
	struct addr a;

	int r = policy_name(base, name);

	if (addr_parse(base, &a) == 0 || (r == 0 && is_numeric(name)))
		return bad_pattern(of, text, "is an address",
		                   "certificates and patterns are for names",
		                   err);
	return r < 0 || strchr(base, '/') ? why_no_name(of, text, base, err)
	                                  : 0;
}

/* @narrow: it decides where values go, so it must be somebody's. */
static int check_pattern(const char *of, const char *text, bool narrow,
                         struct err *err)
{
	const char *base = strncmp(text, "*.", 2) == 0 ? text + 2 : text;
	char name[POLICY_NAME_MAX + 1];
	int r;

	if (strcmp(text, "*") == 0)
		return 0;
	r = check_name(of, text, base, err);
	if (r < 0 || base == text || !narrow)
		return r;
	(void)policy_name(base, name);
	if (!secret_is_public_suffix(name))
		return 0;
	return bad_pattern(of, text, "is every name below a public suffix",
	                   "anybody can have a name there; name one owner, as "
	                   "*.example.com",
	                   err);
}

static int check_patterns(const char *of, const char *const *list, bool narrow,
                          size_t max, struct err *err)
{
	size_t n = 0;
	int r = 0;

	for (; list && list[n] && r == 0; n++)
		r = n == max ? err_set(err, -E2BIG, "%s: more than %zu hosts",
		                       of, max)
		             : check_pattern(of, list[n], narrow, err);
	return r;
}

/* ---- one secret ---------------------------------------------------------- */

static bool is_variable(const char *s)
{
	static const char inside[] = "abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
	size_t len = strspn(s, inside);

	return !s[len] && len && len <= TLS_NAME_MAX &&
	       !strchr("0123456789", *s);
}

static int check_variable(const char *name, const char *what, struct err *err)
{
	if (is_variable(name))
		return 0;
	/* Not shown: it may be a value in the wrong place. */
	err_set(err, -EINVAL, "secret: the %s is not a variable's name", what);
	err_hint(err, "letters, digits and _, at most %d, as API_KEY",
	         TLS_NAME_MAX);
	return -EINVAL;
}

static int check_placeholder(const struct msb_secret *s, struct err *err)
{
	const char *p = s->placeholder;
	size_t len = p ? strlen(p) : 0;

	if (!p)
		return 0;
	for (size_t i = 0; i < len; i++)
		if (p[i] <= ' ' || p[i] >= 0x7f)
			return err_set(err, -EINVAL,
			               "secret %s: its placeholder has other "
			               "characters than visible ASCII",
			               s->env);
	if (len < TLS_PLACEHOLDER_MIN || len > TLS_PLACEHOLDER_MAX)
		return err_set(err, -EINVAL,
		               "secret %s: its placeholder has %zu "
		               "characters: %d to %d are possible",
		               s->env, len, TLS_PLACEHOLDER_MIN,
		               TLS_PLACEHOLDER_MAX);
	return 0;
}

static int check_hosts(const struct msb_secret *s, struct err *err)
{
	char of[TLS_NAME_MAX + 16];

	(void)snprintf(of, sizeof(of), "secret %s", s->env);
	if (!s->hosts || !*s->hosts) {
		err_set(err, -EINVAL, "secret %s has no host that it is for",
		        s->env);
		err_hint(err, "for example %.40s@api.example.com", s->env);
		return -EINVAL;
	}
	return check_patterns(of, s->hosts, true, TLS_HOSTS_MAX, err);
}

static int check_violation(int32_t v, struct err *err)
{
	return v >= MSB_VIOLATION_DEFAULT && v <= MSB_VIOLATION_PASS
	               ? 0
	               : err_set(err, -EINVAL,
	                         "secrets: there is no violation action %d",
	                         (int)v);
}

static int check_one(const struct msb_secret *s, struct err *err)
{
	const uint32_t known = MSB_SECRET_HEADERS | MSB_SECRET_BASIC |
	                       MSB_SECRET_QUERY | MSB_SECRET_BODY |
	                       MSB_SECRET_MASK;
	int r = check_variable(s->env ? s->env : "", "guest's name", err);

	if (r == 0 && strncmp(s->env, RESERVED, strlen(RESERVED)) == 0)
		r = err_set(err, -EINVAL,
		            "secret %s: names that begin with " RESERVED
		            " are reserved",
		            s->env);
	if (r == 0 && s->source)
		r = check_variable(s->source, "source", err);
	if (r == 0 && (s->flags & ~known))
		r = err_set(err, -EINVAL, "secret %s: there is no such flag",
		            s->env);
	if (r == 0)
		r = check_violation(s->violation, err);
	if (r == 0)
		r = check_placeholder(s, err);
	return r < 0 ? r : check_hosts(s, err);
}

/* ---- all of them --------------------------------------------------------- */

static int check_pair(const struct msb_secret *a, const struct msb_secret *b,
                      struct err *err)
{
	if (strcmp(a->env, b->env) == 0) {
		err_set(err, -EINVAL, "secret %s is given twice", a->env);
		err_hint(err, "all its hosts in one, with commas between");
		return -EINVAL;
	}
	if (a->placeholder && b->placeholder &&
	    (strstr(a->placeholder, b->placeholder) ||
	     strstr(b->placeholder, a->placeholder)))
		return err_set(err, -EINVAL,
		               "secrets %s and %s: one's placeholder is in "
		               "the other's",
		               a->env, b->env);
	return 0;
}

static int check_env(const struct msb_secret *s, const char *const *env,
                     struct err *err)
{
	size_t len = strlen(s->env);

	for (; env && *env; env++) {
		if (strncmp(*env, s->env, len) != 0 || (*env)[len] != '=')
			continue;
		err_set(err, -EINVAL,
		        "%s is both a secret and a plain variable", s->env);
		err_hint(err,
		         "leave out one: with the secret the guest has "
		         "a placeholder in %.40s",
		         s->env);
		return -EINVAL;
	}
	return 0;
}

/* Copies, so that structs of another size can be looked at in pairs. */
static int check_list(const struct secret_checked *c, struct err *err)
{
	struct msb_secret all[MSB_SECRETS_MAX];
	size_t n = 0;
	int r = 0;

	for (; c->secrets && c->secrets[n] && r == 0; n++) {
		if (n == MSB_SECRETS_MAX)
			return err_set(err, -E2BIG,
			               "too many secrets: at most %d",
			               MSB_SECRETS_MAX);
		all[n] = (struct msb_secret)MSB_SECRET_INIT;
		if (!options_take(&all[n], sizeof(all[n]), c->secrets[n]))
			return err_set(err, -EINVAL, "msb_secret: wrong size");
		r = check_one(&all[n], err);
		if (r == 0)
			r = check_env(&all[n], c->env, err);
		for (size_t k = 0; k < n && r == 0; k++)
			r = check_pair(&all[k], &all[n], err);
	}
	return r;
}

/* ---- interception -------------------------------------------------------- */

static int check_ports(const struct msb_tls *t, struct err *err)
{
	uint64_t port;

	for (size_t n = 0; t->ports && t->ports[n]; n++) {
		if (n == TLS_PORTS_MAX)
			return err_set(err, -E2BIG,
			               "TLS interception: at most %d ports",
			               TLS_PORTS_MAX);
		if (!num_parse_u64(t->ports[n], UINT16_MAX, &port) || !port)
			return err_set(err, -EINVAL,
			               "TLS interception: '%.*s' is not a "
			               "port from 1 to 65535",
			               SHOWN, t->ports[n]);
	}
	return 0;
}

static int check_bypass(const struct msb_tls *t, struct err *err)
{
	for (const char *const *p = t->bypass; p && *p; p++)
		if (strcmp(*p, "*") == 0)
			return err_set(err, -EINVAL,
			               "TLS bypass: * would bypass all that "
			               "is to be intercepted");
	return check_patterns("TLS bypass", t->bypass, false, TLS_PATTERNS_MAX,
	                      err);
}

static int check_ca_for(const struct msb_tls *t, struct err *err)
{
	static const char of[] = "CA for some names";
	int r = 0;

	for (size_t n = 0;
	     t->upstream_cas_for && t->upstream_cas_for[n] && r == 0; n++) {
		const char *text = t->upstream_cas_for[n];
		size_t len = strcspn(text, "=");
		char pattern[POLICY_NAME_MAX + 3];

		if (n == TLS_PATTERNS_MAX)
			return err_set(err, -E2BIG, "%s: too many", of);
		if (!text[len] || !text[len + 1] || len >= sizeof(pattern))
			return err_set(err, -EINVAL,
			               "%s: '%.*s' is not PATTERN=FILE", of,
			               SHOWN, text);
		(void)snprintf(pattern, sizeof(pattern), "%.*s", (int)len,
		               text);
		r = check_pattern(of, pattern, false, err);
	}
	return r;
}

static int check_tls(const struct msb_tls *given, struct err *err)
{
	struct msb_tls t = MSB_TLS_INIT;
	int r;

	if (!options_take(&t, sizeof(t), given))
		return err_set(err, -EINVAL, "msb_tls: wrong size");
	if (t.flags & ~(uint32_t)(MSB_TLS_INTERCEPT | MSB_TLS_NO_BLOCK_QUIC))
		return err_set(err, -EINVAL, "msb_tls: there is no such flag");
	if (!t.ca_cert != !t.ca_key)
		return err_set(err, -EINVAL,
		               "a CA of your own needs both, its certificate "
		               "and its key");
	r = check_violation(t.violation, err);
	if (r == 0)
		r = check_ports(&t, err);
	if (r == 0)
		r = check_bypass(&t, err);
	if (r == 0)
		r = check_ca_for(&t, err);
	return r < 0 ? r
	             : check_patterns("unverified TLS", t.no_verify_for, false,
	                              TLS_PATTERNS_MAX, err);
}

/* What neither a secret nor interception makes use of. */
static int check_idle(const struct msb_tls *given, struct err *err)
{
	struct msb_tls t = MSB_TLS_INIT;

	(void)options_take(&t, sizeof(t), given);
	if ((t.flags & MSB_TLS_INTERCEPT) ||
	    (!t.flags && !t.ports && !t.bypass && !t.ca_cert &&
	     !t.upstream_cas && !t.upstream_cas_for && !t.no_verify_for))
		return 0;
	err_set(err, -EINVAL, "TLS options, but nothing is intercepted");
	err_hint(err, "there must be a secret, or --tls-intercept");
	return -EINVAL;
}

/* A secret that could never be put in is a mistake. */
static int check_verified(const struct msb_tls *given, struct err *err)
{
	struct msb_tls t = MSB_TLS_INIT;

	(void)options_take(&t, sizeof(t), given);
	for (const char *const *p = t.no_verify_for; p && *p; p++)
		if (strcmp(*p, "*") == 0)
			return err_set(err, -EINVAL,
			               "no server would be verified, and a "
			               "secret goes to verified servers only");
	return 0;
}

static bool reaches_nothing(const struct msb_network *n)
{
	bool none = n->profile ? strcmp(n->profile, "none") == 0
	                       : n->default_egress == MSB_NET_DENY;

	return none && n->default_egress != MSB_NET_ALLOW &&
	       !(n->rules && *n->rules);
}

static int check_network(const struct secret_checked *c, bool intercept,
                         struct err *err)
{
	struct msb_network n = MSB_NETWORK_INIT;
	bool any = c->secrets && *c->secrets;

	if (!options_take(&n, sizeof(n), c->network))
		return err_set(err, -EINVAL, "msb_network: wrong size");
	if (!any && !intercept)
		return 0;
	if (!(n.flags & MSB_NET_DISABLED)) {
		if (!any || !reaches_nothing(&n))
			return 0;
		err_set(err, -EINVAL,
		        "the sandbox may reach nothing: there cannot be "
		        "secrets");
		err_hint(err, "allow their hosts, as --net-rule "
		              "allow@api.example.com:tcp:443");
		return -EINVAL;
	}
	return err_set(err, -EINVAL,
	               "the network is disabled: there cannot be %s",
	               any ? "secrets" : "TLS interception");
}

int secrets_check(const struct secret_checked *c, struct err *err)
{
	bool any = c->secrets && *c->secrets;
	struct msb_tls t = MSB_TLS_INIT;
	int r = check_tls(c->tls, err);

	if (r == 0)
		r = check_list(c, err);
	if (r == 0 && any)
		r = check_verified(c->tls, err);
	if (r == 0 && !any && !c->recorded)
		r = check_idle(c->tls, err);
	if (r < 0)
		return r;
	(void)options_take(&t, sizeof(t), c->tls);
	return check_network(c, t.flags & MSB_TLS_INTERCEPT, err);
}

/* ---- values -------------------------------------------------------------- */

int secret_check_value(const char *name, const void *value, size_t len,
                       const char *placeholder, struct err *err)
{
	if (len == 0)
		return err_set(err, -EINVAL, "secret %s: its value is empty",
		               name);
	if (len > TLS_VALUE_MAX)
		return err_set(err, -EINVAL,
		               "secret %s: its value has more than %u KiB",
		               name, TLS_VALUE_MAX >> 10);
	if (memchr(value, 0, len))
		return err_set(err, -EINVAL, "secret %s: its value has a NUL",
		               name);
	if (memmem(value, len, placeholder, strlen(placeholder))) {
		err_set(err, -EINVAL,
		        "secret %s: its value is, or has in it, its own "
		        "placeholder",
		        name);
		err_hint(err, "the placeholder is what the guest sees; is "
		              "msb run by a program of the sandbox?");
		return -EINVAL;
	}
	return 0;
}
