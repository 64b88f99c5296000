#include "lib/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/num.h"
#include "lib/fake_guest.h"
#include "virtio/vsock_int.h"

#define SIZE     64
#define CID      3
#define RX_ROOM  4096u
#define FEATURES (F_VERSION_1 | F_INDIRECT | F_EVENT_IDX)
#define PORT     1000u /* the host's listener */
#define GUEST    77u   /* the guest's port */

static struct fake_guest g;
static struct virtio_dev *dev;
static struct loop *loop;
static int host_end; /* our end of the last accepted connection */
static unsigned accepted;
static int accept_error;
static uint64_t tx_buf;

static int on_accept(void *arg)
{
	int sp[2];

	(void)arg;
	if (accept_error)
		return accept_error;
	assert_int_equal(socketpair(AF_UNIX,
	                            SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	                            0, sp),
	                 0);
	if (host_end >= 0)
		close(host_end);
	host_end = sp[0];
	accepted++;
	return sp[1];
}

static void post_rx(unsigned n, uint32_t room)
{
	while (n--) {
		const struct fake_buf b = {fake_alloc(&g, room), room, true};

		fake_chain(&g, VSOCK_RX, &b, 1);
	}
}

static void begin(unsigned rx)
{
	post_rx(rx, RX_ROOM);
	tx_buf = fake_alloc(&g, 128 * KIB);
	fake_kick(&g, VSOCK_RX);
}

