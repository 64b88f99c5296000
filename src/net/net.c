/*
 * net.c - the order in which the parts of the stack are made, and the way of
 * a frame through them.
 */
#include "net/net_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "net/neigh.h"

#include "base/banned.h"

#define PCAP_LATE_NS (50 * NS_PER_MS)

#define CONNECTIONS_DEFAULT 4096

/* ---- sockets of the host ------------------------------------------------- */

int net_socket(struct net *n, int domain, int type, int protocol)
{
	int fd;

	if (n->cfg.host)
		return n->cfg.host->socket(n->cfg.host->arg, domain, type,
		                           protocol);
	fd = socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	return fd < 0 ? -errno : fd;
}

int net_connect(struct net *n, int fd, const struct addr *a, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(a, port, &ss);
	const struct sockaddr *sa = (const struct sockaddr *)&ss;

	if (n->cfg.host)
		return n->cfg.host->connect(n->cfg.host->arg, fd, sa, len);
	return connect(fd, sa, len) < 0 ? -errno : 0;
}

/* ---- to the guest -------------------------------------------------------- */

static uint64_t unix_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void on_ingress_open(struct wheel_timer *t)
{
	struct net *n = container_of(t, struct net, ingress_timer);

	net_writable(n);
	net_turn_end(n);
}

/* Over its rate: the sender stops as if the link had no room. */
static bool may_enter(struct net *n)
{
	uint64_t at;

	if (shape_open(&n->ingress, net_now(n), &at))
		return true;
	if (!wheel_is_set(&n->ingress_timer))
		wheel_set(&n->wheel, &n->ingress_timer, at, on_ingress_open);
	return false;
}

static void on_pcap(struct wheel_timer *t)
{
	struct net *n = container_of(t, struct net, pcap_timer);

	pcap_flush(n->pcap);
}

/* Who reads along sees it soon; a machine that is killed loses no more. */
static void capture(struct net *n, const struct iovec *v, unsigned nv,
                    size_t len)
{
	pcap_write(n->pcap, unix_ns(), v, nv, len);
	if (!wheel_is_set(&n->pcap_timer))
		wheel_set(&n->wheel, &n->pcap_timer, net_now(n) + PCAP_LATE_NS,
		          on_pcap);
}

int net_transmit(struct net *n, const struct vnet_hdr *h, const struct iovec *v,
                 unsigned nv, size_t len)
{
	int r;

	if (!may_enter(n))
		return -EAGAIN;
	r = n->link.send(n->link.arg, h, v, nv, len);
	if (r < 0)
		return r;
	n->sent = true;
	shape_take(&n->ingress, len);
	atomic_fetch_add_explicit(&n->counters.rx_bytes, len,
	                          memory_order_relaxed);
	atomic_fetch_add_explicit(&n->counters.rx_packets, 1,
	                          memory_order_relaxed);
	if (n->pcap)
		capture(n, v, nv, len);
	return 0;
}

void net_turn_end(struct net *n)
{
	if (!n->sent)
		return;
	n->sent = false;
	n->link.flush(n->link.arg);
}

/* Whoever comes first may leave nothing for the other, so they take turns. */
static void use_room(struct net *n)
{
	n->udp_first = !n->udp_first;
	if (n->udp_first)
		udp_writable(n);
	tcp_writable(n);
	if (!n->udp_first)
		udp_writable(n);
}

void net_writable(struct net *n)
{
	if (out_run(n))
		use_room(n);
	net_turn_end(n);
}

/* ---- from the guest ------------------------------------------------------ */

void net_bad(struct net *n, const char *why)
{
	atomic_fetch_add_explicit(&n->counters.bad, 1, memory_order_relaxed);
	log_limited(LOG_WARN, "network: a frame of the guest is dropped: %s",
	            why);
}

static void on_egress_open(struct wheel_timer *t)
{
	struct net *n = container_of(t, struct net, egress_timer);

	n->link.resume(n->link.arg);
	net_turn_end(n);
}

bool net_wants(struct net *n)
{
	uint64_t at;

	if (shape_open(&n->egress, net_now(n), &at))
		return true;
	if (!wheel_is_set(&n->egress_timer))
		wheel_set(&n->wheel, &n->egress_timer, at, on_egress_open);
	return false;
}

static void udp_or_dns(struct net *n, struct pkt *p)
{
	if (get_be16(p->head + p->l4 + 2) == DNS_PORT)
		dns_input(n, p);
	else
		udp_input(n, p);
}

static void icmp_or_nd(struct net *n, struct pkt *p)
{
	if (!p->v6 || !neigh_nd(n, p))
		icmp_input(n, p);
}

static const struct {
	uint8_t proto;
	bool v4, v6;
	void (*input)(struct net *n, struct pkt *p);
} protocols[] = {
	{PROTO_TCP,   true,  true,  tcp_input },
	{PROTO_UDP,   true,  true,  udp_or_dns},
	{PROTO_ICMP4, true,  false, icmp_or_nd},
	{PROTO_ICMP6, false, true,  icmp_or_nd},
};

void net_dispatch(struct net *n, struct pkt *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (protocols[i].proto == p->proto &&
		    (p->v6 ? protocols[i].v6 : protocols[i].v4)) {
			protocols[i].input(n, p);
			return;
		}
	icmp_error(n, p, ICMP_NO_PROTO, NULL, 0);
}

