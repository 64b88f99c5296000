/* Bytes, windows, and what is lost on the way. */
#include "drill.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/num.h"
#include "frames.h"
#include "lib/test.h"

#define PEER  "93.184.216.34"
#define PEER6 "2606:2800::1"

#define BULK (3u << 20)

static uint8_t sent[BULK], got[BULK];

static void fill_pattern(uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + i / 251);
}

/* As a server does that has much to say. */
static size_t host_write_some(struct drill *d, int fd, const uint8_t *p,
                              size_t len)
{
	ssize_t n = write(fd, p, len);

	assert_true(n >= 0 || errno == EAGAIN);
	drill_run(d);
	return n < 0 ? 0 : (size_t)n;
}

static void bulk_up(struct drill_conn *c)
{
	size_t at = 0, back = 0;

	while (back < BULK) {
		size_t part = MIN(BULK - at, 1000 + at % 60000);
		ssize_t n;

		if (part)
			conn_write(c, sent + at, part);
		at += part;
		drill_skip(c->d);
		n = host_read(c->fd, got + back, BULK - back, NULL);
		assert_true(n >= 0);
		back += (size_t)n;
	}
	assert_memory_equal(sent, got, BULK);
}

static void bulk_down(struct drill_conn *c)
{
	size_t at = 0, back = 0;

	memset(got, 0, BULK);
	while (back < BULK) {
		at += host_write_some(c->d, c->fd, sent + at, BULK - at);
		back += conn_read(c, got + back, BULK - back);
		drill_skip(c->d);
	}
	assert_memory_equal(sent, got, BULK);
}

static void megabytes_go_both_ways_and_leave_no_memory(void **state)
{
	(void)state;
	fill_pattern(sent, BULK);
	for (int i = 0; i < 4; i++) {
		const struct drill_options o = {.offload = i & 1};
		struct drill *d = drill_new(&o);
		struct drill_conn c;

		d->split = (unsigned)i * 3;
		conn_open(d, &c, i & 2 ? PEER6 : PEER, 80);
		c.wnd = 8000;
		bulk_up(&c);
		bulk_down(&c);
		assert_int_equal(d->net->tcp->pool.used, 0);
		assert_int_equal(d->net->tcp->pool.rings, 0);
		(void)close(c.fd);
		drill_free(d);
	}
}

static void a_batch_of_a_flow_is_one_ack(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	char buf[100];

	(void)state;
	conn_open(d, &c, PEER, 80);
	drill_batch(d);
	for (int i = 0; i < 50; i++)
		conn_write(&c, "ab", 2);
	assert_int_equal(d->nsegs, d->at);
	drill_batch_end(d);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq);
	drill_silent(d);
	assert_int_equal(host_read(c.fd, buf, 100, NULL), 100);
	(void)close(c.fd);
	drill_free(d);
}

static void flows_of_one_batch_are_kept_apart(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		conn_open(d, &c[i], PEER, 80);
	drill_batch(d);
	for (int i = 0; i < 30; i++)
		conn_write(&c[i % 3], (char[]){(char)('a' + i % 3)}, 1);
	drill_batch_end(d);
	for (int i = 0; i < 3; i++) {
		char buf[20];

		assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c[i].seq);
		assert_int_equal(host_read(c[i].fd, buf, 20, NULL), 10);
		for (int k = 0; k < 10; k++)
			assert_int_equal(buf[k], 'a' + i);
	}
	drill_silent(d);
	for (int i = 0; i < 3; i++)
		(void)close(c[i].fd);
	drill_free(d);
}

