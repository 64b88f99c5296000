/*
 * http2_request.c - a request from the guest: its head is checked as a whole
 * before any of it goes on, values are put in, and its body follows as it
 * comes; or is kept until its length is known, when values change it and the
 * head says a length.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "policy/policy.h"
#include "tls/http2.h"

#include "base/banned.h"

/* ---- the checks of a head ------------------------------------------------ */

/* @a is the gate's name, with its port or none. */
static bool authority_is(const struct gate *g, const char *a)
{
	char host[POLICY_NAME_MAX + 2], name[POLICY_NAME_MAX + 1];
	const char *colon = strrchr(a, ':');
	size_t len = colon ? (size_t)(colon - a) : strlen(a);
	uint64_t port;

	if (colon &&
	    (!num_parse_u64(colon + 1, UINT16_MAX, &port) || port != g->port))
		return false;
	if (len >= sizeof(host))
		return false;
	memcpy(host, a, len);
	host[len] = '\0';
	return policy_name(host, name) == 0 && strcmp(name, g->name) == 0;
}

static bool authorities_fit(const struct h2_stream *st)
{
	const struct gate *g = st->h->r.gate;
	const char *authority = h2_get(&st->head, ":authority");
	const char *host = h2_get(&st->head, "host");

	if (!authority && !host)
		return false;
	/* An address: no value goes there, but the two must be one. */
	if (!g->name[0])
		return !authority || !host || strcasecmp(authority, host) == 0;
	return (!authority || authority_is(g, authority)) &&
	       (!host || authority_is(g, host));
}

static bool check_method(struct h2_stream *st)
{
	const char *method = h2_get(&st->head, ":method");
	const char *protocol = h2_get(&st->head, ":protocol");
	struct h2 *h = st->h;

	st->head_only = method && strcmp(method, "HEAD") == 0;
	if (!method || strcmp(method, "CONNECT") != 0)
		return !protocol;
	st->opaque = protocol && strcmp(protocol, "websocket") == 0;
	if (st->opaque)
		return true;
	if (!h->said_connect)
		sink_say(h->r.sink, TLSLINK_NOTE, false,
		         "CONNECT inside HTTP/2 to %s was refused",
		         h->r.gate->name);
	h->said_connect = true;
	return false;
}

/* Answers what is wrong with it. */
static bool check_head(struct h2_stream *st)
{
	const struct gate *g = st->h->r.gate;
	const char *scheme = h2_get(&st->head, ":scheme");

	if (st->head.bad) {
		h2_cancel(st, NGHTTP2_PROTOCOL_ERROR);
		return false;
	}
	if (st->head.large) {
		h2_answer_own(st, 431,
		              "the request's headers are larger than %u KiB or "
		              "more than %u; send fewer",
		              H2_HEAD_MAX >> 10, H2_HEAD_FIELDS);
		return false;
	}
	if (!check_method(st)) {
		h2_answer_own(st, 403,
		              "CONNECT is not passed on inside an intercepted "
		              "connection, but for websockets; --tls-bypass "
		              "for this host lets it through");
		return false;
	}
	if (!scheme || strcasecmp(scheme, g->tls ? "https" : "http") != 0) {
		h2_answer_own(st, 400, "the request's scheme is not https");
		return false;
	}
	if (!authorities_fit(st)) {
		h2_answer_own(st, 421,
		              "this connection is for %s, and the request for "
		              "another host or port: open a connection to that",
		              g->name[0] ? g->name : "an address");
		return false;
	}
	return true;
}

/* ---- what goes to the server --------------------------------------------- */

static int begin_subst(struct h2_stream *st)
{
	struct relay *r = &st->h->r;
	const char *path = h2_get(&st->head, ":path");
	struct subst_request rq = {.protocol = "HTTP/2",
	                           .method = h2_get(&st->head, ":method"),
	                           .path = path ? path : "",
	                           .authority = r->gate->name};
	int code = 0;

	st->secrets = secrets_ref(r->secrets(r->secrets_arg));
	st->watch.s = st->secrets->placeholders;
	st->subst = subst_new(st->secrets, r->gate, r->sink, &rq);
	if (!st->subst)
		return -ENOMEM;
	st->mask = mask_new(st->secrets, r->gate, r->sink, &code);
	return code;
}

