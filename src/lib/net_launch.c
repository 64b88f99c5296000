#include "lib/net_launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "image/host_cas.h"
#include "lib/net_ports.h"
#include "lib/place.h"

#include "base/banned.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define RESOLV_MAX  (64u << 10)
#define PEM_MAX     (4u << 20) /* of a bundle with all its comments */
#define SLOT4_BITS  (128 - 30) /* of an IPv4 address: see addr.h */
#define DNS_PORT    53

void net_launch_release(struct net_launch *n)
{
	for (size_t i = 0; i < n->nports; i++)
		close_fd(&n->ports[i].fd);
	for (size_t i = 0; i < n->nvsock; i++)
		close_fd(&n->vsock[i].dir_fd);
	close_fd(&n->pcap_fd);
	close_fd(&n->tls_fd);
	strv_release(&n->servers);
	free(n->ports);
	free(n->vsock);
	if (n->password)
		explicit_bzero(n->password, strlen(n->password));
	free(n->password);
	free(n->cas);
	*n = (struct net_launch)NET_LAUNCH_INIT;
}

/* ---- addresses ----------------------------------------------------------- */

/* splitmix64: what differs in one bit of @id or @use differs in half of all. */
static uint64_t mix(uint64_t id, uint64_t use)
{
	uint64_t z = id + use * 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t id_number(const char *id)
{
	uint64_t n = 0xcbf29ce484222325u;

	for (; *id; id++)
		n = (n ^ (unsigned char)*id) * 0x100000001b3u;
	return n;
}

/* Sets the bits from @from to @to (of 128) to the low ones of @value. */
static void put_bits(struct addr *a, unsigned from, unsigned to, uint64_t value)
{
	for (unsigned bit = to; bit-- > from; value >>= 1)
		if (value & 1)
			a->b[bit / 8] |= (uint8_t)(0x80 >> (bit % 8));
}

/* The network's first two addresses behind its own: gateway, guest. */
static void take_slot(const struct cidr *pool, unsigned bits, uint64_t number,
                      struct addr *gateway, struct addr *guest)
{
	*gateway = pool->net;
	put_bits(gateway, pool->bits, bits, number);
	*guest = *gateway;
	put_bits(gateway, 96, 128, 1);
	put_bits(guest, 96, 128, 2);
}

/* Locally administered; the guest's and the gateway's differ in one bit. */
static void take_macs(uint64_t number, struct net_plan *p)
{
	unsigned a = (unsigned)(number >> 32) & 0xff,
		 b = (unsigned)(number >> 24) & 0xff,
		 c = (unsigned)(number >> 16) & 0xff,
		 d = (unsigned)(number >> 8) & 0xff,
		 e = (unsigned)number & 0xfe;

	(void)snprintf(p->guest_mac, sizeof(p->guest_mac),
	               "02:%02x:%02x:%02x:%02x:%02x", a, b, c, d, e);
	(void)snprintf(p->gateway_mac, sizeof(p->gateway_mac),
	               "02:%02x:%02x:%02x:%02x:%02x", a, b, c, d, e | 1);
}

int net_plan_make(const struct msb_network *opts, const char *id,
                  struct net_plan *ret, struct err *err)
{
	uint64_t number = id_number(id);
	struct net_plan p = {0};
	struct cidr pool4, pool6;
	int r = network_pool(opts->ipv4_pool, false, &pool4, err);

	if (r == 0)
		r = network_pool(opts->ipv6_pool, true, &pool6, err);
	if (r < 0)
		return r;
	take_slot(&pool4, 126, mix(number, 1), &p.gateway4, &p.guest4);
	take_slot(&pool6, 64, mix(number, 2), &p.gateway6, &p.guest6);
	take_macs(mix(number, 3), &p);
	*ret = p;
	return 0;
}

/* ---- name servers -------------------------------------------------------- */

static int add_server(const struct addr *a, uint16_t port, struct strv *ret)
{
	char text[ADDR_TEXT_MAX];

	(void)addr_text(a, text);
	return strv_addf(ret, addr_is_v4(a) ? "%s:%u" : "[%s]:%u", text,
	                 port ? port : DNS_PORT);
}

/* A line "nameserver ADDR"; a zone (%eth0) is not ours to reach. */
static bool read_server(const char *line, size_t len, struct addr *ret)
{
	static const char key[] = "nameserver";
	char word[ADDR_TEXT_MAX];
	size_t n;

	if (len <= strlen(key) || strncmp(line, key, strlen(key)) != 0 ||
	    !strchr(" \t", line[strlen(key)]))
		return false;
	line += strlen(key);
	line += strspn(line, " \t");
	n = strcspn(line, " \t\r\n#;");
	if (n == 0 || n >= sizeof(word))
		return false;
	memcpy(word, line, n);
	word[n] = '\0';
	return addr_parse(word, ret) == 0;
}

int net_servers_read(const char *text, struct strv *ret)
{
	const struct addr localhost = addr_v4(0x7f000001);
	int r = 0;

	while (*text && ret->n < NETWORK_SERVERS_MAX && r == 0) {
		size_t len = strcspn(text, "\n");
		struct addr a;

		if (read_server(text, len, &a))
			r = add_server(&a, DNS_PORT, ret);
		text += len + (text[len] == '\n');
	}
	/* As libc does. */
	return r == 0 && ret->n == 0 ? add_server(&localhost, DNS_PORT, ret)
	                             : r;
}

static int take_servers(struct net_launch *n)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(RESOLV_MAX);
	int r = 0;

	for (const char *const *s = n->opts->nameservers; s && *s && r == 0;
	     s++) {
		struct addr a;
		uint16_t port;

		r = addr_parse_port(*s, &a, &port);
		if (r == 0)
			r = add_server(&a, port, &n->servers);
	}
	if (r < 0 || n->servers.n)
		return r;
	if (file_read(AT_FDCWD, RESOLV_CONF, &b) < 0)
		buf_reset(&b); /* there is none: see above */
	return net_servers_read(buf_str(&b), &n->servers);
}

