#include "mcp/schema.h"

#include <stdio.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

/* ---- as JSON Schema ------------------------------------------------------ */

static const struct {
	const char *type, *items;
} kinds[] = {
	[FIELD_TEXT] = {"string",  NULL     },
	[FIELD_BYTES] = {"string",  NULL     },
	[FIELD_INT] = {"integer", NULL     },
	[FIELD_NUMBER] = {"number",  NULL     },
	[FIELD_BOOL] = {"boolean", NULL     },
	[FIELD_TEXTS] = {"array",   "string" },
	[FIELD_INTS] = {"array",   "integer"},
	[FIELD_WORDS] = {NULL,      "string" },
	[FIELD_PAIRS] = {"object",  NULL     },
	[FIELD_OBJECT] = {"object",  NULL     },
	[FIELD_OBJECTS] = {"array",   NULL     },
	[FIELD_CONF] = {NULL,      NULL     },
};

static void put(json_t *o, const char *key, json_t *value)
{
	(void)json_object_set_new(o, key, value);
}

static json_t *choices_json(const char *words)
{
	json_t *a = json_array();

	while (*words) {
		size_t n = strcspn(words, " ");

		(void)json_array_append_new(a, json_stringn(words, n));
		words += n + (words[n] == ' ');
	}
	return a;
}

static json_t *type_json(const struct field *f)
{
	const char *type = kinds[f->kind].type;

	if (f->flags & FIELD_NULLABLE)
		return json_pack("[s, s]", type, "null");
	return json_string(type);
}

static json_t *any_of(json_t *a, json_t *b)
{
	return json_pack("[o, o]", a, b);
}

static json_t *strings_json(void)
{
	return json_pack("{s:s, s:{s:s}}", "type", "array", "items", "type",
	                 "string");
}

static void put_bounds(json_t *o, const struct field *f)
{
	bool text = f->kind == FIELD_TEXT || f->kind == FIELD_BYTES;
	bool list = f->kind == FIELD_TEXTS || f->kind == FIELD_OBJECTS ||
	            f->kind == FIELD_INTS;
	const char *min = text   ? "minLength"
	                  : list ? "minItems"
	                         : "minimum",
		   *max = text   ? "maxLength"
	                  : list ? "maxItems"
	                         : "maximum";
	bool number = f->kind == FIELD_INT || f->kind == FIELD_NUMBER;

	if (!text && !list && !number)
		return;
	if (f->min)
		put(o, min, json_integer(f->min));
	if (f->max)
		put(o, max, json_integer(f->max));
	if (number && !f->min && f->max)
		put(o, min, json_integer(0));
}

static json_t *field_json(const struct field *f, bool strict)
{
	json_t *o = json_object();

	if (kinds[f->kind].type)
		put(o, "type", type_json(f));
	if (f->kind == FIELD_TEXT && f->choices)
		put(o, "enum", choices_json(f->choices));
	if (f->kind == FIELD_WORDS)
		put(o, "anyOf",
		    any_of(json_pack("{s:s}", "type", "string"),
		           strings_json()));
	if (f->kind == FIELD_CONF)
		put(o, "anyOf",
		    any_of(json_pack("{s:s}", "type", "string"),
		           schema_json(f->sub, strict)));
	if (f->kind == FIELD_TEXTS || f->kind == FIELD_INTS) {
		json_t *items =
			json_pack("{s:s}", "type", kinds[f->kind].items);

		if (f->choices)
			put(items, "enum", choices_json(f->choices));
		put(o, "items", items);
	}
	if (f->kind == FIELD_PAIRS)
		put(o, "additionalProperties",
		    json_pack("{s:s}", "type", "string"));
	if (f->kind == FIELD_OBJECT && f->sub) {
		json_t *sub = schema_json(f->sub, strict);

		(void)json_object_del(sub, "type");
		(void)json_object_update(o, sub);
		json_decref(sub);
	}
	if (f->kind == FIELD_OBJECTS)
		put(o, "items",
		    f->sub ? schema_json(f->sub, strict)
		           : json_pack("{s:s}", "type", "object"));
	put_bounds(o, f);
	if (f->help)
		put(o, "description", json_string(f->help));
	return o;
}

