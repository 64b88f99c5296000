#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "virtio/vsock_int.h"

#include "base/banned.h"

static struct conn_bucket *bucket_of(struct vsock *v, uint32_t guest_port,
                                     uint32_t host_port)
{
	uint32_t h = (guest_port ^ host_port * 0x85ebca6bu) * 0x9e3779b1u;

	return &v->bucket[h >> 24 & (VSOCK_BUCKETS - 1)];
}

struct conn *conn_find(struct vsock *v, uint32_t guest_port, uint32_t host_port)
{
	struct conn *c;

	for (c = LIST_FIRST(bucket_of(v, guest_port, host_port)); c;
	     c = LIST_NEXT(c, by_port))
		if (c->guest_port == guest_port && c->host_port == host_port)
			return c;
	return NULL;
}

bool conn_room(const struct vsock *v, bool by_guest)
{
	return v->nconns < VSOCK_CONNS_MAX &&
	       (!by_guest || v->nby_guest < VSOCK_BY_GUEST_MAX);
}

int conn_new(struct vsock *v, uint32_t guest_port, uint32_t host_port, int fd,
             enum conn_state state, struct conn **ret)
{
	const bool by_guest = state == CONN_OPEN || state == CONN_WAITING;
	cleanup_close int own = fd;
	struct conn *c;

	if (!conn_room(v, by_guest))
		return -EMFILE;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->v = v;
	c->guest_port = guest_port;
	c->host_port = host_port;
	c->fd = take_fd(own);
	c->state = state;
	c->by_guest = by_guest;
	c->alloc =
		v->nconns < VSOCK_LARGE_MAX ? VSOCK_BUF_LARGE : VSOCK_BUF_SMALL;
	LIST_INSERT_HEAD(bucket_of(v, guest_port, host_port), c, by_port);
	TAILQ_INSERT_TAIL(&v->conns, c, all);
	v->nconns++;
	v->nby_guest += by_guest;
	*ret = c;
	return 0;
}

static void leave_data(struct conn *c)
{
	if (c->in_data)
		TAILQ_REMOVE(&c->v->data, c, data_link);
	c->in_data = false;
}

static void tell_follower(struct conn *c)
{
	const struct vsock_follower f = c->follower;

	c->follower.ended = NULL;
	if (f.ended)
		f.ended(f.arg, c->last, c->nlast);
}

/* The host's application sees end-of-file, or a reset. */
static void close_host(struct conn *c)
{
	tell_follower(c);
	leave_data(c);
	loop_del(c->v->l, &c->src);
	loop_timer_del(c->v->l, &c->timer);
	close_fd(&c->fd);
	free(c->ring);
	c->ring = NULL;
	c->ring_len = 0;
}

void conn_free(struct conn *c)
{
	close_host(c);
	if (c->in_ctl)
		TAILQ_REMOVE(&c->v->ctl, c, ctl_link);
	LIST_REMOVE(c, by_port);
	TAILQ_REMOVE(&c->v->conns, c, all);
	c->v->nconns--;
	c->v->nby_guest -= c->by_guest;
	if (c->listener)
		c->listener->n--;
	free(c);
}

void conn_queue(struct conn *c, enum vsock_op op)
{
	c->ctl |= (uint8_t)(1u << op);
	if (c->in_ctl)
		return;
	TAILQ_INSERT_TAIL(&c->v->ctl, c, ctl_link);
	c->in_ctl = true;
}

void conn_reset(struct conn *c)
{
	close_host(c);
	c->state = CONN_RESETTING;
	c->ctl = 0;
	conn_queue(c, OP_RST);
}

static void on_timeout(void *arg)
{
	struct conn *c = arg;
	struct vsock *v = c->v;

	if (c->state == CONN_OPEN) {
		c->asked_credit = true;
		conn_queue(c, OP_CREDIT_REQUEST);
	} else {
		log_debug("vsock: port %u: no answer", c->guest_port);
		conn_reset(c);
	}
	vsock_run_rx(v);
}

static void set_timer(struct conn *c, uint64_t ns)
{
	loop_timer_set(c->v->l, &c->timer, clock_now_ns() + ns, on_timeout, c);
}

void conn_await(struct conn *c)
{
	set_timer(c, VSOCK_CONNECT_NS);
}

void conn_accept(struct conn *c, int fd)
{
	loop_timer_del(c->v->l, &c->timer);
	c->fd = fd;
	c->state = CONN_OPEN;
	conn_queue(c, OP_RESPONSE);
	conn_watch(c);
}

