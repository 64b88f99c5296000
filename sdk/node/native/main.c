/*
 * main.c - what JavaScript calls.
 *
 *	load(paths)               the library; returns its path
 *	functions                 {name: number} of what can be called
 *	call(number, args)        now, in this thread
 *	start(id, number, args, progress)   a promise; in a thread of the pool
 *	cancel(id)                of start()
 *	close(handle)             a promise
 *	watch(fd), unwatch(fd)    a promise of true when it is readable
 *	end()                     everything that is open ends, now
 *	layout(), stats()         for tests
 *
 * Errors are objects {code, errno, message, hint}; src/errors.ts makes classes
 * of them.
 */
#include "addon.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGS_MAX 12

void addon_unref(struct addon *a)
{
	if (--a->refs == 0)
		free(a);
}

void addon_use(struct addon *a)
{
	if (a->users++ == 0)
		napi_ref_threadsafe_function(a->env, a->wake);
}

void addon_unuse(struct addon *a)
{
	if (--a->users == 0 && !a->ended)
		napi_unref_threadsafe_function(a->env, a->wake);
}

/* A message that nobody waits for any more; the job's results go with it. */
static void drop(struct message *m)
{
	if (m->type == MESSAGE_JOB)
		job_release((struct job *)m, NULL);
	else if (m->type == MESSAGE_PROGRESS)
		arena_free(&((struct progress *)m)->arena);
	free(m);
}

void addon_post(struct addon *a, struct message *m)
{
	if (napi_call_threadsafe_function(a->wake, m, napi_tsfn_nonblocking) !=
	    napi_ok)
		drop(m);
}

static void job_arrived(struct addon *a, struct job *j)
{
	napi_value error = NULL, result = NULL;

	if (j->func) {
		result = job_result(j, a->env, &error);
		if (result)
			napi_resolve_deferred(a->env, j->deferred, result);
		else
			napi_reject_deferred(
				a->env, j->deferred,
				error ? error
				      : show_error(a->env, MSB_ERR_NO_MEMORY, 0,
			                           "out of memory", ""));
		addon_unuse(a);
	}
	job_release(j, a->env);
}

/* In the JavaScript thread; @env is NULL when the environment ends. */
static void arrived(napi_env env, napi_value fn, void *context, void *data)
{
	struct addon *a = context;
	struct message *m = data;

	(void)fn;
	if (!env || a->ended) {
		drop(m);
		return;
	}
	if (m->type == MESSAGE_JOB)
		job_arrived(a, (struct job *)m);
	else if (m->type == MESSAGE_PROGRESS)
		progress_arrived(a, (struct progress *)m);
	else
		watch_ready(a, (struct ready *)m);
	free(m);
}

void addon_end(struct addon *a)
{
	if (a->ended || getpid() != a->pid)
		return;
	a->ended = true;
	watcher_end(a);
	if (!lib_get())
		return;
	if (!pool_end(&a->pool, a)) {
		a->refs++; /* threads still use it: it stays */
		return;
	}
	while (a->pool.finished) {
		struct job *j = a->pool.finished;

		a->pool.finished = j->next;
		job_release(j, NULL);
		free(j);
	}
}

static void environment_ends(void *arg)
{
	struct addon *a = arg;

	addon_end(a);
	addon_unref(a);
}

static void wake_ends(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	addon_unref(data);
}

/* ---- functions --------------------------------------------------------- */

static struct addon *arguments(napi_env env, napi_callback_info info,
                               size_t *count, napi_value *args)
{
	struct addon *a = NULL;

	napi_get_cb_info(env, info, count, args, NULL, (void **)&a);
	if (a->pid != getpid()) {
		fail(env, MSB_ERR_INVALID,
		     "this process was forked: microsandbox cannot be used "
		     "behind a fork");
		return NULL;
	}
	if (a->ended) {
		fail(env, MSB_ERR_GONE, "the process is ending");
		return NULL;
	}
	return a;
}

static uint32_t number(napi_env env, napi_value value)
{
	uint32_t n = UINT32_MAX;

	napi_get_value_uint32(env, value, &n);
	return n;
}

