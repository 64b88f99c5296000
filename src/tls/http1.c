#include "tls/http1.h"

#include <string.h>

#include "base/num.h"

#include "base/banned.h"

const char *h1_peer(const struct http1 *h)
{
	return h->r.gate->name[0] ? h->r.gate->name : "an address";
}

/* ---- who waits for an answer --------------------------------------------- */

struct h1_exchange *h1_waiting(struct http1 *h)
{
	return h->nwaiting ? &h->waiting[h->first] : NULL;
}

void h1_push(struct http1 *h)
{
	unsigned at = (h->first + h->nwaiting++) % H1_WAITING_MAX;
	struct h1_request *rq = &h->rq;

	h->waiting[at] = (struct h1_exchange){
		.mask = rq->masked ? secrets_ref(rq->secrets) : NULL,
		.head = h1_is(rq->line.method, "HEAD"),
		.upgrade = rq->upgrade,
		.old = rq->line.old,
	};
	h->upgrading = rq->upgrade;
}

static void pop(struct http1 *h)
{
	if (!h->nwaiting)
		return;
	secrets_unref(h->waiting[h->first].mask);
	h->first = (h->first + 1) % H1_WAITING_MAX;
	h->nwaiting--;
}

void h1_forget(struct http1 *h)
{
	while (h->nwaiting)
		pop(h);
}

/* Nothing of an answer is on its way to the guest: it is our turn. */
static bool is_quiet(const struct http1 *h)
{
	return !h->nwaiting && h->an.reading == H1_ANSWER_HEAD;
}

/* ---- refusals ------------------------------------------------------------ */

static const struct status {
	int code;
	const char *line;
} statuses[] = {
	{H1_BAD,      "400 Bad Request"                    },
	{H1_LONG,     "431 Request Header Fields Too Large"},
	{H1_AWAY,     "421 Misdirected Request"            },
	{H1_FORBID,   "403 Forbidden"                      },
	{H1_VIOLATES, "403 Forbidden"                      },
	{H1_BIG,      "413 Content Too Large"              },
	{H1_BUSY,     "503 Service Unavailable"            },
	{H1_ANSWER,   "502 Bad Gateway"                    },
};

static const char *status_line(int code)
{
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		if (statuses[i].code == code)
			return statuses[i].line;
	return NULL;
}

/* When it is its turn. */
static int refuse_now(struct http1 *h)
{
	struct buf *out = &h->r.out[SIDE_GUEST];
	static const char lead[] = "microsandbox: ";
	size_t len = strlen(lead) + strlen(h->why) + 1;

	if (!h->refused || !is_quiet(h))
		return 0;
	(void)buf_printf(out,
	                 "HTTP/1.1 %s\r\nContent-Type: text/plain; "
	                 "charset=utf-8\r\nContent-Length: %zu\r\n"
	                 "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
	                 status_line(h->refused), len);
	if (!h->refused_head)
		(void)buf_printf(out, "%s%s\n", lead, h->why);
	h->refused = 0;
	return -ESHUTDOWN;
}

int h1_refuse(struct http1 *h, int code, const struct err *err)
{
	h->refused = code;
	h1_copy(h1_text(err->msg, strlen(err->msg)), h->why, sizeof(h->why));
	if (code != H1_VIOLATES) /* subst.c has said it, or was not to */
		sink_say(h->r.sink, TLSLINK_REFUSED, false,
		         "HTTP/1.1 %s %s refused: %s",
		         code == H1_ANSWER ? "answer of" : "request to",
		         h1_peer(h), h->why);
	h1_request_reset(&h->rq);
	h->rq.reading = H1_READ_NOT;
	buf_release(&h->later);
	return refuse_now(h);
}

/* The server has a part of it already: only an end is clear to both. */
static int cut(struct http1 *h, int r, const struct err *err)
{
	if (err->code && r != H1_VIOLATES)
		sink_say(h->r.sink, TLSLINK_REFUSED, false,
		         "HTTP/1.1 request to %s is cut: %s", h1_peer(h),
		         err->msg);
	return -ECONNABORTED;
}

