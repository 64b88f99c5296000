/*
 * A request's head: checked as a whole, then written anew with its values.
 */
#include "tls/http1.h"

#include <string.h>
#include <strings.h>

#include "base/num.h"

#include "base/banned.h"

void h1_request_reset(struct h1_request *rq)
{
	struct h1_request keep = {.head = rq->head, .piece = rq->piece};

	h1_head_reset(&keep.head);
	buf_release(&keep.piece); /* free() wipes it: heap.c */
	buf_reset(&keep.piece);
	h1_chunks_release(&rq->chunks);
	subst_free(rq->subst);
	if (rq->secrets)
		secrets_unref(rq->secrets);
	free(rq->path);
	buf_release(&rq->out);
	h1_held_release(rq);
	*rq = keep;
}

/* subst.c's answers, in words. */
static int subst_result(const struct h1_request *rq, int r, struct err *err)
{
	if (r == -EACCES)
		return err_set(err, H1_VIOLATES, "%s",
		               subst_refusal(rq->subst));
	if (r == -E2BIG)
		return err_set(err, H1_LONG,
		               "a head is larger than %u KiB with its values",
		               H1_HEAD_OUT_MAX >> 10);
	return r;
}

/* ---- what the answer must not show --------------------------------------- */

/* mask_new() knows; asked once for each set of secrets. */
static int masks(struct http1 *h, struct secrets *s, bool *ret)
{
	struct mask *m;
	int r = 0;

	if (s->id != h->masks_of) {
		m = mask_new(s, h->r.gate, h->r.sink, &r);
		if (!m && r < 0)
			return r;
		h->masks_of = s->id;
		h->masks = m;
		mask_free(m);
	}
	*ret = h->masks;
	return 0;
}

/* ---- fields -------------------------------------------------------------- */

static void put(struct buf *out, const char *from, const char *to)
{
	(void)buf_add(out, from, (size_t)(to - from)); /* buf_ok() at the end */
}

/* Bytes around the value stay as they are. */
int h1_field_put(struct h1_request *rq, const struct h1_field *f,
                 struct buf *out, struct err *err)
{
	const char *end = f->line.p + f->line.len;
	bool secret;
	int r = 0;

	if (!rq->looks) {
		put(out, f->line.p, end);
	} else {
		put(out, f->line.p, f->value.p);
		r = subst_header(rq->subst, f->name.p, f->name.len, f->value.p,
		                 f->value.len, out, &secret);
		put(out, f->value.p + f->value.len, end);
	}
	(void)buf_adds(out, "\r\n");
	return subst_result(rq, r, err);
}

static int put_accept_encoding(struct h1_request *rq, const struct h1_field *f,
                               struct buf *out, struct err *err)
{
	if (!rq->masked)
		return h1_field_put(rq, f, out, err);
	if (!rq->accepts) {
		put(out, f->line.p, f->name.p + f->name.len);
		(void)buf_adds(out, ": identity\r\n");
	}
	rq->accepts = true;
	return 0;
}

static int put_unless_masked(struct h1_request *rq, const struct h1_field *f,
                             struct buf *out, struct err *err)
{
	return rq->masked ? 0 : h1_field_put(rq, f, out, err);
}

static int put_te(struct h1_request *rq, const struct h1_field *f,
                  struct buf *out, struct err *err)
{
	return rq->masked && !h1_is(f->value, "trailers")
	               ? 0
	               : h1_field_put(rq, f, out, err);
}

static int put_expect(struct h1_request *rq, const struct h1_field *f,
                      struct buf *out, struct err *err)
{
	if (!rq->hold || rq->line.old || !h1_is(f->value, "100-continue"))
		return h1_field_put(rq, f, out, err);
	rq->say_go = true;
	return 0;
}

/*
 * What frames and routes the request was checked, and is sent on as it was: a
 * placeholder that somebody chose may be any text, a number for example.
 */
static int put_raw(struct h1_request *rq, const struct h1_field *f,
                   struct buf *out, struct err *err)
{
	(void)rq, (void)err;
	put(out, f->line.p, f->line.p + f->line.len);
	(void)buf_adds(out, "\r\n");
	return 0;
}

/* The last to be written of a head whose body is held. */
static int put_length(struct h1_request *rq, const struct h1_field *f,
                      struct buf *out, struct err *err)
{
	if (!rq->hold)
		return put_raw(rq, f, out, err);
	rq->length_at = out->len;
	rq->length = *f;
	return 0;
}

