/* How connections begin. */
#include "drill.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/num.h"
#include "lib/test.h"

#define PEER  "93.184.216.34"
#define PEER6 "2606:2800::1"

static void the_syn_is_answered_when_the_host_has_answered(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	const struct drill_seg *s;

	(void)state;
	conn_init(d, &c, PEER, 80);
	conn_raw(&c, TCP_SYN, c.isn, 0, 1000, NULL, 0, NULL, 0);
	/* Dialled, and not a word yet: nothing ran but the batch. */
	assert_int_equal(d->dialled, 1);
	assert_int_equal(d->nsegs, 0);
	s = drill_got_flags(d, TCP_SYN | TCP_ACK);
	assert_int_equal(s->ack, c.isn + 1);
	assert_int_equal(s->from, 80);
	assert_int_equal(s->to, c.gport);
	assert_int_equal(drill_open_flows(d), 1);
	assert_int_equal(net_counters(d->net)->tcp_flows, 1);
	(void)close(drill_accept(d));
	drill_free(d);
}

static void both_families_connect_and_exchange(void **state)
{
	static const char *const peers[] = {PEER, PEER6, "172.16.0.1",
	                                    "fd42:6d73:62::1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(peers); i++) {
		struct drill *d = drill_new(NULL);
		struct drill_conn c;
		char buf[64];

		conn_open(d, &c, peers[i], 80);
		conn_write(&c, "hello", 5);
		assert_int_equal(host_read(c.fd, buf, 64, NULL), 5);
		host_write(d, c.fd, "world!", 6);
		drill_got_flags(d, TCP_ACK);
		assert_int_equal(conn_read(&c, buf, 64), 6);
		assert_memory_equal(buf, "world!", 6);
		(void)close(c.fd);
		drill_free(d);
	}
}

static void a_closed_port_is_refused(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	const struct drill_seg *s;

	(void)state;
	d->host = HOST_REFUSES;
	conn_init(d, &c, PEER, 80);
	conn_syn(&c);
	s = drill_got_flags(d, TCP_RST | TCP_ACK);
	assert_int_equal(s->seq, 0);
	assert_int_equal(s->ack, c.isn + 1);
	drill_silent(d);
	assert_int_equal(drill_open_flows(d), 0);
	drill_free(d);
}

#define GATEWAY4 "172.16.0.1"
#define GATEWAY6 "fd42:6d73:62::1"

/* A server of the host listens on 127.0.0.1 or on ::1, seldom on both. */
static void the_host_is_found_at_either_loopback(void **state)
{
	static const struct {
		const char *gateway, *found;
		int refused;
	} ways[] = {
		{GATEWAY6, "127.0.0.1", AF_INET6},
		{GATEWAY4, "::1",       AF_INET },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct drill *d = drill_new(NULL);
		char text[ADDR_TEXT_MAX];
		struct drill_conn c;

		d->refused = ways[i].refused;
		conn_open(d, &c, ways[i].gateway, 8080);
		assert_int_equal(d->dialled, 2);
		assert_string_equal(addr_text(&d->to, text), ways[i].found);
		(void)close(c.fd);
		drill_free(d);
	}
}

static void a_port_of_no_loopback_is_refused_once(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	d->host = HOST_REFUSES;
	conn_init(d, &c, GATEWAY6, 8080);
	conn_syn(&c);
	assert_int_equal(drill_got_flags(d, TCP_RST | TCP_ACK)->ack, c.isn + 1);
	drill_silent(d);
	assert_int_equal(d->dialled, 2);
	assert_int_equal(drill_open_flows(d), 0);
	drill_free(d);
}

/* Who may reach the gateway's one address has the loopback of that family. */
static void the_other_loopback_is_asked_of_the_policy(void **state)
{
	const struct drill_options o = {.rule = "allow@[" GATEWAY6 "]"};
	struct drill *d = drill_new(&o);
	struct drill_conn c;

	(void)state;
	d->refused = AF_INET6;
	conn_init(d, &c, GATEWAY6, 8080);
	conn_syn(&c);
	assert_int_equal(drill_got_flags(d, TCP_RST | TCP_ACK)->ack, c.isn + 1);
	assert_int_equal(d->dialled, 1);
	drill_free(d);
}

