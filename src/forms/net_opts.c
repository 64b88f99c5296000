#include "forms/net_opts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/num.h"

#include "base/banned.h"

#define WORD_MAX 64

/* In the order of enum msb_net_action. */
const char *const net_action_choices[] = {"", "allow", "deny", NULL};

static const char *const rate_names[NET_RATES] = {
	[NET_RATE_EGRESS_BYTES] = "net-egress-bandwidth",
	[NET_RATE_EGRESS_PACKETS] = "net-egress-ops",
	[NET_RATE_INGRESS_BYTES] = "net-ingress-bandwidth",
	[NET_RATE_INGRESS_PACKETS] = "net-ingress-ops",
};

static bool is_packets(int kind)
{
	return kind == NET_RATE_EGRESS_PACKETS ||
	       kind == NET_RATE_INGRESS_PACKETS;
}

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory");
}

void net_conf_release(struct net_conf *c)
{
	char *const texts[] = {c->profile,
	                       c->ipv4_pool,
	                       c->ipv6_pool,
	                       c->proxy,
	                       c->socks4_user_id,
	                       c->socks5_username,
	                       c->socks5_password_env,
	                       c->pcap};
	struct strv *const lists[] = {&c->first, &c->deny,       &c->allow,
	                              &c->rules, &c->ports,      &c->more_ports,
	                              &c->vsock, &c->nameservers};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(texts[i]);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		strv_release(lists[i]);
	for (int i = 0; i < NET_RATES; i++) {
		free(c->rate[i]);
		free(c->burst[i]);
	}
	*c = (struct net_conf){0};
}

/* ---- ports --------------------------------------------------------------- */

static int bad_port(const char *text, struct err *err)
{
	err_set(err, -EINVAL,
	        "--port: '%.100s' is not [BIND:]HOST:GUEST[/tcp|/udp]", text);
	err_hint(err, "for example 8080:80, 0.0.0.0:53:53/udp or "
	              "[::1]:8080:80");
	return -EINVAL;
}

/* The number that ends where @end is and begins behind a colon before it. */
static bool last_number(const char *text, const char *end, uint64_t min,
                        uint16_t *ret, const char **ret_begin)
{
	const char *p = end;
	char word[WORD_MAX];
	uint64_t n;

	while (p > text && p[-1] != ':' && p[-1] != ']')
		p--;
	if (p == end || (size_t)(end - p) >= sizeof(word))
		return false;
	memcpy(word, p, (size_t)(end - p));
	word[end - p] = '\0';
	if (!num_parse_u64(word, UINT16_MAX, &n) || n < min)
		return false;
	*ret = (uint16_t)n;
	*ret_begin = p;
	return true;
}

/* What is before HOST: "", or BIND and a colon; IPv6 in brackets. */
static bool split_bind(const char *text, const char *end, const char **ret,
                       size_t *ret_len)
{
	size_t len = (size_t)(end - text);

	*ret = text;
	*ret_len = 0;
	if (len == 0)
		return true;
	if (text[--len] != ':' || len == 0)
		return false;
	if (*text == '[') {
		if (len < 3 || text[len - 1] != ']')
			return false;
		*ret = text + 1;
		*ret_len = len - 2;
		return true;
	}
	*ret_len = len;
	return !memchr(text, ':', len);
}

int net_opts_port(const char *text, struct msb_port *ret, const char **ret_bind,
                  size_t *ret_len, struct err *err)
{
	struct msb_port p = MSB_PORT_INIT;
	const char *end = strrchr(text, '/'), *begin;

	if (end && strcmp(end, "/udp") == 0)
		p.flags = MSB_PORT_UDP;
	else if (end && strcmp(end, "/tcp") != 0)
		return bad_port(text, err);
	if (!end)
		end = text + strlen(text);
	if (!last_number(text, end, 1, &p.guest, &begin) || begin == text ||
	    begin[-1] != ':' ||
	    !last_number(text, begin - 1, 0, &p.host, &begin) ||
	    !split_bind(text, begin, ret_bind, ret_len))
		return bad_port(text, err);
	*ret = p;
	return 0;
}