/* More frames, more pieces and more flows than a batch has places for. */
static void a_batch_that_is_too_large_is_taken_in_parts(void **state)
{
	struct drill *d = drill_new(NULL);
	static struct drill_conn c[100];
	char buf[200];

	(void)state;
	for (int i = 0; i < 100; i++)
		conn_open(d, &c[i], PEER, 80);
	drill_batch(d);
	for (int i = 0; i < 100; i++)
		conn_write(&c[i], "x", 1);
	for (int i = 0; i < 100; i++)
		conn_write(&c[99], "yz", 2);
	drill_batch_end(d);
	for (int i = 0; i < 99; i++)
		assert_int_equal(host_read(c[i].fd, buf, 200, NULL), 1);
	assert_int_equal(host_read(c[99].fd, buf, 200, NULL), 200);
	for (int i = 0; i < 100; i++)
		(void)close(c[i].fd);
	drill_free(d);
}

static void an_old_duplicate_is_acknowledged_and_dropped(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	char buf[10];

	(void)state;
	conn_open(d, &c, PEER, 80);
	conn_write(&c, "abc", 3);
	drill_skip(d);
	conn_send(&c, TCP_ACK, c.seq - 3, c.ack, "abc", 3);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq);
	drill_silent(d);
	assert_int_equal(host_read(c.fd, buf, 10, NULL), 3);
	(void)close(c.fd);
	drill_free(d);
}

static void of_an_overlap_the_new_part_is_taken(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	char buf[10];

	(void)state;
	conn_open(d, &c, PEER, 80);
	conn_write(&c, "abc", 3);
	drill_skip(d);
	conn_send(&c, TCP_ACK, c.seq - 2, c.ack, "XXde", 4);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq + 2);
	assert_int_equal(host_read(c.fd, buf, 10, NULL), 5);
	assert_memory_equal(buf, "abcde", 5);
	(void)close(c.fd);
	drill_free(d);
}

static void each_segment_out_of_order_is_one_duplicate_ack(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	char buf[10];

	(void)state;
	conn_open(d, &c, PEER, 80);
	drill_batch(d);
	conn_write(&c, "a", 1);
	for (uint32_t i = 1; i <= 3; i++)
		conn_send(&c, TCP_ACK, c.seq + i, c.ack, "x", 1);
	drill_batch_end(d);
	for (int i = 0; i < 3; i++)
		assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq);
	drill_silent(d);
	assert_int_equal(host_read(c.fd, buf, 10, NULL), 1);
	(void)close(c.fd);
	drill_free(d);
}

static void what_is_beyond_the_window_is_cut_off(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	struct tcp_flow *f;
	uint32_t edge;

	(void)state;
	conn_open(d, &c, PEER, 80);
	conn_write(&c, "a", 1);
	drill_skip(d);
	f = conn_flow(&c);
	/* A window of 10 bytes, as if `up` were full but for them. */
	edge = f->rcv_adv = f->rcv_nxt + 10;
	conn_send(&c, TCP_ACK | TCP_FIN, c.seq, c.ack, "0123456789abcdef", 16);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, edge);
	assert_false(tcp_has(f, TCP_F_GFIN));
	/* Wholly beyond: an ACK, and nothing taken. */
	conn_send(&c, TCP_ACK, f->rcv_adv, c.ack, "x", 1);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, edge);
	(void)close(c.fd);
	drill_free(d);
}

/*
 * Its server reads nothing: what fits is taken, and the window closes. (Where
 * others took the memory that was promised, it is not acknowledged.)
 */
static uint32_t stuff(struct drill_conn *c)
{
	static uint8_t data[60000];
	uint32_t room = RING_SMALL;

	while (room) {
		const struct drill_seg *s;

		conn_write(c, data, MIN(room, sizeof(data)));
		s = drill_got_flags(c->d, TCP_ACK);
		room = s->ack == c->seq ? (uint32_t)s->wnd << TCP_SCALE : 0;
		c->seq = s->ack;
	}
	drill_skip(c->d);
	return c->seq - c->isn - 1;
}

/* How long it is silent. */
static uint64_t until_segment(struct drill *d)
{
	uint64_t begin = d->now;

	while (d->at == d->nsegs) {
		drill_sleep(d, MAX((d->now - begin) / 32, WHEEL_TICK_NS));
		assert_true(d->now - begin < 3600 * NS_PER_S);
	}
	return d->now - begin;
}

