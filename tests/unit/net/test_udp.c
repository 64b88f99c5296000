/* UDP flows: what goes out, what comes back, how long, and how many. */
#include "lib/test.h"

#include <fcntl.h>

#include "udp_rig.h"

#define FAR     "203.0.113.9"
#define OTHER   "198.18.7.7" /* not what a flow went to */
#define FAR6    "2a00:1450::9"
#define MY_PORT 40000

static const struct policy_spec all = {.profile = "all"};
static const struct policy_spec by_default;
static uint8_t buf[70000];

static int setup(void **state)
{
	*state = rig_new(&all, NULL, 0);
	return 0;
}

static int teardown(void **state)
{
	rig_free(*state);
	return 0;
}

/* A datagram that the server gets, and the flow's address on the host. */
static size_t heard(int fd, struct sockaddr_storage *from, socklen_t *from_len)
{
	ssize_t n;

	*from_len = sizeof(*from);
	n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)from,
	             from_len);
	assert_true(n >= 0);
	return (size_t)n;
}

static void answer(int fd, const struct sockaddr_storage *to, socklen_t len,
                   const void *data, size_t n)
{
	assert_int_equal(
		sendto(fd, data, n, 0, (const struct sockaddr *)to, len), n);
}

static void one_round_trip(struct rig *r, const char *far, const char *loopback)
{
	struct sockaddr_storage from;
	struct addr far_addr = ip(far), me;
	socklen_t from_len;
	uint16_t port;
	int fd = server_at(loopback, 0, &port);
	struct got g;

	rig_say(r, MY_PORT, far, port, 100);
	assert_int_equal(heard(fd, &from, &from_len), 100);
	assert_true(is_filled(buf, 100));
	answer(fd, &from, from_len, "hello", 5);
	rig_run(r);
	assert_int_equal(r->n, 1);
	assert_int_equal(r->flushes, 1);
	g = rig_got(r, 0);
	me = ip(addr_is_v4(&far_addr) ? GUEST4 : GUEST6);
	assert_true(addr_eq(&g.src, &far_addr));
	assert_true(addr_eq(&g.dst, &me));
	assert_int_equal(g.proto, PROTO_UDP);
	assert_int_equal(g.sport, port);
	assert_int_equal(g.dport, MY_PORT);
	assert_int_equal(g.len, 5);
	assert_memory_equal(g.data, "hello", 5);
	close(fd);
}

static void datagram_goes_out_and_the_answer_comes_back(void **state)
{
	one_round_trip(*state, FAR, "127.0.0.1");
}

static void the_same_over_ipv6(void **state)
{
	one_round_trip(*state, FAR6, "::1");
}

static void gateways_address_is_the_hosts_loopback(void **state)
{
	one_round_trip(*state, GATEWAY4, "127.0.0.1");
}

static void empty_datagrams_work_both_ways(void **state)
{
	struct rig *r = *state;
	struct sockaddr_storage from;
	socklen_t len;
	uint16_t port;
	int fd = server_at("127.0.0.1", 0, &port);
	struct got g;

	rig_say(r, MY_PORT, FAR, port, 0);
	assert_int_equal(heard(fd, &from, &len), 0);
	answer(fd, &from, len, "", 0);
	rig_run(r);
	assert_int_equal(r->n, 1);
	g = rig_got(r, 0);
	assert_int_equal(g.sport, port);
	assert_int_equal(g.len, 0);
	close(fd);
}

/* The pieces of one packet of IPv4, put together again. */
static size_t whole4(struct rig *r, unsigned from, uint8_t *to)
{
	size_t end = 0;

	for (unsigned i = from; i < r->n; i++) {
		const struct fr *f = &r->got[i % RIG_KEPT];
		const uint8_t *h = f->b + ETH_LEN;
		size_t off = (get_be16(h + 6) & 0x1fff) * 8U;
		size_t len = get_be16(h + 2) - 20U;

		assert_true(f->len <= ETH_LEN + 1500);
		memcpy(to + off, h + 20, len);
		end = MAX(end, off + len);
	}
	return end;
}

