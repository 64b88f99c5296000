/*
 * http1.h - HTTP/1 between a guest and a server: what the guest sends is read
 * as strictly as any server might read it and sent on as it was spelled, with
 * values where placeholders stood; what the server sends is followed only to
 * know which answer belongs to which request.
 *
 *	guest -> [lines] -> head, checked -> subst -> out[SIDE_SERVER]
 *	                    body, by its framing ----^
 *	         exchanges: a line of who waits for an answer
 *	guest <- out[SIDE_GUEST] <- answers, first to first
 *
 * The danger is in two readers of one text: a request that the server sees
 * where we saw a body would carry its placeholders, or a Host of its choice,
 * past all checks. So whatever two servers are known to read in two ways is
 * refused, not repaired (RFC 9112 section 11.2, and every list of "smuggling"
 * shapes since), and a text that is sent on has one meaning.
 *
 * A request that is refused gets an answer from us, when those before it have
 * theirs, and nothing is read behind it. When some of it was sent on already,
 * both connections are cut.
 *
 * What is changed, apart from values:
 *
 *	an empty line before a request		dropped (at most one)
 *	Content-Length of a body with values	told anew; the body is held
 *whole until then, up to SUBST_BODY_MAX Expect: 100-continue of such a body
 *dropped; we say "100 Continue", for the server cannot be asked before the
 *length is known chunks of a body that may get values	cut anew; never held
 *back chunk extensions			dropped when there is anything to look
 *for (a server must ignore those that it does not know) h2c in Upgrade,
 *HTTP2-Settings		dropped: HTTP/2 without TLS inside TLS would be
 *a way past us Accept-Encoding, Range, If-Range, TE	where answers are
 *masked: identity only, whole
 *
 * And of answers that are masked: Content-Length becomes chunks (HTTP/1.0: the
 * end of the connection). After 101 all is opaque.
 */
#ifndef TLS_HTTP1_H
#define TLS_HTTP1_H

#include "base/buf.h"
#include "base/err.h"
#include "policy/policy.h"
#include "tls/relay.h"
#include "tls/subst.h"

#define H1_HEAD_MAX     (64u << 10)
#define H1_HEAD_OUT_MAX (1u << 20)   /* with its values */
#define H1_ANSWER_MAX   (256u << 10) /* an answer's head, as browsers take */
#define H1_FIELDS_MAX   1024
#define H1_TRAILER_MAX  (64u << 10)
#define H1_EXTENSION    (4u << 10) /* of one chunk */
#define H1_METHOD_MAX   32
#define H1_WAITING_MAX  100        /* requests without an answer */
#define H1_INTERIM_MAX  64         /* 1xx answers to one request */
#define H1_SLICE        (4u << 10) /* of a body, between looks at out[] */
/* Bodies that all flows together may hold until their length is known. */
#define H1_HELD_MAX (256u << 20)

/* Why a request, or an answer, is refused: errors with a status. */
#define H1_BAD      (-EBADMSG) /* 400 */
#define H1_LONG     (-E2BIG)   /* 431 */
#define H1_AWAY     (-EREMCHG) /* 421: meant for another host */
#define H1_FORBID   (-EPERM)   /* 403, said by us */
#define H1_VIOLATES (-EACCES)  /* 403, said by subst.c */
#define H1_BIG      (-EFBIG)   /* 413 */
#define H1_BUSY     (-ENOBUFS) /* 503 */
#define H1_ANSWER   (-EPROTO)  /* 502: the server's answer is broken */

struct h1_text {
	const char *p;
	size_t len;
};

static inline struct h1_text h1_text(const char *p, size_t len)
{
	return (struct h1_text){p, len};
}

/* ---- http1_head.c: lines and fields --------------------------------------
 */

/* A head, or trailers, while its lines come in. */
struct h1_head {
	struct buf text; /* ends with the empty line when whole */
	size_t line;     /* where the line begins that is not whole */
	unsigned lines;
};

/* Who sends it: guests are read strictly, of servers we follow what all
   clients follow. */
enum h1_reader { H1_STRICT, H1_LENIENT };

/*
 * Take bytes up to the end of the head; 1: it is whole, 0: more, H1_BAD,
 * H1_LONG, -ENOMEM. *ret_used on success only.
 */
int h1_head_add(struct h1_head *h, const uint8_t *data, size_t len, size_t max,
                enum h1_reader reader, size_t *ret_used, struct err *err);