json_t *schema_json(const struct field *fields, bool strict)
{
	json_t *o = json_pack("{s:s}", "type", "object");
	json_t *properties = json_object(), *required = json_array();

	for (const struct field *f = fields; f->name; f++) {
		put(properties, f->name, field_json(f, strict));
		if (f->flags & FIELD_REQUIRED)
			(void)json_array_append_new(required,
			                            json_string(f->name));
	}
	put(o, "properties", properties);
	if (json_array_size(required))
		put(o, "required", required);
	else
		json_decref(required);
	if (strict)
		put(o, "additionalProperties", json_false());
	return o;
}

/* ---- the check ----------------------------------------------------------- */

#define PATH_MAX_TEXT 256

struct check {
	char path[PATH_MAX_TEXT];
	char *why;
	size_t why_len;
};

static bool wrong(struct check *c, const char *what)
{
	(void)snprintf(c->why, c->why_len, "%s%s%s", c->path,
	               *c->path ? ": " : "", what);
	return false;
}

static size_t characters(const char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

static bool is_choice(const char *words, const char *text)
{
	size_t len = strlen(text);

	while (*words) {
		size_t n = strcspn(words, " ");

		if (n == len && strncmp(words, text, n) == 0)
			return true;
		words += n + (words[n] == ' ');
	}
	return false;
}

static bool check_text(struct check *c, const struct field *f, const json_t *v)
{
	const char *text = json_string_value(v);
	size_t len = json_string_length(v), n;
	char what[160];

	if (!text)
		return wrong(c, "is not a string");
	if (f->kind != FIELD_BYTES && strlen(text) != len)
		return wrong(c, "has a NUL in it");
	if (f->choices && !is_choice(f->choices, text)) {
		(void)snprintf(what, sizeof(what), "is not one of: %s",
		               f->choices);
		return wrong(c, what);
	}
	n = characters(text, len);
	if (f->kind == FIELD_TEXT || f->kind == FIELD_BYTES) {
		if (n < (size_t)f->min)
			return wrong(c, n ? "is too short" : "is empty");
		if (f->max && n > (size_t)f->max)
			return wrong(c, "is too long");
	}
	return n <= FIELD_TEXT_MAX || f->kind == FIELD_BYTES ||
	       wrong(c, "is too long");
}

static bool check_int(struct check *c, const struct field *f, const json_t *v)
{
	json_int_t n = json_integer_value(v);
	int64_t max = f->max ? f->max : INT64_MAX;
	char what[96];

	if (json_is_integer(v) && n >= f->min && n <= max)
		return true;
	if (!f->max)
		return wrong(c, "is not an integer of 0 or more");
	(void)snprintf(what, sizeof(what),
	               "is not an integer from %lld to "
	               "%lld",
	               (long long)f->min, (long long)f->max);
	return wrong(c, what);
}

static bool check_value(struct check *c, const struct field *f,
                        const json_t *v);
static bool check_object(struct check *c, const struct field *fields,
                         const json_t *v);

/* Behind the path, for as long as a part of it is looked at. */
static size_t enter(struct check *c, const char *fmt, const char *name,
                    size_t index)
{
	size_t n = strlen(c->path);

	if (name)
		(void)snprintf(c->path + n, sizeof(c->path) - n, fmt, name);
	else
		(void)snprintf(c->path + n, sizeof(c->path) - n, "[%zu]",
		               index);
	return n;
}

static bool check_list(struct check *c, const struct field *f, const json_t *v)
{
	const struct field one = {.name = f->name,
	                          .kind = f->kind == FIELD_INTS ? FIELD_INT
	                                                        : FIELD_TEXT,
	                          .choices = f->choices};
	size_t n = json_array_size(v);

	if (!json_is_array(v))
		return wrong(c, "is not a list");
	if (n < (size_t)f->min)
		return wrong(c, "has too few entries");
	if (n > (size_t)(f->max ? f->max : FIELD_TEXTS_MAX))
		return wrong(c, "has too many entries");
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_array_get(v, i);
		size_t back = enter(c, NULL, NULL, i);

		if (f->kind == FIELD_OBJECTS ? !check_object(c, f->sub, item)
		                             : !check_value(c, &one, item))
			return false;
		c->path[back] = '\0';
	}
	return true;
}