#define assert_about(ns, wanted)                                               \
	assert_in_range(ns, (wanted) - (wanted) / 16,                          \
	                (wanted) + (wanted) / 8 + 100 * NS_PER_MS)

static void a_slow_host_closes_the_window_and_nothing_is_lost(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	uint32_t taken, back = 0;
	const struct drill_seg *s;

	(void)state;
	conn_open(d, &c, PEER, 80);
	taken = stuff(&c);
	/* Windows are told in units of 256 bytes. */
	assert_in_range(conn_flow(&c)->up.used,
	                (1u << RING_ORDER_MAX) - (1u << TCP_SCALE),
	                1u << RING_ORDER_MAX);
	/* A probe of the guest is answered: still closed. */
	conn_send(&c, TCP_ACK, c.seq, c.ack, "x", 1);
	s = drill_got_flags(d, TCP_ACK);
	assert_in_range(s->ack, c.seq, c.seq + 1);
	taken += s->ack - c.seq;
	c.seq = s->ack;
	assert_int_equal(s->wnd, 0);
	drill_silent(d);
	/* The server reads: the window opens by itself. */
	while (back < taken) {
		ssize_t n = host_read(c.fd, got, sizeof(got), NULL);

		assert_true(n >= 0);
		back += (uint32_t)n;
		drill_run(d);
	}
	assert_true(d->nsegs > 0);
	s = &d->segs[d->nsegs - 1];
	assert_int_equal(s->ack, c.seq);
	assert_true((uint32_t)s->wnd << TCP_SCALE >= 1000000);
	assert_int_equal(d->net->tcp->pool.used, 0);
	(void)close(c.fd);
	drill_free(d);
}

static void the_first_room_is_told_at_once(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	uint32_t room = 0;

	(void)state;
	conn_open(d, &c, PEER, 80);
	(void)stuff(&c);
	for (int i = 0; i < 5000 && !room; i++) {
		(void)host_read(c.fd, got, 4096, NULL);
		drill_run(d);
		if (d->nsegs)
			room = (uint32_t)drill_got(d)->wnd << TCP_SCALE;
	}
	/* An MSS at least, no dribble; and not only when all is written. */
	assert_true(room >= 1280);
	assert_true(conn_flow(&c)->up.used > 0);
	(void)close(c.fd);
	drill_free(d);
}

static void rings_of_many_stuck_flows_share_the_memory(void **state)
{
	struct drill *d = drill_new(NULL);
	static struct drill_conn c[150];
	const struct ring_pool *p = &d->net->tcp->pool;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		conn_open(d, &c[i], PEER, 80);
		(void)stuff(&c[i]);
		assert_true(p->used + p->spare <= TCP_RING_MAX);
		assert_true(p->large <= TCP_RING_MAX / 2);
		/* The last one still gets a ring. */
		assert_true(conn_flow(&c[i])->up.used >= 4096);
	}
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		(void)close(c[i].fd);
	drill_free(d);
}

