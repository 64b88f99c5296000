/*
 * The name server between a hostile guest and hostile servers: the input is a
 * list of steps. A step is a datagram or a piece of a stream of the guest's, an
 * answer of a server to a question that it has (any bytes, or the question with
 * records behind it), or time.
 *
 * Whatever happens: only questions about allowed names leave, and no address
 * that is not public gets to the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "base/log.h"
#include "net/dns_int.h"
#include "net/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define UPS     32 /* sockets of the stack that servers hold the other end of */
#define STREAMS 4
#define STEPS   200

static struct {
	struct loop *loop;
	struct policy *policy;
	struct net *net;
	struct net_host_ops host;
	uint64_t now;
	int up[UPS];
	bool up_tcp[UPS];
	unsigned nup;
	int stream[STREAMS];
} f;

static const char *const names[] = {
	"good.example",          "www.good.example",
	"a.b.good.example",      "evil.example",
	"notgood.example",       "edge.cdn.example",
	"host.docker.internal",  "",
	"1.0.0.10.in-addr.arpa",
};

/* ---- what must hold ---- */

static void check_hints(const struct dns_msg *m, const struct dns_rr *rr)
{
	static const uint16_t keys[] = {4, 5, 6};
	static uint8_t out[DNS_MSG_MAX];
	int r = dns_svcb_strip(m, rr, keys, 3, out);

	if (r < 0 || (size_t)r != rr->len)
		abort();
}

static void check_answer(const uint8_t *b, size_t len)
{
	struct dns_walk w = {0};
	struct dns_rr rr;
	struct dns_msg m;

	if (len < DNS_HEAD || !(b[2] & 0x80))
		abort();
	if (len == DNS_HEAD)
		return; /* an error about what could not be read */
	if (dns_msg_parse(b, len, &m) < 0)
		abort();
	w.m = &m;
	while (dns_walk(&w, &rr)) {
		struct addr a;

		if (rr.type == DNS_HTTPS || rr.type == DNS_SVCB)
			check_hints(&m, &rr);
		if (!dns_rr_is_address(&rr))
			continue;
		a = dns_rr_addr(&m, &rr);
		if (addr_kind(&a) != ADDR_PUBLIC)
			abort();
	}
}

static bool is_allowed(const struct dns_name *n)
{
	struct dns_name top;

	(void)dns_name_from_text("good.example", &top);
	return dns_name_under(n, &top);
}

static void check_question(const uint8_t *b, size_t len)
{
	struct dns_query q;

	if (len > DNS_QUERY_MAX || dns_query_parse(b, len, &q) != 0 ||
	    q.class != DNS_CLASS_IN || !is_allowed(&q.name))
		abort();
}

/* ---- the world ---- */

static uint64_t now_ns(void *arg)
{
	(void)arg;
	return f.now;
}

static int new_socket(void *arg, int domain, int type, int protocol)
{
	int sp[2];

	(void)arg;
	(void)domain;
	(void)protocol;
	if (f.nup == UPS)
		return -EMFILE;
	if (socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sp) < 0)
		return -errno;
	f.up_tcp[f.nup] = type == SOCK_STREAM;
	f.up[f.nup++] = sp[0];
	return sp[1];
}

static int connect_it(void *arg, int fd, const struct sockaddr *sa,
                      socklen_t len)
{
	(void)arg;
	(void)fd;
	(void)sa;
	(void)len;
	return 0;
}

static bool is_local(void *arg, const struct addr *a)
{
	(void)arg;
	return addr_kind(a) == ADDR_LOOPBACK;
}

static int link_send(void *arg, const struct vnet_hdr *h, const struct iovec *v,
                     unsigned nv, size_t len)
{
	static struct fr fr;
	struct iovec one = {fr.b, len};
	struct iov frame = {&one, 1, len};
	const char *why;
	static struct pkt p;
	static uint8_t b[DNS_MSG_MAX];
	size_t n;

	(void)arg;
	fr.len = 0;
	for (unsigned i = 0; i < nv; i++)
		fr_add(&fr, v[i].iov_base, v[i].iov_len);
	if (pkt_parse(h, &frame, &p, &why) < 0 || p.fragment)
		abort();
	n = p.payload.len;
	if (p.proto != PROTO_UDP || n > DNS_UDP_MAX ||
	    iov_get(&p.payload, b, n) < 0)
		abort();
	check_answer(b, n);
	return 0;
}

