/*
 * tcp.c - flows as a whole: their memory, timers and turns.
 *
 * Theory
 *
 * The guest opens a connection to anywhere. We are its other end: an endpoint
 * that has every address. Behind it is a socket of the host, which the policy
 * let us connect first; only then the guest's SYN is answered. So refusal,
 * silence and unreachable networks are the guest's to see as they are.
 *
 *	guest --segments--> tcp_in.c --sendmsg--> socket   (the rest: ring up)
 *	guest <--segments-- tcp_out.c <--readv--- socket   (kept: ring down)
 *
 * The link between the guest and us is memory: it neither reorders nor
 * corrupts, and a full receive queue makes us wait (-EAGAIN) instead of
 * losing. But the guest's kernel may drop what it got. So there is no
 * congestion window, no SACK and no timestamps; there is a retransmission
 * timer, fast retransmission after three duplicate ACKs, and a probe of closed
 * windows. From the guest only what comes in order is taken.
 *
 * States (tcp_int.h): DIALLING, SYN_RCVD, perhaps HELD, OPEN; SYN_SENT where we
 * call the guest (published ports). What TCP calls FIN-WAIT, CLOSE-WAIT and so
 * on are flags of OPEN, one set for each half: the guest's FIN is passed on
 * when all before it was written, the host's end becomes our FIN when all
 * before it was sent; when both are done the flow is gone. There is no
 * TIME-WAIT: a SYN that meets a flow which is closing takes its place.
 *
 * A batch is up to 64 frames. Their payload is not copied: what arrives in
 * order is noted, and when the batch ends each flow's share goes out with one
 * sendmsg() from the frames themselves, and one ACK goes back. What the socket
 * does not take is copied to `up`; the window that the guest sees is what `up`
 * has left, so nothing that was acknowledged is ever dropped.
 *
 * Nobody starves: a turn reads and sends TCP_TURN_BYTES at most, then the flow
 * goes to the end of the ready list, as do those that find no room in the link.
 *
 * Memory: an idle flow is struct tcp_flow and its place in the table; rings
 * exist while they hold something, and share TCP_RING_MAX (ring.h).
 *
 * A flow that dies is out of every list at once, and freed when the turn ends,
 * so callers on the way out may still ask for its state.
 */
#include "net/tcp_int.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/num.h"

#include "base/banned.h"

static void on_sweep(struct wheel_timer *w);

/* ---- the list of those that wait for a turn ------------------------------ */

void tcp_unready(struct tcp_flow *f)
{
	struct tcp *t = f->n->tcp;

	if (!tcp_has(f, TCP_F_READY))
		return;
	*(f->ready.prev ? &f->ready.prev->ready.next : &t->ready) =
		f->ready.next;
	*(f->ready.next ? &f->ready.next->ready.prev : &t->ready_last) =
		f->ready.prev;
	f->flags &= (uint16_t) ~(TCP_F_READY | TCP_F_LINK);
	t->nready--;
}

static void run_ready(struct tcp *t)
{
	for (unsigned turns = t->nready; turns && t->ready; turns--) {
		struct tcp_flow *f = t->ready;

		tcp_unready(f);
		tcp_push(f);
		tcp_settle(f);
		if (tcp_has(f, TCP_F_LINK))
			return;
	}
}

static void on_turn(void *arg)
{
	struct tcp *t = arg;

	run_ready(t);
	tcp_turn_end(t->n);
}

/* It goes on in the next round, or (@link) when the link has room. */
void tcp_ready(struct tcp_flow *f, bool link)
{
	struct tcp *t = f->n->tcp;

	if (f->state != TCP_OPEN && f->state != TCP_HELD)
		return;
	f->flags |= link ? TCP_F_LINK : 0;
	if (!link && !t->turn.armed)
		loop_timer_set(t->n->loop, &t->turn, clock_now_ns(), on_turn,
		               t);
	if (tcp_has(f, TCP_F_READY))
		return;
	f->flags |= TCP_F_READY;
	f->ready.next = NULL;
	f->ready.prev = t->ready_last;
	*(t->ready_last ? &t->ready_last->ready.next : &t->ready) = f;
	t->ready_last = f;
	t->nready++;
}

void tcp_writable(struct net *n)
{
	run_ready(n->tcp);
	tcp_turn_end(n);
}

/* ---- timers -------------------------------------------------------------- */