static size_t held_by_all; /* this process has one thread */

/* 1: too much is kept already. */
static int hold(struct h2_stream *st, size_t len)
{
	if (len > H2_HELD_MAX - st->h->held ||
	    len > H2_HELD_BY_ALL - held_by_all)
		return 1;
	st->held = len;
	st->h->held += len;
	held_by_all += len;
	st->state = H2_HELD;
	return 0;
}

void h2_request_unhold(struct h2_stream *st)
{
	st->h->held -= st->held;
	held_by_all -= st->held;
	st->held = 0;
}

/*
 * The body that follows: is it kept to be counted? 1: REFUSED_STREAM, too much
 * is kept already, and the guest's client tries again.
 */
static int begin_body(struct h2_stream *st, uint64_t *ret_length)
{
	const char *type = h2_get(&st->head, "content-type");
	const char *length = h2_get(&st->head, "content-length");
	int r;

	r = subst_body_begin(st->subst, type ? type : "", h2_coding(&st->head));
	if (r < 0 || !length || !subst_body_changes(st->subst))
		return r;
	if (!num_parse_u64(length, INT64_MAX, ret_length))
		return -EINVAL; /* nghttp2 has looked at it */
	if (*ret_length > SUBST_BODY_MAX) {
		subst_body_fixed(st->subst);
		return 0;
	}
	return hold(st, *ret_length);
}

static int add_ready(struct h2_stream *st, size_t i, const void *value,
                     size_t len, uint8_t flags)
{
	const struct h2_fields *f = &st->head;
	int r = h2_fields_add(&st->ready, h2_name(f, i), f->v[i].name_len,
	                      value, len, f->v[i].flags | flags, H2_ANSWER_MAX,
	                      H2_HEAD_FIELDS);

	return r == 0 && st->ready.large ? -E2BIG : r;
}

static int add_target(struct h2_stream *st, size_t i)
{
	cleanup_buf struct buf value = BUF_INIT_MAX(H2_ANSWER_MAX);
	unsigned before = subst_used(st->subst);
	int r = subst_target(st->subst, h2_value(&st->head, i),
	                     st->head.v[i].value_len, &value);

	if (r < 0)
		return r;
	return add_ready(
		st, i, value.data ? value.data : (uint8_t *)"", value.len,
		subst_used(st->subst) != before ? NGHTTP2_NV_FLAG_NO_INDEX : 0);
}

static int add_substituted(struct h2_stream *st, size_t i)
{
	cleanup_buf struct buf value = BUF_INIT_MAX(H2_ANSWER_MAX);
	const struct h2_fields *f = &st->head;
	bool secret = false;
	int r = subst_header(st->subst, h2_name(f, i), f->v[i].name_len,
	                     h2_value(f, i), f->v[i].value_len, &value,
	                     &secret);

	if (r < 0)
		return r;
	return add_ready(st, i, value.data ? value.data : (uint8_t *)"",
	                 value.len, secret ? NGHTTP2_NV_FLAG_NO_INDEX : 0);
}

static int add_field(struct h2_stream *st, size_t i, bool *identity)
{
	const struct h2_fields *f = &st->head;

	if (h2_is(f, i, ":path"))
		return add_target(st, i);
	if (h2_name(f, i)[0] == ':')
		return add_ready(st, i, h2_value(f, i), f->v[i].value_len, 0);
	if (st->state == H2_HELD && h2_is(f, i, "expect"))
		return 0;
	if (st->mask && (h2_is(f, i, "range") || h2_is(f, i, "if-range")))
		return 0;
	if (st->mask && h2_is(f, i, "accept-encoding")) {
		if (*identity)
			return 0;
		*identity = true;
		return add_ready(st, i, "identity", 8, 0);
	}
	return subst_looks(st->subst)
	               ? add_substituted(st, i)
	               : add_ready(st, i, h2_value(f, i), f->v[i].value_len, 0);
}

static int make_ready(struct h2_stream *st)
{
	bool identity = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < st->head.n; i++)
		r = add_field(st, i, &identity);
	if (r == 0 && st->mask && !identity)
		r = h2_fields_add(&st->ready, "accept-encoding", 15, "identity",
		                  8, 0, H2_ANSWER_MAX, H2_HEAD_FIELDS + 1);
	return r;
}

