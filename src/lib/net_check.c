/*
 * What a sandbox's network may be. Everything that can be known beforehand is
 * said here, before anything is made; what only a start can know (a port that
 * is taken, a proxy's password) is said by net_launch.c.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/num.h"
#include "base/strv.h"
#include "lib/net.h"
#include "lib/net_ports.h"
#include "lib/options.h"
#include "proto/proto.h"

#include "base/banned.h"

#define MTU_MIN      1280u
#define MTU_MAX      65520u
#define TIMEOUT_MAX  600000u
#define RATE_MAX     (INT64_MAX / 4000) /* products with ms fit */
#define USER_MAX     255 /* RFC 1929 has one byte for its length */
#define NAME_MAX_LEN 90  /* of a host socket, behind its folder */
#define IPV4_SLOT    126 /* a /30, of 128 bits */
#define IPV6_SLOT    64

static const char *const actions[] = {
	[MSB_NET_UNSET] = "unset",
	[MSB_NET_ALLOW] = "allow",
	[MSB_NET_DENY] = "deny",
};

const char *network_action_name(int32_t action)
{
	return action >= 0 && (size_t)action < ARRAY_SIZE(actions)
	               ? actions[action]
	               : NULL;
}

/* ---- policy -------------------------------------------------------------- */

static enum policy_default default_of(int32_t action)
{
	return action == MSB_NET_ALLOW  ? POLICY_ALLOW
	       : action == MSB_NET_DENY ? POLICY_DENY
	                                : POLICY_UNSET;
}

int network_policy(const struct msb_network *n, struct policy **ret,
                   struct err *err)
{
	struct strv cleanup_strv rules = {0};
	struct policy_spec spec = {
		.profile = n->profile,
		.rules = &rules,
		.egress = default_of(n->default_egress),
		.ingress = default_of(n->default_ingress),
		.strict = n->flags & MSB_NET_STRICT,
	};
	int r = strv_add_all(&rules, (char *const *)(uintptr_t)n->rules);

	if (r < 0)
		return err_set(err, r, "the network's rules: %s", strerror(-r));
	return policy_new(&spec, ret, err);
}

static int check_policy(const struct msb_network *n, struct err *err)
{
	struct policy *cleanup_policy p = NULL;

	if (!network_action_name(n->default_egress) ||
	    !network_action_name(n->default_ingress))
		return err_set(err, -EINVAL,
		               "network: a default is allow or deny");
	return network_policy(n, &p, err);
}

/* ---- ports --------------------------------------------------------------- */

static int check_bind(const char *bind, struct err *err)
{
	struct addr a;

	if (!bind || addr_parse(bind, &a) == 0)
		return 0;
	err_set(err, -EINVAL, "'%.100s' is no address a port can be bound to",
	        bind);
	err_hint(err, "127.0.0.1 is this host alone, 0.0.0.0 all its networks, "
	              "[::1] IPv6");
	return -EINVAL;
}

static int check_port(const struct msb_port *p, struct err *err)
{
	if (p->flags & ~(uint32_t)MSB_PORT_UDP)
		return err_set(err, -EINVAL, "msb_port: there is no such flag");
	if (p->guest == 0)
		return err_set(err, -EINVAL,
		               "published port %u: the guest's cannot be 0",
		               p->host);
	return check_bind(p->bind, err);
}

static struct addr bind_of(const struct msb_port *p)
{
	struct addr a = addr_v4(0x7f000001);

	if (p->bind)
		(void)addr_parse(p->bind, &a);
	return a;
}

/* One of them, or all of a family, which has it, too. */
bool net_port_clash(const struct addr *a, const struct addr *b)
{
	static const struct addr any6;
	struct addr any = addr_is_v4(a) ? addr_v4(0) : any6;

	return addr_is_v4(a) == addr_is_v4(b) &&
	       (addr_eq(a, b) || addr_eq(a, &any) || addr_eq(b, &any));
}

static int check_twice(const struct msb_port *v, size_t n, struct err *err)
{
	for (size_t i = 0; i + 1 < n; i++) {
		const struct msb_port *a = &v[i], *b = &v[n - 1];
		struct addr x = bind_of(a), y = bind_of(b);

		if (a->host && a->host == b->host && a->flags == b->flags &&
		    net_port_clash(&x, &y))
			return err_set(err, -EINVAL,
			               "port %u of the host is published twice",
			               a->host);
	}
	return 0;
}