static const struct func *function(napi_env env, napi_value value)
{
	uint32_t i = number(env, value);
	const struct lib *lib = lib_get();

	if (i >= func_count || funcs[i].internal) {
		fail(env, MSB_ERR_INVALID, "there is no such function");
	} else if (!lib) {
		fail(env, MSB_ERR_INSTALL, "libmicrosandbox is not loaded");
	} else if (!lib->fns[i]) {
		fail(env, MSB_ERR_UNSUPPORTED, "%s is too old: it has no %s()",
		     lib->path, funcs[i].name);
	} else {
		return &funcs[i];
	}
	return NULL;
}

/* The elements of an array, as arguments. */
static size_t elements(napi_env env, napi_value array, napi_value *args)
{
	uint32_t count = 0;

	napi_get_array_length(env, array, &count);
	if (count > ARGS_MAX)
		count = ARGS_MAX;
	for (uint32_t i = 0; i < count; i++) {
		if (napi_get_element(env, array, i, &args[i]) != napi_ok)
			return 0;
	}
	return count;
}

static napi_value fn_call(napi_env env, napi_callback_info info)
{
	napi_value args[ARGS_MAX], in[2], result = NULL, error = NULL;
	size_t count = 2;
	struct addon *a = arguments(env, info, &count, in);
	const struct func *f = a ? function(env, in[0]) : NULL;
	struct job j = {.addon = a};

	if (!f)
		return NULL;
	if (job_prepare(&j, f, args, elements(env, in[1], args))) {
		job_run(&j);
		result = job_result(&j, env, &error);
		if (error)
			napi_throw(env, error);
	}
	job_release(&j, env);
	return result;
}

static bool submit(struct job *j, napi_value *promise)
{
	napi_env env = j->addon->env;

	if (napi_create_promise(env, &j->deferred, promise) != napi_ok)
		return false;
	if (pool_submit(&j->addon->pool, j) == 0)
		return true;
	fail(env, MSB_ERR_NO_MEMORY, "no thread can be made");
	return false;
}

static napi_value fn_start(napi_env env, napi_callback_info info)
{
	napi_value args[ARGS_MAX], in[4], promise = NULL;
	size_t count = 4;
	napi_valuetype type = napi_undefined;
	struct addon *a = arguments(env, info, &count, in);
	const struct func *f = a ? function(env, in[1]) : NULL;
	struct job *j = f ? calloc(1, sizeof(*j)) : NULL;

	if (!j)
		return NULL;
	j->addon = a;
	j->id = number(env, in[0]);
	napi_typeof(env, in[3], &type);
	if (type == napi_function)
		napi_create_reference(env, in[3], 1, &j->progress);
	if (job_prepare(j, f, args, elements(env, in[2], args)) &&
	    submit(j, &promise)) {
		addon_use(a);
		return promise;
	}
	job_release(j, env);
	free(j);
	return NULL;
}

static napi_value fn_cancel(napi_env env, napi_callback_info info)
{
	napi_value in[1];
	size_t count = 1;
	struct addon *a = arguments(env, info, &count, in);

	if (a && lib_get())
		pool_cancel(&a->pool, number(env, in[0]));
	return NULL;
}

static napi_value fn_close(napi_env env, napi_callback_info info)
{
	napi_value in[1];
	size_t count = 1;
	struct addon *a = arguments(env, info, &count, in);

	return a ? handle_close(a, in[0]) : NULL;
}

static napi_value fn_watch(napi_env env, napi_callback_info info)
{
	napi_value in[1];
	size_t count = 1;
	struct addon *a = arguments(env, info, &count, in);

	return a ? watch_fd(a, (int)number(env, in[0])) : NULL;
}

static napi_value fn_unwatch(napi_env env, napi_callback_info info)
{
	napi_value in[1];
	size_t count = 1;
	struct addon *a = arguments(env, info, &count, in);

	if (a)
		watch_end_fd(a, (int)number(env, in[0]));
	return NULL;
}

static napi_value fn_end(napi_env env, napi_callback_info info)
{
	size_t count = 0;
	struct addon *a = NULL;

	napi_get_cb_info(env, info, &count, NULL, NULL, (void **)&a);
	addon_end(a);
	return NULL;
}

