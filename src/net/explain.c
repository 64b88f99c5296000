/*
 * explain.c - which rule decides now: the policy with what this machine knows,
 * that is, the pins and the host's own addresses.
 */
#include "net/net_int.h"

#include <string.h>

#include "base/json.h"
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

/* Would msb-tls look into it? @port 0: at any port. */
static bool is_intercepted(const struct net *n, const char *host, uint16_t port,
                           enum policy_proto proto)
{
	struct sniff s = {.kind = SNIFF_TLS};
	struct addr a;

	if (proto != POLICY_TCP)
		return false;
	if (addr_parse(host, &a) < 0 && policy_name(host, s.name) < 0)
		return false;
	return intercept_takes(n, port, &s);
}

/* @text with one more member; NULL: no memory. */
static char *add_intercepted(const char *text, bool is)
{
	cleanup_json json_t *j = json_parse(text, strlen(text), "", NULL);

	if (!j || json_object_set_new(j, "intercepted", json_boolean(is)) < 0)
		return NULL;
	return json_text(j, JSON_COMPACT);
}

char *net_explain(struct net *n, const char *host, uint16_t port,
                  enum policy_proto proto)
{
	cleanup_free char *text = NULL;
	struct known k = {0};

	find(n, host, &k);
	text = policy_explain(n->cfg.policy, host, port, proto, k.seen, k.n);
	if (!text || !n->intercept)
		return take_ptr(text);
	return add_intercepted(text, is_intercepted(n, host, port, proto));
}
