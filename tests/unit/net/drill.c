#include "drill.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/num.h"
#include "lib/test.h"
#include "tls_link.h"

static const uint8_t guest_mac[] = {2, 0, 0, 0, 0, 2};
static const uint8_t gateway_mac[] = {2, 0, 0, 0, 0, 1};

/* ---- the host ------------------------------------------------------------ */

static uint64_t host_now(void *arg)
{
	return ((struct drill *)arg)->now;
}

static int host_socket(void *arg, int domain, int type, int protocol)
{
	struct drill *d = arg;
	int fd;

	(void)domain; /* the listeners are of IPv4 */
	fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	if (fd >= 0 && d->rcvbuf)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &d->rcvbuf,
		                 sizeof(d->rcvbuf));
	return fd < 0 ? -errno : fd;
}

static int host_connect(void *arg, int fd, const struct sockaddr *sa,
                        socklen_t len)
{
	struct drill *d = arg;
	const uint16_t port[] = {
		[HOST_ANSWERS] = d->port,
		[HOST_REFUSES] = d->closed_port,
		[HOST_SILENT] = d->deaf_port,
	};
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_addr = {htonl(INADDR_LOOPBACK)},
	};
	uint16_t to_port;

	(void)len;
	assert_int_equal(addr_from_sockaddr(sa, &d->to, &to_port), 0);
	d->dialled++;
	if (sa->sa_family == d->refused)
		return -ECONNREFUSED;
	if (d->host == HOST_ERROR)
		return d->error;
	to.sin_port = htons(port[d->host]);
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

static bool host_is_local(void *arg, const struct addr *a)
{
	(void)arg;
	(void)a;
	return false;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	return ntohs(sin.sin_port);
}

static int bound(int type)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_addr = {htonl(INADDR_LOOPBACK)},
	};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

static void open_host(struct drill *d)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	int closed;

	d->listener = bound(SOCK_STREAM);
	assert_int_equal(listen(d->listener, 1024), 0);
	d->port = port_of(d->listener);
	closed = bound(SOCK_STREAM);
	d->closed_port = port_of(closed);
	(void)close(closed);
	/* One whose queue is full drops SYNs. */
	d->deaf[0] = bound(SOCK_STREAM);
	assert_int_equal(listen(d->deaf[0], 0), 0);
	d->deaf_port = port_of(d->deaf[0]);
	assert_int_equal(getsockname(d->deaf[0], (struct sockaddr *)&sin, &len),
	                 0);
	d->deaf[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(d->deaf[1], (struct sockaddr *)&sin, len), 0);
}

