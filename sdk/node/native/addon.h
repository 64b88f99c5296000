/*
 * addon.h - the parts of the addon and how they fit.
 *
 *	main.c    what JavaScript calls
 *	call.c    one call of the library: its arguments, its run, its result
 *	read.c    JavaScript values to C, into an arena
 *	show.c    C to JavaScript values
 *	handle.c  what JavaScript holds of the library
 *	pool.c    threads for calls that wait
 *	watch.c   one thread that waits for descriptors
 *	lib.c     libmicrosandbox, loaded when it is first needed
 *
 * One struct addon for each environment (the main thread of Node.js, and each
 * worker thread of it). Unless something else is said, a function runs in the
 * environment's own thread, "the JavaScript thread". Two things leave it: a
 * job, between submit and its arrival back by the threadsafe function, and the
 * number of a descriptor that is watched.
 */
#ifndef NODE_ADDON_H
#define NODE_ADDON_H

#define NAPI_VERSION 8
#include "api.h"
#include <node_api.h>
#include <pthread.h>
#include <stdbool.h>

/* ---- memory of one call ------------------------------------------------ */

struct arena {
	struct arena_block *blocks;
};

/* Zeroed; NULL when there is no memory. */
void *arena_get(struct arena *a, size_t size);
void arena_free(struct arena *a);

/* ---- the library ------------------------------------------------------- */

struct lib {
	char path[4096];
	void *fns[160];
};

/* Once in a process; 0, or -1 and a message. Any thread. */
int lib_load(const char *const *paths, size_t count, char *why, size_t size);
/* NULL while it is not loaded. */
const struct lib *lib_get(void);

/* ---- messages to the JavaScript thread --------------------------------- */

enum message_type {
	MESSAGE_JOB,      /* struct job: it is done */
	MESSAGE_PROGRESS, /* struct progress */
	MESSAGE_READY,    /* struct ready: a descriptor */
};

struct message {
	enum message_type type;
};

struct addon;

/* ---- handles ----------------------------------------------------------- */

struct handle {
	struct addon *addon;
	struct handle *prev, *next;
	void *ptr; /* the library's; NULL once it is on its way to be freed */
	int type;
	unsigned jobs; /* that use it now */
	bool closed;   /* JavaScript has given it back, or forgotten it */
	bool external; /* JavaScript has an object of it still */
	napi_deferred closing;
};

/* An external for @ptr, which it owns from now on, even on failure. */
napi_value handle_new(struct addon *a, int type, void *ptr);
/* NULL and an exception when @value is not an open handle of @type. */
struct handle *handle_get(struct addon *a, napi_value value, int type);
void handle_hold(struct handle *h);
void handle_drop(struct handle *h);
/* A promise of the end of it; jobs that use it are cancelled. */
napi_value handle_close(struct addon *a, napi_value value);
/* It has been freed. */
void handle_freed(struct handle *h, napi_env env);

/* ---- jobs -------------------------------------------------------------- */

struct job {
	struct message message;
	struct job *prev, *next;
	struct addon *addon;
	uint32_t id;
	const struct func *func; /* NULL: free @handles[0] */
	union val v[PARAMS_MAX + 1];
	union val out[PARAMS_MAX + 1];
	struct arena arena;
	struct handle *handles[4];
	unsigned handle_count;
	void *free_ptr;
	int free_type;
	struct msb_error error;
	napi_deferred deferred;
	napi_ref progress;
	/* Of the pool, under its lock. */
	struct msb_cancel *cancel;
	bool cancelled;
};

/* False and an exception when an argument is wrong. */
bool job_prepare(struct job *j, const struct func *func, napi_value *args,
                 size_t count);
/* Any thread. */
void job_run(struct job *j);
/* The result, or NULL and *@error: an object to throw. */
napi_value job_result(struct job *j, napi_env env, napi_value *error);
/* What it has: results that nobody took, arguments. @env may be NULL. */
void job_release(struct job *j, napi_env env);

