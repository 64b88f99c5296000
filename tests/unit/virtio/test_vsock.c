/* vsock as it should be used: streams both ways, credit, ends. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/num.h"
#include "vsock_guest.h"

static void bytes_flow_both_ways(void **state)
{
	char text[16] = "";
	uint8_t data[RX_ROOM];
	struct vsock_packet p;

	(void)state;
	open_by_guest();
	say_data("to the host");
	assert_int_equal(read(host_end, text, sizeof(text)), 11);
	assert_string_equal(text, "to the host");
	assert_int_equal(write(host_end, "to the guest", 12), 12);
	step();
	assert_true(hear(&p, data));
	assert_int_equal(p.op, OP_RW);
	assert_int_equal(p.len, 12);
	assert_int_equal(p.fwd_cnt, 11);
	assert_memory_equal(data, "to the guest", 12);
}

static void a_port_without_listener_is_refused(void **state)
{
	struct vsock_packet p = packet(OP_REQUEST, 0);

	(void)state;
	p.dst_port = PORT + 1;
	send_tx(&p, 0);
	p = expect(OP_RST);
	assert_int_equal(p.src_port, PORT + 1);
	assert_int_equal(p.dst_port, GUEST);
	accept_error = -ECONNREFUSED;
	say(OP_REQUEST);
	expect(OP_RST);
	assert_int_equal(conns(), 0);
}

static uint64_t asked[4];
static unsigned nasked;

static int on_ask(void *arg, uint64_t id)
{
	(void)arg;
	if (nasked == 4)
		return -ECONNREFUSED;
	asked[nasked++] = id;
	return 0;
}

/* The guest asks for a port whose host's end comes later. */
static void ask_from(uint32_t port)
{
	struct vsock_packet p = packet(OP_REQUEST, 0);

	p.src_port = port;
	p.dst_port = PORT + 7;
	send_tx(&p, 0);
}

static int answered(unsigned i)
{
	int sp[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sp), 0);
	vsock_answer(dev, asked[i], sp[1]);
	return sp[0];
}

static void an_answer_may_come_later(void **state)
{
	struct vsock_packet p;
	uint8_t data[RX_ROOM];
	int mine;

	(void)state;
	nasked = 0;
	assert_int_equal(vsock_listen_later(dev, PORT + 7, 2, on_ask, NULL), 0);
	assert_int_equal(vsock_listen_later(dev, PORT + 7, 2, on_ask, NULL),
	                 -EEXIST);
	ask_from(GUEST);
	assert_int_equal(nasked, 1);
	expect_silence();
	mine = answered(0);
	p = expect(OP_RESPONSE);
	assert_int_equal(p.src_port, PORT + 7);
	assert_int_equal(p.dst_port, GUEST);
	assert_int_equal(write(mine, "late", 4), 4);
	step();
	assert_true(hear(&p, data));
	assert_int_equal(p.op, OP_RW);
	assert_memory_equal(data, "late", 4);
	(void)close(mine);
	(void)close(answered(0)); /* twice: the second is closed */
}

static void a_later_no_is_a_refusal(void **state)
{
	(void)state;
	nasked = 0;
	assert_int_equal(vsock_listen_later(dev, PORT + 7, 2, on_ask, NULL), 0);
	ask_from(GUEST);
	vsock_answer(dev, asked[0], -ENOENT);
	expect(OP_RST);
	assert_int_equal(conns(), 0);
	nasked = 4;
	ask_from(GUEST);
	expect(OP_RST);
	assert_int_equal(conns(), 0);
}

static void who_waits_is_bounded_and_may_leave(void **state)
{
	struct vsock_packet p;
	int fds = fds_open();

	(void)state;
	nasked = 0;
	assert_int_equal(vsock_listen_later(dev, PORT + 7, 2, on_ask, NULL), 0);
	ask_from(1);
	ask_from(2);
	ask_from(3);
	p = expect(OP_RST);
	assert_int_equal(p.dst_port, 3);
	assert_int_equal(nasked, 2);
	p = packet(OP_RST, 0);
	p.src_port = 1;
	p.dst_port = PORT + 7;
	send_tx(&p, 0);
	assert_int_equal(conns(), 1);
	ask_from(3);
	assert_int_equal(nasked, 3);
	(void)close(answered(0)); /* it left */
	expect_silence();
	p = packet(OP_RW, 1); /* before it was let in */
	p.src_port = 2;
	p.dst_port = PORT + 7;
	send_tx(&p, 1);
	expect(OP_RST);
	dev->ops->reset(dev);
	assert_int_equal(conns(), 0);
	(void)close(answered(2));
	assert_int_equal(fds_open(), fds);
}

