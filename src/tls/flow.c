#include "tls/flow.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/num.h"
#include "policy/policy.h"

#include "base/banned.h"

static void turn(struct tls_flow *f, enum side side, uint32_t events);

/* ---- words --------------------------------------------------------------- */

void flow_refused(struct tls_flow *f, const char *fmt, ...)
{
	char text[TLSLINK_TEXT_MAX];
	va_list ap;

	if (f->told)
		return;
	f->told = true;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sink_say(&f->tls->sink, TLSLINK_REFUSED, false, "%s", text);
}

void flow_distrusted(struct tls_flow *f, const char *how)
{
	flow_refused(f,
	             "%s: the client in the sandbox does not trust the "
	             "sandbox's CA (%s): it has its own list of certificates "
	             "or pins them; --tls-bypass %s lets it pass without "
	             "secrets, or give it /.msb/ca.pem",
	             flow_who(f), how, flow_who(f));
}

/* ---- lists --------------------------------------------------------------- */

static bool in_handshake(const struct tls_flow *f)
{
	return f->state > FLOW_WAITS && f->state < FLOW_RELAY;
}

static void again_remove(struct tls_flow *f)
{
	struct tls_flow **p = &f->tls->again;

	while (*p && *p != f)
		p = &(*p)->again_next;
	if (*p)
		*p = f->again_next;
	f->in_again = false;
}

static void waiting_remove(struct tls_flow *f)
{
	struct tls_flow **p = &f->tls->waiting;

	while (*p && *p != f)
		p = &(*p)->waiting_next;
	if (*p)
		*p = f->waiting_next;
}

static void on_soon(void *arg)
{
	struct tls *t = arg;
	struct tls_flow *last = t->again;

	/* Those that come while we are at it are for the next round. */
	while (last && last->again_next)
		last = last->again_next;
	while (t->again) {
		struct tls_flow *f = t->again;
		bool end = f == last;

		t->again = f->again_next;
		f->in_again = false;
		turn(f, SIDE_GUEST, 0);
		if (end)
			break;
	}
	if (t->again)
		loop_timer_set(t->loop, &t->soon, 0, on_soon, t);
}

/* At the end of the list: everybody gets a turn. */
static void again_add(struct tls_flow *f)
{
	struct tls *t = f->tls;
	struct tls_flow **p = &t->again;

	if (f->in_again)
		return;
	while (*p)
		p = &(*p)->again_next;
	*p = f;
	f->again_next = NULL;
	f->in_again = true;
	if (!t->soon.armed)
		loop_timer_set(t->loop, &t->soon, 0, on_soon, t);
}

static void state_set(struct tls_flow *f, enum flow_state s)
{
	f->tls->nhandshakes -= in_handshake(f);
	f->state = s;
	f->tls->nhandshakes += in_handshake(f);
}

/* ---- end ----------------------------------------------------------------- */

static void flow_free(struct tls_flow *f)
{
	struct tls *t = f->tls;

	if (f->in_again)
		again_remove(f);
	if (f->state == FLOW_WAITS)
		waiting_remove(f);
	state_set(f, FLOW_CLOSING);
	if (f->next)
		f->next->link = f->link;
	*f->link = f->next;
	t->nflows--;
	end_close(&f->end[SIDE_GUEST], t->loop);
	end_close(&f->end[SIDE_SERVER], t->loop);
	flow_connect_free(f->connect);
	if (f->relay) {
		f->relay->ops->free(f->relay);
		f->relay = NULL;
	}
	free(f->offer);
	free(f);
}

static void flow_cut(struct tls_flow *f)
{
	link_send_abort(f->tls->link, f->id);
	end_reset(&f->end[SIDE_SERVER], f->tls->loop);
	flow_free(f);
}

int flow_close(struct tls_flow *f, bool clean)
{
	f->shut = clean;
	f->deadline_ns = clock_now_ns() + FLOW_CLOSING_NS;
	state_set(f, FLOW_CLOSING);
	return FLOW_NEXT;
}

