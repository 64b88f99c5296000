/*
 * http2.h - the parts of the HTTP/2 relay among themselves. Theory: http2.c.
 */
#ifndef TLS_HTTP2_H
#define TLS_HTTP2_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/needle.h"
#include "tls/relay.h"
#include "tls/subst.h"

#define H2_STREAMS_MAX 128         /* that the guest may have at once */
#define H2_HEAD_MAX    (64u << 10) /* of a request, before values */
#define H2_HEAD_FIELDS 1024
#define H2_ANSWER_MAX                                                          \
	(256u << 10) /* of an answer, and of a request with                    \
	                the values in it */
#define H2_ANSWER_FIELDS 2048
#define H2_WINDOW        (256 << 10) /* of a stream, towards the guest */
#define H2_WINDOW_ALL    (1 << 20)   /* of the connection */
/* The same towards the server, who may be far away. */
#define H2_WINDOW_SERVER     (1 << 20)
#define H2_WINDOW_SERVER_ALL (2 << 20)
/* Bodies that are kept until their length is known: of a connection, and of
   all of this process. */
#define H2_HELD_MAX    (2 * SUBST_BODY_MAX)
#define H2_HELD_BY_ALL (16 * (size_t)SUBST_BODY_MAX)
/* What waits in one direction of one stream: a value may be much longer than
   its placeholder. */
#define H2_DATA_MAX (32u << 20)
/* Beyond a head's bound it is still read, to be answered, but not for ever: a
   byte of a head may stand for thousands. */
#define H2_BEYOND_MAX (4u << 20)
#define H2_QUEUE_MAX  1024 /* frames that one does not read: then nor do we */

/* ---- http2_fields.c: lists of headers ------------------------------------ */

/* Offsets into `text`, where both have a NUL behind them. */
struct h2_field {
	size_t name, name_len, value, value_len;
	uint8_t flags; /* NGHTTP2_NV_FLAG_NO_INDEX or 0 */
};

struct h2_fields {
	struct buf text;
	struct h2_field *v;
	size_t n, cap, size; /* size: as RFC 9113 6.5.2 counts */
	bool large, bad;     /* past the bounds; what HTTP forbids */
	size_t beyond;       /* bytes that came when it was large already */
};

void h2_fields_release(struct h2_fields *f); /* empty again */
/* Past @max bytes or @max_n fields `large` is set, and the field is dropped. */
int h2_fields_add(struct h2_fields *f, const void *name, size_t name_len,
                  const void *value, size_t value_len, uint8_t flags,
                  size_t max, size_t max_n);
static inline const char *h2_name(const struct h2_fields *f, size_t i)
{
	return (const char *)f->text.data + f->v[i].name;
}
static inline const char *h2_value(const struct h2_fields *f, size_t i)
{
	return (const char *)f->text.data + f->v[i].value;
}
bool h2_is(const struct h2_fields *f, size_t i, const char *name);
/* The first of this name; NULL: none. */
const char *h2_get(const struct h2_fields *f, const char *name);
/* content-encoding: "" is none or identity, "several" more than one. */
const char *h2_coding(const struct h2_fields *f);
/* An array to submit, valid as long as @f is unchanged. Free it. */
nghttp2_nv *h2_nva(const struct h2_fields *f);

/* ---- a stream ------------------------------------------------------------ */

/* One direction, by who sends it: half[SIDE_GUEST] is the request. */
struct h2_half {
	struct buf data; /* from `at`: on its way to the other side */
	size_t at;
	size_t owed; /* bytes whose window the sender has not got back */
	bool ended;  /* the sender said so */
	bool waits;  /* the other session was told that there is nothing */
	bool done;   /* END_STREAM went out */
	bool cut;    /* RST_STREAM with `code` goes out when data is empty */
	uint32_t code;
	struct h2_fields trailers;
};

enum h2_state {
	H2_HEAD,    /* the request's head comes */
	H2_HELD,    /* its body comes, and is counted before the head goes on */
	H2_WAITING, /* for the server to have room for one more stream */
	H2_SENT,
	H2_LOCAL, /* answered by us; what else the guest sends is dropped */
};