/* ---- certificates -------------------------------------------------------- */

char *net_cas_read(const char *text)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----",
			  end[] = "-----END CERTIFICATE-----";
	struct buf cleanup_buf b = BUF_INIT_MAX(NET_LAUNCH_CAS_MAX);
	const char *p = text, *q;

	while ((p = strstr(p, begin)) && (q = strstr(p, end))) {
		q += strlen(end);
		(void)buf_add(&b, p, (size_t)(q - p));
		(void)buf_addc(&b, '\n');
		p = q;
	}
	return buf_ok(&b) && b.len ? buf_steal(&b) : NULL;
}

int net_host_cas(char **ret, struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(PEM_MAX);
	const char *path = host_cas_path();

	if (!path || file_read(AT_FDCWD, path, &b) < 0) {
		err_set(err, -ENOENT,
		        "this host's trusted certificates were not found");
		err_hint(err, "set SSL_CERT_FILE to a PEM file that can be "
		              "read");
		return -ENOENT;
	}
	*ret = net_cas_read(buf_str(&b));
	return *ret ? 0
	            : err_set(err, -EINVAL,
	                      "%s: no certificates, or more than %u KiB", path,
	                      NET_LAUNCH_CAS_MAX >> 10);
}

static int take_cas(struct net_launch *n, struct err *err)
{
	return n->opts->flags & MSB_NET_TRUST_HOST_CAS
	               ? net_host_cas(&n->cas, err)
	               : 0;
}

