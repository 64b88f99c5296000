/* How connections end, begin from the host's side, and name themselves. */
#include "drill.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/num.h"
#include "lib/test.h"
#include "net/sniff.h"

#define PEER "93.184.216.34"

static void the_guest_closes_first(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	char buf[8];
	bool eof = false;

	(void)state;
	conn_open(d, &c, PEER, 80);
	/* Data and FIN in one segment. */
	conn_send(&c, TCP_ACK | TCP_FIN, c.seq, c.ack, "bye", 3);
	c.seq += 4;
	assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq);
	assert_int_equal(host_read(c.fd, buf, 8, &eof), 3);
	assert_true(eof);
	/* The other half works on: half-close. */
	host_write(d, c.fd, "answer", 6);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->len, 6);
	c.ack += 6;
	conn_ack(&c);
	(void)close(c.fd);
	assert_int_equal(drill_got_flags(d, TCP_ACK | TCP_FIN)->seq, c.ack);
	c.ack++;
	conn_ack(&c);
	drill_silent(d);
	assert_int_equal(drill_open_flows(d), 0);
	drill_free(d);
}

static void the_host_closes_first(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	char buf[8];
	bool eof = false;

	(void)state;
	conn_open(d, &c, PEER, 80);
	host_write(d, c.fd, "abc", 3);
	(void)shutdown(c.fd, SHUT_WR);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->len, 3);
	assert_int_equal(drill_got_flags(d, TCP_ACK | TCP_FIN)->seq, c.ack + 3);
	c.ack += 4;
	conn_ack(&c);
	/* The guest goes on for a while. */
	for (int i = 0; i < 3; i++) {
		conn_write(&c, "x", 1);
		assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq);
	}
	assert_int_equal(host_read(c.fd, buf, 8, NULL), 3);
	conn_send(&c, TCP_ACK | TCP_FIN, c.seq, c.ack, NULL, 0);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq + 1);
	assert_int_equal(drill_open_flows(d), 0);
	assert_int_equal(host_read(c.fd, buf, 8, &eof), 0);
	assert_true(eof);
	/* No TIME-WAIT: what comes now has no flow. */
	conn_send(&c, TCP_ACK | TCP_FIN, c.seq, c.ack, NULL, 0);
	assert_int_equal(drill_got_flags(d, TCP_RST)->seq, c.ack);
	(void)close(c.fd);
	drill_free(d);
}

static void both_close_at_once(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	conn_open(d, &c, PEER, 80);
	(void)shutdown(c.fd, SHUT_WR);
	drill_got_flags(d, TCP_ACK | TCP_FIN);
	/* It has not seen ours yet. */
	conn_send(&c, TCP_ACK | TCP_FIN, c.seq, c.ack, NULL, 0);
	c.seq++;
	assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq);
	assert_int_equal(drill_open_flows(d), 1);
	c.ack++;
	conn_ack(&c);
	drill_silent(d);
	assert_int_equal(drill_open_flows(d), 0);
	(void)close(c.fd);
	drill_free(d);
}

static void a_repeated_fin_is_acknowledged_again(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	conn_open(d, &c, PEER, 80);
	for (int i = 0; i < 3; i++) {
		conn_send(&c, TCP_ACK | TCP_FIN, c.seq, c.ack, NULL, 0);
		assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq + 1);
	}
	/* Data behind it is nobody's. */
	conn_send(&c, TCP_ACK, c.seq + 1, c.ack, "more", 4);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq + 1);
	(void)close(c.fd);
	drill_free(d);
}

static void a_lost_fin_comes_again(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	conn_open(d, &c, PEER, 80);
	(void)shutdown(c.fd, SHUT_WR);
	drill_got_flags(d, TCP_ACK | TCP_FIN);
	for (int i = 0; i < 4; i++) {
		drill_sleep(d, (TCP_RTO_NS << i) + 10 * WHEEL_TICK_NS);
		assert_int_equal(drill_got_flags(d, TCP_ACK | TCP_FIN)->seq,
		                 c.ack);
	}
	(void)close(c.fd);
	drill_free(d);
}