/* Memory is out when the batch ends: what was noted is not acknowledged. */
static void bytes_without_memory_are_not_acknowledged(void **state)
{
	struct drill *d = drill_new(NULL);
	struct ring_pool *p = &d->net->tcp->pool;
	struct drill_conn c;
	uint8_t *data = calloc(1, 60000);
	uint32_t ack = 0;
	size_t max = p->max, back = 0;
	const int small = 64 << 10; /* full long before the window is */
	ssize_t n;

	(void)state;
	conn_open(d, &c, PEER, 80);
	assert_int_equal(setsockopt(conn_flow(&c)->sock.fd, SOL_SOCKET,
	                            SO_SNDBUF, &small, sizeof(small)),
	                 0);
	p->max = 0;
	while (ack != c.seq - 60000) {
		conn_write(&c, data, 60000);
		ack = drill_got_flags(d, TCP_ACK)->ack;
		if (ack != c.seq) /* the socket is full */
			break;
	}
	drill_skip(d);
	assert_int_equal(conn_flow(&c)->up.used, 0);
	assert_int_equal(conn_flow(&c)->rcv_nxt, ack);
	/* With memory again, the guest's repetition is taken. */
	p->max = max;
	conn_send(&c, TCP_ACK, ack, c.ack, data, c.seq - ack);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq);
	do {
		n = host_read(c.fd, got, sizeof(got), NULL);
		back += (size_t)n;
		drill_run(d);
	} while (n > 0);
	assert_int_equal(back, c.seq - c.isn - 1);
	free(data);
	(void)close(c.fd);
	drill_free(d);
}

/* No memory to read into: the socket waits, and nobody spins. */
static void a_flow_without_memory_reads_later(void **state)
{
	struct drill *d = drill_new(NULL);
	struct ring_pool *p = &d->net->tcp->pool;
	struct drill_conn c;
	size_t max = p->max;

	(void)state;
	conn_open(d, &c, PEER, 80);
	p->max = 0;
	host_write(d, c.fd, "abc", 3);
	drill_silent(d);
	assert_true(tcp_has(conn_flow(&c), TCP_F_STARVED));
	assert_int_equal(conn_flow(&c)->sock.events, 0);
	p->max = max;
	drill_sleep(d, TCP_STARVED_NS);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->len, 3);
	(void)close(c.fd);
	drill_free(d);
}

static void the_guest_s_window_is_respected_and_probed(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	uint64_t wait = TCP_RTO_NS;

	(void)state;
	conn_open(d, &c, PEER, 80);
	c.wnd = 0;
	conn_ack(&c);
	host_write(d, c.fd, "abcdef", 6);
	drill_silent(d);
	for (int i = 0; i < 8; i++, wait = MIN(wait * 2, TCP_RTO_MAX_NS)) {
		const struct drill_seg *s;

		assert_about(until_segment(d), wait);
		/* A number that it knows already; it answers. */
		s = drill_got_flags(d, TCP_ACK);
		assert_int_equal(s->seq, c.ack - 1);
		assert_int_equal(s->len, 0);
		conn_ack(&c);
		drill_silent(d);
	}
	c.wnd = 1;
	conn_ack(&c); /* 128 bytes */
	assert_int_equal(drill_got_flags(d, TCP_ACK)->len, 6);
	(void)close(c.fd);
	drill_free(d);
}

/* Answers keep it alive, for ever; silence does not. */
static void a_window_closed_for_hours_is_no_error(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	conn_open(d, &c, PEER, 80);
	c.wnd = 0;
	conn_ack(&c);
	host_write(d, c.fd, "abcdef", 6);
	for (int i = 0; i < 120; i++) {
		drill_sleep(d, 60 * NS_PER_S);
		conn_ack(&c);
		drill_skip(d);
	}
	assert_int_equal(drill_open_flows(d), 1);
	for (int i = 0; i < 20; i++)
		drill_sleep(d, 60 * NS_PER_S);
	assert_int_equal(drill_open_flows(d), 0);
	assert_int_equal(d->segs[d->nsegs - 1].flags, TCP_RST | TCP_ACK);
	(void)close(c.fd);
	drill_free(d);
}

