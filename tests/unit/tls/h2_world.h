/*
 * h2_world.h - a client, the relay and a server of HTTP/2 in one process: the
 * ends are nghttp2's own, and bytes move in pieces of any size.
 *
 * What the server answers is said by the path: the table `answers`. The body of
 * /show is the request's head as the server saw it, a line for each header.
 */
#ifndef TEST_H2_WORLD_H
#define TEST_H2_WORLD_H

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "lib/test.h"
#include "tls/relay.h"
#include "tls/vault.h"

#define HOST        "api.example"
#define PLACEHOLDER "MSB_0123456789abcdef0123456789abcdef"
#define VALUE       "s3cr3t-value-that-nobody-may-see"
#define OTHER       "MSB_ffffffffffffffffffffffffffffffff"

#define W_STREAMS 4096

struct w_stream {
	int32_t id;
	struct buf head, body, trailers; /* "name: value\n" */
	struct buf early;                /* heads of 1xx */
	unsigned status;
	bool ended, closed, is_answered;
	uint32_t code;
	/* to be sent */
	struct buf out;
	size_t at;
	size_t pattern; /* bytes of w_byte() to send */
	size_t pattern_at;
	bool out_ended, waits, out_trailers, echo, never_index, counts;
	size_t counted; /* bytes of w_byte() that came */
};

struct w_end {
	nghttp2_session *s;
	bool server;
	struct w_stream *v[W_STREAMS]; /* by (id - 1) / 2 */
	uint32_t goaway;
	bool went_away;
	size_t received; /* bytes of bodies */
	bool no_consume; /* the application does not read */
	struct world *w;
};

struct world {
	struct gate gate;
	struct secrets *secrets;
	struct sink sink;
	struct relay *r;
	struct w_end client, server;
	size_t cut; /* bytes at once; 0: as much as there is */
	int ended;  /* what the relay said */
	bool hold_server, hold_client; /* moves no bytes to it */
	struct buf raw[2];             /* taken from out[], with `keep_raw` */
	bool keep_raw;
	unsigned violations, notes, used, masked, terminated;
	char text[TLSLINK_TEXT_MAX + 1]; /* of the last event that had one */
	size_t most_out[2];
};

static uint8_t w_byte(size_t i)
{
	return (uint8_t)(i * 7 + (i >> 8));
}

static void w_event(void *arg, const struct tls_event *ev)
{
	struct world *w = arg;

	w->violations += ev->what == TLSLINK_VIOLATION ? ev->count : 0;
	w->notes += ev->what == TLSLINK_NOTE;
	w->used += ev->what == TLSLINK_USED ? ev->count : 0;
	w->masked += ev->what == TLSLINK_MASKED ? ev->count : 0;
	w->terminated += ev->terminate;
	if (ev->text)
		(void)snprintf(w->text, sizeof(w->text), "%s", ev->text);
}

static struct secrets *w_secrets(void *arg)
{
	return ((struct world *)arg)->secrets;
}

/* ---- the two ends -------------------------------------------------------- */

static struct w_stream *w_stream(struct w_end *e, int32_t id)
{
	size_t i = (size_t)(id - 1) / 2;

	assert_true(id > 0 && i < W_STREAMS);
	if (!e->v[i]) {
		e->v[i] = calloc(1, sizeof(struct w_stream));
		assert_non_null(e->v[i]);
		e->v[i]->id = id;
		e->v[i]->head.max = e->v[i]->body.max = SIZE_MAX / 4;
		e->v[i]->trailers.max = e->v[i]->out.max = SIZE_MAX / 4;
		e->v[i]->early.max = 1 << 20;
	}
	return e->v[i];
}

