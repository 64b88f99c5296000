/*
 * pool.c - threads for calls that wait.
 *
 * A thread more for each job that finds none idle, so that a hundred sandboxes
 * can be waited for at once; idle ones end after some seconds. A thread has
 * one msb_cancel for its life: who cancels a job fires that of the thread
 * which runs it, under the lock, so it hits this job and no later one.
 */
#include "addon.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORKERS_MAX  4096
#define IDLE_SECONDS 5
/* How long the end waits for calls that were cancelled. */
#define END_SECONDS 5

struct worker {
	pthread_t thread;
	struct worker *next;
	struct pool *pool;
	struct msb_cancel *cancel;
};

int pool_init(struct pool *p)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->work, &attr);
	pthread_cond_init(&p->calm, &attr);
	pthread_condattr_destroy(&attr);
	return 0;
}

static struct timespec in_seconds(int seconds)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += seconds;
	return ts;
}

static struct job *pop(struct pool *p)
{
	struct job *j = p->queue;

	if (!j)
		return NULL;
	p->queue = j->next;
	if (!p->queue)
		p->queue_end = NULL;
	p->queued--;
	j->next = NULL;
	return j;
}

static void push(struct pool *p, struct job *j)
{
	j->next = NULL;
	if (p->queue_end)
		p->queue_end->next = j;
	else
		p->queue = j;
	p->queue_end = j;
	p->queued++;
}

static void running_add(struct pool *p, struct job *j)
{
	j->prev = NULL;
	j->next = p->running;
	if (j->next)
		j->next->prev = j;
	p->running = j;
}

static void running_remove(struct pool *p, struct job *j)
{
	if (j->prev)
		j->prev->next = j->next;
	else
		p->running = j->next;
	if (j->next)
		j->next->prev = j->prev;
	j->prev = j->next = NULL;
	if (!p->running)
		pthread_cond_broadcast(&p->calm);
}

static void cancel_job(const struct lib *lib, struct job *j)
{
	j->cancelled = true;
	if (j->cancel)
		((void (*)(struct msb_cancel *))lib->fns[known.cancel_fire])(
			j->cancel);
}

static void give_up(struct job *j)
{
	j->v[0].i = -MSB_ERR_CANCELLED;
	j->error.code = MSB_ERR_CANCELLED;
	strcpy(j->error.message, "the call was cancelled");
}

/* With the lock held, which it lets go of while the job runs. */
static void work(struct worker *w, struct job *j)
{
	struct pool *p = w->pool;
	const struct lib *lib = lib_get();

	if (j->cancelled) {
		give_up(j);
	} else {
		running_add(p, j);
		j->cancel = j->func ? w->cancel : NULL;
		pthread_mutex_unlock(&p->lock);
		job_run(j);
		pthread_mutex_lock(&p->lock);
		j->cancel = NULL;
		running_remove(p, j);
		if (w->cancel)
			((void (*)(struct msb_cancel *))
			         lib->fns[known.cancel_reset])(w->cancel);
	}
	if (p->ending) {
		j->next = p->finished;
		p->finished = j;
		return;
	}
	/* Under the lock: the end comes after it, or sees it as running. */
	addon_post(j->addon, &j->message);
}

static void worker_loop(struct worker *w)
{
	struct pool *p = w->pool;
	struct timespec until;
	struct job *j;
	int r = 0;

	for (;;) {
		j = pop(p);
		if (j) {
			work(w, j);
			r = 0;
			continue;
		}
		if (p->ending || r)
			return;
		p->idle++;
		until = in_seconds(IDLE_SECONDS);
		r = pthread_cond_timedwait(&p->work, &p->lock, &until);
		p->idle--;
	}
}

static void cancel_begin(struct worker *w, const struct lib *lib)
{
	void *make = lib->fns[known.cancel_new];

	/* A library that has none yet: calls then end by themselves. */
	if (!make || ((int (*)(struct msb_cancel **, struct msb_error *))make)(
			     &w->cancel, NULL) < 0)
		w->cancel = NULL;
	if (w->cancel)
		((void (*)(struct msb_cancel *))lib->fns[known.cancel_use])(
			w->cancel);
}