static void answer_beyond_the_mtu_comes_in_fragments(void **state)
{
	static uint8_t large[65507], whole[70000];
	struct rig *r = *state;
	struct sockaddr_storage from;
	socklen_t len;
	uint16_t port;
	int fd = server_at("127.0.0.1", 0, &port);

	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (uint8_t)(i * 31 + i / 251);
	rig_say(r, MY_PORT, FAR, port, 1);
	heard(fd, &from, &len);
	answer(fd, &from, len, large, sizeof(large));
	rig_run(r);
	assert_int_equal(whole4(r, 0, whole), 8 + sizeof(large));
	assert_int_equal(get_be16(whole + 4), 8 + sizeof(large));
	assert_memory_equal(whole + 8, large, sizeof(large));
	close(fd);
}

/* The guest's kernel cuts a datagram like this one. */
static void in_fragments(struct rig *r, const struct fr *f, size_t piece)
{
	static struct fr part;
	size_t len = f->len - ETH_LEN - 20;

	for (size_t off = 0; off < len; off += piece) {
		size_t n = MIN(piece, len - off);
		bool more = off + n < len;

		part.len = 0;
		fr_add(&part, f->b, ETH_LEN + 20);
		put_be16(part.b + ETH_LEN + 4, 77);
		put_be16(part.b + ETH_LEN + 6,
		         (uint16_t)(off / 8 | (more ? 0x2000 : 0)));
		fr_add(&part, f->b + ETH_LEN + 20 + off, n);
		fr_end4(&part);
		rig_frame(r, &part);
	}
	net_batch_end(r->net);
}

static void datagram_in_fragments_leaves_as_one(void **state)
{
	static struct fr f;
	struct rig *r = *state;
	struct sockaddr_storage from;
	socklen_t len;
	uint16_t port;
	int fd = server_at("127.0.0.1", 0, &port), df = -1;
	socklen_t df_len = sizeof(df);

	fr_datagram(&f, MY_PORT, FAR, port, 30000);
	in_fragments(r, &f, 1480);
	assert_int_equal(heard(fd, &from, &len), 30000);
	assert_true(is_filled(buf, 30000));
	assert_int_equal(
		getsockopt(r->fd, IPPROTO_IP, IP_MTU_DISCOVER, &df, &df_len),
		0);
	assert_int_equal(df, IP_PMTUDISC_DONT);
	close(fd);
}

/* Its ports are in the first piece; nothing is sent before the last. */
static void first_fragment_alone_begins_no_flow(void **state)
{
	static struct fr f;
	struct rig *r = *state;

	fr_datagram(&f, MY_PORT, FAR, 9, 1000);
	f.len -= 8;
	put_be16(f.b + ETH_LEN + 6, 0x2000);
	fr_end4(&f);
	rig_frame(r, &f);
	net_batch_end(r->net);
	assert_int_equal(r->sockets, 0);
}

static void batch_of_many_flows_arrives_whole_and_in_order(void **state)
{
	static struct fr f[64];
	struct rig *r = *state;
	struct sockaddr_storage from;
	socklen_t len;
	uint16_t port[4];
	int fd[4];

	for (unsigned i = 0; i < 4; i++)
		fd[i] = server_at("127.0.0.1", 0, &port[i]);
	for (unsigned i = 0; i < 64; i++) {
		fr_datagram(&f[i], (uint16_t)(MY_PORT + i % 2), FAR,
		            port[i % 4], 4);
		f[i].b[f[i].len - 1] = (uint8_t)i;
		rig_frame(r, &f[i]);
	}
	assert_true(is_silent(fd[0]));
	net_batch_end(r->net);
	for (unsigned i = 0; i < 64; i++) {
		assert_int_equal(heard(fd[i % 4], &from, &len), 4);
		assert_int_equal(buf[3], i);
	}
	assert_int_equal(rig_open(r), 4);
	for (unsigned i = 0; i < 4; i++)
		close(fd[i]);
}

