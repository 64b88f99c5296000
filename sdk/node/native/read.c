/*
 * read.c - JavaScript values to C.
 *
 * The TypeScript above has checked types and ranges and says it better; this
 * checks again, since nothing that is wrong may reach the library as a number
 * that wrapped or a string that was cut at a NUL.
 */
#include "addon.h"
#include <math.h>
#include <string.h>

#define LIST_MAX (1u << 20)

static bool out_of_memory(struct job *j)
{
	fail(j->addon->env, MSB_ERR_NO_MEMORY, "out of memory");
	return false;
}

static bool wrong(struct job *j, const char *what)
{
	fail(j->addon->env, MSB_ERR_INVALID, "%s", what);
	return false;
}

static napi_valuetype type_of(struct job *j, napi_value value)
{
	napi_valuetype type = napi_undefined;

	napi_typeof(j->addon->env, value, &type);
	return type;
}

static bool is_nothing(struct job *j, napi_value value)
{
	napi_valuetype type = type_of(j, value);

	return type == napi_undefined || type == napi_null;
}

bool read_text(struct job *j, napi_value value, const char **ret)
{
	napi_env env = j->addon->env;
	size_t len = 0;
	char *text;

	*ret = NULL;
	if (is_nothing(j, value))
		return true;
	if (type_of(j, value) != napi_string)
		return wrong(j, "a string is expected");
	napi_get_value_string_utf8(env, value, NULL, 0, &len);
	text = arena_get(&j->arena, len + 1);
	if (!text)
		return out_of_memory(j);
	napi_get_value_string_utf8(env, value, text, len + 1, &len);
	if (strlen(text) != len)
		return wrong(j, "a string must not contain a NUL character");
	*ret = text;
	return true;
}

static bool read_length(struct job *j, napi_value value, uint32_t *len)
{
	bool is_array = false;

	napi_is_array(j->addon->env, value, &is_array);
	if (!is_array)
		return wrong(j, "an array is expected");
	napi_get_array_length(j->addon->env, value, len);
	if (*len > LIST_MAX)
		return wrong(j, "the array is too long");
	return true;
}

/* NULL when it cannot be had: an exception is pending. */
static napi_value element(struct job *j, napi_value list, uint32_t i)
{
	napi_value item = NULL;

	if (napi_get_element(j->addon->env, list, i, &item) != napi_ok)
		return NULL;
	return item;
}

bool read_texts(struct job *j, napi_value value, const char *const **ret)
{
	const char **list;
	uint32_t len;

	*ret = NULL;
	if (is_nothing(j, value))
		return true;
	if (!read_length(j, value, &len))
		return false;
	list = arena_get(&j->arena, (len + 1) * sizeof(*list));
	if (!list)
		return out_of_memory(j);
	for (uint32_t i = 0; i < len; i++) {
		napi_value item = element(j, value, i);

		if (!item || !read_text(j, item, &list[i]))
			return false;
		if (!list[i])
			return wrong(j, "a list of strings is expected");
	}
	*ret = list;
	return true;
}

/* Copied: JavaScript may change or detach what is below an array. */
bool read_bytes(struct job *j, napi_value value, const void **ret, size_t *len)
{
	napi_env env = j->addon->env;
	napi_typedarray_type type;
	bool is_typed = false;
	void *data = NULL, *copy;

	*ret = NULL;
	*len = 0;
	if (is_nothing(j, value))
		return true;
	napi_is_typedarray(env, value, &is_typed);
	if (!is_typed ||
	    napi_get_typedarray_info(env, value, &type, len, &data, NULL,
	                             NULL) != napi_ok ||
	    type != napi_uint8_array)
		return wrong(j, "a Uint8Array is expected");
	copy = arena_get(&j->arena, *len + 1);
	if (!copy)
		return out_of_memory(j);
	if (*len)
		memcpy(copy, data, *len);
	*ret = copy;
	return true;
}

bool read_big(struct job *j, napi_value value, uint64_t *ret)
{
	bool lossless = false;
	double d = -1;

	if (type_of(j, value) == napi_bigint) {
		napi_get_value_bigint_uint64(j->addon->env, value, ret,
		                             &lossless);
		return lossless || wrong(j, "a number is out of range");
	}
	if (napi_get_value_double(j->addon->env, value, &d) != napi_ok)
		return wrong(j, "a number is expected");
	if (!(d >= 0 && d <= 9007199254740991.0) || d != floor(d))
		return wrong(j, "a number is out of range");
	*ret = (uint64_t)d;
	return true;
}

bool read_integer(struct job *j, napi_value value, double min, double max,
                  int64_t *ret)
{
	double d = 0;

	if (napi_get_value_double(j->addon->env, value, &d) != napi_ok)
		return wrong(j, "a number is expected");
	if (!(d >= min && d <= max) || d != floor(d))
		return wrong(j, "a number is out of range");
	*ret = (int64_t)d;
	return true;
}

