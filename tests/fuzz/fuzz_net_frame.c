/*
 * Frames of a hostile guest into the whole stack: the input is a list of steps
 * (frames as they are, or with headers that are right; the clock; the link's
 * room; what the host's ends of the flows do), over one life of a network.
 * There are no sockets of the host: each is one end of a socket pair, the other
 * one is the fuzzer's.
 *
 * What must hold: every frame to the guest is one that a kernel takes (whole,
 * right sums, from the gateway's MAC address, to the guest's addresses), queues
 * keep their bounds, and after the end no socket is left.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/frames.h"

#include "base/clock.h"
#include "base/cursor.h"
#include "base/log.h"
#include "base/num.h"
#include "net/frag.h"
#include "net/net_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define BATCH     64
#define PAIRS_MAX 64
#define CONNS     8 /* TCP connections that the fuzzer knows the numbers of */
#define CONN_PORT 40000
#define STEPS_MAX 2000
#define NAMES     2 /* in policies[] */

static struct net *net;
static struct loop *loop;
static uint64_t now;
static struct policy *policies[3];
static int mine[PAIRS_MAX], theirs[PAIRS_MAX];
static unsigned npairs, connects, outcome;
static unsigned room; /* frames that the link takes */
static struct {
	uint32_t seq, ack;
} conn[CONNS];

static struct fr frame[BATCH];
static struct iovec piece[BATCH][80];
static unsigned nframes;

/* ---- the host ------------------------------------------------------------ */

static uint64_t host_now(void *arg)
{
	(void)arg;
	return now;
}