static void payload_in_many_pieces_is_one_datagram(void **state)
{
	static struct fr f;
	static struct iovec v[1600];
	const struct vnet_hdr h = {.flags = VNET_NEEDS_CSUM};
	struct rig *r = *state;
	struct sockaddr_storage from;
	struct iov frame = {v, 0, 0};
	socklen_t len;
	uint16_t port;
	int fd = server_at("127.0.0.1", 0, &port);

	fr_datagram(&f, MY_PORT, FAR, port, 900);
	for (size_t i = 0; i < f.len; i++)
		v[i] = (struct iovec){f.b + i, 1};
	frame.n = (unsigned)f.len;
	frame.len = f.len;
	net_input(r->net, &h, &frame);
	net_batch_end(r->net);
	assert_int_equal(heard(fd, &from, &len), 900);
	assert_true(is_filled(buf, 900));

	fr_datagram(&f, MY_PORT, FAR, port, 1400);
	for (size_t i = 0; i < f.len; i++)
		v[i] = (struct iovec){f.b + i, 1};
	frame = (struct iov){v, (unsigned)f.len, f.len};
	net_input(r->net, &h, &frame);
	net_batch_end(r->net);
	assert_true(is_silent(fd));
	assert_int_equal(atomic_load(&net_counters(r->net)->bad), 1);
	close(fd);
}

/* ---- what is not let through --------------------------------------------- */

static void expect_error4(struct rig *r, uint8_t type, uint8_t code,
                          const char *from)
{
	struct addr teller = ip(from);
	struct got g;

	assert_int_equal(r->n, 1);
	g = rig_got(r, 0);
	assert_int_equal(g.proto, PROTO_ICMP4);
	assert_int_equal(g.type, type);
	assert_int_equal(g.code, code);
	assert_true(addr_eq(&g.src, &teller));
	/* The packet that it is about: to whom, from which port. */
	assert_int_equal(g.data[9], PROTO_UDP);
	assert_int_equal(get_be16(g.data + 20), MY_PORT);
}

static void denied_flow_is_told_to_be_prohibited(void **state)
{
	struct rig *r = rig_new(&by_default, NULL, 0);

	(void)state;
	rig_say(r, MY_PORT, "10.1.2.3", 9999, 10);
	expect_error4(r, 3, 13, GATEWAY4);
	assert_int_equal(r->sockets, 0);
	assert_int_equal(atomic_load(&net_counters(r->net)->denied), 1);
	assert_int_equal(rig_open(r), 0);
	rig_free(r);
}

static void denied_flow_over_ipv6_is_told_so_too(void **state)
{
	struct rig *r = rig_new(&by_default, NULL, 0);
	struct got g;

	(void)state;
	rig_say(r, MY_PORT, "fd00::1", 9999, 10);
	assert_int_equal(r->n, 1);
	g = rig_got(r, 0);
	assert_int_equal(g.proto, PROTO_ICMP6);
	assert_int_equal(g.type, 1);
	assert_int_equal(g.code, 1);
	assert_int_equal(r->sockets, 0);
	rig_free(r);
}

static void hosts_services_are_denied_by_default(void **state)
{
	struct rig *r = rig_new(&by_default, NULL, 0);
	uint16_t port;
	int fd = server_at("127.0.0.1", 0, &port);

	(void)state;
	rig_say(r, MY_PORT, GATEWAY4, port, 10);
	rig_say(r, MY_PORT, "127.0.0.1", port, 10);
	rig_say(r, MY_PORT, "64:ff9b::7f00:1", port, 10);
	assert_int_equal(r->sockets, 0);
	assert_true(is_silent(fd));
	close(fd);
	rig_free(r);
}

static void what_is_said_to_all_is_dropped_in_silence(void **state)
{
	static const struct {
		const char *to;
		uint16_t port;
	} chatter[] = {
		{"224.0.0.251",     5353},
		{"239.255.255.250", 1900},
		{"255.255.255.255", 67  },
		{"172.16.0.3",      999 },
		{"224.0.0.252",     5355},
		{FAR,               137 },
		{FAR,               138 },
		{FAR,               5353},
		{FAR,               5355},
		{"ff02::fb",        5353},
		{"ff02::1:3",       5355},
		{"ff05::1:3",       547 },
		{FAR6,              5353},
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(chatter); i++)
		rig_say(r, MY_PORT, chatter[i].to, chatter[i].port, 40);
	rig_run(r);
	assert_int_equal(r->n, 0);
	assert_int_equal(r->sockets, 0);
}

