/*
 * call.c - one call of the library.
 *
 * prepare (JavaScript thread) -> run (any thread) -> result, release
 * (JavaScript thread). What the call needs is copied before it runs, so
 * nothing of JavaScript is touched by another thread.
 */
#include "addon.h"
#include <stdlib.h>
#include <string.h>

/* Results that the call writes by pointer. */
static bool prepare_result(struct job *j, int i)
{
	const struct param *p = &j->func->params[i];
	size_t size;

	j->v[i + 1].p = &j->out[i + 1];
	if (p->kind != P_FILL)
		return true;
	size = shapes[p->sub].size;
	j->v[i + 1].p = arena_get(&j->arena, size);
	if (!j->v[i + 1].p)
		return false;
	if (shapes[p->sub].members[0].kind == K_STRUCT_SIZE)
		*(size_t *)j->v[i + 1].p = size;
	return true;
}

#define BUFFER_MAX (16u << 20)

static bool prepare_buffer(struct job *j, napi_value value, int i)
{
	int64_t size = 0;

	if (!read_integer(j, value, 1, BUFFER_MAX, &size))
		return false;
	j->v[i + 2].u = (uint64_t)size;
	j->v[i + 1].p = arena_get(&j->arena, (size_t)size);
	return j->v[i + 1].p != NULL;
}

static bool prepare_bytes(struct job *j, napi_value value, int i)
{
	const void *data;
	size_t len;

	if (!read_bytes(j, value, &data, &len))
		return false;
	j->v[i + 1].p = (void *)data;
	j->v[i + 2].u = len;
	return true;
}

static const int number_kinds[] = {
	[P_I32] = K_I32, [P_U32] = K_U32,   [P_U16] = K_U16, [P_I64] = K_I64,
	[P_U64] = K_U64, [P_SIZE] = K_SIZE, [P_BIG] = K_BIG,
};

static bool prepare_argument(struct job *j, napi_value value, int i)
{
	const struct param *p = &j->func->params[i];
	void **at = &j->v[i + 1].p;

	switch (p->kind) {
	case P_HANDLE:
		if (!read_handle(j, value, p->sub, at))
			return false;
		if (!*at)
			fail(j->addon->env, MSB_ERR_INVALID, "a %s is missing",
			     handle_types[p->sub].name + 4);
		return *at != NULL;
	case P_STR:
		return read_text(j, value, (const char **)at);
	case P_STRS:
		return read_texts(j, value, (const char *const **)at);
	case P_OPTS:
		return read_struct(j, value, p->sub, at);
	case P_BYTES:
		return prepare_bytes(j, value, i);
	case P_BUFFER:
		return prepare_buffer(j, value, i);
	default:
		return read_number(j, value, number_kinds[p->kind],
		                   &j->v[i + 1].i);
	}
}

bool job_prepare(struct job *j, const struct func *func, napi_value *args,
                 size_t count)
{
	napi_env env = j->addon->env;
	size_t used = 0;

	j->func = func;
	for (int i = 0; i < func->count; i++) {
		int kind = func->params[i].kind;

		if (kind == P_LEN)
			continue;
		if (kind == P_ERROR) {
			j->v[i + 1].p = &j->error;
		} else if (kind > P_ERROR) {
			if (!prepare_result(j, i)) {
				fail(env, MSB_ERR_NO_MEMORY, "out of memory");
				return false;
			}
		} else if (used == count) {
			fail(env, MSB_ERR_INVALID, "%s: arguments are missing",
			     func->name);
			return false;
		} else if (!prepare_argument(j, args[used++], i)) {
			fail(env, MSB_ERR_NO_MEMORY, "out of memory");
			return false;
		}
	}
	if (used == count)
		return true;
	fail(env, MSB_ERR_INVALID, "%s: too many arguments", func->name);
	return false;
}

void job_run(struct job *j)
{
	const struct lib *lib = lib_get();
	const struct func *f = j->func;

	if (!f) {
		((void (*)(void *))lib->fns[handle_types[j->free_type].free])(
			j->free_ptr);
		return;
	}
	f->call(lib->fns[f - funcs], j->v);
	for (int i = 0; i < f->count; i++) {
		const struct param *p = &f->params[i];

		if (p->kind != P_FILL || j->v[0].i < 0)
			continue;
		if (!own_struct(&j->arena, p->sub, j->v[i + 1].p)) {
			j->v[0].i = -MSB_ERR_NO_MEMORY;
			j->error.code = MSB_ERR_NO_MEMORY;
			strcpy(j->error.message, "out of memory");
		}
	}
}

static napi_value list_result(napi_env env, const struct list_type *t,
                              const void *list)
{
	const struct lib *lib = lib_get();
	napi_value v = NULL;
	size_t count;

	napi_create_array(env, &v);
	if (!list)
		return v;
	count = ((size_t(*)(const void *))lib->fns[t->count])(list);
	for (size_t i = 0; i < count; i++) {
		const void *item =
			((const void *(*)(const void *,
		                          size_t))lib->fns[t->get])(list, i);

		napi_set_element(env, v, (uint32_t)i,
		                 show_struct(env, (uint32_t)t->shape, item));
	}
	return v;
}

/* The handles of an array become JavaScript's, the array goes. */
static napi_value handles_result(struct job *j, napi_env env, int i)
{
	void **list = j->out[i + 1].p;
	size_t count = j->out[i + 2].u;
	napi_value v = NULL;

	napi_create_array(env, &v);
	for (size_t k = 0; k < count; k++) {
		napi_value h =
			handle_new(j->addon, j->func->params[i].sub, list[k]);

		list[k] = NULL;
		if (h)
			napi_set_element(env, v, (uint32_t)k, h);
	}
	return v;
}

