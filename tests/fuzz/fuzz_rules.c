/*
 * Rules and a flow. What parses has a text that parses to the same; the index
 * of names decides as a plain walk does; denials alone open nothing.
 *
 *	byte 0   1 strict, 2 host, 4 gateway, 8 ingress, 16 UDP, 32 ICMP,
 *	         64 profile none, 128 profile private,host
 *	byte 1-2 port
 *	then lines: rules; the peer; pins, by comma; what the flow names
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/policy.h"
#include "policy/rules.h"

#include "base/banned.h"

#define PINS_MAX 16

static void check_texts(const struct policy *p)
{
	char text[POLICY_RULE_TEXT];
	struct rule again;

	for (uint32_t i = 0; i < p->n; i++) {
		const struct rule *r = &p->rules[i];
		struct policy_answer a = {VERDICT_DENY, (int)i};

		(void)policy_rule_text(p, POLICY_EGRESS, a, text);
		if (rule_parse(text, &again, NULL) < 0)
			abort();
		if (again.lo != r->lo || again.hi != r->hi ||
		    again.dirs != r->dirs || again.protos != r->protos ||
		    again.target != r->target || again.group != r->group ||
		    again.allow != r->allow || again.suffix != r->suffix ||
		    again.hash != r->hash || again.v4 != r->v4 ||
		    again.embeds != r->embeds ||
		    memcmp(&again.cidr, &r->cidr, sizeof(r->cidr)) != 0 ||
		    (r->name && strcmp(r->name, again.name) != 0))
			abort();
		free(again.name);
	}
}

/* ---- a plain walk ------------------------------------------------------- */

static bool ends_in(const struct rule *r, const char *name)
{
	size_t n = strlen(name), m = strlen(r->name);

	if (n == m)
		return strcmp(name, r->name) == 0;
	return r->suffix && n > m && name[n - m - 1] == '.' &&
	       strcmp(name + n - m, r->name) == 0;
}

static bool any_of(const struct rule *r, const struct policy_flow *f)
{
	for (size_t i = 0; i < f->nnames; i++)
		if (ends_in(r, f->names[i]))
			return true;
	return false;
}

static bool names_match(const struct policy *p, const struct rule *r,
                        const struct policy_flow *f)
{
	enum addr_kind kind = addr_kind(&f->peer);
	const char *said = f->said;

	if (f->dir != POLICY_EGRESS)
		return false;
	if (r->allow &&
	    (f->host || (kind != ADDR_PUBLIC && kind != ADDR_PRIVATE)))
		return false;
	for (size_t i = 0; said && *said && i < f->nnames; i++)
		if (strcmp(f->names[i], said) == 0)
			return ends_in(r, said);
	if (!said || !*said)
		return any_of(r, f) && !(p->strict && r->allow);
	if (r->allow)
		return any_of(r, f) && ends_in(r, said);
	return any_of(r, f) || ends_in(r, said);
}

/* Of a rule that is about no names, alone in a policy: does it match? */
static bool address_matches(const struct rule *r, const struct policy_flow *f)
{
	struct rule copy = *r;
	uint32_t plain = 0;
	struct policy one = {
		.rules = &copy, .n = 1, .plain = &plain, .nplain = 1};

	return policy_decide(&one, f).rule == 0;
}

static struct policy_answer walk(const struct policy *p,
                                 const struct policy_flow *f)
{
	uint8_t proto = f->proto == POLICY_TCP   ? RULE_TCP
	                : f->proto == POLICY_UDP ? RULE_UDP
	                : addr_is_v4(&f->peer)   ? RULE_ICMP4
	                                         : RULE_ICMP6;
	bool allow =
		f->dir == POLICY_EGRESS ? p->allow_egress : p->allow_ingress;

	for (uint32_t i = 0; i < p->n; i++) {
		const struct rule *r = &p->rules[i];

		if (!(r->dirs & f->dir) || !(r->protos & proto) ||
		    f->port < r->lo || f->port > r->hi)
			continue;
		if (r->target == RULE_NAME ? names_match(p, r, f)
		                           : address_matches(r, f))
			return (struct policy_answer){r->allow ? VERDICT_ALLOW
			                                       : VERDICT_DENY,
			                              (int)i};
	}
	return (struct policy_answer){allow ? VERDICT_ALLOW : VERDICT_DENY,
	                              POLICY_BY_DEFAULT};
}

/* ---- checks ------------------------------------------------------------- */

static bool has_allow(const struct policy *p, uint32_t nuser)
{
	for (uint32_t i = 0; i < nuser; i++)
		if (p->rules[i].allow)
			return true;
	return false;
}

