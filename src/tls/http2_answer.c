/*
 * http2_answer.c - answers: the server's as they come, with values masked when
 * that is asked for, and our own.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/http2.h"

#include "base/banned.h"

#define OWN_MAX 600 /* bytes of a text of ours */

/* ---- our own ------------------------------------------------------------- */

static void submit_own(struct h2_stream *st, unsigned status, size_t length)
{
	nghttp2_data_provider provider = h2_provider(st);
	char code[8], size[24];
	int n_code = snprintf(code, sizeof(code), "%u", status);
	int n_size = snprintf(size, sizeof(size), "%zu", length);
	nghttp2_nv nv[] = {
		{(uint8_t *)":status",        (uint8_t *)code, 7,  (size_t)n_code, 0},
		{(uint8_t *)"content-type",
	         (uint8_t *)"text/plain; charset=utf-8",       12, 25,             0},
		{(uint8_t *)"content-length", (uint8_t *)size, 14,
	         (size_t)n_size,						   0},
	};

	if (nghttp2_submit_response(
		    st->h->session[SIDE_GUEST], st->id[SIDE_GUEST], nv, 3,
		    st->head_only ? NULL : &provider) == NGHTTP2_ERR_NOMEM)
		h2_fatal(st->h, -ENOMEM);
}

void h2_answer_own(struct h2_stream *st, unsigned status, const char *fmt, ...)
{
	struct h2_half *half = &st->half[SIDE_SERVER];
	char text[OWN_MAX];
	va_list ap;

	if (st->answered || !st->open[SIDE_GUEST]) {
		h2_cancel(st, NGHTTP2_CANCEL);
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	h2_reset(st, SIDE_SERVER, NGHTTP2_CANCEL);
	st->state = H2_LOCAL;
	st->answered = true;
	h2_half_drop(st, SIDE_GUEST);
	h2_half_drop(st, SIDE_SERVER);
	half->data.max = H2_DATA_MAX;
	if (buf_printf(&half->data, "microsandbox: %s\n", text) < 0) {
		h2_fatal(st->h, -ENOMEM);
		return;
	}
	h2_count(st->h, 0, half->data.len);
	half->ended = true;
	submit_own(st, status, half->data.len);
}

/* ---- the server's -------------------------------------------------------- */

static int masked(struct h2_stream *st, const struct h2_fields *f, size_t i,
                  struct h2_fields *out, size_t max_n)
{
	cleanup_buf struct buf value = BUF_INIT_MAX(H2_ANSWER_MAX);
	bool pseudo = h2_name(f, i)[0] == ':';
	int r = pseudo ? buf_adds(&value, h2_value(f, i))
	               : mask_text(st->mask, h2_value(f, i), f->v[i].value_len,
	                           &value);

	if (r < 0)
		return r;
	return h2_fields_add(out, h2_name(f, i), f->v[i].name_len,
	                     buf_str(&value), value.len, f->v[i].flags,
	                     H2_ANSWER_MAX, max_n);
}

/* @f with all values masked; content-length is of the body before that. */
static int mask_fields(struct h2_stream *st, struct h2_fields *f)
{
	struct h2_fields out = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < f->n; i++) {
		if (st->masks && h2_is(f, i, "content-length"))
			continue;
		r = masked(st, f, i, &out, H2_ANSWER_FIELDS);
		if (r == 0 && out.large)
			r = -E2BIG;
	}
	h2_fields_release(f);
	*f = out;
	return r;
}

/* What a tunnel carries is its own matter, once there is one. */
static bool is_tunnel(const struct h2_stream *st, const char *status)
{
	return st->opaque && status && status[0] == '2';
}

static void begin_mask(struct h2_stream *st, const char *status, bool ended)
{
	struct h2 *h = st->h;
	bool clear = !h2_coding(&st->from_server)[0];

	if (is_tunnel(st, status))
		return;
	st->masks = st->mask && !ended && clear && !st->head_only;
	if (!st->mask || ended || clear || h->said_coded)
		return;
	h->said_coded = true;
	sink_say(h->r.sink, TLSLINK_NOTE, false,
	         "an answer of %s is compressed though identity was asked for: "
	         "secrets in it are not masked",
	         h->r.gate->name);
}

static void pass_early(struct h2_stream *st, nghttp2_nv *nva)
{
	if (nghttp2_submit_headers(st->h->session[SIDE_GUEST],
	                           NGHTTP2_FLAG_NONE, st->id[SIDE_GUEST], NULL,
	                           nva, st->from_server.n,
	                           NULL) == NGHTTP2_ERR_NOMEM)
		h2_fatal(st->h, -ENOMEM);
}

static void pass(struct h2_stream *st, nghttp2_nv *nva, bool ended)
{
	nghttp2_data_provider provider = h2_provider(st);

	st->answered = true;
	st->half[SIDE_SERVER].ended = ended;
	if (nghttp2_submit_response(st->h->session[SIDE_GUEST],
	                            st->id[SIDE_GUEST], nva, st->from_server.n,
	                            ended ? NULL : &provider) ==
	    NGHTTP2_ERR_NOMEM)
		h2_fatal(st->h, -ENOMEM);
}

void h2_answer_head(struct h2_stream *st, bool ended)
{
	struct h2_fields *f = &st->from_server;
	const char *status = h2_get(f, ":status");
	cleanup_free nghttp2_nv *nva = NULL;
	bool early = status && status[0] == '1';
	int r = f->large ? -E2BIG : 0;

	if (!early)
		begin_mask(st, status, ended);
	if (r == 0 && st->mask)
		r = mask_fields(st, f);
	if (r == -E2BIG) {
		h2_answer_own(st, 502,
		              "the server's headers are larger than %u KiB or "
		              "more than %u",
		              H2_ANSWER_MAX >> 10, H2_ANSWER_FIELDS);
		return;
	}
	nva = r == 0 ? h2_nva(f) : NULL;
	if (!nva)
		h2_fatal(st->h, -ENOMEM);
	else if (early)
		pass_early(st, nva);
	else
		pass(st, nva, ended);
	st->sending[SIDE_GUEST] += f->text.len;
	h2_fields_release(f);
	h2_count_heads(st);
	if (h2_too_much(st->h))
		h2_cancel(st, NGHTTP2_INTERNAL_ERROR);
}

int h2_answer_data(struct h2_stream *st, const uint8_t *data, size_t len)
{
	struct buf *out = &st->half[SIDE_SERVER].data;

	return st->masks ? mask_body(st->mask, data, len, out)
	                 : buf_add(out, data, len);
}

/* What was held back; once. */
int h2_answer_end(struct h2_stream *st)
{
	if (!st->masks)
		return 0;
	st->masks = false;
	return mask_body_end(st->mask, &st->half[SIDE_SERVER].data);
}

int h2_answer_trailers(struct h2_stream *st)
{
	struct h2_fields *f = &st->half[SIDE_SERVER].trailers;
	int r = f->large ? -E2BIG : h2_answer_end(st);

	return r == 0 && st->mask ? mask_fields(st, f) : r;
}
