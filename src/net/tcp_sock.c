/*
 * tcp_sock.c - the host's side of a flow.
 *
 * Events are level-triggered: EPOLLIN is asked for while there is room in
 * `down`, EPOLLOUT while there is something in `up`. Errors and hang-ups cannot
 * be masked; one that comes while nothing can be done about it would wake us
 * for ever, so the socket leaves the loop until there is something to do.
 */
#include "net/tcp_int.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/num.h"

#include "base/banned.h"

static struct ring_pool *pool_of(const struct tcp_flow *f)
{
	return &f->n->tcp->pool;
}

/* ---- host to guest ------------------------------------------------------- */

static uint32_t least_room(const struct tcp_flow *f)
{
	return MAX(ring_size(&f->down) / 4, 1u);
}

/* Room for a read that is worth it; else why there is none, in the flags. */
static bool make_room(struct tcp_flow *f)
{
	int r = ring_reserve(pool_of(f), &f->down, least_room(f));

	if (r == -ENOMEM)
		f->flags |= TCP_F_STARVED;
	else if (ring_room(&f->down) < least_room(f))
		f->flags |= TCP_F_FULL;
	return !(f->flags & (TCP_F_STARVED | TCP_F_FULL));
}

/* Bytes read; 0: no more for now, or for ever (see the flags). */
static size_t read_host(struct tcp_flow *f)
{
	struct iovec v[2];
	unsigned n = ring_space(&f->down, v);
	ssize_t r;

	do
		r = readv(f->sock.fd, v, (int)n);
	while (r < 0 && errno == EINTR);
	/* Of msb-tls: has it said before that it is a reset? */
	if (r == 0 && f->slot) {
		intercept_poll(f->n);
		if (f->state == TCP_DEAD)
			return 0;
	}
	if (r > 0) {
		ring_added(&f->down, (uint32_t)r);
		return (size_t)r;
	}
	if (r < 0 && errno != EAGAIN)
		f->flags |= TCP_F_BROKEN;
	/* One that failed to write has sent what it had. */
	if (r == 0 || tcp_has(f, TCP_F_BROKEN))
		f->flags |= TCP_F_EOF;
	return 0;
}

static void fill(struct tcp_flow *f)
{
	size_t turn = TCP_TURN_BYTES, got;

	f->flags &= (uint16_t) ~(TCP_F_FULL | TCP_F_STARVED);
	while (turn && !tcp_has(f, TCP_F_EOF) && make_room(f)) {
		uint32_t room = ring_room(&f->down);

		got = read_host(f);
		if (got < room)
			break;
		turn -= MIN(turn, got);
	}
	if (!f->down.used)
		ring_clear(pool_of(f), &f->down);
}

void tcp_push(struct tcp_flow *f)
{
	/* An empty ring was freed, and has no room of its own. */
	if (tcp_has(f, TCP_F_FULL) &&
	    (!f->down.used || ring_room(&f->down) >= least_room(f)))
		fill(f);
	tcp_output(f);
}

/* ---- guest to host ------------------------------------------------------- */

