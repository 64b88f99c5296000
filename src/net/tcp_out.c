/*
 * tcp_out.c - segments to the guest.
 */
#include "net/tcp_int.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

/* What an IP packet has left for data behind the largest headers. */
#define DATA_MAX (65535 - 60 - ETH_LEN)

/* Room for our options: the MSS, and the scale behind a NOP. */
#define SYN_HEAD (TCP_HEAD + 8)

struct segment {
	uint32_t seq;
	uint8_t flags;
	uint32_t at, len; /* bytes of @down */
};

/* ---- windows ------------------------------------------------------------- */

/* The furthest byte of the guest that there would be room for. */
static uint32_t right_edge(const struct tcp_flow *f)
{
	return f->rcv_nxt + ring_limit(&f->n->tcp->pool, &f->up) - f->up.used;
}

/* Less than that is not worth a word (RFC 1122, 4.2.3.3). */
static int32_t worth(const struct tcp_flow *f)
{
	uint32_t quarter = ring_limit(&f->n->tcp->pool, &f->up) / 4;

	return (int32_t)MIN(f->n->cfg.mtu - 40u, quarter);
}

bool tcp_window_opens(const struct tcp_flow *f)
{
	return (int32_t)(right_edge(f) - f->rcv_adv) >= worth(f);
}

/* What the header says; the right edge never moves back. */
static uint16_t window(struct tcp_flow *f, bool syn)
{
	unsigned scale = !syn && tcp_has(f, TCP_F_SCALE) ? TCP_SCALE : 0;
	uint32_t left;

	if (tcp_window_opens(f))
		f->rcv_adv = right_edge(f);
	if (seq_lt(f->rcv_adv, f->rcv_nxt))
		return 0;
	left = (f->rcv_adv - f->rcv_nxt) >> scale;
	return (uint16_t)MIN(left, 65535u);
}

/* ---- one segment --------------------------------------------------------- */

static size_t put_options(const struct tcp_flow *f, uint8_t *o)
{
	unsigned v4 = addr_is_v4(&f->f.t.guest);

	o[0] = 2;
	o[1] = 4;
	put_be16(o + 2, (uint16_t)(f->n->cfg.mtu - (v4 ? 40 : 60)));
	/* In an answer only what the guest has offered. */
	if (f->state == TCP_SYN_RCVD && !tcp_has(f, TCP_F_SCALE))
		return 4;
	o[4] = 1;
	o[5] = 3;
	o[6] = 3;
	o[7] = TCP_SCALE;
	return 8;
}

static void put_ports(uint8_t *h, uint16_t from, uint16_t to)
{
	put_be16(h, from);
	put_be16(h + 2, to);
}

static int send_segment(struct tcp_flow *f, const struct segment *s, bool keep)
{
	uint8_t h[SYN_HEAD] = {0};
	struct iovec v[2];
	struct out o = {
		.src = &f->f.t.peer,
		.dst = &f->f.t.guest,
		.proto = PROTO_TCP,
		.df = true,
		.head = h,
		.head_len = TCP_HEAD,
		.data = v,
		.ndata = ring_get(&f->down, s->at, s->len, v),
		.data_len = s->len,
		.gso_size = s->len > f->mss ? f->mss : 0,
		.keep = keep,
	};
	int r;

	if (tcp_has(f, TCP_F_ORPHAN))
		return 0;
	if (s->flags & TCP_SYN)
		o.head_len += put_options(f, h + TCP_HEAD);
	put_ports(h, f->f.t.pport, f->f.t.gport);
	put_be32(h + 4, s->seq);
	put_be32(h + 8, s->flags & TCP_ACK ? f->rcv_nxt : 0);
	h[12] = (uint8_t)(o.head_len << 2);
	h[13] = s->flags;
	put_be16(h + 14, window(f, s->flags & TCP_SYN));
	r = out_send(f->n, &o);
	if (r == 0 && s->flags & TCP_ACK)
		f->flags &= (uint16_t)~TCP_F_ACK;
	return r;
}

void tcp_send_syn(struct tcp_flow *f)
{
	struct segment s = {.seq = f->snd_una, .flags = TCP_SYN};

	if (f->state == TCP_SYN_RCVD)
		s.flags |= TCP_ACK;
	(void)send_segment(f, &s, /* keep= */ true);
}

void tcp_send_reset(struct tcp_flow *f)
{
	struct segment s = {.seq = f->snd_nxt, .flags = TCP_RST | TCP_ACK};

	(void)send_segment(f, &s, /* keep= */ true);
}

void tcp_send_ack(struct tcp_flow *f)
{
	struct segment s = {.seq = f->snd_nxt, .flags = TCP_ACK};

	if (send_segment(f, &s, /* keep= */ false) < 0) {
		f->flags |= TCP_F_ACK;
		tcp_ready(f, /* link= */ true);
	}
}

/* A number that the guest has acknowledged already: it must answer. */
void tcp_probe(struct tcp_flow *f)
{
	struct segment s = {.seq = f->snd_una - 1, .flags = TCP_ACK};

	(void)send_segment(f, &s, /* keep= */ false);
}