static napi_value fn_load(napi_env env, napi_callback_info info)
{
	napi_value in[1], args[ARGS_MAX];
	char paths[ARGS_MAX][4096], why[1024] = "";
	const char *list[ARGS_MAX];
	size_t count = 1, n, len;
	struct addon *a = arguments(env, info, &count, in);

	if (!a)
		return NULL;
	n = elements(env, in[0], args);
	for (size_t i = 0; i < n; i++) {
		paths[i][0] = '\0';
		napi_get_value_string_utf8(env, args[i], paths[i],
		                           sizeof(paths[i]), &len);
		list[i] = paths[i];
	}
	if (lib_load(list, n, why, sizeof(why)) < 0) {
		fail(env, MSB_ERR_INSTALL, "libmicrosandbox: %s", why);
		return NULL;
	}
	return show_text(env, lib_get()->path);
}

static napi_value layout_of(napi_env env, const struct shape *s)
{
	napi_value object = NULL, members = NULL;

	napi_create_object(env, &object);
	napi_create_object(env, &members);
	show_set(env, object, "size", show_number(env, (double)s->size));
	for (size_t i = 0; i < s->count; i++)
		show_set(env, members, s->members[i].name,
		         show_number(env, s->members[i].offset));
	show_set(env, object, "members", members);
	return object;
}

static napi_value fn_layout(napi_env env, napi_callback_info info)
{
	napi_value object = NULL;

	(void)info;
	napi_create_object(env, &object);
	for (size_t i = 0; i < shape_count; i++)
		show_set(env, object, shapes[i].name,
		         layout_of(env, &shapes[i]));
	return object;
}

static napi_value fn_stats(napi_env env, napi_callback_info info)
{
	size_t count = 0;
	struct addon *a = arguments(env, info, &count, NULL);
	napi_value object = NULL;
	unsigned handles = 0;

	if (!a)
		return NULL;
	for (struct handle *h = a->handles; h; h = h->next)
		handles++;
	napi_create_object(env, &object);
	pthread_mutex_lock(&a->pool.lock);
	show_set(env, object, "workers", show_number(env, a->pool.workers));
	pthread_mutex_unlock(&a->pool.lock);
	show_set(env, object, "users", show_number(env, a->users));
	show_set(env, object, "handles", show_number(env, handles));
	return object;
}

/* ---- the module -------------------------------------------------------- */

static const struct {
	const char *name;
	napi_callback fn;
} exports_table[] = {
	{"call",    fn_call   },
        {"start",   fn_start  },
        {"cancel",  fn_cancel },
	{"close",   fn_close  },
        {"watch",   fn_watch  },
        {"unwatch", fn_unwatch},
	{"end",     fn_end    },
        {"load",    fn_load   },
        {"layout",  fn_layout },
	{"stats",   fn_stats  },
};

/*
 * Node.js unloads an addon with the last worker thread that used it; the
 * threads of the pool are joined before, but the library's code may be in the
 * middle of its destructors. So this file stays.
 */
static void stay(void)
{
	Dl_info info;

	if (dladdr((void *)(uintptr_t)&stay, &info) && info.dli_fname)
		dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE);
}

static bool make_wake(napi_env env, struct addon *a)
{
	napi_value name = show_text(env, "microsandbox");

	if (napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, a,
	                                    wake_ends, a, arrived,
	                                    &a->wake) != napi_ok)
		return false;
	a->refs++;
	napi_unref_threadsafe_function(env, a->wake);
	return true;
}

static napi_value function_numbers(napi_env env)
{
	napi_value object = NULL;

	napi_create_object(env, &object);
	for (size_t i = 0; i < func_count; i++) {
		if (!funcs[i].internal)
			show_set(env, object, funcs[i].name,
			         show_number(env, (double)i));
	}
	return object;
}

NAPI_MODULE_INIT(/* napi_env env, napi_value exports */)
{
	struct addon *a = calloc(1, sizeof(*a));

	stay();
	if (!a || pool_init(&a->pool) < 0 || !make_wake(env, a)) {
		free(a);
		napi_throw_error(env, NULL, "microsandbox: out of memory");
		return NULL;
	}
	a->env = env;
	a->pid = getpid();
	a->refs++;
	napi_add_env_cleanup_hook(env, environment_ends, a);
	for (size_t i = 0; i < sizeof(exports_table) / sizeof(*exports_table);
	     i++) {
		napi_value fn = NULL;

		napi_create_function(env, exports_table[i].name,
		                     NAPI_AUTO_LENGTH, exports_table[i].fn, a,
		                     &fn);
		show_set(env, exports, exports_table[i].name, fn);
	}
	show_set(env, exports, "functions", function_numbers(env));
	return exports;
}
