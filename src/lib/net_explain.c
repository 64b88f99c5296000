/*
 * Which rule decides. The machine that runs knows most: which names an address
 * was given as the answer for, and what the host's own addresses are. Of one
 * that does not run the rules alone are asked.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "lib/error.h"
#include "lib/life.h"
#include "lib/net.h"
#include "lib/net_launch.h"

#include "base/banned.h"

#define cleanup_answer cleanup(machine_answer_release)

/* It may ask name servers. */
#define EXPLAIN_TIMEOUT_MS 15000

struct question {
	const char *host, *protocol;
	uint16_t port;
	enum policy_proto proto;
};

static int check(struct question *q, struct err *err)
{
	static const struct {
		const char *name;
		enum policy_proto proto;
	} protocols[] = {
		{"tcp",  POLICY_TCP },
		{"udp",  POLICY_UDP },
		{"icmp", POLICY_ICMP},
	};
	char name[POLICY_NAME_MAX + 1];
	struct addr a;

	q->protocol = q->protocol ? q->protocol : "tcp";
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (strcmp(protocols[i].name, q->protocol) == 0)
			q->proto = protocols[i].proto;
	if (!q->proto)
		return err_set(err, -EINVAL,
		               "'%.40s' is no protocol: tcp, udp or icmp is",
		               q->protocol);
	if (!q->host ||
	    (addr_parse(q->host, &a) < 0 && policy_name(q->host, name) < 0))
		return err_set(err, -EINVAL,
		               "'%.100s' is neither an address nor a name",
		               q->host ? q->host : "");
	return 0;
}

static int no_network(const char *name, struct err *err)
{
	return err_set(err, -EOPNOTSUPP, "%s has no network", name);
}

static int ask(struct msb_sandbox *sb, const struct question *q,
               char **ret_json, struct err *err)
{
	const struct proto_msg msg = {
		.type = PROTO_VMM_NET_EXPLAIN,
		.vmm_net_explain = {.cookie = clock_now_ns(),
	                            .host = q->host,
	                            .port = q->port,
	                            .protocol = q->protocol}
        };
	struct machine_answer cleanup_answer a = {.fd = -1};
	const struct proto_vmm_net_explained *e;
	json_t *cleanup_json j = NULL;
	int r = sandbox_ask(sb, &msg, -1, PROTO_VMM_NET_EXPLAINED,
	                    EXPLAIN_TIMEOUT_MS, &a, err);

	if (r < 0)
		return r;
	e = &a.msg.vmm_net_explained;
	if (e->error == ENODEV)
		return no_network(sb->name, err);
	if (e->error)
		return err_set(err, -EIO, "%s cannot say: %s", sb->name,
		               strerror(e->error));
	/* A guest may have taken over who says it: not even that is sure. */
	j = json_parse(e->json, strlen(e->json), "the answer", err);
	if (!json_is_object(j))
		return err_set(err, -EPROTO, "%s: the answer is no JSON object",
		               sb->name);
	*ret_json = strdup(e->json);
	return *ret_json ? 0 : -ENOMEM;
}

/* ---- without a machine --------------------------------------------------- */