/* h2c, h2, HTTP/2.0: what would go on in HTTP/2. */
static bool is_http2(struct h1_text protocol)
{
	return (protocol.len >= 2 && strncasecmp(protocol.p, "h2", 2) == 0) ||
	       (protocol.len >= 6 && strncasecmp(protocol.p, "HTTP/2", 6) == 0);
}

static bool names_http2(struct h1_text list)
{
	struct h1_text one;

	while (h1_list_next(&list, &one))
		if (is_http2(one))
			return true;
	return false;
}

static int put_upgrade(struct h1_request *rq, const struct h1_field *f,
                       struct buf *out, struct err *err)
{
	struct h1_text list = f->value, one;
	const char *before = ": ";
	bool secret;
	int r = 0;

	if (!names_http2(list)) {
		rq->upgrade |= f->value.len > 0;
		return h1_field_put(rq, f, out, err);
	}
	while (r == 0 && h1_list_next(&list, &one)) {
		if (is_http2(one) || !one.len)
			continue;
		if (before[0] == ':')
			put(out, f->name.p, f->name.p + f->name.len);
		(void)buf_adds(out, before);
		r = subst_header(rq->subst, f->name.p, f->name.len, one.p,
		                 one.len, out, &secret);
		before = ", ";
		rq->upgrade = true;
	}
	if (before[0] == ',')
		(void)buf_adds(out, "\r\n");
	return subst_result(rq, r, err);
}

static int put_nothing(struct h1_request *rq, const struct h1_field *f,
                       struct buf *out, struct err *err)
{
	(void)rq, (void)f, (void)out, (void)err;
	return 0;
}

/* Those that are not simply h1_field_put(). */
static int (*const puts_as[H1_NAMES])(struct h1_request *,
                                      const struct h1_field *, struct buf *,
                                      struct err *) = {
	[H1_HOST] = put_raw,
	[H1_CONTENT_LENGTH] = put_length,
	[H1_TRANSFER_ENCODING] = put_raw,
	[H1_ACCEPT_ENCODING] = put_accept_encoding,
	[H1_RANGE] = put_unless_masked,
	[H1_IF_RANGE] = put_unless_masked,
	[H1_TE] = put_te,
	[H1_EXPECT] = put_expect,
	[H1_UPGRADE] = put_upgrade,
	[H1_HTTP2_SETTINGS] = put_nothing,
};

/* ---- the head ------------------------------------------------------------ */

static int put_target(struct h1_request *rq, struct err *err)
{
	struct h1_text method = rq->line.method, target = rq->line.target;
	int r;

	put(&rq->out, method.p, target.p); /* with the space */
	r = subst_target(rq->subst, target.p, target.len, &rq->out);
	(void)buf_printf(&rq->out, " HTTP/1.%d\r\n", !rq->line.old);
	return subst_result(rq, r, err);
}

static int put_fields(struct h1_request *rq, size_t at, struct err *err)
{
	struct h1_field f;

	for (; h1_field_at(&rq->head, at, &f); at = f.next) {
		enum h1_name name = h1_name_of(f.name);
		int r = (puts_as[name] ? puts_as[name]
		                       : h1_field_put)(rq, &f, &rq->out, err);

		if (r < 0)
			return r;
	}
	if (rq->masked && !rq->accepts)
		(void)buf_adds(&rq->out, "Accept-Encoding: identity\r\n");
	return 0;
}

static int put_head(struct h1_request *rq, size_t fields, struct err *err)
{
	int r;

	rq->out.max = H1_HEAD_OUT_MAX;
	r = put_target(rq, err);
	if (r == 0)
		r = put_fields(rq, fields, err);
	(void)buf_adds(&rq->out, "\r\n");
	if (r < 0)
		return r;
	if (!buf_ok(&rq->out))
		return subst_result(rq, -E2BIG, err);
	if (h1_is(rq->line.method, "TRACE") && subst_used(rq->subst))
		return err_set(err, H1_FORBID,
		               "TRACE would send the value back");
	return 0;
}

/* ---- the body's kind ----------------------------------------------------- */

static enum h1_reading reading_of(const struct h1_framing *f)
{
	if (f->kind == H1_CHUNKED)
		return H1_READ_CHUNKS;
	return f->kind == H1_LENGTH && f->length ? H1_READ_LENGTH
	                                         : H1_READ_HEAD;
}