static int make_ports(struct net_made *m, const struct strv *list, size_t *n,
                      struct err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		struct msb_port *p = &m->ports[*n];
		const char *bind;
		size_t len;
		int r = net_opts_port(list->v[i], p, &bind, &len, err);

		if (r < 0)
			return r;
		if (len) {
			if (strv_addn(&m->binds, bind, len) < 0)
				return no_memory(err);
			p->bind = m->binds.v[m->binds.n - 1];
		}
		m->pointers[(*n)++] = p;
	}
	return 0;
}

static int put_ports(struct net_made *m, const struct net_conf *c,
                     struct err *err)
{
	size_t n = 0, all = c->ports.n + c->more_ports.n;
	int r;

	m->ports = calloc(all + 1, sizeof(*m->ports));
	m->pointers = calloc(all + 1, sizeof(*m->pointers));
	if (!m->ports || !m->pointers)
		return no_memory(err);
	r = make_ports(m, &c->ports, &n, err);
	if (r == 0)
		r = make_ports(m, &c->more_ports, &n, err);
	m->network.ports = m->pointers;
	return r;
}

/* What is no address is not open to anybody; the library says so. */
static bool is_open(const char *bind)
{
	struct in6_addr a6;
	struct in_addr a;

	if (!bind)
		return false;
	if (inet_pton(AF_INET, bind, &a) == 1)
		return ntohl(a.s_addr) >> 24 != 127;
	return inet_pton(AF_INET6, bind, &a6) == 1 &&
	       !IN6_IS_ADDR_LOOPBACK(&a6);
}

void net_opts_notes(const struct msb_network *n, struct strv *ret)
{
	for (const struct msb_port *const *p = n->ports; p && *p; p++)
		if (is_open((*p)->bind))
			(void)strv_addf(ret,
			                "port %u of %s is open to other "
			                "machines, not to this one alone",
			                (*p)->host, (*p)->bind);
}

/* ---- rates --------------------------------------------------------------- */

static int bad_rate(const char *name, const char *text, bool packets,
                    struct err *err)
{
	err_set(err, -EINVAL, "--%s: '%.60s' is no %s", name, text,
	        packets ? "COUNT[/DURATION]" : "SIZE[/DURATION]");
	err_hint(err, packets ? "for example 1000, or 1000/1s"
	                      : "for example 10M, or 512K/1s");
	return -EINVAL;
}

static bool parse_amount(const char *text, bool packets, uint64_t *ret)
{
	bool fine = packets ? num_parse_u64(text, INT64_MAX / 4000, ret)
	                    : num_parse_size(text, 1, ret);

	return fine && *ret && *ret <= INT64_MAX / 4000;
}

/* How much, and in how many ms. */
static bool split_rate(const char *text, bool packets, uint64_t *ret,
                       uint64_t *ret_ms)
{
	size_t len = strcspn(text, "/");
	char amount[WORD_MAX];

	*ret_ms = 1000;
	if (len >= sizeof(amount))
		return false;
	memcpy(amount, text, len);
	amount[len] = '\0';
	if (text[len] &&
	    (!num_parse_duration_ms(text + len + 1, ret_ms) || *ret_ms == 0))
		return false;
	return parse_amount(amount, packets, ret);
}

static int make_rate(const struct net_conf *c, int kind, struct msb_rate *ret,
                     struct err *err)
{
	const char *text = c->rate[kind], *burst = c->burst[kind];
	const char *name = rate_names[kind];
	bool packets = is_packets(kind);
	uint64_t amount, ms;
	char full[WORD_MAX];

	if (!text && burst)
		return err_set(err, -EINVAL, "--%s-burst needs --%s", name,
		               name);
	if (!text)
		return 0;
	if (!split_rate(text, packets, &amount, &ms))
		return bad_rate(name, text, packets, err);
	/* In 128 bits: both are at most 2^63. */
	ret->per_second = (uint64_t)((unsigned __int128)amount * 1000 / ms);
	if (ret->per_second == 0 || ret->per_second > INT64_MAX / 4000)
		return err_set(err, -EINVAL, "--%s: '%s' is %s", name, text,
		               ret->per_second ? "too much"
		                               : "less than one a second");
	ret->burst = amount;
	(void)snprintf(full, sizeof(full), "%s-burst", name);
	return !burst || parse_amount(burst, packets, &ret->burst)
	               ? 0
	               : bad_rate(full, burst, packets, err);
}

