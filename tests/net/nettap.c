/*
 * nettap - the product's network stack with a TAP for its link: the guest is a
 * network namespace with the kernel's own TCP/IP. For tests with real programs
 * and for benches; the machine itself is not there.
 *
 *	nettap --netns NAME --tap tap0 [options]
 *
 * Opens the TAP in that namespace and serves it from its own. "ready" on
 * standard output says that it runs; then lines on standard input ask:
 *
 *	stats                    counters as JSON
 *	explain HOST PORT PROTO  net_explain()
 *
 * What is told to the user goes to standard error ("said: ..."), and why a
 * machine would end ("violated: ..."). --tls-fd N is an inherited socket to
 * msb-tls (base/tlslink.h), or to who plays it.
 *
 * The end of standard input is its end. The guest's side is the caller's to set
 * up: addresses 172.16.0.2/30 and fd42:6d73:62::2/64, gateways .1 and ::1, MAC
 * 02:00:00:00:00:02 (see netns.py).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "net/net.h"

#include "base/banned.h"

#define BATCH   64
#define BUF_LEN (VNET_HDR_LEN + NET_FRAME_MAX)

static struct {
	struct loop *loop;
	struct net *net;
	int tap;
	struct loop_fd tap_src, stdin_src;
	bool blocked; /* the TAP took no more */
	uint8_t *buf[BATCH];
} t = {.tap = -1};

static void die(const char *what, int error)
{
	fprintf(stderr, "nettap: %s: %s\n", what, strerror(error));
	exit(1);
}

/* ---- the link ------------------------------------------------------------ */

static int link_send(void *arg, const struct vnet_hdr *h, const struct iovec *v,
                     unsigned n, size_t len)
{
	struct iovec all[16] = {
		{(void *)(uintptr_t)h, VNET_HDR_LEN}
        };

	(void)arg;
	if (n + 1 > ARRAY_SIZE(all))
		return -EMSGSIZE;
	memcpy(all + 1, v, n * sizeof(*v));
	if (writev(t.tap, all, (int)n + 1) == (ssize_t)(len + VNET_HDR_LEN))
		return 0;
	if (errno != EAGAIN && errno != ENOBUFS)
		return 0; /* as on a wire: lost */
	t.blocked = true;
	(void)loop_mod(t.loop, &t.tap_src, EPOLLIN | EPOLLOUT);
	return -EAGAIN;
}

static void link_flush(void *arg)
{
	(void)arg;
}

static void read_frames(void)
{
	unsigned i = 0;

	for (; i < BATCH && net_wants(t.net); i++) {
		ssize_t n = read(t.tap, t.buf[i], BUF_LEN);
		struct iovec v = {t.buf[i] + VNET_HDR_LEN, 0};
		struct iov frame = {&v, 1, 0};
		struct vnet_hdr h;

		if (n < VNET_HDR_LEN)
			break;
		memcpy(&h, t.buf[i], sizeof(h));
		v.iov_len = frame.len = (size_t)n - VNET_HDR_LEN;
		net_input(t.net, &h, &frame);
	}
	net_batch_end(t.net);
	if (!net_wants(t.net)) /* resume() follows */
		(void)loop_mod(t.loop, &t.tap_src,
		               t.tap_src.events & ~(uint32_t)EPOLLIN);
}

static void link_resume(void *arg)
{
	(void)arg;
	(void)loop_mod(t.loop, &t.tap_src, t.tap_src.events | EPOLLIN);
}

static void on_tap(void *arg, uint32_t events)
{
	(void)arg;
	if (events & EPOLLERR) /* the namespace is gone */
		loop_stop(t.loop);
	if (events & EPOLLOUT) {
		t.blocked = false;
		(void)loop_mod(t.loop, &t.tap_src,
		               t.tap_src.events & ~(uint32_t)EPOLLOUT);
		net_writable(t.net);
	}
	if (events & EPOLLIN)
		read_frames();
}

static int enter_netns(const char *name)
{
	char path[128];
	cleanup_close int fd = -1;

	(void)snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 || setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
}

static int make_tap(const char *name, bool offload)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int hdr = VNET_HDR_LEN;

	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0 ||
	    ioctl(fd, TUNSETVNETHDRSZ, &hdr) < 0 ||
	    ioctl(fd, TUNSETOFFLOAD,
	          offload ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0) < 0)
		die("TAP", errno);
	return fd;
}