static int body_begin(struct http1 *h, const struct h1_says *s, struct err *err)
{
	struct h1_request *rq = &h->rq;
	char type[256], coding[64];
	int r;

	rq->left = rq->framing.length;
	if (reading_of(&rq->framing) == H1_READ_HEAD || !rq->looks)
		return 0;
	h1_copy(s->first[H1_CONTENT_TYPE], type, sizeof(type));
	h1_copy(s->first[H1_CONTENT_ENCODING], coding, sizeof(coding));
	if (s->count[H1_CONTENT_ENCODING] > 1)
		h1_copy(h1_text("several", 7), coding, sizeof(coding));
	r = subst_body_begin(rq->subst, type, coding);
	if (r < 0)
		return subst_result(rq, r, err);
	rq->changes = subst_body_changes(rq->subst);
	if (!rq->changes || rq->framing.kind != H1_LENGTH)
		return 0;
	if (rq->framing.length <= SUBST_BODY_MAX)
		rq->hold = true;
	else
		subst_body_fixed(rq->subst);
	return 0;
}

/* ---- the beginning ------------------------------------------------------- */

static int parse(struct http1 *h, struct h1_says *ret, size_t *ret_fields,
                 struct err *err)
{
	struct h1_request *rq = &h->rq;
	struct h1_text line = h1_head_first(&rq->head, ret_fields);
	int r = h1_request_line(line, &rq->line, err);

	if (r == 0)
		r = h1_fields(&rq->head, *ret_fields, H1_STRICT, ret, err);
	if (r == 0)
		r = h1_request_framing(ret, rq->line.old, &rq->framing, err);
	if (r == 0)
		r = h1_target(&rq->line, ret, h->r.gate, rq->authority, err);
	return r;
}

static int subst_begin(struct http1 *h)
{
	struct h1_request *rq = &h->rq;
	struct subst_request say = {.protocol = rq->line.old ? "HTTP/1.0"
	                                                     : "HTTP/1.1",
	                            .method = rq->method,
	                            .authority = rq->authority};

	rq->secrets = secrets_ref(h->r.secrets(h->r.secrets_arg));
	h1_copy(rq->line.method, rq->method, sizeof(rq->method));
	rq->path = strndup(rq->line.target.p, rq->line.target.len);
	say.path = rq->path;
	if (!rq->path)
		return -ENOMEM;
	rq->subst = subst_new(rq->secrets, h->r.gate, h->r.sink, &say);
	if (!rq->subst)
		return -ENOMEM;
	rq->looks = subst_looks(rq->subst);
	return 0;
}

/* Content-Length goes where it was, with the length that the body has now. */
static int send_held_head(struct http1 *h)
{
	struct buf *to = &h->r.out[SIDE_SERVER];
	struct h1_request *rq = &h->rq;
	struct h1_text line = rq->length.line, name = rq->length.name;

	(void)buf_add(to, rq->out.data, rq->length_at);
	if (rq->held.len == rq->framing.length)
		(void)buf_printf(to, "%.*s\r\n", (int)line.len, line.p);
	else
		(void)buf_printf(to, "%.*s: %zu\r\n", (int)name.len, name.p,
		                 rq->held.len);
	return buf_add(to, rq->out.data + rq->length_at,
	               rq->out.len - rq->length_at);
}

int h1_send_head(struct http1 *h)
{
	struct h1_request *rq = &h->rq;
	int r;

	if (rq->hold)
		r = send_held_head(h);
	else
		r = buf_add(&h->r.out[SIDE_SERVER], rq->out.data, rq->out.len);
	if (r < 0 || !buf_ok(&h->r.out[SIDE_SERVER]))
		return -ENOMEM;
	rq->sent = true;
	buf_release(&rq->out);
	h1_push(h);
	return 0;
}

int h1_request_begin(struct http1 *h, struct err *err)
{
	struct h1_request *rq = &h->rq;
	struct h1_says says;
	size_t fields;
	int r = parse(h, &says, &fields, err);

	if (r == 0)
		r = subst_begin(h);
	if (r == 0)
		r = masks(h, rq->secrets, &rq->masked);
	if (r == 0)
		r = body_begin(h, &says, err);
	if (r == 0)
		r = put_head(rq, fields, err);
	if (r < 0)
		return r;
	rq->reading = reading_of(&rq->framing);
	if (rq->reading == H1_READ_CHUNKS)
		h1_chunks_begin(&rq->chunks, H1_STRICT);
	return rq->hold ? 0 : h1_send_head(h);
}