static ssize_t w_read(nghttp2_session *s, int32_t id, uint8_t *out, size_t len,
                      uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct w_stream *st = source->ptr;
	size_t n = 0;

	(void)arg;
	if (st->pattern) {
		while (n < len && st->pattern_at < st->pattern)
			out[n++] = w_byte(st->pattern_at++);
		if (st->pattern_at == st->pattern)
			*flags |= NGHTTP2_DATA_FLAG_EOF;
		return (ssize_t)n;
	}
	n = st->out.len - st->at;
	if (n > len)
		n = len;
	if (n)
		memcpy(out, st->out.data + st->at, n);
	st->at += n;
	if (st->at == st->out.len && st->out_ended) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (st->out_trailers) {
			nghttp2_nv nv[] = {
				{(uint8_t *)"grpc-status", (uint8_t *)"0",         11,
			         1,									     0},
				{(uint8_t *)"x-trailer",   (uint8_t *)PLACEHOLDER,
			         9,						    sizeof(PLACEHOLDER) - 1, 0},
			};

			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
			assert_int_equal(nghttp2_submit_trailer(s, id, nv, 2),
			                 0);
		}
		return (ssize_t)n;
	}
	if (n == 0) {
		st->waits = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	return (ssize_t)n;
}

static void w_wake(struct w_end *e, struct w_stream *st)
{
	if (st->waits) {
		st->waits = false;
		(void)nghttp2_session_resume_data(e->s, st->id);
	}
}

static void w_write(struct w_end *e, struct w_stream *st, const void *data,
                    size_t len)
{
	assert_int_equal(buf_add(&st->out, data, len), 0);
	w_wake(e, st);
}

static void w_end_stream(struct w_end *e, struct w_stream *st)
{
	st->out_ended = true;
	w_wake(e, st);
}

#define NV(n, v)                                                               \
	{                                                                      \
		(uint8_t *)(n), (uint8_t *)(v), strlen(n), strlen(v), 0        \
	}

static void w_respond(struct w_end *e, struct w_stream *st, const char *status,
                      const char *extra, const char *extra_value, bool body)
{
	nghttp2_nv nv[] = {
		NV(":status", status), NV("server", "w"),
		NV(extra ? extra : "x-none", extra ? extra_value : "")};
	nghttp2_data_provider p = {.source.ptr = st, .read_callback = w_read};

	assert_int_equal(nghttp2_submit_response(e->s, st->id, nv,
	                                         extra ? 3 : 2,
	                                         body ? &p : NULL),
	                 0);
	st->is_answered = true;
}

static bool path_is(const struct w_stream *st, const char *path)
{
	char want[100];

	(void)snprintf(want, sizeof(want), ":path: %s", path);
	return st->head.data && strstr(buf_str(&st->head), want);
}

/* The request's head is here. */
static void w_on_head(struct w_end *e, struct w_stream *st)
{
	nghttp2_nv early[] = {NV(":status", "103"), NV("link", "</a>")};
	nghttp2_nv go_on[] = {NV(":status", "100")};

	if (path_is(st, "/count")) {
		st->counts = true;
	} else if (path_is(st, "/echo")) {
		st->echo = true;
		w_respond(e, st, "200", NULL, NULL, true);
	} else if (path_is(st, "/tunnel")) {
		st->echo = true;
		w_respond(e, st, "200", "x-value", VALUE, true);
	} else if (path_is(st, "/early")) {
		w_write(e, st, "early", 5);
		st->out_ended = true;
		w_respond(e, st, "200", NULL, NULL, true);
	} else if (path_is(st, "/hints")) {
		(void)nghttp2_submit_headers(e->s, 0, st->id, NULL, early, 2,
		                             NULL);
	} else if (path_is(st, "/continue")) {
		(void)nghttp2_submit_headers(e->s, 0, st->id, NULL, go_on, 1,
		                             NULL);
	} else if (path_is(st, "/reset")) {
		(void)nghttp2_submit_rst_stream(e->s, 0, st->id,
		                                NGHTTP2_ENHANCE_YOUR_CALM);
	} else if (path_is(st, "/events")) {
		w_respond(e, st, "200", "content-type", "text/event-stream",
		          true);
		w_write(e, st, "data: 1\n\n", 9);
	}
}

