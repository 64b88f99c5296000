#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/num.h"
#include "tls/flow.h"

#include "base/banned.h"

#define DROP_MAX (16u * RELAY_CHUNK) /* a turn, in CLOSING */
#define ROOMS    8

/* ---- out ----------------------------------------------------------------- */

static size_t pending(const struct tls_flow *f, enum side to)
{
	return f->relay->out[to].len - f->skip[to];
}

/*
 * Moving what is left to the front costs: not more often than it halves. But
 * small remains always move, for relays look at out[].len.
 */
static void consume(struct tls_flow *f, enum side to)
{
	struct buf *out = &f->relay->out[to];
	size_t was;

	if (pending(f, to) > 4 * RELAY_HIGH && f->skip[to] < out->len / 2)
		return;
	was = out->len;
	buf_consume(out, f->skip[to]);
	if (f->skip[to]) /* it had values in it, perhaps */
		explicit_bzero(out->data + out->len, was - out->len);
	f->skip[to] = 0;
	if (out->len == 0 && out->cap > 4 * RELAY_HIGH)
		buf_release(out); /* a body that was held */
}

/* Hand out[] to the end, as much as it takes; nobody there: away with it. */
static void drain(struct tls_flow *f, enum side to)
{
	struct end *e = &f->end[to];
	struct buf *out = &f->relay->out[to];
	ssize_t n = 0;

	if (e->finished)
		e->deaf = true;
	while (!e->deaf && pending(f, to) > 0) {
		n = end_write(e, out->data + f->skip[to], pending(f, to));
		if (n == -EAGAIN)
			break;
		if (n <= 0)
			e->deaf = true;
		else
			f->skip[to] += (size_t)n;
	}
	if (e->deaf)
		f->skip[to] = out->len;
	consume(f, to);
}

static void flush(struct tls_flow *f, enum side to)
{
	struct end *e = &f->end[to];
	int r = e->deaf ? 0 : end_flush(e);

	if (r < 0 && r != -EAGAIN) {
		e->deaf = true;
		buf_reset(&e->wire);
	}
}

/* ---- in ------------------------------------------------------------------ */

static bool wants(const struct tls_flow *f, enum side from)
{
	const struct relay *r = f->relay;

	return !r->ops->wants || r->ops->wants(r, from);
}

/* A client that reads our certificate to the end, and then has no request. */
static void guest_left(struct tls_flow *f)
{
	if (f->gate.tls && !f->seen[SIDE_GUEST] && !f->seen[SIDE_SERVER] &&
	    f->active_ns - f->secure_ns < FLOW_QUICK_NS)
		sink_say(&f->tls->sink, TLSLINK_NOTE, false,
		         "%s: the client in the sandbox closed right after "
		         "the handshake; if it pins certificates, "
		         "--tls-bypass %s lets it pass without secrets",
		         flow_who(f), flow_who(f));
}

/* @n of end_read(): 0, or not -EAGAIN. */
static int ended(struct tls_flow *f, enum side from, ssize_t n)
{
	struct end *e = &f->end[from];
	int r;

	e->ended = true;
	f->clean[from] = n == 0;
	if (n < 0 && n != -ENODATA) {
		if (from == SIDE_GUEST && n == -EPROTO && !f->seen[from])
			flow_guest_failed(f, (int)n);
		if (from == SIDE_SERVER && n == -EPROTO && !f->seen[from])
			flow_server_failed(f, (int)n);
		return -ECONNABORTED;
	}
	if (from == SIDE_GUEST)
		guest_left(f);
	r = f->relay->ops->eof(f->relay, from);
	f->kept[from] = r > 0;
	return r < 0 && r != -ESHUTDOWN ? -ECONNABORTED : r;
}

/* One direction. FLOW_AGAIN: there is more, but it is others' turn. */
static int pump_by(struct tls_flow *f, enum side from,
                   uint8_t chunk[RELAY_CHUNK], size_t *used)
{
	enum side to = side_other(from);
	struct end *e = &f->end[from];
	int r;

	for (unsigned reads = 0;; reads++) {
		ssize_t n;

		if (pending(f, to) >= RELAY_CHUNK)
			drain(f, to);
		if (e->ended || pending(f, to) >= RELAY_HIGH || !wants(f, from))
			return FLOW_WAIT;
		if (reads == FLOW_READS)
			return FLOW_AGAIN;
		n = end_read(e, chunk, RELAY_CHUNK);
		if (n == -EAGAIN)
			return FLOW_WAIT;
		if (n > 0)
			f->seen[from] = true;
		*used = MAX(*used, (size_t)MAX(n, 0));
		r = n > 0 ? f->relay->ops->input(f->relay, from, chunk,
		                                 (size_t)n)
		          : ended(f, from, n);
		if (r < 0)
			return r;
	}
}

/* A server that tells us a value again does not leave it on our stack. */
static int pump(struct tls_flow *f, enum side from)
{
	uint8_t chunk[RELAY_CHUNK];
	size_t used = 0;
	int r = pump_by(f, from, chunk, &used);

	explicit_bzero(chunk, used);
	return r;
}