/* ---- host to guest ----------------------------------------------------- */

static uint32_t peer_credit(const struct conn *c)
{
	uint32_t on_the_way = c->tx_cnt - c->peer_fwd;

	return on_the_way < c->peer_alloc ? c->peer_alloc - on_the_way : 0;
}

static bool may_read(const struct conn *c)
{
	return c->state == CONN_OPEN && !(c->host_shut & SHUT_F_SEND) &&
	       !(c->guest_shut & SHUT_F_RECV);
}

static void on_host(void *arg, uint32_t events);

/* The guest should say when it read; ask once if it is long silent. */
static void expect_credit(struct conn *c)
{
	if (!c->asked_credit && !c->timer.armed)
		set_timer(c, VSOCK_CREDIT_NS);
}

/*
 * An error or a hang-up is reported whether asked for or not: so a descriptor
 * that we can do nothing with is not watched at all, except one whose reading
 * end is done: there the hang-up is what we wait for.
 */
void conn_watch(struct conn *c)
{
	uint32_t want = 0;

	if (c->fd < 0 || c->state != CONN_OPEN)
		return;
	if (may_read(c) && !peer_credit(c))
		expect_credit(c);
	else if (may_read(c) && !c->in_data)
		want |= EPOLLIN;
	if (c->ring_len)
		want |= EPOLLOUT;
	if (!want && may_read(c))
		loop_del(c->v->l, &c->src);
	else if (c->src.added)
		(void)loop_mod(c->v->l, &c->src, want);
	else if (loop_add(c->v->l, &c->src, c->fd, want, on_host, c) < 0)
		conn_reset(c);
}

/* We say what is shut on the host's side; the guest learns all of it. */
static void host_shuts(struct conn *c, uint8_t flags)
{
	if ((c->host_shut & flags) == flags)
		return;
	c->host_shut |= flags;
	conn_queue(c, OP_SHUTDOWN);
}

/* The other end of the descriptor is closed, and all it sent was read. */
static void host_gone(struct conn *c)
{
	close_host(c);
	c->state = CONN_CLOSING;
	c->ctl &= (uint8_t)(1u << OP_RESPONSE);
	c->host_shut = 0;
	host_shuts(c, SHUT_F_BOTH);
	set_timer(c, VSOCK_CLOSE_NS);
}

static bool hung_up(int fd)
{
	struct pollfd p = {.fd = fd};

	return poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLERR);
}

static void host_eof(struct conn *c)
{
	leave_data(c);
	if (hung_up(c->fd)) {
		host_gone(c);
		return;
	}
	host_shuts(c, SHUT_F_SEND);
	conn_watch(c);
}

