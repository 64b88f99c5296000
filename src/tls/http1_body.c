/*
 * Bodies: chunks (RFC 9112 section 7.1), and a request's on its way to the
 * server.
 *
 * A guest's chunk is a size of hex digits, at most an extension that begins
 * with ";", CR LF, that many bytes, CR LF. Nothing else is one: each way to
 * write it otherwise is known to have been read in two ways.
 */
#include "tls/http1.h"

#include <assert.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

/* ---- chunks -------------------------------------------------------------- */

enum chunk_state {
	CHUNK_SIZE,
	CHUNK_EXTENSION,
	CHUNK_LF,
	CHUNK_BODY,
	CHUNK_BODY_CR,
	CHUNK_BODY_LF,
	CHUNK_TRAILERS,
	CHUNK_STATES
};

#define CHUNK_DIGITS 15 /* far from 2^63 */

void h1_chunks_begin(struct h1_chunks *c, enum h1_reader reader)
{
	*c = (struct h1_chunks){.reader = reader};
}

void h1_chunks_release(struct h1_chunks *c)
{
	h1_head_release(&c->trailers);
}

static int bad_chunk(struct err *err)
{
	return err_set(err, H1_BAD, "the body's chunks are not well formed");
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind the digits: CR, or an extension. Spaces there: servers only. */
static int size_end(struct h1_chunks *c, uint8_t byte, struct err *err)
{
	bool space = byte == ' ' || byte == '\t';

	if (!c->digits)
		return bad_chunk(err);
	if (byte == '\r')
		c->state = CHUNK_LF;
	else if (byte == ';' || (space && c->reader == H1_LENIENT))
		c->state = CHUNK_EXTENSION;
	else
		return bad_chunk(err);
	return 0;
}

static int read_size(struct h1_chunks *c, const uint8_t *data, size_t len,
                     size_t *ret_used, enum h1_piece *ret, struct err *err)
{
	size_t n = 0;
	int digit, r;

	*ret = H1_FRAME;
	for (; n < len && (digit = hex_digit(data[n])) >= 0; n++) {
		if (c->digits++ == CHUNK_DIGITS)
			return bad_chunk(err);
		c->left = c->left * 16 + (uint64_t)digit;
	}
	if (n == 0) {
		r = size_end(c, data[0], err);
		if (r < 0)
			return r;
		if (c->state == CHUNK_EXTENSION)
			*ret = H1_EXT;
		n = 1;
	}
	*ret_used = n;
	return 0;
}

/* Up to CR, which is a piece of the framing. */
static int read_extension(struct h1_chunks *c, const uint8_t *data, size_t len,
                          size_t *ret_used, enum h1_piece *ret, struct err *err)
{
	size_t n = 0;

	for (; n < len && data[n] != '\r'; n++)
		if ((data[n] < ' ' && data[n] != '\t') || data[n] == 0x7f ||
		    ++c->extension > H1_EXTENSION)
			return bad_chunk(err);
	*ret = n ? H1_EXT : H1_FRAME;
	if (!n) {
		c->state = CHUNK_LF;
		n = 1;
	}
	*ret_used = n;
	return 0;
}

static int read_lf(struct h1_chunks *c, const uint8_t *data, size_t len,
                   size_t *ret_used, enum h1_piece *ret, struct err *err)
{
	(void)len;
	if (data[0] != '\n')
		return bad_chunk(err);
	*ret = c->left ? H1_FRAME : H1_LAST;
	c->state = c->left ? CHUNK_BODY : CHUNK_TRAILERS;
	c->digits = c->extension = 0;
	*ret_used = 1;
	return 0;
}

static int read_body(struct h1_chunks *c, const uint8_t *data, size_t len,
                     size_t *ret_used, enum h1_piece *ret, struct err *err)
{
	size_t n = MIN(c->left, len);

	(void)data, (void)err;
	c->left -= n;
	if (!c->left)
		c->state = CHUNK_BODY_CR;
	*ret = H1_DATA;
	*ret_used = n;
	return 0;
}

static int read_body_end(struct h1_chunks *c, const uint8_t *data, size_t len,
                         size_t *ret_used, enum h1_piece *ret, struct err *err)
{
	bool cr = c->state == CHUNK_BODY_CR;

	(void)len;
	if (data[0] != (cr ? '\r' : '\n'))
		return bad_chunk(err);
	c->state = cr ? CHUNK_BODY_LF : CHUNK_SIZE;
	*ret = H1_FRAME;
	*ret_used = 1;
	return 0;
}

static int read_trailers(struct h1_chunks *c, const uint8_t *data, size_t len,
                         size_t *ret_used, enum h1_piece *ret, struct err *err)
{
	int r = h1_head_add(&c->trailers, data, len, H1_TRAILER_MAX, c->reader,
	                    ret_used, err);

	if (r < 0)
		return r;
	*ret = r ? H1_END : H1_TRAILERS;
	return 0;
}

static int (*const chunk_readers[])(struct h1_chunks *, const uint8_t *, size_t,
                                    size_t *, enum h1_piece *, struct err *) = {
	[CHUNK_SIZE] = read_size,
	[CHUNK_EXTENSION] = read_extension,
	[CHUNK_LF] = read_lf,
	[CHUNK_BODY] = read_body,
	[CHUNK_BODY_CR] = read_body_end,
	[CHUNK_BODY_LF] = read_body_end,
	[CHUNK_TRAILERS] = read_trailers,
};
static_assert(ARRAY_SIZE(chunk_readers) == CHUNK_STATES, "a state is missing");

int h1_chunks_next(struct h1_chunks *c, const uint8_t *data, size_t len,
                   size_t *ret_used, enum h1_piece *ret, struct err *err)
{
	return chunk_readers[c->state](c, data, len, ret_used, ret, err);
}

int h1_chunk_put(struct buf *out, const struct buf *data)
{
	if (!data->len)
		return 0;
	(void)buf_printf(out, "%zx\r\n", data->len);
	(void)buf_add(out, data->data, data->len);
	return buf_adds(out, "\r\n");
}

/* ---- a request's body ---------------------------------------------------- */

static size_t held_by_all;

/* rq.held grows by what subst.c makes of it; counted for all flows. */
static int held_count(struct h1_request *rq, struct err *err)
{
	held_by_all += rq->held.len - rq->counted;
	rq->counted = rq->held.len;
	if (held_by_all > H1_HELD_MAX)
		return err_set(
			err, H1_BUSY,
			"too many large bodies wait at the same time for "
			"their end, so that values can be put in; try "
			"again");
	return 0;
}

/* It waits for the server now, and still takes that memory. */
static void held_goes(struct http1 *h)
{
	h->going += h->rq.counted;
	h->rq.counted = 0;
}

void h1_gone(struct http1 *h)
{
	held_by_all -= h->going;
	h->going = 0;
}

void h1_held_release(struct h1_request *rq)
{
	held_by_all -= rq->counted;
	rq->counted = 0;
	buf_release(&rq->held);
}

static int body_result(const struct h1_request *rq, int r, struct err *err)
{
	if (r == -EACCES)
		return err_set(err, H1_VIOLATES, "%s",
		               subst_refusal(rq->subst));
	if (r == -E2BIG)
		return err_set(err, H1_BIG,
		               "the body is too large with its values");
	if (r == -EFBIG)
		return err_set(err, H1_BIG,
		               "values can be put into a body of more than %u "
		               "MiB only if it is sent in chunks",
		               SUBST_BODY_MAX >> 20);
	return r;
}

/* Of Content-Length, sent on at once. */
static int put_stream(struct http1 *h, const uint8_t *data, size_t len,
                      bool end, struct err *err)
{
	struct buf *to = &h->r.out[SIDE_SERVER];
	struct h1_request *rq = &h->rq;
	size_t before = to->len;
	int r;

	if (!rq->looks)
		return buf_add(to, data, len);
	r = subst_body(rq->subst, data, len, to);
	if (r == 0 && end)
		r = subst_body_end(rq->subst, to);
	rq->put += to->len - before;
	/* The server would take what follows for this body, or the reverse. */
	if (r == 0 && (rq->put > rq->framing.length ||
	               (end && rq->put != rq->framing.length)))
		return err_set(err, -EBADE,
		               "a body's length changed that was told already");
	return r;
}

static int put_held(struct h1_request *rq, const uint8_t *data, size_t len,
                    bool end, struct err *err)
{
	int r;

	rq->held.max = RELAY_OUT_MAX / 4 * 3;
	r = subst_body(rq->subst, data, len, &rq->held);
	if (r == 0 && end)
		r = subst_body_end(rq->subst, &rq->held);
	return r < 0 ? r : held_count(rq, err);
}

static int send_held(struct http1 *h)
{
	struct h1_request *rq = &h->rq;
	int r = h1_send_head(h);

	if (r == 0)
		r = buf_add(&h->r.out[SIDE_SERVER], rq->held.data,
		            rq->held.len);
	held_goes(h);
	return r;
}

int h1_request_length(struct http1 *h, const uint8_t *data, size_t len,
                      size_t *ret_used, struct err *err)
{
	struct h1_request *rq = &h->rq;
	size_t n = MIN(rq->left, len);
	bool end;
	int r;

	if (rq->changes) /* it may grow */
		n = MIN(n, H1_SLICE);
	end = n == rq->left;
	r = rq->hold ? put_held(rq, data, n, end, err)
	             : put_stream(h, data, n, end, err);
	if (r == 0 && rq->hold && end)
		r = send_held(h);
	if (r < 0)
		return body_result(rq, r, err);
	rq->left -= n;
	if (end)
		rq->reading = H1_READ_HEAD;
	*ret_used = n;
	return 0;
}

/* ---- a request's chunks -------------------------------------------------- */

static int put_frame(struct http1 *h, const uint8_t *data, size_t len,
                     struct err *err)
{
	(void)err;
	if (h->rq.changes)
		return 0;
	return buf_add(&h->r.out[SIDE_SERVER], data, len);
}

static int put_extension(struct http1 *h, const uint8_t *data, size_t len,
                         struct err *err)
{
	return h->rq.looks ? 0 : put_frame(h, data, len, err);
}

/* What subst.c gave goes on as one chunk; without changes it only looked. */
static int put_piece(struct http1 *h)
{
	struct buf *to = &h->r.out[SIDE_SERVER];

	return h->rq.changes ? h1_chunk_put(to, &h->rq.piece) : 0;
}

static int put_data(struct http1 *h, const uint8_t *data, size_t len,
                    struct err *err)
{
	struct h1_request *rq = &h->rq;
	int r = 0;

	buf_reset(&rq->piece);
	if (rq->looks)
		r = subst_body(rq->subst, data, len, &rq->piece);
	if (r == 0)
		r = rq->looks ? put_piece(h) : 0;
	return r < 0 ? r : put_frame(h, data, len, err);
}

static int put_last(struct http1 *h, const uint8_t *data, size_t len,
                    struct err *err)
{
	struct h1_request *rq = &h->rq;
	int r = 0;

	buf_reset(&rq->piece);
	if (rq->looks)
		r = subst_body_end(rq->subst, &rq->piece);
	if (r == 0)
		r = rq->looks ? put_piece(h) : 0;
	if (r == 0 && rq->changes)
		r = buf_adds(&h->r.out[SIDE_SERVER], "0\r\n");
	return r < 0 ? r : put_frame(h, data, len, err);
}

static int put_nothing(struct http1 *h, const uint8_t *data, size_t len,
                       struct err *err)
{
	(void)h, (void)data, (void)len, (void)err;
	return 0;
}

static int put_trailers(struct http1 *h, const uint8_t *data, size_t len,
                        struct err *err)
{
	struct h1_head *trailers = &h->rq.chunks.trailers;
	struct buf *out = &h->r.out[SIDE_SERVER];
	struct h1_field f;
	int r = h1_trailers_check(trailers, err);

	(void)data, (void)len;
	for (size_t at = 0; r == 0 && h1_field_at(trailers, at, &f);
	     at = f.next)
		r = h1_field_put(&h->rq, &f, out, err);
	if (r < 0)
		return r;
	h->rq.reading = H1_READ_HEAD;
	return buf_adds(out, "\r\n");
}

static int (*const put_piece_as[])(struct http1 *, const uint8_t *, size_t,
                                   struct err *) = {
	[H1_FRAME] = put_frame,      [H1_EXT] = put_extension,
	[H1_DATA] = put_data,        [H1_LAST] = put_last,
	[H1_TRAILERS] = put_nothing, [H1_END] = put_trailers,
};

int h1_request_chunks(struct http1 *h, const uint8_t *data, size_t len,
                      size_t *ret_used, struct err *err)
{
	enum h1_piece piece;
	size_t used;
	int r;

	if (h->rq.changes)
		len = MIN(len, H1_SLICE);
	r = h1_chunks_next(&h->rq.chunks, data, len, &used, &piece, err);
	if (r == 0)
		r = put_piece_as[piece](h, data, used, err);
	if (r < 0)
		return body_result(&h->rq, r, err);
	*ret_used = used;
	return 0;
}