static void port_0_is_bad(void **state)
{
	struct rig *r = *state;

	rig_say(r, MY_PORT, FAR, 0, 40);
	assert_int_equal(r->sockets, 0);
	assert_int_equal(atomic_load(&net_counters(r->net)->bad), 1);
}

static void sum_of_zero_is_bad_in_ipv6_and_fine_in_ipv4(void **state)
{
	static struct fr f;
	const struct vnet_hdr h = {0};
	struct rig *r = *state;
	uint16_t port;
	int fd = server_at("127.0.0.1", 0, &port);

	fr_datagram(&f, MY_PORT, FAR6, port, 10);
	rig_frame_hdr(r, &h, &f);
	net_batch_end(r->net);
	assert_int_equal(r->sockets, 0);
	assert_int_equal(atomic_load(&net_counters(r->net)->bad), 1);
	fr_datagram(&f, MY_PORT, FAR, port, 10);
	rig_frame_hdr(r, &h, &f);
	net_batch_end(r->net);
	assert_int_equal(r->sockets, 1);
	assert_false(is_silent(fd));
	close(fd);
}

static void length_that_lies_is_bad(void **state)
{
	static const uint16_t lies[] = {0, 1, 7, 8 + 41, 65535};
	static struct fr f;
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		fr_datagram(&f, MY_PORT, FAR, 9, 40);
		put_be16(f.b + ETH_LEN + 24, lies[i]);
		rig_frame(r, &f);
		fr_datagram(&f, MY_PORT, FAR6, 9, 40);
		put_be16(f.b + ETH_LEN + 44, lies[i]);
		rig_frame(r, &f);
	}
	net_batch_end(r->net);
	assert_int_equal(r->sockets, 0);
	assert_int_equal(atomic_load(&net_counters(r->net)->bad),
	                 2 * ARRAY_SIZE(lies));
}

/* What the IP packet has behind the datagram's end is not a part of it. */
static void bytes_behind_the_datagram_are_not_sent(void **state)
{
	static struct fr f;
	struct rig *r = *state;
	struct sockaddr_storage from;
	socklen_t len;
	uint16_t port;
	int fd = server_at("127.0.0.1", 0, &port);

	fr_datagram(&f, MY_PORT, FAR, port, 40);
	put_be16(f.b + ETH_LEN + 24, 8 + 15);
	rig_frame(r, &f);
	net_batch_end(r->net);
	assert_int_equal(heard(fd, &from, &len), 15);
	close(fd);
}

/* ---- errors -------------------------------------------------------------- */

static uint16_t free_port(void)
{
	uint16_t port;

	close(server_at("127.0.0.1", 0, &port));
	return port;
}

static void refused_datagram_is_port_unreachable_from_the_peer(void **state)
{
	struct rig *r = *state;

	rig_say(r, MY_PORT, GATEWAY4, free_port(), 10);
	rig_run(r);
	expect_error4(r, 3, 3, GATEWAY4);
}

/* The kernel tells of the first at the second: which goes nevertheless. */
static void flow_goes_on_after_an_error(void **state)
{
	struct rig *r = *state;
	uint16_t port = free_port();
	struct sockaddr_storage from;
	socklen_t len;
	int fd;

	rig_say(r, MY_PORT, FAR, port, 10);
	fd = server_at("127.0.0.1", port, &port);
	rig_say(r, MY_PORT, FAR, port, 11);
	assert_int_equal(heard(fd, &from, &len), 11);
	answer(fd, &from, len, "x", 1);
	rig_run(r);
	assert_int_equal(r->n, 2);
	assert_int_equal(rig_got(r, 0).proto, PROTO_ICMP4);
	assert_int_equal(rig_got(r, 1).proto, PROTO_UDP);
	assert_int_equal(rig_open(r), 1);
	close(fd);
}