void tcp_refuse(struct net *n, const struct tcp_in *s)
{
	const uint8_t *in = s->p->head + s->p->l4;
	uint32_t len = (uint32_t)s->p->payload.len;
	uint8_t h[TCP_HEAD] = {0};
	struct out o = {
		.src = &s->p->dst,
		.dst = &s->p->src,
		.proto = PROTO_TCP,
		.df = true,
		.head = h,
		.head_len = TCP_HEAD,
		.keep = true,
	};

	if (s->flags & TCP_RST)
		return;
	len += !!(s->flags & TCP_SYN) + !!(s->flags & TCP_FIN);
	put_ports(h, get_be16(in + 2), get_be16(in));
	h[12] = TCP_HEAD << 2;
	if (s->flags & TCP_ACK) {
		put_be32(h + 4, s->ack);
		h[13] = TCP_RST;
	} else {
		put_be32(h + 8, s->seq + len);
		h[13] = TCP_RST | TCP_ACK;
	}
	(void)out_send(n, &o);
}

/* ---- bytes --------------------------------------------------------------- */

static bool has_tso(const struct tcp_flow *f)
{
	const struct net_link *l = &f->n->link;

	return l->csum && (addr_is_v4(&f->f.t.guest) ? l->tso4 : l->tso6);
}

size_t tcp_frame_max(const struct tcp_flow *f)
{
	return has_tso(f) ? MAX(f->mss, DATA_MAX / f->mss * f->mss) : f->mss;
}

/* Where in @down the next byte to send is; all were sent when FIN was. */
static uint32_t sent(const struct tcp_flow *f)
{
	return tcp_has(f, TCP_F_FIN) ? f->down.used : tcp_in_flight(f);
}

uint32_t tcp_unsent(const struct tcp_flow *f)
{
	return f->state == TCP_OPEN ? f->down.used - sent(f) : 0;
}

static uint32_t usable_window(const struct tcp_flow *f)
{
	uint32_t flight = tcp_in_flight(f);

	return f->snd_wnd > flight ? f->snd_wnd - flight : 0;
}

/*
 * How much to send now. A part of a segment only when it is the last one, or
 * when nothing is on the way that would bring an ACK (RFC 1122, 4.2.3.4).
 */
static uint32_t next_len(const struct tcp_flow *f)
{
	uint32_t unsent = tcp_unsent(f);
	uint32_t len = MIN(unsent, usable_window(f));

	len = MIN(len, (uint32_t)tcp_frame_max(f));
	if (len < unsent && len < f->mss && tcp_in_flight(f))
		return 0;
	if (len < unsent && len > f->mss)
		len -= len % f->mss;
	return len;
}

/* 1: sent, of *ret_len bytes; 0: nothing to send now; -EAGAIN. */
static int send_next(struct tcp_flow *f, uint32_t *ret_len)
{
	bool fin = tcp_has(f, TCP_F_EOF) &&
	           !(f->flags & (TCP_F_FIN | TCP_F_BROKEN));
	uint32_t unsent = tcp_unsent(f);
	struct segment s = {
		.seq = f->snd_nxt,
		.flags = TCP_ACK,
		.at = sent(f),
		.len = next_len(f),
	};
	int r;

	fin = fin && s.len == unsent;
	if (!s.len && !fin)
		return 0;
	if (s.len == unsent)
		s.flags |= TCP_PSH;
	s.flags |= fin ? TCP_FIN : 0;
	r = send_segment(f, &s, /* keep= */ false);
	if (r < 0)
		return r;
	f->snd_nxt += s.len + fin;
	f->flags |= fin ? TCP_F_FIN : 0;
	*ret_len = s.len;
	return 1;
}

void tcp_output(struct tcp_flow *f)
{
	uint32_t turn = TCP_TURN_BYTES, len = 0;
	int r = 0;

	if (f->state != TCP_OPEN && f->state != TCP_HELD)
		return;
	if (f->state == TCP_OPEN && !tcp_has(f, TCP_F_ORPHAN))
		while (turn && (r = send_next(f, &len)) > 0)
			turn -= MIN(turn, MAX(len, TCP_TURN_FRAME));
	if (r < 0)
		tcp_ready(f, /* link= */ true);
	else if (tcp_has(f, TCP_F_ACK))
		tcp_send_ack(f);
	if (!turn && next_len(f))
		tcp_ready(f, /* link= */ false);
}

void tcp_resend(struct tcp_flow *f, size_t max)
{
	uint32_t len = MIN(f->down.used, tcp_in_flight(f));
	struct segment s = {.seq = f->snd_una, .flags = TCP_ACK | TCP_PSH};

	s.len = (uint32_t)MIN(MIN(len, max), MAX(f->snd_wnd, 1u));
	if (tcp_has(f, TCP_F_FIN) && s.len == f->down.used)
		s.flags |= TCP_FIN;
	(void)send_segment(f, &s, /* keep= */ false);
}
