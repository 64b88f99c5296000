/* escape.h - text from outside made harmless for a terminal. */
#ifndef BASE_ESCAPE_H
#define BASE_ESCAPE_H

#include <stddef.h>

#include "base/buf.h"

/*
 * Append @len bytes to @b. Control characters (C0 but tab, DEL, C1 in UTF-8)
 * and bytes that are not UTF-8 become \xNN; newline stays if @keep_newline.
 * Bidirectional overrides (U+202A..2E, U+2066..69) become \u escapes, too.
 */
int escape_text(struct buf *b, const void *text, size_t len, int keep_newline);

#endif