static void nothing(void *arg)
{
	(void)arg;
}

static void begin(void)
{
	char *rules[] = {(char *)"allow@*.good.example", NULL};
	const struct strv v = {rules, 1};
	const struct policy_spec spec = {.profile = "none", .rules = &v};
	const struct net_link link = {
		.send = link_send, .flush = nothing, .resume = nothing};
	struct net_config c = {.mtu = 1500,
	                       .pcap_fd = -1,
	                       .dns_timeout_ms = 2000,
	                       .rebind_protection = true,
	                       .nservers = 2,
	                       .host = &f.host};

	if (!f.loop) {
		log_setup("fuzz", 2, LOG_NONE);
		f.loop = loop_new();
		f.host = (struct net_host_ops){now_ns, new_socket, connect_it,
		                               is_local, NULL};
		if (!f.loop || policy_new(&spec, &f.policy, NULL) < 0)
			abort();
	}
	memcpy(c.guest_mac, GUEST_MAC, NET_MAC_LEN);
	memcpy(c.gateway_mac, GATEWAY_MAC, NET_MAC_LEN);
	c.guest4 = ip(GUEST4);
	c.gateway4 = ip(GATEWAY4);
	c.guest6 = ip(GUEST6);
	c.gateway6 = ip(GATEWAY6);
	c.servers[0] = (struct net_dns_server){ip("9.9.9.9"), 53};
	c.servers[1] = (struct net_dns_server){ip("2620:fe::9"), 53};
	c.policy = f.policy;
	f.now = 1000 * NS_PER_S;
	f.nup = 0;
	memset(f.stream, -1, sizeof(f.stream));
	if (net_new(&c, f.loop, &link, &f.net, NULL) < 0)
		abort();
	loop_timer_del(f.loop, &f.net->wheel.timer);
	f.net->wheel.loop = NULL;
}

static void end(void)
{
	net_free(f.net);
	for (unsigned i = 0; i < f.nup; i++)
		(void)close(f.up[i]);
	for (unsigned i = 0; i < STREAMS; i++)
		if (f.stream[i] >= 0)
			(void)close(f.stream[i]);
}

/* ---- the guest ---- */

static void datagram(const void *data, size_t len, uint8_t where)
{
	static const char *const to[] = {GATEWAY4, GATEWAY6, "9.9.9.9",
	                                 "192.168.1.1"};
	const struct vnet_hdr h = {.flags = VNET_NEEDS_CSUM};
	const char *dst = to[where & 3];
	static struct fr fr;
	struct iovec v = {fr.b, 0};
	struct iov frame = {&v, 1, 0};
	bool v6 = (where & 3) == 1;

	if (v6)
		(void)fr_ip6(&fr, GUEST6, dst, PROTO_UDP);
	else
		(void)fr_ip4(&fr, GUEST4, dst, PROTO_UDP);
	fr_udp(&fr, 4000, 53, len);
	if (len)
		memcpy(fr.b + fr.len - len, data, len);
	if (v6)
		fr_end6(&fr);
	else
		fr_end4(&fr);
	v.iov_len = frame.len = fr.len;
	net_input(f.net, &h, &frame);
	net_batch_end(f.net);
}

static const void *some(struct cursor *c, size_t *len)
{
	*len = cur_u8(c);
	if (*len > cur_left(c))
		*len = cur_left(c);
	return cur_bytes(c, *len);
}

static size_t make_question(struct cursor *c, uint8_t *b)
{
	uint8_t which = cur_u8(c), how = cur_u8(c);
	struct dns_query q = {.type = cur_u8(c),
	                      .class = 1,
	                      .flags = (uint16_t)(how << 4 | DNS_RD),
	                      .opt = how & 1,
	                      .dnssec_ok = how & 2};

	(void)dns_name_from_text(names[which % ARRAY_SIZE(names)], &q.name);
	return dns_query_build(&q, &q.name, 1, b);
}

