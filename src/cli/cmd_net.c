/* msb net: what a sandbox may reach, and why. */
#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/num.h"
#include "cli/command.h"
#include "cli/out.h"

#include "base/banned.h"

COMMAND_DECLARE(net_explain)
COMMAND_DECLARE(net_rules)

struct net_cmd_values {
	int32_t protocol, format;
};
static_assert(sizeof(struct net_cmd_values) <= COMMAND_VALUES_MAX, "grow it");

static const char *const protocols[] = {"tcp", "udp", "icmp", NULL};

#define FIELD(f) offsetof(struct net_cmd_values, f)
#define FORMAT_OPT                                                             \
	OPT_ROW_CHOICE(0, "format", "FORMAT", FIELD(format), "How to print",   \
	               opt_format_choices, NULL)

const struct opt cmd_net_explain_opts[] = {
	OPT_ROW_CHOICE(0, "protocol", "PROTOCOL", FIELD(protocol),
                       "Of the connection", protocols, NULL),
	FORMAT_OPT,
	{0},
};

const struct opt cmd_net_rules_opts[] = {
	FORMAT_OPT,
	{0},
};

static void field(const char *name, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void field(const char *name, const char *fmt, ...)
{
	struct buf cleanup_buf b = BUF_INIT;
	va_list ap;

	(void)buf_printf(&b, "%-9s", name);
	va_start(ap, fmt);
	(void)buf_vprintf(&b, fmt, ap);
	va_end(ap);
	out_line(buf_str(&b));
}

/* ---- HOST[:PORT] --------------------------------------------------------- */

/* What is asked about: a host without brackets, and a port or 0. */
struct target {
	char host[256];
	uint16_t port;
};

/* People have URLs at hand: their scheme is a port, their path means nothing */
static const char *skip_scheme(const char *text, size_t *len, uint16_t *port)
{
	static const struct {
		const char *scheme;
		uint16_t port;
	} schemes[] = {
		{"https://", 443},
		{"http://",  80 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t n = strlen(schemes[i].scheme);

		if (strncmp(text, schemes[i].scheme, n) == 0) {
			*port = schemes[i].port;
			*len = strcspn(text + n, "/?#");
			return text + n;
		}
	}
	*len = strlen(text);
	return text;
}

static bool take_port(const char *text, size_t len, uint16_t *ret)
{
	char word[8];
	uint64_t n;

	if (len >= sizeof(word))
		return false;
	memcpy(word, text, len);
	word[len] = '\0';
	if (!num_parse_u64(word, UINT16_MAX, &n) || n == 0)
		return false;
	*ret = (uint16_t)n;
	return true;
}

/* More than one colon without brackets is an IPv6 address. */
static bool parse_target(const char *text, struct target *ret)
{
	struct target t = {.port = 0};
	size_t len, host;
	const char *p = skip_scheme(text, &len, &t.port), *colon;

	host = len;
	if (*p == '[') {
		const char *end = memchr(p, ']', len);

		if (!end)
			return false;
		host = (size_t)(end - p) - 1;
		colon = (size_t)(end + 1 - p) < len ? end + 1 : NULL;
		if (colon && *colon != ':')
			return false;
	} else {
		colon = memchr(p, ':', len);
		if (colon && memrchr(p, ':', len) != colon)
			colon = NULL;
		if (colon)
			host = (size_t)(colon - p);
	}
	if (colon &&
	    !take_port(colon + 1, (size_t)(p + len - colon - 1), &t.port))
		return false;
	if (host == 0 || host >= sizeof(t.host))
		return false;
	memcpy(t.host, p + (*p == '['), host);
	*ret = t;
	return true;
}

/* ---- explain ------------------------------------------------------------- */

static void show_rule(const char *name, const json_t *o)
{
	int64_t number = json_int(o, "number", 0);
	const char *verdict = json_str(o, "verdict", "?"),
		   *rule = json_str(o, "rule", "?");

	if (number)
		field(name, "%s, by rule %lld: %s", verdict, (long long)number,
		      rule);
	else
		field(name, "%s, by %s", verdict, rule);
}

static void show_address(const json_t *o)
{
	const json_t *names = json_object_get(o, "names");
	struct buf cleanup_buf b = BUF_INIT;

	(void)buf_printf(&b, "%s (%s", json_str(o, "address", "?"),
	                 json_str(o, "kind", "?"));
	if (json_bool(o, "host_own", false))
		(void)buf_adds(&b, ", this host's own");
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));

		(void)buf_printf(&b, ", %s", name ? name : "?");
	}
	(void)buf_addc(&b, ')');
	field("Address", "%s: %s, by %s%s", buf_str(&b),
	      json_str(o, "verdict", "?"), json_str(o, "rule", "?"),
	      json_bool(o, "needs_name", false)
	              ? ", once the connection names it"
	              : "");
}

static void show_explained(const json_t *o)
{
	const json_t *dns = json_object_get(o, "dns"),
		     *list = json_object_get(o, "addresses");

	show_rule("Verdict", o);
	field("Why", "%s", json_str(o, "reason", "?"));
	if (json_bool(o, "intercepted", false))
		field("TLS", "decrypted by msb-tls");
	if (dns)
		show_rule("Lookup", dns);
	for (size_t i = 0; i < json_array_size(list); i++)
		show_address(json_array_get(list, i));
}

static int fail(const struct msb_error *e)
{
	out_error(e);
	return EXIT_FAILED;
}

/* Takes @text of the library. */
static int show(char *text, bool json, void (*fn)(const json_t *o))
{
	json_t *o = json_parse(text, strlen(text), "the answer", NULL);

	msb_free(text);
	if (json || !o)
		return out_json(o);
	fn(o);
	json_decref(o);
	return EXIT_OK;
}

int cmd_net_explain(struct cli *cli, void *values)
{
	const struct net_cmd_values *v = values;
	struct msb_home *home = NULL;
	struct msb_error error;
	struct target t;
	char *text;
	int r;

	if (!parse_target(cli->words[1], &t)) {
		out_errorf("for example example.com:443, 10.0.0.1 or [::1]:80",
		           "'%s' is not HOST[:PORT]", cli->words[1]);
		return EXIT_USAGE;
	}
	r = msb_home_open(NULL, &home, &error);
	if (r == 0)
		r = msb_net_explain(home, cli->words[0], t.host, t.port,
		                    protocols[v->protocol], &text, &error);
	msb_home_free(home);
	return r < 0 ? fail(&error) : show(text, v->format, show_explained);
}

/* ---- rules --------------------------------------------------------------- */

static void show_rules(const json_t *o)
{
	const json_t *list = json_object_get(o, "rules"),
		     *defaults = json_object_get(o, "defaults");
	char number[24];

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);

		(void)snprintf(number, sizeof(number), "%lld",
		               (long long)json_int(one, "number", 0));
		field(number, "%s", json_str(one, "rule", "?"));
	}
	field("egress", "%s, when none of them matches",
	      json_str(defaults, "egress", "?"));
	field("ingress", "%s, when none of them matches",
	      json_str(defaults, "ingress", "?"));
	if (json_bool(o, "strict", false))
		field("strict", "names are confirmed by the connection");
}

int cmd_net_rules(struct cli *cli, void *values)
{
	const struct net_cmd_values *v = values;
	struct msb_home *home = NULL;
	struct msb_error error;
	char *text;
	int r = msb_home_open(NULL, &home, &error);

	if (r == 0)
		r = msb_net_rules(home, cli->words[0], &text, &error);
	msb_home_free(home);
	return r < 0 ? fail(&error) : show(text, v->format, show_rules);
}
