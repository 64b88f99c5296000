/*
 * policy_explain.c - why a rule decides, for people and as JSON.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "policy/policy.h"

#include "base/banned.h"

#define REASON_MAX (POLICY_RULE_TEXT + 400)

struct question {
	const struct policy *p;
	const char *host; /* as it was asked */
	const char *name; /* in its one form; NULL: @host is an address */
	uint16_t port;
	enum policy_proto proto;
	bool known; /* the addresses are real, and whose they are */
};

/* What comes of one address, or of a query. */
struct outcome {
	struct policy_answer answer;
	bool needs_name;
};

static const char *verdict_name(enum verdict v)
{
	static const char *const names[] = {
		[VERDICT_DENY] = "deny",
		[VERDICT_ALLOW] = "allow",
		[VERDICT_NEED_NAME] = "depends",
	};

	return names[v];
}

/* On a failed allocation @o is as it was; the caller looks at json_text(). */
static int put_answer(json_t *o, const struct question *q,
                      struct policy_answer a)
{
	char text[POLICY_RULE_TEXT];

	(void)policy_rule_text(q->p, POLICY_EGRESS, a, text);
	return json_object_set_new(o, "verdict",
	                           json_string(verdict_name(a.verdict))) |
	       json_object_set_new(o, "rule", json_string(text)) |
	       json_object_set_new(o, "number", json_integer(a.rule + 1));
}

static struct outcome judge(const struct question *q,
                            const struct policy_seen *seen)
{
	struct policy_flow f = {
		.dir = POLICY_EGRESS,
		.proto = q->proto,
		.peer = seen->addr,
		.port = q->port,
		.host = seen->host,
		.gateway = seen->gateway,
		.names = seen->names,
		.nnames = seen->nnames,
	};
	struct outcome o = {.answer = policy_decide(q->p, &f)};

	if (o.answer.verdict == VERDICT_NEED_NAME && q->name) {
		f.said = q->name;
		o.answer = policy_decide(q->p, &f);
		o.needs_name = true;
	}
	return o;
}

static json_t *names_of(const struct policy_seen *seen)
{
	json_t *names = json_array();

	for (size_t i = 0; names && i < seen->nnames; i++)
		if (json_array_append_new(names, json_string(seen->names[i])) <
		    0) {
			json_decref(names);
			return NULL;
		}
	return names;
}

static json_t *address_of(const struct question *q,
                          const struct policy_seen *seen, struct outcome o)
{
	cleanup_json json_t *j = json_object();
	char text[ADDR_TEXT_MAX];
	int bad = put_answer(j, q, o.answer);

	bad |= json_object_set_new(j, "address",
	                           json_string(addr_text(&seen->addr, text)));
	bad |= json_object_set_new(
		j, "kind", json_string(addr_kind_name(addr_kind(&seen->addr))));
	bad |= json_object_set_new(j, "names", names_of(seen));
	bad |= json_object_set_new(j, "needs_name", json_boolean(o.needs_name));
	if (q->known)
		bad |= json_object_set_new(j, "host_own",
		                           json_boolean(seen->host));
	return bad ? NULL : take_ptr(j);
}

/* "10.0.0.1, a private address" */
static void what_it_is(const struct policy_seen *seen, char *buf, size_t size)
{
	char text[ADDR_TEXT_MAX], in[ADDR_TEXT_MAX];
	struct addr inner = addr_embedded(&seen->addr);
	const char *kind = addr_kind_name(addr_kind(&seen->addr));

	(void)addr_text(&seen->addr, text);
	if (seen->gateway)
		(void)snprintf(buf, size, "%s, the gateway, which is this host",
		               text);
	else if (seen->host)
		(void)snprintf(buf, size, "%s, an address of this host's own",
		               text);
	else if (!addr_eq(&inner, &seen->addr))
		(void)snprintf(buf, size,
		               "%s, which stands for the %s address "
		               "%s",
		               text, kind, addr_text(&inner, in));
	else
		(void)snprintf(buf, size, "%s, a %s address", text, kind);
}

