/*
 * policy_parse.c - rules as people write them, and a policy made of them. The
 * grammar is in policy.h; a token that is not understood is never skipped.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "policy/policy.h"
#include "policy/rules.h"

#include "base/banned.h"

#define PART_MAX    300
#define CHANGES_MAX 2 /* letters that a typing mistake may have wrong */

/* ---- words -------------------------------------------------------------- */

static const struct word actions[] = {
	{"allow", true,  0},
	{"deny",  false, 0},
	{NULL,    0,     0},
};

static const struct word dirs[] = {
	{"egress",  POLICY_EGRESS,                  0},
	{"ingress", POLICY_INGRESS,                 0},
	{"any",     POLICY_EGRESS | POLICY_INGRESS, 0},
	{NULL,      0,			      0},
};

static const struct word targets[] = {
	{"any",        RULE_ANY,   0              },
	{"public",     RULE_GROUP, ADDR_PUBLIC    },
	{"private",    RULE_GROUP, ADDR_PRIVATE   },
	{"loopback",   RULE_GROUP, ADDR_LOOPBACK  },
	{"link-local", RULE_GROUP, ADDR_LINK_LOCAL},
	{"meta",       RULE_GROUP, ADDR_META      },
	{"multicast",  RULE_GROUP, ADDR_MULTICAST },
	{"host",       RULE_HOST,  0              },
	{"dns",        RULE_DNS,   0              },
	{NULL,         0,          0              },
};

static const struct word protos[] = {
	{"any",    RULE_ALL_PROTOS, 0},
        {"tcp",    RULE_TCP,        0},
	{"udp",    RULE_UDP,        0},
        {"icmpv4", RULE_ICMP4,      0},
	{"icmpv6", RULE_ICMP6,      0},
        {NULL,     0,               0},
};

const struct word *word_find(const struct word *list, const char *text)
{
	for (; list->text; list++)
		if (strcmp(list->text, text) == 0)
			return list;
	return NULL;
}

/* How many letters to change, add or drop; both are short. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[17];
	size_t n = strlen(b);

	if (n > 16 || strlen(a) > 16)
		return UINT32_MAX;
	for (unsigned i = 0; i <= n; i++)
		row[i] = i;
	for (; *a; a++) {
		unsigned corner = row[0]++;

		for (size_t i = 1; i <= n; i++) {
			unsigned change = corner + (*a != b[i - 1]);

			corner = row[i];
			row[i] = MIN(MIN(row[i], row[i - 1]) + 1, change);
		}
	}
	return row[n];
}

/* The same, but that what a word begins with is nearest to it. */
static unsigned unlike(const char *text, const char *word)
{
	size_t len = strlen(text);

	return len > 2 && strncmp(text, word, len) == 0 ? 0
	                                                : distance(text, word);
}

/* "did you mean "X"?", or all that there is. */
void word_hint(struct err *err, const struct word *list, const char *text,
               const char *more)
{
	char all[160] = "";
	const struct word *best = NULL;
	unsigned least = CHANGES_MAX + 1;

	for (const struct word *w = list; w->text; w++) {
		size_t len = strlen(all);
		unsigned d = unlike(text, w->text);

		(void)snprintf(all + len, sizeof(all) - len, "%s%s",
		               len ? ", " : "", w->text);
		if (d < least && d < strlen(w->text)) {
			least = d;
			best = w;
		}
	}
	if (best)
		err_hint(err, "did you mean \"%s\"?%s", best->text, more);
	else
		err_hint(err, "one of %s%s", all, more);
}

/* ---- names -------------------------------------------------------------- */

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	       c == '_' || c == '/'; /* RFC 2317 has the slash */
}

int policy_name(const char *name, char ret[POLICY_NAME_MAX + 1])
{
	char out[POLICY_NAME_MAX + 1];
	size_t n = 0, label = 0;

	for (; *name; name++) {
		char c = *name;

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (c == '.') {
			if (label == 0)
				return -EINVAL;
			label = 0;
			if (name[1] == '\0')
				break;
		} else if (!is_name_char(c) || ++label > 63) {
			return -EINVAL;
		}
		if (n == POLICY_NAME_MAX)
			return -EINVAL;
		out[n++] = c;
	}
	if (n == 0)
		return -EINVAL;
	out[n] = '\0';
	memcpy(ret, out, n + 1);
	return 0;
}