/* Type and code of ICMP and ICMPv6. */
static void what_is_unreachable_says_so_by_icmp(void **state)
{
	static const struct {
		const char *peer;
		int error;
		uint32_t icmp;
	} cases[] = {
		{PEER,  -ENETUNREACH,  3 << 8 | 0},
		{PEER,  -EHOSTUNREACH, 3 << 8 | 1},
		{PEER6, -ENETUNREACH,  1 << 8 | 0},
		{PEER6, -EHOSTUNREACH, 1 << 8 | 3},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct drill *d = drill_new(NULL);
		struct drill_conn c;
		const struct drill_seg *s;

		d->host = HOST_ERROR;
		d->error = cases[i].error;
		conn_init(d, &c, cases[i].peer, 80);
		conn_syn(&c);
		s = drill_got(d);
		assert_true(s->icmp);
		assert_int_equal(s->seq, cases[i].icmp);
		drill_silent(d);
		assert_int_equal(drill_open_flows(d), 0);
		drill_free(d);
	}
}

static void a_host_that_never_answers_is_silence(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	d->host = HOST_SILENT;
	conn_init(d, &c, PEER, 80);
	conn_syn(&c);
	drill_sleep(d, DIAL_TIMEOUT_NS - NS_PER_S);
	assert_int_equal(drill_open_flows(d), 1);
	drill_sleep(d, 2 * NS_PER_S);
	drill_silent(d);
	assert_int_equal(drill_open_flows(d), 0);
	drill_free(d);
}

static void the_policy_s_no_is_a_reset_and_no_socket(void **state)
{
	const struct drill_options o = {.rule = "allow@1.2.3.4"};
	struct drill *d = drill_new(&o);
	struct drill_conn c;

	(void)state;
	conn_init(d, &c, PEER, 80);
	conn_syn(&c);
	drill_got_flags(d, TCP_RST | TCP_ACK);
	drill_silent(d);
	assert_int_equal(d->dialled, 0);
	assert_int_equal(net_counters(d->net)->denied, 1);
	assert_int_equal(drill_open_flows(d), 0);
	drill_free(d);
}

static void retransmitted_syns_do_not_dial_again(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	d->host = HOST_SILENT;
	conn_init(d, &c, PEER, 80);
	for (int i = 0; i < 5; i++)
		conn_syn(&c);
	drill_silent(d);
	assert_int_equal(d->dialled, 1);
	assert_int_equal(d->net->tcp->half, 1);
	/* Another attempt of the guest meanwhile: the same call is used. */
	c.isn += 12345;
	conn_syn(&c);
	assert_int_equal(d->dialled, 1);
	assert_int_equal(conn_flow(&c)->rcv_nxt, c.isn + 1);
	/* It gives up. */
	conn_send(&c, TCP_RST, c.seq, 0, NULL, 0);
	assert_int_equal(drill_open_flows(d), 0);
	assert_int_equal(d->net->tcp->half, 0);
	drill_free(d);
}

static void a_syn_ack_is_repeated_until_somebody_says_ack(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	uint32_t seq;
	int fd;

	(void)state;
	conn_init(d, &c, PEER, 80);
	conn_syn(&c);
	seq = drill_got_flags(d, TCP_SYN | TCP_ACK)->seq;
	fd = drill_accept(d);
	/* By the guest's repetition, and by the clock. */
	conn_syn(&c);
	assert_int_equal(drill_got_flags(d, TCP_SYN | TCP_ACK)->seq, seq);
	for (int i = 0; i < TCP_SYN_TRIES; i++) {
		drill_sleep(d, TCP_RTO_NS << i);
		assert_int_equal(drill_got_flags(d, TCP_SYN | TCP_ACK)->seq,
		                 seq);
	}
	drill_sleep(d, 30 * NS_PER_S);
	drill_got_flags(d, TCP_RST | TCP_ACK);
	assert_int_equal(drill_open_flows(d), 0);
	assert_int_equal(host_read(fd, &seq, 4, NULL), -1);
	(void)close(fd);
	drill_free(d);
}

