/* vsock as a hostile guest, or a careless host, would use it. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/num.h"
#include "vsock_guest.h"

static void forged_addresses_are_dropped(void **state)
{
	struct vsock_packet p = packet(OP_REQUEST, 0);

	(void)state;
	p.src_cid = CID + 1;
	send_tx(&p, 0);
	p = packet(OP_REQUEST, 0);
	p.dst_cid = CID;
	send_tx(&p, 0);
	p = packet(OP_REQUEST, 0);
	p.src_cid = VSOCK_HOST_CID;
	send_tx(&p, 0);
	expect_silence();
	assert_int_equal(accepted, 0);
}

static void packets_without_a_connection_get_rst(void **state)
{
	const enum vsock_op ops[] = {OP_INVALID,       OP_RESPONSE,
	                             OP_SHUTDOWN,      OP_RW,
	                             OP_CREDIT_UPDATE, OP_CREDIT_REQUEST,
	                             (enum vsock_op)8, (enum vsock_op)0xffff};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		say(ops[i]);
		expect(OP_RST);
	}
	say(OP_RST); /* an RST is never answered */
	expect_silence();
}

static void other_socket_types_get_rst_of_their_type(void **state)
{
	struct vsock_packet p = packet(OP_REQUEST, 0);

	(void)state;
	p.type = 2;
	send_tx(&p, 0);
	assert_true(hear(&p, NULL));
	assert_int_equal(p.op, OP_RST);
	assert_int_equal(p.type, 2);
	assert_int_equal(accepted, 0);
}

static void a_second_request_resets_the_connection(void **state)
{
	(void)state;
	open_by_guest();
	say(OP_REQUEST);
	expect(OP_RST);
	assert_true(host_eof());
	assert_int_equal(conns(), 0);
}

static void unknown_ops_reset_the_connection(void **state)
{
	(void)state;
	open_by_guest();
	say((enum vsock_op)200);
	expect(OP_RST);
	assert_int_equal(conns(), 0);
	open_by_guest();
	say(OP_RESPONSE);
	expect(OP_RST);
	assert_int_equal(conns(), 0);
}

static void a_length_past_the_buffer_resets_the_connection(void **state)
{
	struct vsock_packet p = packet(OP_RW, 101);

	(void)state;
	open_by_guest();
	send_tx(&p, 100);
	expect(OP_RST);
	open_by_guest();
	p.len = UINT32_MAX;
	send_tx(&p, 100);
	expect(OP_RST);
	open_by_guest();
	p.len = 64 * KIB + 1;
	send_tx(&p, p.len);
	expect(OP_RST);
	assert_int_equal(conns(), 0);
}

static void bytes_behind_the_length_are_ignored(void **state)
{
	const struct vsock_packet p = packet(OP_RW, 3);
	char text[16];

	(void)state;
	open_by_guest();
	memcpy(fake_at(&g, tx_buf + 44), "abcdef", 6);
	send_tx(&p, 6);
	assert_int_equal(read(host_end, text, sizeof(text)), 3);
}

static void a_packet_without_a_whole_header_stops_the_device(void **state)
{
	const struct fake_buf b = {fake_alloc(&g, 64), 43, false};

	(void)state;
	open_by_guest();
	fake_chain(&g, VSOCK_TX, &b, 1);
	fake_kick(&g, VSOCK_TX);
	assert_int_equal(g.broken, 1);
	assert_true(host_eof());
	assert_int_equal(conns(), 0);
}

static void an_rx_buffer_without_room_stops_the_device(void **state)
{
	(void)state;
	fake_restart(&g, FEATURES);
	tx_buf = fake_alloc(&g, 4096);
	post_rx(1, 44);
	fake_kick(&g, VSOCK_RX);
	say(OP_REQUEST);
	assert_int_equal(g.broken, 1);
	assert_int_equal(conns(), 0);
}

/* The host's application does not read: the guest stops, or is cut off. */
static void credit_overrun_is_reset(void **state)
{
	const struct vsock_packet p = packet(OP_RW, 64 * KIB);
	struct vsock_packet got = {0};
	unsigned sent = 0;

	(void)state;
	open_by_guest();
	while (conns() && sent < 64) {
		send_tx(&p, p.len);
		sent++;
	}
	assert_int_equal(conns(), 0);
	/* what a socket takes, and the credit, but not more */
	assert_true(sent * 64 * KIB <= VSOCK_BUF_LARGE + 512 * KIB);
	while (hear(&got, NULL) && got.op != OP_RST)
		assert_int_equal(got.op, OP_CREDIT_UPDATE);
	assert_int_equal(got.op, OP_RST);
}

