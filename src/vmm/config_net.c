#include "vmm/config_net.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/num.h"
#include "vmm/config.h"

#include "base/banned.h"

/* What the object holds before the policy is made of it. */
struct wire {
	struct vmm_net net;
	bool has_profile;
	char profile[64];
	struct strv rules;
	unsigned egress, ingress;
	bool strict;
};

/* In the order of enum policy_default, and of enum net_proxy_kind. */
static const char *const defaults[] = {"unset", "allow", "deny", NULL};
static const char *const proxies[] = {"direct", "socks4", "socks5", "connect",
                                      NULL};

/* ---- readers ------------------------------------------------------------- */

static FIELD_READER(read_mac)
{
	const char *s = json_string_value(v);
	unsigned b[NET_MAC_LEN];
	uint8_t *mac = out;
	char end;

	if (!s || strlen(s) != 17 ||
	    sscanf(s, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3],
	           &b[4], &b[5], &end) != NET_MAC_LEN)
		return field_bad(f, where, err, "is no MAC address");
	if (b[0] & 1)
		return field_bad(f, where, err, "is a group's MAC address");
	for (unsigned i = 0; i < NET_MAC_LEN; i++)
		mac[i] = (uint8_t)b[i];
	return 0;
}

/* max: 4 or 6, which family it must be of; 0: any. */
static FIELD_READER(read_addr)
{
	const char *s = json_string_value(v);
	struct addr a;

	if (!s || addr_parse(s, &a) < 0 ||
	    (f->max && addr_is_v4(&a) != (f->max == 4)))
		return field_bad(f, where, err, "is no address of its family");
	*(struct addr *)out = a;
	return 0;
}

static FIELD_READER(read_u16)
{
	int r = field_check_int(f, v, where, err);

	if (r == 0)
		*(uint16_t *)out = (uint16_t)json_integer_value(v);
	return r;
}

/* [per_s, burst] */
static FIELD_READER(read_rate)
{
	struct net_rate *rate = out;
	json_int_t per_s = json_integer_value(json_array_get(v, 0)),
		   burst = json_integer_value(json_array_get(v, 1));

	if (!json_is_array(v) || json_array_size(v) != 2 || per_s < 0 ||
	    burst < 0 || per_s > INT64_MAX / 4000 || burst > INT64_MAX / 4000)
		return field_bad(f, where, err, "is no rate and burst");
	*rate = (struct net_rate){(uint64_t)per_s, (uint64_t)burst};
	return 0;
}

static FIELD_READER(read_profile)
{
	struct wire *w = container_of(out, struct wire, profile);

	if (json_is_null(v))
		return 0;
	w->has_profile = true;
	return field_str(f, v, out, where, err);
}

static FIELD_READER(read_servers)
{
	struct net_config *c = container_of(out, struct net_config, nservers);
	size_t n = json_array_size(v);

	if (!json_is_array(v) || n > NET_SERVERS_MAX)
		return field_bad(f, where, err, "is not a list, or too long");
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(v, i));
		struct net_dns_server *d = &c->servers[i];

		if (!s || addr_parse_port(s, &d->addr, &d->port) < 0)
			return field_bad(f, where, err,
			                 "has what is no ADDR:PORT");
		if (!d->port)
			d->port = 53;
	}
	c->nservers = (unsigned)n;
	return 0;
}

static const struct field port_fields[] = {
	{.key = "fd",
         .read = field_socket,
         .offset = offsetof(struct net_port, fd),
         .min = VMM_FD_FIRST,
         .max = INT_MAX},
	{.key = "guest",
         .read = read_u16,
         .offset = offsetof(struct net_port, guest),
         .min = 1,
         .max = UINT16_MAX},
	{.key = "udp",
         .read = field_bool,
         .offset = offsetof(struct net_port, udp)},
	{0				 },
};