int drill_accept(struct drill *d)
{
	int fd;

	for (int i = 0; i < 200; i++) {
		fd = accept4(d->listener, NULL, NULL,
		             SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			return fd;
		(void)usleep(1000);
	}
	fail_msg("nobody connected");
	return -1;
}

ssize_t host_read(int fd, void *data, size_t max, bool *ret_eof)
{
	size_t got = 0;

	while (got < max) {
		ssize_t n = read(fd, (uint8_t *)data + got, max - got);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return -1;
		if (ret_eof)
			*ret_eof = n == 0;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

void host_write(struct drill *d, int fd, const void *data, size_t len)
{
	assert_int_equal(write(fd, data, len), len);
	drill_run(d);
}

/* ---- the link ------------------------------------------------------------ */

static uint32_t sum(const uint8_t *p, size_t len, uint32_t s)
{
	for (; len > 1; p += 2, len -= 2)
		s += (uint32_t)(p[0] << 8 | p[1]);
	if (len)
		s += (uint32_t)p[0] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

/* Without NEEDS_CSUM it must be right, else only the pseudo header's. */
static void check_sum(const struct vnet_hdr *h, const uint8_t *ip, bool v6,
                      const uint8_t *tcp, size_t len)
{
	uint32_t s = 6 + (uint32_t)len;

	s = v6 ? sum(ip + 8, 32, s) : sum(ip + 12, 8, s);
	if (h->flags & VNET_NEEDS_CSUM)
		assert_int_equal(get_be16(tcp + 16), s);
	else
		assert_int_equal(sum(tcp, len, s), 0xffff);
}

static void note_options(struct drill_seg *s, const uint8_t *o, size_t len)
{
	s->scale = -1;
	for (size_t i = 0; i < len && o[i]; i += o[i] == 1 ? 1 : o[i + 1]) {
		if (o[i] == 2)
			s->mss = get_be16(o + i + 2);
		if (o[i] == 3)
			s->scale = o[i + 2];
	}
}

static void note_tcp(struct drill_seg *s, const uint8_t *t, size_t len)
{
	size_t head = (size_t)(t[12] >> 4) * 4;

	assert_true(head >= 20 && head <= len);
	s->from = get_be16(t);
	s->to = get_be16(t + 2);
	s->seq = get_be32(t + 4);
	s->ack = get_be32(t + 8);
	s->flags = t[13];
	s->wnd = get_be16(t + 14);
	note_options(s, t + 20, head - 20);
	s->len = len - head;
	s->data = malloc(s->len + 1);
	memcpy(s->data, t + head, s->len);
}

static void note_frame(struct drill *d, const struct vnet_hdr *h,
                       const uint8_t *f, size_t len)
{
	struct drill_seg *s = &d->segs[d->nsegs];
	const uint8_t *ip = f + 14;
	bool v6 = get_be16(f + 12) == ETH_TYPE_IP6;
	size_t head = v6 ? 40 : 20;
	size_t total = v6 ? 40u + get_be16(ip + 4) : get_be16(ip + 2);
	uint8_t proto = v6 ? ip[6] : ip[9];

	if (get_be16(f + 12) != ETH_TYPE_IP4 && !v6)
		return;
	assert_int_equal(total, len - 14);
	assert_memory_equal(f, guest_mac, 6);
	assert_memory_equal(f + 6, gateway_mac, 6);
	*s = (struct drill_seg){.v6 = v6, .gso = h->gso_size};
	if (proto == PROTO_TCP) {
		check_sum(h, ip, v6, ip + head, total - head);
		note_tcp(s, ip + head, total - head);
	} else {
		s->icmp = true;
		s->seq = (uint32_t)(ip[head] << 8 | ip[head + 1]);
	}
	assert_true(++d->nsegs < DRILL_SEGS);
}

static int link_send(void *arg, const struct vnet_hdr *h, const struct iovec *v,
                     unsigned n, size_t len)
{
	struct drill *d = arg;
	uint8_t *f;
	size_t at = 0;

	if (d->blocked)
		return -EAGAIN;
	if (d->room && !--d->room)
		d->blocked = true;
	assert_true(len <= NET_FRAME_MAX);
	f = malloc(len);
	for (unsigned i = 0; i < n; i++) {
		memcpy(f + at, v[i].iov_base, v[i].iov_len);
		at += v[i].iov_len;
	}
	assert_int_equal(at, len);
	note_frame(d, h, f, len);
	free(f);
	return 0;
}

static void link_nothing(void *arg)
{
	(void)arg;
}

/* ---- segments of the guest ----------------------------------------------- */

static size_t put_ip(const struct drill_conn *c, uint8_t *ip, size_t len)
{
	if (addr_is_v4(&c->guest)) {
		ip[0] = 0x45;
		put_be16(ip + 2, (uint16_t)(20 + len));
		ip[6] = 0x40;
		ip[8] = 64;
		ip[9] = PROTO_TCP;
		memcpy(ip + 12, c->guest.b + 12, 4);
		memcpy(ip + 16, c->peer.b + 12, 4);
		put_be16(ip + 10, (uint16_t)~sum(ip, 20, 0));
		return 20;
	}
	ip[0] = 0x60;
	put_be16(ip + 4, (uint16_t)len);
	ip[6] = PROTO_TCP;
	ip[7] = 64;
	memcpy(ip + 8, c->guest.b, 16);
	memcpy(ip + 24, c->peer.b, 16);
	return 40;
}

static void put_tcp(const struct drill_conn *c, uint8_t *t, uint8_t flags,
                    uint32_t seq, uint32_t ack, uint16_t wnd, size_t opt_len)
{
	put_be16(t, c->gport);
	put_be16(t + 2, c->pport);
	put_be32(t + 4, seq);
	put_be32(t + 8, ack);
	t[12] = (uint8_t)((20 + opt_len) << 2);
	t[13] = flags;
	put_be16(t + 14, wnd);
}

/* In exact pieces, so that ASan sees every byte too many. */
static void give_frame(struct drill *d, const struct vnet_hdr *h,
                       const uint8_t *f, size_t len)
{
	struct iovec v[16];
	unsigned n = 0, pieces = MAX(d->split, 1u);
	struct iov frame = {v, 0, len};

	for (size_t at = 0; at < len; n++) {
		size_t part = n + 1 == pieces ? len - at
		                              : MIN(len - at, len / pieces + 1);

		v[n] = (struct iovec){malloc(part), part};
		memcpy(v[n].iov_base, f + at, part);
		assert_true(d->nkeep < ARRAY_SIZE(d->keep));
		d->keep[d->nkeep++] = v[n].iov_base;
		at += part;
	}
	frame.n = n;
	net_input(d->net, h, &frame);
	memset(v, 0, sizeof(v)); /* the list is the link's again */
	if (!d->batching)
		drill_batch_end(d);
}

void conn_raw(struct drill_conn *c, uint8_t flags, uint32_t seq, uint32_t ack,
              uint16_t wnd, const void *opt, size_t opt_len, const void *data,
              size_t len)
{
	uint8_t *f = calloc(1, 14 + 40 + 60 + len);
	bool v4 = addr_is_v4(&c->guest);
	struct vnet_hdr h = {.flags = VNET_NEEDS_CSUM};
	size_t at = 14;

	memcpy(f, gateway_mac, 6);
	memcpy(f + 6, guest_mac, 6);
	put_be16(f + 12, v4 ? ETH_TYPE_IP4 : ETH_TYPE_IP6);
	at += put_ip(c, f + at, 20 + opt_len + len);
	put_tcp(c, f + at, flags, seq, ack, wnd, opt_len);
	at += 20;
	if (opt_len)
		memcpy(f + at, opt, opt_len);
	if (len)
		memcpy(f + at + opt_len, data, len);
	if (len > DRILL_MSS) {
		h.gso_type = v4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6;
		h.gso_size = DRILL_MSS;
	}
	give_frame(c->d, &h, f, at + opt_len + len);
	free(f);
}

void conn_send(struct drill_conn *c, uint8_t flags, uint32_t seq, uint32_t ack,
               const void *data, size_t len)
{
	conn_raw(c, flags, seq, ack, c->wnd, NULL, 0, data, len);
}

void conn_syn(struct drill_conn *c)
{
	const uint8_t opt[] = {2, 4, DRILL_MSS >> 8, DRILL_MSS & 0xff, 1,
	                       3, 3, DRILL_SCALE};

	conn_raw(c, TCP_SYN, c->isn, 0, 65535, opt, sizeof(opt), NULL, 0);
	c->seq = c->isn + 1;
	drill_run(c->d);
}

void drill_batch(struct drill *d)
{
	d->batching = true;
}

void drill_batch_end(struct drill *d)
{
	d->batching = false;
	net_batch_end(d->net);
	while (d->nkeep)
		free(d->keep[--d->nkeep]);
}

/* ---- connections --------------------------------------------------------- */

void conn_init(struct drill *d, struct drill_conn *c, const char *peer,
               uint16_t pport)
{
	static uint16_t gport = 40000;

	*c = (struct drill_conn){
		.d = d,
		.gport = gport++,
		.pport = pport,
		.isn = 0x10000000,
		.wnd = 65535,
		.fd = -1,
	};
	assert_int_equal(addr_parse(peer, &c->peer), 0);
	c->guest =
		addr_is_v4(&c->peer) ? d->net->cfg.guest4 : d->net->cfg.guest6;
}

void conn_shake(struct drill_conn *c)
{
	struct drill *d = c->d;
	const struct drill_seg *s;

	conn_syn(c);
	s = drill_got_flags(d, TCP_SYN | TCP_ACK);
	assert_int_equal(s->ack, c->seq);
	c->ack = s->seq + 1;
	conn_ack(c);
	drill_silent(d);
	c->fd = drill_accept(d);
}

void conn_open(struct drill *d, struct drill_conn *c, const char *peer,
               uint16_t pport)
{
	conn_init(d, c, peer, pport);
	conn_shake(c);
}

void conn_ack(struct drill_conn *c)
{
	conn_send(c, TCP_ACK, c->seq, c->ack, NULL, 0);
}

void conn_write(struct drill_conn *c, const void *data, size_t len)
{
	conn_send(c, TCP_ACK | TCP_PSH, c->seq, c->ack, data, len);
	c->seq += (uint32_t)len;
}

size_t conn_read(struct drill_conn *c, void *data, size_t max)
{
	struct drill *d = c->d;
	size_t got = 0;

	for (;;) {
		unsigned before = d->at;

		while (d->at < d->nsegs) {
			const struct drill_seg *s = &d->segs[d->at];

			if (s->icmp || s->flags & TCP_RST ||
			    s->to != c->gport || got + s->len > max)
				break;
			d->at++;
			if (s->seq != c->ack || !s->len)
				continue;
			memcpy((uint8_t *)data + got, s->data, s->len);
			got += s->len;
			c->ack += (uint32_t)s->len;
		}
		if (before == d->at)
			return got;
		conn_ack(c);
		drill_run(d);
	}
}

struct tcp_flow *conn_flow(struct drill_conn *c)
{
	struct tuple t = {c->guest, c->peer, c->gport, c->pport};
	struct flow *f = flow_find(&c->d->net->tcp->table, &t);

	return f ? container_of(f, struct tcp_flow, f) : NULL;
}

uint64_t drill_open_flows(struct drill *d)
{
	return net_counters(d->net)->open;
}

/* ---- what came ----------------------------------------------------------- */

const struct drill_seg *drill_got(struct drill *d)
{
	for (int i = 0; i < 200 && d->at == d->nsegs; i++) {
		drill_run(d);
		if (i && d->fast)
			(void)usleep(1000);
	}
	if (d->at == d->nsegs)
		fail_msg("the guest got nothing");
	return &d->segs[d->at++];
}

const struct drill_seg *drill_got_flags(struct drill *d, uint8_t flags)
{
	const struct drill_seg *s = drill_got(d);

	assert_false(s->icmp);
	assert_int_equal(s->flags & ~TCP_PSH, flags & ~TCP_PSH);
	return s;
}

void drill_silent(struct drill *d)
{
	drill_run(d);
	if (d->at != d->nsegs)
		fail_msg("the guest got flags %02x, %zu bytes",
		         d->segs[d->at].flags, d->segs[d->at].len);
}

void drill_skip(struct drill *d)
{
	drill_run(d);
	while (d->nsegs)
		free(d->segs[--d->nsegs].data);
	d->at = 0;
}

/* ---- time ---------------------------------------------------------------- */

void drill_run(struct drill *d)
{
	for (int i = 0; i < 4; i++)
		assert_int_equal(loop_step(d->loop, i == 3 && !d->fast), 0);
	if (!d->blocked && d->net->kept)
		net_writable(d->net);
}

void drill_sleep(struct drill *d, uint64_t ns)
{
	uint64_t end = d->now + ns;
	uint64_t step = MAX(ns / 64, WHEEL_TICK_NS);

	while (d->now < end) {
		d->now = MIN(d->now + step, end);
		wheel_run(&d->net->wheel, d->now);
		assert_int_equal(loop_step(d->loop, 0), 0);
	}
	d->now += WHEEL_TICK_NS;
	wheel_run(&d->net->wheel, d->now);
	drill_run(d);
}

/* ---- life ---------------------------------------------------------------- */

static void open_policy(struct drill *d, const struct drill_options *o)
{
	struct strv rules = {0};
	struct policy_spec spec = {
		.profile = o->rule ? NULL : "all",
		.rules = &rules,
		.egress = o->rule ? POLICY_DENY : POLICY_UNSET,
		.strict = o->strict,
	};
	struct err err = {0};

	if (o->rule)
		assert_int_equal(strv_add(&rules, o->rule), 0);
	if (policy_new(&spec, &d->policy, &err) < 0)
		fail_msg("%s", err.msg);
	strv_release(&rules);
}

static void on_said(void *arg, const char *line)
{
	struct drill *d = arg;

	if (d->nsaid < DRILL_LINES)
		(void)snprintf(d->said[d->nsaid++], NET_SAY_MAX, "%s", line);
}

static void on_violated(void *arg, const char *why)
{
	struct drill *d = arg;

	d->nviolated++;
	(void)snprintf(d->why, sizeof(d->why), "%s", why);
}

/* The net's end. */
static int open_tls(struct drill *d, const char *config)
{
	int pair[2];

	assert_int_equal(
		socketpair(AF_UNIX,
	                   SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	                   pair),
		0);
	d->tls = pair[1];
	if (*config)
		tls_config(d->tls, config);
	return pair[0];
}

static struct net_config config_of(struct drill *d,
                                   const struct drill_options *o,
                                   const struct net_host_ops *ops)
{
	struct net_config c = {
		.mtu = o->mtu ? o->mtu : NET_MTU_DEFAULT,
		.policy = d->policy,
		.dns_timeout_ms = 5000,
		.connections_max = o->connections,
		.pcap_fd = -1,
		.log_denied = o->log_denied,
		.tls_fd = o->tls ? open_tls(d, o->tls) : 0,
		.violated = on_violated,
		.violated_arg = d,
		.say = on_said,
		.say_arg = d,
		.host = ops,
	};

	memcpy(c.guest_mac, guest_mac, 6);
	memcpy(c.gateway_mac, gateway_mac, 6);
	(void)addr_parse("172.16.0.2", &c.guest4);
	(void)addr_parse("172.16.0.1", &c.gateway4);
	(void)addr_parse("fd42:6d73:62::2", &c.guest6);
	(void)addr_parse("fd42:6d73:62::1", &c.gateway6);
	return c;
}

struct drill *drill_new(const struct drill_options *o)
{
	static const struct drill_options none = {0};
	static struct net_host_ops ops;
	struct drill *d = calloc(1, sizeof(*d));
	struct net_link link = {
		.send = link_send,
		.flush = link_nothing,
		.resume = link_nothing,
		.arg = d,
	};
	struct net_config c;
	struct err err = {0};

	o = o ? o : &none;
	d->tls = -1;
	/* Far ahead, so that the loop's timers are silent: see drill_sleep().
	 */
	d->now = clock_now_ns() + 1000000 * NS_PER_S;
	ops = (struct net_host_ops){host_now, host_socket, host_connect,
	                            host_is_local, d};
	link.csum = link.tso4 = link.tso6 = o->offload;
	open_host(d);
	open_policy(d, o);
	c = config_of(d, o, &ops);
	d->loop = loop_new();
	assert_non_null(d->loop);
	if (net_new(&c, d->loop, &link, &d->net, &err) < 0)
		fail_msg("%s", err.msg);
	return d;
}

void drill_free(struct drill *d)
{
	drill_skip(d);
	net_free(d->net);
	loop_free(d->loop);
	policy_free(d->policy);
	close_fd(&d->tls);
	(void)close(d->listener);
	(void)close(d->deaf[0]);
	(void)close(d->deaf[1]);
	free(d);
}