static void unreachable_peer_is_told_at_once(void **state)
{
	static const struct {
		int error;
		uint8_t code;
	} cases[] = {
		{-ENETUNREACH,  0 },
		{-EHOSTUNREACH, 1 },
		{-EACCES,       13},
		{-EPERM,        13},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rig *r = rig_new(&all, NULL, 0);

		r->connect_error = cases[i].error;
		rig_say(r, MY_PORT, FAR, 9, 10);
		expect_error4(r, 3, cases[i].code, GATEWAY4);
		assert_int_equal(rig_open(r), 0);
		assert_int_equal(fcntl(r->fd, F_GETFD), -1);
		rig_free(r);
	}
}

static void without_descriptors_the_oldest_flow_makes_room(void **state)
{
	struct rig *r = *state;

	rig_say(r, MY_PORT, FAR, 9, 10);
	assert_int_equal(rig_open(r), 1);
	r->socket_error = -EMFILE;
	rig_say(r, MY_PORT + 1, FAR, 9, 10);
	assert_int_equal(rig_open(r), 0);
	assert_int_equal(atomic_load(&net_counters(r->net)->refused), 1);
	rig_say(r, MY_PORT + 1, FAR, 9, 10);
	assert_int_equal(rig_open(r), 0);
	r->socket_error = 0;
	rig_say(r, MY_PORT + 1, FAR, 9, 10);
	assert_int_equal(rig_open(r), 1);
}

/* ---- strangers ----------------------------------------------------------- */

static void answers_of_others_do_not_get_in(void **state)
{
	struct rig *r = *state;
	struct sockaddr_storage from;
	socklen_t len;
	uint16_t port, other;
	int fd = server_at("127.0.0.1", 0, &port);
	int stranger = server_at("127.0.0.1", 0, &other);
	int neighbour = server_at("127.0.0.2", port, &port);

	rig_say(r, MY_PORT, FAR, port, 10);
	heard(fd, &from, &len);
	answer(stranger, &from, len, "spoof", 5);
	answer(neighbour, &from, len, "spoof", 5);
	rig_run(r);
	assert_int_equal(r->n, 0);
	answer(fd, &from, len, "true", 4);
	rig_run(r);
	assert_int_equal(r->n, 1);
	assert_memory_equal(rig_got(r, 0).data, "true", 4);
	close(fd);
	close(stranger);
	close(neighbour);
}

static void foreign_source_gets_nowhere(void **state)
{
	static struct fr f;
	struct rig *r = *state;

	fr_ip4(&f, OTHER, FAR, PROTO_UDP);
	fr_udp(&f, MY_PORT, 9, 10);
	fr_end4(&f);
	rig_frame(r, &f);
	net_batch_end(r->net);
	assert_int_equal(r->sockets, 0);
	assert_int_equal(atomic_load(&net_counters(r->net)->bad), 1);
}

/* ---- options of the socket ----------------------------------------------- */

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void ttl_tos_and_df_are_those_of_the_guest(void **state)
{
	static struct fr f;
	struct rig *r = *state;
	uint16_t port;
	int fd = server_at("127.0.0.1", 0, &port);

	for (unsigned i = 0; i < 2; i++) {
		fr_datagram(&f, MY_PORT, FAR, port, 10);
		f.b[ETH_LEN + 1] = i ? 0 : 0xb9;
		f.b[ETH_LEN + 6] = i ? 0 : 0x40;
		f.b[ETH_LEN + 8] = i ? 255 : 3;
		fr_sum4(&f);
		rig_frame(r, &f);
		net_batch_end(r->net);
		assert_int_equal(option(r->fd, IPPROTO_IP, IP_TTL),
		                 i ? 255 : 3);
		assert_int_equal(option(r->fd, IPPROTO_IP, IP_TOS),
		                 i ? 0 : 0xb9);
		assert_int_equal(option(r->fd, IPPROTO_IP, IP_MTU_DISCOVER),
		                 i ? IP_PMTUDISC_DONT : IP_PMTUDISC_DO);
	}
	assert_int_equal(rig_open(r), 1);
	close(fd);
}

