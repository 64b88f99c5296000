/*
 * policy_text.c - rules as text.
 */
#include <stdio.h>

#include "policy/policy.h"
#include "policy/rules.h"

#include "base/banned.h"

static const char *const dir_names[] = {
	[POLICY_EGRESS] = "egress",
	[POLICY_INGRESS] = "ingress",
	[POLICY_EGRESS | POLICY_INGRESS] = "any",
};

static const char *proto_name(uint8_t protos)
{
	switch (protos) {
	case RULE_TCP:
		return "tcp";
	case RULE_UDP:
		return "udp";
	case RULE_ICMP4:
		return "icmpv4";
	case RULE_ICMP6:
		return "icmpv6";
	default:
		return "any";
	}
}

/* Would @name alone be read as something else? */
static bool needs_prefix(const char *name)
{
	return !strchr(name, '.');
}

static void target_text(const struct rule *r, char *buf, size_t size)
{
	char net[CIDR_TEXT_MAX];
	const char *name = r->name;

	switch ((enum rule_target)r->target) {
	case RULE_ANY:
		(void)snprintf(buf, size, "any");
		return;
	case RULE_GROUP:
		(void)snprintf(buf, size, "%s",
		               addr_kind_name((enum addr_kind)r->group));
		return;
	case RULE_HOST:
		(void)snprintf(buf, size, "host");
		return;
	case RULE_DNS:
		(void)snprintf(buf, size, "dns");
		return;
	case RULE_NET:
		(void)snprintf(buf, size, r->v4 ? "%s" : "[%s]",
		               cidr_text(&r->cidr, net));
		return;
	case RULE_NAME:
		break;
	}
	(void)snprintf(buf, size, "%s%s",
	               r->starred           ? "*."
	               : r->suffix          ? "suffix="
	               : needs_prefix(name) ? "domain="
	                                    : "",
	               name);
}

static void ports_text(const struct rule *r, char *buf, size_t size)
{
	bool ports = r->lo != 0 || r->hi != 65535;
	/* A port says that ICMP is not meant. */
	const char *proto = r->protos == (RULE_TCP | RULE_UDP)
	                            ? "any"
	                            : proto_name(r->protos);

	*buf = '\0';
	if (ports && r->lo == r->hi)
		(void)snprintf(buf, size, ":%s:%u", proto, r->lo);
	else if (ports)
		(void)snprintf(buf, size, ":%s:%u-%u", proto, r->lo, r->hi);
	else if (r->protos != RULE_ALL_PROTOS)
		(void)snprintf(buf, size, ":%s", proto);
}

const char *policy_rule_text(const struct policy *p, enum policy_dir dir,
                             struct policy_answer a, char buf[POLICY_RULE_TEXT])
{
	char target[POLICY_NAME_MAX + 16], ports[32];
	const struct rule *r;

	if (a.rule < 0 || (uint32_t)a.rule >= p->n) {
		bool allow = dir == POLICY_EGRESS ? p->allow_egress
		                                  : p->allow_ingress;

		(void)snprintf(buf, POLICY_RULE_TEXT, "the default of %s: %s",
		               dir_names[dir], allow ? "allow" : "deny");
		return buf;
	}
	r = &p->rules[a.rule];
	target_text(r, target, sizeof(target));
	ports_text(r, ports, sizeof(ports));
	(void)snprintf(buf, POLICY_RULE_TEXT, "%s%s%s@%s%s",
	               r->allow ? "allow" : "deny",
	               r->dirs == POLICY_EGRESS ? "" : ":",
	               r->dirs == POLICY_EGRESS ? "" : dir_names[r->dirs],
	               target, ports);
	return buf;
}
