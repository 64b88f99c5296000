/*
 * handle.c - what JavaScript holds of the library.
 *
 * A handle is an object that JavaScript cannot look into, wrapped around a
 * struct handle. It is given back by close(), or when the garbage collector
 * finds that nobody has it, in any order; what is freed is freed in the pool,
 * since that may wait. Jobs that use a handle hold it: the library never sees
 * one freed while it is in use. All counts belong to the JavaScript thread.
 */
#include "addon.h"
#include <stdlib.h>

static const napi_type_tag tag = {0x6d73622d68616e64ull, 0x8f1f3c2b9a7e4d10ull};

static void forget(struct handle *h)
{
	struct addon *a = h->addon;

	if (h->prev)
		h->prev->next = h->next;
	else
		a->handles = h->next;
	if (h->next)
		h->next->prev = h->prev;
	free(h);
	addon_unref(a);
}

/* Nobody uses it any more: free what is behind it, elsewhere. */
static void let_go(struct handle *h)
{
	struct addon *a = h->addon;
	struct job *j;

	if (!h->ptr || h->jobs || !h->closed || a->ended)
		return;
	j = calloc(1, sizeof(*j));
	if (!j)
		return; /* the end of the environment frees it */
	j->addon = a;
	j->free_ptr = h->ptr;
	j->free_type = h->type;
	j->handles[0] = h;
	j->handle_count = 1;
	h->ptr = NULL;
	h->jobs++;
	if (pool_submit(&a->pool, j) == 0)
		return;
	h->jobs--;
	h->ptr = j->free_ptr;
	free(j);
}

void handle_freed(struct handle *h, napi_env env)
{
	napi_value nothing = NULL;

	h->jobs--;
	if (h->closing && env) {
		napi_get_undefined(env, &nothing);
		napi_resolve_deferred(env, h->closing, nothing);
		h->closing = NULL;
		addon_unuse(h->addon);
	}
	if (!h->external)
		forget(h);
}

static void collected(napi_env env, void *data, void *hint)
{
	struct handle *h = data;

	(void)env;
	(void)hint;
	h->external = false;
	h->closed = true;
	if (!h->ptr && !h->jobs)
		forget(h);
	else
		let_go(h);
}

static void free_now(int type, void *ptr)
{
	const struct lib *lib = lib_get();

	((void (*)(void *))lib->fns[handle_types[type].free])(ptr);
}

napi_value handle_new(struct addon *a, int type, void *ptr)
{
	struct handle *h = calloc(1, sizeof(*h));
	napi_value object = NULL;

	if (!h) {
		free_now(type, ptr);
		return NULL;
	}
	h->addon = a;
	h->type = type;
	h->ptr = ptr;
	h->next = a->handles;
	if (h->next)
		h->next->prev = h;
	a->handles = h;
	a->refs++;
	if (napi_create_object(a->env, &object) == napi_ok &&
	    napi_type_tag_object(a->env, object, &tag) == napi_ok &&
	    napi_wrap(a->env, object, h, collected, NULL, NULL) == napi_ok) {
		h->external = true;
		return object;
	}
	h->closed = true;
	let_go(h);
	return NULL;
}

static struct handle *unwrap(struct addon *a, napi_value value)
{
	napi_valuetype type = napi_undefined;
	bool is_ours = false;
	void *h = NULL;

	napi_typeof(a->env, value, &type);
	if (type != napi_object)
		return NULL;
	napi_check_object_type_tag(a->env, value, &tag, &is_ours);
	if (!is_ours || napi_unwrap(a->env, value, &h) != napi_ok)
		return NULL;
	/* One of another load of this addon has another's thread. */
	return ((struct handle *)h)->addon == a ? h : NULL;
}

struct handle *handle_get(struct addon *a, napi_value value, int type)
{
	struct handle *h = unwrap(a, value);

	if (!h || h->type != type) {
		fail(a->env, MSB_ERR_INVALID, "a %s is expected",
		     handle_types[type].name + 4);
		return NULL;
	}
	if (h->closed || !h->ptr) {
		fail(a->env, MSB_ERR_GONE, "the %s was closed",
		     handle_types[type].name + 4);
		return NULL;
	}
	if (h->jobs && !handle_types[type].shared) {
		fail(a->env, MSB_ERR_BUSY, "another call uses this %s now",
		     handle_types[type].name + 4);
		return NULL;
	}
	return h;
}

void handle_hold(struct handle *h)
{
	h->jobs++;
}

void handle_drop(struct handle *h)
{
	h->jobs--;
	if (h->closed)
		let_go(h);
}

napi_value handle_close(struct addon *a, napi_value value)
{
	struct handle *h = unwrap(a, value);
	napi_value promise = NULL, nothing = NULL;
	napi_deferred deferred;

	if (!h) {
		fail(a->env, MSB_ERR_INVALID, "a handle is expected");
		return NULL;
	}
	napi_get_undefined(a->env, &nothing);
	napi_create_promise(a->env, &deferred, &promise);
	if (h->closed || a->ended) {
		napi_resolve_deferred(a->env, deferred, nothing);
		return promise;
	}
	h->closed = true;
	h->closing = deferred;
	addon_use(a);
	pool_cancel_users(&a->pool, h);
	let_go(h);
	return promise;
}