static void data_before_the_answer_resets(void **state)
{
	struct vsock_packet p;

	(void)state;
	assert_int_equal(vsock_connect(dev, 6000, open_pair(&host_end)), 0);
	p = expect(OP_REQUEST);
	p = from_guest_port(&p, OP_RW);
	send_tx(&p, 0);
	expect(OP_RST);
	assert_true(host_eof());
}

static void a_guest_that_never_answers_is_timed_out(void **state)
{
	struct vsock *v = (struct vsock *)dev;
	struct conn *c;

	(void)state;
	assert_int_equal(vsock_connect(dev, 6000, open_pair(&host_end)), 0);
	expect(OP_REQUEST);
	c = TAILQ_FIRST(&v->conns);
	assert_true(c->timer.armed);
	/* as if the time was over */
	loop_timer_set(loop, &c->timer, 0, c->timer.cb, c->timer.arg);
	step();
	expect(OP_RST);
	assert_true(host_eof());
	assert_int_equal(conns(), 0);
}

static void wrong_descriptors_are_refused_and_closed(void **state)
{
	int before = fds_open(), p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(vsock_connect(dev, 1, p[0]), -ENOTSOCK);
	close(p[1]);
	assert_int_equal(vsock_connect(dev, 1, socket(AF_UNIX, SOCK_DGRAM, 0)),
	                 -EPROTOTYPE);
	assert_int_equal(fds_open(), before);
}

static void a_reset_closes_all_connections(void **state)
{
	(void)state;
	open_by_guest();
	dev->ops->reset(dev);
	assert_true(host_eof());
	assert_int_equal(conns(), 0);
}

static void no_rx_buffers_stop_the_host_not_the_loop(void **state)
{
	static char data[64 << 10];
	struct vsock_packet p;
	unsigned packets = 0;

	(void)state;
	fake_restart(&g, FEATURES);
	begin(2);
	say(OP_REQUEST);
	expect(OP_RESPONSE);
	assert_true(write(host_end, data, sizeof(data)) > 16384);
	step();
	/* two buffers are full; the loop has nothing to do */
	while (fake_used(&g, VSOCK_RX, &(uint32_t){0}, &(uint32_t){0}))
		packets++;
	assert_int_equal(packets, 2);
	assert_false(((struct vsock *)dev)->conns.tqh_first->src.added);
	post_rx(30, RX_ROOM);
	fake_kick(&g, VSOCK_RX);
	step();
	while (hear(&p, NULL))
		packets++;
	assert_true(packets >= 17);
}

/* QEMU may take the rx ring away for a moment: no event may repeat then. */
static void a_missing_rx_queue_stops_the_host_not_the_loop(void **state)
{
	struct vsock *v = (struct vsock *)dev;

	(void)state;
	open_by_guest();
	vq_stop(&g.vqs[VSOCK_RX]);
	assert_int_equal(write(host_end, "later", 5), 5);
	step();
	assert_false(TAILQ_FIRST(&v->conns)->src.added);
	g.q[VSOCK_RX].at.next = g.q[VSOCK_RX].seen_used;
	assert_int_equal(vq_start(&g.vqs[VSOCK_RX], &g.q[VSOCK_RX].at,
	                          VQ_SIZE_MAX, &g.mem, FEATURES),
	                 0);
	fake_kick(&g, VSOCK_RX);
	assert_int_equal(expect(OP_RW).len, 5);
}

static void many_senders_get_turns(void **state)
{
	static char data[128 << 10];
	unsigned per_port[4] = {0};
	struct vsock_packet p;
	int fd[4];

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		p = packet(OP_REQUEST, 0);
		p.src_port = 100 + i;
		p.buf_alloc = 1 << 20;
		send_tx(&p, 0);
		expect(OP_RESPONSE);
		fd[i] = host_end;
		host_end = -1;
	}
	for (int i = 0; i < 4; i++)
		assert_true(write(fd[i], data, sizeof(data)) > 0);
	step();
	for (int i = 0; i < 40; i++) {
		assert_true(hear(&p, NULL));
		per_port[p.dst_port - 100]++;
	}
	for (int i = 0; i < 4; i++) {
		assert_in_range(per_port[i], 8, 12);
		close(fd[i]);
	}
}