int net_launch_add_ca(struct net_launch *n, const char *pem, struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(NET_LAUNCH_CAS_MAX);
	char *all;

	(void)buf_printf(&b, "%s%s", n->cas ? n->cas : "", pem);
	if (!buf_ok(&b))
		return err_set(err, -E2BIG,
		               "this host trusts so many authorities that "
		               "there is no room for the sandbox's own");
	all = buf_steal(&b);
	if (!all)
		return -ENOMEM;
	free(n->cas);
	n->cas = all;
	return 0;
}

/* ---- proxy --------------------------------------------------------------- */

static int take_password(struct net_launch *n, const char *variable,
                         struct err *err)
{
	const char *value = getenv(variable);

	if (!value || !*value) {
		err_set(err, -EINVAL,
		        "the SOCKS5 password is in the variable %s, which is "
		        "not set here",
		        variable);
		err_hint(err, "it is read at each start and kept nowhere");
		return -EINVAL;
	}
	if (strlen(value) > 255 || !network_is_plain(value, strlen(value)))
		return err_set(err, -EINVAL,
		               "the SOCKS5 password in %s is not plain text of "
		               "at most 255 bytes",
		               variable);
	n->password = strdup(value);
	return n->password ? 0 : -ENOMEM;
}

static int take_proxy(struct net_launch *n, struct err *err)
{
	int r = n->opts->proxy
	                ? network_proxy_parse(n->opts->proxy, &n->proxy, err)
	                : 0;

	if (r == 0 && n->opts->socks5_password_env)
		r = take_password(n, n->opts->socks5_password_env, err);
	return r;
}

/* ---- host sockets -------------------------------------------------------- */

static int open_vsock(struct net_launch *n, const char *text, struct err *err)
{
	struct net_launch_vsock *v = &n->vsock[n->nvsock];
	struct network_vsock parsed;
	cleanup_free char *dir = NULL;
	const char *slash;
	int r = network_vsock_parse(text, &parsed, err);

	if (r < 0)
		return r;
	slash = memrchr(parsed.path, '/', parsed.path_len);
	dir = strndup(parsed.path, MAX((size_t)(slash - parsed.path), 1u));
	if (!dir)
		return -ENOMEM;
	(void)snprintf(v->name, sizeof(v->name), "%.*s",
	               (int)(parsed.path + parsed.path_len - slash - 1),
	               slash + 1);
	v->port = parsed.port;
	v->dgram = parsed.dgram;
	v->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (v->dir_fd < 0)
		return err_set(err, -errno, "vsock '%.150s': folder %s: %s",
		               text, dir, strerror(errno));
	n->nvsock++;
	return 0;
}

static int open_vsocks(struct net_launch *n, struct err *err)
{
	const char *const *list = n->opts->vsock;
	int r = 0;

	if (!list || !*list)
		return 0;
	n->vsock = calloc(NETWORK_VSOCK_MAX, sizeof(*n->vsock));
	if (!n->vsock)
		return -ENOMEM;
	for (; *list && r == 0; list++)
		r = open_vsock(n, *list, err);
	return r;
}

/* ---- the whole ----------------------------------------------------------- */

int net_launch_open(struct net_launch *n, const struct msb_network *opts,
                    const char *id, struct msb_home *home, struct err *err)
{
	int r = network_check(opts, err);

	n->opts = opts;
	if (r == 0)
		r = net_plan_make(opts, id, &n->plan, err);
	if (r == 0)
		r = take_proxy(n, err);
	if (r == 0)
		r = take_cas(n, err);
	if (r == 0)
		r = take_servers(n);
	if (r == 0)
		r = open_vsocks(n, err);
	if (r == 0)
		r = net_ports_open(n, home, err);
	return r;
}

/*
 * A new file each time: one that still reads the old capture keeps it, and no
 * link of that name leads our writing elsewhere.
 */
static int make_pcap(const char *path)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = open(path, flags, 0600);
	struct stat st;

	if (fd >= 0 || errno != EEXIST)
		return fd < 0 ? -errno : fd;
	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISLNK(st.st_mode) ? -ELOOP : -EEXIST;
	if (st.st_uid != geteuid())
		return -EPERM;
	if (unlink(path) < 0)
		return -errno;
	fd = open(path, flags, 0600);
	return fd < 0 ? -errno : fd;
}