/* The client waits for this before it sends what we want to count. */
static void say_continue(struct h2_stream *st)
{
	static const nghttp2_nv nv[] = {
		{(uint8_t *)":status", (uint8_t *)"100", 7, 3, 0}
        };

	if (nghttp2_submit_headers(st->h->session[SIDE_GUEST],
	                           NGHTTP2_FLAG_NONE, st->id[SIDE_GUEST], NULL,
	                           nv, 1, NULL) == NGHTTP2_ERR_NOMEM)
		h2_fatal(st->h, -ENOMEM);
}

/* ---- to the server ------------------------------------------------------- */

static bool has_body(const struct h2_stream *st)
{
	const struct h2_half *half = &st->half[SIDE_GUEST];

	return st->opaque || !half->ended || half->data.len || half->trailers.n;
}

static void submit(struct h2_stream *st)
{
	struct h2 *h = st->h;
	nghttp2_data_provider provider = h2_provider(st);
	cleanup_free nghttp2_nv *nva = h2_nva(&st->ready);
	int32_t id;

	if (!nva) {
		h2_fatal(h, -ENOMEM);
		return;
	}
	id = nghttp2_submit_request(h->session[SIDE_SERVER], NULL, nva,
	                            st->ready.n,
	                            has_body(st) ? &provider : NULL, st);
	if (id < 0) {
		h2_cancel(st, NGHTTP2_REFUSED_STREAM);
		return;
	}
	st->id[SIDE_SERVER] = id;
	st->open[SIDE_SERVER] = true;
	st->state = H2_SENT;
	h->active++;
	st->sending[SIDE_SERVER] = st->ready.text.len;
	h2_fields_release(&st->ready);
	h2_count_heads(st);
	h2_settle(st, SIDE_GUEST);
}

static void send_on(struct h2_stream *st)
{
	struct h2 *h = st->h;

	if (h->leaving || h->eof[SIDE_SERVER] ||
	    !nghttp2_session_check_request_allowed(h->session[SIDE_SERVER]))
		h2_cancel(st, NGHTTP2_REFUSED_STREAM);
	else if (h->active >= h->server_max)
		st->state = H2_WAITING;
	else
		submit(st);
}

void h2_request_next(struct h2 *h)
{
	struct h2_stream *next;

	for (struct h2_stream *st = h->first; st; st = next) {
		next = st->next;
		if (st->state != H2_WAITING || st->reset[SIDE_GUEST])
			continue;
		if (h->active >= h->server_max && !h->leaving)
			return;
		send_on(st);
	}
}

void h2_request_fail(struct h2_stream *st, int code)
{
	bool early = !st->answered && st->state != H2_SENT;

	h2_tire(st->h, SIDE_GUEST);
	if (code == -ENOMEM)
		h2_cancel(st, NGHTTP2_INTERNAL_ERROR);
	else if (!early)
		h2_cancel(st, NGHTTP2_CANCEL);
	else if (code == -E2BIG)
		h2_answer_own(
			st, st->state == H2_HELD ? 413 : 431,
			"the request is too large with the secrets in it");
	else if (code == -EPERM)
		h2_answer_own(st, 403, "TRACE would send the value back");
	else if (code == -EINVAL)
		h2_answer_own(st, 400, "content-length is no number");
	else
		h2_answer_own(st, 403, "%s", subst_refusal(st->subst));
}

void h2_request_head(struct h2_stream *st, bool ended)
{
	uint64_t length = 0;
	bool expects;
	int r;

	st->half[SIDE_GUEST].ended = st->bodiless = ended;
	if (!check_head(st))
		return;
	r = begin_subst(st);
	if (r == 0 && !ended && !st->opaque)
		r = begin_body(st, &length);
	if (r == 0)
		r = make_ready(st);
	if (r == 0 && h2_get(&st->head, ":method") && subst_used(st->subst) &&
	    strcmp(h2_get(&st->head, ":method"), "TRACE") == 0)
		r = -EPERM;
	h2_count_heads(st);
	if (r == 0 && h2_too_much(st->h))
		r = 1;
	expects = h2_get(&st->head, "expect");
	h2_fields_release(&st->head);
	if (r > 0)
		h2_cancel(st, NGHTTP2_REFUSED_STREAM);
	else if (r < 0)
		h2_request_fail(st, r);
	else if (st->state != H2_HELD)
		send_on(st);
	else if (expects)
		say_continue(st);
}