/* Out goes what can; a relay that had to wait for room puts in more. */
static int settle(struct tls_flow *f)
{
	struct relay *r = f->relay;

	for (unsigned i = 0; i < ROOMS; i++) {
		size_t before;
		int e;

		drain(f, SIDE_GUEST);
		drain(f, SIDE_SERVER);
		if (!r->ops->room)
			return FLOW_WAIT;
		before = r->out[SIDE_GUEST].len + r->out[SIDE_SERVER].len;
		e = r->ops->room(r);
		if (e < 0)
			return e;
		if (r->out[SIDE_GUEST].len + r->out[SIDE_SERVER].len == before)
			return FLOW_WAIT;
	}
	return FLOW_AGAIN;
}

/* ---- half-closes --------------------------------------------------------- */

/* What came from @from is all sent: tell the other side that it has ended. */
static void pass_end(struct tls_flow *f, enum side from)
{
	enum side to = side_other(from);

	if (f->end[from].ended && !f->kept[from] && pending(f, to) == 0 &&
	    !f->end[to].deaf)
		(void)end_finish(&f->end[to], f->clean[from]);
}

/* Nothing that could still come would reach anybody. */
static bool over(const struct tls_flow *f)
{
	const struct end *g = &f->end[SIDE_GUEST], *s = &f->end[SIDE_SERVER];
	bool up = g->ended && (s->finished || s->deaf);
	bool down = s->ended && (g->finished || g->deaf);

	/* What is not read of it waits for answers that nobody takes. */
	if (g->gone && !g->ended && !wants(f, SIDE_GUEST) &&
	    pending(f, SIDE_SERVER) == 0 && s->wire.len == 0)
		return true;
	return (up && down) || (up && g->deaf && !g->finished) ||
	       (down && s->deaf && !s->finished) || (up && g->gone) ||
	       (down && s->gone);
}

/* ---- steps --------------------------------------------------------------- */

/* Could @from be read, though nothing will wake us for it? */
static bool stalled(const struct tls_flow *f, enum side from)
{
	const struct end *e = &f->end[from];

	return !e->ended && !e->waits &&
	       pending(f, side_other(from)) < RELAY_HIGH && wants(f, from);
}

int flow_step_relay(struct tls_flow *f)
{
	int up, down, r;

	up = pump(f, SIDE_GUEST);
	down = up < 0 ? up : pump(f, SIDE_SERVER);
	r = down < 0 ? down : settle(f);
	if (r == -ESHUTDOWN)
		return flow_close(f, !(f->end[SIDE_SERVER].ended &&
		                       !f->clean[SIDE_SERVER]));
	if (r < 0)
		return r;
	flush(f, SIDE_GUEST);
	flush(f, SIDE_SERVER);
	pass_end(f, SIDE_GUEST);
	pass_end(f, SIDE_SERVER);
	if (over(f))
		return FLOW_DONE;
	if (up == FLOW_AGAIN || down == FLOW_AGAIN || r == FLOW_AGAIN ||
	    stalled(f, SIDE_GUEST) || stalled(f, SIDE_SERVER))
		return FLOW_AGAIN;
	return FLOW_WAIT;
}

/* True: all is out, and the end was told. */
static bool close_side(struct tls_flow *f, enum side to)
{
	struct end *e = &f->end[to];

	if (f->relay) {
		drain(f, to);
		if (pending(f, to) > 0)
			return false;
	}
	flush(f, to);
	return e->deaf || end_finish(e, f->shut) == 0;
}

/* True: the other side has ended, too, or is not worth waiting for. */
static bool drop(struct end *e)
{
	uint8_t chunk[RELAY_CHUNK];

	for (size_t n = 0; n < DROP_MAX; n += sizeof(chunk)) {
		ssize_t got = recv(e->source.fd, chunk, sizeof(chunk), 0);

		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			return e->eof = true;
		if (got < 0)
			break;
	}
	e->want_in = true;
	return e->eof;
}

static size_t undelivered(const struct tls_flow *f, enum side to)
{
	const struct end *e = &f->end[to];

	if (e->deaf || e->finished)
		return 0;
	return e->wire.len + (f->relay ? pending(f, to) : 0);
}

/* Who reads slowly gets all of it, as long as he takes some now and then. */
static void put_off(struct tls_flow *f)
{
	size_t left = undelivered(f, SIDE_GUEST) + undelivered(f, SIDE_SERVER);

	if (left == f->left)
		return;
	f->left = left;
	f->deadline_ns =
		f->active_ns + (left ? FLOW_DELIVER_NS : FLOW_CLOSING_NS);
}

int flow_step_closing(struct tls_flow *f)
{
	bool guest = close_side(f, SIDE_GUEST);
	bool server = close_side(f, SIDE_SERVER);

	put_off(f);
	guest = drop(&f->end[SIDE_GUEST]) && guest;
	server = drop(&f->end[SIDE_SERVER]) && server;
	/* The guest's answer is what this is for; servers close soon. */
	return guest && server ? FLOW_DONE : FLOW_WAIT;
}
