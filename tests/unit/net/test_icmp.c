/*
 * Echo and errors. Ping sockets are real where the kernel lets us have a
 * network namespace of our own, in which we may allow them to ourselves.
 */
#include "lib/test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "l3.h"
#include "net/icmp_int.h"

static bool have_ping;
static enum verdict verdict;
static unsigned nasked, nrefused, nsockets, nheld;
static int socket_error;

/* ---- the other parts ----------------------------------------------------- */

enum verdict gate_egress(struct net *net, enum policy_proto proto,
                         const struct tuple *t, const char *said)
{
	(void)net;
	(void)t;
	assert_null(said);
	assert_int_equal(proto, POLICY_ICMP);
	nasked++;
	return verdict;
}

struct addr gate_target(const struct net *net, const struct addr *peer)
{
	(void)net;
	return *peer;
}

bool gate_is_gateway(const struct net *net, const struct addr *a)
{
	return addr_eq(a, &net->cfg.gateway4) || addr_eq(a, &net->cfg.gateway6);
}

bool gate_is_host(struct net *net, const struct addr *a)
{
	(void)net;
	return addr_kind(a) == ADDR_LOOPBACK;
}

void gate_refused(struct net *net, const char *what)
{
	(void)net;
	(void)what;
	nrefused++;
}

void pins_hold(struct pins *pins, const struct addr *a)
{
	(void)pins;
	(void)a;
	nheld++;
}

void pins_drop(struct pins *pins, const struct addr *a, uint64_t now_ns)
{
	(void)pins;
	(void)a;
	(void)now_ns;
	nheld--;
}

int net_socket(struct net *net, int domain, int type, int protocol)
{
	int fd;

	(void)net;
	if (socket_error)
		return socket_error;
	fd = socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	nsockets++;
	return fd < 0 ? -errno : fd;
}

int net_connect(struct net *net, int fd, const struct addr *a, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(a, port, &ss);

	(void)net;
	return connect(fd, (void *)&ss, len) < 0 ? -errno : 0;
}

/* ---- setting up ---------------------------------------------------------- */

static void set_mtu(int mtu)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_mtu = mtu};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ioctl(fd, SIOCSIFMTU, &r), 0);
	close(fd);
}

/* A network of our own: loopback up, ping sockets for all. */
static bool enter_namespace(void)
{
	static const char range[] = "0 0";
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd;
	bool ok;

	if (unshare(CLONE_NEWNET) < 0 &&
	    unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ok = ioctl(fd, SIOCSIFFLAGS, &r) == 0;
	close(fd);
	fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC);
	ok = ok && fd >= 0 && write(fd, range, 3) == 3;
	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
	ok = ok && fd >= 0;
	close(fd);
	return ok;
}

static int setup(void **state)
{
	(void)state;
	l3_setup();
	n.loop = loop_new();
	assert_non_null(n.loop);
	wheel_init(&n.wheel, NULL, now);
	assert_int_equal(icmp_new(&n, &n.icmp), 0);
	verdict = VERDICT_ALLOW;
	nasked = nrefused = nsockets = nheld = 0;
	socket_error = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	icmp_free(n.icmp);
	assert_int_equal(nheld, 0);
	assert_int_equal(n.counters.open, 0);
	wheel_release(&n.wheel);
	loop_free(n.loop);
	return 0;
}

static void echo4(const char *dst, uint16_t id, uint16_t seq, size_t len)
{
	fr_ip4(&f, GUEST4, dst, PROTO_ICMP4);
	fr_echo(&f, 8, id, seq, len);
	fr_end4(&f);
}

static void echo6(const char *src, const char *dst, uint16_t id, uint16_t seq,
                  size_t len)
{
	fr_ip6(&f, src, dst, PROTO_ICMP6);
	fr_echo(&f, 128, id, seq, len);
	fr_end6(&f);
}

static void give(void)
{
	l3_parse();
	icmp_input(&n, &p);
}