size_t conn_fill(struct conn *c, struct iov *room, bool *ret_more)
{
	size_t len = MIN(MIN(room->len, VSOCK_PACKET_MAX), peer_credit(c));
	struct msghdr msg = {.msg_iov = room->v};
	ssize_t n;

	*ret_more = false;
	if (!len || !may_read(c)) {
		leave_data(c);
		conn_watch(c);
		return 0;
	}
	iov_keep(room, len);
	msg.msg_iovlen = room->n;
	do {
		n = recvmsg(c->fd, &msg, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		c->tx_cnt += (uint32_t)n;
		*ret_more = (size_t)n == len;
		return (size_t)n;
	}
	if (n < 0 && errno == EAGAIN) {
		leave_data(c);
		conn_watch(c);
	} else {
		host_eof(c);
	}
	return 0;
}

/* ---- guest to host ----------------------------------------------------- */

/* Bytes left us: tell the guest before it runs short of credit. */
static void consumed(struct conn *c, uint32_t len)
{
	c->fwd += len;
	if (c->guest_shut & SHUT_F_SEND)
		return; /* it sends no more */
	if (c->state == CONN_OPEN && c->rx_cnt - c->told_fwd >= c->alloc / 2 &&
	    c->fwd != c->told_fwd)
		conn_queue(c, OP_CREDIT_UPDATE);
}

/* Both ends are done with this connection: nothing is left to deliver. */
static void finish_guest_shut(struct conn *c)
{
	if (c->ring_len || c->state != CONN_OPEN)
		return;
	if (c->guest_shut == SHUT_F_BOTH)
		conn_reset(c);
	else if (c->guest_shut & SHUT_F_SEND)
		(void)shutdown(c->fd, SHUT_WR);
}

/* The host's application does not read any more. */
static void host_stops_reading(struct conn *c)
{
	uint32_t lost = c->ring_len;

	free(c->ring);
	c->ring = NULL;
	c->ring_len = 0;
	host_shuts(c, SHUT_F_RECV);
	consumed(c, lost);
	finish_guest_shut(c);
}

/* Write as much as goes; the count, or a negative errno other than EAGAIN. */
static ssize_t host_write(struct conn *c, struct iovec *v, unsigned n)
{
	struct msghdr msg = {.msg_iov = v, .msg_iovlen = n};
	ssize_t r;

	do {
		r = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return errno == EAGAIN ? 0 : -errno;
	return r;
}

/* The descriptor takes bytes again. */
static void drain_ring(struct conn *c)
{
	uint32_t tail = MIN(c->ring_len, c->alloc - c->ring_head);
	struct iovec v[2] = {
		{c->ring + c->ring_head, tail              },
                {c->ring,                c->ring_len - tail}
        };
	ssize_t n = host_write(c, v, 2);

	if (n < 0) {
		host_stops_reading(c);
		return;
	}
	c->ring_head = (c->ring_head + (uint32_t)n) % c->alloc;
	c->ring_len -= (uint32_t)n;
	consumed(c, (uint32_t)n);
	if (c->ring_len)
		return;
	free(c->ring);
	c->ring = NULL;
	finish_guest_shut(c);
}

/* Keep what the descriptor did not take; the credit says that it fits. */
static int keep(struct conn *c, struct iov *data)
{
	if (!c->ring) {
		c->ring = malloc(c->alloc);
		c->ring_head = 0;
	}
	if (!c->ring)
		return -ENOMEM;
	while (data->len) {
		uint32_t at = (c->ring_head + c->ring_len) % c->alloc;
		size_t part = MIN(data->len, c->alloc - at);

		(void)iov_get(data, c->ring + at, part);
		c->ring_len += (uint32_t)part;
	}
	return 0;
}

static void add_last(struct conn *c, const uint8_t *p, size_t n)
{
	size_t keep_n = MIN(c->nlast, VSOCK_LAST_MAX - n);

	memmove(c->last, c->last + c->nlast - keep_n, keep_n);
	memcpy(c->last + keep_n, p, n);
	c->nlast = (uint8_t)(keep_n + n);
}

/* Without taking them out of @data. */
static void note_last(struct conn *c, const struct iov *data)
{
	size_t skip = data->len - MIN(data->len, VSOCK_LAST_MAX);

	for (unsigned i = 0; i < data->n; i++) {
		size_t len = data->v[i].iov_len, off = MIN(skip, len);

		skip -= off;
		if (off < len)
			add_last(c, (const uint8_t *)data->v[i].iov_base + off,
			         len - off);
	}
}

static void got_data(struct conn *c, struct iov *data)
{
	size_t len = data->len;
	ssize_t n = 0;

	if (len > c->alloc - c->ring_len || c->guest_shut & SHUT_F_SEND) {
		log_limited(LOG_WARN, "vsock: guest sends without credit");
		conn_reset(c);
		return;
	}
	c->rx_cnt += (uint32_t)len;
	note_last(c, data);
	if (c->host_shut & SHUT_F_RECV) {
		consumed(c, (uint32_t)len);
		return;
	}
	if (!c->ring_len && len)
		n = host_write(c, data->v, data->n);
	if (n < 0) {
		host_stops_reading(c);
		consumed(c, (uint32_t)len);
		return;
	}
	iov_skip(data, (size_t)n);
	if (data->len && keep(c, data) < 0) {
		conn_reset(c);
		return;
	}
	consumed(c, (uint32_t)n);
	if (c->ring_len)
		conn_watch(c);
}

static void on_host(void *arg, uint32_t events)
{
	struct conn *c = arg;
	struct vsock *v = c->v;
	const uint32_t end = EPOLLHUP | EPOLLERR;

	if (c->ring_len && events & (EPOLLOUT | end))
		drain_ring(c);
	if (may_read(c) && events & (EPOLLIN | end) && !c->in_data) {
		TAILQ_INSERT_TAIL(&v->data, c, data_link);
		c->in_data = true;
	} else if (c->state == CONN_OPEN && events & end && !may_read(c)) {
		host_gone(c);
	}
	vsock_run_soon(v);
	if (v->rx_empty || !c->in_data)
		conn_watch(c);
}

/* ---- packets of the guest ---------------------------------------------- */

static void on_response(struct conn *c, const struct vsock_packet *p,
                        struct iov *data)
{
	(void)p;
	(void)data;
	if (!c->requested) {
		conn_reset(c);
		return;
	}
	loop_timer_del(c->v->l, &c->timer);
	c->state = CONN_OPEN;
	conn_watch(c);
}

/*
 * A guest that has said all waits 8 s for our last word (Linux), then it
 * resets: a host that reads slowly still gets what is kept.
 */
static void on_rst(struct conn *c, const struct vsock_packet *p,
                   struct iov *data)
{
	(void)p;
	(void)data;
	if (c->state == CONN_OPEN && c->guest_shut == SHUT_F_BOTH &&
	    c->ring_len)
		return;
	conn_free(c);
}

static void on_shutdown(struct conn *c, const struct vsock_packet *p,
                        struct iov *data)
{
	(void)data;
	c->guest_shut |= p->flags & SHUT_F_BOTH;
	if (c->state == CONN_CLOSING) {
		if (c->guest_shut == SHUT_F_BOTH)
			conn_reset(c);
		return;
	}
	if (c->guest_shut & SHUT_F_RECV) {
		leave_data(c);
		(void)shutdown(c->fd, SHUT_RD);
	}
	finish_guest_shut(c);
	conn_watch(c);
}

static void on_rw(struct conn *c, const struct vsock_packet *p,
                  struct iov *data)
{
	(void)p;
	if (c->state == CONN_OPEN)
		got_data(c, data);
}

/* Every packet carries credit; conn_packet() has taken it already. */
static void on_credit_update(struct conn *c, const struct vsock_packet *p,
                             struct iov *data)
{
	(void)c;
	(void)p;
	(void)data;
}

static void on_credit_request(struct conn *c, const struct vsock_packet *p,
                              struct iov *data)
{
	(void)p;
	(void)data;
	if (c->state == CONN_OPEN)
		conn_queue(c, OP_CREDIT_UPDATE);
}

static void (*const on_op[OP_COUNT])(struct conn *c,
                                     const struct vsock_packet *p,
                                     struct iov *data) = {
	[OP_RESPONSE] = on_response,
	[OP_RST] = on_rst,
	[OP_SHUTDOWN] = on_shutdown,
	[OP_RW] = on_rw,
	[OP_CREDIT_UPDATE] = on_credit_update,
	[OP_CREDIT_REQUEST] = on_credit_request,
};

#define OPS_FLOW                                                               \
	(1u << OP_RST | 1u << OP_SHUTDOWN | 1u << OP_RW |                      \
	 1u << OP_CREDIT_UPDATE | 1u << OP_CREDIT_REQUEST)

/* What a guest may say in each state. Anything else gets RST. */
static const unsigned allowed[] = {
	[CONN_ASKED] = 1u << OP_RESPONSE | 1u << OP_RST,
	[CONN_WAITING] = 1u << OP_RST | 1u << OP_CREDIT_UPDATE,
	[CONN_OPEN] = OPS_FLOW,
	[CONN_CLOSING] = OPS_FLOW,
	[CONN_RESETTING] = 1u << OP_RST,
};
_Static_assert(ARRAY_SIZE(allowed) == CONN_STATES, "a state is missing");

/* New credit: reading may go on. */
static void take_credit(struct conn *c, const struct vsock_packet *p)
{
	bool stalled = !peer_credit(c);

	c->peer_alloc = p->buf_alloc;
	c->peer_fwd = p->fwd_cnt;
	if (c->state != CONN_OPEN || !stalled || !peer_credit(c))
		return;
	loop_timer_del(c->v->l, &c->timer);
	c->asked_credit = false;
	conn_watch(c);
}

void conn_packet(struct conn *c, const struct vsock_packet *p, struct iov *data)
{
	if (!(allowed[c->state] >> p->op & 1)) {
		if (c->state != CONN_RESETTING)
			conn_reset(c);
		return;
	}
	take_credit(c, p);
	on_op[p->op](c, p, data);
}

void conn_sent(struct conn *c, enum vsock_op op)
{
	if (op == OP_RST) {
		conn_free(c);
	} else if (op == OP_REQUEST) {
		c->requested = true;
		set_timer(c, VSOCK_CONNECT_NS);
	}
}