static FIELD_READER(read_ports)
{
	struct net_config *c = container_of(out, struct net_config, nports);
	size_t n = json_array_size(v);
	char path[64];
	int r = 0;

	if (!json_is_array(v) || n > NET_PORTS_MAX)
		return field_bad(f, where, err, "is not a list, or too long");
	for (size_t i = 0; i < n && r == 0; i++) {
		(void)snprintf(path, sizeof(path), "%s%s[%zu].", where, f->key,
		               i);
		c->nports = (unsigned)i + 1;
		r = field_object(port_fields, json_array_get(v, i),
		                 &c->ports[i], path, err);
	}
	return r;
}

#define PROXY_TEXT(key_)                                                       \
	{                                                                      \
		.key = #key_, .read = field_str,                               \
		.offset = offsetof(struct net_proxy, key_),                    \
		.max = sizeof(((struct net_proxy *)0)->key_) - 1,              \
		.allowed = is_path_char                                        \
	}

static const struct field proxy_fields[] = {
	NAME("kind", struct net_proxy, kind, proxies),
	{.key = "address",
                                                   .read = read_addr,
                                                   .offset = offsetof(struct net_proxy, addr)},
	{.key = "port",
                                                   .read = read_u16,
                                                   .offset = offsetof(struct net_proxy, port),
                                                   .min = 1,
                                                   .max = UINT16_MAX},
	PROXY_TEXT(user),
	PROXY_TEXT(password),
	{0				  },
};

static FIELD_READER(read_proxy)
{
	char path[64];

	if (json_is_null(v))
		return 0;
	(void)snprintf(path, sizeof(path), "%s%s.", where, f->key);
	return field_object(proxy_fields, v, out, path, err);
}

/* -1: none */
static FIELD_READER(read_pcap)
{
	if (json_is_integer(v) && json_integer_value(v) == -1)
		return 0;
	return field_fd(f, v, out, where, err);
}

/* ---- the object ---------------------------------------------------------- */

/* clang-format off */
#define AT(m)         offsetof(struct wire, m)
#define NET(key_, fn, m) {.key = key_, .read = fn, .offset = AT(net.cfg.m)}
#define ADDR(key_, family)                                                     \
	{.key = #key_, .read = read_addr, .offset = AT(net.cfg.key_),          \
	 .max = family}

static const struct field net_fields[] = {
	NET("guest_mac", read_mac, guest_mac),
	NET("gateway_mac", read_mac, gateway_mac),
	{.key = "mtu", .read = read_u16, .offset = AT(net.cfg.mtu),
	 .min = NET_MTU_MIN, .max = NET_MTU_MAX},
	ADDR(guest4, 4),
	ADDR(gateway4, 4),
	ADDR(guest6, 6),
	ADDR(gateway6, 6),
	{.key = "prefix4", .read = field_u32, .offset = AT(net.prefix4),
	 .min = 8, .max = 30},
	{.key = "prefix6", .read = field_u32, .offset = AT(net.prefix6),
	 .min = 16, .max = 126},
	{.key = "profile", .read = read_profile, .offset = AT(profile),
	 .min = 1, .max = 63, .allowed = is_printable},
	{.key = "rules", .read = field_strs, .offset = AT(rules),
	 .min = VMM_RULES_MAX, .max = POLICY_RULES_MAX},
	NAME("default_egress", struct wire, egress, defaults),
	NAME("default_ingress", struct wire, ingress, defaults),
	{.key = "strict", .read = field_bool, .offset = AT(strict)},
	NET("dns_servers", read_servers, nservers),
	{.key = "dns_timeout_ms", .read = field_u32,
	 .offset = AT(net.cfg.dns_timeout_ms), .min = 1, .max = 600000},
	NET("rebind_protection", field_bool, rebind_protection),
	NET("ports", read_ports, nports),
	{.key = "max_connections", .read = field_u32,
	 .offset = AT(net.cfg.connections_max), .min = 1, .max = NET_FLOWS_MAX},
	NET("egress_bytes", read_rate, egress_bytes),
	NET("egress_packets", read_rate, egress_packets),
	NET("ingress_bytes", read_rate, ingress_bytes),
	NET("ingress_packets", read_rate, ingress_packets),
	NET("proxy", read_proxy, proxy),
	{.key = "pcap_fd", .read = read_pcap, .offset = AT(net.cfg.pcap_fd),
	 .min = VMM_FD_FIRST, .max = INT_MAX},
	NET("log_denied", field_bool, log_denied),
	{.key = "tls_fd", .read = field_socket, .offset = AT(net.cfg.tls_fd),
	 .min = VMM_FD_FIRST, .max = INT_MAX, .optional = true},
	{0},
};
/* clang-format on */