/* Until the guest got @count frames, for a second. */
static void wait_for(unsigned count)
{
	unsigned i;

	for (i = 0; i < 100 && nsent < count; i++)
		assert_int_equal(loop_step(n.loop, 10), 0);
	assert_int_equal(nsent, count);
}

static void assert_reply(unsigned i, const char *from, uint8_t type,
                         uint16_t id, uint16_t seq, size_t len)
{
	struct pkt got = l3_got(i);
	const uint8_t *m = sent[i].f.b + got.l4;

	assert_addr(&got.src, from);
	assert_int_equal(m[0], type);
	assert_int_equal(m[1], 0);
	assert_int_equal(get_be16(m + 4), id);
	assert_int_equal(get_be16(m + 6), seq);
	assert_int_equal(got.payload.len, len);
	assert_memory_equal(m + 8, f.b + f.len - len, len);
}

/* ---- the gateway --------------------------------------------------------- */

static void gateway_answers_for_itself(void **state)
{
	(void)state;
	echo4(GATEWAY4, 0x1234, 7, 56);
	give();
	assert_reply(0, GATEWAY4, 0, 0x1234, 7, 56);
	echo6(GUEST6, GATEWAY6, 0x1234, 8, 56);
	give();
	assert_reply(1, GATEWAY6, 129, 0x1234, 8, 56);
	echo6("fe80::ff:fe00:2", "fe80::ff:fe00:1", 1, 2, 0);
	give();
	assert_reply(2, "fe80::ff:fe00:1", 129, 1, 2, 0);
	assert_int_equal(nasked, 0);
	assert_int_equal(nsockets, 0);
}

static void echo_of_64_kib_is_answered_in_fragments(void **state)
{
	size_t at = 0;
	unsigned i;

	(void)state;
	echo4(GATEWAY4, 1, 1, 65507);
	give();
	assert_int_equal(nsent, 45);
	for (i = 0; i < nsent; i++) {
		struct pkt got = l3_got(i);

		assert_int_equal(got.frag_off, at);
		at += got.payload.len;
	}
	assert_int_equal(at, 65515);
}

static void payload_in_many_pieces_is_answered(void **state)
{
	static struct iovec v[200];
	struct iov s;
	struct vnet_hdr h = {0};
	const char *why;
	size_t i;

	(void)state;
	echo4(GATEWAY4, 1, 1, 158);
	for (i = 0; i < f.len; i++)
		v[i] = (struct iovec){f.b + i, 1};
	s = (struct iov){v, (unsigned)f.len, f.len};
	assert_int_equal(pkt_parse(&h, &s, &p, &why), 0);
	icmp_input(&n, &p);
	assert_reply(0, GATEWAY4, 0, 1, 1, 158);
}

static void what_is_no_request_has_no_answer(void **state)
{
	unsigned type;

	(void)state;
	for (type = 0; type < 256; type++) {
		fr_ip4(&f, GUEST4, GATEWAY4, PROTO_ICMP4);
		fr_echo(&f, (uint8_t)type, 1, 1, 60);
		fr_end4(&f);
		if (type != 8)
			give();
		fr_ip6(&f, GUEST6, GATEWAY6, PROTO_ICMP6);
		fr_echo(&f, (uint8_t)type, 1, 1, 60);
		fr_end6(&f);
		if (type != 128)
			give();
	}
	echo4(GATEWAY4, 1, 1, 1);
	f.b[ETH_LEN + 21] = 1;
	give();
	assert_int_equal(nsent + nasked, 0);
}

/* About a flow of its own, or of another guest: nobody listens. */
static void errors_of_the_guest_that_quote_flows_are_ignored(void **state)
{
	static const uint8_t types[] = {3, 4, 5, 11, 12};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(types); i++) {
		fr_ip4(&f, GUEST4, "203.0.113.5", PROTO_ICMP4);
		fr_add(&f, NULL, 8)[0] = types[i];
		fr_add(&f, "\x45\0\0\x28\0\0\0\0\x40\6\0\0\x7f\0\0\1\x7f\0\0\1",
		       20);
		fr_fill(&f, 8);
		fr_end4(&f);
		give();
	}
	assert_int_equal(nsent + nasked + nsockets, 0);
}

