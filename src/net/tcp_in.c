/*
 * tcp_in.c - segments from the guest.
 *
 * A segment changes its flow's numbers at once, so that the next one in the
 * same batch is judged by them; its bytes are passed on, and the flow's answer
 * is sent, when the batch ends. Bytes for which there is no memory then are
 * taken back before anybody acknowledged them.
 */
#include "net/tcp_int.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

/* ---- what a batch brings ------------------------------------------------- */

static unsigned collect(struct tcp *t, const struct tcp_got *g)
{
	unsigned n = 0;

	for (unsigned i = g->first; i; i = t->seg[i - 1].next) {
		const struct tcp_seg *s = &t->seg[i - 1];

		memcpy(&t->row[n], &t->iov[s->iov],
		       s->n * sizeof(struct iovec));
		n += s->n;
	}
	return n;
}

/* Pass on what one flow got; what has no place was never here. */
static void pass_got(struct tcp *t, struct tcp_got *g)
{
	struct tcp_flow *f = g->f;
	size_t placed = 0;

	if (f->state == TCP_DEAD)
		return;
	if (g->len)
		placed = tcp_pass(f, t->row, collect(t, g), g->len);
	if (placed < g->len) {
		f->rcv_nxt -= (uint32_t)(g->len - placed) + g->fin;
		g->fin = false;
	}
	f->flags |= g->fin ? TCP_F_GFIN : 0;
	g->fin = false;
	g->len = 0;
	g->first = g->last = 0;
}

static void pass_all(struct tcp *t)
{
	for (unsigned i = 0; i < t->ngot; i++)
		pass_got(t, &t->got[i]);
	t->nseg = t->niov = 0;
}

static void finish_got(struct tcp_flow *f)
{
	f->batch = 0;
	if (f->state == TCP_DEAD)
		return;
	if (f->stopped) {
		tcp_abort(f);
		return;
	}
	if (f->state == TCP_HELD)
		tcp_judge(f, tcp_has(f, TCP_F_GFIN));
	else if (f->first)
		tcp_look(f, tcp_has(f, TCP_F_GFIN));
	tcp_push(f);
	tcp_settle(f);
}

void tcp_batch_end(struct net *n)
{
	struct tcp *t = n->tcp;

	pass_all(t);
	for (unsigned i = 0; i < t->ngot; i++)
		finish_got(t->got[i].f);
	t->ngot = 0;
	tcp_turn_end(n);
}

static struct tcp_got *got_of(struct tcp_flow *f)
{
	struct tcp *t = f->n->tcp;

	if (f->batch)
		return &t->got[f->batch - 1];
	if (t->ngot == TCP_BATCH)
		tcp_batch_end(f->n);
	flow_touch(&t->table, &f->f, net_now(f->n));
	t->got[t->ngot] = (struct tcp_got){.f = f};
	f->batch = (uint8_t)++t->ngot;
	return &t->got[t->ngot - 1];
}

/* Room for @data's pieces; false: they are more than anybody sends. */
static bool make_place(struct tcp *t, const struct iov *data)
{
	if (t->nseg == TCP_BATCH || t->niov + data->n > TCP_BATCH_IOV)
		pass_all(t);
	return data->n <= TCP_BATCH_IOV;
}

/* @data is the next in order. */
static void note(struct tcp *t, struct tcp_got *g, struct iov *data)
{
	struct tcp_seg *s = &t->seg[t->nseg++];

	*s = (struct tcp_seg){.iov = (uint16_t)t->niov};
	g->len += (uint32_t)data->len;
	s->n = (uint16_t)iov_take(data, data->len, &t->iov[t->niov]);
	t->niov += s->n;
	*(g->last ? &t->seg[g->last - 1].next : &g->first) = (uint16_t)t->nseg;
	g->last = (uint16_t)t->nseg;
}

/* ---- ACK, RST, SYN ------------------------------------------------------- */

/* An ACK for each such segment, not for the batch: the guest counts them. */
static void ack_now(struct tcp_flow *f)
{
	struct tcp *t = f->n->tcp;

	if (f->batch)
		pass_got(t, &t->got[f->batch - 1]);
	tcp_send_ack(f);
}

static void lost(struct tcp_flow *f)
{
	f->flags |= TCP_F_LOST;
	f->recover = f->snd_nxt;
	tcp_resend(f, tcp_frame_max(f));
}

/* @n more numbers are acknowledged. */
static void advance(struct tcp_flow *f, uint32_t n)
{
	uint32_t data = MIN(n, f->down.used);

	ring_drop(&f->n->tcp->pool, &f->down, data);
	f->snd_una += n;
	f->tries = f->dups = 0;
	if (n > data)
		f->flags |= TCP_F_ACKED;
	if (tcp_in_flight(f))
		tcp_timer(f, TCP_RTO_NS);
	else
		f->deadline_ns = 0;
	if (!tcp_has(f, TCP_F_LOST))
		return;
	if (seq_le(f->recover, f->snd_una))
		f->flags &= (uint16_t)~TCP_F_LOST;
	else
		tcp_resend(f, tcp_frame_max(f));
}