/* The request is whole. */
static void w_on_end(struct w_end *e, struct w_stream *st)
{
	const char *big = strstr(buf_str(&st->head), ":path: /big");

	if (path_is(st, "/events") || path_is(st, "/early")) {
		return;
	} else if (st->echo) {
		st->out_trailers = strstr(buf_str(&st->head), "te: trailers");
		w_end_stream(e, st);
	} else if (big) {
		st->pattern = strtoul(big + 11, NULL, 10);
		w_respond(e, st, "200", NULL, NULL, true);
	} else if (st->counts) {
		char n[32];

		w_write(e, st, n,
		        (size_t)snprintf(n, sizeof(n), "%zu", st->counted));
		st->out_ended = true;
		w_respond(e, st, "200", NULL, NULL, true);
	} else if (path_is(st, "/head")) {
		w_respond(e, st, "200", "content-length", "1234", false);
	} else if (path_is(st, "/empty")) {
		w_respond(e, st, "204", NULL, NULL, false);
	} else if (path_is(st, "/away")) {
		w_respond(e, st, "200", NULL, NULL, true);
		w_write(e, st, "last", 4);
		st->out_ended = true;
		(void)nghttp2_submit_goaway(e->s, 0, st->id, 0, NULL, 0);
	} else if (path_is(st, "/body")) {
		w_write(e, st, st->body.data, st->body.len);
		st->out_ended = true;
		w_respond(e, st, "200", NULL, NULL, true);
	} else if (path_is(st, "/leak")) {
		w_write(e, st, "the value is " VALUE ", yes",
		        13 + 5 + sizeof(VALUE) - 1);
		st->out_ended = true;
		w_respond(e, st, "200", "x-value", VALUE, true);
	} else if (path_is(st, "/packed")) {
		w_write(e, st, VALUE, sizeof(VALUE) - 1);
		st->out_ended = true;
		w_respond(e, st, "200", "content-encoding", "gzip", true);
	} else if (!path_is(st, "/hang")) {
		w_write(e, st, st->head.data, st->head.len);
		w_write(e, st,
		        st->trailers.data ? st->trailers.data : (uint8_t *)"",
		        st->trailers.len);
		st->out_ended = true;
		w_respond(e, st, "200", NULL, NULL, true);
	}
}

static int w_header(nghttp2_session *s, const nghttp2_frame *f,
                    const uint8_t *name, size_t name_len, const uint8_t *value,
                    size_t len, uint8_t flags, void *arg)
{
	struct w_end *e = arg;
	struct w_stream *st = w_stream(e, f->hd.stream_id);
	bool first = f->headers.cat == NGHTTP2_HCAT_REQUEST ||
	             f->headers.cat == NGHTTP2_HCAT_RESPONSE || !st->status;
	struct buf *b = first ? &st->head : &st->trailers;

	(void)s;
	if (!e->server && name_len == 7 && memcmp(name, ":status", 7) == 0) {
		if (value[0] == '1') {
			(void)buf_printf(&st->early, "%.3s\n", value);
			return 0;
		}
		st->status = (unsigned)((value[0] - '0') * 100 +
		                        (value[1] - '0') * 10 + value[2] - '0');
		b = &st->head;
	}
	if (e->server && f->headers.cat != NGHTTP2_HCAT_REQUEST)
		b = &st->trailers;
	st->never_index |= (flags & NGHTTP2_NV_FLAG_NO_INDEX) &&
	                   memmem(value, len, VALUE, sizeof(VALUE) - 1);
	return buf_printf(b, "%.*s: %.*s\n", (int)name_len, name, (int)len,
	                  value);
}

static int w_frame(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
	struct w_end *e = arg;
	struct w_stream *st;
	bool end = f->hd.flags & NGHTTP2_FLAG_END_STREAM;

	(void)s;
	if (f->hd.type == NGHTTP2_GOAWAY) {
		e->went_away = true;
		e->goaway = f->goaway.error_code;
	}
	if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA)
		return 0;
	st = w_stream(e, f->hd.stream_id);
	st->ended |= end;
	if (e->server && f->hd.type == NGHTTP2_HEADERS &&
	    f->headers.cat == NGHTTP2_HCAT_REQUEST)
		w_on_head(e, st);
	if (e->server && end)
		w_on_end(e, st);
	return 0;
}