static void the_window_of_a_syn_ack_is_not_scaled(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	const struct drill_seg *s;

	(void)state;
	conn_init(d, &c, PEER, 80);
	conn_syn(&c);
	s = drill_got_flags(d, TCP_SYN | TCP_ACK);
	assert_int_equal(s->scale, TCP_SCALE);
	assert_int_equal(s->mss, 1460);
	assert_int_equal(s->wnd, 65535);
	c.ack = s->seq + 1;
	conn_write(&c, "x", 1);
	/* Then it is: more than 64 KiB fits. */
	s = drill_got_flags(d, TCP_ACK);
	assert_true((uint32_t)s->wnd << TCP_SCALE > 500000);
	(void)close(drill_accept(d));
	drill_free(d);
}

static void without_a_scale_offered_none_is_used(void **state)
{
	const uint8_t mss[] = {2, 4, 5, 0xb4};
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	const struct drill_seg *s;
	static uint8_t data[100000];
	int fd;

	(void)state;
	conn_init(d, &c, PEER, 80);
	conn_raw(&c, TCP_SYN, c.isn, 0, 3000, mss, 4, NULL, 0);
	s = drill_got_flags(d, TCP_SYN | TCP_ACK);
	assert_int_equal(s->scale, -1);
	c.seq = c.isn + 1;
	c.ack = s->seq + 1;
	c.wnd = 3000;
	conn_write(&c, "x", 1);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->wnd, 65535);
	/* And the guest's 3000 are 3000. */
	fd = drill_accept(d);
	host_write(d, fd, data, sizeof(data));
	assert_int_equal(conn_flow(&c)->snd_nxt - c.ack, 2920);
	(void)close(fd);
	drill_free(d);
}

static void scales_beyond_14_are_14(void **state)
{
	const uint8_t opt[] = {3, 3, 255, 0};
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	conn_init(d, &c, PEER, 80);
	conn_raw(&c, TCP_SYN, c.isn, 0, 65535, opt, 4, NULL, 0);
	c.ack = drill_got_flags(d, TCP_SYN | TCP_ACK)->seq + 1;
	c.seq = c.isn + 1;
	conn_ack(&c);
	assert_int_equal(conn_flow(&c)->scale, 14);
	assert_int_equal(conn_flow(&c)->snd_wnd, 65535u << 14);
	(void)close(drill_accept(d));
	drill_free(d);
}

/* What the guest asks for, and what it gets. */
static void the_mss_is_bounded_both_ways(void **state)
{
	static const struct {
		const char *peer;
		int asked; /* -1: not at all */
		unsigned used;
	} cases[] = {
		{PEER,  1460,  1460       },
                {PEER,  65535, 1460       },
		{PEER,  1000,  1000       },
                {PEER,  0,     TCP_MSS_MIN},
		{PEER,  1,     TCP_MSS_MIN},
                {PEER,  -1,    536        },
		{PEER6, 65535, 1440       },
                {PEER6, -1,    1220       },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const uint8_t opt[] = {2, 4, (uint8_t)(cases[i].asked >> 8),
		                       (uint8_t)cases[i].asked};
		struct drill *d = drill_new(NULL);
		struct drill_conn c;
		static uint8_t data[20000];
		int fd;

		conn_init(d, &c, cases[i].peer, 80);
		conn_raw(&c, TCP_SYN, c.isn, 0, 65535, opt,
		         cases[i].asked < 0 ? 0 : 4, NULL, 0);
		c.ack = drill_got_flags(d, TCP_SYN | TCP_ACK)->seq + 1;
		c.seq = c.isn + 1;
		conn_ack(&c);
		assert_int_equal(conn_flow(&c)->mss, cases[i].used);
		fd = drill_accept(d);
		host_write(d, fd, data, sizeof(data));
		assert_int_equal(drill_got(d)->len, cases[i].used);
		(void)close(fd);
		drill_free(d);
	}
}

static int keep_alive(struct drill_conn *c)
{
	socklen_t len = sizeof(int);
	int on = -1;

	(void)getsockopt(conn_flow(c)->sock.fd, SOL_SOCKET, SO_KEEPALIVE, &on,
	                 &len);
	return on;
}

static void the_kernel_looks_after_flows_that_stay(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	conn_init(d, &c, PEER, 80);
	conn_shake(&c);
	assert_int_equal(keep_alive(&c), 0);
	drill_sleep(d, 2 * TCP_SWEEP_NS);
	assert_int_equal(keep_alive(&c), 1);
	drill_free(d);
}

