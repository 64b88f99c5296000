/*
 * http2.c - HTTP/2 between a guest and a server, a stream at a time.
 *
 *	guest  <->  session[SIDE_GUEST]   struct h2_stream session[SIDE_SERVER]
 *	            we are its server     half[2]            we are its client
 *
 * nghttp2 does both hops: frames, header compression, windows, and refuses what
 * is against RFC 9113. We map streams, one to one, and decide.
 *
 * What goes through: a session's callbacks put what came into the stream's half
 * and wake the other session, whose provider takes it from there. mem_send() of
 * both is called until out[] is RELAY_HIGH or there is nothing more; never
 * inside of a callback.
 *
 * Backpressure: a sender gets its window back (nghttp2_session_consume) only
 *for bytes that the other session has put into out[], so a half holds at most
 *the stream's window, and all of them the connection's. Exceptions: bodies that
 *are counted before they go on (H2_HELD_MAX), and values that are longer than
 *their placeholders (H2_DATA_MAX).
 *
 * Ends: a stream's end is passed on with its code when what came before it is
 * delivered. A stream is freed when neither session can call for it any more.
 * The connection has no half-closes: when one side has ended, what it began is
 * finished as far as it can be, then -ESHUTDOWN.
 *
 * Floods: the guest's streams are bounded in number; nghttp2 bounds
 *continuation frames, settings, and acknowledgements that are not read; who is
 *sent more than it reads is not read (wants()); streams that are begun and
 *broken, and frames that do nothing, are counted by the second.
 */
#include "tls/http2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#include "base/banned.h"

#define RESETS_BURST     500
#define RESETS_RATE      100
#define IDLE_BURST       10000
#define IDLE_RATE        1000
#define SERVER_FIRST_MAX 100 /* streams, until the server says a number */
#define HEADER_BLOCK_MAX (2 * H2_ANSWER_MAX)

static enum side side_of(const struct h2 *h, const nghttp2_session *session)
{
	return session == h->session[SIDE_GUEST] ? SIDE_GUEST : SIDE_SERVER;
}

void h2_fatal(struct h2 *h, int code)
{
	if (!h->fatal)
		h->fatal = code;
}

/* ---- floods -------------------------------------------------------------- */

static bool bucket_take(struct h2_bucket *b)
{
	uint64_t now = clock_now_ns();
	uint64_t more = (now - b->at_ns) / (NS_PER_S / b->rate);

	if (more) {
		b->at_ns = now;
		b->left = more > b->burst - b->left ? b->burst
		                                    : b->left + (unsigned)more;
	}
	if (b->left == 0)
		return false;
	b->left--;
	return true;
}

static void end_session(struct h2 *h, enum side of, uint32_t code)
{
	if (nghttp2_session_terminate_session(h->session[of], code) ==
	    NGHTTP2_ERR_NOMEM)
		h2_fatal(h, -ENOMEM);
}