static void hop_limit_and_class_are_those_of_the_guest(void **state)
{
	static struct fr f;
	struct rig *r = *state;

	fr_datagram(&f, MY_PORT, FAR6, 9, 10);
	f.b[ETH_LEN] = 0x6b;
	f.b[ETH_LEN + 1] = 0xa0;
	f.b[ETH_LEN + 7] = 5;
	rig_frame(r, &f);
	net_batch_end(r->net);
	assert_int_equal(option(r->fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 5);
	assert_int_equal(option(r->fd, IPPROTO_IPV6, IPV6_TCLASS), 0xba);
	assert_int_equal(option(r->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER),
	                 IPV6_PMTUDISC_DO);
}

static void each_datagram_of_a_batch_has_its_own_ttl(void **state)
{
	static struct fr f[3];
	struct rig *r = *state;
	uint16_t port;
	int fd = server_at("127.0.0.1", 0, &port), on = 1;

	assert_int_equal(
		setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on)), 0);
	for (uint8_t i = 0; i < 3; i++) {
		fr_datagram(&f[i], MY_PORT, FAR, port, 10);
		f[i].b[ETH_LEN + 8] = (uint8_t)(i + 1);
		fr_sum4(&f[i]);
		rig_frame(r, &f[i]);
	}
	net_batch_end(r->net);
	for (int i = 0; i < 3; i++) {
		uint8_t ctl[CMSG_SPACE(sizeof(int))];
		struct msghdr m = {.msg_control = ctl,
		                   .msg_controllen = sizeof(ctl)};
		int ttl = 0;

		assert_int_equal(recvmsg(fd, &m, 0), 0);
		memcpy(&ttl, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(ttl));
		assert_int_equal(ttl, i + 1);
	}
	close(fd);
}

static void congestion_bits_of_an_answer_come_in(void **state)
{
	struct rig *r = *state;
	struct sockaddr_storage from;
	socklen_t len;
	uint16_t port;
	int fd = server_at("127.0.0.1", 0, &port), tos = 0x2b;

	rig_say(r, MY_PORT, FAR, port, 10);
	heard(fd, &from, &len);
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)),
	                 0);
	answer(fd, &from, len, "x", 1);
	rig_run(r);
	assert_int_equal(rig_got(r, 0).tos, 0x2b);
	close(fd);
}

/* ---- life, bounds -------------------------------------------------------- */

static void
flow_ends_30_s_after_the_last_word_and_180_s_once_answered(void **state)
{
	struct rig *r = *state;
	struct sockaddr_storage from;
	socklen_t len;
	uint16_t port;
	int fd = server_at("127.0.0.1", 0, &port);

	rig_say(r, MY_PORT, FAR, port, 10);
	rig_later(r, 29 * NS_PER_S);
	rig_say(r, MY_PORT, FAR, port, 10);
	rig_later(r, 29 * NS_PER_S);
	assert_int_equal(rig_open(r), 1);
	rig_later(r, 2 * NS_PER_S);
	assert_int_equal(rig_open(r), 0);
	assert_int_equal(fcntl(r->fd, F_GETFD), -1);

	heard(fd, &from, &len);
	heard(fd, &from, &len);
	rig_say(r, MY_PORT, FAR, port, 10);
	heard(fd, &from, &len);
	answer(fd, &from, len, "x", 1);
	rig_run(r);
	rig_later(r, 179 * NS_PER_S);
	assert_int_equal(rig_open(r), 1);
	rig_later(r, 2 * NS_PER_S);
	assert_int_equal(rig_open(r), 0);
	assert_int_equal(atomic_load(&net_counters(r->net)->udp_flows), 2);
	close(fd);
}