static napi_value handle_result(struct job *j, napi_env env, int i)
{
	void *ptr = j->out[i + 1].p;

	j->out[i + 1].p = NULL;
	return ptr ? handle_new(j->addon, j->func->params[i].sub, ptr)
	           : show_text(env, NULL);
}

static napi_value out_result(struct job *j, napi_env env, int i)
{
	const struct param *p = &j->func->params[i];
	const union val *out = &j->out[i + 1];

	switch (p->kind) {
	case P_FILL:
		return show_struct(env, p->sub, j->v[i + 1].p);
	case P_HANDLE_OUT:
		return handle_result(j, env, i);
	case P_HANDLES_OUT:
		return handles_result(j, env, i);
	case P_STR_OUT:
		return show_text(env, out->p);
	case P_STRS_OUT:
		return show_texts(env, out->p);
	case P_BYTES_OUT:
		return show_bytes(env, out->p, out[1].u);
	case P_U64_OUT:
		return show_number(env, (double)out->u);
	case P_U32_OUT:
		return show_number(env, *(const uint32_t *)out);
	case P_I32_OUT:
		return show_number(env, *(const int32_t *)out);
	case P_LIST_OUT:
		return list_result(env, &list_types[p->sub], out->p);
	case P_OWNED_OUT:
		return out->p ? show_struct(env,
		                            (uint32_t)owned_types[p->sub].shape,
		                            out->p)
		              : show_text(env, NULL);
	default:
		return NULL;
	}
}

static napi_value return_result(struct job *j, napi_env env)
{
	napi_value v = NULL;

	switch (j->func->returns) {
	case R_INT:
		return show_number(env, (double)j->v[0].i);
	case R_BIG:
		napi_create_bigint_uint64(env, j->v[0].u, &v);
		return v;
	case R_STR:
		return show_text(env, j->v[0].p);
	case R_STRS:
		return show_texts(env, j->v[0].p);
	case R_STRUCT:
		return show_struct(env, j->func->shape, j->v[0].p);
	default:
		napi_get_undefined(env, &v);
		return v;
	}
}

static bool has(const struct func *f, int kind)
{
	for (int i = 0; i < f->count; i++) {
		if (f->params[i].kind == kind)
			return true;
	}
	return false;
}

/* What a call that failed says; msb_exec_run() may have output with it. */
static napi_value error_result(struct job *j, napi_env env)
{
	int32_t code = j->error.code ? j->error.code : (int32_t)-j->v[0].i;
	napi_value e = show_error(env, code, j->error.sys_errno,
	                          j->error.message, j->error.hint);

	for (int i = 0; i < j->func->count; i++) {
		if (j->func->params[i].kind == P_OWNED_OUT && j->out[i + 1].p)
			show_set(env, e, "output", out_result(j, env, i));
	}
	return e;
}

napi_value job_result(struct job *j, napi_env env, napi_value *error)
{
	const struct func *f = j->func;
	napi_value all = NULL, one = NULL;
	uint32_t count = 0;

	if (has(f, P_ERROR) && j->v[0].i < 0) {
		*error = error_result(j, env);
		return NULL;
	}
	if (f->returns == R_NEXT && j->v[0].i == 0)
		return show_text(env, NULL);
	if (has(f, P_BUFFER))
		return show_bytes(env, j->v[2].p, (size_t)j->v[0].i);
	napi_create_array(env, &all);
	for (int i = 0; i < f->count; i++) {
		napi_value v = out_result(j, env, i);

		if (v) {
			one = v;
			napi_set_element(env, all, count++, v);
		}
	}
	return count == 0 ? return_result(j, env) : count == 1 ? one : all;
}

/* What the call gave, and no handle of JavaScript's took. */
static void free_result(struct job *j, int i)
{
	const struct lib *lib = lib_get();
	const struct param *p = &j->func->params[i];
	void *ptr = j->out[i + 1].p;
	int fn = -1;

	if (p->kind == P_HANDLE_OUT)
		fn = handle_types[p->sub].free;
	else if (p->kind == P_LIST_OUT)
		fn = list_types[p->sub].free;
	else if (p->kind == P_OWNED_OUT)
		fn = owned_types[p->sub].free;
	else if (p->kind == P_STRS_OUT)
		fn = known.strings_free;
	else if (p->kind == P_STR_OUT || p->kind == P_BYTES_OUT)
		fn = known.free;
	else if (p->kind == P_HANDLES_OUT && ptr)
		((void (*)(void *, size_t))lib->fns[known.image_list_free])(
			ptr, j->out[i + 2].u);
	if (fn >= 0 && ptr)
		((void (*)(void *))lib->fns[fn])(ptr);
	j->out[i + 1].p = NULL;
}

void job_release(struct job *j, napi_env env)
{
	for (int i = 0; j->func && i < j->func->count; i++) {
		if (j->func->params[i].kind > P_ERROR &&
		    j->func->params[i].kind != P_LEN_OUT)
			free_result(j, i);
	}
	arena_free(&j->arena);
	if (j->progress && env)
		napi_delete_reference(env, j->progress);
	for (unsigned i = 0; i < j->handle_count; i++) {
		if (j->func)
			handle_drop(j->handles[i]);
		else
			handle_freed(j->handles[i], env);
	}
}