static void a_window_that_shrinks_is_survived(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	static uint8_t data[20000];
	size_t n = 0;

	(void)state;
	fill_pattern(data, sizeof(data));
	conn_open(d, &c, PEER, 80);
	c.wnd = 10000 >> DRILL_SCALE;
	conn_ack(&c);
	host_write(d, c.fd, data, sizeof(data));
	assert_true(tcp_in_flight(conn_flow(&c)) > 8000);
	/* Less than is on the way, then nothing, then all. */
	c.wnd = 2000 >> DRILL_SCALE;
	conn_send(&c, TCP_ACK, c.seq, c.ack, NULL, 0);
	c.wnd = 0;
	conn_send(&c, TCP_ACK, c.seq, c.ack, NULL, 0);
	drill_sleep(d, 5 * NS_PER_S);
	drill_skip(d); /* all of it was dropped there */
	c.wnd = 65535;
	conn_ack(&c);
	for (int i = 0; i < 20 && n < sizeof(data); i++) {
		drill_sleep(d, NS_PER_S);
		n += conn_read(&c, got + n, sizeof(data) - n);
	}
	assert_int_equal(n, sizeof(data));
	assert_memory_equal(got, data, n);
	(void)close(c.fd);
	drill_free(d);
}

static void a_lost_ack_is_made_good_by_the_next(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	conn_open(d, &c, PEER, 80);
	host_write(d, c.fd, "abc", 3);
	host_write(d, c.fd, "def", 3);
	c.ack += 6;
	conn_ack(&c);
	drill_skip(d);
	drill_sleep(d, 10 * NS_PER_S);
	drill_silent(d);
	assert_int_equal(conn_flow(&c)->down.used, 0);
	(void)close(c.fd);
	drill_free(d);
}

static void three_duplicate_acks_resend_the_first_once(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	const struct drill_seg *s;

	(void)state;
	conn_open(d, &c, PEER, 80);
	for (int i = 0; i < 5; i++)
		host_write(d, c.fd, sent, 1000);
	drill_skip(d);
	conn_ack(&c);
	conn_ack(&c);
	drill_silent(d);
	conn_ack(&c);
	s = drill_got_flags(d, TCP_ACK);
	assert_int_equal(s->seq, c.ack);
	assert_int_equal(s->len, 1460);
	for (int i = 0; i < 10; i++)
		conn_ack(&c);
	drill_silent(d);
	/* It had all but the first 1460. */
	c.ack += 5000;
	conn_ack(&c);
	drill_silent(d);
	assert_int_equal(conn_flow(&c)->down.used, 0);
	assert_false(tcp_has(conn_flow(&c), TCP_F_LOST));
	(void)close(c.fd);
	drill_free(d);
}

/* Each hole that an ACK of the recovery shows is filled at once. */
static void all_holes_are_filled_without_another_timeout(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	conn_open(d, &c, PEER, 80);
	host_write(d, c.fd, sent, 1460 * 8);
	drill_skip(d);
	for (int i = 0; i < 3; i++)
		conn_ack(&c);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(drill_got_flags(d, TCP_ACK)->seq, c.ack);
		c.ack += 1460;
		conn_ack(&c);
	}
	drill_silent(d);
	assert_int_equal(conn_flow(&c)->down.used, 0);
	(void)close(c.fd);
	drill_free(d);
}

static void data_or_windows_in_between_are_no_duplicates(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	conn_open(d, &c, PEER, 80);
	host_write(d, c.fd, sent, 1000);
	drill_skip(d);
	for (int i = 0; i < 10; i++) {
		c.wnd--; /* an update of the window */
		conn_ack(&c);
	}
	drill_silent(d);
	for (int i = 0; i < 10; i++)
		conn_write(&c, "x", 1);
	assert_int_equal(conn_flow(&c)->dups, 0);
	assert_false(tcp_has(conn_flow(&c), TCP_F_LOST));
	(void)close(c.fd);
	drill_free(d);
}

static void a_lost_segment_comes_again_later_and_later(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	uint64_t wait = TCP_RTO_NS;

	(void)state;
	conn_open(d, &c, PEER, 80);
	host_write(d, c.fd, "abc", 3);
	drill_skip(d);
	for (int i = 0; i < 8; i++, wait *= 2) {
		const struct drill_seg *s;

		assert_about(until_segment(d), MIN(wait, TCP_RTO_MAX_NS));
		s = drill_got_flags(d, TCP_ACK);
		assert_int_equal(s->seq, c.ack);
		assert_int_equal(s->len, 3);
	}
	/* One ACK, and the clock begins anew. */
	c.ack += 3;
	conn_ack(&c);
	host_write(d, c.fd, "d", 1);
	drill_skip(d);
	drill_sleep(d, TCP_RTO_NS + 3 * WHEEL_TICK_NS);
	drill_got_flags(d, TCP_ACK);
	(void)close(c.fd);
	drill_free(d);
}