/* ---- elsewhere ----------------------------------------------------------- */

static void denied_echo_is_dropped_before_a_socket_is_made(void **state)
{
	(void)state;
	verdict = VERDICT_DENY;
	echo4("203.0.113.5", 1, 1, 56);
	give();
	verdict = VERDICT_NEED_NAME;
	give();
	assert_int_equal(nasked, 2);
	assert_int_equal(nsockets + nsent, 0);
}

static void link_local_source_goes_nowhere(void **state)
{
	(void)state;
	echo6("fe80::ff:fe00:2", "2001:db8::9", 1, 1, 56);
	give();
	assert_int_equal(nasked + nsockets + nsent, 0);
}

static void echo_to_a_group_goes_nowhere(void **state)
{
	static const char *const groups[] = {"ff02::1", "ff0e::9",
	                                     "64:ff9b::e000:1"};

	(void)state;
	echo4("224.0.0.1", 1, 1, 56);
	give();
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		echo6(GUEST6, groups[i], 1, 1, 56);
		give();
	}
	assert_int_equal(nasked + nsockets + nsent, 0);
}

static void without_ping_sockets_echo_is_dropped(void **state)
{
	(void)state;
	socket_error = -EACCES;
	echo4("203.0.113.5", 1, 1, 56);
	give();
	give();
	assert_int_equal(nsent + nrefused, 0);
	assert_true(n.icmp->told);
	socket_error = -EMFILE;
	give();
	assert_int_equal(nrefused, 1);
	assert_int_equal(n.icmp->flows.n, 0);
}

static void need_ping(void)
{
	if (!have_ping) {
		print_message("# SKIP no network namespace of our own with "
		              "ping sockets\n");
		skip();
	}
}

static void echo_goes_out_and_its_answer_comes_back(void **state)
{
	(void)state;
	need_ping();
	echo4("127.0.0.1", 0xabcd, 3, 56);
	give();
	wait_for(1);
	assert_reply(0, "127.0.0.1", 0, 0xabcd, 3, 56);
	assert_int_equal(l3_got(0).ttl, 64);
	assert_int_equal(n.counters.icmp_flows, 1);
	echo6(GUEST6, "::1", 0xabce, 4, 1400);
	give();
	wait_for(2);
	assert_reply(1, "::1", 129, 0xabce, 4, 1400);
	assert_true(nturns > 0);
}

static void one_socket_serves_an_id(void **state)
{
	uint16_t seq;

	(void)state;
	need_ping();
	for (seq = 0; seq < 20; seq++) {
		echo4("127.0.0.1", 5, seq, 56);
		give();
		wait_for(seq + 1U);
		assert_reply(seq, "127.0.0.1", 0, 5, seq, 56);
	}
	assert_int_equal(nsockets, 1);
	assert_int_equal(nasked, 1);
}

static void two_ids_are_told_apart(void **state)
{
	(void)state;
	need_ping();
	echo4("127.0.0.1", 5, 1, 8);
	give();
	wait_for(1);
	echo4("127.0.0.1", 6, 1, 8);
	give();
	wait_for(2);
	assert_reply(1, "127.0.0.1", 0, 6, 1, 8);
	assert_int_equal(nsockets, 2);
}

static void flood_of_ids_is_bounded_and_the_oldest_makes_room(void **state)
{
	unsigned id;

	(void)state;
	need_ping();
	for (id = 0; id < 1000; id++) {
		nsent = 0;
		echo4("127.0.0.1", (uint16_t)id, 1, 8);
		give();
		assert_true(n.icmp->flows.n <= ICMP_FLOWS_MAX);
		assert_true(n.counters.open <= ICMP_FLOWS_MAX);
	}
	nsent = 0;
	echo4("127.0.0.1", 7777, 1, 8);
	give();
	while (nsent == 0 || get_be16(sent[nsent - 1].f.b + 38) != 7777)
		assert_int_equal(loop_step(n.loop, 100), 0);
}