static void guest_asks(struct cursor *c)
{
	uint8_t b[DNS_QUERY_MAX], where = cur_u8(c);

	datagram(b, make_question(c, b), where);
}

static void guest_says(struct cursor *c)
{
	uint8_t where = cur_u8(c);
	size_t len;
	const void *p = some(c, &len);

	if (p)
		datagram(p, len, where);
}

static void read_stream(unsigned i)
{
	static uint8_t b[STREAMS][2 + DNS_MSG_MAX];
	static size_t have[STREAMS];
	ssize_t r;

	if (f.stream[i] < 0) {
		have[i] = 0;
		return;
	}
	while ((r = recv(f.stream[i], b[i] + have[i], sizeof(b[i]) - have[i],
	                 0)) > 0) {
		size_t n;

		have[i] += (size_t)r;
		while (have[i] >= 2 &&
		       have[i] >= (n = 2 + (size_t)get_be16(b[i]))) {
			check_answer(b[i] + 2, n - 2);
			have[i] -= n;
			memmove(b[i], b[i] + n, have[i]);
		}
	}
	if (r == 0) {
		(void)close(f.stream[i]);
		f.stream[i] = -1;
		have[i] = 0;
	}
}

static int open_stream(unsigned i, uint8_t where)
{
	struct tuple t = {.guest = ip(GUEST4),
	                  .peer = ip(where & 4 ? "9.9.9.9" : GATEWAY4),
	                  .gport = 5000,
	                  .pport = 53};
	int sp[2];

	if (f.stream[i] >= 0)
		return f.stream[i];
	read_stream(i); /* nothing is left of the one before */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	               sp) < 0 ||
	    dns_stream(f.net, sp[1], &t) < 0)
		abort();
	f.stream[i] = sp[0];
	return sp[0];
}

static void stream_says(struct cursor *c)
{
	uint8_t where = cur_u8(c), b[2 + DNS_QUERY_MAX];
	int fd = open_stream(where % STREAMS, where);
	size_t len;
	const void *p;

	if (where & 0x80) {
		p = some(c, &len);
	} else {
		len = make_question(c, b + 2);
		put_be16(b, (uint16_t)len);
		len += 2;
		p = b;
	}
	if (p && send(fd, p, len, MSG_NOSIGNAL) < 0 && errno != EAGAIN &&
	    errno != EPIPE)
		abort();
}

static void stream_ends(struct cursor *c)
{
	uint8_t how = cur_u8(c);
	unsigned i = how % STREAMS;

	if (f.stream[i] < 0)
		return;
	if (how & 0x80) {
		(void)shutdown(f.stream[i], SHUT_WR);
		return;
	}
	(void)close(f.stream[i]);
	f.stream[i] = -1;
}

/* ---- servers ---- */

static void up_close(unsigned i)
{
	(void)close(f.up[i]);
	f.up[i] = f.up[--f.nup];
	f.up_tcp[i] = f.up_tcp[f.nup];
}

/* A question that waits at @i, without TCP's length; 0: none. */
static size_t up_question(unsigned i, uint8_t *b, size_t max)
{
	ssize_t r = recv(f.up[i], b, max, MSG_PEEK);
	size_t skip = f.up_tcp[i] ? 2 : 0;

	if (r <= (ssize_t)skip)
		return 0;
	memmove(b, b + skip, (size_t)r - skip);
	check_question(b, (size_t)r - skip);
	return (size_t)r - skip;
}

