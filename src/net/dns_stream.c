/*
 * dns_stream.c - DNS over the guest's TCP connections (RFC 7766): messages
 * behind two bytes of length, several at a time, answered as answers come.
 *
 * The connection's other end is a socket pair's, so it looks like any other:
 * 0 bytes read are the guest's FIN, after which what it asked is still
 * answered. Bounds: so many connections, questions in flight and bytes that the
 * guest has not taken; over them nothing more is read, so that it is the guest
 * who waits.
 */
#include "net/dns_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"

#include "base/banned.h"

#define CONNS_MAX 32
#define ASKED_MAX 4 /* of one connection */
#define OUT_FULL  (64u << 10)
#define OUT_MAX   (OUT_FULL + (ASKED_MAX + 1) * (DNS_MSG_MAX + PREFIX))
#define IDLE_NS   (10 * NS_PER_S)
#define PREFIX    2
#define READS_MAX 16 /* a turn */

struct dns_conn {
	struct dns *d;
	struct dns_conn *next, **prev;
	struct dns_from from;
	struct loop_fd fd;
	struct wheel_timer idle;
	uint8_t in[PREFIX + DNS_GUEST_MAX];
	size_t in_len;
	struct buf out; /* what the guest has not taken */
	unsigned asked;
	bool eof;    /* the guest sends no more */
	bool broken; /* to be closed */
	bool busy;   /* conn_run() is at it, and closes it */
};

static void conn_close(struct dns_conn *c)
{
	struct dns *d = c->d;

	dns_forget(d, c);
	loop_del(d->n->loop, &c->fd);
	wheel_del(&d->n->wheel, &c->idle);
	close_fd(&c->fd.fd);
	buf_release(&c->out);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	d->nconns--;
	free(c);
}

void dns_conns_close(struct dns *d)
{
	while (d->conns)
		conn_close(d->conns);
}

static void on_idle(struct wheel_timer *t)
{
	struct dns_conn *c = container_of(t, struct dns_conn, idle);
	struct net *n = c->d->n;

	conn_close(c);
	net_turn_end(n);
}

/* ---- out ---- */

static void conn_write(struct dns_conn *c)
{
	while (c->out.len && !c->broken) {
		ssize_t r = send(c->fd.fd, c->out.data, c->out.len,
		                 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (r < 0 && errno == EAGAIN)
			return;
		if (r < 0 && errno != EINTR)
			c->broken = true;
		if (r > 0)
			buf_consume(&c->out, (size_t)r);
	}
}

void dns_conn_send(struct dns_conn *c, const uint8_t *msg, size_t len)
{
	uint8_t prefix[PREFIX];

	put_be16(prefix, (uint16_t)len);
	(void)buf_add(&c->out, prefix, sizeof(prefix));
	(void)buf_add(&c->out, msg, len);
	if (!buf_ok(&c->out))
		c->broken = true;
	conn_write(c);
}

/* ---- in ---- */

/* One message of what was read; false: there is none, or no room for it. */
static bool take_one(struct dns_conn *c)
{
	size_t len;

	if (c->in_len < PREFIX || c->broken || c->asked >= ASKED_MAX ||
	    c->out.len >= OUT_FULL)
		return false;
	len = get_be16(c->in);
	if (len == 0 || len > DNS_GUEST_MAX) {
		net_bad(c->d->n, "a DNS query that is too long");
		c->broken = true;
		return false;
	}
	if (c->in_len < PREFIX + len)
		return false;
	dns_take(c->d, &c->from, c->in + PREFIX, len);
	c->in_len -= PREFIX + len;
	memmove(c->in, c->in + PREFIX + len, c->in_len);
	return true;
}

static bool is_full(const struct dns_conn *c)
{
	return c->asked >= ASKED_MAX || c->out.len >= OUT_FULL;
}

static bool read_some(struct dns_conn *c)
{
	ssize_t r;

	if (c->eof || c->broken || is_full(c))
		return false;
	r = recv(c->fd.fd, c->in + c->in_len, sizeof(c->in) - c->in_len,
	         MSG_DONTWAIT);
	if (r > 0)
		c->in_len += (size_t)r;
	else if (r == 0)
		c->eof = true;
	else if (errno != EAGAIN && errno != EINTR)
		c->broken = true;
	return r > 0;
}

/*
 * All that can be done now; then wait for what is missing. A connection that
 * neither reads nor has a question in flight has its time.
 */
static void conn_run(struct dns_conn *c)
{
	struct net *n = c->d->n;
	uint32_t events;

	c->busy = true;
	conn_write(c);
	for (int i = 0; i < READS_MAX; i++) {
		while (take_one(c))
			;
		if (!read_some(c))
			break;
	}
	c->busy = false;
	if (c->eof && !c->asked && !c->out.len &&
	    (c->in_len < PREFIX ||
	     c->in_len < PREFIX + (size_t)get_be16(c->in)))
		c->broken = true; /* all is said */
	events = (c->eof || is_full(c) ? 0 : EPOLLIN) |
	         (c->out.len ? EPOLLOUT : 0);
	if (c->broken || loop_mod(n->loop, &c->fd, events) < 0) {
		conn_close(c);
		return;
	}
	if (c->asked && !c->out.len)
		wheel_del(&n->wheel, &c->idle);
	else
		wheel_set(&n->wheel, &c->idle, net_now(n) + IDLE_NS, on_idle);
}

void dns_conn_asked(struct dns_conn *c)
{
	c->asked++;
}

void dns_conn_done(struct dns_conn *c)
{
	c->asked--;
	if (!c->busy)
		conn_run(c);
}

/*
 * A hangup: the flow is gone, and nobody would read an answer. It cannot be
 * masked, so to wait for anything then would be to spin.
 */
static void on_event(void *arg, uint32_t events)
{
	struct dns_conn *c = arg;
	struct net *n = c->d->n;

	if (events & (EPOLLERR | EPOLLHUP))
		c->broken = true;
	conn_run(c);
	net_turn_end(n);
}

/* Another wants to begin: the oldest that asks nothing makes room. */
static bool make_room(struct dns *d)
{
	struct dns_conn *victim = NULL;

	if (d->nconns < CONNS_MAX)
		return true;
	for (struct dns_conn *c = d->conns; c; c = c->next)
		if (!c->asked && !c->busy)
			victim = c;
	if (!victim)
		return false;
	conn_close(victim);
	return true;
}

int dns_stream(struct net *n, int fd, const struct tuple *t)
{
	struct dns *d = n->dns;
	struct dns_conn *c = NULL;
	int r = -ENFILE;

	if (make_room(d)) {
		c = calloc(1, sizeof(*c));
		r = c ? loop_add(n->loop, &c->fd, fd, EPOLLIN, on_event, c)
		      : -ENOMEM;
	} else {
		gate_refused(n, "DNS connections");
	}
	if (r < 0) {
		free(c);
		(void)close(fd);
		return r;
	}
	c->d = d;
	c->from = (struct dns_from){c, t->peer, t->guest, t->gport};
	c->out = (struct buf)BUF_INIT_MAX(OUT_MAX);
	c->next = d->conns;
	c->prev = &d->conns;
	if (c->next)
		c->next->prev = &c->next;
	d->conns = c;
	d->nconns++;
	wheel_set(&n->wheel, &c->idle, net_now(n) + IDLE_NS, on_idle);
	return 0;
}