/*
 * What a URL reader takes for an IPv4 address (WHATWG: the last label is a
 * number) is no name: 1.2.3, 0x7f.1, 010.0.0.1.
 */
static bool is_numeric(const char *name)
{
	const char *last = strrchr(name, '.');

	last = last ? last + 1 : name;
	if (last[0] == '0' && last[1] == 'x')
		return strspn(last + 2, "0123456789abcdef") == strlen(last + 2);
	return strspn(last, "0123456789") == strlen(last);
}

/* They are no names that a name server gave addresses for. */
static int refuse_host(const char *name, const char *token, struct err *err)
{
	if (strcmp(name, POLICY_HOST_NAME) != 0 &&
	    strcmp(name, POLICY_HOST_ALIAS) != 0)
		return 0;
	(void)err_set(err, -EINVAL,
	              "rule \"%s\": rules call this host \"host\"", token);
	err_hint(err, "write %.*s@host, and :tcp:PORT behind it for one port",
	         (int)strcspn(token, "@"), token);
	return -EINVAL;
}

static int set_name(struct rule *r, const char *text, bool suffix,
                    const char *token, struct err *err)
{
	char name[POLICY_NAME_MAX + 1];

	if (policy_name(text, name) < 0 || strchr(name, '/')) {
		(void)err_set(err, -EINVAL,
		              "rule \"%s\": \"%s\" is not a DNS name", token,
		              text);
		err_hint(err, "letters, digits, hyphens and dots; write other "
		              "scripts in their xn-- form");
		return -EINVAL;
	}
	if (refuse_host(name, token, err) < 0)
		return -EINVAL;
	if (is_numeric(name)) {
		(void)err_set(err, -EINVAL,
		              "rule \"%s\": \"%s\" is neither an address nor a "
		              "name",
		              token, text);
		err_hint(err, "write an IPv4 address as four decimal numbers: "
		              "10.0.0.1, 10.0.0.0/8");
		return -EINVAL;
	}
	if (suffix && !strchr(name, '.')) {
		(void)err_set(
			err, -EINVAL,
			"rule \"%s\": all names below \"%s\" are too many",
			token, name);
		err_hint(err,
		         "a suffix has at least two labels: *.example.%s; for "
		         "everything write any or public",
		         name);
		return -EINVAL;
	}
	r->name = strdup(name);
	if (!r->name)
		return err_set(err, -ENOMEM, "out of memory");
	r->target = RULE_NAME;
	r->suffix = suffix;
	r->hash = RULE_HASH_START;
	for (size_t at = strlen(name); at-- > 0;)
		r->hash = rule_hash_byte(r->hash, name[at]);
	return 0;
}

/* ---- networks ----------------------------------------------------------- */

static void set_net(struct rule *r, const struct cidr *c)
{
	uint8_t mask[16] = {0};
	unsigned block = addr_embeds(&c->net);

	for (unsigned i = 0; i < c->bits; i++)
		mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
	memcpy(r->net, c->net.b, sizeof(r->net));
	memcpy(r->mask, mask, sizeof(r->mask));
	r->target = RULE_NET;
	r->cidr = *c;
	r->v4 = addr_is_v4(&c->net);
	r->embeds = block && c->bits >= block;
}

/* @open, @close: "[" and "]" around IPv6. */
static int parse_net(struct rule *r, const char *text, const char *open,
                     const char *close, const char *token, struct err *err)
{
	char net[CIDR_TEXT_MAX], lone[ADDR_TEXT_MAX + 1];
	struct cidr c;
	int code = cidr_parse(text, &c);

	if (code == -ERANGE && cidr_parse_masked(text, &c) == 0) {
		(void)err_set(err, -EINVAL,
		              "rule \"%s\": %s has bits set that its prefix "
		              "does not cover",
		              token, text);
		(void)snprintf(lone, sizeof(lone), "%.*s",
		               (int)strcspn(text, "/"), text);
		err_hint(err,
		         "the network is %s%s%s; the address alone is %s%s%s",
		         open, cidr_text(&c, net), close, open, lone, close);
		return -EINVAL;
	}
	if (code < 0) {
		(void)err_set(err, -EINVAL,
		              "rule \"%s\": %s is not an address or network",
		              token, text);
		err_hint(err, "10.0.0.1, 10.0.0.0/8, [2001:db8::1] or "
		              "[2001:db8::/32]; without a zone");
		return -EINVAL;
	}
	set_net(r, &c);
	return 0;
}