static int open_pcap(struct net_launch *n, struct err *err)
{
	const char *path = n->opts->pcap;

	if (!path)
		return 0;
	n->pcap_fd = make_pcap(path);
	if (n->pcap_fd >= 0)
		return 0;
	return err_set(err, n->pcap_fd, "pcap: cannot make %s: %s", path,
	               n->pcap_fd == -ELOOP    ? "it is a symbolic link"
	               : n->pcap_fd == -EEXIST ? "it is there, and no file"
	               : n->pcap_fd == -EPERM  ? "it is another user's"
	                                       : strerror(-n->pcap_fd));
}

int net_launch_commit(struct net_launch *n, const struct place *p,
                      struct err *err)
{
	int r = open_pcap(n, err);

	return r < 0 ? r : net_ports_write(n, p, err);
}

/* ---- for msb-vmm --------------------------------------------------------- */

int net_launch_each_fd(const struct net_launch *n, int (*fn)(void *arg, int fd),
                       void *arg)
{
	int r = 0;

	for (size_t i = 0; i < n->nports && r == 0; i++)
		r = fn(arg, n->ports[i].fd);
	if (n->pcap_fd >= 0 && r == 0)
		r = fn(arg, n->pcap_fd);
	if (n->tls_fd >= 0 && r == 0)
		r = fn(arg, n->tls_fd);
	for (size_t i = 0; i < n->nvsock && r == 0; i++)
		r = fn(arg, n->vsock[i].dir_fd);
	return r;
}

static json_t *text_list(char *const *list)
{
	json_t *a = json_array();
	int r = 0;

	for (; list && *list && r == 0; list++)
		r = json_array_append_new(a, json_string(*list));
	if (r < 0) {
		json_decref(a);
		return NULL;
	}
	return a;
}

static json_t *ports_json(const struct net_launch *n, int *next)
{
	json_t *a = json_array();
	int r = 0;

	for (size_t i = 0; i < n->nports && r == 0; i++)
		r = json_array_append_new(a, json_pack("{s:i, s:i, s:b}", "fd",
		                                       (*next)++, "guest",
		                                       n->ports[i].guest, "udp",
		                                       n->ports[i].udp));
	if (r < 0) {
		json_decref(a);
		return NULL;
	}
	return a;
}

static json_t *proxy_json(const struct net_launch *n)
{
	const struct msb_network *o = n->opts;
	const char *user = o->socks5_username  ? o->socks5_username
	                   : o->socks4_user_id ? o->socks4_user_id
	                                       : "";
	char text[ADDR_TEXT_MAX];

	if (!n->proxy.kind)
		return json_null();
	return json_pack("{s:s, s:s, s:i, s:s, s:s}", "kind", n->proxy.kind,
	                 "address", addr_text(&n->proxy.addr, text), "port",
	                 n->proxy.port, "user", user, "password",
	                 n->password ? n->password : "");
}

static json_t *rate_json(const struct msb_rate *r)
{
	uint64_t burst = r->burst ? r->burst : r->per_second;

	return json_pack("[I, I]", (json_int_t)r->per_second,
	                 (json_int_t)(r->per_second ? burst : 0));
}

static int add_addresses(json_t *o, const struct net_plan *p)
{
	const struct {
		const char *key;
		const struct addr *a;
	} addresses[] = {
		{"guest4",   &p->guest4  },
		{"gateway4", &p->gateway4},
		{"guest6",   &p->guest6  },
		{"gateway6", &p->gateway6},
	};
	char text[ADDR_TEXT_MAX];
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		r |= json_object_set_new(
			o, addresses[i].key,
			json_string(addr_text(addresses[i].a, text)));
	return r;
}