static int put_rates(struct net_made *m, const struct net_conf *c,
                     struct err *err)
{
	struct msb_rate *const to[NET_RATES] = {
		[NET_RATE_EGRESS_BYTES] = &m->network.egress_bytes,
		[NET_RATE_EGRESS_PACKETS] = &m->network.egress_packets,
		[NET_RATE_INGRESS_BYTES] = &m->network.ingress_bytes,
		[NET_RATE_INGRESS_PACKETS] = &m->network.ingress_packets,
	};
	int r = 0;

	for (int i = 0; i < NET_RATES && r == 0; i++)
		r = make_rate(c, i, to[i], err);
	return r;
}

/* ---- the whole ----------------------------------------------------------- */

/*
 * A file's allow list is all that is allowed: no profile then, and nothing
 * comes in either when the file's policy is none.
 */
static void put_policy(struct net_made *m, const struct net_conf *c)
{
	bool none = c->profile && strcmp(c->profile, "none") == 0;

	m->network.profile = c->profile;
	m->network.default_egress = c->egress;
	m->network.default_ingress = c->ingress;
	if (c->allow.n && !none) {
		m->network.profile = NULL;
		if (!c->egress)
			m->network.default_egress = MSB_NET_DENY;
	}
}

static int put_rules(struct net_made *m, const struct net_conf *c)
{
	int r = strv_add_all(&m->rules, strv_list(&c->first));

	for (size_t i = 0; i < c->deny.n && r == 0; i++)
		r = strv_addf(&m->rules, "deny@%s", c->deny.v[i]);
	for (size_t i = 0; i < c->allow.n && r == 0; i++)
		r = strv_addf(&m->rules, "allow@%s", c->allow.v[i]);
	if (r == 0)
		r = strv_add_all(&m->rules, strv_list(&c->rules));
	m->network.rules = (const char *const *)strv_list(&m->rules);
	return r;
}

static void put_flags(struct msb_network *n, const struct net_conf *c)
{
	const struct {
		bool set;
		uint32_t flag;
	} flags[] = {
		{c->disabled,       MSB_NET_DISABLED            },
		{c->no_rebind,      MSB_NET_NO_REBIND_PROTECTION},
		{c->strict,         MSB_NET_STRICT              },
		{c->trust_host_cas, MSB_NET_TRUST_HOST_CAS      },
		{c->log_denied,     MSB_NET_LOG_DENIED          },
	};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].set)
			n->flags |= flags[i].flag;
}

static int fill(struct net_made *m, const struct net_conf *c, struct err *err)
{
	struct msb_network *n = &m->network;
	int r;

	*n = (struct msb_network){
		.size = sizeof(*n),
		.nameservers = (const char *const *)strv_list(&c->nameservers),
		.vsock = (const char *const *)strv_list(&c->vsock),
		.dns_timeout_ms = (uint32_t)MIN(c->dns_timeout_ms, UINT32_MAX),
		.ipv4_pool = c->ipv4_pool,
		.ipv6_pool = c->ipv6_pool,
		.mtu = c->mtu,
		.max_connections = c->max_connections,
		.proxy = c->proxy,
		.socks4_user_id = c->socks4_user_id,
		.socks5_username = c->socks5_username,
		.socks5_password_env = c->socks5_password_env,
		.pcap = c->pcap,
	};
	put_flags(n, c);
	put_policy(m, c);
	if (put_rules(m, c) < 0)
		return no_memory(err);
	r = put_rates(m, c, err);
	return r < 0 ? r : put_ports(m, c, err);
}

int net_conf_make(const struct net_conf *c, struct net_made **ret,
                  struct err *err)
{
	struct net_made *m = calloc(1, sizeof(*m));
	int r = m ? fill(m, c, err) : no_memory(err);

	if (r < 0)
		net_made_free(m);
	else
		*ret = m;
	return r;
}

void net_made_free(struct net_made *m)
{
	if (!m)
		return;
	strv_release(&m->rules);
	strv_release(&m->binds);
	free(m->ports);
	free(m->pointers);
	free(m);
}

/* ---- options ------------------------------------------------------------- */

