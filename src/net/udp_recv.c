/*
 * udp_recv.c - datagrams of the host's sockets on their way to the guest.
 */
#include "net/udp_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

int udp_rx_new(struct udp *u)
{
	u->rx_mem = malloc((size_t)UDP_RX_MAX * UDP_RX_LEN);
	if (!u->rx_mem)
		return -ENOMEM;
	for (unsigned i = 0; i < UDP_RX_MAX; i++)
		u->in[i].msg_hdr = (struct msghdr){.msg_iov = &u->in_iov[i],
		                                   .msg_iovlen = 1};
	return 0;
}

int udp_deliver(struct net *n, const struct tuple *t, uint8_t tos, bool keep,
                const struct iovec *data, size_t len)
{
	uint8_t head[UDP_HEAD_LEN] = {0};
	const struct out o = {
		.src = &t->peer,
		.dst = &t->guest,
		.proto = PROTO_UDP,
		.tos = tos,
		.head = head,
		.head_len = sizeof(head),
		.data = data,
		.ndata = len ? 1 : 0,
		.data_len = len,
		.keep = keep,
	};

	put_be16(head, t->pport);
	put_be16(head + 2, t->gport);
	put_be16(head + 4, (uint16_t)(sizeof(head) + len));
	return out_send(n, &o);
}

void udp_to_guest(struct net *n, const struct addr *from, uint16_t from_port,
                  const struct addr *guest, uint16_t guest_port,
                  const void *data, size_t len)
{
	const struct tuple t = {*guest, *from, guest_port, from_port};
	const struct iovec v = {(void *)data, len};

	if (len <= UDP_DATA_MAX)
		(void)udp_deliver(n, &t, 0, true, &v, len);
}

/* ---- what the kernel says besides ---------------------------------------- */

/* An int, or a byte: which of them depends on the family and the kernel. */
static uint8_t byte_of(const struct cmsghdr *c)
{
	int value = 0;

	if (c->cmsg_len >= CMSG_LEN(sizeof(value)))
		memcpy(&value, CMSG_DATA(c), sizeof(value));
	else if (c->cmsg_len >= CMSG_LEN(1))
		value = *CMSG_DATA(c);
	return (uint8_t)value;
}

static uint8_t tos_of(struct msghdr *m)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) ||
		    (c->cmsg_level == IPPROTO_IPV6 &&
		     c->cmsg_type == IPV6_TCLASS))
			return byte_of(c);
	return 0;
}

/* ---- reading ------------------------------------------------------------- */

static void stall(struct udp_sock *s)
{
	struct udp *u = s->n->udp;

	if (s->stalled || loop_mod(s->n->loop, &s->src, 0) < 0)
		return;
	s->next_stalled = u->stalled;
	if (u->stalled)
		u->stalled->stalled = &s->next_stalled;
	s->stalled = &u->stalled;
	u->stalled = s;
}

static void unlink_stalled(struct udp_sock *s)
{
	if (!s->stalled)
		return;
	*s->stalled = s->next_stalled;
	if (s->next_stalled)
		s->next_stalled->stalled = s->stalled;
	s->stalled = NULL;
}

static void unstall_all(struct udp *u)
{
	struct udp_sock *s;

	while ((s = u->stalled)) {
		unlink_stalled(s);
		(void)loop_mod(s->n->loop, &s->src, EPOLLIN);
	}
}

/* True when all of them went to the guest. */
static bool deliver_rest(struct udp *u)
{
	while (u->rx_of && u->rx_next < u->rx_n) {
		unsigned i = u->rx_next;
		struct msghdr *m = &u->in[i].msg_hdr;
		struct iovec data = {u->in_iov[i].iov_base, u->in[i].msg_len};
		const struct udp_got g = {&data, data.iov_len, tos_of(m), m};

		if (!(m->msg_flags & MSG_TRUNC) &&
		    u->rx_of->ops->deliver(u->rx_of, &g) == -EAGAIN)
			return false;
		u->rx_next++;
	}
	u->rx_of = NULL;
	return true;
}

static void receive(struct udp_sock *s)
{
	struct udp *u = s->n->udp;
	int r;

	for (unsigned i = 0; i < UDP_RX_MAX; i++) {
		struct msghdr *m = &u->in[i].msg_hdr;

		u->in_iov[i] = (struct iovec){
			u->rx_mem + (size_t)i * UDP_RX_LEN, UDP_RX_LEN};
		m->msg_name = &u->in_name[i];
		m->msg_namelen = sizeof(u->in_name[i]);
		m->msg_control = u->in_ctl[i];
		m->msg_controllen = sizeof(u->in_ctl[i]);
	}
	r = recvmmsg(s->fd, u->in, UDP_RX_MAX, MSG_DONTWAIT, NULL);
	if (r < 0 && errno != EAGAIN && errno != EINTR)
		s->ops->failed(s);
	if (r <= 0)
		return;
	u->rx_of = s;
	u->rx_n = (unsigned)r;
	u->rx_next = 0;
	if (!deliver_rest(u))
		stall(s);
}

static void on_event(void *arg, uint32_t events)
{
	struct udp_sock *s = arg;
	struct net *n = s->n;

	if (events & EPOLLERR)
		s->ops->failed(s);
	if ((events & EPOLLIN) && n->udp->rx_of)
		stall(s);
	else if (events & EPOLLIN)
		receive(s);
	net_turn_end(n);
}

int udp_rx_watch(struct udp_sock *s)
{
	return loop_add(s->n->loop, &s->src, s->fd, EPOLLIN, on_event, s);
}

void udp_rx_end(struct udp_sock *s)
{
	struct udp *u = s->n->udp;

	loop_del(s->n->loop, &s->src);
	unlink_stalled(s);
	if (u->rx_of != s)
		return;
	u->rx_of = NULL;
	unstall_all(u);
}

/* What waited was the driver's before, who would have said that it has room. */
void udp_rx_reset(struct udp *u)
{
	u->rx_of = NULL;
	unstall_all(u);
}

void udp_writable(struct net *n)
{
	if (deliver_rest(n->udp))
		unstall_all(n->udp);
}