static void idle_socket_is_closed(void **state)
{
	(void)state;
	need_ping();
	echo4("127.0.0.1", 5, 1, 8);
	give();
	now += 20 * NS_PER_S;
	wheel_run(&n.wheel, now);
	give();
	now += 20 * NS_PER_S;
	wheel_run(&n.wheel, now);
	assert_int_equal(n.icmp->flows.n, 1);
	now += 11 * NS_PER_S;
	wheel_run(&n.wheel, now);
	assert_int_equal(n.icmp->flows.n, 0);
	assert_int_equal(n.counters.open, 0);
	assert_int_equal(nheld, 0);
}

static void reset_ends_them_all(void **state)
{
	(void)state;
	need_ping();
	echo4("127.0.0.1", 5, 1, 8);
	give();
	icmp_reset(&n);
	assert_int_equal(n.icmp->flows.n, 0);
	assert_int_equal(nheld, 0);
}

static void echo_to_where_no_route_is_gets_an_error(void **state)
{
	struct pkt got;

	(void)state;
	need_ping();
	echo4("203.0.113.5", 5, 1, 56);
	give();
	got = l3_got(0);
	assert_addr(&got.src, GATEWAY4);
	assert_memory_equal(sent[0].f.b + got.l4, "\3\0", 2);
	assert_memory_equal(sent[0].f.b + got.l4 + 8, f.b + ETH_LEN, 28 + 56);
	echo6(GUEST6, "2001:db8::9", 5, 1, 56);
	give();
	got = l3_got(1);
	assert_addr(&got.src, GATEWAY6);
	assert_memory_equal(sent[1].f.b + got.l4, "\1\0", 2);
}

/* What PMTU discovery is told by. */
static void echo_too_big_for_the_hosts_link_gets_its_mtu(void **state)
{
	struct pkt got;

	(void)state;
	need_ping();
	set_mtu(1400);
	echo4("127.0.0.1", 9, 2, 1432);
	put_be16(f.b + ETH_LEN + 6, 0x4000);
	fr_sum4(&f);
	give();
	wait_for(1);
	got = l3_got(0);
	assert_addr(&got.src, GATEWAY4);
	assert_memory_equal(sent[0].f.b + got.l4, "\3\4", 2);
	assert_int_equal(get_be16(sent[0].f.b + got.l4 + 6), 1400);
	/* It quotes an echo of that id and number. */
	assert_memory_equal(sent[0].f.b + got.l4 + 28, "\x08\0", 2);
	assert_memory_equal(sent[0].f.b + got.l4 + 32, "\0\x09\0\2", 4);
	/* Without DF it goes. */
	put_be16(f.b + ETH_LEN + 6, 0);
	fr_sum4(&f);
	give();
	wait_for(2);
	assert_reply(1, "127.0.0.1", 0, 9, 2, 1432);
	set_mtu(65536);
}

/* ---- errors -------------------------------------------------------------- */

static void about_udp(bool v6, size_t len)
{
	if (v6) {
		fr_ip6(&f, GUEST6, "2001:db8::9", PROTO_UDP);
		fr_udp(&f, 4000, 53, len);
		fr_end6(&f);
	} else {
		fr_ip4(&f, GUEST4, "192.0.2.9", PROTO_UDP);
		fr_udp(&f, 4000, 53, len);
		fr_end4(&f);
	}
	l3_parse();
}

static const struct {
	enum icmp_reason why;
	const char *v4, *v6;
} on_wire[] = {
	{ICMP_NO_NET,      "\3\0",   "\1\0"},
        {ICMP_NO_HOST,     "\3\1",   "\1\3"},
	{ICMP_NO_PORT,     "\3\3",   "\1\4"},
        {ICMP_PROHIBITED,  "\3\x0d", "\1\1"},
	{ICMP_TOO_BIG,     "\3\4",   "\2\0"},
        {ICMP_TTL_EXPIRED, "\x0b\0", "\3\0"},
	{ICMP_NO_PROTO,    "\3\2",   "\4\1"},
};

