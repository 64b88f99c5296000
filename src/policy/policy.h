/*
 * policy.h - what a sandbox may reach, and who may reach it: an ordered list of
 * rules, the first that matches decides, else the direction's default.
 *
 *	<allow|deny>[:<egress|ingress|any>]@<target>[:<proto>[:<ports>]]
 *
 *	target  any, public, private, loopback, link-local, meta, multicast,
 *	        host, dns, an address or network (IPv6 in brackets), a name
 *	        (domain=public when it is called like a group), *.name or
 *	        suffix=name (the name and all below; at least two labels)
 *	proto   any, tcp, udp, icmpv4, icmpv6
 *	ports   80, 8000-8100, any
 *
 * Groups are disjoint. `host` is every address that the host itself has, and
 * the gateway; it goes before all other groups, so a public address of the
 * host is no `public` one. Only loopback and metadata addresses that the host
 * has are in their own group as well: who denies those means them all.
 *
 * An address rule means exactly its addresses, whatever their kind; but the
 * gateway, which stands for the host's loopback, is allowed by no network, only
 * by `host`, `any` or its own address.
 *
 * IPv6 addresses that embed an IPv4 one (addr.h) are judged so that a mistake
 * closes: a denial matches when the address as it is or the one in it (every
 * reading of it) is meant; an allowance only when the one in it is, or when the
 * rule's network is itself one of those that embed (allow@[64:ff9b::/96]). So
 * allow@[::/0] opens no IPv4 address. allow@host opens none that embed: packets
 * to them leave the host.
 *
 * A rule's name matches a flow when its address was given to the sandbox as the
 * answer for that name (a pin), or when the flow itself names it (SNI, Host):
 *
 *	the flow names one of its pins   that name alone counts
 *	it names another                 denials: any pin, and what it names;
 *	                                 allowances: a pin, and what it names,
 *	                                 both by one rule
 *	it names nobody ("")             any pin; with strict no allowance
 *	it has not said yet (NULL)       each pin by itself; when they differ,
 *	                                 or an allowance under strict decides:
 *	                                 VERDICT_NEED_NAME
 *
 * UDP and ICMP never say: NULL is "" there. An address without pins is allowed
 * by no name. Nor does a name ever open what is neither public nor private, or
 * is the host's: who owns a name chooses its addresses.
 *
 * A policy is made once and then only read: any thread.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"
#include "policy/addr.h"

/* Names of the host itself; no rule is about them, but about the group. */
#define POLICY_HOST_NAME  "host.microsandbox.internal"
#define POLICY_HOST_ALIAS "host.docker.internal"

#define POLICY_RULES_MAX 10000
#define POLICY_NAME_MAX  253 /* a DNS name without the last dot */
#define POLICY_RULE_TEXT 400

enum policy_dir { POLICY_EGRESS = 1, POLICY_INGRESS = 2 };
enum policy_proto { POLICY_TCP = 1, POLICY_UDP = 2, POLICY_ICMP = 4 };
enum policy_default { POLICY_UNSET, POLICY_ALLOW, POLICY_DENY };

enum verdict {
	VERDICT_DENY,
	VERDICT_ALLOW,
	/*
	 * A rule about names could decide, and the flow has not named anybody
	 * yet: dial, then ask again with @said, "" if it named nobody. Only for
	 * TCP, with spec.strict, or when pins of several names with different
	 * answers share the address.
	 */
	VERDICT_NEED_NAME,
};

/* What the user asked for; borrowed strings. */
struct policy_spec {
	/*
	 * Comma list of public, private, host; or all, none. NULL: public, but
	 * with a default given: no profile. A profile's rules come behind
	 * @rules; all but `none` add dns.
	 */
	const char *profile;
	const struct strv
		*rules; /* tokens, commas inside allowed; NULL: none */
	enum policy_default egress, ingress; /* unset: deny, allow */
	bool strict; /* a name's allow must be confirmed by SNI or Host */
};

/* Which rule decided. */
#define POLICY_BY_DEFAULT (-1)

struct policy_answer {
	enum verdict verdict;
	int rule; /* its index, or POLICY_BY_DEFAULT */
};