static void late_open(struct tcp_flow *f)
{
	bool blocked = tcp_has(f, TCP_F_LINK);

	f->flags &= (uint16_t)~TCP_F_STARVED;
	if (blocked || (!tcp_in_flight(f) && !tcp_unsent(f)))
		return;
	if (f->tries++ >= TCP_TRIES) {
		tcp_abort(f);
		return;
	}
	if (!f->snd_wnd) {
		tcp_probe(f);
	} else if (tcp_in_flight(f)) {
		f->flags |= TCP_F_LOST;
		f->recover = f->snd_nxt;
		tcp_resend(f, f->mss);
	}
}

static void (*const late[])(struct tcp_flow *f) = {
	[TCP_DIALLING] = tcp_begin_late, [TCP_SYN_SENT] = tcp_begin_late,
	[TCP_SYN_RCVD] = tcp_begin_late, [TCP_HELD] = tcp_begin_late,
	[TCP_OPEN] = late_open,
};
_Static_assert(ARRAY_SIZE(late) == TCP_DEAD, "each live state has a timer");

static void on_timer(struct wheel_timer *w)
{
	struct tcp_flow *f = container_of(w, struct tcp_flow, timer);
	struct net *n = f->n;

	if (!f->deadline_ns)
		return;
	if (net_now(n) < f->deadline_ns) {
		wheel_set(&n->wheel, w, f->deadline_ns, on_timer);
		return;
	}
	f->deadline_ns = 0;
	late[f->state](f);
	tcp_push(f);
	tcp_settle(f);
	tcp_turn_end(n);
}

/* A later deadline costs nothing: the wheel's timer is moved when it rings. */
void tcp_timer(struct tcp_flow *f, uint64_t in_ns)
{
	f->deadline_ns = net_now(f->n) + in_ns;
	if (!wheel_is_set(&f->timer) ||
	    f->timer.tick * WHEEL_TICK_NS > f->deadline_ns + WHEEL_TICK_NS)
		wheel_set(&f->n->wheel, &f->timer, f->deadline_ns, on_timer);
}

void tcp_timer_fit(struct tcp_flow *f)
{
	uint64_t in = TCP_RTO_NS << MIN(f->tries, 8);

	if (f->state != TCP_OPEN)
		return;
	if (tcp_has(f, TCP_F_STARVED))
		in = TCP_STARVED_NS;
	else if (!tcp_in_flight(f) && !tcp_unsent(f))
		f->deadline_ns = in = 0;
	if (in && !f->deadline_ns)
		tcp_timer(f, MIN(in, TCP_RTO_MAX_NS));
}

/* ---- life and death ------------------------------------------------------ */

struct tcp_flow *tcp_flow_new(struct net *n, const struct tuple *t, int *ret_r)
{
	struct tcp_flow *f = calloc(1, sizeof(*f));

	*ret_r = -ENOMEM;
	if (!f)
		return NULL;
	f->n = n;
	f->sock.fd = -1;
	*ret_r = flow_add(&n->tcp->table, &f->f, t, net_now(n));
	if (*ret_r < 0) {
		free(f);
		return NULL;
	}
	atomic_fetch_add_explicit(&n->counters.open, 1, memory_order_relaxed);
	if (!wheel_is_set(&n->tcp->sweep))
		wheel_set(&n->wheel, &n->tcp->sweep, net_now(n) + TCP_SWEEP_NS,
		          on_sweep);
	return f;
}

void tcp_state(struct tcp_flow *f, enum tcp_state state)
{
	struct tcp *t = f->n->tcp;

	t->half -= f->half;
	f->half = state == TCP_DIALLING || state == TCP_SYN_SENT;
	t->half += f->half;
	f->state = (uint8_t)state;
}

static bool is_opening(const struct tcp_flow *f)
{
	return f->active &&
	       (f->state == TCP_SYN_SENT || f->state == TCP_SYN_RCVD);
}

static void close_socket(struct tcp_flow *f, bool reset)
{
	const struct linger now = {.l_onoff = 1};

	if (reset && f->sock.fd >= 0)
		(void)setsockopt(f->sock.fd, SOL_SOCKET, SO_LINGER, &now,
		                 sizeof(now));
	/* Made here; what others get a copy of is replaced (intercept.c). */
	loop_close_sole(f->n->loop, &f->sock);
}

