/*
 * Answers: each belongs to the first request that waits. They are passed as
 * they come, byte for byte, unless values in them are masked.
 */
#include "tls/http1.h"

#include <string.h>

#include "base/num.h"

#include "base/banned.h"

void h1_answer_reset(struct h1_answer *an)
{
	struct h1_answer keep = {.head = an->head, .piece = an->piece};

	h1_head_reset(&keep.head);
	buf_release(&keep.piece); /* free() wipes it: heap.c */
	buf_reset(&keep.piece);
	h1_chunks_release(&an->chunks);
	mask_free(an->mask);
	*an = keep;
}

/* ---- the first line ------------------------------------------------------ */

struct status {
	unsigned code;
	bool old;
};

static int status_parse(struct h1_text line, struct status *ret,
                        struct err *err)
{
	struct status s = {0};

	if (line.len < 12 || memcmp(line.p, "HTTP/1.", 7) != 0 ||
	    (line.p[7] != '0' && line.p[7] != '1') || line.p[8] != ' ' ||
	    (line.len > 12 && line.p[12] != ' '))
		return err_set(err, H1_ANSWER,
		               "what the server sent is no HTTP/1 answer");
	for (int i = 9; i < 12; i++) {
		if (line.p[i] < '0' || line.p[i] > '9')
			return err_set(err, H1_ANSWER,
			               "the server's status is no number");
		s.code = s.code * 10 + (unsigned)(line.p[i] - '0');
	}
	if (s.code < 100)
		return err_set(err, H1_ANSWER,
		               "the server's status is below 100");
	s.old = line.p[7] == '0';
	*ret = s;
	return 0;
}

/* ---- the head, sent on --------------------------------------------------- */

static int put_masked(struct h1_answer *an, struct h1_text t, struct buf *out)
{
	return an->mask ? mask_text(an->mask, t.p, t.len, out)
	                : buf_add(out, t.p, t.len);
}

/* In place of Content-Length, of a body whose length may change. */
static int put_framing(const struct h1_answer *an, struct buf *out)
{
	return buf_adds(out, an->rechunk ? "Transfer-Encoding: chunked\r\n"
	                                 : "Connection: close\r\n");
}

static int put_line(struct h1_answer *an, size_t at, size_t end,
                    struct h1_text value, struct buf *out)
{
	const char *text = (const char *)an->head.text.data;
	const char *after = value.p + value.len;
	int r;

	(void)buf_add(out, text + at, (size_t)(value.p - text) - at);
	r = put_masked(an, value, out);
	(void)buf_add(out, after, (size_t)(text + end - after));
	return r;
}

static int put_fields(struct h1_answer *an, size_t at, bool reframed,
                      struct buf *out)
{
	struct h1_field f;
	bool told = false;
	int r = 0;

	for (; r == 0 && h1_field_at(&an->head, at, &f); at = f.next) {
		enum h1_name name = h1_name_of(f.name);

		if (reframed && name == H1_CONTENT_LENGTH) {
			r = told ? 0 : put_framing(an, out);
			told = true;
		} else if (!(reframed && an->last && name == H1_CONNECTION)) {
			r = put_line(an, at, f.next, f.value, out);
		}
	}
	if (r == 0 && reframed && !told)
		r = put_framing(an, out);
	return r < 0 ? r : buf_adds(out, "\r\n");
}

/* Untouched bytes where there is nothing to mask. */
static int put_head(struct http1 *h, bool reframed)
{
	struct buf *out = &h->r.out[SIDE_GUEST];
	struct h1_answer *an = &h->an;
	struct h1_text line;
	size_t fields;
	int r;

	if (!an->mask)
		return buf_add(out, an->head.text.data, an->head.text.len);
	line = h1_head_first(&an->head, &fields);
	r = put_line(an, 0, fields, line, out);
	return r < 0 ? r : put_fields(an, fields, reframed, out);
}

/* ---- masking ------------------------------------------------------------- */