static void credit_comes_back_when_the_host_reads(void **state)
{
	const struct vsock_packet p = packet(OP_RW, 32 * KIB);
	static char data[1 << 20];
	struct vsock_packet got = {0};
	uint32_t sent = 0, alloc, seen = 0;

	(void)state;
	say(OP_REQUEST);
	got = expect(OP_RESPONSE);
	alloc = got.buf_alloc;
	for (int round = 0; round < 20; round++) {
		ssize_t n;

		while (alloc - (sent - got.fwd_cnt) >= p.len) {
			send_tx(&p, p.len);
			sent += p.len;
			while (hear(&got, NULL))
				assert_int_equal(got.op, OP_CREDIT_UPDATE);
		}
		while ((n = read(host_end, data, sizeof(data))) > 0) {
			seen += (uint32_t)n;
			step();
		}
		while (hear(&got, NULL))
			assert_int_equal(got.op, OP_CREDIT_UPDATE);
		assert_true(got.fwd_cnt > sent - alloc);
	}
	assert_int_equal(seen, sent);
	assert_true(sent > 10 * alloc / 2);
	assert_int_equal(conns(), 1);
}

static void credit_of_the_guest_is_respected(void **state)
{
	struct vsock_packet p = packet(OP_REQUEST, 0);
	static char data[8192];
	uint8_t got[RX_ROOM];

	(void)state;
	p.buf_alloc = 100;
	send_tx(&p, 0);
	expect(OP_RESPONSE);
	assert_int_equal(write(host_end, data, sizeof(data)), sizeof(data));
	step();
	assert_true(hear(&p, got));
	assert_int_equal(p.len, 100);
	expect_silence();
	p = packet(OP_CREDIT_UPDATE, 0);
	p.buf_alloc = 100;
	p.fwd_cnt = 60;
	send_tx(&p, 0);
	assert_true(hear(&p, got));
	assert_int_equal(p.len, 60);
	/* nonsense: more was consumed than was ever sent */
	p = packet(OP_CREDIT_UPDATE, 0);
	p.buf_alloc = 100;
	p.fwd_cnt = 100000;
	send_tx(&p, 0);
	expect_silence();
	assert_int_equal(conns(), 1);
}

static void a_stalled_sender_asks_for_credit(void **state)
{
	struct vsock_packet p = packet(OP_REQUEST, 0);

	(void)state;
	p.buf_alloc = 0;
	send_tx(&p, 0);
	expect(OP_RESPONSE);
	assert_int_equal(write(host_end, "x", 1), 1);
	for (int i = 0; i < 12; i++) {
		loop_step(loop, 100);
		fake_settle(&g);
	}
	expect(OP_CREDIT_REQUEST);
	expect_silence(); /* it asks once */
	p = packet(OP_CREDIT_UPDATE, 0);
	p.buf_alloc = 100;
	send_tx(&p, 0);
	assert_int_equal(expect(OP_RW).len, 1);
}

static void a_credit_request_is_answered(void **state)
{
	(void)state;
	open_by_guest();
	say_data("12345");
	say(OP_CREDIT_REQUEST);
	assert_int_equal(expect(OP_CREDIT_UPDATE).fwd_cnt, 5);
}

static void the_guests_end_of_file_is_the_hosts(void **state)
{
	uint8_t data[RX_ROOM];
	struct vsock_packet p;
	char c;

	(void)state;
	open_by_guest();
	say_data("x");
	say_shutdown(SHUT_F_SEND);
	assert_int_equal(read(host_end, &c, 1), 1);
	assert_true(host_eof());
	/* the other direction still works */
	assert_int_equal(write(host_end, "yes", 3), 3);
	step();
	assert_true(hear(&p, data));
	assert_int_equal(p.len, 3);
	/* ... until it is shut as well: then all is over */
	assert_int_equal(shutdown(host_end, SHUT_WR), 0);
	step();
	p = expect(OP_SHUTDOWN);
	assert_int_equal(p.flags & SHUT_F_SEND, SHUT_F_SEND);
	say_shutdown(SHUT_F_BOTH);
	expect(OP_RST);
	assert_int_equal(conns(), 0);
}

static void the_hosts_end_of_file_is_the_guests(void **state)
{
	struct vsock_packet p;
	char text[8];

	(void)state;
	open_by_guest();
	assert_int_equal(write(host_end, "last", 4), 4);
	assert_int_equal(shutdown(host_end, SHUT_WR), 0);
	step();
	assert_int_equal(expect(OP_RW).len, 4);
	p = expect(OP_SHUTDOWN);
	assert_int_equal(p.flags, SHUT_F_SEND);
	expect_silence();
	say_data("answer");
	assert_int_equal(read(host_end, text, sizeof(text)), 6);
	say_shutdown(SHUT_F_BOTH);
	expect(OP_RST);
	assert_true(host_eof());
}