/* 100,000 connections: the table is full, the rest is refused. */
static void a_flood_of_connections_is_capped(void **state)
{
	int first = fds_open(), most = 0, other = -1;
	struct vsock_packet p;
	unsigned refused = 0, opened = 0;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		p = packet(OP_REQUEST, 0);
		p.src_port = i;
		queue_tx(&p, 0);
		fake_kick(&g, VSOCK_TX);
		if (i % 10000 == 0)
			most = MAX(most, fds_open());
		while (hear(&p, NULL)) {
			refused += p.op == OP_RST;
			opened += p.op == OP_RESPONSE;
		}
	}
	assert_int_equal(opened, VSOCK_BY_GUEST_MAX);
	assert_int_equal(refused, 100000 - VSOCK_BY_GUEST_MAX);
	assert_int_equal(conns(), VSOCK_BY_GUEST_MAX);
	assert_true(most - first < VSOCK_BY_GUEST_MAX + 16);
	/* the host can still reach the guest */
	assert_int_equal(vsock_connect(dev, 6000, open_pair(&other)), 0);
	expect(OP_REQUEST);
	close(other);
	dev->ops->reset(dev);
	assert_int_equal(conns(), 0);
	assert_true(fds_open() <= first + 1);
}

/* Answers pile up only so far; then the guest's own sending stops. */
static void answers_without_rx_buffers_are_bounded(void **state)
{
	const struct vsock *v = (struct vsock *)dev;
	unsigned answers = 0;
	struct vsock_packet p = packet(OP_RW, 0);

	(void)state;
	fake_restart(&g, FEATURES);
	tx_buf = fake_alloc(&g, 4096);
	for (unsigned i = 0; i < 2 * VSOCK_REPLIES_MAX / SIZE; i++) {
		for (unsigned n = 0; n < SIZE / 2; n++)
			queue_tx(&p, 0);
		fake_kick(&g, VSOCK_TX);
	}
	for (unsigned n = 0; n < SIZE / 2; n++)
		queue_tx(&p, 0);
	fake_kick(&g, VSOCK_TX);
	assert_int_equal(v->nreplies, VSOCK_REPLIES_MAX);
	assert_true(v->tx_blocked);
	post_rx(SIZE / 2, RX_ROOM);
	fake_kick(&g, VSOCK_RX);
	while (hear(&p, NULL))
		answers++;
	assert_int_equal(answers, VSOCK_REPLIES_MAX + SIZE / 2);
	assert_false(v->tx_blocked);
	assert_int_equal(g.broken, 0);
}

static void reset_storms_leave_nothing(void **state)
{
	int before = fds_open();

	(void)state;
	for (int i = 0; i < 2000; i++) {
		open_by_guest();
		say(OP_RST);
		assert_int_equal(conns(), 0);
	}
	assert_true(fds_open() <= before + 1);
}

static void listeners_are_unique_and_bounded(void **state)
{
	(void)state;
	assert_int_equal(vsock_listen(dev, PORT, on_accept, NULL), -EEXIST);
	for (uint32_t i = 1; i < VSOCK_LISTENERS_MAX; i++)
		assert_int_equal(vsock_listen(dev, i, on_accept, NULL), 0);
	assert_int_equal(vsock_listen(dev, 5000, on_accept, NULL), -ENOSPC);
}

#define T(f) cmocka_unit_test_setup_teardown(f, vsock_setup, vsock_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(forged_addresses_are_dropped),
		T(packets_without_a_connection_get_rst),
		T(other_socket_types_get_rst_of_their_type),
		T(a_second_request_resets_the_connection),
		T(unknown_ops_reset_the_connection),
		T(a_length_past_the_buffer_resets_the_connection),
		T(bytes_behind_the_length_are_ignored),
		T(a_packet_without_a_whole_header_stops_the_device),
		T(an_rx_buffer_without_room_stops_the_device),
		T(credit_overrun_is_reset),
		T(data_before_the_answer_resets),
		T(a_guest_that_never_answers_is_timed_out),
		T(wrong_descriptors_are_refused_and_closed),
		T(a_reset_closes_all_connections),
		T(no_rx_buffers_stop_the_host_not_the_loop),
		T(a_missing_rx_queue_stops_the_host_not_the_loop),
		T(many_senders_get_turns),
		T(a_flood_of_connections_is_capped),
		T(answers_without_rx_buffers_are_bounded),
		T(reset_storms_leave_nothing),
		T(listeners_are_unique_and_bounded),
	};

	return cmocka_run_group_tests_name("virtio/vsock_abuse", tests, NULL,
	                                   NULL);
}