static void reason_of(const struct question *q, const struct policy_seen *seen,
                      struct outcome o, char buf[REASON_MAX])
{
	char what[160], rule[POLICY_RULE_TEXT];
	const char *more = "";

	what_it_is(seen, what, sizeof(what));
	(void)policy_rule_text(q->p, POLICY_EGRESS, o.answer, rule);
	if (o.answer.verdict == VERDICT_NEED_NAME)
		more = "; it depends on the name that the flow gives (SNI or "
		       "Host)";
	else if (o.needs_name)
		more = ", once the flow names it (SNI or Host)";
	else if (!q->known && !q->name)
		more = ", unless it is an address of this host's own";
	if (o.answer.rule == POLICY_BY_DEFAULT)
		(void)snprintf(buf, REASON_MAX,
		               "no rule is about %s, so it is %s%s", what, rule,
		               more);
	else
		(void)snprintf(buf, REASON_MAX,
		               "%s is the first rule about %s%s", rule, what,
		               more);
}

/* A name whose addresses are not known, or one that must not be asked for. */
static void reason_of_name(const struct question *q, struct outcome dns,
                           struct outcome o, char buf[REASON_MAX])
{
	char rule[POLICY_RULE_TEXT];

	if (dns.answer.verdict == VERDICT_DENY) {
		(void)policy_rule_text(q->p, POLICY_EGRESS, dns.answer, rule);
		(void)snprintf(buf, REASON_MAX,
		               "the name may not be looked up: %s", rule);
		return;
	}
	(void)policy_rule_text(q->p, POLICY_EGRESS, o.answer, rule);
	(void)snprintf(buf, REASON_MAX,
	               "the sandbox has no address of the name; for public "
	               "ones %s would decide%s",
	               rule,
	               o.needs_name ? ", once the flow names it (SNI or Host)"
	                            : "");
}

/* Different verdicts on the addresses of one name. */
static bool differ(struct outcome a, struct outcome b)
{
	return a.answer.verdict != b.answer.verdict;
}

