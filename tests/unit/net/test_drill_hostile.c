/* What nobody sends who means well (attacks D5). */
#include "drill.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/num.h"
#include "lib/test.h"

#define PEER "93.184.216.34"

/* The bystander: its flow works, whatever the rest of the guest does. */
static void still_works(struct drill *d, struct drill_conn *c)
{
	char buf[8];

	d->host = HOST_ANSWERS;
	drill_skip(d);
	conn_write(c, "ping", 4);
	drill_got_flags(d, TCP_ACK);
	assert_int_equal(host_read(c->fd, buf, 8, NULL), 4);
	host_write(d, c->fd, "pong", 4);
	assert_int_equal(conn_read(c, buf, 8), 4);
	drill_skip(d);
}

static void a_flood_of_100000_syns_stays_within_bounds(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn good, c;
	unsigned resets = 0;

	(void)state;
	conn_open(d, &good, PEER, 80);
	d->host = HOST_SILENT;
	conn_init(d, &c, PEER, 80);
	for (unsigned i = 0; i < 100000; i++) {
		c.gport = (uint16_t)(1 + i % 60000);
		c.pport = (uint16_t)(1000 + i / 60000);
		conn_raw(&c, TCP_SYN, i, 0, 65535, NULL, 0, NULL, 0);
		if (i % 1024 == 1023) {
			resets += d->nsegs - d->at;
			while (d->nsegs)
				free(d->segs[--d->nsegs].data);
			d->at = 0;
		}
	}
	resets += d->nsegs - d->at;
	assert_true(d->dialled <= TCP_HALF_MAX + 1);
	assert_int_equal(resets, 100000 - TCP_HALF_MAX);
	assert_int_equal(drill_open_flows(d), TCP_HALF_MAX + 1);
	still_works(d, &good);
	/* They time out, and all is as before. */
	drill_sleep(d, DIAL_TIMEOUT_NS + NS_PER_S);
	assert_int_equal(drill_open_flows(d), 1);
	still_works(d, &good);
	(void)close(good.fd);
	drill_free(d);
}

/* SYN-ACKs that nobody answers hold a flow for some seconds, no longer. */
static void unanswered_syn_acks_are_given_up(void **state)
{
	const struct drill_options o = {.connections = 100};
	struct drill *d = drill_new(&o);
	struct drill_conn c;

	(void)state;
	for (int i = 0; i < 100; i++) {
		conn_init(d, &c, PEER, 80);
		conn_syn(&c);
	}
	conn_init(d, &c, PEER, 80);
	conn_syn(&c);
	assert_int_equal(drill_open_flows(d), 100);
	drill_sleep(d, 30 * NS_PER_S);
	assert_int_equal(drill_open_flows(d), 0);
	drill_skip(d);
	for (int i = 0; i < 100; i++)
		(void)close(drill_accept(d));
	conn_open(d, &c, PEER, 80);
	(void)close(c.fd);
	drill_free(d);
}

static void a_scan_of_65535_ports_is_65535_answers(void **state)
{
	const struct drill_options o = {.rule = "allow@any:tcp:80"};
	struct drill *d = drill_new(&o);
	struct drill_conn good, c;
	unsigned answers = 0;

	(void)state;
	conn_open(d, &good, PEER, 80);
	conn_init(d, &c, PEER, 80);
	for (unsigned port = 1; port <= 65535; port++) {
		if (port == 80 || port == 53)
			continue;
		c.pport = (uint16_t)port;
		conn_raw(&c, TCP_SYN, port, 0, 65535, NULL, 0, NULL, 0);
		if (port % 1024)
			continue;
		answers += d->nsegs - d->at;
		while (d->nsegs)
			free(d->segs[--d->nsegs].data);
		d->at = 0;
	}
	answers += d->nsegs - d->at;
	assert_int_equal(answers, 65533);
	assert_int_equal(net_counters(d->net)->denied, 65533);
	assert_int_equal(d->dialled, 1);
	still_works(d, &good);
	(void)close(good.fd);
	drill_free(d);
}