static void a_host_that_closes_ends_both_directions(void **state)
{
	(void)state;
	open_by_guest();
	assert_int_equal(write(host_end, "bye", 3), 3);
	close(host_end);
	host_end = -1;
	step();
	assert_int_equal(expect(OP_RW).len, 3);
	assert_int_equal(expect(OP_SHUTDOWN).flags, SHUT_F_BOTH);
	say_data("too late"); /* taken and dropped */
	expect_silence();
	assert_int_equal(conns(), 1);
	say(OP_RST);
	assert_int_equal(conns(), 0);
}

static void a_half_closed_host_that_closes_is_noticed(void **state)
{
	(void)state;
	open_by_guest();
	assert_int_equal(shutdown(host_end, SHUT_WR), 0);
	step();
	expect(OP_SHUTDOWN);
	close(host_end);
	host_end = -1;
	step();
	assert_int_equal(expect(OP_SHUTDOWN).flags, SHUT_F_BOTH);
	say(OP_RST);
	assert_int_equal(conns(), 0);
}

static void a_host_that_stops_reading_is_told(void **state)
{
	struct vsock_packet p;

	(void)state;
	open_by_guest();
	assert_int_equal(shutdown(host_end, SHUT_RD), 0);
	say_data("nobody hears this");
	p = expect(OP_SHUTDOWN);
	assert_int_equal(p.flags, SHUT_F_RECV);
	assert_int_equal(write(host_end, "but I talk", 10), 10);
	step();
	assert_int_equal(expect(OP_RW).len, 10);
}

