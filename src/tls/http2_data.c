#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tls/http2.h"

#include "base/banned.h"

#define KEEP_CAP    (64u << 10)  /* of an empty buffer */
#define WAIT_MAX    (96u << 20)  /* in all streams of a connection */
#define WAIT_BY_ALL (512u << 20) /* in all of this process */
#define MOVE_FROM   (256u << 10) /* bytes of room in front worth a move */

static size_t waiting_by_all; /* this process has one thread */

void h2_count(struct h2 *h, size_t before, size_t after)
{
	h->waiting_bytes += after - before;
	waiting_by_all += after - before;
}

void h2_count_heads(struct h2_stream *st)
{
	size_t now = st->ready.text.len + st->sending[SIDE_GUEST] +
	             st->sending[SIDE_SERVER];

	for (int i = 0; i < 2; i++)
		now += st->half[i].trailers.text.len;
	h2_count(st->h, st->heads, now);
	st->heads = now;
}

bool h2_too_much(struct h2 *h)
{
	if (h->waiting_bytes <= WAIT_MAX && waiting_by_all <= WAIT_BY_ALL)
		return false;
	if (!h->said_much)
		sink_say(h->r.sink, TLSLINK_NOTE, false,
		         "a stream to %s was reset: %zu MiB wait in its "
		         "connection, %zu MiB in all",
		         h->r.gate->name, h->waiting_bytes >> 20,
		         waiting_by_all >> 20);
	h->said_much = true;
	return true;
}

static size_t waiting(const struct h2_half *half)
{
	return half->data.len - half->at;
}

void h2_settle(struct h2_stream *st, enum side from)
{
	struct h2_half *half = &st->half[from];
	size_t keep = waiting(half);

	if (keep > half->owed)
		keep = half->owed;
	if (from == SIDE_GUEST && st->state == H2_HELD)
		keep = 0;
	if (keep == half->owed)
		return;
	if (nghttp2_session_consume(st->h->session[from], st->id[from],
	                            half->owed - keep) == NGHTTP2_ERR_NOMEM)
		h2_fatal(st->h, -ENOMEM);
	half->owed = keep;
}

void h2_wake(struct h2_stream *st, enum side from)
{
	enum side to = side_other(from);

	if (!st->half[from].waits || !st->open[to])
		return;
	st->half[from].waits = false;
	if (nghttp2_session_resume_data(st->h->session[to], st->id[to]) ==
	    NGHTTP2_ERR_NOMEM)
		h2_fatal(st->h, -ENOMEM);
}

void h2_half_drop(struct h2_stream *st, enum side from)
{
	struct h2_half *half = &st->half[from];

	h2_count(st->h, waiting(half), 0);
	buf_release(&half->data);
	half->at = 0;
	h2_settle(st, from);
	h2_fields_release(&half->trailers);
	h2_count_heads(st);
}

/* Nobody wants these bytes: their sender's window is opened at once. */
static bool unwanted(const struct h2_stream *st, enum side from)
{
	if (!st || st->state == H2_LOCAL || st->half[from].cut)
		return true;
	if (from == SIDE_SERVER)
		return !st->open[SIDE_GUEST];
	return st->state == H2_SENT && !st->open[SIDE_SERVER];
}

static int take(struct h2_stream *st, enum side from, const uint8_t *data,
                size_t len)
{
	struct h2_half *half = &st->half[from];
	size_t before = half->data.len;
	int r;

	half->data.max = H2_DATA_MAX;
	r = from == SIDE_GUEST ? h2_request_data(st, data, len)
	                       : h2_answer_data(st, data, len);
	h2_count(st->h, before, half->data.len);
	return r == 0 && h2_too_much(st->h) ? -E2BIG : r;
}

static void fail(struct h2_stream *st, enum side from, int code)
{
	if (code == -ENOMEM)
		h2_cancel(st, NGHTTP2_INTERNAL_ERROR);
	else if (from == SIDE_GUEST)
		h2_request_fail(st, code);
	else
		h2_cancel(st, NGHTTP2_INTERNAL_ERROR);
}