/* Names that mean this host, whatever name servers say. */
static bool is_host_name(const char *host)
{
	static const char *const names[] = {POLICY_HOST_NAME,
	                                    POLICY_HOST_ALIAS};
	char name[POLICY_NAME_MAX + 1];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (policy_name(host, name) == 0 && strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static bool is_own(const struct addr *a)
{
	struct ifaddrs *all = NULL;
	bool found = addr_kind(a) == ADDR_LOOPBACK;

	if (getifaddrs(&all) < 0)
		return found;
	for (struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
		struct addr one;
		uint16_t port;

		found = i->ifa_addr &&
		        addr_from_sockaddr(i->ifa_addr, &one, &port) == 0 &&
		        addr_eq(&one, a);
	}
	freeifaddrs(all);
	return found;
}

/* What is known of the host's addresses without a machine; how many. */
static size_t look(const struct net_plan *p, const struct question *q,
                   struct policy_seen ret[2])
{
	struct policy_seen one = {0};

	if (is_host_name(q->host)) {
		ret[0] = (struct policy_seen){
			.addr = p->gateway4, .host = true, .gateway = true};
		ret[1] = (struct policy_seen){
			.addr = p->gateway6, .host = true, .gateway = true};
		return 2;
	}
	if (addr_parse(q->host, &one.addr) < 0)
		return 0;
	one.gateway = addr_eq(&one.addr, &p->gateway4) ||
	              addr_eq(&one.addr, &p->gateway6);
	one.host = one.gateway || is_own(&one.addr);
	ret[0] = one;
	return 1;
}

static int read_policy(const struct state_sandbox *row,
                       struct sandbox_config *c, struct policy **ret,
                       struct err *err)
{
	int r = sandbox_config_read(row->config, c, err);

	if (r == 0 && (c->network.flags & MSB_NET_DISABLED))
		return no_network(row->name, err);
	return r < 0 ? r : network_policy(&c->network, ret, err);
}

static int judge(const struct state_sandbox *row, const struct question *q,
                 char **ret_json, struct err *err)
{
	struct sandbox_config cleanup_sandbox_config c = {0};
	struct policy *cleanup_policy p = NULL;
	struct policy_seen seen[2];
	struct net_plan plan;
	size_t n;
	int r = read_policy(row, &c, &p, err);

	if (r == 0)
		r = net_plan_make(&c.network, row->id, &plan, err);
	if (r < 0)
		return r;
	n = look(&plan, q, seen);
	*ret_json = policy_explain(p, q->host, q->port, q->proto,
	                           n ? seen : NULL, n);
	return *ret_json ? 0 : -ENOMEM;
}

static bool runs(struct msb_home *home, const struct state_sandbox *row)
{
	struct place cleanup_place p = PLACE_INIT;

	return place_open(home->store, row->id, &p, NULL) == 0 &&
	       place_is_locked(&p);
}

static int explain(struct msb_home *home, const char *name, struct question *q,
                   char **ret_json, struct err *err)
{
	struct state_sandbox cleanup_state_sandbox row = {0};
	struct msb_sandbox *sb = NULL;
	struct msb_error error;
	int r = check(q, err);

	if (r == 0)
		r = life_get(home, name, &row, err);
	if (r < 0)
		return r;
	/* One that ended in between is judged as one that did not run. */
	if (!runs(home, &row) ||
	    msb_sandbox_open(home, row.id, &sb, &error) < 0)
		return judge(&row, q, ret_json, err);
	r = ask(sb, q, ret_json, err);
	msb_sandbox_free(sb);
	return r;
}

int msb_net_explain(struct msb_home *home, const char *name, const char *host,
                    uint16_t port, const char *protocol, char **ret_json,
                    struct msb_error *error)
{
	struct question q = {.host = host, .port = port, .protocol = protocol};
	struct err err = {0};
	char *text = NULL;
	int r = explain(home, name, &q, &text, &err);

	if (r < 0)
		return error_return(error, r, &err);
	*ret_json = text;
	return 0;
}

/* ---- the list ------------------------------------------------------------ */

/* The action at the end of "the default of egress: deny". */
static json_t *default_json(const struct policy *p, enum policy_dir dir)
{
	const struct policy_answer a = {VERDICT_DENY, POLICY_BY_DEFAULT};
	char text[POLICY_RULE_TEXT];
	const char *action = strrchr(policy_rule_text(p, dir, a, text), ' ');

	return json_string(action ? action + 1 : text);
}

static json_t *rules_json(const struct policy *p)
{
	size_t n = policy_rules(p);
	json_t *list = json_array();
	int r = list ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && r == 0; i++) {
		const struct policy_answer a = {VERDICT_ALLOW, (int)i};
		char text[POLICY_RULE_TEXT];

		(void)policy_rule_text(p, POLICY_EGRESS, a, text);
		r = json_array_append_new(
			list, json_pack("{s:I, s:s}", "number",
		                        (json_int_t)i + 1, "rule", text));
	}
	if (r < 0) {
		json_decref(list);
		return NULL;
	}
	return list;
}

static int rules(struct msb_home *home, const char *name, char **ret_json,
                 struct err *err)
{
	struct state_sandbox cleanup_state_sandbox row = {0};
	struct sandbox_config cleanup_sandbox_config c = {0};
	struct policy *cleanup_policy p = NULL;
	json_t *cleanup_json o = NULL;
	int r = life_get(home, name, &row, err);

	if (r == 0)
		r = read_policy(&row, &c, &p, err);
	if (r < 0)
		return r;
	o = json_pack("{s:o, s:{s:o, s:o}, s:b}", "rules", rules_json(p),
	              "defaults", "egress", default_json(p, POLICY_EGRESS),
	              "ingress", default_json(p, POLICY_INGRESS), "strict",
	              (c.network.flags & MSB_NET_STRICT) != 0);
	*ret_json = o ? json_text(o, 0) : NULL;
	return *ret_json ? 0 : -ENOMEM;
}

int msb_net_rules(struct msb_home *home, const char *name, char **ret_json,
                  struct msb_error *error)
{
	struct err err = {0};
	char *text = NULL;
	int r = rules(home, name, &text, &err);

	if (r < 0)
		return error_return(error, r, &err);
	*ret_json = text;
	return 0;
}
