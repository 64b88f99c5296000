/*
 * Which rule decides. The machine that runs knows most: which names an address
 * was given as the answer for, and what the host's own addresses are. Of one
 * that does not run the rules alone are asked.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "lib/error.h"
#include "lib/life.h"
#include "lib/net.h"

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

static int judge(const struct state_sandbox *row, const struct question *q,
                 char **ret_json, struct err *err)
{
	struct sandbox_config cleanup_sandbox_config c = {0};
	struct policy *cleanup_policy p = NULL;
	int r = sandbox_config_read(row->config, &c, err);

	if (r == 0 && (c.network.flags & MSB_NET_DISABLED))
		return no_network(row->name, err);
	if (r == 0)
		r = network_policy(&c.network, &p, err);
	if (r < 0)
		return r;
	*ret_json = policy_explain(p, q->host, q->port, q->proto, NULL, 0);
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