/* ---- threads for calls that wait --------------------------------------- */

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work, calm;
	struct job *queue, *queue_end;
	struct job *running;
	struct job *finished; /* once it ends: jobs for nobody */
	struct worker *gone;  /* that wait to be joined */
	unsigned queued, idle, workers;
	bool ending;
};

int pool_init(struct pool *p);
/* 0, or -1 when there is no thread to do it. */
int pool_submit(struct pool *p, struct job *j);
void pool_cancel(struct pool *p, uint32_t id);
void pool_cancel_users(struct pool *p, const struct handle *h);
/*
 * Cancels all, waits for it, frees all handles, ends the threads. False when a
 * call did not let go in time: nothing may then be freed.
 */
bool pool_end(struct pool *p, struct addon *a);

/* ---- descriptors ------------------------------------------------------- */

struct watcher {
	pthread_t thread;
	bool started;
	int epoll_fd, wake_fd;
	struct watch *first;
	uint32_t last_id;
};

struct ready {
	struct message message;
	uint32_t id;
};

/* A promise that is kept when @fd is readable: true; false: unwatched. */
napi_value watch_fd(struct addon *a, int fd);
void watch_end_fd(struct addon *a, int fd);
void watch_ready(struct addon *a, struct ready *r);
void watcher_end(struct addon *a);

/* ---- one environment --------------------------------------------------- */

struct addon {
	napi_env env;
	napi_threadsafe_function wake;
	unsigned refs;  /* the environment, its function, externals */
	unsigned users; /* what keeps the process alive */
	bool ended;
	int32_t pid;
	struct handle *handles;
	struct pool pool;
	struct watcher watcher;
};

void addon_use(struct addon *a);
void addon_unuse(struct addon *a);
void addon_unref(struct addon *a);
/* Any thread; takes @m, which is freed when nobody is there any more. */
void addon_post(struct addon *a, struct message *m);
/* The end of all that is open. May be called again. */
void addon_end(struct addon *a);

/* ---- values ------------------------------------------------------------ */

/* {code, errno, message, hint} */
napi_value show_error(napi_env env, int32_t code, int32_t sys_errno,
                      const char *message, const char *hint);
/* Throws one. */
void fail(napi_env env, int32_t code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

napi_value show_text(napi_env env, const char *s);
napi_value show_texts(napi_env env, const char *const *list);
napi_value show_bytes(napi_env env, const void *data, size_t len);
napi_value show_struct(napi_env env, uint32_t shape, const void *data);
napi_value show_number(napi_env env, double number);
void show_set(napi_env env, napi_value object, const char *name,
              napi_value value);
/* What @data points to becomes the arena's. Any thread. */
bool own_struct(struct arena *a, uint32_t shape, void *data);

/* These return false and throw. */
bool read_text(struct job *j, napi_value value, const char **ret);
bool read_texts(struct job *j, napi_value value, const char *const **ret);
bool read_bytes(struct job *j, napi_value value, const void **ret, size_t *len);
bool read_integer(struct job *j, napi_value value, double min, double max,
                  int64_t *ret);
bool read_big(struct job *j, napi_value value, uint64_t *ret);
bool read_struct(struct job *j, napi_value value, uint32_t shape, void **ret);
bool read_handle(struct job *j, napi_value value, int type, void **ret);
/* A number of one of the kinds of members. */
bool read_number(struct job *j, napi_value value, int kind, int64_t *ret);

struct progress {
	struct message message;
	struct job *job;
	uint32_t shape;
	struct arena arena;
	void *event;
};
void progress_arrived(struct addon *a, struct progress *p);
/* Callbacks of the library, with the job as their argument. Any thread. */
int on_pull_event(void *arg, const struct msb_pull_event *event);
int on_copy_event(void *arg, const struct msb_copy_event *event);

#endif