static void every_reason_is_as_the_rfcs_say(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(on_wire); i++) {
		struct pkt got;

		nsent = 0;
		about_udp(false, 10);
		icmp_error(&n, &p, on_wire[i].why, NULL, 1300);
		got = l3_got(0);
		assert_memory_equal(sent[0].f.b + got.l4, on_wire[i].v4, 2);
		assert_addr(&got.src, GATEWAY4);
		assert_addr(&got.dst, GUEST4);
		assert_int_equal(got.payload.len, 38);
		assert_memory_equal(sent[0].f.b + got.l4 + 8, f.b + ETH_LEN,
		                    38);
		about_udp(true, 10);
		icmp_error(&n, &p, on_wire[i].why, NULL, 1300);
		got = l3_got(1);
		assert_memory_equal(sent[1].f.b + got.l4, on_wire[i].v6, 2);
		assert_addr(&got.src, GATEWAY6);
		assert_int_equal(got.payload.len, 58);
		assert_memory_equal(sent[1].f.b + got.l4 + 8, f.b + ETH_LEN,
		                    58);
	}
}

static void mtu_is_told_and_never_absurd(void **state)
{
	struct pkt got;

	(void)state;
	about_udp(false, 10);
	icmp_error(&n, &p, ICMP_TOO_BIG, NULL, 1300);
	icmp_error(&n, &p, ICMP_TOO_BIG, NULL, 0);
	got = l3_got(0);
	assert_int_equal(get_be32(sent[0].f.b + got.l4 + 4), 1300);
	assert_int_equal(get_be32(sent[1].f.b + got.l4 + 4), 68);
	about_udp(true, 10);
	icmp_error(&n, &p, ICMP_TOO_BIG, NULL, 1400);
	icmp_error(&n, &p, ICMP_TOO_BIG, NULL, 1);
	got = l3_got(2);
	assert_int_equal(get_be32(sent[2].f.b + got.l4 + 4), 1400);
	assert_int_equal(get_be32(sent[3].f.b + got.l4 + 4), 1280);
}

static void error_quotes_as_much_as_fits(void **state)
{
	struct pkt got;

	(void)state;
	about_udp(false, 1400);
	icmp_error(&n, &p, ICMP_NO_PORT, NULL, 0);
	got = l3_got(0);
	assert_int_equal(got.ip_len, 576);
	assert_memory_equal(sent[0].f.b + got.l4 + 8, f.b + ETH_LEN, 548);
	about_udp(true, 1400);
	icmp_error(&n, &p, ICMP_NO_PORT, NULL, 0);
	got = l3_got(1);
	assert_int_equal(got.ip_len, 1280);
	assert_memory_equal(sent[1].f.b + got.l4 + 8, f.b + ETH_LEN, 1232);
	/* Nobody's payload was used up by it. */
	assert_int_equal(p.payload.len, 1400);
}

static void error_of_a_router_comes_from_it(void **state)
{
	struct addr router4 = ip("198.51.100.1"), router6 = ip("2001:db8:5::1");
	struct pkt got;

	(void)state;
	about_udp(false, 10);
	icmp_error(&n, &p, ICMP_TTL_EXPIRED, &router4, 0);
	got = l3_got(0);
	assert_addr(&got.src, "198.51.100.1");
	icmp_error(&n, &p, ICMP_TTL_EXPIRED, &router6, 0);
	got = l3_got(1);
	assert_addr(&got.src, GATEWAY4);
}