static void data_and_fin_that_were_lost_come_in_one(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	const struct drill_seg *s;

	(void)state;
	conn_open(d, &c, PEER, 80);
	host_write(d, c.fd, "abc", 3);
	(void)close(c.fd);
	drill_skip(d);
	drill_sleep(d, TCP_RTO_NS + 2 * WHEEL_TICK_NS);
	s = drill_got_flags(d, TCP_ACK | TCP_FIN);
	assert_int_equal(s->seq, c.ack);
	assert_int_equal(s->len, 3);
	c.ack += 4;
	conn_send(&c, TCP_ACK | TCP_FIN, c.seq, c.ack, NULL, 0);
	drill_got_flags(d, TCP_ACK);
	assert_int_equal(drill_open_flows(d), 0);
	drill_free(d);
}

/* A FIN behind bytes that the socket does not take: they come first. */
static void the_guest_s_fin_waits_for_its_bytes(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	static uint8_t data[60000], back[60000];
	size_t sent = 0, got = 0;
	bool eof = false;

	(void)state;
	conn_open(d, &c, PEER, 80);
	do {
		conn_write(&c, data, sizeof(data));
		sent += sizeof(data);
		drill_skip(d);
	} while (!conn_flow(&c)->up.used);
	conn_send(&c, TCP_ACK | TCP_FIN, c.seq, c.ack, NULL, 0);
	drill_got_flags(d, TCP_ACK);
	assert_false(tcp_has(conn_flow(&c), TCP_F_PASSED));
	for (int i = 0; i < 10000 && !eof; i++) {
		ssize_t n = host_read(c.fd, back, sizeof(back), &eof);

		assert_true(n >= 0);
		got += (size_t)n;
		drill_run(d);
	}
	assert_true(eof);
	assert_int_equal(got, sent);
	(void)close(c.fd);
	drill_free(d);
}

static void half_closed_for_an_hour_without_a_word_is_over(void **state)
{
	(void)state;
	for (int guest = 0; guest < 2; guest++) {
		struct drill *d = drill_new(NULL);
		struct drill_conn c, open;
		char buf[4];

		conn_open(d, &open, PEER, 80);
		conn_open(d, &c, PEER, 80);
		if (guest) {
			conn_send(&c, TCP_ACK | TCP_FIN, c.seq, c.ack, NULL, 0);
		} else {
			(void)shutdown(c.fd, SHUT_WR);
			drill_got_flags(d, TCP_ACK | TCP_FIN);
			c.ack++;
			conn_ack(&c);
		}
		drill_sleep(d, 50 * 60 * NS_PER_S);
		assert_int_equal(drill_open_flows(d), 2);
		drill_skip(d);
		drill_sleep(d, 15 * 60 * NS_PER_S);
		/* The one that is open stays. */
		assert_int_equal(drill_open_flows(d), 1);
		drill_got_flags(d, TCP_RST | TCP_ACK);
		/* Behind the guest's FIN only who writes sees a reset. */
		if (guest)
			assert_int_equal(send(c.fd, "x", 1, MSG_NOSIGNAL), -1);
		else
			assert_int_equal(host_read(c.fd, buf, 4, NULL), -1);
		(void)close(c.fd);
		(void)close(open.fd);
		drill_free(d);
	}
}

static void the_host_s_reset_reaches_the_guest_behind_its_bytes(void **state)
{
	const struct linger now = {.l_onoff = 1};
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	const struct drill_seg *s;

	(void)state;
	conn_open(d, &c, PEER, 80);
	assert_int_equal(write(c.fd, "abc", 3), 3);
	(void)setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	(void)close(c.fd);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->len, 3);
	s = drill_got_flags(d, TCP_RST | TCP_ACK);
	assert_int_equal(s->seq, c.ack + 3);
	assert_int_equal(drill_open_flows(d), 0);
	drill_free(d);
}

/* Not read, as `down` is full or the guest's window closed; no busy loop. */
static void a_reset_behind_a_closed_window_waits_quietly(void **state)
{
	const struct linger now = {.l_onoff = 1};
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	static uint8_t data[30000], back[30000];
	size_t n = 0;

	(void)state;
	conn_open(d, &c, PEER, 80);
	c.wnd = 0;
	conn_ack(&c);
	host_write(d, c.fd, data, sizeof(data));
	(void)setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	(void)close(c.fd);
	drill_run(d);
	assert_int_equal(drill_open_flows(d), 1);
	assert_false(conn_flow(&c)->sock.added);
	c.wnd = 65535;
	conn_ack(&c);
	while (n < sizeof(data))
		n += conn_read(&c, back + n, sizeof(back) - n);
	drill_got_flags(d, TCP_RST | TCP_ACK);
	assert_int_equal(drill_open_flows(d), 0);
	drill_free(d);
}