static int check_ports(const struct msb_network *n, struct err *err)
{
	struct msb_port v[MSB_PORTS_MAX];
	int r = 0;

	for (size_t i = 0; n->ports && n->ports[i] && r == 0; i++) {
		if (i == MSB_PORTS_MAX)
			return err_set(err, -E2BIG,
			               "too many published ports: at most %d",
			               MSB_PORTS_MAX);
		v[i] = (struct msb_port)MSB_PORT_INIT;
		if (!options_take(&v[i], sizeof(v[i]), n->ports[i]))
			return err_set(err, -EINVAL, "msb_port: wrong size");
		r = check_port(&v[i], err);
		if (r == 0)
			r = check_twice(v, i + 1, err);
	}
	return r;
}

/* ---- DNS and addresses --------------------------------------------------- */

static int check_servers(const struct msb_network *n, struct err *err)
{
	const char *const *s = n->nameservers;
	struct addr a;
	uint16_t port;

	for (size_t i = 0; s && s[i]; i++) {
		if (i == NETWORK_SERVERS_MAX)
			return err_set(err, -E2BIG,
			               "too many name servers: at most %d",
			               NETWORK_SERVERS_MAX);
		if (addr_parse_port(s[i], &a, &port) == 0 &&
		    addr_kind(&a) != ADDR_MULTICAST)
			continue;
		err_set(err, -EINVAL, "'%.100s' is no name server: %s", s[i],
		        "an address is, or ADDRESS:PORT");
		err_hint(err, "for example 1.1.1.1, 9.9.9.9:53 or [::1]:5353");
		return -EINVAL;
	}
	if (n->dns_timeout_ms > TIMEOUT_MAX)
		return err_set(err, -EINVAL,
		               "a query's time limit is %u ms at most",
		               TIMEOUT_MAX);
	return 0;
}

static int bad_pool(const char *text, bool v6, const char *why, struct err *err)
{
	err_set(err, -EINVAL, "'%.100s' is no pool of %s addresses: %s", text,
	        v6 ? "IPv6" : "IPv4", why);
	err_hint(err, "the default is %s; each sandbox gets a /%d of it",
	         v6 ? NETWORK_IPV6_POOL : NETWORK_IPV4_POOL, v6 ? 64 : 30);
	return -EINVAL;
}

/* The pool's first and last address are private, so all are. */
static bool is_private(const struct cidr *c)
{
	struct addr last = c->net;

	for (unsigned bit = c->bits; bit < 128; bit++)
		last.b[bit / 8] |= (uint8_t)(0x80 >> (bit % 8));
	return addr_kind(&c->net) == ADDR_PRIVATE &&
	       addr_kind(&last) == ADDR_PRIVATE;
}

int network_pool(const char *text, bool v6, struct cidr *ret, struct err *err)
{
	const char *pool = text ? text
	                   : v6 ? NETWORK_IPV6_POOL
	                        : NETWORK_IPV4_POOL;
	struct cidr c;
	int r = cidr_parse(pool, &c);

	if (r == -ERANGE)
		return bad_pool(pool, v6, "bits behind its prefix are set",
		                err);
	if (r < 0 || addr_is_v4(&c.net) == v6)
		return bad_pool(pool, v6, "ADDRESS/BITS is", err);
	if (c.bits > (v6 ? IPV6_SLOT : IPV4_SLOT))
		return bad_pool(pool, v6, "it is too small", err);
	if (!is_private(&c))
		return bad_pool(pool, v6, "they must be private ones", err);
	*ret = c;
	return 0;
}

static int check_addresses(const struct msb_network *n, struct err *err)
{
	struct cidr c;
	int r = network_pool(n->ipv4_pool, false, &c, err);

	if (r == 0)
		r = network_pool(n->ipv6_pool, true, &c, err);
	if (r == 0 && n->mtu && (n->mtu < MTU_MIN || n->mtu > MTU_MAX))
		r = err_set(err, -EINVAL, "MTU %u: between %u and %u", n->mtu,
		            MTU_MIN, MTU_MAX);
	return r;
}

/* ---- limits -------------------------------------------------------------- */

static int check_limits(const struct msb_network *n, struct err *err)
{
	const struct msb_rate *const rates[] = {
		&n->egress_bytes, &n->egress_packets, &n->ingress_bytes,
		&n->ingress_packets};

	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		if (rates[i]->burst && !rates[i]->per_second)
			return err_set(err, -EINVAL,
			               "network: a burst needs a rate");
		if (rates[i]->burst > RATE_MAX ||
		    rates[i]->per_second > RATE_MAX)
			return err_set(err, -EINVAL,
			               "network: the rate is too large");
	}
	if (n->max_connections > MSB_CONNECTIONS_MAX)
		return err_set(err, -EINVAL, "%u connections: at most %d",
		               n->max_connections, MSB_CONNECTIONS_MAX);
	return 0;
}

