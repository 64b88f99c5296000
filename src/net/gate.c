/*
 * gate.c - a flow as the policy sees it, and what is told of a denial.
 */
#include "net/gate.h"

#include <stdio.h>

#include "base/log.h"
#include "net/net_int.h"

#include "base/banned.h"

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

bool gate_is_gateway(const struct net *n, const struct addr *a)
{
	return addr_eq(a, &n->cfg.gateway4) || addr_eq(a, &n->cfg.gateway6);
}

bool gate_is_host(struct net *n, const struct addr *a)
{
	if (gate_is_gateway(n, a))
		return true;
	return n->hostaddr ? hostaddr_is_local(n->hostaddr, a)
	                   : n->cfg.host->is_local(n->cfg.host->arg, a);
}

struct addr gate_target(const struct net *n, const struct addr *peer)
{
	static const struct addr loopback6 = {{[15] = 1}};

	if (addr_eq(peer, &n->cfg.gateway4))
		return addr_v4(0x7f000001);
	if (addr_eq(peer, &n->cfg.gateway6))
		return loopback6;
	return *peer;
}

/* ---- denials ------------------------------------------------------------ */

static const char *proto_name(enum policy_proto proto)
{
	return proto == POLICY_TCP   ? "tcp"
	       : proto == POLICY_UDP ? "udp"
	                             : "icmp";
}

/* " pinned to a, b"; as many as there is room for. */
static void names_text(const struct policy_flow *f, char *buf, size_t size)
{
	size_t len = 0;

	*buf = '\0';
	for (size_t i = 0; i < f->nnames && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s",
		                        i ? ", " : " pinned to ", f->names[i]);
}

/*
 * What one can read later: whom, under which names, and by which rule.
 */
static void log_denied(struct net *n, const struct policy_flow *f,
                       struct policy_answer a)
{
	char addr[ADDR_TEXT_MAX], rule[POLICY_RULE_TEXT], names[300];
	const char *proto = proto_name(f->proto);

	(void)addr_text(&f->peer, addr);
	(void)policy_rule_text(n->cfg.policy, f->dir, a, rule);
	names_text(f, names, sizeof(names));
	if (f->dir == POLICY_INGRESS)
		net_say(n, "denied: %s from %s to port %u: %s", proto, addr,
		        f->port, rule);
	else
		net_say(n, "denied: %s to %s port %u%s%s%s: %s", proto, addr,
		        f->port, names, f->said && *f->said ? " named " : "",
		        f->said ? f->said : "", rule);
}

static enum verdict decide(struct net *n, const struct policy_flow *f)
{
	struct policy_answer a = policy_decide(n->cfg.policy, f);

	if (a.verdict != VERDICT_DENY)
		return a.verdict;
	count(&n->counters.denied);
	if (n->cfg.log_denied)
		log_denied(n, f, a);
	return VERDICT_DENY;
}

/* @names is the flow's. */
static struct policy_flow egress(struct net *n, enum policy_proto proto,
                                 const struct tuple *t,
                                 const char *names[PIN_NAMES_MAX])
{
	return (struct policy_flow){
		.dir = POLICY_EGRESS,
		.proto = proto,
		.peer = t->peer,
		.port = t->pport,
		.host = gate_is_host(n, &t->peer),
		.gateway = gate_is_gateway(n, &t->peer),
		.names = names,
		.nnames = pins_names(n->pins, &t->peer, net_now(n), names),
	};
}

enum verdict gate_egress(struct net *n, enum policy_proto proto,
                         const struct tuple *t, const char *said)
{
	const char *names[PIN_NAMES_MAX];
	struct policy_flow f = egress(n, proto, t, names);

	f.said = said;
	return decide(n, &f);
}

const char *gate_name(struct net *n, enum policy_proto proto,
                      const struct tuple *t)
{
	const char *names[PIN_NAMES_MAX];
	struct policy_flow f = egress(n, proto, t, names);

	for (size_t i = 0; i < f.nnames; i++) {
		struct policy_answer a;

		f.said = names[i];
		a = policy_decide(n->cfg.policy, &f);
		if (a.verdict == VERDICT_ALLOW)
			return policy_is_network(n->cfg.policy, a) ? NULL
			                                           : names[i];
	}
	return NULL;
}

enum verdict gate_ingress(struct net *n, enum policy_proto proto,
                          const struct addr *client, uint16_t port)
{
	struct policy_flow f = {
		.dir = POLICY_INGRESS,
		.proto = proto,
		.peer = *client,
		.port = port,
		.host = gate_is_host(n, client),
		.gateway = gate_is_gateway(n, client),
	};

	return decide(n, &f);
}

void gate_quic(struct net *n, const struct tuple *t)
{
	char addr[ADDR_TEXT_MAX];

	count(&n->counters.denied);
	if (n->cfg.log_denied)
		net_say(n,
		        "denied: udp to %s port %u: QUIC cannot be "
		        "intercepted",
		        addr_text(&t->peer, addr), t->pport);
}

void gate_refused(struct net *n, const char *what)
{
	count(&n->counters.refused);
	log_limited(LOG_WARN, "refused by a limit: %s", what);
}
