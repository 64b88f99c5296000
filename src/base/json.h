/*
 * json.h - jansson with our limits: duplicate keys refused, size bounded by
 * the caller, depth by jansson (2048), numbers are 64-bit integers.
 *
 * The getters take an object (NULL and other types are fine) and give the
 * fallback where the key is absent or of another type.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

/* Parse @len bytes; NULL and @err ("WHAT: line 3: ...") when malformed. */
json_t *json_parse(const void *data, size_t len, const char *what,
                   struct err *err);

/*
 * json_dumps() that gives all or NULL: jansson 2.14 leaves out what it has no
 * memory for when it prints a key, and says nothing. Free it.
 */
char *json_text(const json_t *j, size_t flags);

const char *json_str(const json_t *o, const char *key, const char *fallback);
int64_t json_int(const json_t *o, const char *key, int64_t fallback);
bool json_bool(const json_t *o, const char *key, bool fallback);

static inline void cleanup_json_fn(json_t **j)
{
	json_decref(*j);
}
#define cleanup_json cleanup(cleanup_json_fn)

#endif