/* ---- one rule ----------------------------------------------------------- */

/* A name without a dot, or nothing at all. */
static int unknown_target(const char *text, const char *token, struct err *err)
{
	char more[PART_MAX + 64];

	if (*text == '\0') {
		(void)err_set(err, -EINVAL, "rule \"%s\" has no target", token);
		err_hint(err, "write what it is about behind the @: public, "
		              "10.0.0.0/8, example.com, *.example.com");
		return -EINVAL;
	}
	(void)err_set(err, -EINVAL, "rule \"%s\": there is no target \"%s\"",
	              token, text);
	(void)snprintf(more, sizeof(more),
	               "; a name without a dot is written domain=%.60s", text);
	word_hint(err, targets, text, more);
	return -EINVAL;
}

static int parse_wildcard(struct rule *r, const char *text, const char *token,
                          struct err *err)
{
	if (text[0] == '*' && text[1] == '.' && !strchr(text + 1, '*')) {
		r->starred = true;
		return set_name(r, text + 2, true, token, err);
	}
	(void)err_set(err, -EINVAL,
	              "rule \"%s\": \"%s\" has a * where it cannot be", token,
	              text);
	err_hint(err, "only *.example.com, which is example.com and all names "
	              "below; for everything write any");
	return -EINVAL;
}

static int parse_target(struct rule *r, const char *text, const char *token,
                        struct err *err)
{
	const struct word *w = word_find(targets, text);

	if (w) {
		r->target = w->a;
		r->group = w->b;
		return 0;
	}
	if (strncmp(text, "domain=", 7) == 0)
		return set_name(r, text + 7, false, token, err);
	if (strncmp(text, "suffix=", 7) == 0)
		return set_name(r, text + 7, true, token, err);
	if (strchr(text, '*'))
		return parse_wildcard(r, text, token, err);
	if (strchr(text, '/') || strspn(text, "0123456789.") == strlen(text))
		return *text ? parse_net(r, text, "", "", token, err)
		             : unknown_target(text, token, err);
	if (!strchr(text, '.') && !is_numeric(text))
		return unknown_target(text, token, err);
	return set_name(r, text, false, token, err);
}

static int parse_ports(struct rule *r, const char *text, const char *token,
                       struct err *err)
{
	const char *dash = strchr(text, '-');
	char low[8];
	size_t len = dash ? (size_t)(dash - text) : strlen(text);
	uint64_t lo, hi;

	if (strcmp(text, "any") == 0)
		return 0;
	if (!(r->protos & (RULE_TCP | RULE_UDP))) {
		(void)err_set(err, -EINVAL, "rule \"%s\": ICMP has no ports",
		              token);
		err_hint(err, "leave :%s out", text);
		return -EINVAL;
	}
	if (len < sizeof(low)) {
		memcpy(low, text, len);
		low[len] = '\0';
		if (num_parse_u64(low, 65535, &lo) && lo > 0 &&
		    num_parse_u64(dash ? dash + 1 : low, 65535, &hi) &&
		    hi >= lo) {
			r->lo = (uint16_t)lo;
			r->hi = (uint16_t)hi;
			/* ICMP has none, so it is not meant. */
			r->protos &= RULE_TCP | RULE_UDP;
			return 0;
		}
	}
	(void)err_set(err, -EINVAL, "rule \"%s\": \"%s\" is not a port", token,
	              text);
	err_hint(err, "a number from 1 to 65535, a range such as 8000-8100, or "
	              "any; one rule for each range");
	return -EINVAL;
}

static int parse_word(const struct word *list, const char *text,
                      const char *what, const char *token, uint8_t *ret,
                      struct err *err)
{
	const struct word *w = word_find(list, text);

	if (!w) {
		(void)err_set(err, -EINVAL,
		              "rule \"%s\": there is no %s \"%s\"", token, what,
		              text);
		word_hint(err, list, text, "");
		return -EINVAL;
	}
	*ret = w->a;
	return 0;
}

/* [:<proto>[:<ports>]] */
static int parse_rest(struct rule *r, char *rest, const char *token,
                      struct err *err)
{
	char *ports = strchr(rest, ':');
	int code;

