/*
 * Theory
 *
 * Bytes go straight between guest memory and the socket: nothing is kept here,
 * so a flood of output costs no memory, and a reader that does not read stops
 * the guest's writer, not us.
 *
 *	queue 0  rx   empty buffers, filled from the socket
 *	queue 1  tx   full buffers, sent to the socket
 *
 * A request that cannot be finished now stays at the head of its queue. What
 * it waits for is the socket, so this alone decides which events the loop
 * watches:
 *
 *	a rx buffer is there and the socket was empty   EPOLLIN
 *	a tx request is there and is not sent in full   EPOLLOUT
 *	neither                                         only errors
 *
 * Without a waiting request an event is not watched, as epoll would report it
 * without end. A tx request that was sent in part is taken off the ring again
 * later, and the guest may have rewritten it by then: `sent` is a number of
 * bytes to skip, if there are so many, and no pointer.
 *
 * A turn sends at most TX_PART bytes of one request, even if the socket would
 * take more: who reads fast must not keep the loop from its other work.
 */
#include "virtio/console.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/num.h"
#include "virtio/queue.h"

#include "base/banned.h"

#define CONSOLE_F_EMERG_WRITE 2

#define RX 0
#define TX 1

/* Linux fills the whole rx queue with pages of its memory. */
#define QUEUE_MAX 64

/* Bytes moved by one request at most; larger ones take several turns. */
#define RX_PART (64 * KIB)
#define TX_PART (64 * KIB)

/* As virtio lays it out; sizes in characters are not offered. */
struct console_space {
	uint8_t cols[2], rows[2];
	uint8_t max_nr_ports[4];
	uint8_t emerg_wr[4];
};
_Static_assert(sizeof(struct console_space) == 12, "virtio_console_config");

struct console {
	struct virtio_dev dev;
	struct loop *loop;
	int fd;
	struct loop_fd watch;
	size_t sent;  /* of the tx request at the head */
	bool rx_wait; /* a request waits for EPOLLIN */
	bool tx_wait; /* ... for EPOLLOUT */
	bool ended;   /* no more input will come */
	bool gone;    /* nobody reads the output any more */
};

/* Watch exactly what a request waits for. */
static void update_watch(struct console *c)
{
	uint32_t events = (c->rx_wait && !c->ended ? EPOLLIN : 0u) |
	                  (c->tx_wait ? EPOLLOUT : 0u);

	if (c->watch.added)
		(void)loop_mod(c->loop, &c->watch, events);
}

static void peer_gone(struct console *c)
{
	if (!c->gone)
		log_debug("console: nobody reads the output any more");
	c->gone = true;
}