/* Wiped, for a server may send a value back; large memory is given back. */
void h1_head_reset(struct h1_head *h);
void h1_head_release(struct h1_head *h);

struct h1_field {
	struct h1_text line; /* without its end */
	struct h1_text name, value;
	size_t next; /* where the next line begins, in the head's text */
};

/* The first line; *ret_next is where the fields begin. */
struct h1_text h1_head_first(const struct h1_head *h, size_t *ret_next);
/* The field at @at; false at the end. One without a colon has no name. */
bool h1_field_at(const struct h1_head *h, size_t at, struct h1_field *ret);

/* Names that mean something to us. */
enum h1_name {
	H1_OTHER,
	H1_HOST,
	H1_CONTENT_LENGTH,
	H1_TRANSFER_ENCODING,
	H1_CONTENT_TYPE,
	H1_CONTENT_ENCODING,
	H1_CONNECTION,
	H1_UPGRADE,
	H1_HTTP2_SETTINGS,
	H1_EXPECT,
	H1_ACCEPT_ENCODING,
	H1_RANGE,
	H1_IF_RANGE,
	H1_TE,
	H1_NAMES
};

enum h1_name h1_name_of(struct h1_text name);

/* What the fields of a head say: how many of each name, the first value. */
struct h1_says {
	unsigned count[H1_NAMES];
	struct h1_text first[H1_NAMES];
};

/* Checks each field from @at on. H1_BAD, H1_LONG (too many). */
int h1_fields(const struct h1_head *h, size_t at, enum h1_reader reader,
              struct h1_says *ret, struct err *err);
/* Of a request: names that must not be in trailers. */
int h1_trailers_check(const struct h1_head *h, struct err *err);

bool h1_is(struct h1_text t, const char *s); /* in any case of letters */
bool h1_is_token(struct h1_text t);
/* The next of a list's elements, trimmed; empty ones too. False: no more. */
bool h1_list_next(struct h1_text *rest, struct h1_text *ret);
/* A NUL behind it, cut to @size. */
void h1_copy(struct h1_text t, char *ret, size_t size);

struct h1_framing {
	enum { H1_NONE, H1_LENGTH, H1_CHUNKED, H1_CLOSE } kind;
	uint64_t length;
};

/* @old: HTTP/1.0. H1_BAD. */
int h1_request_framing(const struct h1_says *s, bool old,
                       struct h1_framing *ret, struct err *err);
/* Of a final answer. H1_ANSWER. */
int h1_answer_framing(const struct h1_head *h, size_t at,
                      const struct h1_says *s, unsigned status, bool asked_head,
                      struct h1_framing *ret, struct err *err);

/* ---- http1_target.c: whom a request is for -------------------------------
 */

struct h1_line {
	struct h1_text method, target;
	bool old; /* HTTP/1.0 */
};

int h1_request_line(struct h1_text line, struct h1_line *ret, struct err *err);
/*
 * Do target, Host and the flow name the same? @ret: that name, "" when there is
 * none, or it is an address. H1_BAD, H1_AWAY, H1_FORBID (CONNECT).
 */
int h1_target(const struct h1_line *line, const struct h1_says *s,
              const struct gate *g, char ret[POLICY_NAME_MAX + 1],
              struct err *err);

/* ---- http1_body.c --------------------------------------------------------
 */

/* Reads chunks, in pieces of the given bytes. */
struct h1_chunks {
	int state;
	enum h1_reader reader;
	uint64_t left;
	unsigned digits, extension;
	struct h1_head trailers;
};

enum h1_piece {
	H1_FRAME,    /* bytes of the framing */
	H1_EXT,      /* of an extension */
	H1_DATA,     /* of the body */
	H1_LAST,     /* the end of the last chunk's line; framing too */
	H1_TRAILERS, /* taken into `trailers` */
	H1_END,      /* the same, and these are whole */
};

void h1_chunks_begin(struct h1_chunks *c, enum h1_reader reader);
void h1_chunks_release(struct h1_chunks *c);
/* 0 < *ret_used <= @len; H1_BAD, H1_LONG, -ENOMEM. */
int h1_chunks_next(struct h1_chunks *c, const uint8_t *data, size_t len,
                   size_t *ret_used, enum h1_piece *ret, struct err *err);
/* One chunk with @data, onto @out; nothing when empty. */
int h1_chunk_put(struct buf *out, const struct buf *data);

/* ---- the relay -----------------------------------------------------------
 */

/* A request that waits for its answer. */
struct h1_exchange {
	struct secrets *mask; /* whose values its answer must not show; NULL */
	bool head, upgrade, old;
};

