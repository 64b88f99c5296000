/*
 * Lives of UDP flows: the input is a list of steps of a guest, of servers and
 * clients on this machine's loopback, of the clock and the link. Whatever
 * happens, flows stay in their bounds and frames to the guest are whole.
 */
#include <fcntl.h>

#include "net/udp_rig.h"

#include "base/cursor.h"
#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define BATCH   64
#define CLIENTS 4
#define SERVED  5000

static struct rig *r;
static struct fr frame[BATCH];
static unsigned nframes;
static struct iovec piece[BATCH][80];
/* server[1] is closed: what goes there is refused. */
static int server, client[CLIENTS], published4, published6;
static uint16_t server_port, closed_port, port4, port6;

static const char *const targets[] = {
	"203.0.113.9",     "2a00:1450::9",   GATEWAY4,       GATEWAY6,
	"10.1.2.3",        "fd00::1",        "127.0.0.1",    "::1",
	"224.0.0.251",     "ff02::fb",       "172.16.0.3",   "255.255.255.255",
	"169.254.169.254", "64:ff9b::a01:1", "2002:a00:1::", "0.0.0.0",
};

/* The port of the gateway that the last frame to the guest came from. */
static uint16_t last_port(void)
{
	const struct fr *f = &r->got[(r->n - 1) % RIG_KEPT];

	if (!r->n)
		return 49152;
	return get_be16(f->b + ETH_LEN + (f->b[12] == 0x08 ? 20 : 40));
}

static uint16_t a_port(uint8_t choice)
{
	const uint16_t ports[] = {server_port, closed_port, 0,    5353,
	                          137,         49152,       1900, last_port()};

	return ports[choice % ARRAY_SIZE(ports)];
}

static void batch_end(void)
{
	net_batch_end(r->net);
	nframes = 0;
}

/* Into pieces of @cut bytes, as a driver's descriptors may be. */
static void input(struct fr *f, uint8_t flags, unsigned cut)
{
	const struct vnet_hdr h = {.flags = flags & 1};
	struct iovec *v = piece[nframes++];
	struct iov s = {v, 0, f->len};

	cut = MAX(cut, (unsigned)(f->len / 70 + 1));
	for (size_t off = 0; off < f->len; off += cut)
		v[s.n++] = (struct iovec){f->b + off, MIN(cut, f->len - off)};
	net_input(r->net, &h, &s);
	if (nframes == BATCH)
		batch_end();
}

static void datagram(struct cursor *c)
{
	struct fr *f = &frame[nframes];
	uint8_t to = cur_u8(c), port = cur_u8(c), odd = cur_u8(c);
	uint8_t sport = cur_u8(c), ttl = cur_u8(c), tos = cur_u8(c);
	size_t len = cur_le16(c) % 2000;
	uint8_t *l4;
	bool v6;

	fr_datagram(f, sport & 0x80 ? SERVED : 40000 + (sport & 15),
	            targets[to % ARRAY_SIZE(targets)], a_port(port), len);
	v6 = f->b[12] == 0x86;
	l4 = f->b + ETH_LEN + (v6 ? 40 : 20);
	f->b[ETH_LEN + (v6 ? 7 : 8)] = ttl;
	f->b[ETH_LEN + 1] = tos;
	if (odd & 2)
		put_be16(l4 + 4, cur_be16(c));
	if (odd & 4)
		put_be16(l4 + 6, cur_be16(c));
	if (!v6 && (odd & 8))
		put_be16(f->b + ETH_LEN + 6, cur_be16(c));
	if (!v6)
		fr_sum4(f);
	input(f, odd, odd >> 4);
}

static void raw(struct cursor *c)
{
	struct fr *f = &frame[nframes];
	size_t len = cur_u8(c);
	const void *p = cur_bytes(c, len);

	if (!p)
		return;
	f->len = 0;
	fr_add(f, GATEWAY_MAC GUEST_MAC, 12);
	fr_add(f, p, len);
	input(f, 1, 0);
}

static void servers_answer(struct cursor *c)
{
	static uint8_t buf[65536];
	struct sockaddr_storage from;
	unsigned times = cur_u8(c) % 40;
	size_t len = cur_le16(c) % 65000;

	for (;;) {
		socklen_t n = sizeof(from);

		if (recvfrom(server, buf, sizeof(buf), MSG_DONTWAIT,
		             (struct sockaddr *)&from, &n) < 0)
			break;
		for (unsigned i = 0; i < times; i++)
			(void)sendto(server, buf, len, MSG_DONTWAIT,
			             (struct sockaddr *)&from, n);
	}
}