static bool check_pairs(struct check *c, const json_t *v)
{
	static const struct field one = {.kind = FIELD_TEXT};
	const char *key;
	json_t *value;

	if (!json_is_object(v))
		return wrong(c, "is not an object");
	if (json_object_size(v) > FIELD_TEXTS_MAX)
		return wrong(c, "has too many members");
	json_object_foreach((json_t *)(uintptr_t)v, key, value)
	{
		size_t back = enter(c, ".%.64s", key, 0);

		if (!*key || strchr(key, '='))
			return wrong(c, "is no name");
		if (!check_text(c, &one, value))
			return false;
		c->path[back] = '\0';
	}
	return true;
}

static bool check_value(struct check *c, const struct field *f, const json_t *v)
{
	switch (f->kind) {
	case FIELD_TEXT:
	case FIELD_BYTES:
		return check_text(c, f, v);
	case FIELD_INT:
		return check_int(c, f, v);
	case FIELD_NUMBER:
		return json_is_number(v) || wrong(c, "is not a number");
	case FIELD_BOOL:
		return json_is_boolean(v) ||
		       wrong(c, "is neither true nor false");
	case FIELD_TEXTS:
	case FIELD_INTS:
	case FIELD_OBJECTS:
		return check_list(c, f, v);
	case FIELD_WORDS:
		return json_is_string(v) ? check_text(c, f, v)
		                         : check_list(c, f, v);
	case FIELD_PAIRS:
		return check_pairs(c, v);
	case FIELD_CONF:
		return json_is_string(v) ? check_text(c, f, v)
		                         : check_object(c, f->sub, v);
	case FIELD_OBJECT:
		if (f->sub)
			return check_object(c, f->sub, v);
		return json_is_object(v) || wrong(c, "is not an object");
	}
	return wrong(c, "is of no kind");
}

static const struct field *find(const struct field *fields, const char *name)
{
	for (const struct field *f = fields; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

static bool unknown(struct check *c, const struct field *fields)
{
	char what[512] = "is not known here; known are";
	size_t n = strlen(what);

	for (const struct field *f = fields; f->name && n < sizeof(what); f++)
		n += (size_t)snprintf(what + n, sizeof(what) - n, "%s %s",
		                      f == fields ? "" : ",", f->name);
	return wrong(c, fields->name ? what : "is not known: there are none");
}

static bool check_object(struct check *c, const struct field *fields,
                         const json_t *v)
{
	const char *key, *dot = *c->path ? ".%.64s" : "%.64s";
	json_t *value;

	if (!json_is_object(v))
		return wrong(c, "is not an object");
	json_object_foreach((json_t *)(uintptr_t)v, key, value)
	{
		const struct field *f = find(fields, key);
		size_t back = enter(c, dot, key, 0);

		if (!f)
			return unknown(c, fields);
		if (!check_value(c, f, value))
			return false;
		c->path[back] = '\0';
	}
	for (const struct field *f = fields; f->name; f++) {
		if (!(f->flags & FIELD_REQUIRED) || json_object_get(v, f->name))
			continue;
		(void)enter(c, dot, f->name, 0);
		return wrong(c, "is missing");
	}
	return true;
}

bool schema_check(const struct field *fields, const json_t *value, char *why,
                  size_t why_len)
{
	struct check c = {.why = why, .why_len = why_len};

	if (!value) {
		json_t *empty = json_object();
		bool fine = check_object(&c, fields, empty);

		json_decref(empty);
		return fine;
	}
	return check_object(&c, fields, value);
}