static void account(struct net *n, const struct iov *frame)
{
	atomic_fetch_add_explicit(&n->counters.tx_bytes, frame->len,
	                          memory_order_relaxed);
	atomic_fetch_add_explicit(&n->counters.tx_packets, 1,
	                          memory_order_relaxed);
	shape_take(&n->egress, frame->len);
	if (n->pcap)
		capture(n, frame->v, frame->n, frame->len);
}

void net_input(struct net *n, const struct vnet_hdr *h, struct iov *frame)
{
	struct pkt *p = &n->pkt;
	const char *why = "";

	account(n, frame);
	if (pkt_parse(h, frame, p, &why) < 0) {
		net_bad(n, why);
		return;
	}
	if (!neigh_is_guest(n, p)) {
		net_bad(n, "it is not from the guest's own address");
		return;
	}
	if (p->ethertype == ETH_TYPE_ARP)
		neigh_arp(n, p);
	else if (p->ethertype != ETH_TYPE_IP4 && p->ethertype != ETH_TYPE_IP6)
		net_bad(n, "it is neither IP nor ARP");
	else if (!p->fragment || frags_add(n->frags, p))
		net_dispatch(n, p);
}

void net_batch_end(struct net *n)
{
	tcp_batch_end(n);
	udp_batch_end(n);
	frags_done(n->frags);
	net_turn_end(n);
}

/* ---- life ---------------------------------------------------------------- */

void net_features(struct net *n, bool csum, bool tso4, bool tso6)
{
	n->link.csum = csum;
	n->link.tso4 = csum && tso4;
	n->link.tso6 = csum && tso6;
}

void net_reset(struct net *n)
{
	tcp_reset(n);
	udp_reset(n);
	dns_reset(n);
	icmp_reset(n);
	out_release(n);
	frags_reset(n->frags);
}

struct net_counters *net_counters(struct net *n)
{
	return &n->counters;
}

static int open_pins(struct net *n, struct err *err)
{
	n->pins = pins_new();
	return n->pins ? 0 : err_set(err, -ENOMEM, "no memory for the network");
}

/* Fakes answer for the kernel. */
static int open_hostaddr(struct net *n, struct err *err)
{
	if (n->cfg.host)
		return 0;
	n->hostaddr = hostaddr_new();
	return n->hostaddr ? 0
	                   : err_set(err, -errno,
	                             "cannot ask the kernel for its routes: %s",
	                             strerror(errno));
}

static int open_pcap(struct net *n, struct err *err)
{
	if (n->cfg.pcap_fd < 0)
		return 0;
	n->pcap = pcap_new(n->cfg.pcap_fd);
	n->cfg.pcap_fd = -1;
	if (n->pcap)
		pcap_flush(n->pcap); /* a capture of nothing is one, too */
	return n->pcap ? 0
	               : err_set(err, -errno, "cannot write the capture: %s",
	                         strerror(errno));
}

#define PLAIN(part)                                                            \
	static int open_##part(struct net *n, struct err *err)                 \
	{                                                                      \
		int r = part##_new(n, &n->part);                               \
                                                                               \
		return r < 0 ? err_set(err, r, "cannot start " #part ": %s",   \
		                       strerror(-r))                           \
		             : 0;                                              \
	}
PLAIN(frags)
PLAIN(icmp)
PLAIN(udp)
PLAIN(tcp)
#undef PLAIN

static int open_dns(struct net *n, struct err *err)
{
	return dns_new(n, &n->dns, err);
}

static int open_intercept(struct net *n, struct err *err)
{
	int r = n->cfg.tls_fd ? intercept_new(n, &n->intercept) : 0;

	return r < 0 ? err_set(err, r, "cannot speak to msb-tls: %s",
	                       strerror(-r))
	             : 0;
}

static int open_publish(struct net *n, struct err *err)
{
	return publish_new(n, &n->publish, err);
}

/* In this order; net_free() goes the other way round. */
static int (*const parts[])(struct net *n, struct err *err) = {
	open_hostaddr, open_pcap, open_pins, open_intercept, open_frags,
	open_icmp,     open_udp,  open_tcp,  open_dns,       open_publish,
};

void net_free(struct net *n)
{
	if (!n)
		return;
	publish_free(n->publish);
	dns_free(n->dns);
	tcp_free(n->tcp);
	udp_free(n->udp);
	icmp_free(n->icmp);
	frags_free(n->frags);
	out_release(n);
	intercept_free(n->intercept);
	pins_free(n->pins);
	pcap_free(n->pcap);
	hostaddr_free(n->hostaddr);
	wheel_release(&n->wheel);
	free(n);
}

int net_new(const struct net_config *cfg, struct loop *loop,
            const struct net_link *link, struct net **ret, struct err *err)
{
	struct net *n = calloc(1, sizeof(*n));
	int r = 0;

	if (!n)
		return err_set(err, -ENOMEM, "no memory for the network");
	n->cfg = *cfg;
	n->loop = loop;
	n->link = *link;
	n->kept_end = &n->kept;
	if (!n->cfg.connections_max)
		n->cfg.connections_max = CONNECTIONS_DEFAULT;
	wheel_init(&n->wheel, loop, net_now(n));
	shape_init(&n->egress, &cfg->egress_bytes, &cfg->egress_packets,
	           net_now(n));
	shape_init(&n->ingress, &cfg->ingress_bytes, &cfg->ingress_packets,
	           net_now(n));
	for (size_t i = 0; i < ARRAY_SIZE(parts) && r == 0; i++)
		r = parts[i](n, err);
	if (r < 0) {
		if (n->intercept)
			intercept_leave_link(n->intercept);
		net_free(n);
		return r;
	}
	*ret = n;
	return 0;
}
