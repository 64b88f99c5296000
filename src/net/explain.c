/*
 * explain.c - which rule decides now: the policy with what this machine knows,
 * that is, the pins and the host's own addresses.
 */
#include "net/net_int.h"

#include <string.h>

#include "base/num.h"

#include "base/banned.h"

#define ADDRS_MAX 32

struct known {
	struct policy_seen seen[ADDRS_MAX];
	const char *names[ADDRS_MAX][PIN_NAMES_MAX];
	size_t n;
};

static void add(struct net *n, struct known *k, const struct addr *a)
{
	struct policy_seen *s = &k->seen[k->n];

	*s = (struct policy_seen){
		.addr = *a,
		.host = gate_is_host(n, a),
		.gateway = gate_is_gateway(n, a),
		.names = k->names[k->n],
	};
	s->nnames = pins_names(n->pins, a, net_now(n), k->names[k->n]);
	k->n++;
}

static bool is_own_name(const char *name)
{
	return strcmp(name, DNS_HOST_NAME) == 0 ||
	       strcmp(name, DNS_HOST_ALIAS) == 0;
}

/* The gateway of each family that there is (an absent one is ::). */
static void add_gateways(struct net *n, struct known *k)
{
	static const struct addr none;

	if (!addr_eq(&n->cfg.gateway4, &none))
		add(n, k, &n->cfg.gateway4);
	if (!addr_eq(&n->cfg.gateway6, &none))
		add(n, k, &n->cfg.gateway6);
}

static void find(struct net *n, const char *host, struct known *k)
{
	char name[POLICY_NAME_MAX + 1];
	struct addr pinned[ADDRS_MAX], a;
	size_t npinned;

	if (addr_parse(host, &a) == 0) {
		add(n, k, &a);
		return;
	}
	if (policy_name(host, name) < 0)
		return;
	if (is_own_name(name)) {
		add_gateways(n, k);
		return;
	}
	npinned = pins_addrs(n->pins, name, net_now(n), pinned, ADDRS_MAX);
	for (size_t i = 0; i < npinned; i++)
		add(n, k, &pinned[i]);
}

char *net_explain(struct net *n, const char *host, uint16_t port,
                  enum policy_proto proto)
{
	struct known k = {0};

	find(n, host, &k);
	return policy_explain(n->cfg.policy, host, port, proto, k.seen, k.n);
}