static void up_say(unsigned i, const uint8_t *b, size_t len)
{
	uint8_t prefix[2];

	put_be16(prefix, (uint16_t)len);
	if ((f.up_tcp[i] &&
	     send(f.up[i], prefix, 2, MSG_NOSIGNAL | MSG_DONTWAIT) != 2) ||
	    send(f.up[i], b, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		up_close(i);
}

static void server_says(struct cursor *c)
{
	uint8_t which = cur_u8(c);
	size_t len;
	const void *p = some(c, &len);

	if (f.nup && p)
		up_say(which % f.nup, p, len);
}

static void add_record(struct cursor *c, struct dns_out *o)
{
	static const uint16_t types[] = {
		DNS_A,     DNS_AAAA, DNS_CNAME, DNS_HTTPS, DNS_SOA, DNS_SVCB,
		DNS_DNAME, 46,       15,        DNS_OPT,   16,      2};
	uint8_t owner = cur_u8(c), type = cur_u8(c), ttl = cur_u8(c);
	struct dns_name name;
	size_t len;
	const void *p;
	static const uint8_t forms[][16] = {
		{0x26,  6,    0x47, 0,         [15] = 1},
		{  [10] = 0xff, 0xff,  127,    0,         0,        1},
		{  0, 0x64, 0xff, 0x9b, [12] = 10,        0, 0, 1},
		{ 0x20,     2,      10,     0,       0,          1},
	};
	uint16_t t = types[type % ARRAY_SIZE(types)];

	(void)dns_name_from_text(names[owner % ARRAY_SIZE(names)], &name);
	if (t == DNS_AAAA) {
		p = forms[ttl & 3];
		len = 16;
	} else if (t == DNS_CNAME && type & 0x80) {
		static struct dns_name to;

		(void)dns_name_from_text(names[ttl % ARRAY_SIZE(names)], &to);
		p = to.b;
		len = to.len;
	} else {
		p = some(c, &len);
	}
	if (p)
		dns_out_record(o, owner & 0x80 ? NULL : &name, t, ttl, p, len);
}

/* The question with records behind it: it is taken for an answer. */
static void server_answers(struct cursor *c)
{
	static uint8_t b[DNS_MSG_MAX];
	uint8_t which = cur_u8(c), how = cur_u8(c), flags = cur_u8(c),
		n = cur_u8(c) & 15, answers;
	struct dns_out o = {.b = b, .max = sizeof(b)};
	unsigned i;
	size_t len;

	if (!f.nup)
		return;
	i = which % f.nup;
	len = up_question(i, b, sizeof(b));
	if (!len)
		return;
	o.len = DNS_HEAD;
	while (b[o.len])
		o.len += 1 + (size_t)b[o.len];
	o.len += 5;
	put_be16(b + 2, (uint16_t)(DNS_QR | DNS_RD | DNS_RA |
	                           (flags & (DNS_AD | DNS_RCODE)) |
	                           (flags & 0x40 ? DNS_TC : 0)));
	memset(b + 6, 0, 6);
	for (unsigned k = 0; k < n; k++)
		add_record(c, &o);
	/* Some of them belong to the other sections. */
	answers = (uint8_t)(get_be16(b + 6) * (how & 15u) / 15);
	put_be16(b + 8, (uint16_t)(how & 16 ? get_be16(b + 6) - answers : 0));
	put_be16(b + 10, (uint16_t)(how & 16 ? 0 : get_be16(b + 6) - answers));
	put_be16(b + 6, answers);
	if (how & 0x80) {
		uint16_t at = cur_le16(c);

		b[at % o.len] ^= cur_u8(c);
	}
	up_say(i, b, o.len);
}

static void server_ends(struct cursor *c)
{
	uint8_t which = cur_u8(c);

	if (f.nup)
		up_close(which % f.nup);
}

static void time_passes(struct cursor *c)
{
	f.now += (uint64_t)cur_u8(c) * cur_u8(c) * 50 * NS_PER_MS;
	wheel_run(&f.net->wheel, f.now);
}

static void (*const steps[])(struct cursor *c) = {
	guest_asks,     guest_says,  stream_says, stream_ends,    server_says,
	server_answers, server_ends, time_passes, server_answers,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor c = cur_init(data, len);
	static uint8_t b[DNS_MSG_MAX];

	begin();
	for (int i = 0; i < STEPS && cur_left(&c); i++) {
		steps[cur_u8(&c) % ARRAY_SIZE(steps)](&c);
		(void)loop_step(f.loop, 0);
		(void)loop_step(f.loop, 0);
		for (unsigned k = 0; k < f.nup; k++)
			(void)up_question(k, b, sizeof(b));
		for (unsigned k = 0; k < STREAMS; k++)
			read_stream(k);
	}
	end();
	return 0;
}
