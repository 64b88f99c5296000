/*
 * The network of a configuration file: a word, or a map; the same keys make a
 * document of --net-conf. As in the Rust msb, and more of ours.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "forms/conf_int.h"

#include "base/banned.h"

#define AT(f) offsetof(struct conf, net.f)
#define KEY(n, s, f)                                                           \
	{                                                                      \
		.name = (n), .set = (s), .offset = AT(f), .scopes = CONF_ALL   \
	}

/* ---- values -------------------------------------------------------------- */

static int set_action(struct conf_source *s, const struct conf_field *f,
                      const struct ytree_node *n)
{
	struct buf cleanup_buf b = CONF_VALUE_INIT;
	int r = conf_value(s, n, &b);

	if (r < 0)
		return r;
	for (int i = 1; net_action_choices[i]; i++) {
		if (strcmp(net_action_choices[i], buf_str(&b)) == 0) {
			*(int32_t *)conf_member(s, f) = i;
			return 0;
		}
	}
	return CONF_WRONG(s, n, "%s is neither allow nor deny", f->name);
}

static int set_number(struct conf_source *s, const struct conf_field *f,
                      const struct ytree_node *n)
{
	struct buf cleanup_buf b = CONF_VALUE_INIT;
	uint64_t number;
	int r = conf_value(s, n, &b);

	if (r < 0)
		return r;
	if (!num_parse_u64(buf_str(&b), UINT32_MAX, &number) || !number)
		return CONF_WRONG(s, n, "%s is not a number of 1 or more",
		                  f->name);
	*(uint32_t *)conf_member(s, f) = (uint32_t)number;
	return 0;
}

static bool is_profile(const char *word, size_t len)
{
	static const char *const words[] = {"public", "private", "host", "all",
	                                    "none"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i]) == len &&
		    strncmp(words[i], word, len) == 0)
			return true;
	return false;
}

static bool are_profiles(const char *text)
{
	for (;;) {
		size_t len = strcspn(text, ",");

		if (!is_profile(text, len))
			return false;
		if (!text[len])
			return true;
		text += len + 1;
	}
}

/* What --net takes, and the Rust msb's word `open`. */
static int set_policy(struct conf_source *s, const struct conf_field *f,
                      const struct ytree_node *n)
{
	char **to = conf_member(s, f);
	int r = conf_set_text(s, f, n);

	if (r < 0)
		return r;
	if (strcmp(*to, "open") == 0)
		memcpy(*to, "all", sizeof("all")); /* it is shorter */
	if (are_profiles(*to))
		return 0;
	CONF_WRONG(s, n, "%s: '%s' is no policy", f->name, *to);
	err_hint(s->err, "public, private and host, with commas; or none, or "
	                 "all (open)");
	return -EINVAL;
}

/* A target is what stands behind the @ of a rule. */
static int set_targets(struct conf_source *s, const struct conf_field *f,
                       const struct ytree_node *n)
{
	const struct strv *list = conf_member(s, f);
	const struct ytree_node *c = n->child;
	int r = conf_set_list(s, f, n);

	for (size_t i = 0; r == 0 && i < list->n; i++, c = c->next) {
		if (*list->v[i] && !strpbrk(list->v[i], "@,"))
			continue;
		CONF_WRONG(s, c, "%s has targets: '%s' is none", f->name,
		           list->v[i]);
		err_hint(s->err, "a target is as example.com, 10.0.0.0/8 or "
		                 "public:tcp:443; whole rules go to rules");
		return -EINVAL;
	}
	return r;
}

/* The error of a port, with its place. */
static int port_wrong(struct conf_source *s, const struct ytree_node *n,
                      const struct err *e)
{
	static const char option[] = "--port: ";
	const char *msg = e->msg;

	if (strncmp(msg, option, strlen(option)) == 0)
		msg += strlen(option);
	CONF_WRONG(s, n, "%s", msg);
	err_hint(s->err, "%s", e->hint);
	return -EINVAL;
}

int conf_set_ports(struct conf_source *s, const struct conf_field *f,
                   const struct ytree_node *n)
{
	const struct strv *list = conf_member(s, f);
	const struct ytree_node *c = n->child;
	int r = conf_set_list(s, f, n);

	for (size_t i = 0; r == 0 && i < list->n; i++, c = c->next) {
		struct err err = {0};
		struct msb_port port;
		const char *bind;
		size_t len;

		if (net_opts_port(list->v[i], &port, &bind, &len, &err) < 0)
			r = port_wrong(s, c, &err);
	}
	return r;
}