static int failed(struct http1 *h, int r, const struct err *err)
{
	if (h->rq.sent || !status_line(r))
		return cut(h, r, err);
	h->refused_head =
		h->rq.line.method.p && h1_is(h->rq.line.method, "HEAD");
	return h1_refuse(h, r, err);
}

/* ---- reading the guest --------------------------------------------------- */

int h1_say_go(struct http1 *h)
{
	if (!h->rq.say_go || !is_quiet(h))
		return 0;
	h->rq.say_go = false;
	return buf_adds(&h->r.out[SIDE_GUEST], "HTTP/1.1 100 Continue\r\n\r\n");
}

static int read_head(struct http1 *h, const uint8_t *data, size_t len,
                     size_t *ret_used, struct err *err)
{
	struct h1_request *rq = &h->rq;
	int r = h1_head_add(&rq->head, data, len, H1_HEAD_MAX, H1_STRICT,
	                    ret_used, err);

	if (r <= 0)
		return r;
	if (rq->head.lines == 0) {
		if (rq->skipped)
			return err_set(err, H1_BAD,
			               "empty lines before a request");
		rq->skipped = true;
		h1_head_reset(&rq->head);
		return 0;
	}
	r = h1_request_begin(h, err);
	return r < 0 ? r : h1_say_go(h);
}

static int read_nothing(struct http1 *h, const uint8_t *data, size_t len,
                        size_t *ret_used, struct err *err)
{
	(void)h, (void)data, (void)err;
	*ret_used = len;
	return 0;
}

static int (*const readers[])(struct http1 *, const uint8_t *, size_t, size_t *,
                              struct err *) = {
	[H1_READ_HEAD] = read_head,
	[H1_READ_LENGTH] = h1_request_length,
	[H1_READ_CHUNKS] = h1_request_chunks,
	[H1_READ_NOT] = read_nothing,
};

/* Must what the guest sends now wait? */
static bool waits(const struct http1 *h)
{
	if (h->rq.reading == H1_READ_NOT)
		return false;
	if (h->r.out[SIDE_SERVER].len >= RELAY_HIGH)
		return true;
	return h->rq.reading == H1_READ_HEAD &&
	       (h->nwaiting == H1_WAITING_MAX || h->upgrading);
}

/* As much as may be read; what is left is the caller's to keep. */
static int read_guest(struct http1 *h, const uint8_t *data, size_t len,
                      size_t *ret_used)
{
	struct err err = {0};
	size_t done = 0, used;

	while (done < len && !waits(h)) {
		int r = readers[h->rq.reading](h, data + done, len - done,
		                               &used, &err);

		if (r < 0) {
			*ret_used = len; /* nothing is read behind it */
			return failed(h, r, &err);
		}
		done += used;
		if (h->rq.subst && h->rq.reading == H1_READ_HEAD)
			h1_request_reset(&h->rq); /* it is whole */
	}
	*ret_used = done;
	return 0;
}

int h1_resume(struct http1 *h)
{
	struct buf later = h->later;
	size_t used = 0;
	int r = 0;

	if (!later.len || (!h->opaque && waits(h)))
		return 0;
	h->later = (struct buf)BUF_INIT_MAX(later.max);
	if (h->opaque) {
		r = h->opaque->ops->input(h->opaque, SIDE_GUEST, later.data,
		                          later.len);
		used = later.len;
	} else {
		r = read_guest(h, later.data, later.len, &used);
	}
	if (r == 0 && used < later.len)
		r = buf_add(&h->later, later.data + used, later.len - used);
	buf_release(&later);
	return r;
}

static int guest_input(struct http1 *h, const uint8_t *data, size_t len)
{
	size_t used = 0;
	int r;

	if (h->opaque)
		return h->opaque->ops->input(h->opaque, SIDE_GUEST, data, len);
	if (!h->later.len) {
		r = read_guest(h, data, len, &used);
		if (r < 0)
			return r;
	}
	return used < len ? buf_add(&h->later, data + used, len - used) : 0;
}

/* ---- answers ------------------------------------------------------------- */