/* The addresses' verdicts to @list; the first one's and the sum. */
static int judge_all(const struct question *q, const struct policy_seen *seen,
                     size_t nseen, json_t *list, struct outcome *ret_first,
                     bool *ret_mixed)
{
	*ret_mixed = false;
	for (size_t i = 0; i < nseen; i++) {
		struct outcome o = judge(q, &seen[i]);

		if (i == 0)
			*ret_first = o;
		*ret_mixed |= differ(*ret_first, o);
		if (json_array_append_new(list, address_of(q, &seen[i], o)) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* The JSON's head; @o gets the sum, its reason and the rule. */
static int put_sum(json_t *j, const struct question *q, struct outcome o,
                   bool mixed, const char *reason)
{
	static const char *const protos[] = {
		[POLICY_TCP] = "tcp",
		[POLICY_UDP] = "udp",
		[POLICY_ICMP] = "icmp",
	};
	json_t *host = json_string(q->host); /* NULL: not UTF-8 */
	char whole[REASON_MAX + 80];
	int bad;

	if (mixed)
		o.answer.verdict = VERDICT_NEED_NAME;
	bad = put_answer(j, q, o.answer);
	(void)snprintf(whole, sizeof(whole), "%s%s%s", reason,
	               mixed ? "; its addresses differ" : "",
	               q->port == 0 && q->proto != POLICY_ICMP
	                       ? "; without a port, rules with ports are left "
	                         "out"
	                       : "");
	bad |= json_object_set_new(j, "host", host ? host : json_string("?"));
	bad |= json_object_set_new(j, "port", json_integer(q->port));
	bad |= json_object_set_new(j, "protocol",
	                           json_string(protos[q->proto]));
	bad |= json_object_set_new(j, "direction", json_string("egress"));
	bad |= json_object_set_new(j, "reason", json_string(whole));
	return bad;
}

static bool all_gateway(const struct policy_seen *seen, size_t nseen)
{
	for (size_t i = 0; i < nseen; i++)
		if (!seen[i].gateway)
			return false;
	return nseen > 0;
}

static int put_dns(json_t *j, const struct question *q, struct outcome dns)
{
	json_t *o = json_object();

	if (!o || put_answer(o, q, dns.answer) != 0) {
		json_decref(o);
		return -ENOMEM;
	}
	return json_object_set_new(j, "dns", o);
}

static char *explain_name(const struct question *q,
                          const struct policy_seen *seen, size_t nseen)
{
	/* Public, and nobody writes rules about it: only groups have it. */
	const struct policy_seen guess = {
		.addr = addr_v4(0x0bfffffd), .names = &q->name, .nnames = 1};
	cleanup_json json_t *j = json_object();
	cleanup_json json_t *list = json_array();
	enum policy_proto by = q->proto == POLICY_TCP ? POLICY_TCP : POLICY_UDP;
	struct outcome dns = {.answer = policy_decide_name(q->p, q->name, by)};
	bool own = all_gateway(seen, nseen), mixed = false;
	bool lost = dns.answer.verdict == VERDICT_DENY && !own;
	struct outcome o = judge(q, &guess);
	char reason[REASON_MAX];

	if (!list || judge_all(q, seen, nseen, list, &o, &mixed) < 0)
		return NULL;
	if (lost || nseen == 0)
		reason_of_name(q, dns, o, reason);
	else
		reason_of(q, &seen[0], o, reason);
	if ((!own && put_dns(j, q, dns) < 0) ||
	    put_sum(j, q, lost ? dns : o, mixed && !lost, reason) != 0 ||
	    json_object_set(j, "addresses", list) < 0)
		return NULL;
	return json_text(j, JSON_COMPACT);
}

static char *explain_addr(const struct question *q,
                          const struct policy_seen *seen, size_t nseen)
{
	cleanup_json json_t *j = json_object();
	cleanup_json json_t *list = json_array();
	struct outcome o = {
		{VERDICT_DENY, POLICY_BY_DEFAULT},
                false
        };
	char reason[REASON_MAX];
	bool mixed;

	if (!list || judge_all(q, seen, nseen, list, &o, &mixed) < 0)
		return NULL;
	reason_of(q, &seen[0], o, reason);
	if (put_sum(j, q, o, mixed, reason) != 0 ||
	    json_object_set(j, "addresses", list) < 0)
		return NULL;
	return json_text(j, JSON_COMPACT);
}

/* Neither a name nor an address: nobody can reach that. */
static char *explain_nothing(const struct question *q)
{
	struct outcome o = {
		{VERDICT_DENY, POLICY_BY_DEFAULT},
                false
        };
	cleanup_json json_t *j = json_object();

	if (put_sum(j, q, o, false, "this is neither a name nor an address") !=
	            0 ||
	    json_object_set_new(j, "addresses", json_array()) < 0)
		return NULL;
	return json_text(j, JSON_COMPACT);
}

char *policy_explain(const struct policy *p, const char *host, uint16_t port,
                     enum policy_proto proto, const struct policy_seen *seen,
                     size_t nseen)
{
	struct question q = {.p = p,
	                     .host = host,
	                     .port = port,
	                     .proto = proto,
	                     .known = seen != NULL};
	struct policy_seen lone = {0};
	char name[POLICY_NAME_MAX + 1];

	if (addr_parse(host, &lone.addr) == 0) {
		/* Every host has its loopback. */
		lone.host = addr_kind(&lone.addr) == ADDR_LOOPBACK;
		return explain_addr(&q, nseen ? seen : &lone,
		                    nseen ? nseen : 1);
	}
	if (policy_name(host, name) < 0)
		return explain_nothing(&q);
	q.name = name;
	return explain_name(&q, seen, nseen);
}