static int mask_begin(struct http1 *h, const struct h1_exchange *ex)
{
	struct secrets *s = NULL;
	int r = 0;

	if (ex)
		s = ex->mask;
	else if (h->masks)
		s = h->r.secrets(h->r.secrets_arg);
	if (!s || h->an.mask)
		return 0;
	h->an.mask = mask_new(s, h->r.gate, h->r.sink, &r);
	return h->an.mask ? 0 : r;
}

/*
 * The guest asked for identity, by us; else nothing can be seen in there. The
 * line has nothing of the answer in it: that could be a value.
 */
static bool is_encoded(struct http1 *h, const struct h1_says *s)
{
	struct h1_text coding = s->first[H1_CONTENT_ENCODING];

	if (s->count[H1_CONTENT_ENCODING] < 2 &&
	    (!coding.len || h1_is(coding, "identity")))
		return false;
	if (!h->said_encoded)
		sink_say(h->r.sink, TLSLINK_NOTE, false,
		         "%s answers with a Content-Encoding though it was "
		         "asked for none: values in the body are not masked",
		         h1_peer(h));
	h->said_encoded = true;
	return true;
}

/* An answer of which the guest may be told no length any more. */
static bool mask_body_begin(struct http1 *h, const struct h1_exchange *ex,
                            const struct h1_says *s, bool old)
{
	struct h1_answer *an = &h->an;

	an->masks_body =
		an->mask && an->framing.kind != H1_NONE && !is_encoded(h, s);
	if (!an->masks_body || an->framing.kind == H1_CLOSE)
		return false;
	an->rechunk =
		an->framing.kind == H1_CHUNKED || (ex && !ex->old && !old);
	an->last = !an->rechunk;
	return an->framing.kind == H1_LENGTH;
}

/* What mask.c gave, framed. */
static int put_piece(struct http1 *h)
{
	struct buf *out = &h->r.out[SIDE_GUEST];
	struct h1_answer *an = &h->an;

	if (an->rechunk)
		return h1_chunk_put(out, &an->piece);
	return buf_add(out, an->piece.data, an->piece.len);
}

static int put_body(struct http1 *h, const uint8_t *data, size_t len)
{
	struct h1_answer *an = &h->an;
	int r;

	if (!an->masks_body)
		return buf_add(&h->r.out[SIDE_GUEST], data, len);
	buf_reset(&an->piece);
	r = mask_body(an->mask, data, len, &an->piece);
	return r < 0 ? r : put_piece(h);
}

/* Of chunks: but for the trailers. */
static int put_body_end(struct http1 *h)
{
	struct h1_answer *an = &h->an;
	int r;

	if (!an->masks_body)
		return 0;
	buf_reset(&an->piece);
	r = mask_body_end(an->mask, &an->piece);
	if (r == 0)
		r = put_piece(h);
	if (r == 0 && an->rechunk)
		r = buf_adds(&h->r.out[SIDE_GUEST], "0\r\n");
	return r;
}

/* ---- the end of an answer ------------------------------------------------ */

static int answer_end(struct http1 *h)
{
	bool last = h->an.last;

	h1_answer_reset(&h->an);
	return last ? -ESHUTDOWN : h1_answered(h);
}

/* ---- heads --------------------------------------------------------------- */

static int interim(struct http1 *h, const struct h1_exchange *ex,
                   struct err *err)
{
	struct h1_answer *an = &h->an;
	int r;

	if (!ex || ++an->interim > H1_INTERIM_MAX)
		return err_set(err, H1_ANSWER,
		               "the server sent more than %d interim answers",
		               H1_INTERIM_MAX);
	r = put_head(h, false);
	h1_head_reset(&an->head);
	return r;
}

/* From here on it is no HTTP, both ways. */
static int switched(struct http1 *h, const struct h1_exchange *ex,
                    struct err *err)
{
	int r;