static void a_guest_that_is_gone_ends_the_flow(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	char buf[4];

	(void)state;
	conn_open(d, &c, PEER, 80);
	host_write(d, c.fd, "abc", 3);
	drill_sleep(d, 300 * NS_PER_S);
	assert_int_equal(drill_open_flows(d), 1);
	drill_sleep(d, 600 * NS_PER_S);
	assert_int_equal(drill_open_flows(d), 0);
	assert_int_equal(host_read(c.fd, buf, 4, NULL), -1);
	assert_int_equal(errno, ECONNRESET);
	(void)close(c.fd);
	drill_free(d);
}

static void with_offload_frames_are_large_else_one_mss(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		const struct drill_options o = {.offload = i & 1};
		struct drill *d = drill_new(&o);
		struct drill_conn c;
		unsigned mss = i & 2 ? 1440 : 1460;
		size_t largest = 0;

		conn_open(d, &c, i & 2 ? PEER6 : PEER, 80);
		conn_ack(&c);
		(void)host_write_some(d, c.fd, sent, 500000);
		(void)host_write_some(d, c.fd, sent, 500000);
		for (; d->at < d->nsegs; d->at++) {
			const struct drill_seg *s = &d->segs[d->at];

			largest = MAX(largest, s->len);
			assert_int_equal(s->gso, s->len > mss ? mss : 0);
		}
		if (i & 1)
			assert_int_equal(largest, 65461 / mss * mss);
		else
			assert_int_equal(largest, mss);
		(void)close(c.fd);
		drill_free(d);
	}
}

/* 64 KiB in a frame of the guest's. */
static void large_frames_of_the_guest_are_taken(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	size_t len = 65535 - 40;

	(void)state;
	fill_pattern(sent, len);
	conn_open(d, &c, PEER, 80);
	d->split = 16;
	conn_write(&c, sent, len);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq);
	assert_int_equal(host_read(c.fd, got, sizeof(got), NULL), len);
	assert_memory_equal(got, sent, len);
	(void)close(c.fd);
	drill_free(d);
}

static void keep_alive_probes_are_answered_and_change_nothing(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	char buf[4];

	(void)state;
	conn_open(d, &c, PEER, 80);
	conn_write(&c, "ab", 2);
	drill_skip(d);
	for (size_t len = 0; len < 2; len++) {
		conn_send(&c, TCP_ACK, c.seq - 1, c.ack, "z", len);
		assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq);
		drill_silent(d);
	}
	assert_int_equal(host_read(c.fd, buf, 4, NULL), 2);
	(void)close(c.fd);
	drill_free(d);
}

static void a_full_link_loses_nothing(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	size_t at = 0, n = 0;

	(void)state;
	fill_pattern(sent, 200000);
	conn_open(d, &c, PEER, 80);
	while (n < 200000) {
		d->blocked = false;
		d->room = 7;
		net_writable(d->net);
		at += host_write_some(d, c.fd, sent + at, 200000 - at);
		n += conn_read(&c, got + n, 200000 - n);
		/* Hours without room are no loss. */
		if (n < 50000)
			drill_sleep(d, 3600 * NS_PER_S);
		drill_skip(d);
	}
	assert_memory_equal(got, sent, 200000);
	(void)close(c.fd);
	drill_free(d);
}