void h2_tire(struct h2 *h, enum side from)
{
	if (!bucket_take(&h->resets[from]))
		end_session(h, from, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void idle_frame(struct h2 *h, enum side from)
{
	if (!bucket_take(&h->idle[from]))
		end_session(h, from, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* ---- streams ------------------------------------------------------------- */

static struct h2_stream *stream_new(struct h2 *h, int32_t id)
{
	struct h2_stream *st = calloc(1, sizeof(*st));

	if (!st)
		return NULL;
	st->h = h;
	st->id[SIDE_GUEST] = id;
	st->open[SIDE_GUEST] = true;
	st->prev = h->last;
	*(h->last ? &h->last->next : &h->first) = st;
	h->last = st;
	return st;
}

static void stream_free(struct h2_stream *st)
{
	struct h2 *h = st->h;

	*(st->prev ? &st->prev->next : &h->first) = st->next;
	*(st->next ? &st->next->prev : &h->last) = st->prev;
	h2_request_unhold(st);
	h2_count(h, st->heads, 0);
	for (int i = 0; i < 2; i++) {
		h2_count(h, st->half[i].data.len - st->half[i].at, 0);
		buf_release(&st->half[i].data);
		h2_fields_release(&st->half[i].trailers);
	}
	subst_free(st->subst);
	mask_free(st->mask);
	needle_watch_release(&st->watch);
	secrets_unref(st->secrets);
	h2_fields_release(&st->head);
	h2_fields_release(&st->ready);
	h2_fields_release(&st->from_server);
	free(st);
}

static void free_if_done(struct h2_stream *st)
{
	if (st->open[SIDE_GUEST] || st->open[SIDE_SERVER])
		return;
	h2_half_drop(st, SIDE_GUEST);
	h2_half_drop(st, SIDE_SERVER);
	stream_free(st);
}

void h2_reset(struct h2_stream *st, enum side to, uint32_t code)
{
	if (!st->open[to] || st->reset[to])
		return;
	st->reset[to] = true;
	if (nghttp2_submit_rst_stream(st->h->session[to], NGHTTP2_FLAG_NONE,
	                              st->id[to], code) == NGHTTP2_ERR_NOMEM)
		h2_fatal(st->h, -ENOMEM);
}

void h2_cancel(struct h2_stream *st, uint32_t code)
{
	st->state = H2_LOCAL;
	h2_reset(st, SIDE_GUEST, code);
	h2_reset(st, SIDE_SERVER, NGHTTP2_CANCEL);
	h2_half_drop(st, SIDE_GUEST);
	h2_half_drop(st, SIDE_SERVER);
}

/*
 * The answer is over for the guest, or the server's stream is: what is left of
 * the request is of no use when nobody takes it.
 */
static void end_request(struct h2_stream *st, uint32_t code)
{
	if (st->half[SIDE_SERVER].done && !st->half[SIDE_GUEST].ended &&
	    !st->open[SIDE_SERVER])
		h2_reset(st, SIDE_GUEST, code);
}

static void guest_closed(struct h2_stream *st, uint32_t code)
{
	bool whole = code == NGHTTP2_NO_ERROR && st->half[SIDE_GUEST].ended &&
	             st->half[SIDE_SERVER].done;

	if (!whole && !st->reset[SIDE_GUEST])
		h2_tire(st->h, SIDE_GUEST);
	st->open[SIDE_GUEST] = false;
	h2_half_drop(st, SIDE_SERVER);
	if (!whole) {
		h2_reset(st, SIDE_SERVER,
		         code == NGHTTP2_NO_ERROR ? NGHTTP2_CANCEL : code);
		h2_half_drop(st, SIDE_GUEST);
	}
	free_if_done(st);
}

static void server_closed(struct h2_stream *st, uint32_t code)
{
	struct h2_half *answer = &st->half[SIDE_SERVER];

	st->open[SIDE_SERVER] = false;
	st->h->active--;
	h2_half_drop(st, SIDE_GUEST);
	answer->code = code;
	if (st->state != H2_SENT || !st->open[SIDE_GUEST]) {
		/* nobody cares */
	} else if (answer->ended) {
		end_request(st, code);
	} else if (!st->answered || answer->at == answer->data.len) {
		h2_reset(st, SIDE_GUEST, code);
	} else {
		answer->cut = true;
	}
	free_if_done(st);
}

/* ---- what nghttp2 calls -------------------------------------------------- */

static struct h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
	return id ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

static int on_begin_headers(nghttp2_session *session,
                            const nghttp2_frame *frame, void *arg)
{
	struct h2 *h = arg;
	struct h2_stream *st;

	if (side_of(h, session) != SIDE_GUEST ||
	    frame->hd.type != NGHTTP2_HEADERS ||
	    frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	st = stream_new(h, frame->hd.stream_id);
	if (!st)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	return nghttp2_session_set_stream_user_data(session,
	                                            frame->hd.stream_id, st);
}

static struct h2_fields *fields_of(struct h2_stream *st, enum side from)
{
	if (from == SIDE_GUEST)
		return st->state == H2_HEAD ? &st->head
		                            : &st->half[SIDE_GUEST].trailers;
	return st->answered ? &st->half[SIDE_SERVER].trailers
	                    : &st->from_server;
}

/* Headers of a stream that has ended for us are of no use. */
static bool takes_headers(const struct h2_stream *st, enum side from)
{
	if (!st || st->state == H2_LOCAL || st->reset[from])
		return false;
	if (from == SIDE_SERVER)
		return st->open[SIDE_GUEST];
	return st->state != H2_SENT || st->open[SIDE_SERVER];
}

/* So long that not even an answer is worth reading on for it. */
static bool is_endless(struct h2_fields *f, size_t len)
{
	if (f->large)
		f->beyond += len;
	return f->beyond > H2_BEYOND_MAX;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *arg)
{
	struct h2 *h = arg;
	enum side from = side_of(h, session);
	bool guest = from == SIDE_GUEST;
	struct h2_stream *st = stream_of(session, frame->hd.stream_id);

	if (frame->hd.type != NGHTTP2_HEADERS || !takes_headers(st, from))
		return 0;
	if (is_endless(fields_of(st, from), name_len + value_len))
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return h2_fields_add(fields_of(st, from), name, name_len, value,
	                     value_len, flags & NGHTTP2_NV_FLAG_NO_INDEX,
	                     guest ? H2_HEAD_MAX : H2_ANSWER_MAX,
	                     guest ? H2_HEAD_FIELDS : H2_ANSWER_FIELDS) < 0
	               ? NGHTTP2_ERR_CALLBACK_FAILURE
	               : 0;
}

/* nghttp2 would leave the header out; a guest's request is refused whole. */
static int on_invalid_header(nghttp2_session *session,
                             const nghttp2_frame *frame, const uint8_t *name,
                             size_t name_len, const uint8_t *value,
                             size_t value_len, uint8_t flags, void *arg)
{
	struct h2 *h = arg;
	struct h2_stream *st = stream_of(session, frame->hd.stream_id);

	(void)name, (void)name_len, (void)value, (void)value_len, (void)flags;
	if (st && side_of(h, session) == SIDE_GUEST)
		fields_of(st, SIDE_GUEST)->bad = true;
	return 0;
}

static void guest_headers(struct h2_stream *st, bool ended)
{
	int r;

	if (st->state == H2_HEAD) {
		h2_request_head(st, ended);
		return;
	}
	if (st->half[SIDE_GUEST].trailers.bad) {
		h2_cancel(st, NGHTTP2_PROTOCOL_ERROR);
		return;
	}
	r = h2_trailers_taken(st, SIDE_GUEST);
	if (r < 0)
		h2_request_fail(st, r);
	else if (ended)
		h2_data_end(st, SIDE_GUEST);
}

static void server_headers(struct h2_stream *st, bool ended)
{
	if (!st->answered)
		h2_answer_head(st, ended);
	else if (h2_trailers_taken(st, SIDE_SERVER) < 0)
		h2_cancel(st, NGHTTP2_INTERNAL_ERROR);
	else if (ended)
		h2_data_end(st, SIDE_SERVER);
}

static void on_headers(struct h2 *h, enum side from, const nghttp2_frame *frame)
{
	struct h2_stream *st = stream_of(h->session[from], frame->hd.stream_id);
	bool ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

	if (!st)
		return;
	if (!takes_headers(st, from)) {
		st->half[from].ended |= ended;
		return;
	}
	if (from == SIDE_GUEST)
		guest_headers(st, ended);
	else
		server_headers(st, ended);
}

static void on_data(struct h2 *h, enum side from, const nghttp2_frame *frame)
{
	struct h2_stream *st = stream_of(h->session[from], frame->hd.stream_id);

	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
		if (st)
			h2_data_end(st, from);
	} else if (frame->hd.length == frame->data.padlen) {
		idle_frame(h, from); /* nothing but padding */
	}
}

/* Requests that the server has not begun with are told to be tried again. */
static void leave(struct h2 *h, uint32_t code)
{
	nghttp2_session *guest = h->session[SIDE_GUEST];

	if (h->leaving)
		return;
	h->leaving = true;
	if (nghttp2_submit_goaway(
		    guest, NGHTTP2_FLAG_NONE,
		    nghttp2_session_get_last_proc_stream_id(guest), code, NULL,
		    0) == NGHTTP2_ERR_NOMEM)
		h2_fatal(h, -ENOMEM);
	h2_request_next(h);
}

static void on_server_settings(struct h2 *h)
{
	nghttp2_session *server = h->session[SIDE_SERVER];
	nghttp2_settings_entry entry = {
		NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1};

	h->server_max = nghttp2_session_get_remote_settings(
		server, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
	if (h->tunnels ||
	    nghttp2_session_get_remote_settings(
		    server, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) != 1)
		return;
	h->tunnels = true;
	if (nghttp2_submit_settings(h->session[SIDE_GUEST], NGHTTP2_FLAG_NONE,
	                            &entry, 1) == NGHTTP2_ERR_NOMEM)
		h2_fatal(h, -ENOMEM);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame,
                         void *arg)
{
	struct h2 *h = arg;
	enum side from = side_of(h, session);

	if (frame->hd.type == NGHTTP2_HEADERS)
		on_headers(h, from, frame);
	else if (frame->hd.type == NGHTTP2_DATA)
		on_data(h, from, frame);
	else if (frame->hd.type == NGHTTP2_PRIORITY)
		idle_frame(h, from);
	else if (from == SIDE_GUEST)
		return 0;
	else if (frame->hd.type == NGHTTP2_PUSH_PROMISE)
		end_session(h, from, NGHTTP2_PROTOCOL_ERROR);
	else if (frame->hd.type == NGHTTP2_GOAWAY)
		leave(h, frame->goaway.error_code);
	else if (frame->hd.type == NGHTTP2_SETTINGS &&
	         !(frame->hd.flags & NGHTTP2_FLAG_ACK))
		on_server_settings(h);
	return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id,
                         const uint8_t *data, size_t len, void *arg)
{
	struct h2 *h = arg;

	(void)flags;
	h2_data(h, stream_of(session, id), id, side_of(h, session), data, len);
	return 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame,
                         void *arg)
{
	struct h2 *h = arg;
	enum side to = side_of(h, session);
	struct h2_stream *st = stream_of(session, frame->hd.stream_id);

	if (st && frame->hd.type == NGHTTP2_HEADERS) {
		st->sending[to] = 0;
		h2_count_heads(st);
	}
	if (!st || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
	    (frame->hd.type != NGHTTP2_HEADERS &&
	     frame->hd.type != NGHTTP2_DATA))
		return 0;
	st->half[side_other(to)].done = true;
	if (to == SIDE_GUEST)
		end_request(st, st->half[SIDE_SERVER].code);
	return 0;
}

/* A head that nghttp2 will not send, for its size: the stream has to end. */
static int on_frame_not_send(nghttp2_session *session,
                             const nghttp2_frame *frame, int code, void *arg)
{
	struct h2 *h = arg;
	struct h2_stream *st = stream_of(session, frame->hd.stream_id);

	(void)code;
	if (st && frame->hd.type == NGHTTP2_HEADERS &&
	    side_of(h, session) == SIDE_GUEST)
		h2_cancel(st, NGHTTP2_INTERNAL_ERROR);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code,
                           void *arg)
{
	struct h2 *h = arg;
	struct h2_stream *st = stream_of(session, id);

	if (!st)
		return 0;
	(void)nghttp2_session_set_stream_user_data(session, id, NULL);
	if (side_of(h, session) == SIDE_GUEST)
		guest_closed(st, code);
	else
		server_closed(st, code);
	return 0;
}

/* ---- the relay ----------------------------------------------------------- */

static int pump_side(struct h2 *h, enum side to, bool *progress)
{
	struct buf *out = &h->r.out[to];
	const uint8_t *data;
	size_t before;
	ssize_t n;

	while (out->len < RELAY_HIGH && !h->eof_done[to]) {
		before = out->len;
		n = nghttp2_session_mem_send(h->session[to], &data);
		if (n < 0)
			return n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -ECONNABORTED;
		if (n && buf_add(out, data, (size_t)n) < 0)
			return -ENOMEM;
		if (out->len == before)
			break;
		*progress = true;
	}
	return 0;
}

/* One side's window opens as the other's bytes go. */
static int pump(struct h2 *h)
{
	bool progress;
	int r;

	do {
		progress = false;
		h2_request_next(h);
		r = pump_side(h, SIDE_SERVER, &progress);
		if (r == 0)
			r = pump_side(h, SIDE_GUEST, &progress);
		if (h->fatal)
			r = h->fatal;
	} while (r == 0 && progress);
	return r;
}

static bool ended(nghttp2_session *session)
{
	return !nghttp2_session_want_read(session) &&
	       !nghttp2_session_want_write(session);
}

/* Nothing more comes from the server. */
static void server_gone(struct h2 *h, uint32_t code)
{
	struct h2_stream *next;

	if (h->eof_done[SIDE_SERVER])
		return;
	h->eof_done[SIDE_SERVER] = true;
	leave(h, NGHTTP2_NO_ERROR);
	for (struct h2_stream *st = h->first; st; st = next) {
		next = st->next;
		if (st->open[SIDE_SERVER])
			server_closed(st, code);
	}
}

/* Nothing more comes from the guest: what it had begun has no end. */
static void guest_gone(struct h2 *h)
{
	struct h2_stream *next;

	for (struct h2_stream *st = h->first; st; st = next) {
		next = st->next;
		if (!st->half[SIDE_GUEST].ended)
			h2_cancel(st, NGHTTP2_CANCEL);
	}
}

/* All is said: but a request may go on to a server that answered early. */
static bool all_done(const struct h2 *h)
{
	if (!h->first)
		return h->eof[SIDE_GUEST] || ended(h->session[SIDE_GUEST]);
	if (!ended(h->session[SIDE_GUEST]))
		return false;
	/* streams that are open there: we ended the session, for an error */
	for (const struct h2_stream *st = h->first; st; st = st->next)
		if (st->open[SIDE_GUEST])
			return true;
	return false;
}

/* The server is told why, as far as there is room. */
static int finish(struct h2 *h)
{
	if (!h->eof_done[SIDE_SERVER]) {
		(void)nghttp2_session_terminate_session(h->session[SIDE_SERVER],
		                                        NGHTTP2_NO_ERROR);
		(void)pump(h);
	}
	return -ESHUTDOWN;
}

static int step(struct h2 *h)
{
	int r = pump(h);

	if (r < 0)
		return r;
	if (!h->eof_done[SIDE_SERVER] && ended(h->session[SIDE_SERVER])) {
		server_gone(h, NGHTTP2_INTERNAL_ERROR);
		r = pump(h);
	}
	if (r == 0 && all_done(h))
		r = finish(h);
	return r;
}

static int http2_input(struct relay *r, enum side from, const uint8_t *data,
                       size_t len)
{
	struct h2 *h = (struct h2 *)r;
	ssize_t n;

	if (h->eof_done[from])
		return step(h);
	n = nghttp2_session_mem_recv(h->session[from], data, len);
	if (h->fatal)
		return h->fatal;
	if (n == NGHTTP2_ERR_NOMEM)
		return -ENOMEM;
	if (n < 0 && n != NGHTTP2_ERR_BAD_CLIENT_MAGIC && from == SIDE_GUEST)
		return -ECONNABORTED;
	if (n < 0 && from == SIDE_GUEST)
		(void)nghttp2_session_terminate_session(h->session[from],
		                                        NGHTTP2_PROTOCOL_ERROR);
	else if (n < 0)
		server_gone(h, NGHTTP2_INTERNAL_ERROR);
	return step(h);
}

static int http2_eof(struct relay *r, enum side from)
{
	struct h2 *h = (struct h2 *)r;
	int code;

	h->eof[from] = true;
	if (from == SIDE_SERVER)
		server_gone(h, NGHTTP2_INTERNAL_ERROR);
	else
		guest_gone(h);
	code = step(h);
	return code == 0 ? 1 : code;
}

static int http2_room(struct relay *r)
{
	return step((struct h2 *)r);
}

static bool http2_wants(const struct relay *r, enum side from)
{
	const struct h2 *h = (const struct h2 *)r;

	return r->out[from].len < RELAY_HIGH ||
	       nghttp2_session_get_outbound_queue_size(h->session[from]) <
	               H2_QUEUE_MAX;
}

static void http2_free(struct relay *r)
{
	struct h2 *h = (struct h2 *)r;

	nghttp2_session_del(h->session[SIDE_GUEST]);
	nghttp2_session_del(h->session[SIDE_SERVER]);
	while (h->first)
		stream_free(h->first);
	relay_release(r);
	free(h);
}

static const struct relay_ops http2_ops = {
	.name = "HTTP/2",
	.input = http2_input,
	.eof = http2_eof,
	.room = http2_room,
	.wants = http2_wants,
	.free = http2_free,
};

/* ---- the beginning ------------------------------------------------------- */

static nghttp2_session_callbacks *make_callbacks(void)
{
	nghttp2_session_callbacks *c;

	if (nghttp2_session_callbacks_new(&c) < 0)
		return NULL;
	nghttp2_session_callbacks_set_on_begin_headers_callback(
		c, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(c, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(
		c, on_invalid_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
		c, on_data_chunk);
	nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_send);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(
		c, on_frame_not_send);
	nghttp2_session_callbacks_set_on_stream_close_callback(c,
	                                                       on_stream_close);
	nghttp2_session_callbacks_set_send_data_callback(c, h2_send_data);
	return c;
}

static nghttp2_option *make_options(void)
{
	nghttp2_option *o;

	if (nghttp2_option_new(&o) < 0)
		return NULL;
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_option_set_max_send_header_block_length(o, HEADER_BLOCK_MAX);
	nghttp2_option_set_peer_max_concurrent_streams(o, SERVER_FIRST_MAX);
	/* ours counts, which also sees streams that nghttp2 resets */
	nghttp2_option_set_stream_reset_rate_limit(o, IDLE_BURST, IDLE_RATE);
	return o;
}

/* Towards the guest; the server's answers to it. */
static const nghttp2_settings_entry to_guest[] = {
	{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX},
	{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,    H2_WINDOW     },
	{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,   H2_HEAD_MAX   },
};

static const nghttp2_settings_entry to_server[] = {
	{NGHTTP2_SETTINGS_ENABLE_PUSH,          0               },
	{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,  H2_WINDOW_SERVER},
	{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H2_ANSWER_MAX   },
};

static int begin(struct h2 *h)
{
	nghttp2_session_callbacks *c = make_callbacks();
	nghttp2_option *o = make_options();
	nghttp2_session **s = h->session;
	int r = c && o ? 0 : -ENOMEM;

	if (r == 0)
		r = nghttp2_session_server_new2(&s[SIDE_GUEST], c, h, o);
	if (r == 0)
		r = nghttp2_session_client_new2(&s[SIDE_SERVER], c, h, o);
	if (r == 0)
		r = nghttp2_submit_settings(s[SIDE_GUEST], 0, to_guest, 3);
	if (r == 0)
		r = nghttp2_submit_settings(s[SIDE_SERVER], 0, to_server, 3);
	if (r == 0)
		r = nghttp2_session_set_local_window_size(s[SIDE_GUEST], 0, 0,
		                                          H2_WINDOW_ALL);
	if (r == 0)
		r = nghttp2_session_set_local_window_size(s[SIDE_SERVER], 0, 0,
		                                          H2_WINDOW_SERVER_ALL);
	nghttp2_session_callbacks_del(c);
	nghttp2_option_del(o);
	return r == 0 ? pump(h) : -ENOMEM;
}

struct relay *http2_new(const struct relay_env *env)
{
	struct h2 *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	relay_init(&h->r, &http2_ops, env);
	h->server_max = SERVER_FIRST_MAX;
	for (int i = 0; i < 2; i++) {
		h->resets[i] = (struct h2_bucket){RESETS_BURST, RESETS_BURST,
		                                  RESETS_RATE, clock_now_ns()};
		h->idle[i] = (struct h2_bucket){IDLE_BURST, IDLE_BURST,
		                                IDLE_RATE, clock_now_ns()};
	}
	if (begin(h) < 0) {
		http2_free(&h->r);
		return NULL;
	}
	return &h->r;
}