/* Lengths of 0 and 1, beyond the header, floods; each survives. */
static void broken_options_are_survived(void **state)
{
	static const char opts[][8] = {
		"\2",     "\2\0",  "\2\1",         "\2\377",
		"\3",     "\3\0",  "\3\1\7",       "\3\2\3\2",
		"\1\1\2", "\376(", "\2\3\5\0\1\1", "\1\1\1\1",
	};
	uint8_t opt[40];
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(opts); i++) {
		conn_init(d, &c, PEER, 80);
		memset(opt, 0, sizeof(opt));
		memcpy(opt, opts[i], sizeof(opts[i]));
		conn_raw(&c, TCP_SYN, c.isn, 0, 65535, opt, i % 2 ? 4 : 40,
		         NULL, 0);
		drill_got_flags(d, TCP_SYN | TCP_ACK);
		assert_int_equal(conn_flow(&c)->mss, 536);
		assert_int_equal(conn_flow(&c)->scale, 0);
	}
	drill_free(d);
}

static void at_most_256_are_dialled_at_once(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	d->host = HOST_SILENT;
	for (int i = 0; i < TCP_HALF_MAX; i++) {
		conn_init(d, &c, PEER, 80);
		conn_syn(&c);
	}
	drill_silent(d);
	conn_init(d, &c, PEER, 80);
	conn_syn(&c);
	drill_got_flags(d, TCP_RST | TCP_ACK);
	assert_int_equal(net_counters(d->net)->refused, 1);
	drill_free(d);
}

static void the_limit_of_connections_is_a_reset(void **state)
{
	const struct drill_options o = {.connections = 3};
	struct drill *d = drill_new(&o);
	struct drill_conn c[4];

	(void)state;
	for (int i = 0; i < 3; i++)
		conn_open(d, &c[i], PEER, 80);
	conn_init(d, &c[3], PEER, 80);
	conn_syn(&c[3]);
	drill_got_flags(d, TCP_RST | TCP_ACK);
	assert_int_equal(net_counters(d->net)->refused, 1);
	/* One goes, another may come. */
	conn_send(&c[0], TCP_RST, c[0].seq, 0, NULL, 0);
	conn_open(d, &c[3], PEER, 80);
	for (int i = 0; i < 4; i++)
		(void)close(c[i].fd);
	drill_free(d);
}

static void a_number_of_the_same_tuple_grows(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	uint32_t first = 0, other;

	(void)state;
	for (int i = 0; i < 3; i++) {
		uint32_t seq;

		conn_init(d, &c, PEER, 80);
		c.gport = 3333;
		conn_syn(&c);
		seq = drill_got_flags(d, TCP_SYN | TCP_ACK)->seq;
		if (i)
			assert_int_equal(seq - first, i * 1000000 / 4);
		else
			first = seq;
		conn_send(&c, TCP_RST, c.seq, 0, NULL, 0);
		assert_int_equal(drill_open_flows(d), 0);
		d->now += 1000000000;
	}
	/* Of another tuple they tell nothing. */
	conn_init(d, &c, PEER, 81);
	c.gport = 3333;
	conn_syn(&c);
	other = drill_got_flags(d, TCP_SYN | TCP_ACK)->seq;
	assert_int_not_equal(other - first, 3 * 1000000 / 4);
	drill_free(d);
}

static void a_handshake_s_ack_must_be_exact(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	uint32_t isn;

	(void)state;
	conn_init(d, &c, PEER, 80);
	conn_syn(&c);
	isn = drill_got_flags(d, TCP_SYN | TCP_ACK)->seq;
	for (int i = -1; i <= 1; i += 2) {
		conn_send(&c, TCP_ACK, c.seq, isn + 1 + (uint32_t)i, NULL, 0);
		assert_int_equal(drill_got_flags(d, TCP_RST)->seq,
		                 isn + 1 + (uint32_t)i);
		assert_int_equal(conn_flow(&c)->state, TCP_SYN_RCVD);
	}
	conn_send(&c, TCP_ACK, c.seq, isn + 1, NULL, 0);
	assert_int_equal(conn_flow(&c)->state, TCP_OPEN);
	drill_free(d);
}