static int add_policy(json_t *o, const struct msb_network *n)
{
	int r = json_object_set_new(o, "profile",
	                            n->profile ? json_string(n->profile)
	                                       : json_null());

	r |= json_object_set_new(o, "rules",
	                         text_list((char *const *)(uintptr_t)n->rules));
	r |= json_object_set_new(
		o, "default_egress",
		json_string(network_action_name(n->default_egress)));
	r |= json_object_set_new(
		o, "default_ingress",
		json_string(network_action_name(n->default_ingress)));
	r |= json_object_set_new(o, "strict",
	                         json_boolean(n->flags & MSB_NET_STRICT));
	return r;
}

static int add_limits(json_t *o, const struct msb_network *n)
{
	int r = json_object_set_new(o, "egress_bytes",
	                            rate_json(&n->egress_bytes));

	r |= json_object_set_new(o, "egress_packets",
	                         rate_json(&n->egress_packets));
	r |= json_object_set_new(o, "ingress_bytes",
	                         rate_json(&n->ingress_bytes));
	r |= json_object_set_new(o, "ingress_packets",
	                         rate_json(&n->ingress_packets));
	return r;
}

static json_t *net_json(const struct net_launch *n, int *next)
{
	const struct msb_network *o = n->opts;
	json_t *ports = ports_json(n, next);
	int pcap = n->pcap_fd >= 0 ? (*next)++ : -1, r = 0;
	json_t *net = json_pack(
		"{s:s, s:s, s:I, s:i, s:i, s:o, s:I, s:b, s:o, s:I, s:o, s:i, "
		"s:b}",
		"guest_mac", n->plan.guest_mac, "gateway_mac",
		n->plan.gateway_mac, "mtu",
		(json_int_t)(o->mtu ? o->mtu : NETWORK_MTU), "prefix4", 30,
		"prefix6", 64, "dns_servers", text_list(strv_list(&n->servers)),
		"dns_timeout_ms",
		(json_int_t)(o->dns_timeout_ms ? o->dns_timeout_ms
	                                       : NETWORK_DNS_MS),
		"rebind_protection", !(o->flags & MSB_NET_NO_REBIND_PROTECTION),
		"ports", ports, "max_connections",
		(json_int_t)(o->max_connections ? o->max_connections
	                                        : MSB_CONNECTIONS_DEFAULT),
		"proxy", proxy_json(n), "pcap_fd", pcap, "log_denied",
		(o->flags & MSB_NET_LOG_DENIED) != 0);

	if (net && n->tls_fd >= 0)
		r = json_object_set_new(net, "tls_fd", json_integer((*next)++));
	if (net && r == 0)
		r = add_addresses(net, &n->plan) | add_policy(net, o) |
		    add_limits(net, o);
	if (r < 0) {
		json_decref(net);
		return NULL;
	}
	return net;
}

static json_t *vsock_json(const struct net_launch *n, int *next)
{
	json_t *a = json_array();
	int r = 0;

	for (size_t i = 0; i < n->nvsock && r == 0; i++) {
		const struct net_launch_vsock *v = &n->vsock[i];

		r = json_array_append_new(
			a, json_pack("{s:I, s:i, s:s, s:b}", "port",
		                     (json_int_t)v->port, "dir_fd", (*next)++,
		                     "name", v->name, "dgram", v->dgram));
	}
	if (r < 0) {
		json_decref(a);
		return NULL;
	}
	return a;
}

int net_launch_json(const struct net_launch *n, json_t *config, int *next)
{
	int r = 0;

	if (n->opts && !(n->opts->flags & MSB_NET_DISABLED))
		r = json_object_set_new(config, "net", net_json(n, next));
	r |= json_object_set_new(config, "vsock", vsock_json(n, next));
	r |= json_object_set_new(config, "cas",
	                         json_string(n->cas ? n->cas : ""));
	return r;
}