/* ---- the body ------------------------------------------------------------ */

/* In a tunnel nothing is put in: every placeholder is one too many. */
static bool tunnel_stops(struct h2_stream *st, unsigned found)
{
	const struct relay *r = &st->h->r;
	const struct secret *c = &st->secrets->v[found];

	if (c->violation == SECRET_BLOCK)
		sink_count(r->sink, TLSLINK_VIOLATION, 1);
	else
		sink_say(r->sink, TLSLINK_VIOLATION,
		         c->violation == SECRET_BLOCK_TERMINATE,
		         "the placeholder of %s was in a tunnel through HTTP/2 "
		         "to %s: %s",
		         c->name, r->gate->name,
		         c->violation == SECRET_PASS ? "passed on" : "blocked");
	return c->violation != SECRET_PASS;
}

static void tunnel_found(void *arg, unsigned index)
{
	*(uint64_t *)arg |= 1ULL << index;
}

/* All that are in it: one that may pass must not hide one that may not. */
static int tunnel_data(struct h2_stream *st, const uint8_t *data, size_t len)
{
	uint64_t found = 0;
	bool stops = false;
	int r = 0;

	if (st->watch.s)
		r = needle_watch_all(&st->watch, data, len, tunnel_found,
		                     &found);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < st->secrets->n && !stops; i++)
		stops = found >> i & 1 && tunnel_stops(st, i);
	if (stops)
		return -EACCES;
	return buf_add(&st->half[SIDE_GUEST].data, data, len);
}

int h2_request_data(struct h2_stream *st, const uint8_t *data, size_t len)
{
	if (st->opaque)
		return tunnel_data(st, data, len);
	return subst_body(st->subst, data, len, &st->half[SIDE_GUEST].data);
}

/* What was held back; once. */
static int flush(struct h2_stream *st)
{
	if (st->opaque || st->flushed || st->bodiless)
		return 0;
	st->flushed = true;
	return subst_body_end(st->subst, &st->half[SIDE_GUEST].data);
}

/* The length that the body has now, where the guest's was. */
static int tell_length(struct h2_stream *st)
{
	struct h2_fields *f = &st->ready;
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%zu",
	                 st->half[SIDE_GUEST].data.len);

	for (size_t i = 0; i < f->n; i++) {
		if (!h2_is(f, i, "content-length"))
			continue;
		f->v[i].value = f->text.len;
		f->v[i].value_len = (size_t)n;
		f->text.max += (size_t)n + 1;
		return buf_add(&f->text, digits, (size_t)n + 1);
	}
	return 0;
}

int h2_request_end(struct h2_stream *st)
{
	int r = flush(st);

	if (r < 0 || st->state != H2_HELD)
		return r;
	r = tell_length(st);
	if (r == 0)
		send_on(st);
	return r;
}

int h2_request_trailers(struct h2_stream *st)
{
	struct h2_fields *f = &st->half[SIDE_GUEST].trailers;
	struct h2_fields out = {0};
	int r = f->large ? -E2BIG : flush(st);

	for (size_t i = 0; r == 0 && i < f->n; i++) {
		cleanup_buf struct buf value = BUF_INIT_MAX(H2_ANSWER_MAX);
		bool secret = false;

		r = subst_header(st->subst, h2_name(f, i), f->v[i].name_len,
		                 h2_value(f, i), f->v[i].value_len, &value,
		                 &secret);
		if (r == 0)
			r = h2_fields_add(
				&out, h2_name(f, i), f->v[i].name_len,
				buf_str(&value), value.len,
				f->v[i].flags |
					(secret ? NGHTTP2_NV_FLAG_NO_INDEX : 0),
				H2_ANSWER_MAX, H2_HEAD_FIELDS);
		if (r == 0 && out.large)
			r = -E2BIG;
	}
	h2_fields_release(f);
	*f = out;
	return r;
}