	if (ports)
		*ports++ = '\0';
	code = parse_word(protos, rest, "protocol", token, &r->protos, err);
	return code < 0 || !ports ? code : parse_ports(r, ports, token, err);
}

/* <target>[:<proto>[:<ports>]] */
static int parse_right(struct rule *r, char *right, const char *token,
                       struct err *err)
{
	char *end = right;
	struct cidr c;
	int code;

	if (*right == '[') {
		end = strchr(right, ']');
		if (!end || (end[1] && end[1] != ':')) {
			(void)err_set(err, -EINVAL,
			              "rule \"%s\": the bracket does not end "
			              "where the address does",
			              token);
			err_hint(err, "[2001:db8::1]:tcp:443");
			return -EINVAL;
		}
		*end++ = '\0';
		code = parse_net(r, right + 1, "[", "]", token, err);
	} else if (strchr(right, ':') && cidr_parse_masked(right, &c) == 0) {
		(void)err_set(err, -EINVAL,
		              "rule \"%s\": an IPv6 address needs brackets",
		              token);
		err_hint(err, "write [%s]", right);
		return -EINVAL;
	} else {
		end = right + strcspn(right, ":");
		if (*end) {
			*end++ = '\0';
			code = parse_target(r, right, token, err);
			return code < 0 ? code : parse_rest(r, end, token, err);
		}
		return parse_target(r, right, token, err);
	}
	if (code < 0 || *end == '\0')
		return code;
	return parse_rest(r, end + 1, token, err);
}

/* Who is a client is known by its address alone. */
static int check_ingress(struct rule *r, const char *token, struct err *err)
{
	if (r->target != RULE_NAME && r->target != RULE_DNS)
		return 0;
	if (r->dirs == POLICY_INGRESS) {
		(void)err_set(err, -EINVAL,
		              "rule \"%s\": clients have no names", token);
		err_hint(err, "say who may come in by address, network or "
		              "group: allow:ingress@192.168.1.0/24");
		return -EINVAL;
	}
	r->dirs = POLICY_EGRESS;
	return 0;
}

static bool is_odd(const char *token)
{
	for (; *token; token++)
		if (!isgraph((unsigned char)*token))
			return true;
	return false;
}

static int check_token(const char *token, struct err *err)
{
	if (strlen(token) >= RULE_TOKEN_MAX)
		return err_set(err, -EINVAL, "rule \"%.40s...\" is too long",
		               token);
	if (*token == '\0') {
		(void)err_set(err, -EINVAL, "a rule is empty");
		err_hint(err, "look for a comma too many");
		return -EINVAL;
	}
	if (is_odd(token)) {
		(void)err_set(err, -EINVAL,
		              "a rule has a character that no rule has (white "
		              "space, or not ASCII)");
		err_hint(err, "rules are separated by commas; write names of "
		              "other scripts in their xn-- form");
		return -EINVAL;
	}
	if (!strchr(token, '@')) {
		(void)err_set(err, -EINVAL, "rule \"%s\" has no @", token);
		err_hint(err, "a rule is such as allow@api.example.com, "
		              "deny@private or allow@any:tcp:443");
		return -EINVAL;
	}
	return 0;
}

int rule_parse(const char *token, struct rule *ret, struct err *err)
{
	struct rule r = {.dirs = POLICY_EGRESS,
	                 .protos = RULE_ALL_PROTOS,
	                 .hi = 65535,
	                 .next = RULE_NO_NEXT};
	char text[RULE_TOKEN_MAX];
	char *right, *dir;
	uint8_t allow;
	int code = check_token(token, err);

	if (code < 0)
		return code;
	for (size_t i = 0; i <= strlen(token); i++)
		text[i] = (char)tolower((unsigned char)token[i]);
	right = strchr(text, '@');
	*right++ = '\0';
	dir = strchr(text, ':');
	if (dir)
		*dir++ = '\0';
	code = parse_word(actions, text, "action", token, &allow, err);
	if (code == 0 && dir)
		code = parse_word(dirs, dir, "direction", token, &r.dirs, err);
	if (code == 0)
		code = parse_right(&r, right, token, err);
	if (code == 0)
		code = check_ingress(&r, token, err);
	if (code < 0) {
		free(r.name);
		return code;
	}
	r.allow = allow;
	*ret = r;
	return 0;
}
