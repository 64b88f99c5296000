/*
 * subst.h - placeholders become values, and values in answers placeholders.
 *
 * One struct subst lives as long as a request. It knows which secrets may be
 * put into it (their hosts, the gate, the request's authority) and looks for
 * the placeholders of all others: a violation, by the secret's option:
 *
 *	SECRET_BLOCK		  -EACCES, counted
 *	SECRET_BLOCK_LOG	  -EACCES, counted, a line
 *	SECRET_BLOCK_TERMINATE	  -EACCES, counted, a line, the machine ends
 *	SECRET_PASS		  goes on with the placeholder; counted, a line
 *
 * A secret that is allowed here, but not in this part of a request (say the
 * body), is left as it is, with a line for people once a flow.
 *
 * Placeholders are found as they are, percent-encoded, JSON-escaped, in
 * Basic's base64, in any mixture of cuts. Values are put in encoded as the
 * place asks for it: percent-encoded in a query and in a form's body,
 * JSON-escaped in a JSON body, base64 with the rest of Basic's; where the
 * placeholder was encoded itself, as it was. A value with CR, LF or NUL is
 * never put into a header (-EACCES, a line).
 */
#ifndef TLS_SUBST_H
#define TLS_SUBST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "tls/gate.h"
#include "tls/vault.h"

#define SUBST_BODY_MAX (16u << 20) /* of a length that must be told first */

struct subst;

/* What a request says of itself; @path is shown without its query. */
struct subst_request {
	const char *protocol; /* "HTTP/1.1", "HTTP/2", "cleartext" */
	const char *method, *path;
	/* Host or :authority, without port, as policy_name(); "": none. Must
	   equal the gate's name for any value to be put in. */
	const char *authority;
};

/*
 * References @s, borrows @g and @sink. NULL when out of memory. When there are
 * no secrets at all, everything below copies and costs nothing more.
 */
struct subst *subst_new(struct secrets *s, const struct gate *g,
                        const struct sink *sink,
                        const struct subst_request *rq);
/* Tells the sink how many values were put in. NULL is fine. */
void subst_free(struct subst *s);

/* Is there something to look for at all? */
bool subst_looks(const struct subst *s);

/*
 * A request's target as it was sent, onto @out: the query may get values. 0,
 * -EACCES, -ENOMEM, -E2BIG.
 */
int subst_target(struct subst *s, const char *target, size_t len,
                 struct buf *out);

/*
 * A header's value onto @out. *ret_secret: it has a value in it now (HTTP/2:
 * never index it). Also for trailers. @name in any case.
 */
int subst_header(struct subst *s, const char *name, size_t name_len,
                 const char *value, size_t len, struct buf *out,
                 bool *ret_secret);

/*
 * The body. First what its headers say; "" where there is none. @coding other
 * than "" and identity: it cannot be seen into, and is passed as it is.
 */
int subst_body_begin(struct subst *s, const char *type, const char *coding);
/* May its length change? Then whoever frames it must not tell it before. */
bool subst_body_changes(const struct subst *s);
/* Whole at once or by pieces; what comes out may lag behind until the end. */
int subst_body(struct subst *s, const uint8_t *data, size_t len,
               struct buf *out);
int subst_body_end(struct subst *s, struct buf *out);

/*
 * A body whose length was told already: a value that is as long as its
 * placeholder is put in, another is -EFBIG, with a line.
 */
void subst_body_fixed(struct subst *s);

/*
 * What the guest is told after -EACCES: which secret, and what may be done. It
 * has no value in it.
 */
const char *subst_refusal(const struct subst *s);

/* How many values were put in so far. */
unsigned subst_used(const struct subst *s);

/* ---- answers ------------------------------------------------------------- */

/*
 * Values of @s that are allowed for the gate's name and have `mask`: they, and
 * their percent-encoded, JSON-escaped and base64 forms, become placeholders.
 * NULL with *ret_r 0: there is nothing to mask.
 */
struct mask;
struct mask *mask_new(struct secrets *s, const struct gate *g,
                      const struct sink *sink, int *ret_r);
void mask_free(struct mask *m); /* counts what it did; NULL is fine */
/* A header's value, or a whole text. 0, -ENOMEM, -E2BIG. */
int mask_text(struct mask *m, const char *value, size_t len, struct buf *out);
/* A body in pieces: only what may be the beginning of a value is held back. */
int mask_body(struct mask *m, const uint8_t *data, size_t len, struct buf *out);
int mask_body_end(struct mask *m, struct buf *out);

#endif