/* The server went away while the guest was sending: 413 and close. */
static void what_the_host_said_before_it_reset_is_heard(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	static uint8_t data[60000];
	const struct drill_seg *s = NULL;
	char all[64] = "";

	(void)state;
	conn_open(d, &c, PEER, 80);
	conn_write(&c, data, sizeof(data));
	drill_skip(d);
	assert_int_equal(write(c.fd, "413 too large", 13), 13);
	(void)close(c.fd); /* with unread bytes: a reset */
	for (int i = 0; i < 20 && drill_open_flows(d); i++)
		conn_write(&c, data, 100);
	for (drill_run(d); d->at < d->nsegs; d->at++) {
		s = &d->segs[d->at];
		if (s->len && s->len < sizeof(all))
			memcpy(all, s->data, s->len);
	}
	assert_string_equal(all, "413 too large");
	assert_non_null(s);
	assert_true(s->flags & TCP_RST);
	assert_int_equal(drill_open_flows(d), 0);
	drill_free(d);
}

static void the_guest_s_reset_is_a_reset_at_the_host(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	char buf[4];

	(void)state;
	conn_open(d, &c, PEER, 80);
	conn_send(&c, TCP_RST, c.seq, 0, NULL, 0);
	drill_silent(d);
	assert_int_equal(drill_open_flows(d), 0);
	assert_int_equal(host_read(c.fd, buf, 4, NULL), -1);
	assert_int_equal(errno, ECONNRESET);
	(void)close(c.fd);
	drill_free(d);
}

static void a_syn_takes_the_place_of_a_closing_flow(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	int old;

	(void)state;
	conn_open(d, &c, PEER, 80);
	(void)shutdown(c.fd, SHUT_WR);
	drill_got_flags(d, TCP_ACK | TCP_FIN);
	c.ack++;
	conn_ack(&c);
	/* An old number is answered, a new one begins anew. */
	conn_raw(&c, TCP_SYN, c.isn, 0, 65535, NULL, 0, NULL, 0);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq);
	old = c.fd;
	c.isn += 100000;
	conn_shake(&c);
	assert_int_equal(d->dialled, 2);
	assert_int_equal(drill_open_flows(d), 1);
	(void)close(old);
	(void)close(c.fd);
	drill_free(d);
}

/* Its bytes were acknowledged: they are delivered, whoever has the tuple. */
static void a_replaced_flow_still_delivers_its_bytes(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	static uint8_t data[60000], back[60000];
	size_t sent = 0, got = 0;
	bool eof = false;
	int old;

	(void)state;
	conn_open(d, &c, PEER, 80);
	do {
		conn_write(&c, data, sizeof(data));
		sent += sizeof(data);
		drill_skip(d);
	} while (!conn_flow(&c)->up.used);
	conn_send(&c, TCP_ACK | TCP_FIN, c.seq, c.ack, NULL, 0);
	drill_got_flags(d, TCP_ACK);
	old = c.fd;
	c.isn = c.seq + 1000;
	conn_shake(&c);
	assert_int_equal(drill_open_flows(d), 2);
	for (int i = 0; i < 10000 && !eof; i++) {
		ssize_t n = host_read(old, back, sizeof(back), &eof);

		assert_true(n >= 0);
		got += (size_t)n;
		drill_run(d);
	}
	assert_int_equal(got, sent);
	assert_int_equal(drill_open_flows(d), 1);
	drill_silent(d);
	(void)close(old);
	(void)close(c.fd);
	drill_free(d);
}

static void a_syn_for_an_open_flow_is_challenged(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	conn_open(d, &c, PEER, 80);
	conn_raw(&c, TCP_SYN, c.seq + 5000, 0, 65535, NULL, 0, NULL, 0);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq);
	assert_int_equal(drill_open_flows(d), 1);
	/* The guest that knows nothing of it resets exactly there. */
	conn_send(&c, TCP_RST, c.seq, 0, NULL, 0);
	assert_int_equal(drill_open_flows(d), 0);
	(void)close(c.fd);
	drill_free(d);
}

static void many_short_connections_leave_nothing(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		conn_init(d, &c, PEER, 80);
		c.gport = (uint16_t)(1000 + i % 3); /* the tuple comes back */
		c.isn = (uint32_t)i * 70000;
		conn_shake(&c);
		(void)close(c.fd); /* the server closes first */
		drill_got_flags(d, TCP_ACK | TCP_FIN);
		c.ack++;
		conn_send(&c, TCP_ACK | TCP_FIN, c.seq, c.ack, NULL, 0);
		drill_got_flags(d, TCP_ACK);
		assert_int_equal(drill_open_flows(d), 0);
		drill_skip(d);
	}
	drill_free(d);
}