/* Bytes that the socket took. */
static size_t write_host(struct tcp_flow *f, struct iovec *v, unsigned n)
{
	struct msghdr m = {.msg_iov = v, .msg_iovlen = n};
	ssize_t r;

	do
		r = sendmsg(f->sock.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	if (r >= 0)
		return (size_t)r;
	if (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM)
		f->flags |= TCP_F_BROKEN;
	return 0;
}

/* The other side is gone: what it sent before is read, the rest is nothing. */
static void give_up_writing(struct tcp_flow *f)
{
	ring_clear(pool_of(f), &f->up);
	if (!(f->flags & (TCP_F_EOF | TCP_F_FULL)))
		fill(f);
}

static size_t place(struct tcp_flow *f, struct iovec *v, unsigned n, size_t len)
{
	size_t done = 0;

	if (f->state == TCP_OPEN && !f->up.used && !f->first &&
	    !tcp_has(f, TCP_F_BROKEN))
		done = write_host(f, v, n);
	if (tcp_has(f, TCP_F_BROKEN)) {
		give_up_writing(f);
		return len;
	}
	if (done < len &&
	    ring_reserve(pool_of(f), &f->up, (uint32_t)(len - done)) == 0)
		done += ring_put(&f->up, v, n, done);
	return done;
}

/* The same for bytes that are searched before they go anywhere. */
static size_t place_searched(struct tcp_flow *f, struct clear_texts *texts,
                             struct iovec *v, unsigned n, size_t len)
{
	int r = clear_stream(f->n, &f->clear, texts, &f->f.t, v, n);
	size_t done;

	if (r == -ENOMEM)
		return 0;
	if (r == CLEAR_STOP)
		f->stopped = true;
	if (f->stopped) /* it ends with the batch */
		return len;
	if (r == CLEAR_TLS)
		tcp_search_no_more(f);
	done = place(f, v, n, len);
	if (done < len && f->clear)
		clear_back(f->clear, v, n, done);
	return done;
}

void tcp_search_no_more(struct tcp_flow *f)
{
	f->open_text = false;
	clear_free(f->clear);
	f->clear = NULL;
}

/*
 * Most of the time the first byte says that it is none to wait for. A guest
 * that changes it under us has a flow without msb-tls, and so without values.
 */
static bool may_be_first(const struct tcp_flow *f, const struct iovec *v,
                         unsigned n)
{
	unsigned i = 0;

	if (f->up.used)
		return true;
	while (i < n && !v[i].iov_len)
		i++;
	return i < n &&
	       intercept_may_take(f->n, f->f.t.pport, v[i].iov_base, 1);
}

size_t tcp_pass(struct tcp_flow *f, struct iovec *v, unsigned n, size_t len)
{
	struct clear_texts *texts = intercept_texts(f->n);

	if (f->first && f->state == TCP_OPEN && !may_be_first(f, v, n))
		f->first = false;
	return texts && f->open_text ? place_searched(f, texts, v, n, len)
	                             : place(f, v, n, len);
}

void tcp_drain(struct tcp_flow *f)
{
	struct iovec v[2];
	size_t got = 0, len;

	while ((len = f->up.used) && !tcp_has(f, TCP_F_BROKEN)) {
		unsigned n = ring_get(&f->up, 0, f->up.used, v);

		got = write_host(f, v, n);
		ring_drop(pool_of(f), &f->up, (uint32_t)got);
		if (got < len)
			break;
	}
	if (tcp_has(f, TCP_F_BROKEN))
		give_up_writing(f);
	else if (tcp_window_opens(f))
		f->flags |= TCP_F_ACK;
}

/* ---- events -------------------------------------------------------------- */

static uint32_t wanted(const struct tcp_flow *f)
{
	const unsigned deaf = TCP_F_EOF | TCP_F_FULL | TCP_F_STARVED;
	uint32_t events = 0;

	if (f->state != TCP_OPEN)
		return 0;
	if (!(f->flags & deaf))
		events |= EPOLLIN;
	if (f->up.used && !f->first)
		events |= EPOLLOUT;
	return events;
}

/* An error or hang-up, and nothing can be read. */
static void hung_up(struct tcp_flow *f)
{
	socklen_t len = sizeof(int);
	int error = 0;

	/* While there may be data, recv() is to tell what comes behind it. */
	if (tcp_has(f, TCP_F_EOF) &&
	    getsockopt(f->sock.fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 &&
	    error) {
		f->flags |= TCP_F_BROKEN;
		ring_clear(pool_of(f), &f->up);
	}
	loop_del(f->n->loop, &f->sock);
}

static void on_socket(void *arg, uint32_t events)
{
	struct tcp_flow *f = arg;
	const uint32_t bad = EPOLLERR | EPOLLHUP;
	struct net *n = f->n;

	if (events & (EPOLLOUT | bad) && f->up.used && !f->first)
		tcp_drain(f);
	if (events & (EPOLLIN | bad) && wanted(f) & EPOLLIN)
		fill(f);
	else if (events & bad)
		hung_up(f);
	tcp_push(f);
	tcp_settle(f);
	tcp_turn_end(n);
}

static void listen_to(struct tcp_flow *f)
{
	uint32_t events = wanted(f);
	int r = 0;

	if (f->sock.added)
		r = loop_mod(f->n->loop, &f->sock, events);
	else if (events)
		r = loop_add(f->n->loop, &f->sock, f->sock.fd, events,
		             on_socket, f);
	if (r < 0)
		tcp_abort(f);
}

/* ---- what follows -------------------------------------------------------- */

static bool is_over(const struct tcp_flow *f)
{
	if (tcp_has(f, TCP_F_ORPHAN))
		return f->flags & (TCP_F_PASSED | TCP_F_BROKEN);
	return tcp_has(f, TCP_F_PASSED | TCP_F_ACKED) && !tcp_has(f, TCP_F_ACK);
}

void tcp_settle(struct tcp_flow *f)
{
	if (f->state != TCP_OPEN)
		return;
	if (tcp_has(f, TCP_F_GFIN) && !tcp_has(f, TCP_F_PASSED) &&
	    !f->up.used) {
		/* Where both have closed, close() follows at once. */
		if (!tcp_has(f, TCP_F_EOF) || f->down.used)
			(void)shutdown(f->sock.fd, SHUT_WR);
		f->flags |= TCP_F_PASSED;
	}
	if (is_over(f)) {
		tcp_kill(f, false);
		return;
	}
	if (tcp_has(f, TCP_F_BROKEN | TCP_F_EOF) && !tcp_unsent(f)) {
		tcp_abort(f);
		return;
	}
	tcp_timer_fit(f);
	listen_to(f);
}