static int host_socket(void *arg, int domain, int type, int protocol)
{
	int fd[2];

	(void)arg;
	(void)domain;
	(void)protocol;
	if (npairs == PAIRS_MAX)
		return -EMFILE;
	type &= ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert(type == SOCK_STREAM || type == SOCK_DGRAM);
	if (socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
		return -errno;
	mine[npairs] = fd[0];
	theirs[npairs++] = fd[1];
	return fd[1];
}

static int host_connect(void *arg, int fd, const struct sockaddr *sa,
                        socklen_t len)
{
	static const int outcomes[] = {0, -EINPROGRESS, -ECONNREFUSED,
	                               -ENETUNREACH};

	(void)arg;
	(void)fd;
	(void)len;
	assert(sa->sa_family == AF_INET || sa->sa_family == AF_INET6);
	connects++;
	return outcomes[outcome % ARRAY_SIZE(outcomes)];
}

static bool host_is_local(void *arg, const struct addr *a)
{
	(void)arg;
	return addr_kind(a) == ADDR_LOOPBACK;
}

static const struct net_host_ops host = {.now_ns = host_now,
                                         .socket = host_socket,
                                         .connect = host_connect,
                                         .is_local = host_is_local};

/* ---- the link ------------------------------------------------------------ */

/* Take it for what the connection's next segment is told from. */
static void follow(const struct pkt *p)
{
	const uint8_t *t = p->head + p->l4;
	unsigned i = get_be16(t + 2) - CONN_PORT;

	if (p->proto != PROTO_TCP || i >= CONNS)
		return;
	conn[i].ack =
		get_be32(t + 4) + (uint32_t)p->payload.len + !!(t[13] & 3);
	if (t[13] & 16)
		conn[i].seq = get_be32(t + 8);
}

static void check_sum(const struct fr *f, const struct vnet_hdr *h,
                      const struct pkt *p)
{
	if (h->flags & VNET_NEEDS_CSUM) {
		assert(h->csum_start == p->l4);
		assert(h->csum_start + h->csum_offset + 2U <= f->len);
	} else if (!p->fragment) {
		assert(fr_l4_sum(f, p->l4, p->proto) == 0xffff);
	}
}

static void check_frame(const struct fr *f, const struct vnet_hdr *h)
{
	struct fr *copy = malloc(sizeof(*copy));
	struct iovec v = {copy->b, f->len};
	struct iov s = {&v, 1, f->len};
	const char *why = "";
	struct pkt p;

	memcpy(copy->b, f->b, f->len);
	assert(memcmp(f->b, GUEST_MAC GATEWAY_MAC, 12) == 0);
	if (pkt_parse(h, &s, &p, &why) < 0) {
		fprintf(stderr, "to the guest: %s\n", why);
		abort();
	}
	assert(!p.vlan_or_odd);
	if (p.ethertype != ETH_TYPE_ARP) {
		assert(h->gso_type || p.ip_len <= net->cfg.mtu);
		assert(!p.v6 || (f->b[14 + 24] == 0xfe || p.dst.b[0] == 0xff ||
		                 addr_eq(&p.dst, &net->cfg.guest6)));
		assert(p.v6 || addr_eq(&p.dst, &net->cfg.guest4));
		assert(!h->gso_type ||
		       (p.v6 ? net->link.tso6 : net->link.tso4));
		check_sum(f, h, &p);
		follow(&p);
	}
	free(copy);
}

static int link_send(void *arg, const struct vnet_hdr *h, const struct iovec *v,
                     unsigned nv, size_t len)
{
	static struct fr f;
	unsigned i;

	(void)arg;
	if (!room)
		return -EAGAIN;
	room--;
	f.len = 0;
	for (i = 0; i < nv; i++)
		fr_add(&f, v[i].iov_base, v[i].iov_len);
	assert(f.len == len && len <= NET_FRAME_MAX);
	check_frame(&f, h);
	return 0;
}

static void link_flush(void *arg)
{
	(void)arg;
}

static const struct net_link link_ops = {
	.send = link_send, .flush = link_flush, .resume = link_flush};

/* ---- frames -------------------------------------------------------------- */

static const char *const places[] = {
	GATEWAY4,          GATEWAY6,         "203.0.113.9",
	"2a00:1450::9",    "8.8.8.8",        "10.1.2.3",
	"fd00::1",         "127.0.0.1",      "::1",
	"224.0.0.251",     "ff02::1",        "255.255.255.255",
	"169.254.169.254", "64:ff9b::a01:1", "0.0.0.0",
	"fe80::ff:fe00:1",
};

static const uint16_t ports[] = {53, 80, 443, 853, 5353, 123, 8080, 0};

static void batch_end(void)
{
	net_batch_end(net);
	nframes = 0;
}

/* In pieces of @cut bytes, as a driver's descriptors may be. */
static void input(struct fr *f, uint8_t how, uint8_t gso)
{
	const struct vnet_hdr h = {.flags = how & 1, .gso_type = gso};
	struct iovec *v = piece[nframes++];
	struct iov s = {v, 0, f->len};
	size_t cut = how >> 1 ? how >> 1 : f->len, off;

	cut = MAX(cut, f->len / 70 + 1);
	for (off = 0; off < f->len; off += cut)
		v[s.n++] = (struct iovec){f->b + off, MIN(cut, f->len - off)};
	net_input(net, &h, &s);
	if (nframes == BATCH)
		batch_end();
}

static void add_rest(struct cursor *c, struct fr *f)
{
	size_t len = cur_le16(c) % 1600;

	len = MIN(len, cur_left(c));
	fr_add(f, cur_bytes(c, len), len);
}

static void raw(struct cursor *c)
{
	struct fr *f = &frame[nframes];
	uint8_t how = cur_u8(c), gso = cur_u8(c);

	f->len = 0;
	add_rest(c, f);
	input(f, how, gso);
}

/* The right addresses of Ethernet, and the rest as it comes. */
static void ether(struct cursor *c)
{
	static const uint16_t types[] = {ETH_TYPE_IP4, ETH_TYPE_IP6,
	                                 ETH_TYPE_ARP, 0x8100};
	struct fr *f = &frame[nframes];
	uint8_t how = cur_u8(c), type = cur_u8(c);

	fr_eth(f, GATEWAY_MAC, GUEST_MAC, types[type % ARRAY_SIZE(types)]);
	add_rest(c, f);
	input(f, how, 0);
}

static bool begin_ip(struct fr *f, uint8_t place, uint8_t proto)
{
	const char *to = places[place % ARRAY_SIZE(places)];
	struct addr a = ip(to);

	if (addr_is_v4(&a))
		fr_ip4(f, GUEST4, to, proto);
	else
		fr_ip6(f, place & 0x80 ? "fe80::ff:fe00:2" : GUEST6, to, proto);
	return !addr_is_v4(&a);
}

static void end_ip(struct fr *f, bool v6)
{
	if (v6)
		fr_end6(f);
	else
		fr_end4(f);
}

/* Any protocol, behind a right header; perhaps as a fragment. */
static void packet(struct cursor *c)
{
	struct fr *f = &frame[nframes];
	uint8_t how = cur_u8(c), place = cur_u8(c), proto = cur_u8(c);
	uint16_t off = cur_le16(c);
	bool v6 = begin_ip(f, place, proto);

	if (!v6)
		put_be16(f->b + ETH_LEN + 6, off & 0x3fff);
	put_be16(f->b + ETH_LEN + 4, place);
	add_rest(c, f);
	end_ip(f, v6);
	input(f, how, 0);
}

static void fragment6(struct cursor *c)
{
	struct fr *f = &frame[nframes];
	uint8_t how = cur_u8(c), place = cur_u8(c), proto = cur_u8(c);
	uint16_t off = cur_le16(c);
	uint8_t *h;
	bool v6 = begin_ip(f, place, 44);

	h = fr_add(f, NULL, 8);
	h[0] = proto;
	put_be16(h + 2, off & 0xfff9);
	h[7] = place;
	add_rest(c, f);
	end_ip(f, v6);
	input(f, how, 0);
}

static void udp(struct cursor *c)
{
	struct fr *f = &frame[nframes];
	uint8_t how = cur_u8(c), place = cur_u8(c), port = cur_u8(c);
	bool v6 = begin_ip(f, place, PROTO_UDP);
	size_t l4 = f->len;
	uint8_t *u = fr_add(f, NULL, 8);

	put_be16(u, (uint16_t)(50000 + (port >> 4)));
	put_be16(u + 2, ports[port % ARRAY_SIZE(ports)]);
	add_rest(c, f);
	put_be16(u + 4, (uint16_t)(f->len - l4));
	end_ip(f, v6);
	input(f, how, 0);
}

static void icmp(struct cursor *c)
{
	struct fr *f = &frame[nframes];
	uint8_t how = cur_u8(c), place = cur_u8(c), type = cur_u8(c);
	bool v6;

	v6 = begin_ip(f, place, PROTO_ICMP4);
	if (v6)
		f->b[ETH_LEN + 6] = PROTO_ICMP6;
	fr_add(f, NULL, 8)[0] = type;
	f->b[f->len - 3] = how; /* the id */
	add_rest(c, f);
	end_ip(f, v6);
	input(f, how, 0);
}

static int8_t near(struct cursor *c)
{
	return (int8_t)cur_u8(c);
}

/* A segment of a connection whose numbers are known, or nearly so. */
static void tcp(struct cursor *c)
{
	struct fr *f = &frame[nframes];
	uint8_t how = cur_u8(c), place = cur_u8(c), which = cur_u8(c);
	uint8_t flags = cur_u8(c), words = cur_u8(c);
	unsigned i = which % CONNS;
	bool v6 = begin_ip(f, place, PROTO_TCP);
	size_t l4 = f->len;
	uint8_t *t = fr_add(f, NULL, 20);

	put_be16(t, (uint16_t)(CONN_PORT + i));
	put_be16(t + 2, ports[which / CONNS % ARRAY_SIZE(ports)]);
	put_be32(t + 4, conn[i].seq + (uint32_t)near(c));
	put_be32(t + 8, conn[i].ack + (uint32_t)near(c));
	t[13] = flags;
	put_be16(t + 14, (uint16_t)(words << 8));
	add_rest(c, f);
	words = (uint8_t)(words % 11);
	t[12] = (uint8_t)(f->len - l4 >= 20U + 4U * words ? (5 + words) << 4
	                                                  : 5 << 4);
	end_ip(f, v6);
	if (flags == 2 && !conn[i].seq)
		conn[i].seq = 1;
	input(f, how, how & 0x40 ? (v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4) : 0);
}

static void arp(struct cursor *c)
{
	struct fr *f = &frame[nframes];
	uint8_t op = cur_u8(c), target = cur_u8(c);

	fr_eth(f, "\xff\xff\xff\xff\xff\xff", GUEST_MAC, ETH_TYPE_ARP);
	fr_add(f, "\0\1\x08\0\6\4\0", 7);
	*fr_add(f, NULL, 1) = op;
	fr_add(f, GUEST_MAC "\xac\x10\0\2\0\0\0\0\0\0\xac\x10\0", 19);
	*fr_add(f, NULL, 1) = target;
	input(f, 0, 0);
}

/* ---- the rest of the world ------------------------------------------------
 */

static void world_end(struct cursor *c)
{
	(void)c;
	batch_end();
}

static void pass_time(struct cursor *c)
{
	now += (uint64_t)cur_le16(c) * 10 * NS_PER_MS;
	batch_end();
	wheel_run(&net->wheel, now);
}

static void run_loop(struct cursor *c)
{
	(void)c;
	batch_end();
	assert(loop_step(loop, 0) >= 0);
}

static void give_room(struct cursor *c)
{
	room = cur_u8(c);
	batch_end();
	net_writable(net);
	assert(net->nkept <= 256 && net->kept_bytes <= 512 * KIB);
}

static int one_of_mine(struct cursor *c)
{
	uint8_t i = cur_u8(c);

	return npairs ? mine[i % npairs] : -1;
}

static void host_writes(struct cursor *c)
{
	int fd = one_of_mine(c);
	size_t len = cur_le16(c) % 4096;
	const uint8_t *d;

	len = MIN(len, cur_left(c));
	d = cur_bytes(c, len);
	if (d && send(fd, d, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		run_loop(c);
}

static void host_reads(struct cursor *c)
{
	static uint8_t buf[65536];

	if (recv(one_of_mine(c), buf, sizeof(buf), MSG_DONTWAIT) >= 0)
		run_loop(c);
}

static void host_shuts(struct cursor *c)
{
	int fd = one_of_mine(c);
	uint8_t how = cur_u8(c);

	if (fd >= 0)
		(void)shutdown(fd, how % 3);
	run_loop(c);
}

static void set_outcome(struct cursor *c)
{
	outcome = cur_u8(c);
}

static void reset(struct cursor *c)
{
	(void)c;
	batch_end();
	net_reset(net);
}

static void features(struct cursor *c)
{
	uint8_t b = cur_u8(c);

	batch_end();
	net_reset(net);
	net_features(net, b & 1, b & 2, b & 4);
}

static void explain(struct cursor *c)
{
	char *json = net_explain(net, places[cur_u8(c) % ARRAY_SIZE(places)],
	                         443, POLICY_TCP);

	free(json);
}

static void (*const steps[])(struct cursor *c) = {
	raw,         ether,      packet,     fragment6,   udp,       icmp,
	tcp,         arp,        world_end,  pass_time,   run_loop,  give_room,
	host_writes, host_reads, host_shuts, set_outcome, reset,     features,
	explain,     tcp,        tcp,        packet,      fragment6, udp,
};

/* ---- one life ------------------------------------------------------------ */

static struct policy *make_policy(const char *profile, const char *rule,
                                  bool strict)
{
	const char *list[] = {rule, NULL};
	struct strv rules = {.v = (char **)(uintptr_t)list, .n = 1};
	struct policy_spec spec = {
		.profile = profile, .rules = &rules, .strict = strict};
	struct policy *p = NULL;
	struct err err;

	if (policy_new(&spec, &p, &err) < 0)
		abort();
	return p;
}

static void make_policies(void)
{
	policies[0] = make_policy("public", "deny@203.0.113.0/24", false);
	policies[1] = make_policy("all", "allow@any", false);
	policies[2] = make_policy("none", "allow@*.example.com", true);
}

/* As if the guest had asked for them: what a flow says then decides. */
static void pin_names(void)
{
	static const char *const pinned[] = {"8.8.8.8", "2a00:1450::9"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(pinned); i++) {
		struct addr a = ip(pinned[i]);

		(void)pins_add(net->pins, &a, "a.example.com", 300, now);
	}
}

static void begin(uint8_t how)
{
	struct net_config cfg = {
		.mtu = how & 4 ? 65520 : 1500,
		.guest4 = ip(GUEST4),
		.gateway4 = ip(GATEWAY4),
		.guest6 = ip(GUEST6),
		.gateway6 = ip(GATEWAY6),
		.policy = policies[how % 3],
		.servers = {{ip("192.0.2.53"), 53}},
		.nservers = 1,
		.dns_timeout_ms = 2000,
		.rebind_protection = true,
		.connections_max = 16,
		.pcap_fd = -1,
		.host = &host,
	};
	struct err err;

	memcpy(cfg.guest_mac, GUEST_MAC, 6);
	memcpy(cfg.gateway_mac, GATEWAY_MAC, 6);
	if (how & 128)
		cfg.proxy = (struct net_proxy){NET_SOCKS5, ip("192.0.2.1"),
		                               1080, "user", "secret"};
	if (how & 8)
		cfg.ingress_bytes = (struct net_rate){100000, 3000};
	/* The loop's clock never comes so far: timers run by wheel_run(). */
	now = clock_now_ns() + 1000000 * NS_PER_S;
	loop = loop_new();
	npairs = outcome = nframes = 0;
	room = UINT32_MAX;
	memset(conn, 0, sizeof(conn));
	if (!loop || net_new(&cfg, loop, &link_ops, &net, &err) < 0)
		abort();
	net_features(net, how & 16, how & 32, how & 64);
	if (how % ARRAY_SIZE(policies) == NAMES)
		pin_names();
}

/* A number that is still open is one that another pair got since. */
static void check_closed(void)
{
	unsigned i, k;

	for (i = 0; i < npairs; i++) {
		bool again = false;

		for (k = 0; k < npairs; k++)
			again |= mine[k] == theirs[i];
		assert(again || fcntl(theirs[i], F_GETFD) < 0);
	}
}

static void end(void)
{
	unsigned i;

	batch_end();
	net_free(net);
	net = NULL;
	check_closed();
	for (i = 0; i < npairs; i++)
		close(mine[i]);
	loop_free(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor c;
	unsigned i;

	if (!len)
		return 0;
	if (!policies[0]) {
		log_setup("fuzz", 2, LOG_NONE);
		make_policies();
	}
	c = cur_init(data, len);
	begin(cur_u8(&c));
	for (i = 0; i < STEPS_MAX && cur_left(&c); i++)
		steps[cur_u8(&c) % ARRAY_SIZE(steps)](&c);
	end();
	return 0;
}