/* ---- proxy --------------------------------------------------------------- */

static int bad_proxy(const char *url, struct err *err)
{
	err_set(err, -EINVAL, "'%.100s' is no proxy", url);
	err_hint(err, "socks5://, socks4:// or http://, then ADDRESS:PORT; an "
	              "address, no name: for example socks5://127.0.0.1:1080");
	return -EINVAL;
}

int network_proxy_parse(const char *url, struct network_proxy *ret,
                        struct err *err)
{
	static const struct {
		const char *scheme, *kind;
	} kinds[] = {
		{"socks4://", "socks4" },
		{"socks5://", "socks5" },
		{"http://",   "connect"},
	};
	struct network_proxy p = {0};
	const char *rest = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(kinds) && !rest; i++) {
		size_t len = strlen(kinds[i].scheme);

		if (strncmp(url, kinds[i].scheme, len) == 0) {
			rest = url + len;
			p.kind = kinds[i].kind;
		}
	}
	if (!rest || addr_parse_port(rest, &p.addr, &p.port) < 0 || !p.port)
		return bad_proxy(url, err);
	*ret = p;
	return 0;
}

bool network_is_plain(const char *text, size_t len)
{
	json_t *cleanup_json j = json_stringn(text, len);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return j;
}

static int check_word(const char *what, const char *text, struct err *err)
{
	if (text && (!*text || strlen(text) > USER_MAX))
		return err_set(err, -EINVAL, "the %s has 1 to %d bytes", what,
		               USER_MAX);
	return !text || network_is_plain(text, strlen(text))
	               ? 0
	               : err_set(err, -EINVAL, "the %s is not plain text",
	                         what);
}

static int check_users(const struct msb_network *n, const char *kind,
                       struct err *err)
{
	int r = check_word("SOCKS4 user id", n->socks4_user_id, err);

	if (r == 0)
		r = check_word("SOCKS5 user name", n->socks5_username, err);
	if (r == 0)
		r = check_word("variable of the SOCKS5 password",
		               n->socks5_password_env, err);
	if (r < 0)
		return r;
	if (n->socks4_user_id && strcmp(kind, "socks4") != 0)
		return err_set(err, -EINVAL,
		               "a SOCKS4 user id needs a proxy socks4://");
	if (n->socks5_username && strcmp(kind, "socks5") != 0)
		return err_set(err, -EINVAL,
		               "a SOCKS5 user name needs a proxy socks5://");
	if (!n->socks5_username != !n->socks5_password_env)
		return err_set(err, -EINVAL,
		               "SOCKS5 user name and password are given "
		               "together");
	return 0;
}

static int check_proxy(const struct msb_network *n, struct err *err)
{
	struct network_proxy p = {.kind = ""};
	int r = n->proxy ? network_proxy_parse(n->proxy, &p, err) : 0;

	if (r == 0 && strcmp(p.kind, "socks4") == 0 && !addr_is_v4(&p.addr))
		r = err_set(err, -EINVAL, "a SOCKS4 proxy has an IPv4 address");
	return r < 0 ? r : check_users(n, p.kind, err);
}

/* ---- host sockets -------------------------------------------------------- */

static int bad_vsock(const char *text, const char *why, struct err *err)
{
	err_set(err, -EINVAL, "vsock '%.150s': %s", text, why);
	err_hint(err, "HOST_PATH:PORT[/stream|/dgram], as "
	              "/run/agent.sock:5000");
	return -EINVAL;
}

/* Of HOST_PATH:PORT[/KIND]: where the colon is, and the kind. */
static const char *split_vsock(const char *text, bool *ret_dgram, char *number,
                               size_t len)
{
	const char *colon = strrchr(text, ':'), *slash;

	if (!colon || colon == text)
		return NULL;
	slash = strchr(colon, '/');
	if (slash && strcmp(slash, "/stream") != 0 &&
	    strcmp(slash, "/dgram") != 0)
		return NULL;
	*ret_dgram = slash && slash[1] == 'd';
	if (!slash)
		slash = colon + strlen(colon);
	if ((size_t)(slash - colon) > len)
		return NULL;
	memcpy(number, colon + 1, (size_t)(slash - colon - 1));
	number[slash - colon - 1] = '\0';
	return colon;
}