static int setup(void **state)
{
	(void)state;
	loop = loop_new();
	assert_non_null(loop);
	assert_int_equal(vsock_new(loop, CID, &dev, NULL), 0);
	assert_int_equal(vsock_listen(dev, PORT, on_accept, NULL), 0);
	host_end = -1;
	accepted = 0;
	accept_error = 0;
	fake_init(&g, dev, FEATURES, SIZE);
	begin(SIZE / 2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_release(&g);
	virtio_free(dev);
	loop_free(loop);
	if (host_end >= 0)
		close(host_end);
	return 0;
}

static void step(void)
{
	for (int i = 0; i < 8; i++) {
		assert_int_equal(loop_step(loop, 0), 0);
		fake_settle(&g);
	}
}

static struct vsock_packet packet(enum vsock_op op, uint32_t len)
{
	return (struct vsock_packet){.src_cid = CID,
	                             .dst_cid = VSOCK_HOST_CID,
	                             .src_port = GUEST,
	                             .dst_port = PORT,
	                             .len = len,
	                             .type = 1,
	                             .op = op,
	                             .buf_alloc = 64 * KIB};
}

static void put_packet(const struct vsock_packet *p, uint8_t *raw)
{
	put_le64(raw, p->src_cid);
	put_le64(raw + 8, p->dst_cid);
	put_le32(raw + 16, p->src_port);
	put_le32(raw + 20, p->dst_port);
	put_le32(raw + 24, p->len);
	put_le16(raw + 28, p->type);
	put_le16(raw + 30, p->op);
	put_le32(raw + 32, p->flags);
	put_le32(raw + 36, p->buf_alloc);
	put_le32(raw + 40, p->fwd_cnt);
}

/* Queue one packet, with @room bytes behind the header, without a kick. */
static void queue_tx(const struct vsock_packet *p, uint32_t room)
{
	const struct fake_buf b = {tx_buf, 44 + room, false};

	put_packet(p, fake_at(&g, tx_buf));
	fake_chain(&g, VSOCK_TX, &b, 1);
}

static void send_tx(const struct vsock_packet *p, uint32_t room)
{
	uint32_t id, len;

	queue_tx(p, room);
	fake_kick(&g, VSOCK_TX);
	while (fake_used(&g, VSOCK_TX, &id, &len))
		assert_int_equal(len, 0);
	step();
}

static void say(enum vsock_op op)
{
	const struct vsock_packet p = packet(op, 0);

	send_tx(&p, 0);
}

static void say_shutdown(uint32_t flags)
{
	struct vsock_packet p = packet(OP_SHUTDOWN, 0);

	p.flags = flags;
	send_tx(&p, 0);
}

static void say_data(const char *text)
{
	const struct vsock_packet p = packet(OP_RW, (uint32_t)strlen(text));

	memcpy(fake_at(&g, tx_buf + 44), text, strlen(text));
	send_tx(&p, p.len);
}

/* The next packet for the guest; its buffer is posted again. */
static bool hear(struct vsock_packet *p, uint8_t *data)
{
	uint32_t id, len;
	const uint8_t *d, *raw;
	uint64_t at;

	if (!fake_used(&g, VSOCK_RX, &id, &len))
		return false;
	d = fake_at(&g, g.q[VSOCK_RX].at.desc + 16ULL * id);
	at = get_le64(d);
	raw = fake_at(&g, at);
	*p = (struct vsock_packet){get_le64(raw),      get_le64(raw + 8),
	                           get_le32(raw + 16), get_le32(raw + 20),
	                           get_le32(raw + 24), get_le16(raw + 28),
	                           get_le16(raw + 30), get_le32(raw + 32),
	                           get_le32(raw + 36), get_le32(raw + 40)};
	assert_int_equal(len, 44 + p->len);
	if (data)
		memcpy(data, raw + 44, p->len);
	fake_avail(&g, VSOCK_RX, (uint16_t)id);
	fake_kick(&g, VSOCK_RX);
	return true;
}

static struct vsock_packet expect(enum vsock_op op)
{
	struct vsock_packet p = {.op = OP_INVALID};

	assert_true(hear(&p, NULL));
	assert_int_equal(p.op, op);
	assert_true(p.src_cid == VSOCK_HOST_CID && p.dst_cid == CID);
	assert_int_equal(p.type, 1);
	return p;
}

static void expect_silence(void)
{
	struct vsock_packet p;

	step();
	assert_false(hear(&p, NULL));
}

static void open_by_guest(void)
{
	struct vsock_packet p;

	say(OP_REQUEST);
	p = expect(OP_RESPONSE);
	assert_int_equal(p.src_port, PORT);
	assert_int_equal(p.dst_port, GUEST);
	assert_true(p.buf_alloc >= 64 * KIB);
	expect_silence();
}

static int fds_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static unsigned conns(void)
{
	return ((struct vsock *)dev)->nconns;
}

static bool host_eof(void)
{
	char c;

	return read(host_end, &c, 1) == 0;
}

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

static void what_is_kept_is_delivered_before_the_end(void **state)
{
	const struct vsock_packet p = packet(OP_RW, 64 * KIB);
	struct vsock_packet last = {0};
	static char data[1 << 20];
	size_t got = 0;
	ssize_t n;

	(void)state;
	open_by_guest();
	for (int i = 0; i < 6; i++)
		send_tx(&p, p.len); /* 384 KiB: more than the socket holds */
	say_shutdown(SHUT_F_BOTH);
	assert_int_equal(conns(), 1);
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

static int open_pair(int *host)
{
	int sp[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sp), 0);
	*host = sp[0];
	return sp[1];
}

static struct vsock_packet from_guest_port(const struct vsock_packet *to,
                                           enum vsock_op op)
{
	struct vsock_packet p = packet(op, 0);

	p.src_port = to->dst_port;
	p.dst_port = to->src_port;
	return p;
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
	int first = fds_open(), most = 0;
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
	assert_int_equal(opened, VSOCK_CONNS_MAX);
	assert_int_equal(refused, 100000 - VSOCK_CONNS_MAX);
	assert_int_equal(conns(), VSOCK_CONNS_MAX);
	assert_true(most - first < VSOCK_CONNS_MAX + 16);
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

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(bytes_flow_both_ways),
		T(a_port_without_listener_is_refused),
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
		T(the_host_connects_to_the_guest),
		T(a_refused_connect_closes_the_descriptor),
		T(data_before_the_answer_resets),
		T(a_connect_before_activation_waits),
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
		T(the_guest_reads_its_address),
	};

	return cmocka_run_group_tests_name("virtio/vsock", tests, NULL, NULL);
}
