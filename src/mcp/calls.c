/*
 * calls.c - requests from when they are read until they are answered.
 *
 * A call is on the server's list from call_new() to call_done(), so that its
 * id is known to be taken and it can be cancelled. Whoever calls
 * call_done() owns it and frees it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "mcp/fail.h"
#include "mcp/server.h"
#include "mcp/sessions.h"

#include "base/banned.h"

#define PROGRESS_NS  (100 * NS_PER_MS)
#define WORKER_STACK (1u << 20)

/* ---- sending ------------------------------------------------------------- */

void server_send(struct mcp_server *s, json_t *message, bool optional)
{
	if (s->sink) {
		if (message)
			s->sink(s->sink_arg, message);
		json_decref(message);
		return;
	}
	(void)outbox_put(&s->out, message, optional);
}

/* With the lock: the answers of a batch that is complete, else NULL. */
static json_t *batch_close(struct mcp_batch *b)
{
	json_t *answers = NULL;

	if (--b->open)
		return NULL;
	if (json_array_size(b->answers))
		answers = json_incref(b->answers);
	json_decref(b->answers);
	free(b);
	return answers;
}

struct mcp_batch *server_batch(struct mcp_server *s)
{
	struct mcp_batch *b = malloc(sizeof(*b));

	(void)s;
	if (!b)
		return NULL;
	*b = (struct mcp_batch){.open = 1, .answers = json_array()};
	return b;
}

void server_batch_done(struct mcp_server *s, struct mcp_batch *batch)
{
	json_t *answers;

	(void)pthread_mutex_lock(&s->lock);
	answers = batch_close(batch);
	(void)pthread_mutex_unlock(&s->lock);
	if (answers)
		server_send(s, answers, false);
}

void server_answer(struct mcp_server *s, struct mcp_batch *batch,
                   json_t *message)
{
	if (!batch) {
		server_send(s, message, false);
		return;
	}
	(void)pthread_mutex_lock(&s->lock);
	(void)json_array_append_new(batch->answers, message);
	(void)pthread_mutex_unlock(&s->lock);
}

/* ---- calls --------------------------------------------------------------- */

static void call_free(struct mcp_call *c)
{
	msb_cancel_free(c->cancel);
	json_decref(c->id);
	json_decref(c->params);
	free(c);
}

static struct mcp_call *find(struct mcp_server *s, const json_t *id)
{
	for (struct mcp_call *c = s->calls; c; c = c->next)
		if (rpc_same_id(c->id, id))
			return c;
	return NULL;
}

static void unlink_call(struct mcp_call *c)
{
	struct mcp_call **at = &c->server->calls;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
	c->server->ncalls--;
}

static json_t *progress_token(const json_t *params)
{
	json_t *token = json_object_get(json_object_get(params, "_meta"),
	                                "progressToken");

	return json_is_string(token) || json_is_integer(token) ? token : NULL;
}