static void bury(struct tcp_flow *f, bool reset)
{
	struct net *n = f->n;
	struct tcp *t = n->tcp;

	tcp_unready(f);
	if (f->state == TCP_DIALLING)
		dial_cancel(f->dial);
	wheel_del(&n->wheel, &f->timer);
	ring_clear(&t->pool, &f->up);
	ring_clear(&t->pool, &f->down);
	if (f->slot)
		intercept_gone(f);
	clear_free(f->clear);
	f->clear = NULL;
	close_socket(f, reset);
	if (tcp_has(f, TCP_F_PINNED))
		pins_drop(n->pins, &f->f.t.peer, net_now(n));
	flow_del(&t->table, &f->f);
	atomic_fetch_sub_explicit(&n->counters.open, 1, memory_order_relaxed);
	tcp_state(f, TCP_DEAD);
	f->f.next = t->dead;
	t->dead = &f->f;
}

/* The client's socket stays with who called tcp_open(). */
void tcp_give_up(struct tcp_flow *f, int error)
{
	void (*done)(void *arg, int error) = f->opener.done;
	void *arg = f->opener.arg;

	f->sock.fd = -1;
	bury(f, false);
	done(arg, error);
}

void tcp_kill(struct tcp_flow *f, bool reset)
{
	if (f->state == TCP_DEAD)
		return;
	if (is_opening(f))
		tcp_give_up(f, -ECONNRESET);
	else
		bury(f, reset);
}

void tcp_abort(struct tcp_flow *f)
{
	if (f->state == TCP_DEAD)
		return;
	tcp_send_reset(f);
	tcp_kill(f, true);
}

/* A batch still has its flows by their addresses; its end comes here, too. */
static void reap(struct tcp *t)
{
	while (t->dead && !t->ngot) {
		struct flow *f = t->dead;

		t->dead = f->next;
		free(container_of(f, struct tcp_flow, f));
	}
}

void tcp_turn_end(struct net *n)
{
	reap(n->tcp);
	net_turn_end(n);
}

/*
 * The kernel looks after flows that stay: a dead peer becomes a reset. Those
 * that are over within a sweep never pay for it.
 */
static void watch_over(struct tcp_flow *f)
{
	if (f->watched || f->state != TCP_OPEN)
		return;
	dial_keep_alive(f->sock.fd);
	f->watched = true;
}

/*
 * Half-closed and without a word for an hour: nobody is there. The open ones
 * are the kernel's to probe.
 */
static void on_sweep(struct wheel_timer *w)
{
	struct tcp *t = container_of(w, struct tcp, sweep);
	uint64_t now = net_now(t->n);
	struct flow *f = t->table.oldest, *newer;

	for (; f && f->used_ns + TCP_HALF_NS <= now; f = newer) {
		struct tcp_flow *tf = container_of(f, struct tcp_flow, f);

		newer = f->newer;
		if (tf->flags & (TCP_F_GFIN | TCP_F_EOF))
			tcp_abort(tf);
	}
	for (f = t->table.oldest; f; f = f->newer)
		watch_over(container_of(f, struct tcp_flow, f));
	if (t->table.n)
		wheel_set(&t->n->wheel, w, now + TCP_SWEEP_NS, on_sweep);
	tcp_turn_end(t->n);
}

void tcp_reset(struct net *n)
{
	struct tcp *t = n->tcp;
	struct flow *f = t->table.oldest, *newer;

	t->ngot = t->nseg = t->niov = 0;
	for (unsigned i = t->table.n; i && f; i--, f = newer) {
		newer = f->newer;
		tcp_kill(container_of(f, struct tcp_flow, f), false);
	}
	reap(t);
}

int tcp_new(struct net *n, struct tcp **ret)
{
	struct tcp *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->n = n;
	r = flow_table_init(&t->table, n->cfg.connections_max);
	if (r == 0 && getrandom(t->key, sizeof(t->key), 0) != sizeof(t->key))
		r = -EIO;
	if (r < 0) {
		flow_table_release(&t->table);
		free(t);
		return r;
	}
	ring_pool_init(&t->pool, TCP_RING_MAX);
	*ret = t;
	return 0;
}

/* Those who wait for tcp_open() are gone already, and hear nothing. */
void tcp_free(struct tcp *t)
{
	if (!t)
		return;
	while (t->table.oldest) {
		struct tcp_flow *f =
			container_of(t->table.oldest, struct tcp_flow, f);

		if (is_opening(f))
			f->sock.fd = -1;
		else if (f->state == TCP_OPEN && !f->first)
			tcp_drain(f);
		bury(f, false);
	}
	t->ngot = 0;
	reap(t);
	wheel_del(&t->n->wheel, &t->sweep);
	loop_timer_del(t->n->loop, &t->turn);
	ring_pool_release(&t->pool);
	flow_table_release(&t->table);
	free(t);
}
