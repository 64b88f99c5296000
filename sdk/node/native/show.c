/* show.c - C values to JavaScript. */
#include "addon.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void show_set(napi_env env, napi_value object, const char *name,
              napi_value value)
{
	if (value)
		napi_set_named_property(env, object, name, value);
}

napi_value show_number(napi_env env, double number)
{
	napi_value v = NULL;

	napi_create_double(env, number, &v);
	return v;
}

napi_value show_text(napi_env env, const char *s)
{
	napi_value v = NULL;

	if (s)
		napi_create_string_utf8(env, s, NAPI_AUTO_LENGTH, &v);
	else
		napi_get_null(env, &v);
	return v;
}

napi_value show_texts(napi_env env, const char *const *list)
{
	napi_value v = NULL;

	napi_create_array(env, &v);
	for (uint32_t i = 0; list && list[i]; i++)
		napi_set_element(env, v, i, show_text(env, list[i]));
	return v;
}

napi_value show_bytes(napi_env env, const void *data, size_t len)
{
	napi_value v = NULL;

	napi_create_buffer_copy(env, len, data ? data : "", NULL, &v);
	return v;
}

static napi_value show_list(napi_env env, uint32_t shape,
                            const void *const *list)
{
	napi_value v = NULL;

	napi_create_array(env, &v);
	for (uint32_t i = 0; list && list[i]; i++)
		napi_set_element(env, v, i, show_struct(env, shape, list[i]));
	return v;
}

static napi_value show_big(napi_env env, uint64_t n)
{
	napi_value v = NULL;

	napi_create_bigint_uint64(env, n, &v);
	return v;
}

static napi_value show_pointer(napi_env env, uint32_t shape, const void *p)
{
	return p ? show_struct(env, shape, p) : show_text(env, NULL);
}

static napi_value show_member(napi_env env, const struct member *m,
                              const char *base)
{
	const void *at = base + m->offset;

	switch (m->kind) {
	case K_I32:
		return show_number(env, *(const int32_t *)at);
	case K_U32:
		return show_number(env, *(const uint32_t *)at);
	case K_U16:
		return show_number(env, *(const uint16_t *)at);
	case K_I64:
		return show_number(env, (double)*(const int64_t *)at);
	case K_U64:
		return show_number(env, (double)*(const uint64_t *)at);
	case K_SIZE:
		return show_number(env, (double)*(const size_t *)at);
	case K_BIG:
		return show_big(env, *(const uint64_t *)at);
	case K_STR:
		return show_text(env, *(const char *const *)at);
	case K_STRS:
		return show_texts(env, *(const char *const *const *)at);
	case K_CHARS:
		return show_text(env, at);
	case K_BYTES:
		return show_bytes(env, *(const void *const *)at,
		                  *(const size_t *)(base + m->sub));
	case K_STRUCT:
		return show_pointer(env, m->sub, *(const void *const *)at);
	case K_LIST:
		return show_list(env, m->sub, *(const void *const *const *)at);
	case K_EMBED:
		return show_struct(env, m->sub, at);
	default:
		return NULL;
	}
}

napi_value show_struct(napi_env env, uint32_t shape, const void *data)
{
	const struct shape *s = &shapes[shape];
	napi_value object = NULL;

	napi_create_object(env, &object);
	for (size_t i = 0; i < s->count; i++)
		show_set(env, object, s->members[i].name,
		         show_member(env, &s->members[i], data));
	return object;
}

static bool own_text(struct arena *a, const char **text)
{
	size_t len;
	char *copy;

	if (!*text)
		return true;
	len = strlen(*text);
	copy = arena_get(a, len + 1);
	if (!copy)
		return false;
	memcpy(copy, *text, len);
	*text = copy;
	return true;
}

static bool own_bytes(struct arena *a, const void **data, size_t len)
{
	void *copy;

	if (!*data || !len)
		return true;
	copy = arena_get(a, len);
	if (!copy)
		return false;
	memcpy(copy, *data, len);
	*data = copy;
	return true;
}

bool own_struct(struct arena *a, uint32_t shape, void *data)
{
	const struct shape *s = &shapes[shape];
	char *base = data;

	for (size_t i = 0; i < s->count; i++) {
		const struct member *m = &s->members[i];
		void *at = base + m->offset;

		if (m->kind == K_STR && !own_text(a, at))
			return false;
		if (m->kind == K_BYTES &&
		    !own_bytes(a, at, *(size_t *)(base + m->sub)))
			return false;
	}
	return true;
}

napi_value show_error(napi_env env, int32_t code, int32_t sys_errno,
                      const char *message, const char *hint)
{
	napi_value object = NULL;

	napi_create_object(env, &object);
	show_set(env, object, "code", show_number(env, code));
	show_set(env, object, "errno", show_number(env, sys_errno));
	show_set(env, object, "message", show_text(env, message));
	show_set(env, object, "hint", show_text(env, hint));
	return object;
}

void fail(napi_env env, int32_t code, const char *format, ...)
{
	char text[MSB_ERROR_MESSAGE_MAX];
	bool pending = false;
	va_list ap;

	napi_is_exception_pending(env, &pending);
	if (pending)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	napi_throw(env, show_error(env, code, 0, text, ""));
}