enum h1_reading { H1_READ_HEAD, H1_READ_LENGTH, H1_READ_CHUNKS, H1_READ_NOT };

/* The request that is being read. */
struct h1_request {
	enum h1_reading reading;
	struct h1_head head;
	bool skipped; /* an empty line before it */
	struct h1_line line;
	char method[H1_METHOD_MAX + 1], *path; /* for subst.c */
	char authority[POLICY_NAME_MAX + 1];
	struct h1_framing framing;
	uint64_t left, put; /* of Content-Length: still to come, sent on */
	struct h1_chunks chunks;
	struct secrets *secrets; /* those that it began with */
	struct subst *subst;
	bool looks;       /* there is something to look for */
	bool changes;     /* the body's length may change */
	bool hold;        /* the body waits in `held`, the head in `out` */
	bool masked;      /* its answer is to be */
	bool upgrade;     /* it asks for another protocol */
	bool accepts;     /* had an Accept-Encoding */
	bool sent;        /* some of it is on its way */
	bool say_go;      /* "100 Continue" is due from us */
	struct buf out;   /* its head as it is sent on */
	size_t length_at; /* in out: where Content-Length belongs */
	struct h1_field length; /* its line as it was */
	struct buf held, piece; /* a body; scratch */
	size_t counted;         /* of held, in the sum of all flows */
};

/* The answer that is being read. */
struct h1_answer {
	enum { H1_ANSWER_HEAD, H1_ANSWER_BODY } reading;
	struct h1_head head;
	struct h1_framing framing;
	uint64_t left;
	struct h1_chunks chunks;
	struct mask *mask; /* NULL: none */
	bool masks_body;
	bool rechunk; /* what is sent is chunked by us */
	bool last;    /* then the connection ends */
	unsigned interim;
	struct buf piece;
};

struct http1 {
	struct relay r;
	struct relay_env env; /* for the relay after 101 */
	struct relay *opaque; /* that one */
	struct h1_request rq;
	struct h1_answer an;
	struct h1_exchange waiting[H1_WAITING_MAX];
	unsigned first, nwaiting;
	struct buf later; /* of the guest, that cannot be read yet */
	bool upgrading;   /* a request that asks for 101 waits */
	size_t going;     /* bodies that were held, in out[SIDE_SERVER] */
	int ended;        /* what all calls return from now on */
	/* A refusal that waits for the answers before it. */
	int refused;
	bool refused_head; /* the request was HEAD: no body */
	char why[240];
	/* Is there anything to mask? As of these. */
	uint64_t masks_of; /* id of a set */
	bool masks, said_encoded;
};

/* http1.c */
struct h1_exchange *h1_waiting(struct http1 *h); /* the first; NULL */
void h1_forget(struct http1 *h);                 /* all who wait */
/* The request is on its way. */
void h1_push(struct http1 *h);
/* The first has its answer: what waited for that. As input(). */
int h1_answered(struct http1 *h);
/* What the guest sent and could not be read yet. As input(). */
int h1_resume(struct http1 *h);
/* "100 Continue", when it is due from us and its turn. */
int h1_say_go(struct http1 *h);
/* -ESHUTDOWN, 0 (it waits), -ECONNABORTED. */
int h1_refuse(struct http1 *h, int code, const struct err *err);
/* Where a flow is for, in a line for people. */
const char *h1_peer(const struct http1 *h);

/* http1_request.c: rq.head is whole. 0, or as h1_refuse() takes it. */
int h1_request_begin(struct http1 *h, struct err *err);
int h1_send_head(struct http1 *h);
void h1_request_reset(struct h1_request *rq);

/* http1_body.c: of the request; *ret_used. The same. */
int h1_request_length(struct http1 *h, const uint8_t *data, size_t len,
                      size_t *ret_used, struct err *err);
int h1_request_chunks(struct http1 *h, const uint8_t *data, size_t len,
                      size_t *ret_used, struct err *err);
void h1_held_release(struct h1_request *rq);
void h1_gone(struct http1 *h); /* what was held and sent has left out[] */
/* A field with what subst.c makes of it, onto @out. */
int h1_field_put(struct h1_request *rq, const struct h1_field *f,
                 struct buf *out, struct err *err);

/* http1_answer.c: as input() and eof(). */
int h1_answer_input(struct http1 *h, const uint8_t *data, size_t len);
int h1_answer_eof(struct http1 *h);
void h1_answer_reset(struct h1_answer *an);

#endif