static void resets_count_only_where_they_fit(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	struct tcp_flow *f;

	(void)state;
	conn_open(d, &c, PEER, 80);
	conn_write(&c, "x", 1);
	drill_skip(d);
	f = conn_flow(&c);
	/* Outside: silence. */
	conn_send(&c, TCP_RST, c.seq - 1, 0, NULL, 0);
	conn_send(&c, TCP_RST, f->rcv_adv, 0, NULL, 0);
	conn_send(&c, TCP_RST, c.seq + 0x80000000u, 0, NULL, 0);
	drill_silent(d);
	/* Inside, and not exact: an ACK that asks. */
	conn_send(&c, TCP_RST, c.seq + 1, 0, NULL, 0);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq);
	conn_send(&c, TCP_RST, f->rcv_adv - 1, 0, NULL, 0);
	assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq);
	assert_int_equal(drill_open_flows(d), 1);
	(void)host_read(c.fd, (char[1]){0}, 1, NULL);
	still_works(d, &c);
	(void)close(c.fd);
	drill_free(d);
}

static void fins_outside_of_the_window_close_nothing(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	struct tcp_flow *f;

	(void)state;
	conn_open(d, &c, PEER, 80);
	conn_write(&c, "x", 1);
	drill_skip(d);
	f = conn_flow(&c);
	conn_send(&c, TCP_ACK | TCP_FIN, c.seq - 1, c.ack, NULL, 0);
	conn_send(&c, TCP_ACK | TCP_FIN, c.seq + 1, c.ack, NULL, 0);
	conn_send(&c, TCP_ACK | TCP_FIN, f->rcv_adv, c.ack, NULL, 0);
	conn_send(&c, TCP_ACK | TCP_FIN, c.seq - 5, c.ack, "abc", 3);
	for (int i = 0; i < 4; i++)
		assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq);
	assert_false(tcp_has(f, TCP_F_GFIN));
	/* No ACK flag, no effect. */
	conn_send(&c, TCP_FIN, c.seq, c.ack, NULL, 0);
	conn_send(&c, 0, c.seq, c.ack, "zzz", 3);
	drill_silent(d);
	(void)host_read(c.fd, (char[1]){0}, 1, NULL);
	still_works(d, &c);
	(void)close(c.fd);
	drill_free(d);
}

static void an_ack_of_what_was_never_sent_is_answered_and_ignored(void **state)
{
	static const uint32_t beyond[] = {1, 1000, 0x7fffffff};
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	conn_open(d, &c, PEER, 80);
	host_write(d, c.fd, "abc", 3);
	drill_skip(d);
	for (size_t i = 0; i < ARRAY_SIZE(beyond); i++) {
		conn_send(&c, TCP_ACK, c.seq, c.ack + 3 + beyond[i], "no", 2);
		assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq);
		assert_int_equal(conn_flow(&c)->down.used, 3);
	}
	/* Half of the numbers are old ones: nothing is taken back. */
	conn_send(&c, TCP_ACK, c.seq, c.ack - 0x7fffffff, NULL, 0);
	assert_int_equal(conn_flow(&c)->down.used, 3);
	c.ack += 3;
	conn_ack(&c);
	still_works(d, &c);
	(void)close(c.fd);
	drill_free(d);
}

/* Each combination of flags in each state, with numbers around the window. */
static void no_segment_in_any_state_breaks_the_stack(void **state)
{
	static const uint32_t offs[] = {0,     1,          (uint32_t)-1, 65535,
	                                65536, 0x7fffffff, 0x80000000u};
	struct drill *d = drill_new(NULL);
	struct drill_conn good, c;
	uint8_t data[40] = {0};

	(void)state;
	conn_open(d, &good, PEER, 80);
	d->fast = true;
	for (unsigned i = 0; i < 64u * ARRAY_SIZE(offs) * 4; i++) {
		uint8_t flags = i & 63;
		uint32_t off = offs[i / 64 % ARRAY_SIZE(offs)];
		unsigned kind = i / 64 / ARRAY_SIZE(offs);

		d->host = kind ? HOST_ANSWERS : HOST_SILENT;
		conn_init(d, &c, PEER, 80);
		conn_syn(&c);
		if (kind)
			c.ack = drill_got_flags(d, TCP_SYN | TCP_ACK)->seq + 1;
		if (kind > 1)
			conn_ack(&c);
		if (kind > 2)
			conn_send(&c, TCP_ACK | TCP_FIN, c.seq++, c.ack, NULL,
			          0);
		conn_send(&c, flags, c.seq + off, c.ack, data, i % 40);
		conn_send(&c, flags, c.seq, c.ack + off, data, i % 40);
		drill_run(d);
		/* End it: by the number that it expects. */
		if (conn_flow(&c))
			conn_send(&c, TCP_RST, conn_flow(&c)->rcv_nxt, 0, NULL,
			          0);
		assert_null(conn_flow(&c));
		if (kind)
			(void)close(drill_accept(d));
		drill_skip(d);
	}
	d->fast = false;
	assert_int_equal(drill_open_flows(d), 1);
	still_works(d, &good);
	(void)close(good.fd);
	drill_free(d);
}