static int check_conflicts(const struct net_values *v, struct err *err)
{
	const struct {
		bool a, b;
		const char *what;
	} pairs[] = {
		{v->no_net,     v->profiles.n, "--no-net and --net"                    },
		{v->no_net,     v->both,       "--no-net and --net-default"            },
		{v->no_net,     v->egress,     "--no-net and --net-default-egress"     },
		{v->no_net,     v->ingress,    "--no-net and --net-default-ingress"    },
		{v->profiles.n, v->both,       "--net and --net-default"               },
		{v->profiles.n, v->egress,     "--net and --net-default-egress"        },
		{v->profiles.n, v->ingress,    "--net and --net-default-ingress"       },
		{v->both,       v->egress,     "--net-default and --net-default-egress"},
		{v->both,       v->ingress,
	         "--net-default and --net-default-ingress"                             },
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (pairs[i].a && pairs[i].b)
			return err_set(err, -EINVAL, "%s exclude each other",
			               pairs[i].what);
	return 0;
}

/* --net a,b --net c is a,b,c. */
static int join_profiles(struct net_conf *c, const struct strv *list)
{
	struct buf cleanup_buf b = BUF_INIT;

	for (size_t i = 0; i < list->n; i++)
		(void)buf_printf(&b, "%s%s", i ? "," : "", list->v[i]);
	return buf_ok(&b) ? str_put(&c->profile, buf_str(&b)) : -ENOMEM;
}

static int replace_policy(struct net_conf *c, const struct net_values *v)
{
	if (!v->profiles.n && !v->no_net && !v->both && !v->egress &&
	    !v->ingress)
		return 0;
	free(c->profile);
	c->profile = NULL;
	strv_release(&c->allow);
	strv_release(&c->deny);
	strv_release(&c->rules);
	c->egress = v->no_net ? MSB_NET_DENY : v->both ? v->both : v->egress;
	c->ingress = v->no_net ? MSB_NET_DENY : v->both ? v->both : v->ingress;
	return v->profiles.n ? join_profiles(c, &v->profiles) : 0;
}

static int put_texts(struct net_conf *c, const struct net_values *v)
{
	const struct {
		char **to;
		const char *from;
	} texts[] = {
		{&c->ipv4_pool,           v->ipv4_pool          },
		{&c->ipv6_pool,           v->ipv6_pool          },
		{&c->proxy,               v->proxy              },
		{&c->socks4_user_id,      v->socks4_user_id     },
		{&c->socks5_username,     v->socks5_username    },
		{&c->socks5_password_env, v->socks5_password_env},
		{&c->pcap,                v->pcap               },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(texts) && r == 0; i++)
		r = str_put(texts[i].to, texts[i].from);
	for (int i = 0; i < NET_RATES && r == 0; i++) {
		r = str_put(&c->rate[i], v->rate[i]);
		if (r == 0)
			r = str_put(&c->burst[i], v->burst[i]);
	}
	return r;
}

static int put_lists(struct net_conf *c, const struct net_values *v)
{
	const struct {
		struct strv *to;
		const struct strv *from;
	} lists[] = {
		{&c->first,       &v->rules      },
		{&c->more_ports,  &v->ports      },
		{&c->nameservers, &v->nameservers},
		{&c->vsock,       &v->vsock      },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lists) && r == 0; i++)
		r = strv_add_all(lists[i].to, strv_list(lists[i].from));
	return r;
}

static void put_numbers(struct net_conf *c, const struct net_values *v)
{
	if (v->dns_timeout_ms)
		c->dns_timeout_ms = v->dns_timeout_ms;
	if (v->max_connections)
		c->max_connections = v->max_connections;
	if (v->mtu)
		c->mtu = v->mtu;
	c->no_rebind = c->no_rebind || v->no_rebind;
	c->strict = c->strict || v->strict;
	c->trust_host_cas = c->trust_host_cas || v->trust_host_cas;
	c->log_denied = c->log_denied || v->log_denied;
}

int net_opts_put(struct net_conf *c, const struct net_values *v,
                 struct err *err)
{
	int r = check_conflicts(v, err);

	if (r < 0)
		return r;
	put_numbers(c, v);
	if (replace_policy(c, v) < 0 || put_texts(c, v) < 0 ||
	    put_lists(c, v) < 0)
		return no_memory(err);
	return 0;
}

int net_opts_absolute(const char *path, char **ret)
{
	cleanup_free char *cwd = NULL;

	*ret = NULL;
	if (!path)
		return 0;
	cwd = *path == '/' ? strdup("") : getcwd(NULL, 0);
	if (!cwd)
		return -ENOMEM;
	if (asprintf(ret, "%s%s%s", cwd, *cwd ? "/" : "", path) < 0)
		return -ENOMEM;
	return 0;
}