static void data_may_come_with_the_handshake_s_ack(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	char buf[8];
	int fd;

	(void)state;
	conn_init(d, &c, PEER, 80);
	conn_syn(&c);
	c.ack = drill_got_flags(d, TCP_SYN | TCP_ACK)->seq + 1;
	conn_write(&c, "abc", 3);
	drill_got_flags(d, TCP_ACK);
	fd = drill_accept(d);
	assert_int_equal(host_read(fd, buf, 8, NULL), 3);
	(void)close(fd);
	drill_free(d);
}

/* The server speaks before the handshake is over. */
static void a_host_that_speaks_first_is_heard_after_the_ack(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	char buf[8];
	int fd;

	(void)state;
	conn_init(d, &c, PEER, 25);
	conn_syn(&c);
	c.ack = drill_got_flags(d, TCP_SYN | TCP_ACK)->seq + 1;
	fd = drill_accept(d);
	host_write(d, fd, "220", 3);
	drill_silent(d);
	conn_ack(&c);
	drill_run(d);
	assert_int_equal(conn_read(&c, buf, 8), 3);
	(void)close(fd);
	drill_free(d);
}

/* Whoever it is sent to: no socket of the host is opened for it. */
static void port_53_is_the_name_server_s(void **state)
{
	const struct drill_options o = {.rule = "allow@1.2.3.4"};
	struct drill *d = drill_new(&o);
	struct drill_conn c;

	(void)state;
	conn_init(d, &c, "8.8.8.8", 53);
	conn_syn(&c);
	drill_got_flags(d, TCP_SYN | TCP_ACK);
	assert_int_equal(d->dialled, 0);
	drill_free(d);
}

static void a_socket_that_cannot_be_had_is_a_reset(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	d->host = HOST_ERROR;
	d->error = -EADDRNOTAVAIL;
	conn_init(d, &c, PEER, 80);
	conn_syn(&c);
	drill_got_flags(d, TCP_RST | TCP_ACK);
	assert_int_equal(drill_open_flows(d), 0);
	drill_free(d);
}

static void both_idle_and_in_the_table_a_flow_is_small(void **state)
{
	(void)state;
	/* Its place in the table is at most two pointers of the buckets. */
	assert_true(sizeof(struct tcp_flow) + 2 * sizeof(void *) <= 304);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_syn_is_answered_when_the_host_has_answered),
		cmocka_unit_test(both_families_connect_and_exchange),
		cmocka_unit_test(a_closed_port_is_refused),
		cmocka_unit_test(the_host_is_found_at_either_loopback),
		cmocka_unit_test(a_port_of_no_loopback_is_refused_once),
		cmocka_unit_test(the_other_loopback_is_asked_of_the_policy),
		cmocka_unit_test(what_is_unreachable_says_so_by_icmp),
		cmocka_unit_test(a_host_that_never_answers_is_silence),
		cmocka_unit_test(the_policy_s_no_is_a_reset_and_no_socket),
		cmocka_unit_test(retransmitted_syns_do_not_dial_again),
		cmocka_unit_test(a_syn_ack_is_repeated_until_somebody_says_ack),
		cmocka_unit_test(the_window_of_a_syn_ack_is_not_scaled),
		cmocka_unit_test(without_a_scale_offered_none_is_used),
		cmocka_unit_test(scales_beyond_14_are_14),
		cmocka_unit_test(the_mss_is_bounded_both_ways),
		cmocka_unit_test(the_kernel_looks_after_flows_that_stay),
		cmocka_unit_test(broken_options_are_survived),
		cmocka_unit_test(at_most_256_are_dialled_at_once),
		cmocka_unit_test(the_limit_of_connections_is_a_reset),
		cmocka_unit_test(a_number_of_the_same_tuple_grows),
		cmocka_unit_test(a_handshake_s_ack_must_be_exact),
		cmocka_unit_test(data_may_come_with_the_handshake_s_ack),
		cmocka_unit_test(
			a_host_that_speaks_first_is_heard_after_the_ack),
		cmocka_unit_test(port_53_is_the_name_server_s),
		cmocka_unit_test(a_socket_that_cannot_be_had_is_a_reset),
		cmocka_unit_test(both_idle_and_in_the_table_a_flow_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
