#include "vsock_guest.h"

#include "lib/test.h"

#include <dirent.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/num.h"

struct fake_guest g;
struct virtio_dev *dev;
struct loop *loop;
int host_end;
unsigned accepted;
int accept_error;
uint64_t tx_buf;

int on_accept(void *arg)
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

void post_rx(unsigned n, uint32_t room)
{
	while (n--) {
		const struct fake_buf b = {fake_alloc(&g, room), room, true};

		fake_chain(&g, VSOCK_RX, &b, 1);
	}
}

void begin(unsigned rx)
{
	post_rx(rx, RX_ROOM);
	tx_buf = fake_alloc(&g, 128 * KIB);
	fake_kick(&g, VSOCK_RX);
}

int vsock_setup(void **state)
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

int vsock_teardown(void **state)
{
	(void)state;
	fake_release(&g);
	virtio_free(dev);
	loop_free(loop);
	if (host_end >= 0)
		close(host_end);
	return 0;
}

void step(void)
{
	for (int i = 0; i < 8; i++) {
		assert_int_equal(loop_step(loop, 0), 0);
		fake_settle(&g);
	}
}

struct vsock_packet packet(enum vsock_op op, uint32_t len)
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

void put_packet(const struct vsock_packet *p, uint8_t *raw)
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
void queue_tx(const struct vsock_packet *p, uint32_t room)
{
	const struct fake_buf b = {tx_buf, 44 + room, false};

	put_packet(p, fake_at(&g, tx_buf));
	fake_chain(&g, VSOCK_TX, &b, 1);
}

void send_tx(const struct vsock_packet *p, uint32_t room)
{
	uint32_t id, len;

	queue_tx(p, room);
	fake_kick(&g, VSOCK_TX);
	while (fake_used(&g, VSOCK_TX, &id, &len))
		assert_int_equal(len, 0);
	step();
}

void say(enum vsock_op op)
{
	const struct vsock_packet p = packet(op, 0);

	send_tx(&p, 0);
}

void say_shutdown(uint32_t flags)
{
	struct vsock_packet p = packet(OP_SHUTDOWN, 0);

	p.flags = flags;
	send_tx(&p, 0);
}

void say_data(const char *text)
{
	const struct vsock_packet p = packet(OP_RW, (uint32_t)strlen(text));

	memcpy(fake_at(&g, tx_buf + 44), text, strlen(text));
	send_tx(&p, p.len);
}

/* The next packet for the guest; its buffer is posted again. */
bool hear(struct vsock_packet *p, uint8_t *data)
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

struct vsock_packet expect(enum vsock_op op)
{
	struct vsock_packet p = {.op = OP_INVALID};

	assert_true(hear(&p, NULL));
	assert_int_equal(p.op, op);
	assert_true(p.src_cid == VSOCK_HOST_CID && p.dst_cid == CID);
	assert_int_equal(p.type, 1);
	return p;
}

void expect_silence(void)
{
	struct vsock_packet p;

	step();
	assert_false(hear(&p, NULL));
}

void open_by_guest(void)
{
	struct vsock_packet p;

	say(OP_REQUEST);
	p = expect(OP_RESPONSE);
	assert_int_equal(p.src_port, PORT);
	assert_int_equal(p.dst_port, GUEST);
	assert_true(p.buf_alloc >= 64 * KIB);
	expect_silence();
}

int fds_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

unsigned conns(void)
{
	return ((struct vsock *)dev)->nconns;
}

bool host_eof(void)
{
	char c;

	return read(host_end, &c, 1) == 0;
}

int open_pair(int *host)
{
	int sp[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sp), 0);
	*host = sp[0];
	return sp[1];
}

struct vsock_packet from_guest_port(const struct vsock_packet *to,
                                    enum vsock_op op)
{
	struct vsock_packet p = packet(op, 0);

	p.src_port = to->dst_port;
	p.dst_port = to->src_port;
	return p;
}