static void a_guest_that_stops_reading_is_not_written_to(void **state)
{
	(void)state;
	open_by_guest();
	say_shutdown(SHUT_F_RECV);
	assert_int_equal(send(host_end, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	say_data("still sends");
	expect_silence();
	close(host_end);
	host_end = -1;
	step();
	assert_int_equal(expect(OP_SHUTDOWN).flags, SHUT_F_BOTH);
}

/* More than the socket holds, then the end. */
static void keep_and_shut(void)
{
	const struct vsock_packet p = packet(OP_RW, 64 * KIB);

	open_by_guest();
	for (int i = 0; i < 6; i++)
		send_tx(&p, p.len);
	say_shutdown(SHUT_F_BOTH);
	assert_int_equal(conns(), 1);
}

static void read_what_was_kept(void)
{
	struct vsock_packet last = {0};
	static char data[1 << 20];
	size_t got = 0;
	ssize_t n;

	while ((n = read(host_end, data, sizeof(data))) != 0) {
		got += n > 0 ? (size_t)n : 0;
		step();
	}
	assert_int_equal(got, 6 * 64 * KIB);
	step();
	assert_int_equal(conns(), 0);
	while (hear(&last, NULL) && last.op != OP_RST)
		assert_int_equal(last.op, OP_CREDIT_UPDATE);
	assert_int_equal(last.op, OP_RST);
}

static void what_is_kept_is_delivered_before_the_end(void **state)
{
	(void)state;
	keep_and_shut();
	read_what_was_kept();
}

static void also_when_the_guest_does_not_wait_for_it(void **state)
{
	(void)state;
	keep_and_shut();
	say(OP_RST);
	assert_int_equal(conns(), 1);
	read_what_was_kept();
}

static void a_reset_in_the_middle_drops_what_is_kept(void **state)
{
	const struct vsock_packet p = packet(OP_RW, 64 * KIB);

	(void)state;
	open_by_guest();
	for (int i = 0; i < 6; i++)
		send_tx(&p, p.len);
	say_shutdown(SHUT_F_SEND);
	say(OP_RST);
	assert_int_equal(conns(), 0);
}

static void the_host_connects_to_the_guest(void **state)
{
	struct vsock_packet p, q;
	uint8_t data[RX_ROOM];

	(void)state;
	assert_int_equal(vsock_connect(dev, 6000, open_pair(&host_end)), 0);
	p = expect(OP_REQUEST);
	assert_int_equal(p.dst_port, 6000);
	assert_int_equal(write(host_end, "early", 5), 5);
	expect_silence(); /* nothing before the answer */
	q = from_guest_port(&p, OP_RESPONSE);
	send_tx(&q, 0);
	assert_true(hear(&p, data));
	assert_int_equal(p.op, OP_RW);
	assert_memory_equal(data, "early", 5);
}

static void a_refused_connect_closes_the_descriptor(void **state)
{
	struct vsock_packet p;

	(void)state;
	assert_int_equal(vsock_connect(dev, 6000, open_pair(&host_end)), 0);
	p = expect(OP_REQUEST);
	p = from_guest_port(&p, OP_RST);
	send_tx(&p, 0);
	assert_true(host_eof());
	assert_int_equal(conns(), 0);
}

static void a_connect_before_activation_waits(void **state)
{
	(void)state;
	dev->active = false;
	assert_int_equal(vsock_connect(dev, 6000, open_pair(&host_end)), 0);
	step();
	dev->active = true;
	dev->ops->reset(dev); /* a reset does not hurt what was never sent */
	assert_int_equal(conns(), 1);
	fake_kick(&g, VSOCK_RX);
	assert_int_equal(expect(OP_REQUEST).dst_port, 6000);
}

static void the_guest_reads_its_address(void **state)
{
	uint8_t data[16];
	struct virtio_dev *d;

	(void)state;
	dev->ops->read_config(dev, 0, data, 16);
	assert_int_equal(get_le64(data), CID);
	assert_int_equal(get_le64(data + 8), 0);
	for (uint64_t cid = 0; cid <= 2; cid++)
		assert_int_equal(vsock_new(loop, cid, &d, NULL), -EINVAL);
	assert_int_equal(vsock_new(loop, UINT32_MAX, &d, NULL), -EINVAL);
}

static struct {
	int ends;
	size_t n;
	uint8_t last[VSOCK_LAST_MAX];
} followed;

static void on_followed_end(void *arg, const uint8_t *last, size_t n)
{
	assert_ptr_equal(arg, &followed);
	followed.ends++;
	followed.n = n;
	memcpy(followed.last, last, n);
}

static const struct vsock_follower follower = {on_followed_end, &followed};

static void a_follower_hears_the_guests_end_and_its_last_bytes(void **state)
{
	(void)state;
	memset(&followed, 0, sizeof(followed));
	open_by_guest();
	assert_int_equal(vsock_follow(dev, host_end, &follower), 0);
	assert_int_equal(vsock_follow(dev, host_end, &follower), 0);
	say_data("the first and then ");
	say_data("the");
	say_data(" last");
	assert_int_equal(followed.ends, 0);
	say_shutdown(SHUT_F_BOTH);
	assert_int_equal(followed.ends, 1);
	assert_int_equal(followed.n, VSOCK_LAST_MAX);
	assert_memory_equal(followed.last, "nd then the last", 16);
}

static void a_follower_hears_the_hosts_end(void **state)
{
	(void)state;
	memset(&followed, 0, sizeof(followed));
	open_by_guest();
	assert_int_equal(vsock_follow(dev, host_end, &follower), 0);
	say_data("few");
	close_fd(&host_end);
	step();
	assert_int_equal(followed.ends, 1);
	assert_int_equal(followed.n, 3);
}

static void a_follower_may_be_forgotten(void **state)
{
	int other;

	(void)state;
	memset(&followed, 0, sizeof(followed));
	open_by_guest();
	assert_int_equal(vsock_follow(dev, host_end, &follower), 0);
	vsock_unfollow(dev, &followed);
	say_shutdown(SHUT_F_BOTH);
	assert_int_equal(followed.ends, 0);
	assert_int_equal(vsock_follow(dev, host_end, &follower), -ENOTCONN);
	(void)close(open_pair(&other)); /* nobody's */
	assert_int_equal(vsock_follow(dev, other, &follower), -ENOTCONN);
	(void)close(other);
	assert_true(vsock_follow(dev, -1, &follower) < 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, vsock_setup, vsock_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(bytes_flow_both_ways),
		T(a_port_without_listener_is_refused),
		T(an_answer_may_come_later),
		T(a_later_no_is_a_refusal),
		T(who_waits_is_bounded_and_may_leave),
		T(credit_comes_back_when_the_host_reads),
		T(credit_of_the_guest_is_respected),
		T(a_stalled_sender_asks_for_credit),
		T(a_credit_request_is_answered),
		T(the_guests_end_of_file_is_the_hosts),
		T(the_hosts_end_of_file_is_the_guests),
		T(a_host_that_closes_ends_both_directions),
		T(a_half_closed_host_that_closes_is_noticed),
		T(a_host_that_stops_reading_is_told),
		T(a_guest_that_stops_reading_is_not_written_to),
		T(what_is_kept_is_delivered_before_the_end),
		T(also_when_the_guest_does_not_wait_for_it),
		T(a_reset_in_the_middle_drops_what_is_kept),
		T(the_host_connects_to_the_guest),
		T(a_refused_connect_closes_the_descriptor),
		T(a_connect_before_activation_waits),
		T(the_guest_reads_its_address),
		T(a_follower_hears_the_guests_end_and_its_last_bytes),
		T(a_follower_hears_the_hosts_end),
		T(a_follower_may_be_forgotten),
	};

	return cmocka_run_group_tests_name("virtio/vsock", tests, NULL, NULL);
}