/* ACKs and window updates wait for room, too. */
static void an_ack_without_room_comes_later(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	conn_open(d, &c, PEER, 80);
	d->blocked = true;
	conn_write(&c, "abc", 3);
	drill_silent(d);
	d->blocked = false;
	net_writable(d->net);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq);
	(void)close(c.fd);
	drill_free(d);
}

/* Each sends what one turn allows, then the others have theirs. */
static void large_senders_take_turns(void **state)
{
	const struct drill_options o = {.offload = true};
	struct drill *d = drill_new(&o);
	struct drill_conn c[3];
	size_t in_a_row[3] = {0};

	(void)state;
	for (int i = 0; i < 3; i++)
		conn_open(d, &c[i], PEER, 80);
	d->blocked = true;
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 20; k++)
			(void)host_write_some(d, c[i].fd, sent, 200000);
		assert_true(conn_flow(&c[i])->down.used > 750000);
	}
	d->blocked = false;
	net_writable(d->net);
	/* The first turn of all three, in order, before anybody's second. */
	for (int i = 0; i < 3; i++)
		while (d->at < d->nsegs && d->segs[d->at].to == c[i].gport)
			in_a_row[i] += d->segs[d->at++].len;
	for (int i = 0; i < 3; i++) {
		assert_true(in_a_row[i] >= TCP_TURN_BYTES);
		assert_true(in_a_row[i] < TCP_TURN_BYTES + 65536);
		(void)close(c[i].fd);
	}
	/* ... and the rest of each follows without anything else happening. */
	drill_run(d);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tcp_unsent(conn_flow(&c[i])), 0);
	drill_free(d);
}

/* The guest's from 2^32 - 100 on, and ours: the clock is set to do it. */
static void both_sequences_wrap(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	fill_pattern(sent, 5000);
	conn_init(d, &c, PEER, 80);
	conn_syn(&c);
	c.ack = drill_got_flags(d, TCP_SYN | TCP_ACK)->seq;
	conn_send(&c, TCP_RST, c.seq, 0, NULL, 0);
	(void)close(drill_accept(d));
	d->now += (uint64_t)(uint32_t)(0u - 2000 - c.ack) * 4000;
	drill_skip(d);
	c.isn = 0u - 100;
	conn_shake(&c);
	assert_true(c.ack >= 0u - 2000);
	for (int i = 0; i < 20; i++) {
		conn_write(&c, sent + i * 250, 250);
		host_write(d, c.fd, sent + i * 250, 250);
	}
	assert_int_equal(host_read(c.fd, got, 5001, NULL), 5000);
	assert_memory_equal(got, sent, 5000);
	memset(got, 0, 5000);
	assert_int_equal(conn_read(&c, got, 5001), 5000);
	assert_memory_equal(got, sent, 5000);
	assert_true(c.ack < 10000 && c.seq < 10000);
	(void)close(c.fd);
	drill_free(d);
}

static void urgent_bytes_are_bytes(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	char buf[8];

	(void)state;
	conn_open(d, &c, PEER, 80);
	conn_send(&c, TCP_ACK | 0x20, c.seq, c.ack, "abc", 3);
	assert_int_equal(host_read(c.fd, buf, 8, NULL), 3);
	assert_memory_equal(buf, "abc", 3);
	assert_false(recv(c.fd, buf, 1, MSG_OOB) > 0);
	(void)close(c.fd);
	drill_free(d);
}

/* A datagram of the guest to PEER; the host's end, and who it came from. */
static int datagram_flow(struct drill *d, struct sockaddr_storage *from,
                         socklen_t *len)
{
	static struct fr f;
	const struct vnet_hdr h = {.flags = VNET_NEEDS_CSUM};
	struct addr loopback = ip("127.0.0.1");
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sockaddr(&loopback, d->port, &ss);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct iovec v = {f.b, 0};
	char byte;

	assert_int_equal(bind(fd, (struct sockaddr *)&ss, n), 0);
	fr_ip4(&f, GUEST4, PEER, PROTO_UDP);
	fr_udp(&f, 4000, d->port, 1);
	fr_end4(&f);
	v.iov_len = f.len;
	net_input(d->net, &h, &(struct iov){&v, 1, f.len});
	net_batch_end(d->net);
	*len = sizeof(*from);
	assert_int_equal(
		recvfrom(fd, &byte, 1, 0, (struct sockaddr *)from, len), 1);
	return fd;
}

