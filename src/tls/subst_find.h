/*
 * subst_find.h - needles in a text, as they are and encoded.
 *
 * A text is read in units: a byte, a percent-encoded byte, a JSON escape (a
 * pair of surrogates is one). A match is either the bytes as they stand, or
 * some units whose meaning is the needle; the first one in the text counts,
 * the longest of those that begin there, and the next is looked for behind it.
 * The text of a stream comes in pieces, each beginning where the last was held;
 * where it is cut changes nothing.
 */
#ifndef TLS_SUBST_FIND_H
#define TLS_SUBST_FIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/needle.h"

enum find_form { FIND_RAW, FIND_PERCENT, FIND_JSON, FIND_MIXED };

struct find_hit {
	unsigned index;
	enum find_form form;
	size_t at, len; /* in the text, as it stands there */
};

/* Begins with @needles alone, the rest zeroed. */
struct find {
	const struct needles *needles;
	const uint8_t *data;
	size_t len;
	bool last; /* nothing follows: nothing is held */
	size_t pos;
	/* After find_next() said 0: from here on the text may be the beginning
	   of a match, and is to be the beginning of the next text. */
	size_t hold;
	/* Private. */
	bool raw_known, raw_any;
	struct find_hit raw;
	size_t clear, escape; /* no escape in [clear, escape) */
	size_t cursor, bound;
	struct buf text; /* decoded */
};

void find_begin(struct find *f, const uint8_t *data, size_t len, bool last);
/* 1: *ret is the next match. 0: there is none. -ENOMEM. */
int find_next(struct find *f, struct find_hit *ret);
void find_release(struct find *f);

/* What stands onto @out instead of a match in @text. 0 or 1, or an error. */
typedef int find_fn(void *arg, const uint8_t *text, const struct find_hit *hit,
                    struct buf *out);
/* A whole text onto @out, @fn called for each match. 0, or the first error. */
int find_copy(struct find *f, const uint8_t *data, size_t len, find_fn *fn,
              void *arg, struct buf *out);
/* A stream, in pieces; @carry has what is held. @last: its end. */
int find_stream(struct find *f, struct buf *carry, const uint8_t *data,
                size_t len, bool last, find_fn *fn, void *arg, struct buf *out);

#endif