static bool is_duplicate(const struct tcp_flow *f, const struct tcp_in *s,
                         uint32_t wnd)
{
	return tcp_in_flight(f) && wnd == f->snd_wnd && !s->p->payload.len &&
	       !(s->flags & TCP_FIN);
}

/* False: it acknowledges what was never sent. */
static bool take_ack(struct tcp_flow *f, const struct tcp_in *s)
{
	uint32_t wnd = (uint32_t)s->wnd << f->scale;
	uint32_t n = s->ack - f->snd_una;

	if (seq_lt(f->snd_nxt, s->ack)) {
		ack_now(f);
		return false;
	}
	if (seq_lt(s->ack, f->snd_una))
		return true; /* an old one; its window is, too */
	if (n)
		advance(f, n);
	else if (is_duplicate(f, s, wnd) && !tcp_has(f, TCP_F_LOST) &&
	         ++f->dups == 3)
		lost(f);
	/* It answers our probes, however long its window stays closed. */
	f->tries = MIN(f->tries, 8);
	if (wnd && !f->snd_wnd)
		f->tries = 0;
	f->snd_wnd = wnd;
	return true;
}

/* RFC 5961: an exact number ends it, one within the window is asked about. */
static void take_reset(struct tcp_flow *f, const struct tcp_in *s)
{
	if (s->seq == f->rcv_nxt)
		tcp_kill(f, /* reset= */ true);
	else if (seq_lt(f->rcv_nxt, s->seq) && seq_lt(s->seq, f->rcv_adv))
		ack_now(f);
}

/* Nobody in the guest knows it any more; what it wrote is still to go out. */
static void orphan(struct tcp_flow *f)
{
	struct flow_table *table = &f->n->tcp->table;
	struct tuple t = {.peer = f->f.t.peer};
	uint64_t used = f->f.used_ns;

	/* What waits for tcp_look() goes nowhere. */
	if (f->first || f->stopped) {
		tcp_kill(f, /* reset= */ true);
		return;
	}
	/* No packet has these addresses; some number is free among 65536. */
	while (flow_find(table, &t) && t.gport < 65535)
		t.gport++;
	if (flow_find(table, &t)) {
		tcp_kill(f, /* reset= */ true);
		return;
	}
	tcp_unready(f);
	flow_del(table, &f->f);
	(void)flow_add(table, &f->f, &t, used);
	ring_clear(&f->n->tcp->pool, &f->down);
	f->flags |= TCP_F_ORPHAN | TCP_F_EOF | TCP_F_FIN | TCP_F_ACKED;
	f->snd_una = f->snd_nxt;
	tcp_settle(f);
}

static bool is_closing(const struct tcp_flow *f)
{
	return f->flags & (TCP_F_GFIN | TCP_F_FIN | TCP_F_BROKEN);
}

static void replace(struct tcp_flow *f, const struct tcp_in *s)
{
	struct net *n = f->n;

	if (f->batch)
		pass_got(n->tcp, &n->tcp->got[f->batch - 1]);
	if (tcp_has(f, TCP_F_GFIN) && f->up.used)
		orphan(f);
	else
		tcp_kill(f, !tcp_has(f, TCP_F_GFIN));
	tcp_begin(n, s);
}

static void take_syn(struct tcp_flow *f, const struct tcp_in *s)
{
	if (f->state == TCP_SYN_RCVD && s->seq + 1 == f->rcv_nxt)
		tcp_send_syn(f);
	else if (s->flags & TCP_ACK)
		ack_now(f);
	else if (f->state == TCP_SYN_RCVD && !f->active)
		replace(f, s);
	else if (is_closing(f) && seq_le(f->rcv_nxt, s->seq))
		replace(f, s);
	else
		ack_now(f);
}

/* ---- data ---------------------------------------------------------------- */

static bool in_window(const struct tcp_flow *f, const struct tcp_in *s)
{
	uint32_t len = (uint32_t)s->p->payload.len + !!(s->flags & TCP_FIN);

	if (s->seq == f->rcv_nxt)
		return true;
	if (!len)
		return seq_lt(f->rcv_nxt, s->seq) && seq_le(s->seq, f->rcv_adv);
	return seq_lt(s->seq, f->rcv_adv) && seq_lt(f->rcv_nxt, s->seq + len);
}

/* Cut @data to what is new and within the window; false when it is in bits. */
static bool cut(const struct tcp_flow *f, const struct tcp_in *s,
                struct iov *data, bool *fin)
{
	uint32_t old = f->rcv_nxt - s->seq;
	uint32_t room =
		seq_lt(f->rcv_nxt, f->rcv_adv) ? f->rcv_adv - f->rcv_nxt : 0;

	if (seq_lt(f->rcv_nxt, s->seq))
		return false;
	iov_skip(data, MIN(old, data->len));
	if (data->len > room) {
		iov_keep(data, room);
		*fin = false;
	}
	return true;
}