int network_vsock_parse(const char *text, struct network_vsock *ret,
                        struct err *err)
{
	struct network_vsock v = {.path = text};
	char number[16];
	const char *colon = split_vsock(text, &v.dgram, number, sizeof(number)),
		   *slash;
	uint64_t port;

	if (!colon)
		return bad_vsock(text, "not of that form", err);
	v.path_len = (size_t)(colon - text);
	slash = memrchr(text, '/', v.path_len);
	if (*text != '/' || !slash || slash + 1 == colon)
		return bad_vsock(text, "the path is absolute, and a socket's",
		                 err);
	if (v.path_len >= PATH_MAX || colon - slash - 1 > NAME_MAX_LEN)
		return bad_vsock(text, "the path is too long", err);
	if (!network_is_plain(slash + 1, (size_t)(colon - slash - 1)))
		return bad_vsock("...", "the name is not plain text", err);
	if (!num_parse_u64(number, UINT32_MAX - 1, &port) || port == 0)
		return bad_vsock(text,
		                 "the port is not a number from 1 to "
		                 "4294967294",
		                 err);
	if (port == 123 || port == PROTO_PORT_BOOT || port == PROTO_PORT_AGENT)
		return bad_vsock(text, "that port is the machine's own", err);
	v.port = (uint32_t)port;
	*ret = v;
	return 0;
}

static int check_vsock(const struct msb_network *n, struct err *err)
{
	uint64_t seen[NETWORK_VSOCK_MAX];
	int r = 0;

	for (size_t i = 0; n->vsock && n->vsock[i] && r == 0; i++) {
		struct network_vsock v;

		if (i == NETWORK_VSOCK_MAX)
			return err_set(err, -E2BIG,
			               "too many host sockets: at most %d",
			               NETWORK_VSOCK_MAX);
		r = network_vsock_parse(n->vsock[i], &v, err);
		if (r < 0)
			return r;
		seen[i] = v.port | (uint64_t)v.dgram << 32;
		for (size_t k = 0; k < i && r == 0; k++)
			if (seen[k] == seen[i])
				r = bad_vsock(n->vsock[i],
				              "another has that port", err);
	}
	return r;
}

/* ---- the whole ----------------------------------------------------------- */

static int check_pcap(const struct msb_network *n, struct err *err)
{
	if (!n->pcap)
		return 0;
	if (!*n->pcap || n->pcap[strlen(n->pcap) - 1] == '/')
		return err_set(err, -EINVAL, "pcap: '%.200s' is no file",
		               n->pcap);
	if (strlen(n->pcap) >= PATH_MAX)
		return err_set(err, -EINVAL, "pcap: the path is too long");
	return 0;
}

/* Without an interface there is nothing that these could mean. */
static int check_disabled(const struct msb_network *n, struct err *err)
{
	const struct {
		bool set;
		const char *what;
	} rules[] = {
		{n->ports && *n->ports,                   "published ports" },
		{n->pcap,				 "a capture (pcap)"},
		{n->rules && *n->rules,                   "rules"           },
		{n->profile,			      "a profile"       },
		{n->proxy,				"a proxy"         },
		{n->default_egress || n->default_ingress, "defaults"        },
	};

	if (!(n->flags & MSB_NET_DISABLED))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i].set)
			return err_set(err, -EINVAL,
			               "the network is disabled: there cannot "
			               "be %s",
			               rules[i].what);
	return 0;
}

static int check_flags(const struct msb_network *n, struct err *err)
{
	const uint32_t known = MSB_NET_DISABLED | MSB_NET_STRICT |
	                       MSB_NET_NO_REBIND_PROTECTION |
	                       MSB_NET_TRUST_HOST_CAS | MSB_NET_LOG_DENIED;

	return n->flags & ~known ? err_set(err, -EINVAL,
	                                   "msb_network: there is no such flag")
	                         : check_disabled(n, err);
}

int network_check(const struct msb_network *given, struct err *err)
{
	static int (*const checks[])(const struct msb_network *n,
	                             struct err *err) = {
		check_flags,   check_policy,    check_ports,
		check_servers, check_addresses, check_limits,
		check_proxy,   check_vsock,     check_pcap,
	};
	struct msb_network n = MSB_NETWORK_INIT;
	int r = 0;

	if (!options_take(&n, sizeof(n), given))
		return err_set(err, -EINVAL, "msb_network: wrong size");
	for (size_t i = 0; i < ARRAY_SIZE(checks) && r == 0; i++)
		r = checks[i](&n, err);
	return r;
}