/* ---- maps ---------------------------------------------------------------- */

static const struct conf_field dns_keys[] = {
	KEY("rebind_protection", conf_set_not, no_rebind),
	KEY("nameservers", conf_set_list, nameservers),
	KEY("query_timeout", conf_set_duration, dns_timeout_ms),
	{0},
};

static int set_dns(struct conf_source *s, const struct conf_field *f,
                   const struct ytree_node *n)
{
	(void)f;
	return conf_map(s, dns_keys, CONF_ALL, n);
}

#define LIMIT_KEYS(name, DIRECTION)                                            \
	static const struct conf_field name##_keys[] = {                       \
		KEY("bandwidth", conf_set_text,                                \
	            rate[NET_RATE_##DIRECTION##_BYTES]),                       \
		KEY("bandwidth_burst", conf_set_text,                          \
	            burst[NET_RATE_##DIRECTION##_BYTES]),                      \
		KEY("ops", conf_set_text,                                      \
	            rate[NET_RATE_##DIRECTION##_PACKETS]),                     \
		KEY("ops_burst", conf_set_text,                                \
	            burst[NET_RATE_##DIRECTION##_PACKETS]),                    \
		{0},                                                           \
	}
LIMIT_KEYS(egress, EGRESS);
LIMIT_KEYS(ingress, INGRESS);
#undef LIMIT_KEYS

static int set_egress(struct conf_source *s, const struct conf_field *f,
                      const struct ytree_node *n)
{
	(void)f;
	return conf_map(s, egress_keys, CONF_ALL, n);
}

static int set_ingress(struct conf_source *s, const struct conf_field *f,
                       const struct ytree_node *n)
{
	(void)f;
	return conf_map(s, ingress_keys, CONF_ALL, n);
}

static const struct conf_field limit_keys[] = {
	{.name = "egress",    .set = set_egress, .scopes = CONF_ALL},
	{.name = "ingress", .set = set_ingress, .scopes = CONF_ALL},
	{0  },
};

static int set_limits(struct conf_source *s, const struct conf_field *f,
                      const struct ytree_node *n)
{
	(void)f;
	return conf_map(s, limit_keys, CONF_ALL, n);
}

static const struct conf_field net_keys[] = {
	KEY("enabled", conf_set_not, disabled),
	KEY("policy", set_policy, profile),
	KEY("allow", set_targets, allow),
	KEY("deny", set_targets, deny),
	KEY("rules", conf_set_list, rules),
	KEY("default_egress", set_action, egress),
	KEY("default_ingress", set_action, ingress),
	KEY("ports", conf_set_ports, ports),
	{.name = "dns",       .set = set_dns, .scopes = CONF_ALL},
	{.name = "tls", .set = conf_set_tls, .scopes = CONF_ALL},
	KEY("trust_host_cas", conf_set_bool, trust_host_cas),
	KEY("max_connections", set_number, max_connections),
	KEY("strict", conf_set_bool, strict),
	KEY("log_denied", conf_set_bool, log_denied),
	KEY("mtu", set_number, mtu),
	KEY("ipv4_pool", conf_set_text, ipv4_pool),
	KEY("ipv6_pool", conf_set_text, ipv6_pool),
	{.name = "limits",       .set = set_limits, .scopes = CONF_ALL},
	KEY("proxy", conf_set_text, proxy),
	KEY("socks4_user_id", conf_set_text, socks4_user_id),
	KEY("socks5_username", conf_set_text, socks5_username),
	KEY("socks5_password_env", conf_set_text, socks5_password_env),
	KEY("vsock", conf_set_list, vsock),
	KEY("pcap", conf_set_path, pcap),
	{0},
};

int conf_read_net(struct conf_source *s, const struct ytree_node *n)
{
	return conf_map(s, net_keys, CONF_ALL, n);
}

int conf_set_network(struct conf_source *s, const struct conf_field *f,
                     const struct ytree_node *n)
{
	static const struct conf_field policy =
		KEY("network", set_policy, profile);

	(void)f;
	if (n->kind != YTREE_SCALAR)
		return conf_read_net(s, n);
	return set_policy(s, &policy, n);
}