	if (!ex || !ex->upgrade || h->nwaiting != 1 ||
	    h->rq.reading != H1_READ_HEAD)
		return err_set(err, H1_ANSWER,
		               "the server switched protocols though nobody "
		               "asked it to");
	r = put_head(h, false);
	if (r < 0)
		return r;
	h->opaque = opaque_new(&h->env);
	if (!h->opaque)
		return -ENOMEM;
	return answer_end(h);
}

static int final(struct http1 *h, const struct h1_exchange *ex,
                 struct status status, struct err *err)
{
	struct h1_answer *an = &h->an;
	struct h1_says says;
	size_t fields;
	int r;

	(void)h1_head_first(&an->head, &fields);
	(void)h1_fields(&an->head, fields, H1_LENIENT, &says, NULL);
	r = h1_answer_framing(&an->head, fields, &says, status.code,
	                      ex && ex->head, &an->framing, err);
	if (r < 0)
		return r;
	r = put_head(h, mask_body_begin(h, ex, &says, status.old));
	if (r < 0)
		return r;
	h1_head_reset(&an->head);
	an->left = an->framing.length;
	an->reading = H1_ANSWER_BODY;
	if (an->framing.kind == H1_CHUNKED)
		h1_chunks_begin(&an->chunks, H1_LENIENT);
	if (!ex || !ex->upgrade)
		return 0;
	h->upgrading = false; /* it was declined */
	return h1_resume(h);
}

/*
 * An answer that nobody waits for: a server that gives up on a silent client
 * says so (408), which the client may see; but then both are at an end, for
 * it would be the answer to the next request.
 */
static int stray(struct http1 *h, struct status status)
{
	if (status.code < 400)
		return -ESHUTDOWN;
	h->an.last = true;
	h->rq.reading = H1_READ_NOT;
	return 0;
}

static int head_whole(struct http1 *h, struct err *err)
{
	struct h1_exchange *ex = h1_waiting(h);
	struct status status = {0};
	size_t fields;
	int r = status_parse(h1_head_first(&h->an.head, &fields), &status, err);

	if (r == 0)
		r = mask_begin(h, ex);
	if (r == 0 && !ex)
		r = stray(h, status);
	if (r < 0)
		return r;
	if (status.code == 101)
		return switched(h, ex, err);
	if (status.code < 200)
		return interim(h, ex, err);
	return final(h, ex, status, err);
}

/* ---- reading ------------------------------------------------------------- */

static int read_head(struct http1 *h, const uint8_t *data, size_t len,
                     size_t *ret_used, struct err *err)
{
	struct h1_head *head = &h->an.head;
	int r = h1_head_add(head, data, len, H1_ANSWER_MAX, H1_LENIENT,
	                    ret_used, err);

	if (r < 0)
		return r == -ENOMEM ? r : H1_ANSWER;
	if (r == 0)
		return 0;
	if (head->lines == 0) { /* an empty line behind the body before */
		h1_head_reset(head);
		return 0;
	}
	return head_whole(h, err);
}

static int read_length(struct http1 *h, const uint8_t *data, size_t len,
                       size_t *ret_used, struct err *err)
{
	size_t n = MIN(h->an.left, len);

	(void)err;
	h->an.left -= n;
	*ret_used = n;
	return put_body(h, data, n);
}

static int read_close(struct http1 *h, const uint8_t *data, size_t len,
                      size_t *ret_used, struct err *err)
{
	(void)err;
	*ret_used = len;
	return put_body(h, data, len);
}

static int put_trailers(struct http1 *h)
{
	struct buf *out = &h->r.out[SIDE_GUEST];
	struct h1_answer *an = &h->an;
	struct h1_head *t = &an->chunks.trailers;
	struct h1_field f;
	int r = 0;

	for (size_t at = 0; r == 0 && h1_field_at(t, at, &f); at = f.next) {
		(void)buf_add(out, f.line.p, (size_t)(f.value.p - f.line.p));
		r = put_masked(an, f.value, out);
		(void)buf_adds(out, "\r\n");
	}
	return r < 0 ? r : buf_adds(out, "\r\n");
}