static int w_chunk(nghttp2_session *s, uint8_t flags, int32_t id,
                   const uint8_t *data, size_t len, void *arg)
{
	struct w_end *e = arg;
	struct w_stream *st = w_stream(e, id);

	(void)flags;
	for (size_t i = 0; st->counts && i < len; i++)
		if (data[i] != w_byte(st->counted++))
			fail_msg("byte %zu is wrong", st->counted - 1);
	if (e->server && st->echo)
		w_write(e, st, data, len);
	else if (!st->counts)
		assert_int_equal(buf_add(&st->body, data, len), 0);
	e->received += len;
	if (!e->no_consume)
		assert_int_equal(nghttp2_session_consume(s, id, len), 0);
	return 0;
}

static int w_closed(nghttp2_session *s, int32_t id, uint32_t code, void *arg)
{
	struct w_stream *st = w_stream(arg, id);

	(void)s;
	st->closed = true;
	st->code = code;
	return 0;
}

static void w_end_init(struct world *w, struct w_end *e, bool server,
                       const nghttp2_settings_entry *iv, size_t n)
{
	nghttp2_session_callbacks *c;
	nghttp2_option *o;

	e->w = w;
	e->server = server;
	assert_int_equal(nghttp2_session_callbacks_new(&c), 0);
	assert_int_equal(nghttp2_option_new(&o), 0);
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_max_send_header_block_length(o, 1 << 20);
	nghttp2_option_set_stream_reset_rate_limit(o, 1 << 20, 1 << 20);
	nghttp2_session_callbacks_set_on_header_callback(c, w_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, w_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, w_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, w_closed);
	assert_int_equal(server ? nghttp2_session_server_new2(&e->s, c, e, o)
	                        : nghttp2_session_client_new2(&e->s, c, e, o),
	                 0);
	assert_int_equal(nghttp2_submit_settings(e->s, 0, iv, n), 0);
	nghttp2_session_callbacks_del(c);
	nghttp2_option_del(o);
}

static void w_end_free(struct w_end *e)
{
	nghttp2_session_del(e->s);
	for (size_t i = 0; i < W_STREAMS; i++) {
		if (!e->v[i])
			continue;
		buf_release(&e->v[i]->head);
		buf_release(&e->v[i]->body);
		buf_release(&e->v[i]->trailers);
		buf_release(&e->v[i]->early);
		buf_release(&e->v[i]->out);
		free(e->v[i]);
	}
}

/* ---- bytes --------------------------------------------------------------- */

static void w_said(struct world *w, int r)
{
	if (r < 0 && !w->ended)
		w->ended = r;
}

/* Bytes to the relay, cut. */
static void w_put(struct world *w, enum side from, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len && !w->ended) {
		size_t n = w->cut && w->cut < len ? w->cut : len;
		uint8_t *copy;

		if (n > RELAY_CHUNK)
			n = RELAY_CHUNK;
		copy = malloc(n); /* so that reading past it is seen */
		assert_non_null(copy);
		memcpy(copy, p, n);
		w_said(w, w->r->ops->input(w->r, from, copy, n));
		free(copy);
		p += n;
		len -= n;
	}
}

/* From out[] to the end. */
static bool w_take(struct world *w, enum side to)
{
	struct w_end *e = to == SIDE_GUEST ? &w->client : &w->server;
	struct buf *out = &w->r->out[to];
	size_t n = out->len;

	if (n > w->most_out[to])
		w->most_out[to] = n;
	if (n == 0 || (to == SIDE_GUEST ? w->hold_client : w->hold_server))
		return false;
	if (w->keep_raw)
		(void)buf_add(&w->raw[to], out->data, n);
	if (e->s)
		(void)nghttp2_session_mem_recv(e->s, out->data, n);
	buf_consume(out, n);
	if (!w->ended)
		w_said(w, w->r->ops->room(w->r));
	return true;
}

static bool w_give(struct world *w, enum side from)
{
	struct w_end *e = from == SIDE_GUEST ? &w->client : &w->server;
	const uint8_t *p;
	ssize_t n;

	if (w->ended || !e->s ||
	    w->r->out[side_other(from)].len >= RELAY_HIGH ||
	    !w->r->ops->wants(w->r, from))
		return false;
	n = nghttp2_session_mem_send(e->s, &p);
	assert_true(n >= 0);
	w_put(w, from, p, (size_t)n);
	return n > 0;
}