int h1_answered(struct http1 *h)
{
	int r;

	pop(h);
	r = refuse_now(h);
	if (r == 0)
		r = h1_say_go(h);
	return r < 0 ? r : h1_resume(h);
}

/* ---- the relay ----------------------------------------------------------- */

/* What the relay behind 101 has for either side is ours to send. */
static void take_opaque(struct http1 *h)
{
	for (int side = SIDE_GUEST; side <= SIDE_SERVER; side++) {
		struct buf *b = &h->opaque->out[side];

		(void)buf_add(&h->r.out[side], b->data, b->len);
		buf_reset(b);
	}
}

static int result(struct http1 *h, int r)
{
	if (h->opaque)
		take_opaque(h);
	if (h->going && h->r.out[SIDE_SERVER].len < RELAY_HIGH)
		h1_gone(h);
	if (!buf_ok(&h->r.out[SIDE_GUEST]) || !buf_ok(&h->r.out[SIDE_SERVER]))
		r = -ECONNABORTED;
	if (r < 0)
		h->ended = r == -ESHUTDOWN ? r : -ECONNABORTED;
	return h->ended;
}

static int http1_input(struct relay *r, enum side from, const uint8_t *data,
                       size_t len)
{
	struct http1 *h = container_of(r, struct http1, r);

	if (h->ended)
		return h->ended;
	if (from == SIDE_GUEST)
		return result(h, guest_input(h, data, len));
	if (h->opaque)
		return result(
			h, h->opaque->ops->input(h->opaque, from, data, len));
	return result(h, h1_answer_input(h, data, len));
}

static int guest_eof(struct http1 *h)
{
	if (h->rq.reading == H1_READ_NOT)
		return 0; /* the refusal waits */
	if (h->later.len || h->rq.reading != H1_READ_HEAD ||
	    h->rq.head.text.len)
		return -ECONNABORTED;
	return h->nwaiting ? 0 : -ESHUTDOWN;
}

static int http1_eof(struct relay *r, enum side from)
{
	struct http1 *h = container_of(r, struct http1, r);

	if (h->ended)
		return h->ended;
	if (h->opaque)
		return result(h, h->opaque->ops->eof(h->opaque, from));
	return result(h, from == SIDE_GUEST ? guest_eof(h) : h1_answer_eof(h));
}

static int http1_room(struct relay *r)
{
	struct http1 *h = container_of(r, struct http1, r);

	if (h->ended)
		return h->ended;
	if (!h->opaque)
		return result(h, h1_resume(h));
	return h->opaque->ops->room ? result(h, h->opaque->ops->room(h->opaque))
	                            : 0;
}

static bool http1_wants(const struct relay *r, enum side from)
{
	const struct http1 *h = container_of(r, const struct http1, r);
	const struct relay *o = h->opaque;

	if (h->ended)
		return false;
	if (o)
		return !o->ops->wants || o->ops->wants(o, from);
	return from == SIDE_SERVER ||
	       (h->rq.reading != H1_READ_NOT && !h->later.len && !waits(h));
}

static void http1_free(struct relay *r)
{
	struct http1 *h = container_of(r, struct http1, r);

	h1_forget(h);
	h1_gone(h);
	h1_request_reset(&h->rq);
	h1_head_release(&h->rq.head);
	buf_release(&h->rq.piece);
	h1_answer_reset(&h->an);
	h1_head_release(&h->an.head);
	buf_release(&h->an.piece);
	buf_release(&h->later);
	if (h->opaque)
		h->opaque->ops->free(h->opaque);
	relay_release(r);
	free(h);
}

static const struct relay_ops http1_ops = {
	.name = "HTTP/1",
	.input = http1_input,
	.eof = http1_eof,
	.room = http1_room,
	.wants = http1_wants,
	.free = http1_free,
};

struct relay *http1_new(const struct relay_env *env)
{
	struct http1 *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	relay_init(&h->r, &http1_ops, env);
	h->env = *env;
	h->later.max = 4 * RELAY_CHUNK;
	h->rq.piece.max = RELAY_OUT_MAX;
	h->an.piece.max = RELAY_OUT_MAX;
	return &h->r;
}