/* ---- into the guest ------------------------------------------------------ */

struct opened {
	int calls, error;
};

static void on_opened(void *arg, int error)
{
	struct opened *o = arg;

	o->calls++;
	o->error = error;
}

/* The tuple that our SYN has. */
static void conn_of_syn(struct drill *d, struct drill_conn *c,
                        const struct drill_seg *s)
{
	conn_init(d, c, "172.16.0.1", s->from);
	c->gport = s->to;
	c->ack = s->seq + 1;
	c->seq = c->isn + 1;
}

static int open_into(struct drill *d, struct opened *o, int pair[2])
{
	int r;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	*o = (struct opened){0};
	r = tcp_open(d->net, pair[0], &d->net->cfg.gateway4, 8080, on_opened,
	             o);
	net_turn_end(d->net);
	return r;
}

static void a_client_of_the_host_is_connected_into_the_guest(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	const struct drill_seg *s;
	struct opened o;
	int pair[2];
	char buf[8];

	(void)state;
	assert_int_equal(open_into(d, &o, pair), 0);
	s = drill_got_flags(d, TCP_SYN);
	assert_int_equal(s->to, 8080);
	assert_int_equal(s->mss, 1460);
	assert_int_equal(s->scale, TCP_SCALE);
	conn_of_syn(d, &c, s);
	conn_raw(&c, TCP_SYN | TCP_ACK, c.isn, c.ack, 65535, "\1\3\3\7", 4,
	         NULL, 0);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq);
	assert_int_equal(o.calls, 1);
	assert_int_equal(o.error, 0);
	host_write(d, pair[1], "ping", 4);
	assert_int_equal(conn_read(&c, buf, 8), 4);
	conn_write(&c, "pong", 4);
	assert_int_equal(host_read(pair[1], buf, 8, NULL), 4);
	conn_send(&c, TCP_RST, c.seq, 0, NULL, 0);
	assert_int_equal(drill_open_flows(d), 0);
	(void)close(pair[1]);
	drill_free(d);
}

static void a_guest_that_does_not_listen_refuses(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	struct opened o;
	int pair[2];

	(void)state;
	assert_int_equal(open_into(d, &o, pair), 0);
	conn_of_syn(d, &c, drill_got_flags(d, TCP_SYN));
	/* Not of this attempt: ignored, or refused. */
	conn_send(&c, TCP_RST | TCP_ACK, 0, c.ack + 1, NULL, 0);
	conn_send(&c, TCP_RST, 0, 0, NULL, 0);
	assert_int_equal(o.calls, 0);
	conn_send(&c, TCP_RST | TCP_ACK, 0, c.ack, NULL, 0);
	assert_int_equal(o.calls, 1);
	assert_int_equal(o.error, -ECONNREFUSED);
	assert_int_equal(drill_open_flows(d), 0);
	/* The socket is its owner's. */
	assert_int_equal(write(pair[0], "x", 1), 1);
	(void)close(pair[0]);
	(void)close(pair[1]);
	drill_free(d);
}

static void a_guest_that_is_silent_times_out_after_10_s(void **state)
{
	struct drill *d = drill_new(NULL);
	struct opened o;
	int pair[2];

	(void)state;
	assert_int_equal(open_into(d, &o, pair), 0);
	drill_sleep(d, 9 * NS_PER_S);
	assert_int_equal(o.calls, 0);
	for (int i = 0; i < 3; i++)
		drill_got_flags(d, TCP_SYN);
	drill_sleep(d, 10 * NS_PER_S);
	assert_int_equal(o.calls, 1);
	assert_int_equal(o.error, -ETIMEDOUT);
	(void)close(pair[0]);
	(void)close(pair[1]);
	drill_free(d);
}

static void both_call_each_other_at_once(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	const struct drill_seg *s;
	struct opened o;
	int pair[2];

	(void)state;
	assert_int_equal(open_into(d, &o, pair), 0);
	conn_of_syn(d, &c, drill_got_flags(d, TCP_SYN));
	conn_raw(&c, TCP_SYN, c.isn, 0, 65535, NULL, 0, NULL, 0);
	s = drill_got_flags(d, TCP_SYN | TCP_ACK);
	assert_int_equal(s->seq, c.ack - 1);
	assert_int_equal(s->ack, c.seq);
	assert_int_equal(o.calls, 0);
	conn_raw(&c, TCP_SYN | TCP_ACK, c.isn, c.ack, 65535, NULL, 0, NULL, 0);
	assert_int_equal(o.calls, 1);
	assert_int_equal(o.error, 0);
	assert_int_equal(conn_flow(&c)->state, TCP_OPEN);
	(void)close(pair[1]);
	drill_free(d);
}

