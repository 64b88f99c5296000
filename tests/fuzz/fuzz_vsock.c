/*
 * A life of a vsock device: the input is a list of steps. A step is a packet
 * of the guest (with few different ports, so that they meet connections), or
 * something that the host's applications do, or rx buffers that are posted.
 */
#include "fuzz_guest.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/log.h"
#include "virtio/vsock_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define HOST_ENDS 8
#define TX_BUF    0x4000u
#define RX_BUF    0x8000u
#define RX_ROOM   0x300u

static struct fuzz_guest g;
static struct virtio_dev *dev;
static struct loop *loop;
static int end[HOST_ENDS];
static unsigned next_end;
static uint16_t tx_idx, rx_idx;

static int pair(void)
{
	int sp[2], *mine = &end[next_end++ % HOST_ENDS];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sp) < 0)
		abort();
	if (*mine >= 0)
		close(*mine);
	*mine = sp[0];
	return sp[1];
}

static int on_accept(void *arg)
{
	(void)arg;
	return pair();
}

/* Make one buffer available, in the next slot of queue @q. */
static void post(unsigned q, uint16_t *idx, uint64_t addr, uint32_t len,
                 bool write)
{
	uint8_t *ring = g.part[0] + q * 0x400u;
	uint16_t slot = *idx % FUZZ_SIZE;
	uint8_t *d = ring + 16u * slot;

	put_le64(d, addr);
	put_le32(d + 8, len);
	put_le16(d + 12, write ? 2 : 0);
	put_le16(ring + 0x100 + 4 + 2u * slot, slot);
	put_le16(ring + 0x100 + 2, ++*idx);
}

static void guest_packet(struct cursor *c)
{
	uint8_t *p = g.part[0] + TX_BUF;
	uint8_t ports = cur_u8(c), op = cur_u8(c), odd = cur_u8(c);
	uint16_t len = cur_le16(c), credit = cur_le16(c), fwd = cur_le16(c);

	memset(p, 0x41, 0x2000);
	put_le64(p, odd & 1 ? 4 : 3);
	put_le64(p + 8, odd & 2 ? 3 : 2);
	put_le32(p + 16, ports & 7);
	put_le32(p + 20, ports & 0x80 ? (1u << 30) + (ports >> 3 & 7)
	                              : 1000u + (ports >> 3 & 1));
	put_le32(p + 24, odd & 4 ? len * 0x10001u : len & 0xfffu);
	put_le16(p + 28, odd & 8 ? odd : 1);
	put_le16(p + 30, odd & 16 ? op : op & 7);
	put_le32(p + 32, odd >> 5);
	put_le32(p + 36, credit);
	put_le32(p + 40, fwd);
	post(VSOCK_TX, &tx_idx, TX_BUF, odd & 0x80 ? 44 + len / 8 : 0x1fff,
	     false);
	fuzz_kick(&g, dev, VSOCK_TX);
}

static void host_writes(struct cursor *c)
{
	static const char text[4096];
	int fd = end[cur_u8(c) % HOST_ENDS];

	if (fd >= 0 && send(fd, text, cur_u8(c) * 16u, MSG_NOSIGNAL) < 0)
		return;
}

static void host_reads(struct cursor *c)
{
	static char text[65536];
	int fd = end[cur_u8(c) % HOST_ENDS];

	if (fd >= 0 && recv(fd, text, sizeof(text), 0) < 0)
		return;
}

static void host_shuts(struct cursor *c)
{
	uint8_t how = cur_u8(c);
	int *fd = &end[how % HOST_ENDS];

	if (*fd < 0)
		return;
	if (how >> 3 & 1) {
		close(*fd);
		*fd = -1;
	} else {
		(void)shutdown(*fd, how >> 4 & 1 ? SHUT_WR : SHUT_RD);
	}
}

static uint64_t asked;

static int on_ask(void *arg, uint64_t id)
{
	(void)arg;
	asked = id;
	return id % 5 ? 0 : -ECONNREFUSED;
}

/* Or answers: the last that asked, or one of before, or nobody. */
static void host_connects(struct cursor *c)
{
	uint8_t b = cur_u8(c);

	if (!(b & 0x80))
		(void)vsock_connect(dev, b & 7, pair());
	else
		vsock_answer(dev, asked - (b >> 1 & 3),
		             b & 1 ? pair() : -ECONNREFUSED);
}

static void rx_buffers(struct cursor *c)
{
	for (unsigned n = cur_u8(c) % FUZZ_SIZE; n; n--)
		post(VSOCK_RX, &rx_idx, RX_BUF + rx_idx % FUZZ_SIZE * RX_ROOM,
		     RX_ROOM, true);
	fuzz_kick(&g, dev, VSOCK_RX);
}

static void timers_run_out(struct cursor *c)
{
	struct vsock *v = (struct vsock *)dev;
	struct conn *n = TAILQ_FIRST(&v->conns);

	(void)c;
	if (n && n->timer.armed)
		loop_timer_set(loop, &n->timer, 0, n->timer.cb, n->timer.arg);
}

static void reset(struct cursor *c)
{
	(void)c;
	dev->ops->reset(dev);
}

static void (*const steps[])(struct cursor *c) = {
	guest_packet,  rx_buffers,   host_writes,    host_reads, host_shuts,
	host_connects, guest_packet, timers_run_out, reset,
};

static void check(void)
{
	const struct vsock *v = (struct vsock *)dev;
	unsigned n = 0;
	const struct conn *c;

	TAILQ_FOREACH(c, &v->conns, all)
	{
		n++;
		if (c->ring_len > c->alloc ||
		    (c->fd < 0) != (c->state > CONN_OPEN ||
		                    c->state == CONN_WAITING) ||
		    (c->ctl != 0) != c->in_ctl)
			abort();
	}
	if (n != v->nconns || v->nreplies > VSOCK_REPLIES_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor c = cur_init(data, len);

	log_setup("fuzz", 2, LOG_NONE);
	loop = loop_new();
	if (!loop || vsock_new(loop, 3, &dev, NULL) < 0 ||
	    vsock_listen(dev, 1000, on_accept, NULL) < 0 ||
	    vsock_listen_later(dev, 1001, 3, on_ask, NULL) < 0)
		abort();
	memset(end, -1, sizeof(end));
	next_end = tx_idx = rx_idx = 0;
	asked = 0;
	fuzz_ram(&g, NULL, 0);
	fuzz_start(&g, dev);
	for (int i = 0; i < 200 && cur_left(&c); i++) {
		steps[cur_u8(&c) % ARRAY_SIZE(steps)](&c);
		if (loop_step(loop, 0) < 0)
			abort();
		fuzz_kick(&g, dev, VSOCK_RX);
		check();
	}
	fuzz_stop(&g, dev);
	virtio_free(dev);
	loop_free(loop);
	for (int i = 0; i < HOST_ENDS; i++)
		if (end[i] >= 0)
			close(end[i]);
	return 0;
}