struct policy_flow {
	enum policy_dir dir;
	enum policy_proto proto;
	struct addr peer; /* as in the packet; egress: where to */
	uint16_t port;    /* of the peer (egress), of the guest (ingress) */
	bool host;        /* @peer is the gateway's or one of the host's own */
	bool gateway;     /* it is the gateway's (then @host too) */
	/* Names that @peer was given as the answer for; lower case, no dot. */
	const char *const *names;
	size_t nnames;
	const char *said; /* by SNI or Host; "": nobody; NULL: not known yet */
};

struct policy;

/*
 * -EINVAL, with the token, what is wrong with it, and a hint; -E2BIG. The
 * defaults of @spec win over what the profile implies.
 */
int policy_new(const struct policy_spec *spec, struct policy **ret,
               struct err *err);
void policy_free(struct policy *p); /* NULL is fine */

struct policy_answer policy_decide(const struct policy *p,
                                   const struct policy_flow *f);

/*
 * May @name be asked for at the gateway (@proto: TCP or UDP)? Rules about the
 * name, `dns`, `host` and `any` decide, by order; never NEED_NAME. Of rules
 * about names an allowance counts whatever its protocol and ports, a denial
 * only when it is for all of them: else the rest could not be reached.
 */
struct policy_answer policy_decide_name(const struct policy *p,
                                        const char *name,
                                        enum policy_proto proto);

/*
 * May an answer hold @a though it is of no public kind (rebinding)? Yes when of
 * the egress rules about addresses or groups, without ports, the first that has
 * it allows it; `any` and the default do not count.
 */
bool policy_allows_answer(const struct policy *p, const struct addr *a,
                          bool host);

/*
 * Is there any port to which TCP or UDP of the guest may go at @f->peer, as far
 * as rules about addresses and groups say? Protocol and port of @f count for
 * nothing. (Of the host: is it to be named at all?)
 */
bool policy_reaches(const struct policy *p, const struct policy_flow *f);

/* Does any rule speak of names? */
bool policy_has_names(const struct policy *p);

/* Did a rule about an address or network decide? */
bool policy_is_network(const struct policy *p, struct policy_answer a);

/* "allow@public", "the default of egress: deny"; returns @buf. */
const char *policy_rule_text(const struct policy *p, enum policy_dir dir,
                             struct policy_answer a,
                             char buf[POLICY_RULE_TEXT]);

/* How many rules; each as policy_rule_text() shows it, profiles' included. */
size_t policy_rules(const struct policy *p);

/* An address, and what is known of it. */
struct policy_seen {
	struct addr addr;
	bool host, gateway; /* as in struct policy_flow */
	const char *const *names;
	size_t nnames;
};

/*
 * What policy_decide() says of the guest's flows to @host (a name or an
 * address) and why, as JSON for `msb net explain` (docs/network.md). @seen: the
 * addresses that @host has now, or @host itself; NULL: nobody knows (the
 * machine does not run), then an address is judged as one that is not the
 * host's own, and a name as if its addresses were public. @port 0: none is
 * given, and rules with ports are left out. Free it; NULL: no memory.
 *
 *	{"host", "port", "protocol", "direction": "egress",
 *	 "verdict": "allow", "deny" or "depends",
 *	 "rule": text, "number": of the rule from 1, 0 for the default,
 *	 "reason": a sentence,
 *	 "dns": {"verdict", "rule", "number"} (of a name),
 *	 "addresses": [{"address", "kind", "host_own", "names": [...],
 *	                "verdict", "rule", "number", "needs_name"}]}
 *
 * Verdicts on a name are those of flows that name it; "needs_name" is true
 * where they have to (SNI, Host) before it is decided.
 */
char *policy_explain(const struct policy *p, const char *host, uint16_t port,
                     enum policy_proto proto, const struct policy_seen *seen,
                     size_t nseen);

/*
 * @name in the one form that names are compared in: lower case, no dot at the
 * end, IDN as it is (punycode). -EINVAL for what cannot be a DNS name.
 */
int policy_name(const char *name, char ret[POLICY_NAME_MAX + 1]);

#define cleanup_policy cleanup(policy_free_fn)
static inline void policy_free_fn(struct policy **p)
{
	policy_free(*p);
}

#endif