struct mcp_call *call_new(struct mcp_server *s, const struct rpc_message *m,
                          int revision, struct mcp_batch *batch)
{
	const char *why = NULL;
	struct mcp_call *c = calloc(1, sizeof(*c));

	/* Values of its own: a worker's are never also the reader's. */
	if (c) {
		c->id = json_deep_copy(m->id);
		c->params = json_deep_copy(m->params);
	}
	if (!c || !c->id || !c->params ||
	    msb_cancel_new(&c->cancel, NULL) < 0) {
		if (c)
			call_free(c);
		server_answer(s, batch,
		              rpc_error(m->id, RPC_INTERNAL_ERROR,
		                        "out of memory", NULL));
		return NULL;
	}
	c->server = s;
	c->batch = batch;
	c->token = progress_token(c->params);
	c->revision = revision;
	(void)pthread_mutex_lock(&s->lock);
	if (find(s, m->id))
		why = "id is that of a request that is not answered yet";
	else if (s->ncalls >= MCP_WORKERS + MCP_QUEUED_MAX)
		why = "too many requests at once";
	if (!why) {
		c->next = s->calls;
		s->calls = c;
		s->ncalls++;
		if (batch)
			batch->open++;
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (!why)
		return c;
	server_answer(s, batch,
	              rpc_error(m->id, RPC_INVALID_REQUEST, why, NULL));
	call_free(c);
	return NULL;
}

void call_done(struct mcp_call *c, json_t *message)
{
	struct mcp_server *s = c->server;
	json_t *answers = NULL;
	bool silent;

	if (!message)
		message = rpc_error(c->id, RPC_INTERNAL_ERROR, "out of memory",
		                    NULL);
	(void)pthread_mutex_lock(&s->lock);
	silent = atomic_load(&c->cancelled);
	unlink_call(c);
	if (c->batch) {
		if (message && !silent)
			(void)json_array_append(c->batch->answers, message);
		answers = batch_close(c->batch);
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (answers)
		server_send(s, answers, false);
	else if (message && !silent && !c->batch)
		server_send(s, json_incref(message), false);
	json_decref(message);
	call_free(c);
	(void)pthread_mutex_lock(&s->lock);
	(void)pthread_cond_broadcast(&s->quiet);
	(void)pthread_mutex_unlock(&s->lock);
}

/* With the lock. A call that listens is the caller's to end then. */
static bool cancel_one(struct mcp_call *c)
{
	atomic_store(&c->cancelled, true);
	msb_cancel_fire(c->cancel);
	return c->listens;
}

void server_cancel(struct mcp_server *s, const json_t *id)
{
	struct mcp_call *c;
	bool listens;

	(void)pthread_mutex_lock(&s->lock);
	c = find(s, id);
	listens = c && cancel_one(c);
	(void)pthread_mutex_unlock(&s->lock);
	if (listens)
		call_done(c, NULL);
}

/* ---- workers ------------------------------------------------------------- */

static struct mcp_call *take(struct mcp_server *s)
{
	struct mcp_call *c = s->first;

	s->first = c->queue;
	if (!s->first)
		s->last = NULL;
	s->queued--;
	return c;
}

static void work_on(struct mcp_call *c)
{
	json_t *message = NULL;

	msb_cancel_use(c->cancel);
	if (!atomic_load(&c->cancelled))
		message = call_work(c);
	msb_cancel_use(NULL);
	call_done(c, message);
}

static void *work(void *arg)
{
	struct mcp_server *s = arg;

	(void)pthread_mutex_lock(&s->lock);
	while (!s->ending || s->first) {
		struct mcp_call *c;

		if (!s->first) {
			s->idle++;
			(void)pthread_cond_wait(&s->work, &s->lock);
			s->idle--;
			continue;
		}
		c = take(s);
		(void)pthread_mutex_unlock(&s->lock);
		work_on(c);
		(void)pthread_mutex_lock(&s->lock);
	}
	s->workers--;
	(void)pthread_cond_broadcast(&s->quiet);
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* With the lock. Without any worker there is nobody who would ever work. */
static bool add_worker(struct mcp_server *s)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	if (s->idle >= s->queued || s->workers >= MCP_WORKERS)
		return true;
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, WORKER_STACK);
	r = pthread_create(&thread, &attr, work, s);
	(void)pthread_attr_destroy(&attr);
	if (r == 0)
		s->workers++;
	return s->workers > 0;
}

void call_queue(struct mcp_call *c)
{
	struct mcp_server *s = c->server;
	bool fine;

	if (!s->threads) {
		work_on(c);
		return;
	}
	(void)pthread_mutex_lock(&s->lock);
	s->queued++;
	fine = add_worker(s);
	if (fine) {
		c->queue = NULL;
		if (s->last)
			s->last->queue = c;
		else
			s->first = c;
		s->last = c;
		(void)pthread_cond_signal(&s->work);
	} else {
		s->queued--;
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (!fine)
		call_done(c, NULL);
}

/* ---- the server ---------------------------------------------------------- */

int server_init(struct mcp_server *s, const struct mcp_app *app,
                const struct mcp_options *opt, struct err *err)
{
	int r;

	*s = (struct mcp_server){
		.app = app, .opt = opt, .revision = MCP_NO_REVISION};
	json_object_seed(0); /* not by two threads at once */
	r = policy_open(&s->policy, opt, err);
	if (r < 0)
		return r;
	s->sessions = sessions_new(opt->session_ttl_ms);
	if (!s->sessions) {
		policy_release(&s->policy);
		return err_set(err, -ENOMEM, "out of memory");
	}
	owned_init(&s->owned, opt->max_sandboxes);
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->work, NULL);
	(void)pthread_cond_init(&s->quiet, NULL);
	return 0;
}

static json_t *listened(const struct mcp_call *c)
{
	json_t *o = json_pack("{s:{s:O}}", "_meta",
	                      "io.modelcontextprotocol/subscriptionId", c->id);

	return rpc_result(c->id, result_finish(o, c->revision));
}

/* With the lock; it is let go meanwhile. */
static void end_listeners(struct mcp_server *s)
{
	for (;;) {
		struct mcp_call *c = s->calls;

		while (c && !c->listens)
			c = c->next;
		if (!c)
			return;
		c->listens = false;
		(void)pthread_mutex_unlock(&s->lock);
		call_done(c, listened(c));
		(void)pthread_mutex_lock(&s->lock);
	}
}

void server_end(struct mcp_server *s)
{
	(void)pthread_mutex_lock(&s->lock);
	s->ending = true;
	end_listeners(s);
	for (struct mcp_call *c = s->calls; c; c = c->next)
		(void)cancel_one(c);
	(void)pthread_cond_broadcast(&s->work);
	while (s->calls || s->workers)
		(void)pthread_cond_wait(&s->quiet, &s->lock);
	(void)pthread_mutex_unlock(&s->lock);
}

void server_release(struct mcp_server *s)
{
	sessions_free(s->sessions);
	owned_release(&s->owned);
	policy_release(&s->policy);
	msb_home_free(s->home);
	(void)pthread_cond_destroy(&s->work);
	(void)pthread_cond_destroy(&s->quiet);
	(void)pthread_mutex_destroy(&s->lock);
}

int server_home(struct mcp_server *s, struct msb_home **ret,
                struct msb_error *error)
{
	int r = 0;

	(void)pthread_mutex_lock(&s->lock);
	if (!s->home)
		r = msb_home_open(NULL, &s->home, error);
	if (r == 0)
		*ret = s->home;
	(void)pthread_mutex_unlock(&s->lock);
	return r;
}

/* ---- for tools ----------------------------------------------------------- */

/* It must grow each time; who has no number to tell counts. */
void tool_progress(struct mcp_call *c, uint64_t done, uint64_t total,
                   const char *fmt, ...)
{
	uint64_t now = clock_now_ns();
	char text[256];
	json_t *params;
	va_list ap;

	if (!c->token || now - c->progress_ns < PROGRESS_NS ||
	    atomic_load(&c->cancelled))
		return;
	if (done <= c->progress && total)
		return;
	c->progress = done > c->progress ? done : c->progress + 1;
	c->progress_ns = now;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	params = json_pack("{s:O, s:I}", "progressToken", c->token, "progress",
	                   (json_int_t)c->progress);
	if (total >= c->progress)
		(void)json_object_set_new(params, "total",
		                          json_integer((json_int_t)total));
	if (c->revision >= MCP_2025_03_26)
		(void)json_object_set_new(params, "message", json_string(text));
	server_send(c->server,
	            rpc_notification("notifications/progress", params), true);
}

bool tool_cancelled(const struct mcp_call *c)
{
	return atomic_load(&((struct mcp_call *)(uintptr_t)c)->cancelled);
}

int tool_was_cancelled(struct msb_error *error)
{
	return tool_fail(error, MSB_ERR_CANCELLED, "the call was cancelled");
}

void tool_set_error(struct mcp_call *c)
{
	c->failed = true;
}