int flow_relay(struct tls_flow *f, struct relay *r)
{
	if (!r)
		return -ENOMEM;
	f->relay = r;
	f->deadline_ns = 0;
	f->secure_ns = clock_now_ns();
	free(take_ptr(f->offer));
	f->offer_len = 0;
	state_set(f, FLOW_RELAY);
	return FLOW_NEXT;
}

/* ---- turns --------------------------------------------------------------- */

static void on_guest(void *arg, uint32_t events)
{
	turn(arg, SIDE_GUEST, events);
}

static void on_server(void *arg, uint32_t events)
{
	turn(arg, SIDE_SERVER, events);
}

/* A place is free: who waits longest begins. */
static void start_waiting(struct tls *t);

static int (*const steps[FLOW_STATES])(struct tls_flow *f) = {
	[FLOW_CONNECT] = flow_step_connect, [FLOW_HELLO] = flow_step_hello,
	[FLOW_SERVER] = flow_step_server,   [FLOW_GUEST] = flow_step_guest,
	[FLOW_RELAY] = flow_step_relay,     [FLOW_CLOSING] = flow_step_closing,
};

static int watch(struct tls_flow *f)
{
	struct loop *l = f->tls->loop;
	int r = end_watch(&f->end[SIDE_GUEST], l, on_guest, f);

	return r < 0 ? r : end_watch(&f->end[SIDE_SERVER], l, on_server, f);
}

/* May free @f. */
static void turn(struct tls_flow *f, enum side side, uint32_t events)
{
	struct tls *t = f->tls;
	int r;

	end_turn(&f->end[side], events);
	end_turn(&f->end[side_other(side)], 0);
	f->active_ns = clock_now_ns();
	f->idle = false;
	/* Nobody is there any more whom a wait could help. */
	if (f->state == FLOW_WAITS)
		r = f->end[SIDE_GUEST].gone ? FLOW_DONE : FLOW_WAIT;
	else
		do {
			r = steps[f->state](f);
		} while (r == FLOW_NEXT);
	/* What epoll waits for stays as it was for the one that goes on. */
	if (r == FLOW_AGAIN)
		again_add(f);
	else if (r == FLOW_WAIT)
		r = watch(f);
	if (r == FLOW_DONE)
		flow_free(f);
	else if (r < 0)
		flow_cut(f);
	start_waiting(t);
}

/* ---- beginning ----------------------------------------------------------- */

static int begin(struct tls_flow *f)
{
	uint64_t limit = f->tls->handshake_ns;
	bool connect = f->kind == TLSLINK_CONNECT;

	f->deadline_ns = clock_now_ns() + (limit ? limit : FLOW_HANDSHAKE_NS);
	state_set(f, connect ? FLOW_CONNECT : FLOW_HELLO);
	return connect ? flow_connect_begin(f) : flow_hello_begin(f);
}

/* Their turns are later: one that ends at once must not start the next. */
static void start_waiting(struct tls *t)
{
	while (t->waiting && t->nhandshakes < FLOW_HANDSHAKES) {
		struct tls_flow *f = t->waiting;

		t->waiting = f->waiting_next;
		if (begin(f) < 0) { /* what its steps need is not there */
			link_send_abort(t->link, f->id);
			(void)flow_close(f, false);
		}
		again_add(f);
	}
}

static void waiting_add(struct tls_flow *f)
{
	struct tls_flow **p = &f->tls->waiting;

	while (*p)
		p = &(*p)->waiting_next;
	*p = f;
}

/* What the link says, as if the guest had said it. */
static int check(const struct tls *t, const struct tlslink_flow *m)
{
	char name[POLICY_NAME_MAX + 1];

	if (m->type != TLSLINK_FLOW || m->id == 0 || m->port == 0 ||
	    (m->kind != TLSLINK_TLS && m->kind != TLSLINK_CONNECT) ||
	    m->pinned > 1 || !memchr(m->name, '\0', sizeof(m->name)))
		return -EINVAL;
	if (m->name[0] &&
	    (policy_name(m->name, name) < 0 || strcmp(name, m->name) != 0))
		return -EINVAL;
	return t->nflows < TLS_FLOWS_MAX ? 0 : -EMFILE;
}