/* How many of the bytes are done with: 0 when the socket is full. */
static size_t send_some(struct console *c, const struct iov *s)
{
	struct msghdr msg = {.msg_iov = s->v, .msg_iovlen = s->n};
	ssize_t n;

	if (!s->len || c->gone)
		return s->len;
	do {
		n = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return (size_t)n;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return 0;
	peer_gone(c);
	return s->len;
}

static int tx_one(struct virtio_dev *d, struct vq_chain *ch, uint32_t *ret_len)
{
	struct console *c = (struct console *)d;
	struct iov *s = &ch->out;
	size_t all = s->len;

	*ret_len = 0;
	c->sent = MIN(c->sent, all);
	iov_skip(s, c->sent);
	iov_keep(s, MIN(s->len, TX_PART));
	c->sent += send_some(c, s);
	c->tx_wait = c->sent < all && !c->gone;
	if (c->tx_wait)
		return -EAGAIN;
	c->sent = 0;
	return 0;
}

static int rx_one(struct virtio_dev *d, struct vq_chain *ch, uint32_t *ret_len)
{
	struct console *c = (struct console *)d;
	struct iov *s = &ch->in;
	struct msghdr msg = {.msg_iov = s->v};
	ssize_t n;

	if (!s->len)
		return 0; /* nothing fits: back to the guest as it is */
	iov_keep(s, MIN(s->len, RX_PART));
	msg.msg_iovlen = s->n;
	do {
		n = c->ended ? 0 : recvmsg(c->fd, &msg, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		*ret_len = (uint32_t)n;
		return 0;
	}
	c->rx_wait = true;
	c->ended = n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
	return -EAGAIN;
}

static void serve(struct console *c, uint16_t q)
{
	if (q == RX) {
		c->rx_wait = false;
		virtio_serve(&c->dev, RX, rx_one);
	} else if (q == TX) {
		c->tx_wait = false;
		virtio_serve(&c->dev, TX, tx_one);
	}
	update_watch(c);
}

/*
 * Hang-ups and errors are reported again and again, watched or not: after the
 * first one there is nothing left to watch. Input that the other end sent
 * before it left is still read when the guest has room.
 */
static void on_event(void *arg, uint32_t events)
{
	struct console *c = arg;

	if (events & (EPOLLHUP | EPOLLERR)) {
		loop_del(c->loop, &c->watch);
		peer_gone(c);
	}
	if (!c->dev.active || c->dev.broken)
		return;
	if (c->rx_wait && (events & ~(uint32_t)EPOLLOUT))
		serve(c, RX);
	if (c->tx_wait && (events & ~(uint32_t)EPOLLIN))
		serve(c, TX);
}

static void console_read_config(struct virtio_dev *d, uint32_t off, void *data,
                                uint32_t len)
{
	const struct console_space space = {.max_nr_ports = {1}};

	(void)d;
	virtio_config_copy(&space, sizeof(space), off, data, len);
}

/*
 * An emergency byte, which a guest may write before it set up any queue. It
 * has no way to wait: a full socket drops it.
 */
static void console_write_config(struct virtio_dev *d, uint32_t off,
                                 const void *data, uint32_t len)
{
	struct console *c = (struct console *)d;
	uint8_t byte = len ? *(const uint8_t *)data : 0;
	struct iovec v = {&byte, 1};
	const struct iov s = {&v, 1, 1};

	if (off != offsetof(struct console_space, emerg_wr) || len != 4)
		return;
	(void)send_some(c, &s);
}

static int console_activate(struct virtio_dev *d)
{
	(void)d; /* the queues' first notifications start everything */
	return 0;
}

static void console_notify(struct virtio_dev *d, uint16_t q)
{
	serve((struct console *)d, q);
}

static void console_reset(struct virtio_dev *d)
{
	struct console *c = (struct console *)d;

	c->sent = 0;
	c->rx_wait = c->tx_wait = false;
	update_watch(c);
}

static void console_free(struct virtio_dev *d)
{
	struct console *c = (struct console *)d;

	loop_del(c->loop, &c->watch);
	free(c);
}

static const struct virtio_dev_ops console_ops = {
	.name = "console",
	.id = VIRTIO_ID_CONSOLE,
	.nqueues = 2,
	.queue_max = QUEUE_MAX,
	.config_len = sizeof(struct console_space),
	.read_config = console_read_config,
	.write_config = console_write_config,
	.activate = console_activate,
	.notify = console_notify,
	.reset = console_reset,
	.free = console_free,
};

static int check_socket(int fd, struct err *err)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return err_set(err, -errno, "the console's end is no socket");
	if (type != SOCK_STREAM)
		return err_set(err, -EPROTOTYPE,
		               "the console's end is no stream socket");
	return 0;
}

int virtio_console_new(struct loop *l, int fd, struct virtio_dev **ret,
                       struct err *err)
{
	cleanup_free struct console *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(err, -ENOMEM, "no memory for the console");
	r = check_socket(fd, err);
	if (r < 0)
		return r;
	c->loop = l;
	c->fd = fd;
	c->dev.ops = &console_ops;
	c->dev.offered =
		1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_INDIRECT_DESC |
		1ULL << VIRTIO_F_EVENT_IDX | 1ULL << CONSOLE_F_EMERG_WRITE;
	r = loop_add(l, &c->watch, fd, 0, on_event, c);
	if (r < 0)
		return err_set(err, r, "cannot watch the console's socket");
	*ret = &take_ptr(c)->dev;
	return 0;
}