static void the_driver_s_reset_ends_all_and_tells_who_waits(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	struct opened o;
	int pair[2];
	char buf[4];
	bool eof = false;

	(void)state;
	conn_open(d, &c, PEER, 80);
	d->host = HOST_SILENT;
	conn_init(d, &c, PEER, 81);
	c.fd = -1;
	conn_syn(&c);
	assert_int_equal(open_into(d, &o, pair), 0);
	drill_skip(d);
	net_reset(d->net);
	assert_int_equal(drill_open_flows(d), 0);
	assert_int_equal(o.calls, 1);
	assert_int_equal(o.error, -ECONNRESET);
	drill_silent(d);
	/* The machine goes on. */
	d->host = HOST_ANSWERS;
	conn_open(d, &c, PEER, 80);
	(void)host_read(c.fd, buf, 4, &eof);
	(void)close(c.fd);
	(void)close(pair[0]);
	(void)close(pair[1]);
	drill_free(d);
}

/* ---- names --------------------------------------------------------------- */

/* Strict, and an allowed name has the address: it must be said. */
static struct drill *name_drill(struct drill_conn *c, const char *peer)
{
	const struct drill_options o = {
		.rule = "allow@good.example",
		.strict = true,
	};
	struct drill *d = drill_new(&o);
	struct addr a;

	assert_int_equal(addr_parse(peer, &a), 0);
	assert_int_equal(
		pins_add(d->net->pins, &a, "good.example", 300, d->now), 0);
	conn_open(d, c, peer, 80);
	assert_int_equal(conn_flow(c)->state, TCP_HELD);
	return d;
}

static void an_allowed_name_opens_the_held_flow(void **state)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: good.example\r\n"
				      "\r\n";
	struct drill_conn c;
	struct drill *d = name_drill(&c, PEER);
	char buf[200];

	(void)state;
	host_write(d, c.fd, "early", 5);
	/* Byte by byte; nothing reaches the host before all is said. */
	for (size_t i = 0; i + 1 < strlen(request); i++) {
		conn_write(&c, request + i, 1);
		assert_int_equal(drill_got_flags(d, TCP_ACK)->len, 0);
		if (i < 30)
			assert_int_equal(host_read(c.fd, buf, 200, NULL), 0);
	}
	conn_write(&c, "\n", 1);
	drill_run(d);
	assert_int_equal(conn_flow(&c)->state, TCP_OPEN);
	assert_int_equal(conn_read(&c, buf, 200), 5);
	(void)close(c.fd);
	drill_free(d);
}

static void another_name_is_a_reset_and_no_byte_leaves(void **state)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: evil.example\r\n"
				      "\r\n";
	struct drill_conn c;
	struct drill *d = name_drill(&c, PEER);
	char buf[200];

	(void)state;
	conn_write(&c, request, strlen(request));
	drill_got_flags(d, TCP_RST | TCP_ACK);
	assert_int_equal(host_read(c.fd, buf, 200, NULL), -1);
	assert_int_equal(drill_open_flows(d), 0);
	assert_int_equal(net_counters(d->net)->denied, 1);
	(void)close(c.fd);
	drill_free(d);
}

/* In time, in bytes, or by its FIN: who names nobody is denied. */
static void who_names_nobody_is_denied(void **state)
{
	static uint8_t blank[SNIFF_MAX];

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct drill_conn c;
		struct drill *d = name_drill(&c, PEER);
		char buf[4];

		memset(blank, 0, sizeof(blank));
		if (i == 0)
			drill_sleep(d, SNIFF_LIFE_NS + NS_PER_S);
		else if (i == 1)
			conn_write(&c, blank, sizeof(blank));
		else if (i == 2)
			conn_send(&c, TCP_ACK | TCP_FIN, c.seq, c.ack, NULL, 0);
		else
			conn_write(&c, "SSH-2.0-x\r\n", 11);
		drill_run(d);
		assert_int_equal(drill_open_flows(d), 0);
		assert_int_equal(d->segs[d->nsegs - 1].flags,
		                 TCP_RST | TCP_ACK);
		assert_int_equal(host_read(c.fd, buf, 4, NULL), -1);
		(void)close(c.fd);
		drill_free(d);
	}
}