static void check_flow(const struct policy *p, struct policy_flow *f,
                       bool denials_only)
{
	struct policy_answer got = policy_decide(p, f), want;

	if (got.verdict == VERDICT_NEED_NAME) {
		if (f->proto != POLICY_TCP || f->said || f->nnames == 0)
			abort();
		f->said = "";
		got = policy_decide(p, f);
	}
	/* Not said, and no need to: each pin by itself, so all agree. */
	want = walk(p, f);
	if (f->said || f->nnames <= 1 || f->proto != POLICY_TCP) {
		if (!f->said && p->strict)
			f->said = "";
		want = walk(p, f);
		if (got.verdict != want.verdict || got.rule != want.rule)
			abort();
	}
	if (denials_only && f->dir == POLICY_EGRESS &&
	    got.verdict == VERDICT_ALLOW &&
	    (f->host || addr_kind(&f->peer) != ADDR_PUBLIC) && !f->gateway)
		abort();
}

static void check_names(const struct policy *p, const char *name,
                        const struct policy_flow *f)
{
	char *text;

	if (policy_decide_name(p, name, POLICY_UDP).verdict ==
	            VERDICT_NEED_NAME ||
	    policy_decide_name(p, name, POLICY_TCP).verdict ==
	            VERDICT_NEED_NAME)
		abort();
	(void)policy_allows_answer(p, &f->peer, f->host);
	(void)policy_reaches(p, f);
	text = policy_explain(p, name, f->port, f->proto, NULL, 0);
	if (!text)
		abort();
	free(text);
}

static char *next_line(char **rest)
{
	char *line = *rest ? *rest : (char *)"";
	char *end = strchr(line, '\n');

	*rest = NULL;
	if (end) {
		*end = '\0';
		*rest = end + 1;
	}
	return line;
}

static size_t split_names(char *list, char names[][POLICY_NAME_MAX + 1],
                          const char **ret)
{
	size_t n = 0;

	while (list && *list && n < PINS_MAX) {
		char *comma = strchr(list, ',');

		if (comma)
			*comma = '\0';
		if (policy_name(list, names[n]) == 0) {
			ret[n] = names[n];
			n++;
		}
		list = comma ? comma + 1 : NULL;
	}
	return n;
}

static struct policy *make(uint8_t flags, char *rules)
{
	char *list[2] = {rules, NULL};
	struct strv v = {.v = list, .n = 1};
	struct policy_spec spec = {
		.profile = flags & 64    ? "none"
	                   : flags & 128 ? "private,host"
	                                 : "public",
		.rules = *rules ? &v : NULL,
		.strict = flags & 1,
	};
	struct policy *p;
	struct err err = {0};

	if (policy_new(&spec, &p, &err) < 0) {
		if (!err.msg[0] || (err.code == -22 && !err.hint[0] &&
		                    strlen(rules) < RULE_TOKEN_MAX))
			abort();
		return NULL;
	}
	return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char names[PINS_MAX + 1][POLICY_NAME_MAX + 1];
	const char *pins[PINS_MAX];
	cleanup_policy struct policy *p = NULL;
	cleanup_free char *text = NULL;
	struct policy_flow f = {0};
	char *rest, *rules, *peer, *list, *said;
	uint8_t flags;

	if (len < 3)
		return 0;
	text = malloc(len - 2);
	if (!text)
		return 0;
	memcpy(text, data + 3, len - 3);
	text[len - 3] = '\0';
	flags = data[0];
	rest = text;
	rules = next_line(&rest);
	peer = next_line(&rest);
	list = next_line(&rest);
	said = next_line(&rest);
	p = make(flags, rules);
	if (!p)
		return 0;
	check_texts(p);
	if (addr_parse(peer, &f.peer) < 0)
		f.peer = addr_v4(0x08080808);
	f.dir = flags & 8 ? POLICY_INGRESS : POLICY_EGRESS;
	f.proto = flags & 32   ? POLICY_ICMP
	          : flags & 16 ? POLICY_UDP
	                       : POLICY_TCP;
	f.port =
		f.proto == POLICY_ICMP ? 0 : (uint16_t)(data[1] << 8 | data[2]);
	f.host = flags & 6;
	f.gateway = flags & 4;
	f.names = pins;
	f.nnames = split_names(list, names, pins);
	if (policy_name(said, names[PINS_MAX]) == 0)
		f.said = names[PINS_MAX];
	check_names(p, f.nnames ? pins[0] : said, &f);
	check_flow(p, &f, !(flags & 0xc0) && !has_allow(p, p->n - 2));
	return 0;
}