static void client_sends(struct cursor *c)
{
	uint8_t which = cur_u8(c);
	struct addr to = ip(which & 0x80 ? "::1" : "127.0.0.1");
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sockaddr(&to, which & 0x80 ? port6 : port4, &ss);
	int fd = client[(which & 0x80 ? 2 : 0) + (which & 1)];

	(void)sendto(fd, frame[0].b, cur_le16(c) % 65000, MSG_DONTWAIT,
	             (struct sockaddr *)&ss, n);
}

static void time_passes(struct cursor *c)
{
	r->now += cur_u8(c) * NS_PER_S;
	wheel_run(&r->net->wheel, r->now);
}

static void link_changes(struct cursor *c)
{
	uint8_t room = cur_u8(c);

	r->room = room & 0x80 ? -1 : room;
	net_writable(r->net);
}

static void sockets_fail(struct cursor *c)
{
	static const int errors[] = {0,       -EMFILE,      -ENOBUFS,
	                             -EACCES, -ENETUNREACH, -EAFNOSUPPORT};
	uint8_t which = cur_u8(c);

	r->socket_error = errors[(which & 15) % 3];
	r->connect_error = errors[(which >> 4) % ARRAY_SIZE(errors)];
}

/* Slow, so once in an input. */
static bool flooded;

static void many_ports(struct cursor *c)
{
	unsigned n = cur_u8(c) * 8U;

	for (unsigned i = 0; i < n && !flooded; i++) {
		struct fr *f = &frame[nframes];

		fr_datagram(f, (uint16_t)(1000 + i), targets[i & 1],
		            server_port, 1);
		input(f, 1, 0);
	}
	flooded = true;
}

static void step(struct cursor *c)
{
	static void (*const steps[])(struct cursor * c) = {
		datagram,    datagram,     datagram,
		raw,         client_sends, servers_answer,
		time_passes, link_changes, sockets_fail,
	};
	uint8_t op = cur_u8(c);

	if (op >= 0xf8)
		net_reset(r->net);
	else if (op == 0xf7)
		many_ports(c);
	else if (op >= 0xe0)
		batch_end();
	else if (op >= 0xc0)
		(void)loop_step(r->loop, 0);
	else
		steps[op % ARRAY_SIZE(steps)](c);
}

static void check_frames(unsigned from)
{
	for (unsigned i = r->n - from > RIG_KEPT ? r->n - RIG_KEPT : from;
	     i < r->n; i++) {
		const struct fr *f = &r->got[i % RIG_KEPT];

		if (f->len > ETH_LEN + 1500 ||
		    memcmp(f->b, GUEST_MAC GATEWAY_MAC, 12) != 0)
			abort();
	}
}

static void set_up(void)
{
	static const struct policy_spec spec = {.profile = "public,host"};
	struct net_port ports[2] = {
		{.guest = SERVED, .udp = true},
                {.guest = SERVED, .udp = true}
        };

	if (!server_port) {
		uint16_t any;

		log_setup("fuzz", 2, LOG_NONE);
		server = server_at("127.0.0.1", 0, &server_port);
		close(server_at("127.0.0.1", 0, &closed_port));
		published4 = server_at("127.0.0.1", 0, &port4);
		published6 = server_at("::", 0, &port6);
		for (int i = 0; i < CLIENTS; i++)
			client[i] =
				server_at(i < 2 ? "127.0.0.1" : "::1", 0, &any);
	}
	ports[0].fd = fcntl(published4, F_DUPFD_CLOEXEC, 0);
	ports[1].fd = fcntl(published6, F_DUPFD_CLOEXEC, 0);
	r = rig_new(&spec, ports, 2);
	nframes = 0;
	flooded = false;
}

static void empty(int fd)
{
	static uint8_t buf[1];

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) >= 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor c = cur_init(data, MIN(len, (size_t)4096));

	set_up();
	while (cur_left(&c)) {
		unsigned n = r->n;

		step(&c);
		if (rig_open(r) > 2 * UDP_FLOWS_MAX + ICMP_FLOWS_MAX)
			abort();
		check_frames(n);
	}
	batch_end();
	rig_free(r);
	empty(server);
	empty(published4);
	empty(published6);
	for (int i = 0; i < CLIENTS; i++)
		empty(client[i]);
	return 0;
}