struct h2_stream {
	struct h2 *h;
	struct h2_stream *prev, *next; /* by age */
	enum h2_state state;
	int32_t id[2];
	bool open[2];      /* the session of that side may call for it */
	bool answered;     /* the final answer's head has come, or ours */
	bool opaque;       /* extended CONNECT: a tunnel */
	bool head_only;    /* HEAD */
	bool bodiless;     /* END_STREAM was on the request's head */
	bool flushed;      /* subst_body_end() was called */
	bool reset[2];     /* RST_STREAM was submitted */
	size_t held;       /* of h->held */
	size_t sending[2]; /* bytes of heads that a session is to send */
	size_t heads;      /* of h->waiting_bytes: what h2_count_heads() saw */
	struct h2_fields head;  /* what comes from the guest now */
	struct h2_fields ready; /* what goes to the server, values in it */
	struct h2_fields from_server;
	struct h2_half half[2];
	struct secrets *secrets;
	struct subst *subst;
	struct mask *mask;
	bool masks;                /* the body of the answer */
	struct needle_watch watch; /* opaque */
};

/* Tokens of a flood's guard: `rate` come each second, up to `burst`. */
struct h2_bucket {
	unsigned left, burst, rate;
	uint64_t at_ns;
};

struct h2 {
	struct relay r;
	nghttp2_session *session[2]; /* by side; towards the guest a server's */
	struct h2_stream *first, *last;
	unsigned active;     /* streams that the server has */
	unsigned server_max; /* that it takes at once */
	bool tunnels;        /* it said ENABLE_CONNECT_PROTOCOL */
	bool leaving;        /* no more requests: REFUSED_STREAM */
	bool eof[2];
	bool eof_done[2];     /* its session is not called any more */
	int fatal;            /* an errno for input() */
	size_t held;          /* bytes that streams in H2_HELD may have */
	size_t waiting_bytes; /* in all half[].data, and of heads */
	bool said_connect, said_coded, said_much;
	struct h2_bucket resets[2], idle[2];
};

/* ---- http2.c ------------------------------------------------------------- */

/* RST_STREAM to a side that has the stream. */
void h2_reset(struct h2_stream *st, enum side to, uint32_t code);
/* Both, and what was on its way is dropped. */
void h2_cancel(struct h2_stream *st, uint32_t code);
void h2_fatal(struct h2 *h, int code);
/* One more stream that @from made for nothing: too many end the connection. */
void h2_tire(struct h2 *h, enum side from);

/* ---- http2_data.c -------------------------------------------------------- */

/* @h has @after bytes waiting where it had @before. */
void h2_count(struct h2 *h, size_t before, size_t after);
/* The same for heads and trailers of @st, as they are now. */
void h2_count_heads(struct h2_stream *st);
/* More than a connection, or all of them, may make wait; says so. */
bool h2_too_much(struct h2 *h);
/* What @half.data came to have: open the sender's window by what left it. */
void h2_settle(struct h2_stream *st, enum side from);
/* There is something for the session that was told that there is not. */
void h2_wake(struct h2_stream *st, enum side from);
void h2_half_drop(struct h2_stream *st, enum side from);
/* Bytes of a body came. @st NULL: of nobody any more. */
void h2_data(struct h2 *h, struct h2_stream *st, int32_t id, enum side from,
             const uint8_t *data, size_t len);
/* END_STREAM came. */
void h2_data_end(struct h2_stream *st, enum side from);
/* Trailers came: what is behind a body; before h2_data_end(). */
int h2_trailers_taken(struct h2_stream *st, enum side from);
/* For either session: what the other side sent. */
nghttp2_data_provider h2_provider(struct h2_stream *st);
int h2_send_data(nghttp2_session *session, nghttp2_frame *frame,
                 const uint8_t *framehd, size_t length,
                 nghttp2_data_source *source, void *arg);

/* ---- http2_request.c ----------------------------------------------------- */

/* The head, or the trailers, of a request is whole. */
void h2_request_head(struct h2_stream *st, bool ended);
int h2_request_trailers(struct h2_stream *st);
int h2_request_data(struct h2_stream *st, const uint8_t *data, size_t len);
int h2_request_end(struct h2_stream *st);
/* Why nothing of it goes on: -EACCES, -E2BIG, -EFBIG, -ENOMEM. */
void h2_request_fail(struct h2_stream *st, int code);
/* Streams that wait, as far as the server has room. */
void h2_request_next(struct h2 *h);
/* Of a stream that ends: what was kept free for its body. */
void h2_request_unhold(struct h2_stream *st);

/* ---- http2_answer.c ------------------------------------------------------ */

void h2_answer_head(struct h2_stream *st, bool ended);
int h2_answer_trailers(struct h2_stream *st);
int h2_answer_data(struct h2_stream *st, const uint8_t *data, size_t len);
int h2_answer_end(struct h2_stream *st);
/* Our own answer: "microsandbox: @text\n". */
void h2_answer_own(struct h2_stream *st, unsigned status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