/* Where nothing is masked, the bytes of chunks go on as they are. */
static int put_chunks(struct http1 *h, enum h1_piece piece, const uint8_t *data,
                      size_t len)
{
	if (piece == H1_END && h->an.mask)
		return put_trailers(h);
	if (h->an.masks_body && piece == H1_DATA)
		return put_body(h, data, len);
	if (h->an.masks_body && piece == H1_LAST)
		return put_body_end(h);
	if (h->an.masks_body || (h->an.mask && piece == H1_TRAILERS))
		return 0;
	return buf_add(&h->r.out[SIDE_GUEST], data, len);
}

static int read_chunks(struct http1 *h, const uint8_t *data, size_t len,
                       size_t *ret_used, struct err *err)
{
	enum h1_piece piece;
	int r = h1_chunks_next(&h->an.chunks, data, len, ret_used, &piece, err);

	if (r < 0)
		return r;
	r = put_chunks(h, piece, data, *ret_used);
	return r < 0 || piece != H1_END ? r : answer_end(h);
}

static int read_body(struct http1 *h, const uint8_t *data, size_t len,
                     size_t *ret_used, struct err *err)
{
	if (h->an.framing.kind == H1_CHUNKED)
		return read_chunks(h, data, len, ret_used, err);
	if (h->an.framing.kind == H1_CLOSE)
		return read_close(h, data, len, ret_used, err);
	return read_length(h, data, len, ret_used, err);
}

static bool is_whole(const struct h1_answer *an)
{
	return an->reading == H1_ANSWER_BODY &&
	       (an->framing.kind == H1_NONE ||
	        (an->framing.kind == H1_LENGTH && !an->left));
}

static int told_length_end(struct http1 *h)
{
	int r = put_body_end(h);

	if (r == 0 && h->an.rechunk)
		r = buf_adds(&h->r.out[SIDE_GUEST], "\r\n"); /* no trailers */
	return r < 0 ? r : answer_end(h);
}

/* A broken head is answered for the server; a broken body cannot be. */
static int broken(struct http1 *h, int r, const struct err *err)
{
	struct h1_exchange *ex = h1_waiting(h);

	if (r == -ESHUTDOWN)
		return r;
	if (r != H1_ANSWER || h->an.reading != H1_ANSWER_HEAD) {
		if (err->code)
			sink_say(h->r.sink, TLSLINK_NOTE, false,
			         "the answer of %s is cut: %s", h1_peer(h),
			         err->msg);
		return -ECONNABORTED;
	}
	if (!ex)
		return -ESHUTDOWN;
	h->refused_head = ex->head;
	h1_forget(h); /* those behind it get none */
	return h1_refuse(h, r, err);
}

int h1_answer_input(struct http1 *h, const uint8_t *data, size_t len)
{
	struct err err = {0};
	size_t used;
	int r;

	while (len && !h->opaque) {
		r = h->an.reading == H1_ANSWER_HEAD
		            ? read_head(h, data, len, &used, &err)
		            : read_body(h, data, len, &used, &err);
		if (r == 0 && is_whole(&h->an))
			r = told_length_end(h);
		if (r < 0)
			return broken(h, r, &err);
		data += used;
		len -= used;
	}
	return len ? h->opaque->ops->input(h->opaque, SIDE_SERVER, data, len)
	           : 0;
}

/*
 * No further answers. What a guest that still sends is told by the end is
 * its own matter: it may want to read the answer first.
 */
int h1_answer_eof(struct http1 *h)
{
	struct h1_answer *an = &h->an;
	int r = 0;

	if (an->reading == H1_ANSWER_BODY && an->framing.kind == H1_CLOSE)
		r = put_body_end(h);
	if (r < 0)
		return -ECONNABORTED;
	return h->rq.sent && h->rq.reading != H1_READ_HEAD ? 0 : -ESHUTDOWN;
}
