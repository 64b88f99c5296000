/*
 * net.h - the part of microsandbox.h about a sandbox's network. Programs
 * include <microsandbox.h>, which includes this.
 *
 * Every sandbox has a network of its own: one interface eth0 whose frames end
 * in the machine's process, where each flow is judged by the policy; what it
 * allows goes out by a socket of the user who runs it. docs/network.md.
 */
#ifndef MICROSANDBOX_NET_H
#define MICROSANDBOX_NET_H

#ifndef MICROSANDBOX_H
#error "include <microsandbox.h>"
#endif

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MSB_PORTS_MAX           128
#define MSB_CONNECTIONS_DEFAULT 4096
#define MSB_CONNECTIONS_MAX     10000

enum msb_port_flags {
	MSB_PORT_UDP = 1,
};

/* A port of the host that leads to one of the guest. */
struct msb_port {
	size_t size;
	const char *bind; /* an address of the host; NULL: 127.0.0.1 */
	uint16_t host;    /* 0: any that is free, see msb_sandbox_ports() */
	uint16_t guest;
	uint32_t flags;
};
#define MSB_PORT_INIT                                                          \
	{                                                                      \
		.size = sizeof(struct msb_port)                                \
	}

enum msb_net_flags {
	MSB_NET_DISABLED = 1, /* no interface at all */
	/* A rule's name must be confirmed by the flow itself: SNI or Host. */
	MSB_NET_STRICT = 2,
	/* Answers of name servers may hold private addresses. */
	MSB_NET_NO_REBIND_PROTECTION = 4,
	/* The guest's trust stores get the host's certificates. */
	MSB_NET_TRUST_HOST_CAS = 8,
	MSB_NET_LOG_DENIED = 16, /* to msb logs --source system */
};

enum msb_net_action {
	MSB_NET_UNSET = 0,
	MSB_NET_ALLOW = 1,
	MSB_NET_DENY = 2,
};

/* So many bytes or packets a second, and how many at once; 0: no limit. */
struct msb_rate {
	uint64_t per_second, burst; /* burst 0: a second's worth */
};

/* Lists end with NULL and may be NULL. */
struct msb_network {
	size_t size;
	uint32_t flags;
	/*
	 * Comma list of public, private, host; or all, none. NULL: public, but
	 * no profile when a default is given below.
	 */
	const char *profile;
	/* [allow|deny][:egress|ingress|any]@TARGET[:PROTO[:PORTS]], the first
	   that matches decides; a string may hold several, by comma. */
	const char *const *rules;
	int32_t default_egress, default_ingress; /* enum msb_net_action */
	const struct msb_port *const *ports;
	const char *const *nameservers; /* ADDR[:PORT]; NULL: the host's */
	uint32_t dns_timeout_ms;        /* 0: 5000 */
	const char *ipv4_pool;          /* CIDR; NULL: 172.16.0.0/12 */
	const char *ipv6_pool;          /* NULL: fd42:6d73:62::/48 */
	uint32_t mtu;                   /* 0: 1500 */
	struct msb_rate egress_bytes, egress_packets;
	struct msb_rate ingress_bytes, ingress_packets;
	uint32_t max_connections; /* 0: MSB_CONNECTIONS_DEFAULT */
	/* socks4://, socks5://, http://ADDR:PORT: the host dials through it. */
	const char *proxy;
	const char *socks4_user_id, *socks5_username;
	/* The variable of this process that has the password; read at each
	   start, kept nowhere. */
	const char *socks5_password_env;
	const char *const *vsock; /* HOST_PATH:PORT[/stream|/dgram] */
	const char *pcap;         /* a file that gets all frames; made anew */
};
#define MSB_NETWORK_INIT                                                       \
	{                                                                      \
		.size = sizeof(struct msb_network)                             \
	}

/*
 * The published ports of one that runs, as JSON: [{"bind", "host", "guest",
 * "protocol"}]; with the host's port that was picked. Free it with msb_free().
 */
MSB_API int msb_sandbox_ports(struct msb_home *home, const char *name,
                              char **ret_json, struct msb_error *error);

/*
 * Which rule decides when the sandbox @name connects to @host (a name or an
 * address) and @port (0: any), and why; as JSON, see docs/network.md. Of one
 * that runs, its machine is asked; else the record is judged. @protocol: "tcp",
 * "udp", "icmp"; NULL: tcp. Free it with msb_free().
 */
MSB_API int msb_net_explain(struct msb_home *home, const char *name,
                            const char *host, uint16_t port,
                            const char *protocol, char **ret_json,
                            struct msb_error *error);

/*
 * The rules of the sandbox @name in the order in which they are asked, those of
 * its profile included, as JSON: {"rules": [{"number", "rule"}], "defaults":
 * {"egress", "ingress"}, "strict"}. Free it with msb_free().
 */
MSB_API int msb_net_rules(struct msb_home *home, const char *name,
                          char **ret_json, struct msb_error *error);

#ifdef __cplusplus
}
#endif

#endif