static void unknown_next_header_is_pointed_to(void **state)
{
	struct pkt got;

	(void)state;
	fr_ip6(&f, GUEST6, "2001:db8::9", 60);
	fr_add(&f, "\x3c\0\1\4\0\0\0\0", 8);
	fr_add(&f, "\x84\1\1\x0c\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	fr_fill(&f, 10);
	fr_end6(&f);
	l3_parse();
	icmp_error(&n, &p, ICMP_NO_PROTO, NULL, 0);
	got = l3_got(0);
	assert_int_equal(get_be32(sent[0].f.b + got.l4 + 4), 48);
	fr_ip6(&f, GUEST6, "2001:db8::9", 132);
	fr_fill(&f, 10);
	fr_end6(&f);
	l3_parse();
	icmp_error(&n, &p, ICMP_NO_PROTO, NULL, 0);
	assert_int_equal(get_be32(sent[1].f.b + got.l4 + 4), 6);
}

static void no_error_is_about_an_error_a_group_or_a_part(void **state)
{
	(void)state;
	fr_ip4(&f, GUEST4, "192.0.2.9", PROTO_ICMP4);
	fr_echo(&f, 3, 0, 0, 28);
	fr_end4(&f);
	l3_parse();
	icmp_error(&n, &p, ICMP_NO_HOST, NULL, 0);
	fr_ip6(&f, GUEST6, "2001:db8::9", PROTO_ICMP6);
	fr_echo(&f, 1, 0, 0, 48);
	fr_end6(&f);
	l3_parse();
	icmp_error(&n, &p, ICMP_NO_HOST, NULL, 0);
	about_udp(false, 10);
	p.dst = ip("224.0.0.22");
	icmp_error(&n, &p, ICMP_NO_PROTO, NULL, 0);
	p.dst = ip("255.255.255.255");
	icmp_error(&n, &p, ICMP_NO_PROTO, NULL, 0);
	about_udp(true, 10);
	p.dst = ip("ff02::16");
	icmp_error(&n, &p, ICMP_NO_PROTO, NULL, 0);
	about_udp(false, 10);
	p.head[0] = 0xff;
	icmp_error(&n, &p, ICMP_NO_PORT, NULL, 0);
	about_udp(false, 10);
	p.fragment = true;
	icmp_error(&n, &p, ICMP_NO_PORT, NULL, 0);
	about_udp(false, 10);
	p.src = ip("8.8.8.8");
	icmp_error(&n, &p, ICMP_NO_PORT, NULL, 0);
	assert_int_equal(nsent, 0);
}

static void errors_are_at_most_200_a_second(void **state)
{
	struct tuple t = {ip(GUEST4), ip("192.0.2.9"), 1, 2};
	unsigned i;

	(void)state;
	about_udp(false, 10);
	for (i = 0; i < 5000; i++) {
		icmp_error(&n, &p, ICMP_NO_PORT, NULL, 0);
		icmp_error_flow(&n, PROTO_UDP, &t, 0, ICMP_NO_PORT, NULL, 0);
	}
	assert_int_equal(nsent, 200);
	now += NS_PER_S;
	nsent = 0;
	for (i = 0; i < 5000; i++)
		icmp_error(&n, &p, ICMP_NO_PORT, NULL, 0);
	assert_int_equal(nsent, 200);
}

static void error_of_a_flow_quotes_its_addresses_and_ports(void **state)
{
	struct tuple t4 = {ip(GUEST4), ip("192.0.2.9"), 4000, 443};
	struct tuple t6 = {ip(GUEST6), ip("2001:db8::9"), 4000, 443};
	struct iovec v;
	struct iov s;
	struct pkt got;

	(void)state;
	icmp_error_flow(&n, PROTO_TCP, &t4, 0x01020304, ICMP_NO_HOST, NULL, 0);
	got = l3_got(0);
	assert_memory_equal(sent[0].f.b + got.l4, "\3\1", 2);
	assert_int_equal(got.payload.len, 28);
	assert_memory_equal(sent[0].f.b + got.l4 + 28,
	                    "\x0f\xa0\x01\xbb\1\2\3\4", 8);
	assert_int_equal(csum_fold(csum_add(0, sent[0].f.b + got.l4 + 8, 20)),
	                 0xffff);
	icmp_error_flow(&n, PROTO_UDP, &t6, 0, ICMP_TOO_BIG, NULL, 1400);
	got = l3_got(1);
	assert_int_equal(got.payload.len, 48);
	v = (struct iovec){sent[1].f.b + got.l4 + 8, 48};
	s = (struct iov){&v, 1, 48};
	assert_int_equal(s.len, 48);
	assert_memory_equal((uint8_t *)v.iov_base + 8, t6.guest.b, 16);
	assert_memory_equal((uint8_t *)v.iov_base + 24, t6.peer.b, 16);
	assert_memory_equal((uint8_t *)v.iov_base + 40,
	                    "\x0f\xa0\x01\xbb\0\x08\0\0", 8);
}

static int udp_to(int domain, uint16_t port)
{
	struct addr a = ip(domain == AF_INET ? "127.0.0.1" : "::1");
	int fd = socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	assert_true(fd >= 0);
	if (domain == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	else
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
	assert_int_equal(net_connect(&n, fd, &a, port), 0);
	return fd;
}

static void refusal_is_read_from_the_kernel(void **state)
{
	static const int domains[] = {AF_INET, AF_INET6};
	enum icmp_reason why;
	struct addr from;
	uint32_t mtu;
	size_t i;

	(void)state;
	need_ping(); /* whose loopback has no services */
	for (i = 0; i < 2; i++) {
		int fd = udp_to(domains[i], 9);

		assert_int_equal(icmp_from_errqueue(fd, &why, &from, &mtu), 0);
		assert_int_equal(send(fd, "x", 1, 0), 1);
		assert_int_equal(icmp_from_errqueue(fd, &why, &from, &mtu), 1);
		assert_int_equal(why, ICMP_NO_PORT);
		assert_addr(&from, i ? "::1" : "127.0.0.1");
		assert_int_equal(icmp_from_errqueue(fd, &why, &from, &mtu), 0);
		close(fd);
	}
}

static void mtu_is_read_from_the_kernel(void **state)
{
	static const struct addr nobody;
	enum icmp_reason why;
	struct addr from;
	uint32_t mtu;
	int fd, want = IP_PMTUDISC_DO;

	(void)state;
	need_ping();
	set_mtu(1400);
	fd = udp_to(AF_INET, 9);
	setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &want, sizeof(want));
	assert_int_equal(send(fd, f.b, 3000, 0), -1);
	assert_int_equal(icmp_from_errqueue(fd, &why, &from, &mtu), 1);
	assert_int_equal(why, ICMP_TOO_BIG);
	assert_int_equal(mtu, 1400);
	assert_true(addr_eq(&from, &nobody));
	close(fd);
	set_mtu(65536);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(gateway_answers_for_itself),
		T(echo_of_64_kib_is_answered_in_fragments),
		T(payload_in_many_pieces_is_answered),
		T(what_is_no_request_has_no_answer),
		T(errors_of_the_guest_that_quote_flows_are_ignored),
		T(denied_echo_is_dropped_before_a_socket_is_made),
		T(link_local_source_goes_nowhere),
		T(echo_to_a_group_goes_nowhere),
		T(without_ping_sockets_echo_is_dropped),
		T(echo_goes_out_and_its_answer_comes_back),
		T(one_socket_serves_an_id),
		T(two_ids_are_told_apart),
		T(flood_of_ids_is_bounded_and_the_oldest_makes_room),
		T(idle_socket_is_closed),
		T(reset_ends_them_all),
		T(echo_to_where_no_route_is_gets_an_error),
		T(echo_too_big_for_the_hosts_link_gets_its_mtu),
		T(every_reason_is_as_the_rfcs_say),
		T(mtu_is_told_and_never_absurd),
		T(error_quotes_as_much_as_fits),
		T(error_of_a_router_comes_from_it),
		T(unknown_next_header_is_pointed_to),
		T(no_error_is_about_an_error_a_group_or_a_part),
		T(errors_are_at_most_200_a_second),
		T(error_of_a_flow_quotes_its_addresses_and_ports),
		T(refusal_is_read_from_the_kernel),
		T(mtu_is_read_from_the_kernel),
	};

	have_ping = enter_namespace();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
