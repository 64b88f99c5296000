#include "pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define IDLE_SECONDS  10
#define DRAIN_SECONDS 10

static struct {
	pthread_mutex_t lock;
	pthread_cond_t work, done;
	struct task *first, **last;
	unsigned idle, queued, owed;
} pool;

static void reset(void)
{
	pthread_condattr_t clock;

	(void)pthread_condattr_init(&clock);
	(void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&pool.lock, NULL);
	(void)pthread_cond_init(&pool.work, &clock);
	(void)pthread_cond_init(&pool.done, &clock);
	(void)pthread_condattr_destroy(&clock);
	pool.first = NULL;
	pool.last = &pool.first;
	pool.idle = pool.queued = pool.owed = 0;
}

/* A child of fork() has none of the threads, and maybe a lock of theirs. */
int pool_init(void)
{
	reset();
	return pthread_atfork(NULL, NULL, reset);
}

static struct timespec from_now(int seconds)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += seconds;
	return t;
}

/* The next task, or NULL: there was none for so long that this one may go. */
static struct task *next_task(void)
{
	const struct timespec end = from_now(IDLE_SECONDS);
	struct task *task;

	(void)pthread_mutex_lock(&pool.lock);
	pool.idle++;
	while (!pool.first &&
	       pthread_cond_timedwait(&pool.work, &pool.lock, &end) == 0)
		;
	pool.idle--;
	task = pool.first;
	if (task) {
		pool.first = task->next;
		pool.queued--;
		if (!pool.first)
			pool.last = &pool.first;
	}
	(void)pthread_mutex_unlock(&pool.lock);
	return task;
}

static void *worker(void *arg)
{
	struct task *task;

	while ((task = next_task()))
		task->run(task);
	return arg;
}

/* Signals are for the threads of Ruby. */
static int add_worker(void)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t thread;
	int r;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attr, worker, NULL);
	(void)pthread_attr_destroy(&attr);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

static void enqueue(struct task *task)
{
	task->next = NULL;
	*pool.last = task;
	pool.last = &task->next;
	pool.queued++;
	(void)pthread_cond_signal(&pool.work);
}

/* Each task in the queue has a thread that waits, or one that is new. */
int pool_submit(struct task *task)
{
	int r = 0;

	(void)pthread_mutex_lock(&pool.lock);
	if (pool.idle <= pool.queued)
		r = add_worker();
	if (r == 0)
		enqueue(task);
	(void)pthread_mutex_unlock(&pool.lock);
	return r;
}

struct gift {
	struct task task;
	void (*give_back)(void *handle);
	void *handle;
};

static void count_owed(int by)
{
	(void)pthread_mutex_lock(&pool.lock);
	pool.owed += (unsigned)by;
	if (pool.owed == 0)
		(void)pthread_cond_broadcast(&pool.done);
	(void)pthread_mutex_unlock(&pool.lock);
}

static void run_gift(struct task *task)
{
	struct gift *gift = (struct gift *)task;

	gift->give_back(gift->handle);
	free(gift);
	count_owed(-1);
}

void pool_give_back(void (*give_back)(void *handle), void *handle)
{
	struct gift *gift = malloc(sizeof(*gift));

	if (gift) {
		*gift = (struct gift){{.run = run_gift}, give_back, handle};
		count_owed(1);
		if (pool_submit(&gift->task) == 0)
			return;
		count_owed(-1);
		free(gift);
	}
	give_back(handle);
}

void pool_drain(void)
{
	const struct timespec end = from_now(DRAIN_SECONDS);

	(void)pthread_mutex_lock(&pool.lock);
	while (pool.owed > 0 &&
	       pthread_cond_timedwait(&pool.done, &pool.lock, &end) == 0)
		;
	(void)pthread_mutex_unlock(&pool.lock);
}
