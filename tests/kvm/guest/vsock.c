/*
 * vsock.c - streams to and from the host. There, port 1234 echoes, and 999
 * is nobody's; asked to, it calls our port 7000 and says "hello guest".
 */
#include "virtio.h"

#define RX      0
#define TX      1
#define HEADER  44u
#define BUFFERS 8
#define CREDIT  16384u

enum { REQUEST = 1, RESPONSE, RST, SHUTDOWN, RW, CREDIT_UPDATE };

struct packet {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
	uint8_t data[PAGE - HEADER];
} __attribute__((packed));

static struct virtio *dev;
static struct packet *rx, *tx;

/* The one stream that there is at a time. */
static struct {
	uint32_t ours, theirs;
	uint32_t sent, received, peer_alloc, peer_fwd;
} s;

static void give_back(int i)
{
	const struct part parts = {&rx[i], PAGE, true};

	queue_describe(dev, RX, (uint16_t)i, &parts, 1, 0);
	queue_offer(dev, RX, (uint16_t)i);
	queue_kick(dev, RX);
}

/* The next packet of this stream; its buffer is ours until give_back(). */
static int next(void)
{
	int i = queue_wait(dev, RX, NULL);

	if (i < 0)
		return -1;
	s.peer_alloc = rx[i].buf_alloc;
	s.peer_fwd = rx[i].fwd_cnt;
	return i;
}

static int next_op(void)
{
	int i = next(), op = i < 0 ? -1 : rx[i].op;

	if (i >= 0)
		give_back(i);
	return op;
}

static void send(uint16_t op, const void *data, uint32_t len)
{
	const struct part parts = {tx, HEADER + len, false};

	*tx = (struct packet){.src_cid = read32(dev->base + R_CONFIG),
	                      .dst_cid = 2,
	                      .src_port = s.ours,
	                      .dst_port = s.theirs,
	                      .len = len,
	                      .type = 1,
	                      .op = op,
	                      .flags = op == SHUTDOWN ? 3 : 0,
	                      .buf_alloc = CREDIT,
	                      .fwd_cnt = s.received};
	memcpy(tx->data, data, len);
	s.sent += len;
	if (virtio_request(dev, TX, &parts, 1, 0) != 0)
		fail("packet", "was not taken");
}

static void open(uint32_t ours, uint32_t theirs)
{
	s.ours = ours;
	s.theirs = theirs;
	s.sent = s.received = 0;
}

static void refused(void)
{
	open(5000, 999);
	send(REQUEST, NULL, 0);
	EQUAL("nobody listens", next_op(), RST);
}

static uint8_t pattern(uint32_t i)
{
	return (uint8_t)(i ^ i >> 8);
}

/* Take what is there; counts the bytes that are wrong. */
static uint32_t take(void)
{
	uint32_t bad = 0;
	int i = next();

	if (i < 0)
		return 1;
	if (rx[i].op == RW) {
		for (uint32_t k = 0; k < rx[i].len; k++)
			bad += rx[i].data[k] != pattern(s.received + k);
		s.received += rx[i].len;
	}
	bad += rx[i].op != RW && rx[i].op != CREDIT_UPDATE;
	give_back(i);
	return bad;
}

static void echo(uint32_t total)
{
	static uint8_t data[2048];
	uint32_t bad = 0;

	open(5001, 1234);
	send(REQUEST, NULL, 0);
	EQUAL("echo answers", next_op(), RESPONSE);
	CHECK("with credit", s.peer_alloc >= 2 * sizeof(data));
	while (s.received < total && bad == 0) {
		if (s.sent < total &&
		    s.sent - s.peer_fwd + sizeof(data) <= s.peer_alloc) {
			for (uint32_t k = 0; k < sizeof(data); k++)
				data[k] = pattern(s.sent + k);
			send(RW, data, sizeof(data));
		}
		while (s.received < s.sent && bad == 0)
			bad += take();
	}
	EQUAL("bytes echoed", s.received, total);
	EQUAL("wrong ones", bad, 0);
	send(SHUTDOWN, NULL, 0);
	for (int op = 0; op != RST;) {
		op = next_op();
		if (op < 0) {
			fail("end of a stream", "no RST");
			return;
		}
	}
	ok("end of a stream");
}

static void called(void)
{
	static const char hello[] = "hello guest";
	int i;

	please("call 7000");
	i = next();
	if (i < 0 || rx[i].op != REQUEST) {
		fail("call", "does not come");
		return;
	}
	EQUAL("called at", rx[i].dst_port, 7000);
	open(7000, rx[i].src_port);
	give_back(i);
	send(RESPONSE, NULL, 0);
	i = next();
	CHECK("and told", i >= 0 && rx[i].op == RW &&
	                          rx[i].len == sizeof(hello) - 1 &&
	                          !memcmp(rx[i].data, hello, rx[i].len));
	if (i >= 0)
		give_back(i);
	s.received += sizeof(hello) - 1;
	send(RW, "hello host", 10);
	for (i = 0; i >= 0 && i != SHUTDOWN;)
		i = next_op(); /* a credit update may come first */
	EQUAL("the host hangs up", i, SHUTDOWN);
	send(RST, NULL, 0);
}

void guest_main(void)
{
	dev = virtio_find(VIRTIO_VSOCK, 0);
	lapic_on();
	if (!dev || !virtio_up(dev, F_INDIRECT | F_EVENT_IDX)) {
		fail("vsock", dev ? "does not start" : "not found");
		return;
	}
	say("cid %u", read32(dev->base + R_CONFIG));
	rx = pages(BUFFERS);
	tx = pages(1);
	for (int i = 0; i < BUFFERS; i++)
		give_back(i);
	refused();
	echo(40 * 1024);
	called();
	EQUAL("status in the end", virtio_status(dev), 0xf);
}