/*
 * An address as the name (CONNECT 192.0.2.1:443) is none, and mostly comes as
 * none, with that address as the peer's: no secret is for it, and the
 * certificate must be the address's.
 */
static void fill(struct tls_flow *f, const struct tlslink_flow *m)
{
	struct addr a;

	memcpy(a.b, m->peer, sizeof(a.b));
	f->id = m->id;
	f->kind = m->kind;
	f->gate.told = f->noted;
	f->gate.port = m->port;
	f->gate.pinned = m->pinned;
	if (m->kind == TLSLINK_CONNECT && addr_parse(m->name, &a) == 0)
		f->gate.pinned = false;
	else
		memcpy(f->gate.name, m->name, sizeof(f->gate.name));
	(void)addr_text(&a, f->ip);
}

static void no_delay(int fd)
{
	int one = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void on_sweep(void *arg);

static void enlist(struct tls_flow *f)
{
	struct tls *t = f->tls;

	f->link = &t->flows;
	f->next = t->flows;
	if (f->next)
		f->next->link = &f->next;
	t->flows = f;
	t->nflows++;
	if (!t->sweep.armed)
		loop_timer_set(t->loop, &t->sweep,
		               clock_now_ns() + FLOW_SWEEP_NS, on_sweep, t);
}

int flow_start(struct tls *t, const struct tlslink_flow *m, int guest_fd,
               int server_fd)
{
	cleanup_close int g = guest_fd, s = server_fd;
	struct tls_flow *f = NULL;
	int r = check(t, m), r2;

	if (r == 0) {
		f = calloc(1, sizeof(*f));
		r = f ? 0 : -ENOMEM;
	}
	if (r < 0) {
		link_send_abort(t->link, m->id);
		return r;
	}
	f->tls = t;
	fill(f, m);
	no_delay(s);
	r = end_init(&f->end[SIDE_GUEST], take_fd(g));
	r2 = end_init(&f->end[SIDE_SERVER], take_fd(s));
	f->deadline_ns = clock_now_ns() + FLOW_HANDSHAKE_NS;
	enlist(f);
	waiting_add(f);
	r = r < 0 ? r : r2;
	if (r == 0)
		r = watch(f);
	if (r < 0)
		flow_cut(f);
	else
		start_waiting(t);
	return r;
}

void flow_end_all(struct tls *t)
{
	while (t->flows)
		flow_free(t->flows);
	loop_timer_del(t->loop, &t->sweep);
	loop_timer_del(t->loop, &t->soon);
}

/* ---- time ---------------------------------------------------------------- */

static void late(struct tls_flow *f)
{
	if (f->state == FLOW_SERVER) {
		flow_hello_late(f);
		turn(f, SIDE_GUEST, 0);
	} else if (f->state == FLOW_CLOSING) {
		flow_free(f);
	} else {
		if (f->state == FLOW_WAITS)
			flow_refused(f,
			             "%s: too many connections are in their "
			             "handshakes",
			             flow_who(f));
		flow_cut(f);
	}
}

static void idle(struct tls_flow *f)
{
	f->idle = true;
	for (int s = 0; s < 2; s++) {
		end_idle(&f->end[s]);
		if (f->relay->out[s].len == 0)
			buf_release(&f->relay->out[s]);
	}
}

static void on_sweep(void *arg)
{
	struct tls *t = arg;
	uint64_t now = clock_now_ns();

	for (struct tls_flow *f = t->flows, *next; f; f = next) {
		next = f->next;
		if (f->deadline_ns && now >= f->deadline_ns)
			late(f);
		else if (f->state == FLOW_RELAY && !f->idle &&
		         now - f->active_ns > FLOW_IDLE_NS)
			idle(f);
	}
	start_waiting(t);
	if (t->flows)
		loop_timer_set(t->loop, &t->sweep, now + FLOW_SWEEP_NS,
		               on_sweep, t);
}
