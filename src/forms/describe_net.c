#include "forms/describe_net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "forms/describe.h"

#include "base/banned.h"

#define DEFAULT_BIND "127.0.0.1"
#define DEFAULT_MTU  1500u
#define DEFAULT_DNS  5000u

/* ---- ports --------------------------------------------------------------- */

static json_t *port_json(const struct msb_port *p)
{
	return json_pack("{s:s, s:i, s:i, s:s}", "bind",
	                 p->bind ? p->bind : DEFAULT_BIND, "host", p->host,
	                 "guest", p->guest, "protocol",
	                 p->flags & MSB_PORT_UDP ? "udp" : "tcp");
}

static json_t *asked_ports(const struct msb_network *n)
{
	json_t *a = json_array();

	for (const struct msb_port *const *p = n->ports; p && *p; p++)
		(void)json_array_append_new(a, port_json(*p));
	return a;
}

static json_t *real_ports(struct msb_home *home, const char *id)
{
	json_t *list = NULL;
	char *text;

	if (msb_sandbox_ports(home, id, &text, NULL) == 0) {
		list = json_parse(text, strlen(text), "ports", NULL);
		msb_free(text);
	}
	return list;
}

json_t *describe_ports(struct msb_home *home, const struct msb_sandbox_info *i)
{
	json_t *list = NULL;

	if (i->network->ports && *i->network->ports && describe_is_running(i))
		list = real_ports(home, i->id);
	return list ? list : asked_ports(i->network);
}

void describe_ports_text(const json_t *ports, struct buf *ret)
{
	for (size_t i = 0; i < json_array_size(ports); i++) {
		const json_t *o = json_array_get(ports, i);
		const char *bind = json_str(o, "bind", "");
		bool v6 = strchr(bind, ':');

		(void)buf_printf(ret, "%s%s%s%s:%lld->%lld/%s", i ? ", " : "",
		                 v6 ? "[" : "", bind, v6 ? "]" : "",
		                 (long long)json_int(o, "host", 0),
		                 (long long)json_int(o, "guest", 0),
		                 json_str(o, "protocol", ""));
	}
}

/* ---- words --------------------------------------------------------------- */

static const char *action(int32_t a)
{
	return a == MSB_NET_ALLOW ? "allow" : a == MSB_NET_DENY ? "deny" : "";
}

static int add_policy(const struct msb_network *n, struct strv *ret)
{
	struct buf cleanup_buf b = BUF_INIT;

	if (n->flags & MSB_NET_DISABLED)
		return strv_add(ret, "Network\tdisabled");
	if (n->profile)
		(void)buf_adds(&b, n->profile);
	else if (!n->default_egress && !n->default_ingress)
		(void)buf_adds(&b, "public");
	if (n->default_egress)
		(void)buf_printf(&b, "%segress %s unless a rule says otherwise",
		                 b.len ? ", " : "", action(n->default_egress));
	if (n->default_ingress)
		(void)buf_printf(&b,
		                 "%singress %s unless a rule says otherwise",
		                 b.len ? ", " : "", action(n->default_ingress));
	if (n->flags & MSB_NET_STRICT)
		(void)buf_adds(&b, ", strict");
	if (n->flags & MSB_NET_LOG_DENIED)
		(void)buf_adds(&b, ", denials are logged");
	return strv_addf(ret, "Network\t%s", buf_str(&b));
}

static int add_list(const char *name, const char *const *list, struct strv *ret)
{
	int r = 0;

	for (const char *const *w = list; w && *w && r == 0; w++)
		r = strv_addf(ret, "%s\t%s", w == list ? name : "", *w);
	return r;
}

static int add_rate(const char *what, const struct msb_rate *rate, bool bytes,
                    struct strv *ret)
{
	char size[32], burst[32];

	if (!rate->per_second)
		return 0;
	if (!bytes)
		return strv_addf(
			ret, "Limit\t%s %llu packets/s, %llu at once", what,
			(unsigned long long)rate->per_second,
			(unsigned long long)(rate->burst ? rate->burst
		                                         : rate->per_second));
	return strv_addf(
		ret, "Limit\t%s %s/s, %s at once", what,
		num_format_size(rate->per_second, size, sizeof(size)),
		num_format_size(rate->burst ? rate->burst : rate->per_second,
	                        burst, sizeof(burst)));
}