static void w_run(struct world *w)
{
	bool more;

	do {
		more = w_give(w, SIDE_GUEST);
		more |= w_take(w, SIDE_SERVER);
		more |= w_give(w, SIDE_SERVER);
		more |= w_take(w, SIDE_GUEST);
	} while (more);
}

/* ---- a world ------------------------------------------------------------- */

struct w_secret {
	const char *name, *placeholder, *value, *hosts;
	unsigned where;
	enum secret_violation violation;
	bool mask;
};

static void w_add_secret(struct world *w, const struct w_secret *s)
{
	char *hosts[2] = {(char *)s->hosts, NULL};
	struct secret c = {
		.name = (char *)s->name,
		.placeholder = (char *)s->placeholder,
		.placeholder_len = strlen(s->placeholder),
		.value = (uint8_t *)s->value,
		.len = strlen(s->value),
		.hosts = {.v = hosts, .n = 1},
		.where = s->where,
		.violation = s->violation,
		.mask = s->mask
        };

	assert_int_equal(secrets_set(w->secrets, &c, NULL), 0);
}

static const struct w_secret w_usual[] = {
	{"KEY",   PLACEHOLDER, VALUE,           HOST,
         SECRET_HEADERS | SECRET_BASIC | SECRET_QUERY | SECRET_BODY,
         SECRET_BLOCK_LOG, false},
	{"OTHER", OTHER,       "another-value", "other.example", SECRET_HEADERS,
         SECRET_BLOCK_LOG, false},
};

/* @n secrets; the relay and a raw guest, or nghttp2's client. */
static struct world *w_new_with(const struct w_secret *s, size_t n, bool raw,
                                const nghttp2_settings_entry *iv, size_t niv)
{
	struct world *w = calloc(1, sizeof(*w));
	struct relay_env env;

	assert_non_null(w);
	w->gate = (struct gate){.name = HOST,
	                        .port = 443,
	                        .tls = true,
	                        .pinned = true,
	                        .verified = true};
	w->secrets = secrets_new();
	assert_non_null(w->secrets);
	for (size_t i = 0; i < n; i++)
		w_add_secret(w, &s[i]);
	assert_int_equal(secrets_seal(w->secrets), 0);
	w->sink = (struct sink){w_event, w};
	w->raw[0].max = w->raw[1].max = 1 << 30;
	env = (struct relay_env){.gate = &w->gate,
	                         .secrets = w_secrets,
	                         .secrets_arg = w,
	                         .sink = &w->sink};
	w->r = http2_new(&env);
	assert_non_null(w->r);
	if (!raw)
		w_end_init(w, &w->client, false, NULL, 0);
	w_end_init(w, &w->server, true, iv, niv);
	return w;
}

static inline struct world *w_new(void)
{
	return w_new_with(w_usual, 2, false, NULL, 0);
}

static void w_free(struct world *w)
{
	w->r->ops->free(w->r);
	w_end_free(&w->client);
	w_end_free(&w->server);
	secrets_unref(w->secrets);
	buf_release(&w->raw[0]);
	buf_release(&w->raw[1]);
	free(w);
}

/* A request with up to 8 more headers, by pairs; NULL ends them. */
static struct w_stream *w_request(struct world *w, const char *method,
                                  const char *path, const char *authority,
                                  bool body, const char *const *more)
{
	nghttp2_nv nv[24] = {NV(":method", method), NV(":scheme", "https"),
	                     NV(":path", path), NV(":authority", authority)};
	size_t n = 4;
	struct w_stream *st;
	nghttp2_data_provider p = {.read_callback = w_read};
	int32_t id = nghttp2_session_get_next_stream_id(w->client.s);

	for (; more && *more; more += 2)
		nv[n++] = (nghttp2_nv)NV(more[0], more[1]);
	st = w_stream(&w->client, id);
	p.source.ptr = st;
	assert_int_equal(nghttp2_submit_request(w->client.s, NULL, nv, n,
	                                        body ? &p : NULL, NULL),
	                 id);
	return st;
}

static inline struct w_stream *w_get(struct world *w, const char *path,
                                     const char *const *more)
{
	return w_request(w, "GET", path, HOST, false, more);
}

static inline bool w_has(const struct buf *b, const char *text)
{
	return b->data && memmem(b->data, b->len, text, strlen(text));
}

#endif