static int make_policy(struct wire *w, struct err *err)
{
	const struct policy_spec spec = {
		.profile = w->has_profile ? w->profile : NULL,
		.rules = &w->rules,
		.egress = (enum policy_default)w->egress,
		.ingress = (enum policy_default)w->ingress,
		.strict = w->strict};
	int r = policy_new(&spec, &w->net.policy, err);

	w->net.cfg.policy = w->net.policy;
	return r < 0 ? err_wrap(err, "config: net") : 0;
}

FIELD_READER(config_net_read)
{
	struct wire w = {.net.on = true, .net.cfg.pcap_fd = -1};
	char path[64];
	int r;

	(void)snprintf(path, sizeof(path), "%s%s.", where, f->key);
	r = field_object(net_fields, v, &w, path, err);
	if (r == 0)
		r = make_policy(&w, err);
	strv_release(&w.rules);
	if (r == 0)
		*(struct vmm_net *)out = w.net;
	return r;
}

void config_net_release(struct vmm_net *n)
{
	policy_free(n->policy);
	strv_release(&n->boot);
	*n = (struct vmm_net){0};
}

/* ---- vsock --------------------------------------------------------------- */

static bool is_dir(mode_t mode)
{
	return S_ISDIR(mode);
}

static FIELD_READER(read_dir)
{
	return field_open_fd(f, v, out, where, is_dir, "folder", err);
}

static const struct field vsock_fields[] = {
	INT("port", field_u32, struct vmm_vsock, port, 1, UINT32_MAX - 1),
	{.key = "dir_fd",
                                                                        .read = read_dir,
                                                                        .offset = offsetof(struct vmm_vsock, dir_fd),
                                                                        .min = VMM_FD_FIRST,
                                                                        .max = INT_MAX},
	STR("name", struct vmm_vsock, name, 1, is_path_char),
	{.key = "dgram",
                                                                        .read = field_bool,
                                                                        .offset = offsetof(struct vmm_vsock, dgram)},
	{0		},
};

FIELD_READER(config_vsock_read)
{
	struct vmm_vsock_list *list = out;
	size_t n = json_array_size(v);
	char path[64];
	int r = 0;

	if (!json_is_array(v) || n > VMM_VSOCK_MAX)
		return field_bad(f, where, err, "is not a list, or too long");
	for (size_t i = 0; i < n && r == 0; i++) {
		(void)snprintf(path, sizeof(path), "%s%s[%zu].", where, f->key,
		               i);
		list->n = (unsigned)i + 1;
		r = field_object(vsock_fields, json_array_get(v, i),
		                 &list->v[i], path, err);
		if (r == 0 && strchr(list->v[i].name, '/'))
			r = field_bad(f, where, err, "has a name with a /");
	}
	return r;
}

/* ---- text ---------------------------------------------------------------- */

FIELD_READER(config_text_read)
{
	const char *s = json_string_value(v);
	char *copy;

	if (!s || json_string_length(v) > (size_t)f->max)
		return field_bad(f, where, err, "is no string, or too long");
	copy = strdup(s);
	if (!copy)
		return err_set(err, -ENOMEM, "out of memory");
	free(*(char **)out);
	*(char **)out = copy;
	return 0;
}