static void strange_syns_open_nothing(void **state)
{
	static const uint8_t flags[] = {TCP_SYN | TCP_FIN,
	                                TCP_SYN | TCP_RST,
	                                TCP_SYN | TCP_ACK,
	                                0x3f,
	                                0,
	                                TCP_FIN};
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	for (size_t i = 0; i < sizeof(flags); i++) {
		conn_init(d, &c, PEER, 80);
		conn_send(&c, flags[i], 1, 2, NULL, 0);
	}
	/* Ports of nobody, and a group. */
	conn_init(d, &c, PEER, 0);
	conn_syn(&c);
	conn_init(d, &c, PEER, 80);
	c.gport = 0;
	conn_syn(&c);
	conn_init(d, &c, "224.0.0.1", 80);
	conn_syn(&c);
	assert_int_equal(d->dialled, 0);
	assert_int_equal(drill_open_flows(d), 0);
	for (drill_run(d); d->at < d->nsegs; d->at++)
		assert_true(d->segs[d->at].flags & TCP_RST);
	assert_int_equal(net_counters(d->net)->bad, 3);
	drill_free(d);
}

/* Nobody answers a reset with a reset: two could do it for ever. */
static void resets_are_never_answered(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;

	(void)state;
	conn_init(d, &c, PEER, 80);
	for (unsigned i = 0; i < 64; i++)
		conn_send(&c, (uint8_t)(i | TCP_RST), i, i, NULL, 0);
	drill_silent(d);
	drill_free(d);
}

/* RFC 793: by the ACK's number, or behind all that came. */
static void a_segment_of_no_flow_is_reset_so_that_it_fits(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	const struct drill_seg *s;

	(void)state;
	conn_init(d, &c, PEER, 80);
	conn_send(&c, TCP_ACK, 1000, 77, "abc", 3);
	s = drill_got_flags(d, TCP_RST);
	assert_int_equal(s->seq, 77);
	conn_send(&c, TCP_FIN, 1000, 77, "abc", 3);
	s = drill_got_flags(d, TCP_RST | TCP_ACK);
	assert_int_equal(s->seq, 0);
	assert_int_equal(s->ack, 1004);
	drill_free(d);
}

/* Lengths around 2^16, windows of 65535 and 0: where 16 bits end. */
static void sixteen_bits_do_not_wrap(void **state)
{
	static uint8_t data[65535], back[70000];
	static const size_t lens[] = {65494, 65495, 65484, 65483, 32768, 32767};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		struct drill *d = drill_new(NULL);
		struct drill_conn c;

		conn_open(d, &c, PEER, 80);
		conn_write(&c, data, lens[i]);
		assert_int_equal(drill_got_flags(d, TCP_ACK)->ack, c.seq);
		assert_int_equal(host_read(c.fd, back, sizeof(back), NULL),
		                 lens[i]);
		conn_raw(&c, TCP_ACK, c.seq, c.ack, 65535, NULL, 0, NULL, 0);
		assert_int_equal(conn_flow(&c)->snd_wnd, 65535u << DRILL_SCALE);
		(void)close(c.fd);
		drill_free(d);
	}
}