static int add_rest(const struct msb_network *n, struct strv *ret)
{
	int r = 0;

	if (n->proxy)
		r = strv_addf(ret, "Proxy\t%s", n->proxy);
	if (r == 0 && n->mtu)
		r = strv_addf(ret, "MTU\t%u", n->mtu);
	if (r == 0 && n->max_connections)
		r = strv_addf(ret, "Limit\t%u connections", n->max_connections);
	if (r == 0)
		r = add_rate("egress", &n->egress_bytes, true, ret);
	if (r == 0)
		r = add_rate("egress", &n->egress_packets, false, ret);
	if (r == 0)
		r = add_rate("ingress", &n->ingress_bytes, true, ret);
	if (r == 0)
		r = add_rate("ingress", &n->ingress_packets, false, ret);
	if (r == 0 && n->pcap)
		r = strv_addf(ret, "Capture\t%s", n->pcap);
	return r;
}

int describe_network(const struct msb_network *n, struct strv *ret)
{
	int r = add_policy(n, ret);

	if (r == 0)
		r = add_list("Rules", n->rules, ret);
	if (r == 0)
		r = add_list("DNS", n->nameservers, ret);
	if (r == 0)
		r = add_rest(n, ret);
	return r < 0 ? r : add_list("Host sockets", n->vsock, ret);
}

/* ---- JSON ---------------------------------------------------------------- */

static json_t *text_or_null(const char *s)
{
	json_t *j = s ? json_string(s) : NULL;

	return j ? j : json_null();
}

static json_t *rate_json(const struct msb_rate *r)
{
	if (!r->per_second)
		return json_null();
	return json_pack("{s:I, s:I}", "per_second", (json_int_t)r->per_second,
	                 "burst",
	                 (json_int_t)(r->burst ? r->burst : r->per_second));
}

static json_t *limits_json(const struct msb_rate *bytes,
                           const struct msb_rate *packets)
{
	return json_pack("{s:o, s:o}", "bandwidth", rate_json(bytes), "ops",
	                 rate_json(packets));
}

static bool has_flag(const struct msb_network *n, uint32_t flag)
{
	return (n->flags & flag) != 0;
}

json_t *describe_network_json(const struct msb_network *n)
{
	json_t *dns = json_pack(
		"{s:b, s:o, s:I}", "rebind_protection",
		!has_flag(n, MSB_NET_NO_REBIND_PROTECTION), "nameservers",
		describe_list(n->nameservers), "query_timeout_ms",
		(json_int_t)(n->dns_timeout_ms ? n->dns_timeout_ms
	                                       : DEFAULT_DNS));
	bool plain = !n->profile && !n->default_egress && !n->default_ingress;

	return json_pack(
		"{s:b, s:o, s:o, s:o, s:o, s:b, s:b, s:o, s:o, s:I, s:I, s:o, "
		"s:o, s:b, s:{s:o, s:o}, s:o, s:o, s:o, s:o, s:o, s:o}",
		"enabled", !has_flag(n, MSB_NET_DISABLED), "policy",
		text_or_null(plain ? "public" : n->profile), "rules",
		describe_list(n->rules), "default_egress",
		describe_string(action(n->default_egress)), "default_ingress",
		describe_string(action(n->default_ingress)), "strict",
		has_flag(n, MSB_NET_STRICT), "log_denied",
		has_flag(n, MSB_NET_LOG_DENIED), "dns", dns, "ports",
		asked_ports(n), "max_connections",
		(json_int_t)(n->max_connections ? n->max_connections
	                                        : MSB_CONNECTIONS_DEFAULT),
		"mtu", (json_int_t)(n->mtu ? n->mtu : DEFAULT_MTU), "ipv4_pool",
		text_or_null(n->ipv4_pool), "ipv6_pool",
		text_or_null(n->ipv6_pool), "trust_host_cas",
		has_flag(n, MSB_NET_TRUST_HOST_CAS), "limits", "egress",
		limits_json(&n->egress_bytes, &n->egress_packets), "ingress",
		limits_json(&n->ingress_bytes, &n->ingress_packets), "proxy",
		text_or_null(n->proxy), "socks4_user_id",
		text_or_null(n->socks4_user_id), "socks5_username",
		text_or_null(n->socks5_username), "socks5_password_env",
		text_or_null(n->socks5_password_env), "vsock",
		describe_list(n->vsock), "pcap", text_or_null(n->pcap));
}