bool read_number(struct job *j, napi_value value, int kind, int64_t *ret)
{
	uint64_t big = 0;

	switch (kind) {
	case K_I32:
		return read_integer(j, value, INT32_MIN, INT32_MAX, ret);
	case K_U32:
		return read_integer(j, value, 0, UINT32_MAX, ret);
	case K_U16:
		return read_integer(j, value, 0, UINT16_MAX, ret);
	case K_I64:
		return read_integer(j, value, -9007199254740991.0,
		                    9007199254740991.0, ret);
	default:
		if (!read_big(j, value, &big))
			return false;
		*ret = (int64_t)big;
		return true;
	}
}

bool read_handle(struct job *j, napi_value value, int type, void **ret)
{
	struct handle *h;

	*ret = NULL;
	if (is_nothing(j, value))
		return true;
	h = handle_get(j->addon, value, type);
	if (!h)
		return false;
	if (j->handle_count == sizeof(j->handles) / sizeof(j->handles[0]))
		return wrong(j, "too many handles in one call");
	handle_hold(h);
	j->handles[j->handle_count++] = h;
	*ret = h->ptr;
	return true;
}

static bool read_list(struct job *j, napi_value value, uint32_t shape,
                      void **ret)
{
	uint32_t len;
	void **list;

	if (!read_length(j, value, &len))
		return false;
	list = arena_get(&j->arena, (len + 1) * sizeof(*list));
	if (!list)
		return out_of_memory(j);
	for (uint32_t i = 0; i < len; i++) {
		napi_value item = element(j, value, i);

		if (!item || !read_struct(j, item, shape, &list[i]))
			return false;
		if (!list[i])
			return wrong(j, "a list of objects is expected");
	}
	*ret = list;
	return true;
}

static bool fill(struct job *j, napi_value value, uint32_t shape, char *base);

static bool read_scalar(struct job *j, napi_value value, int kind, void *at)
{
	int64_t n = 0;

	if (!read_number(j, value, kind, &n))
		return false;
	if (kind == K_U16)
		*(uint16_t *)at = (uint16_t)n;
	else if (kind == K_I32 || kind == K_U32)
		*(uint32_t *)at = (uint32_t)n;
	else
		*(uint64_t *)at = (uint64_t)n;
	return true;
}

static bool read_member(struct job *j, napi_value value, const struct member *m,
                        char *base)
{
	void *at = base + m->offset;

	switch (m->kind) {
	case K_STR:
		return read_text(j, value, at);
	case K_STRS:
		return read_texts(j, value, at);
	case K_BYTES:
		return read_bytes(j, value, at, (size_t *)(base + m->sub));
	case K_HANDLE:
		return read_handle(j, value, (int)m->sub, at);
	case K_STRUCT:
		return read_struct(j, value, m->sub, at);
	case K_LIST:
		return read_list(j, value, m->sub, at);
	case K_EMBED:
		return fill(j, value, m->sub, at);
	default:
		return read_scalar(j, value, m->kind, at);
	}
}

/* Members that JavaScript does not set. True: it was one. */
static bool set_own(struct job *j, const struct member *m, char *base,
                    size_t size)
{
	void *at = base + m->offset;

	if (m->kind == K_STRUCT_SIZE)
		*(size_t *)at = size;
	else if (m->kind == K_PULL_EVENT && j->progress)
		*(msb_pull_event_fn *)at = on_pull_event;
	else if (m->kind == K_COPY_EVENT && j->progress)
		*(msb_copy_event_fn *)at = on_copy_event;
	else if (m->kind == K_EVENT_ARG)
		*(void **)at = j;
	return m->kind == K_STRUCT_SIZE || m->kind == K_PULL_EVENT ||
	       m->kind == K_COPY_EVENT || m->kind == K_EVENT_ARG;
}

static bool fill(struct job *j, napi_value value, uint32_t shape, char *base)
{
	const struct shape *s = &shapes[shape];
	napi_env env = j->addon->env;

	if (type_of(j, value) != napi_object)
		return wrong(j, "an object is expected");
	for (size_t i = 0; i < s->count; i++) {
		const struct member *m = &s->members[i];
		napi_value item = NULL;

		if (set_own(j, m, base, s->size))
			continue;
		if (napi_get_named_property(env, value, m->name, &item) !=
		    napi_ok)
			return false;
		if (!is_nothing(j, item) && !read_member(j, item, m, base))
			return false;
	}
	return true;
}

bool read_struct(struct job *j, napi_value value, uint32_t shape, void **ret)
{
	void *base;

	*ret = NULL;
	if (is_nothing(j, value))
		return true;
	base = arena_get(&j->arena, shapes[shape].size);
	if (!base)
		return out_of_memory(j);
	if (!fill(j, value, shape, base))
		return false;
	*ret = base;
	return true;
}