static void open_tap(const char *netns, const char *name, bool offload)
{
	cleanup_close int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int r = own < 0 ? -errno : enter_netns(netns);

	if (r < 0)
		die(netns, -r);
	t.tap = make_tap(name, offload);
	if (setns(own, CLONE_NEWNET) < 0)
		die("setns", errno);
}

/* ---- lines ----------------------------------------------------------------
 */

static void on_said(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "said: %s\n", line);
}

static void on_violated(void *arg, const char *why)
{
	(void)arg;
	fprintf(stderr, "violated: %s\n", why);
}

/* ---- questions ----------------------------------------------------------- */

static void say_stats(void)
{
	struct net_counters *c = net_counters(t.net);
	const struct {
		const char *name;
		uint64_t value;
	} list[] = {
		{"rx_bytes",          c->rx_bytes         },
		{"rx_packets",        c->rx_packets       },
		{"tx_bytes",          c->tx_bytes         },
		{"tx_packets",        c->tx_packets       },
		{"tcp_flows",         c->tcp_flows        },
		{"udp_flows",         c->udp_flows        },
		{"icmp_flows",        c->icmp_flows       },
		{"open",              c->open             },
		{"denied",            c->denied           },
		{"dns_queries",       c->dns_queries      },
		{"dns_denied",        c->dns_denied       },
		{"refused",           c->refused          },
		{"bad",               c->bad              },
		{"tls_flows",         c->tls_flows        },
		{"tls_refused",       c->tls_refused      },
		{"secrets_used",      c->secrets_used     },
		{"secret_violations", c->secret_violations},
		{"secrets_masked",    c->secrets_masked   },
	};

	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		printf("%s\"%s\": %llu", i ? ", " : "{", list[i].name,
		       (unsigned long long)list[i].value);
	printf("}\n");
}

static void say_explain(char *line)
{
	char *save = NULL, *host = strtok_r(line, " ", &save),
	     *port = strtok_r(NULL, " ", &save),
	     *proto = strtok_r(NULL, " ", &save);
	uint64_t number = 0;
	cleanup_free char *text = NULL;

	if (port)
		(void)num_parse_u64(port, UINT16_MAX, &number);
	text = net_explain(t.net, host ? host : "", (uint16_t)number,
	                   proto && strcmp(proto, "udp") == 0    ? POLICY_UDP
	                   : proto && strcmp(proto, "icmp") == 0 ? POLICY_ICMP
	                                                         : POLICY_TCP);
	printf("%s\n", text ? text : "null");
}

static void on_stdin(void *arg, uint32_t events)
{
	char line[1024];
	ssize_t n = read(0, line, sizeof(line) - 1);

	(void)arg;
	(void)events;
	if (n <= 0) {
		loop_stop(t.loop);
		return;
	}
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (strcmp(line, "stats") == 0)
		say_stats();
	else if (strncmp(line, "explain ", 8) == 0)
		say_explain(line + 8);
	(void)fflush(stdout);
}

/* ---- options ------------------------------------------------------------- */

struct args {
	const char *netns, *tap;
	bool offload;
	struct policy_spec spec;
	struct strv rules;
	struct net_config cfg;
};

static void parse_server(struct net_config *c, const char *text)
{
	struct net_dns_server *s = &c->servers[c->nservers++];

	if (addr_parse_port(text, &s->addr, &s->port) < 0)
		die(text, EINVAL);
	if (!s->port)
		s->port = 53;
}

static uint64_t number(const char *text)
{
	uint64_t n;

	if (!num_parse_u64(text, UINT64_MAX, &n))
		die(text, EINVAL);
	return n;
}