static void cancel_end(struct worker *w, const struct lib *lib)
{
	if (!w->cancel)
		return;
	((void (*)(struct msb_cancel *))lib->fns[known.cancel_use])(NULL);
	((void (*)(struct msb_cancel *))lib->fns[known.cancel_free])(w->cancel);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct pool *p = w->pool;
	const struct lib *lib = lib_get();

	cancel_begin(w, lib);
	pthread_mutex_lock(&p->lock);
	worker_loop(w);
	p->workers--;
	w->next = p->gone;
	p->gone = w;
	pthread_cond_broadcast(&p->calm);
	pthread_mutex_unlock(&p->lock);
	cancel_end(w, lib);
	return NULL;
}

static void join_gone(struct pool *p)
{
	while (p->gone) {
		struct worker *w = p->gone;

		p->gone = w->next;
		pthread_mutex_unlock(&p->lock);
		pthread_join(w->thread, NULL);
		free(w);
		pthread_mutex_lock(&p->lock);
	}
}

static int spawn(struct pool *p)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	w->pool = p;
	if (pthread_create(&w->thread, NULL, worker_main, w) != 0) {
		free(w);
		return -1;
	}
	p->workers++;
	return 0;
}

int pool_submit(struct pool *p, struct job *j)
{
	int r = 0;

	pthread_mutex_lock(&p->lock);
	push(p, j);
	join_gone(p);
	if (p->idle >= p->queued)
		pthread_cond_signal(&p->work);
	else if (p->workers < WORKERS_MAX && spawn(p) < 0 && !p->workers)
		r = -1;
	if (r < 0) { /* then it is the only one */
		p->queue = p->queue_end = NULL;
		p->queued = 0;
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

void pool_cancel(struct pool *p, uint32_t id)
{
	const struct lib *lib = lib_get();

	pthread_mutex_lock(&p->lock);
	for (struct job *j = p->queue; j; j = j->next) {
		if (j->func && j->id == id)
			j->cancelled = true;
	}
	for (struct job *j = p->running; j; j = j->next) {
		if (j->func && j->id == id)
			cancel_job(lib, j);
	}
	pthread_mutex_unlock(&p->lock);
}

static bool uses(const struct job *j, const struct handle *h)
{
	for (unsigned i = 0; j->func && i < j->handle_count; i++) {
		if (j->handles[i] == h)
			return true;
	}
	return false;
}

void pool_cancel_users(struct pool *p, const struct handle *h)
{
	const struct lib *lib = lib_get();

	pthread_mutex_lock(&p->lock);
	for (struct job *j = p->queue; j; j = j->next) {
		if (uses(j, h))
			j->cancelled = true;
	}
	for (struct job *j = p->running; j; j = j->next) {
		if (uses(j, h))
			cancel_job(lib, j);
	}
	pthread_mutex_unlock(&p->lock);
}

static bool cancel_all(struct pool *p)
{
	const struct lib *lib = lib_get();
	struct timespec until = in_seconds(END_SECONDS);

	for (struct job *j = p->queue; j; j = j->next)
		j->cancelled = j->func != NULL;
	for (struct job *j = p->running; j; j = j->next)
		cancel_job(lib, j);
	while (p->running || p->queued) {
		if (pthread_cond_timedwait(&p->calm, &p->lock, &until))
			break;
	}
	return !p->running && !p->queued;
}

/* What JavaScript has not given back; several at once, since some wait. */
static void free_all(struct pool *p, struct addon *a)
{
	for (struct handle *h = a->handles; h; h = h->next) {
		struct job *j = h->ptr ? calloc(1, sizeof(*j)) : NULL;

		if (!j)
			continue;
		j->addon = a;
		j->free_ptr = h->ptr;
		j->free_type = h->type;
		h->ptr = NULL;
		push(p, j);
		if (p->workers < 16)
			spawn(p);
	}
}

bool pool_end(struct pool *p, struct addon *a)
{
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_broadcast(&p->work);
	if (!cancel_all(p)) {
		pthread_mutex_unlock(&p->lock);
		return false;
	}
	free_all(p, a);
	pthread_cond_broadcast(&p->work);
	while (p->workers)
		pthread_cond_wait(&p->calm, &p->lock);
	join_gone(p);
	pthread_mutex_unlock(&p->lock);
	return true;
}
