/*
 * subst_unit.h - a text's units, as subst_find.h reads it: a byte, a byte in
 * percent-encoding, a JSON escape.
 */
#ifndef TLS_SUBST_UNIT_H
#define TLS_SUBST_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/subst_find.h"

#define UNIT_MAX 12 /* bytes of one: two surrogates */

struct unit {
	enum find_form form; /* FIND_RAW: a byte as it stands */
	bool cut;            /* the text ends in the middle of it */
	uint8_t len;         /* in the text */
	/* What it means; n is 0 for half a pair of surrogates. */
	uint8_t n, bytes[4];
};

extern const uint8_t unit_digits[256], unit_escapes[256];

/* May @c, % or \, be one of several bytes with @next behind it? */
static inline bool unit_begins(uint8_t c, uint8_t next)
{
	return c == '%' ? unit_digits[next] : unit_escapes[next];
}

/* The one that begins at @p, of @left bytes. @last: nothing follows them. */
struct unit unit_at(const uint8_t *p, size_t left, bool last);

#endif