/* A payload in more pieces than a system call takes. */
static void a_payload_of_a_thousand_pieces_is_no_harm(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	static uint8_t bytes[4096];
	struct pkt *p = &d->net->pkt;
	struct iovec *v = calloc(2000, sizeof(*v));

	(void)state;
	conn_open(d, &c, PEER, 80);
	for (size_t n = 1020; n < 1030; n++) {
		uint32_t seq = conn_flow(&c)->rcv_nxt;

		/* As from the link, but for the header: the last one's. */
		conn_send(&c, TCP_ACK, seq, c.ack, NULL, 0);
		for (size_t i = 0; i < n; i++)
			v[i] = (struct iovec){bytes + i, 1};
		p->payload = (struct iov){v, (unsigned)n, n};
		tcp_input(d->net, p);
		tcp_batch_end(d->net);
		assert_int_equal(conn_flow(&c)->rcv_nxt - seq,
		                 n <= TCP_BATCH_IOV ? n : 0);
	}
	free(v);
	(void)close(c.fd);
	drill_free(d);
}

/* Readers that are slow on both sides hold up nobody else. */
static void stalled_flows_do_not_stall_others(void **state)
{
	struct drill *d = drill_new(NULL);
	static struct drill_conn slow[64];
	struct drill_conn good;
	static uint8_t data[60000];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(slow); i++) {
		conn_open(d, &slow[i], PEER, 80);
		slow[i].wnd = 0;
		conn_ack(&slow[i]);
		for (int k = 0; k < 20; k++) {
			ssize_t n = write(slow[i].fd, data, sizeof(data));

			assert_true(n > 0 || errno == EAGAIN);
			if (conn_flow(&slow[i])->rcv_adv - slow[i].seq >=
			    sizeof(data))
				conn_write(&slow[i], data, sizeof(data));
		}
		drill_skip(d);
	}
	for (int i = 0; i < 200; i++) {
		drill_sleep(d, NS_PER_S);
		drill_skip(d);
		if (i == 100)
			conn_open(d, &good, PEER, 80);
		if (i > 100)
			still_works(d, &good);
	}
	assert_true(d->net->tcp->pool.used <= TCP_RING_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(slow); i++)
		(void)close(slow[i].fd);
	(void)close(good.fd);
	drill_free(d);
}

/* Thousands that come and go: the memory is what it was. */
static void short_lives_leave_the_memory_as_it_was(void **state)
{
	struct drill *d = drill_new(NULL);
	struct drill_conn c;
	size_t before = 0;
	char buf[8];

	(void)state;
	d->fast = true;
	for (int i = 0; i < 20000; i++) {
		if (i == 2000)
			before = mallinfo2().uordblks;
		conn_init(d, &c, PEER, 80);
		c.gport = (uint16_t)(2000 + i % 28000);
		conn_shake(&c);
		conn_write(&c, "GET", 3);
		assert_int_equal(host_read(c.fd, buf, 8, NULL), 3);
		if (i % 2) {
			assert_int_equal(write(c.fd, "200", 3), 3);
			(void)close(c.fd);
			drill_got_flags(d, TCP_ACK); /* of GET */
			while (!(drill_got(d)->flags & TCP_FIN))
				;
			c.ack += 4;
			conn_send(&c, TCP_ACK | TCP_FIN, c.seq, c.ack, NULL, 0);
		} else {
			conn_send(&c, TCP_RST, c.seq, 0, NULL, 0);
			(void)close(c.fd);
		}
		assert_int_equal(drill_open_flows(d), 0);
		drill_skip(d);
	}
	assert_true(mallinfo2().uordblks <= before + (64u << 10));
	drill_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flood_of_100000_syns_stays_within_bounds),
		cmocka_unit_test(unanswered_syn_acks_are_given_up),
		cmocka_unit_test(a_scan_of_65535_ports_is_65535_answers),
		cmocka_unit_test(resets_count_only_where_they_fit),
		cmocka_unit_test(fins_outside_of_the_window_close_nothing),
		cmocka_unit_test(
			an_ack_of_what_was_never_sent_is_answered_and_ignored),
		cmocka_unit_test(no_segment_in_any_state_breaks_the_stack),
		cmocka_unit_test(strange_syns_open_nothing),
		cmocka_unit_test(resets_are_never_answered),
		cmocka_unit_test(a_segment_of_no_flow_is_reset_so_that_it_fits),
		cmocka_unit_test(sixteen_bits_do_not_wrap),
		cmocka_unit_test(a_payload_of_a_thousand_pieces_is_no_harm),
		cmocka_unit_test(stalled_flows_do_not_stall_others),
		cmocka_unit_test(short_lives_leave_the_memory_as_it_was),
	};

	log_setup("drill", 2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