static void take_data(struct tcp_flow *f, struct tcp_got *g,
                      const struct tcp_in *s)
{
	struct iov *data = &s->p->payload;
	bool fin = s->flags & TCP_FIN;

	if (!data->len && !fin)
		return;
	f->flags |= TCP_F_ACK;
	/* After its FIN the guest has nothing to say. */
	if (tcp_has(f, TCP_F_GFIN) || g->fin)
		return;
	if (!make_place(f->n->tcp, data))
		return;
	if (!cut(f, s, data, &fin)) {
		ack_now(f);
		return;
	}
	f->rcv_nxt += (uint32_t)data->len + fin;
	g->fin = fin;
	if (data->len)
		note(f->n->tcp, g, data);
}

/* ---- by state ------------------------------------------------------------ */

/* The SYN's retransmissions have no answer yet. */
static void in_dialling(struct tcp_flow *f, struct tcp_in *s)
{
	if (s->flags & TCP_RST) {
		if (s->seq == f->rcv_nxt)
			tcp_kill(f, /* reset= */ false);
	} else if ((s->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
		f->rcv_nxt = f->rcv_adv = s->seq + 1;
		tcp_options(f, s->p);
	}
}

static void in_syn_sent(struct tcp_flow *f, struct tcp_in *s)
{
	bool ack = s->flags & TCP_ACK;

	if (ack && s->ack != f->snd_nxt) {
		tcp_refuse(f->n, s);
		return;
	}
	if (s->flags & TCP_RST) {
		if (ack)
			tcp_give_up(f, -ECONNREFUSED);
		return;
	}
	if (!(s->flags & TCP_SYN))
		return;
	f->rcv_nxt = f->rcv_adv = s->seq + 1;
	tcp_options(f, s->p);
	f->snd_wnd = s->wnd;
	if (!ack) { /* both call each other */
		tcp_state(f, TCP_SYN_RCVD);
		tcp_send_syn(f);
		return;
	}
	f->snd_una = s->ack;
	f->flags |= TCP_F_ACK;
	(void)got_of(f);
	tcp_established(f);
}

static void in_open(struct tcp_flow *f, struct tcp_in *s)
{
	struct tcp_got *g;

	if (s->flags & TCP_RST) {
		take_reset(f, s);
		return;
	}
	if (s->flags & TCP_SYN) {
		take_syn(f, s);
		return;
	}
	if (!(s->flags & TCP_ACK))
		return;
	g = got_of(f);
	if (!in_window(f, s))
		ack_now(f);
	else if (take_ack(f, s))
		take_data(f, g, s);
}

static void in_syn_rcvd(struct tcp_flow *f, struct tcp_in *s)
{
	bool ack = s->flags & TCP_ACK;

	/* The SYN-ACK of one that called us while we called it. */
	if (f->active && ack && s->flags & TCP_SYN &&
	    s->seq + 1 == f->rcv_nxt && !s->p->payload.len) {
		s->flags &= (uint8_t)~TCP_SYN;
		s->seq++;
	}
	if (s->flags & TCP_RST && f->active && s->seq == f->rcv_nxt) {
		tcp_give_up(f, -ECONNREFUSED);
		return;
	}
	if (ack && !(s->flags & (TCP_SYN | TCP_RST))) {
		if (s->ack != f->snd_nxt) {
			tcp_refuse(f->n, s);
			return;
		}
		if (!in_window(f, s)) {
			ack_now(f);
			return;
		}
		f->snd_una = s->ack;
		f->snd_wnd = (uint32_t)s->wnd << f->scale;
		tcp_established(f);
	}
	in_open(f, s);
}

static void (*const inputs[])(struct tcp_flow *f, struct tcp_in *s) = {
	[TCP_DIALLING] = in_dialling, [TCP_SYN_SENT] = in_syn_sent,
	[TCP_SYN_RCVD] = in_syn_rcvd, [TCP_HELD] = in_open,
	[TCP_OPEN] = in_open,
};
_Static_assert(ARRAY_SIZE(inputs) == TCP_DEAD, "each live state has an input");

/* A SYN of no flow begins one; all else is news of a connection long gone. */
static void without_flow(struct net *n, const struct tcp_in *s)
{
	const unsigned all = TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN;

	if ((s->flags & all) == TCP_SYN)
		tcp_begin(n, s);
	else
		tcp_refuse(n, s);
}

void tcp_input(struct net *n, struct pkt *p)
{
	const uint8_t *h = p->head + p->l4;
	struct tuple t = {p->src, p->dst, get_be16(h), get_be16(h + 2)};
	struct tcp_in s = {
		.p = p,
		.seq = get_be32(h + 4),
		.ack = get_be32(h + 8),
		.flags = h[13],
		.wnd = get_be16(h + 14),
	};
	struct flow *f;

	if (!t.gport || !t.pport || addr_kind(&t.peer) == ADDR_MULTICAST) {
		net_bad(n, "TCP to nobody");
		return;
	}
	f = flow_find(&n->tcp->table, &t);
	if (!f) {
		without_flow(n, &s);
		return;
	}
	inputs[container_of(f, struct tcp_flow, f)->state](
		container_of(f, struct tcp_flow, f), &s);
}
