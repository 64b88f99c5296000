/*
 * net_opts.h - a sandbox's network as people write it: options of a command
 * line, and the keys of a file (conf_net.c), gathered in one struct.
 *
 *	-p [BIND:]HOST:GUEST[/tcp|/udp]      BIND: 127.0.0.1; IPv6 in brackets
 *	--net-X-bandwidth SIZE[/DURATION]    a second, if none is said
 *	--net-X-ops COUNT[/DURATION]
 *
 * What --net, --no-net and --net-default* say takes the place of all that the
 * files say about policy; --net-rule goes before the files' rules.
 */
#ifndef FORMS_NET_OPTS_H
#define FORMS_NET_OPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"
#include "microsandbox.h"

/* The four limits of rate, in this order. */
enum net_rate_kind {
	NET_RATE_EGRESS_BYTES,
	NET_RATE_EGRESS_PACKETS,
	NET_RATE_INGRESS_BYTES,
	NET_RATE_INGRESS_PACKETS,
	NET_RATES,
};

/* Values of the options below. */
struct net_values {
	struct strv profiles, rules, ports, nameservers, vsock;
	const char *ipv4_pool, *ipv6_pool, *proxy, *socks4_user_id,
		*socks5_username, *socks5_password_env, *pcap;
	const char *rate[NET_RATES], *burst[NET_RATES];
	int32_t both, egress, ingress; /* enum msb_net_action */
	uint32_t dns_timeout_ms, max_connections, mtu;
	bool no_net, no_rebind, strict, trust_host_cas, log_denied;
};

extern const char *const net_action_choices[];