static void
flood_to_10000_ports_stays_in_bounds_and_ends_no_one_else(void **state)
{
	static struct fr f[64];
	struct rig *r = *state;
	struct sockaddr_storage from;
	socklen_t len;
	uint16_t port, at = 1000;
	int fd = server_at("127.0.0.1", 0, &port);

	rig_say(r, MY_PORT, FAR, port, 10);
	heard(fd, &from, &len);
	answer(fd, &from, len, "x", 1);
	rig_run(r);
	for (int batch = 0; batch < 10048 / 64; batch++) {
		for (int i = 0; i < 64; i++) {
			fr_datagram(&f[i], 5, FAR, at++, 20);
			rig_frame(r, &f[i]);
		}
		net_batch_end(r->net);
		(void)loop_step(r->loop, 0);
		assert_true(rig_open(r) <= UDP_FLOWS_MAX);
	}
	assert_int_equal(rig_open(r), UDP_FLOWS_MAX);
	assert_true(r->n <= 1 + 10048);
	r->n = 0;
	answer(fd, &from, len, "still", 5);
	while (!r->n || rig_got(r, r->n - 1).proto != PROTO_UDP)
		(void)loop_step(r->loop, 100);
	assert_memory_equal(rig_got(r, r->n - 1).data, "still", 5);
	close(fd);
}

static void evicted_flow_sends_what_its_batch_had(void **state)
{
	static struct fr f[2];
	struct rig *r = *state;
	struct sockaddr_storage from;
	socklen_t len;
	uint16_t port;
	int fd = server_at("127.0.0.1", 0, &port);

	fr_datagram(&f[0], MY_PORT, FAR, port, 10);
	rig_frame(r, &f[0]);
	r->socket_error = -EMFILE;
	fr_datagram(&f[1], MY_PORT + 1, FAR, port, 11);
	rig_frame(r, &f[1]);
	assert_int_equal(rig_open(r), 0);
	net_batch_end(r->net);
	assert_int_equal(heard(fd, &from, &len), 10);
	assert_true(is_silent(fd));
	close(fd);
}

static void reset_ends_all_and_forgets_the_batch(void **state)
{
	static struct fr f;
	struct rig *r = *state;
	uint16_t port;
	int fd = server_at("127.0.0.1", 0, &port);

	fr_datagram(&f, MY_PORT, FAR, port, 10);
	rig_frame(r, &f);
	net_reset(r->net);
	net_batch_end(r->net);
	assert_int_equal(rig_open(r), 0);
	assert_true(is_silent(fd));
	rig_say(r, MY_PORT, FAR, port, 10);
	assert_int_equal(rig_open(r), 1);
	assert_false(is_silent(fd));
	close(fd);
}

/* ---- back-pressure ------------------------------------------------------- */

/* Two flows, each with so many answers that wait. */
static void without_room_sockets_wait_and_nothing_is_lost(void **state)
{
	struct rig *r = *state;
	struct sockaddr_storage from[2];
	socklen_t len[2];
	uint16_t port;
	int fd = server_at("127.0.0.1", 0, &port);
	uint8_t next[2] = {0, 0};

	for (uint16_t i = 0; i < 2; i++) {
		rig_say(r, (uint16_t)(MY_PORT + i), FAR, port, 1);
		heard(fd, &from[i], &len[i]);
	}
	for (uint8_t i = 0; i < 50; i++)
		for (unsigned k = 0; k < 2; k++)
			answer(fd, &from[k], len[k], &i, 1);
	r->room = 0;
	for (int i = 0; i < 20; i++)
		(void)loop_step(r->loop, 1);
	assert_int_equal(r->n, 0);
	assert_non_null(r->net->udp->rx_of);
	/* Nobody asks again and again while there is no room. */
	assert_int_equal(loop_step(r->loop, 0), 0);
	assert_non_null(r->net->udp->stalled);
	while (r->n < 100) {
		r->room = 7;
		net_writable(r->net);
		rig_run(r);
	}
	assert_int_equal(r->n, 100);
	for (unsigned i = 0; i < 100; i++) {
		struct got g = rig_got(r, i);
		unsigned k = g.dport - MY_PORT;

		assert_int_equal(g.data[0], next[k]);
		next[k]++;
	}
	r->room = -1;
	net_writable(r->net);
	assert_null(r->net->udp->stalled);
	close(fd);
}

