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
 * host is no `public` one. A rule's name matches a flow when its address was
 * given to the sandbox as the answer for that name (a pin), or when the flow
 * itself names it (SNI, Host).
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
	 * yet: dial, then ask again with @said. Only with spec.strict, or when
	 * pins of several names with different answers share the address.
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
	/* Names that @peer was given as the answer for; lower case, no dot. */
	const char *const *names;
	size_t nnames;
	const char *said; /* by SNI or Host; NULL: not known (yet) */
};

struct policy;

/* -EINVAL, with the token and what is wrong with it; -E2BIG. */
int policy_new(const struct policy_spec *spec, struct policy **ret,
               struct err *err);
void policy_free(struct policy *p); /* NULL is fine */

struct policy_answer policy_decide(const struct policy *p,
                                   const struct policy_flow *f);

/*
 * May @name be asked for at the gateway (@proto: TCP or UDP)? Rules about the
 * name, `dns`, `host` and `any` decide, by order; never NEED_NAME.
 */
struct policy_answer policy_decide_name(const struct policy *p,
                                        const char *name,
                                        enum policy_proto proto);

/*
 * May an answer hold @a though it is of no public kind (rebinding)? Yes when an
 * egress rule about addresses or groups, without ports, allows it.
 */
bool policy_allows_answer(const struct policy *p, const struct addr *a,
                          bool host);

/* Does any rule speak of names? */
bool policy_has_names(const struct policy *p);

/* "allow@public", "the default of egress: deny"; returns @buf. */
const char *policy_rule_text(const struct policy *p, enum policy_dir dir,
                             struct policy_answer a,
                             char buf[POLICY_RULE_TEXT]);

/* How many rules; each as policy_rule_text() shows it, profiles' included. */
size_t policy_rules(const struct policy *p);

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
