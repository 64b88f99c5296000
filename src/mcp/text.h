/* text.h - bytes of guests as text that JSON can carry. */
#ifndef MCP_TEXT_H
#define MCP_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* The most of @len bytes, up to @max, that does not cut a character. */
size_t text_cut(const void *data, size_t len, size_t max);

/*
 * How many bytes at the end of @data begin a character that is not whole yet:
 * 0 to 3.
 */
size_t text_open_end(const void *data, size_t len);

/* A JSON string; what is not UTF-8 becomes U+FFFD. NULL: no memory. */
json_t *text_json(const void *data, size_t len);
json_t *text_json_str(const char *s); /* NULL: null */

/* The same as base64. */
json_t *text_base64(const void *data, size_t len);
/* Strict: no white space, whole groups, padding. False when it is none. */
bool text_from_base64(const char *text, size_t len, struct buf *ret);

/* By an "encoding" argument: "base64", else text. */
json_t *text_encoded(const void *data, size_t len, const char *encoding);

#endif