/* ADDR:PORT=GUEST[/udp] */
static void parse_port(struct net_config *c, const char *text)
{
	struct net_port *p = &c->ports[c->nports++];
	cleanup_free char *copy = strdup(text);
	char *eq = strchr(copy, '=');
	struct sockaddr_storage ss;
	struct addr a;
	uint16_t port;
	int one = 1;

	if (!eq)
		die(text, EINVAL);
	*eq++ = '\0';
	p->udp = strstr(eq, "/udp") != NULL;
	eq[strcspn(eq, "/")] = '\0';
	p->guest = (uint16_t)number(eq);
	if (addr_parse_port(copy, &a, &port) < 0)
		die(text, EINVAL);
	p->fd = socket(addr_is_v4(&a) ? AF_INET : AF_INET6,
	               (p->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC |
	                       SOCK_NONBLOCK,
	               0);
	(void)setsockopt(p->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(p->fd, (struct sockaddr *)&ss,
	         addr_to_sockaddr(&a, port, &ss)) < 0 ||
	    (!p->udp && listen(p->fd, 1024) < 0))
		die(text, errno);
}

/* PER_SECOND[,BURST] */
static struct net_rate parse_rate(char *text)
{
	char *comma = strchr(text, ',');
	struct net_rate r;

	if (comma)
		*comma++ = '\0';
	r.per_s = number(text);
	r.burst = comma ? number(comma) : r.per_s;
	return r;
}

/* KIND,ADDR:PORT[,USER,PASSWORD] */
static void parse_proxy(struct net_proxy *p, const char *text)
{
	static const char *const kinds[] = {"direct", "socks4", "socks5",
	                                    "connect"};
	cleanup_free char *copy = strdup(text);
	char *save = NULL, *word = strtok_r(copy, ",", &save);

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (word && strcmp(word, kinds[i]) == 0)
			p->kind = (enum net_proxy_kind)i;
	word = strtok_r(NULL, ",", &save);
	if (!word || addr_parse_port(word, &p->addr, &p->port) < 0)
		die(text, EINVAL);
	word = strtok_r(NULL, ",", &save);
	(void)snprintf(p->user, sizeof(p->user), "%s", word ? word : "");
	word = strtok_r(NULL, ",", &save);
	(void)snprintf(p->password, sizeof(p->password), "%s",
	               word ? word : "");
}

enum {
	O_NETNS = 256,
	O_TAP,
	O_NO_OFFLOAD,
	O_PROFILE,
	O_RULE,
	O_STRICT,
	O_DEFAULT_EGRESS,
	O_DNS,
	O_DNS_TIMEOUT,
	O_NO_REBIND,
	O_PORT,
	O_PROXY,
	O_PCAP,
	O_MTU,
	O_MAX,
	O_LOG_DENIED,
	O_EGRESS_BYTES,
	O_EGRESS_PACKETS,
	O_INGRESS_BYTES,
	O_INGRESS_PACKETS,
	O_TLS_FD,
};

static const struct option options[] = {
	{"netns",           required_argument, NULL, O_NETNS          },
	{"tap",             required_argument, NULL, O_TAP            },
	{"no-offload",      no_argument,       NULL, O_NO_OFFLOAD     },
	{"profile",         required_argument, NULL, O_PROFILE        },
	{"rule",            required_argument, NULL, O_RULE           },
	{"strict",          no_argument,       NULL, O_STRICT         },
	{"default-egress",  required_argument, NULL, O_DEFAULT_EGRESS },
	{"dns",             required_argument, NULL, O_DNS            },
	{"dns-timeout-ms",  required_argument, NULL, O_DNS_TIMEOUT    },
	{"no-rebind",       no_argument,       NULL, O_NO_REBIND      },
	{"port",            required_argument, NULL, O_PORT           },
	{"proxy",           required_argument, NULL, O_PROXY          },
	{"pcap",            required_argument, NULL, O_PCAP           },
	{"mtu",             required_argument, NULL, O_MTU            },
	{"max-connections", required_argument, NULL, O_MAX            },
	{"log-denied",      no_argument,       NULL, O_LOG_DENIED     },
	{"egress-bytes",    required_argument, NULL, O_EGRESS_BYTES   },
	{"egress-packets",  required_argument, NULL, O_EGRESS_PACKETS },
	{"ingress-bytes",   required_argument, NULL, O_INGRESS_BYTES  },
	{"ingress-packets", required_argument, NULL, O_INGRESS_PACKETS},
	{"tls-fd",          required_argument, NULL, O_TLS_FD         },
	{NULL,              0,                 NULL, 0                },
};

static void one_option(struct args *a, int o)
{
	struct net_config *c = &a->cfg;

	switch (o) {
	case O_NETNS:
		a->netns = optarg;
		break;
	case O_TAP:
		a->tap = optarg;
		break;
	case O_NO_OFFLOAD:
		a->offload = false;
		break;
	case O_PROFILE:
		a->spec.profile = optarg;
		break;
	case O_RULE:
		(void)strv_add(&a->rules, optarg);
		break;
	case O_STRICT:
		a->spec.strict = true;
		break;
	case O_DEFAULT_EGRESS:
		a->spec.egress = strcmp(optarg, "allow") == 0 ? POLICY_ALLOW
		                                              : POLICY_DENY;
		break;
	case O_DNS:
		parse_server(c, optarg);
		break;
	case O_DNS_TIMEOUT:
		c->dns_timeout_ms = (uint32_t)number(optarg);
		break;
	case O_NO_REBIND:
		c->rebind_protection = false;
		break;
	case O_PORT:
		parse_port(c, optarg);
		break;
	case O_PROXY:
		parse_proxy(&c->proxy, optarg);
		break;
	case O_PCAP:
		c->pcap_fd = open(optarg, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		break;
	case O_MTU:
		c->mtu = (uint16_t)number(optarg);
		break;
	case O_MAX:
		c->connections_max = (uint32_t)number(optarg);
		break;
	case O_LOG_DENIED:
		c->log_denied = true;
		break;
	case O_EGRESS_BYTES:
		c->egress_bytes = parse_rate(optarg);
		break;
	case O_EGRESS_PACKETS:
		c->egress_packets = parse_rate(optarg);
		break;
	case O_INGRESS_BYTES:
		c->ingress_bytes = parse_rate(optarg);
		break;
	case O_INGRESS_PACKETS:
		c->ingress_packets = parse_rate(optarg);
		break;
	case O_TLS_FD:
		c->tls_fd = (int)number(optarg);
		break;
	default:
		exit(2);
	}
}

static void set_defaults(struct args *a)
{
	static const uint8_t guest[] = {2, 0, 0, 0, 0, 2},
			     gateway[] = {2, 0, 0, 0, 0, 1};
	struct net_config *c = &a->cfg;

	memcpy(c->guest_mac, guest, sizeof(guest));
	memcpy(c->gateway_mac, gateway, sizeof(gateway));
	c->mtu = NET_MTU_DEFAULT;
	c->dns_timeout_ms = 5000;
	c->rebind_protection = true;
	c->pcap_fd = -1;
	c->say = on_said;
	c->violated = on_violated;
	(void)addr_parse("172.16.0.2", &c->guest4);
	(void)addr_parse("172.16.0.1", &c->gateway4);
	(void)addr_parse("fd42:6d73:62::2", &c->guest6);
	(void)addr_parse("fd42:6d73:62::1", &c->gateway6);
	a->netns = "nxg";
	a->tap = "tap0";
	a->offload = true;
}

static void raise_files(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
}

static void start(struct args *a)
{
	const struct net_link link = {.send = link_send,
	                              .flush = link_flush,
	                              .resume = link_resume,
	                              .csum = a->offload,
	                              .tso4 = a->offload,
	                              .tso6 = a->offload};
	struct policy *policy = NULL;
	struct err err = {0};

	a->spec.rules = &a->rules;
	if (policy_new(&a->spec, &policy, &err) < 0) {
		fprintf(stderr, "nettap: %s\n", err.msg);
		exit(2);
	}
	a->cfg.policy = policy;
	open_tap(a->netns, a->tap, a->offload);
	for (unsigned i = 0; i < BATCH; i++)
		t.buf[i] = malloc(BUF_LEN);
	t.loop = loop_new();
	if (!t.loop || net_new(&a->cfg, t.loop, &link, &t.net, &err) < 0) {
		fprintf(stderr, "nettap: %s\n", err.msg);
		exit(1);
	}
	if (loop_add(t.loop, &t.tap_src, t.tap, EPOLLIN, on_tap, NULL) < 0 ||
	    loop_add(t.loop, &t.stdin_src, 0, EPOLLIN, on_stdin, NULL) < 0)
		die("epoll", errno);
}

int main(int argc, char **argv)
{
	static struct args a;
	int o;

	(void)signal(SIGPIPE, SIG_IGN);
	set_defaults(&a);
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		one_option(&a, o);
	raise_files();
	start(&a);
	printf("ready\n");
	(void)fflush(stdout);
	(void)loop_run(t.loop);
	say_stats();
	net_free(t.net);
	loop_free(t.loop);
	return 0;
}