/* Who is not told of a frame does not make room for the next. */
static void part_of_what_waited_is_told_of_too(void **state)
{
	struct rig *r = rig_new(&by_default, NULL, 0);

	(void)state;
	r->room = 0;
	for (uint16_t i = 0; i < 2; i++)
		rig_say(r, MY_PORT, "10.0.0.1", (uint16_t)(1000 + i), 1);
	assert_int_equal(r->net->nkept, 2); /* it is denied, and told so */
	r->flushes = 0;
	r->room = 1;
	net_writable(r->net);
	assert_int_equal(r->n, 1);
	assert_int_equal(r->flushes, 1);
	rig_free(r);
}

static void flow_that_ends_while_it_waits_lets_the_others_go_on(void **state)
{
	struct rig *r = *state;
	struct sockaddr_storage from[2];
	socklen_t len[2];
	uint16_t port;
	int fd = server_at("127.0.0.1", 0, &port);

	for (uint16_t i = 0; i < 2; i++) {
		rig_say(r, (uint16_t)(MY_PORT + i), FAR, port, 1);
		heard(fd, &from[i], &len[i]);
	}
	r->room = 0;
	answer(fd, &from[0], len[0], "a", 1);
	rig_run(r);
	answer(fd, &from[1], len[1], "b", 1);
	rig_run(r);
	r->now += 20 * NS_PER_S;
	rig_say(r, MY_PORT + 1, FAR, port, 1);
	rig_later(r, 15 * NS_PER_S);
	assert_int_equal(rig_open(r), 1);
	r->room = -1;
	net_writable(r->net);
	rig_run(r);
	assert_int_equal(r->n, 1);
	assert_memory_equal(rig_got(r, 0).data, "b", 1);
	close(fd);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(datagram_goes_out_and_the_answer_comes_back),
		T(the_same_over_ipv6),
		T(gateways_address_is_the_hosts_loopback),
		T(empty_datagrams_work_both_ways),
		T(answer_beyond_the_mtu_comes_in_fragments),
		T(datagram_in_fragments_leaves_as_one),
		T(first_fragment_alone_begins_no_flow),
		T(batch_of_many_flows_arrives_whole_and_in_order),
		T(payload_in_many_pieces_is_one_datagram),
		cmocka_unit_test(denied_flow_is_told_to_be_prohibited),
		cmocka_unit_test(denied_flow_over_ipv6_is_told_so_too),
		cmocka_unit_test(hosts_services_are_denied_by_default),
		T(what_is_said_to_all_is_dropped_in_silence),
		T(port_0_is_bad),
		T(sum_of_zero_is_bad_in_ipv6_and_fine_in_ipv4),
		T(length_that_lies_is_bad),
		T(bytes_behind_the_datagram_are_not_sent),
		T(refused_datagram_is_port_unreachable_from_the_peer),
		T(flow_goes_on_after_an_error),
		cmocka_unit_test(unreachable_peer_is_told_at_once),
		T(without_descriptors_the_oldest_flow_makes_room),
		T(answers_of_others_do_not_get_in),
		T(foreign_source_gets_nowhere),
		T(ttl_tos_and_df_are_those_of_the_guest),
		T(hop_limit_and_class_are_those_of_the_guest),
		T(each_datagram_of_a_batch_has_its_own_ttl),
		T(congestion_bits_of_an_answer_come_in),
		T(flow_ends_30_s_after_the_last_word_and_180_s_once_answered),
		T(flood_to_10000_ports_stays_in_bounds_and_ends_no_one_else),
		T(evicted_flow_sends_what_its_batch_had),
		T(reset_ends_all_and_forgets_the_batch),
		T(without_room_sockets_wait_and_nothing_is_lost),
		T(part_of_what_waited_is_told_of_too),
		T(flow_that_ends_while_it_waits_lets_the_others_go_on),
	};

	return cmocka_run_group_tests_name("net/udp", tests, NULL, NULL);
}