/* A proxy that is allowed by name is no way to one that is not. */
static void the_authority_of_connect_is_judged(void **state)
{
	static const char *const requests[] = {
		"CONNECT evil.example:443 HTTP/1.1\r\n"
		"Host: evil.example:443\r\n\r\n",
		"CONNECT 10.0.0.1:443 HTTP/1.1\r\nHost: 10.0.0.1:443\r\n\r\n",
		"CONNECT evil.example:443 HTTP/1.1\r\n"
		"Host: good.example\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		struct drill_conn c;
		struct drill *d = name_drill(&c, PEER);

		conn_write(&c, requests[i], strlen(requests[i]));
		drill_run(d);
		assert_int_equal(drill_open_flows(d), 0);
		assert_int_equal(d->segs[d->nsegs - 1].flags,
		                 TCP_RST | TCP_ACK);
		(void)close(c.fd);
		drill_free(d);
	}
}

/* Two names with two answers, so that one has to be said. */
static void an_address_behind_connect_is_judged_as_such(void **state)
{
	static const char *const requests[] = {
		"CONNECT 10.0.0.1:80 HTTP/1.1\r\nHost: 10.0.0.1:80\r\n\r\n",
		"CONNECT [2606:2800::1]:80 HTTP/1.0\r\n\r\n",
		"CONNECT 192.0.2.9:80 HTTP/1.0\r\n\r\n",
	};
	const struct drill_options o = {.rule = "allow@good.example,"
	                                        "allow@192.0.2.9"};
	struct addr a;

	(void)state;
	assert_int_equal(addr_parse(PEER, &a), 0);
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		struct drill *d = drill_new(&o);
		struct drill_conn c;

		assert_int_equal(pins_add(d->net->pins, &a, "other.example",
		                          300, d->now),
		                 0);
		assert_int_equal(
			pins_add(d->net->pins, &a, "good.example", 300, d->now),
			0);
		conn_open(d, &c, PEER, 80);
		assert_int_equal(conn_flow(&c)->state, TCP_HELD);
		conn_write(&c, requests[i], strlen(requests[i]));
		drill_run(d);
		assert_int_equal(drill_open_flows(d), i == 2);
		(void)close(c.fd);
		drill_free(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_guest_closes_first),
		cmocka_unit_test(the_host_closes_first),
		cmocka_unit_test(both_close_at_once),
		cmocka_unit_test(a_repeated_fin_is_acknowledged_again),
		cmocka_unit_test(a_lost_fin_comes_again),
		cmocka_unit_test(data_and_fin_that_were_lost_come_in_one),
		cmocka_unit_test(the_guest_s_fin_waits_for_its_bytes),
		cmocka_unit_test(
			half_closed_for_an_hour_without_a_word_is_over),
		cmocka_unit_test(
			the_host_s_reset_reaches_the_guest_behind_its_bytes),
		cmocka_unit_test(a_reset_behind_a_closed_window_waits_quietly),
		cmocka_unit_test(what_the_host_said_before_it_reset_is_heard),
		cmocka_unit_test(the_guest_s_reset_is_a_reset_at_the_host),
		cmocka_unit_test(a_syn_takes_the_place_of_a_closing_flow),
		cmocka_unit_test(a_replaced_flow_still_delivers_its_bytes),
		cmocka_unit_test(a_syn_for_an_open_flow_is_challenged),
		cmocka_unit_test(many_short_connections_leave_nothing),
		cmocka_unit_test(
			a_client_of_the_host_is_connected_into_the_guest),
		cmocka_unit_test(a_guest_that_does_not_listen_refuses),
		cmocka_unit_test(a_guest_that_is_silent_times_out_after_10_s),
		cmocka_unit_test(both_call_each_other_at_once),
		cmocka_unit_test(
			the_driver_s_reset_ends_all_and_tells_who_waits),
		cmocka_unit_test(an_allowed_name_opens_the_held_flow),
		cmocka_unit_test(another_name_is_a_reset_and_no_byte_leaves),
		cmocka_unit_test(who_names_nobody_is_denied),
		cmocka_unit_test(the_authority_of_connect_is_judged),
		cmocka_unit_test(an_address_behind_connect_is_judged_as_such),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