void h2_data(struct h2 *h, struct h2_stream *st, int32_t id, enum side from,
             const uint8_t *data, size_t len)
{
	int r;

	if (unwanted(st, from)) {
		if (nghttp2_session_consume(h->session[from], id, len) ==
		    NGHTTP2_ERR_NOMEM)
			h2_fatal(h, -ENOMEM);
		return;
	}
	st->half[from].owed += len;
	r = take(st, from, data, len);
	if (r < 0) {
		fail(st, from, r);
		return;
	}
	h2_settle(st, from);
	if (waiting(&st->half[from]))
		h2_wake(st, from);
}

int h2_trailers_taken(struct h2_stream *st, enum side from)
{
	struct h2_half *half = &st->half[from];
	size_t before = half->data.len;
	int r;

	half->data.max = H2_DATA_MAX;
	r = from == SIDE_GUEST ? h2_request_trailers(st)
	                       : h2_answer_trailers(st);
	h2_count(st->h, before, half->data.len);
	h2_count_heads(st);
	return r == 0 && h2_too_much(st->h) ? -E2BIG : r;
}

void h2_data_end(struct h2_stream *st, enum side from)
{
	struct h2_half *half = &st->half[from];
	size_t before = half->data.len;
	int r;

	half->ended = true;
	if (unwanted(st, from))
		return;
	half->data.max = H2_DATA_MAX;
	r = from == SIDE_GUEST ? h2_request_end(st) : h2_answer_end(st);
	h2_count(st->h, before, half->data.len);
	if (r < 0)
		fail(st, from, r);
	else
		h2_wake(st, from);
}

/* ---- towards the other side ---------------------------------------------- */

/* The last bytes: END_STREAM is on them, or on the trailers behind them. */
static int read_end(struct h2_stream *st, enum side from, uint32_t *flags)
{
	struct h2_half *half = &st->half[from];
	enum side to = side_other(from);
	nghttp2_nv *nva;
	int r;

	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (half->trailers.n == 0)
		return 0;
	nva = h2_nva(&half->trailers);
	if (!nva)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	r = nghttp2_submit_trailer(st->h->session[to], st->id[to], nva,
	                           half->trailers.n);
	free(nva);
	return r < 0 ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
}

static ssize_t read_data(nghttp2_session *session, int32_t id, uint8_t *out,
                         size_t length, uint32_t *flags,
                         nghttp2_data_source *source, void *arg)
{
	struct h2_stream *st = source->ptr;
	enum side to = session == st->h->session[SIDE_GUEST] ? SIDE_GUEST
	                                                     : SIDE_SERVER;
	struct h2_half *half = &st->half[side_other(to)];
	size_t n = waiting(half);
	int r = 0;

	(void)id, (void)out, (void)arg;
	if (n == 0 && !half->ended) {
		if (half->cut)
			h2_reset(st, to, half->code);
		half->waits = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (n > length)
		n = length;
	if (half->ended && n == waiting(half))
		r = read_end(st, side_other(to), flags);
	if (r < 0)
		return r;
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	return (ssize_t)n;
}

nghttp2_data_provider h2_provider(struct h2_stream *st)
{
	return (nghttp2_data_provider){.source.ptr = st,
	                               .read_callback = read_data};
}

/* Keep what is left near the front, and no memory for nothing. */
static void tidy(struct h2_half *half)
{
	if (waiting(half) == 0) {
		half->at = 0;
		if (half->data.cap > KEEP_CAP)
			buf_release(&half->data);
		else
			buf_reset(&half->data);
	} else if (half->at >= MOVE_FROM && half->at >= waiting(half)) {
		buf_consume(&half->data, half->at);
		half->at = 0;
	}
}

int h2_send_data(nghttp2_session *session, nghttp2_frame *frame,
                 const uint8_t *framehd, size_t length,
                 nghttp2_data_source *source, void *arg)
{
	struct h2_stream *st = source->ptr;
	enum side to = session == st->h->session[SIDE_GUEST] ? SIDE_GUEST
	                                                     : SIDE_SERVER;
	struct h2_half *half = &st->half[side_other(to)];
	struct buf *out = &st->h->r.out[to];

	(void)frame, (void)arg;
	if (out->len >= RELAY_HIGH)
		return NGHTTP2_ERR_WOULDBLOCK;
	if (length > waiting(half)) /* dropped since it was promised */
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (buf_reserve(out, 9 + length) < 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	(void)buf_add(out, framehd, 9);
	if (length)
		(void)buf_add(out, half->data.data + half->at, length);
	half->at += length;
	h2_count(st->h, length, 0);
	tidy(half);
	h2_settle(st, side_other(to));
	return 0;
}