/* One frame at a time: there is always more of the flow with much to say. */
static void a_large_sender_lets_datagrams_through(void **state)
{
	struct drill *d = drill_new(NULL);
	struct sockaddr_storage from;
	bool came = false;
	struct drill_conn c;
	socklen_t len;
	int fd;

	(void)state;
	conn_open(d, &c, PEER, 80);
	fd = datagram_flow(d, &from, &len);
	d->blocked = true;
	assert_true(host_write_some(d, c.fd, sent, 100000) > 50000);
	assert_int_equal(sendto(fd, "x", 1, 0, (void *)&from, len), 1);
	drill_run(d);
	drill_skip(d);
	for (int i = 0; i < 4; i++) {
		d->blocked = false;
		d->room = 1;
		net_writable(d->net);
		assert_true(d->blocked); /* it said something */
	}
	for (unsigned i = 0; i < d->nsegs; i++)
		came |= d->segs[i].icmp; /* anything that is not TCP */
	assert_true(came);
	assert_true(tcp_unsent(conn_flow(&c)) > 0);
	d->blocked = false;
	d->room = 0;
	(void)close(c.fd);
	(void)close(fd);
	drill_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(megabytes_go_both_ways_and_leave_no_memory),
		cmocka_unit_test(a_batch_of_a_flow_is_one_ack),
		cmocka_unit_test(flows_of_one_batch_are_kept_apart),
		cmocka_unit_test(a_batch_that_is_too_large_is_taken_in_parts),
		cmocka_unit_test(an_old_duplicate_is_acknowledged_and_dropped),
		cmocka_unit_test(of_an_overlap_the_new_part_is_taken),
		cmocka_unit_test(
			each_segment_out_of_order_is_one_duplicate_ack),
		cmocka_unit_test(what_is_beyond_the_window_is_cut_off),
		cmocka_unit_test(
			a_slow_host_closes_the_window_and_nothing_is_lost),
		cmocka_unit_test(the_first_room_is_told_at_once),
		cmocka_unit_test(rings_of_many_stuck_flows_share_the_memory),
		cmocka_unit_test(bytes_without_memory_are_not_acknowledged),
		cmocka_unit_test(a_flow_without_memory_reads_later),
		cmocka_unit_test(the_guest_s_window_is_respected_and_probed),
		cmocka_unit_test(a_window_closed_for_hours_is_no_error),
		cmocka_unit_test(a_window_that_shrinks_is_survived),
		cmocka_unit_test(a_lost_ack_is_made_good_by_the_next),
		cmocka_unit_test(three_duplicate_acks_resend_the_first_once),
		cmocka_unit_test(all_holes_are_filled_without_another_timeout),
		cmocka_unit_test(data_or_windows_in_between_are_no_duplicates),
		cmocka_unit_test(a_lost_segment_comes_again_later_and_later),
		cmocka_unit_test(a_guest_that_is_gone_ends_the_flow),
		cmocka_unit_test(with_offload_frames_are_large_else_one_mss),
		cmocka_unit_test(large_frames_of_the_guest_are_taken),
		cmocka_unit_test(
			keep_alive_probes_are_answered_and_change_nothing),
		cmocka_unit_test(a_full_link_loses_nothing),
		cmocka_unit_test(an_ack_without_room_comes_later),
		cmocka_unit_test(large_senders_take_turns),
		cmocka_unit_test(a_large_sender_lets_datagrams_through),
		cmocka_unit_test(both_sequences_wrap),
		cmocka_unit_test(urgent_bytes_are_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
