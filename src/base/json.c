#include "base/json.h"

#include <errno.h>
#include <string.h>

#include "base/banned.h"

json_t *json_parse(const void *data, size_t len, const char *what,
                   struct err *err)
{
	json_error_t je;
	json_t *j = json_loadb(data, len, JSON_REJECT_DUPLICATES, &je);

	if (!j)
		err_set(err, -EBADMSG, "%s is not valid JSON: line %d: %s",
		        what, je.line, je.text);
	return j;
}

/* Read back before it is believed. */
char *json_text(const json_t *j, size_t flags)
{
	char *cleanup_free text = j ? json_dumps(j, flags) : NULL;
	json_t *cleanup_json again =
		text ? json_parse(text, strlen(text), "", NULL) : NULL;

	return again && json_equal(again, j) ? take_ptr(text) : NULL;
}

const char *json_str(const json_t *o, const char *key, const char *fallback)
{
	const json_t *v = json_object_get(o, key);

	return json_is_string(v) ? json_string_value(v) : fallback;
}

int64_t json_int(const json_t *o, const char *key, int64_t fallback)
{
	const json_t *v = json_object_get(o, key);

	return json_is_integer(v) ? (int64_t)json_integer_value(v) : fallback;
}

bool json_bool(const json_t *o, const char *key, bool fallback)
{
	const json_t *v = json_object_get(o, key);

	return json_is_boolean(v) ? json_is_true(v) : fallback;
}