#define NET_RATE_OPTS(f, direction, DIRECTION, Words)                          \
	OPT_ROW(0, "net-" direction "-bandwidth", "SIZE[/DURATION]",           \
	        OPT_STRING, f(rate[NET_RATE_##DIRECTION##_BYTES]),             \
	        Words " bytes at most, as 10M/1s; a bare number is bytes"),    \
		OPT_ROW(0, "net-" direction "-bandwidth-burst", "SIZE",        \
	                OPT_STRING, f(burst[NET_RATE_##DIRECTION##_BYTES]),    \
	                "... and so many at once (what is behind SIZE)"),      \
		OPT_ROW(0, "net-" direction "-ops", "COUNT[/DURATION]",        \
	                OPT_STRING, f(rate[NET_RATE_##DIRECTION##_PACKETS]),   \
	                Words " packets at most, as 1000/1s"),                 \
		OPT_ROW(0, "net-" direction "-ops-burst", "COUNT", OPT_STRING, \
	                f(burst[NET_RATE_##DIRECTION##_PACKETS]),              \
	                "... and so many at once (COUNT)"),

/* The rows; f(member) is its offset. Ends with a comma. */
#define NET_OPTS(f)                                                            \
	OPT_ROW('p', "port", "[BIND:]HOST:GUEST[/tcp|/udp]", OPT_LIST,         \
	        f(ports),                                                      \
	        "Publish a port of the sandbox on this host, on 127.0.0.1 "    \
	        "unless BIND says otherwise; HOST 0: any that is free "        \
	        "(repeatable)"),                                               \
		OPT_ROW(0, "net", "PROFILE", OPT_LIST, f(profiles),            \
	                "What it may reach: public, private, host (these "     \
	                "compose, with commas), or all, or none (public)"),    \
		OPT_ROW(0, "no-net", NULL, OPT_FLAG, f(no_net),                \
	                "It may reach nothing, and nobody it, but what "       \
	                "--net-rule allows"),                                  \
		OPT_ROW(0, "net-rule", "RULES", OPT_LIST, f(rules),            \
	                "Allow or deny, before what --net says, as "           \
	                "allow@example.com:tcp:443 or deny@10.0.0.0/8; the "   \
	                "first that matches decides; with commas "             \
	                "(repeatable)"),                                       \
		OPT_ROW_CHOICE(0, "net-default", "ACTION", f(both),            \
	                       "What is allowed when no rule matches, both "   \
	                       "ways: allow or deny; without --net",           \
	                       net_action_choices, NULL),                      \
		OPT_ROW_CHOICE(0, "net-default-egress", "ACTION", f(egress),   \
	                       "... of what it reaches (deny)",                \
	                       net_action_choices, NULL),                      \
		OPT_ROW_CHOICE(0, "net-default-ingress", "ACTION", f(ingress), \
	                       "... of who reaches its published ports "       \
	                       "(allow)",                                      \
	                       net_action_choices, NULL),                      \
		OPT_ROW(0, "net-strict", NULL, OPT_FLAG, f(strict),            \
	                "A rule that allows a name must be confirmed by the "  \
	                "connection itself (TLS or HTTP)"),                    \
		OPT_ROW(0, "net-log-denied", NULL, OPT_FLAG, f(log_denied),    \
	                "Tell what was denied in msb logs --source system"),   \
		OPT_ROW(0, "dns-nameserver", "ADDR[:PORT]", OPT_LIST,          \
	                f(nameservers),                                        \
	                "Ask this name server instead of the host's "          \
	                "(repeatable)"),                                       \
		OPT_ROW(0, "dns-query-timeout-ms", "MS", OPT_COUNT,            \
	                f(dns_timeout_ms),                                     \
	                "How long a name server may take for an answer "       \
	                "(5000)"),                                             \
		OPT_ROW(0, "no-dns-rebind-protection", NULL, OPT_FLAG,         \
	                f(no_rebind),                                          \
	                "Names may stand for private addresses"),              \
		NET_RATE_OPTS(f, "egress", EGRESS, "It may send so many")      \
			NET_RATE_OPTS(f, "ingress", INGRESS,                   \
	                              "It gets so many")                       \
				OPT_ROW(0, "max-connections", "N", OPT_COUNT,  \
	                                f(max_connections),                    \
	                                "TCP connections at once (4096)"),     \
		OPT_ROW(0, "net-mtu", "BYTES", OPT_COUNT, f(mtu),              \
	                "MTU of eth0, 1280 to 65520 (1500)"),                  \
		OPT_ROW(0, "net-ipv4-pool", "CIDR", OPT_STRING, f(ipv4_pool),  \
	                "Where its IPv4 addresses are from (172.16.0.0/12)"),  \
		OPT_ROW(0, "net-ipv6-pool", "CIDR", OPT_STRING, f(ipv6_pool),  \
	                "Where its IPv6 addresses are from "                   \
	                "(fd42:6d73:62::/48)"),                                \
		OPT_ROW(0, "proxy", "URL", OPT_STRING, f(proxy),               \
	                "Make its connections through this proxy: socks4://, " \
	                "socks5:// or http://, then ADDR:PORT"),               \
		OPT_ROW(0, "socks4-user-id", "ID", OPT_STRING,                 \
	                f(socks4_user_id), "User id for --proxy socks4://"),   \
		OPT_ROW(0, "socks5-username", "NAME", OPT_STRING,              \
	                f(socks5_username),                                    \
	                "User name for --proxy socks5://"),                    \
		OPT_ROW(0, "socks5-password-env", "VARIABLE", OPT_STRING,      \
	                f(socks5_password_env),                                \
	                "The variable here that has the password; read at "    \
	                "each start"),                                         \
		OPT_ROW(0, "trust-host-cas", NULL, OPT_FLAG,                   \
	                f(trust_host_cas),                                     \
	                "Trust the certificate authorities that this host "    \
	                "does"),                                               \
		OPT_ROW(0, "vsock", "HOST_PATH:PORT[/stream|/dgram]",          \
	                OPT_LIST, f(vsock),                                    \
	                "Let the guest reach a Unix socket of this host by "   \
	                "vsock, at CID 2 and PORT (repeatable)"),              \
		OPT_ROW(0, "pcap", "PATH", OPT_STRING, f(pcap),                \
	                "Write what the sandbox sends and gets to this file, " \
	                "for tcpdump -r; made anew at each start"),

/* What files and options say. Zero and NULL: not said. */
struct net_conf {
	char *profile;
	int32_t egress, ingress; /* enum msb_net_action */
	struct strv first;       /* rules of the options */
	struct strv deny, allow, rules;
	struct strv ports, more_ports; /* of the network, of the sandbox */
	struct strv nameservers, vsock;
	char *ipv4_pool, *ipv6_pool, *proxy, *socks4_user_id, *socks5_username,
		*socks5_password_env, *pcap;
	char *rate[NET_RATES], *burst[NET_RATES];
	uint64_t dns_timeout_ms;
	uint32_t max_connections, mtu;
	bool disabled, no_rebind, strict, trust_host_cas, log_denied;
};

void net_conf_release(struct net_conf *c);

/* Lay the options over what the files said. */
int net_opts_put(struct net_conf *c, const struct net_values *v,
                 struct err *err);

/* The library's form of it: points into a struct net_conf, too. */
struct net_made {
	struct msb_network network;
	struct strv rules, binds;
	struct msb_port *ports;
	const struct msb_port **pointers;
};

/* *@ret is allocated: its network stays where it is. */
int net_conf_make(const struct net_conf *c, struct net_made **ret,
                  struct err *err);
void net_made_free(struct net_made *m); /* NULL is fine */

/*
 * Of [BIND:]HOST:GUEST[/tcp|/udp]: the port without its address, and how much
 * of @text that is (from *@ret_bind, without brackets); 0: none.
 */
int net_opts_port(const char *text, struct msb_port *ret, const char **ret_bind,
                  size_t *ret_len, struct err *err);

/*
 * @path as it is from any folder, for a command that will be called from
 * elsewhere; NULL stays NULL. It need not be there.
 */
int net_opts_absolute(const char *path, char **ret);

/* What the user should know beforehand: ports that others can reach. */
void net_opts_notes(const struct msb_network *n, struct strv *ret);

#endif
