/*
 * udp_send.c - datagrams of the guest, gathered over a batch of frames and
 * handed to the kernel socket by socket, straight out of the guest's memory.
 */
#include "net/udp_int.h"

#include <errno.h>

#include "base/banned.h"

void udp_option(int fd, int level, int option, int value)
{
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

static bool same_opts(const struct udp_opts *a, const struct udp_opts *b)
{
	return a->ttl == b->ttl && a->tos == b->tos && a->df == b->df;
}

/*
 * The datagram @i did not go. An error may be of one sent long ago, which the
 * kernel tells at the next call: then @i goes again, once. True: it does.
 */
static bool send_failed(struct udp_sock *s, int error, bool again)
{
	if (error == EINTR)
		return true;
	s->ops->failed(s);
	return !again && error != EMSGSIZE;
}

/* A full socket drops the rest of the run, as any router does. */
static void send_run(struct udp_sock *s, struct mmsghdr *m, unsigned n)
{
	bool again = false;
	unsigned i = 0;

	while (i < n) {
		int r = sendmmsg(s->fd, m + i, n - i,
		                 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (r > 0) {
			i += (unsigned)r;
			again = false;
		} else if (errno == EAGAIN || errno == ENOBUFS) {
			return;
		} else if (send_failed(s, errno, again)) {
			again = true;
		} else {
			i++;
			again = false;
		}
	}
}

static void send_queued(struct udp_sock *s)
{
	struct udp *u = s->n->udp;
	struct udp_tx *t = s->tx;

	s->tx = NULL;
	s->tx_end = &s->tx;
	while (t) {
		const struct udp_opts opts = t->opts;
		unsigned n = 0;

		for (; t && same_opts(&opts, &t->opts); t = t->next) {
			struct msghdr *m = &u->out[n].msg_hdr;

			*m = (struct msghdr){.msg_iov = t->v,
			                     .msg_iovlen = t->n};
			if (s->ops->address)
				s->ops->address(t, m, u->out_ctl[n]);
			n++;
		}
		if (s->ops->prepare)
			s->ops->prepare(s, &opts);
		send_run(s, u->out, n);
	}
}

static struct udp_sock *take_dirty(struct udp *u)
{
	struct udp_sock *s = u->dirty;

	if (s)
		u->dirty = s->next_dirty;
	return s;
}

void udp_flush(struct udp *u)
{
	struct udp_sock *s;

	while ((s = take_dirty(u)))
		send_queued(s);
	u->ntx = 0;
	u->ntx_iov = 0;
}

void udp_forget(struct udp *u)
{
	struct udp_sock *s;

	while ((s = take_dirty(u))) {
		s->tx = NULL;
		s->tx_end = &s->tx;
	}
	u->ntx = 0;
	u->ntx_iov = 0;
}

/* What it had stays a part of the batch's places, but of no list. */
void udp_sock_flush(struct udp_sock *s)
{
	struct udp_sock **at = &s->n->udp->dirty;

	if (!s->tx)
		return;
	while (*at != s)
		at = &(*at)->next_dirty;
	*at = s->next_dirty;
	send_queued(s);
}

int udp_sock_open(struct udp_sock *s, struct net *n, int fd, bool v6,
                  const struct udp_sock_ops *ops)
{
	s->ops = ops;
	s->n = n;
	s->v6 = v6;
	s->tx = NULL;
	s->tx_end = &s->tx;
	s->stalled = NULL;
	s->fd = fd;
	return udp_rx_watch(s);
}

void udp_sock_close(struct udp_sock *s)
{
	udp_sock_flush(s);
	udp_rx_end(s);
	close_fd(&s->fd);
}

void udp_queue(struct udp_sock *s, const struct pkt *p, struct udp_peer *to)
{
	const struct iov *data = &p->payload;
	struct udp *u = s->n->udp;
	struct udp_tx *t;

	if (data->n > UDP_TX_IOV) {
		net_bad(s->n, "a datagram in too many pieces");
		return;
	}
	if (u->ntx == UDP_TX_MAX || UDP_TX_IOV - u->ntx_iov < data->n)
		udp_flush(u);
	t = &u->tx[u->ntx++];
	*t = (struct udp_tx){
		.v = u->tx_iov + u->ntx_iov,
		.n = data->n,
		.opts = {p->ttl, p->tos, p->df},
		.to = to
        };
	for (unsigned i = 0; i < t->n; i++)
		t->v[i] = data->v[i];
	u->ntx_iov += t->n;
	if (!s->tx) {
		s->next_dirty = u->dirty;
		u->dirty = s;
	}
	*s->tx_end = t;
	s->tx_end = &t->next;
}

void udp_batch_end(struct net *n)
{
	udp_flush(n->udp);
}
