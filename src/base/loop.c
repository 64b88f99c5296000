#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"

#include "base/banned.h"

#define ROUND_MAX 64

struct post {
	void (*fn)(void *arg);
	void *arg;
	struct post *next;
};

struct loop {
	int epfd, wakefd;
	struct loop_timer *timers; /* sorted by deadline */
	uint64_t timer_round;
	struct epoll_event round[ROUND_MAX];
	int round_len;
	atomic_bool stopped;
	_Atomic pthread_t thread; /* 0: nobody ran it yet */
	pthread_mutex_t lock;     /* guards the two below */
	struct post *posts, **posts_tail;
};

static void loop_wake(struct loop *l)
{
	uint64_t one = 1;
	ssize_t r = write(l->wakefd, &one, sizeof(one));

	(void)r; /* EAGAIN: it is awake already */
}

struct loop *loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));
	struct epoll_event ev = {.events = EPOLLIN};

	if (!l)
		return NULL;
	l->posts_tail = &l->posts;
	(void)pthread_mutex_init(&l->lock, NULL);
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	l->wakefd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->epfd < 0 || l->wakefd < 0 ||
	    epoll_ctl(l->epfd, EPOLL_CTL_ADD, l->wakefd, &ev) < 0) {
		loop_free(l);
		return NULL;
	}
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	for (struct post *p = l->posts, *next; p; p = next) {
		next = p->next;
		free(p);
	}
	close_fd(&l->epfd);
	close_fd(&l->wakefd);
	(void)pthread_mutex_destroy(&l->lock);
	free(l);
}

int loop_add(struct loop *l, struct loop_fd *s, int fd, uint32_t events,
             void (*cb)(void *arg, uint32_t events), void *arg)
{
	struct epoll_event ev = {.events = events, .data.ptr = s};

	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return -errno;
	*s = (struct loop_fd){fd, cb, arg, events, true};
	return 0;
}

int loop_mod(struct loop *l, struct loop_fd *s, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = s};

	if (events == s->events)
		return 0;
	if (epoll_ctl(l->epfd, EPOLL_CTL_MOD, s->fd, &ev) < 0)
		return -errno;
	s->events = events;
	return 0;
}

/* What this round has for it is dropped. */
static void forget(struct loop *l, struct loop_fd *s)
{
	s->added = false;
	for (int i = 0; i < l->round_len; i++)
		if (l->round[i].data.ptr == s)
			l->round[i].events = 0;
}

void loop_del(struct loop *l, struct loop_fd *s)
{
	if (!s->added)
		return;
	(void)epoll_ctl(l->epfd, EPOLL_CTL_DEL, s->fd, NULL);
	forget(l, s);
}

void loop_close(struct loop *l, struct loop_fd *s)
{
	loop_del(l, s);
	loop_close_sole(l, s);
}

void loop_close_sole(struct loop *l, struct loop_fd *s)
{
	if (s->added)
		forget(l, s);
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
}

void loop_timer_del(struct loop *l, struct loop_timer *t)
{
	if (!t->armed)
		return;
	for (struct loop_timer **p = &l->timers; *p; p = &(*p)->next) {
		if (*p == t) {
			*p = t->next;
			break;
		}
	}
	t->armed = false;
}

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t deadline_ns,
                    void (*cb)(void *arg), void *arg)
{
	struct loop_timer **p = &l->timers;

	loop_timer_del(l, t);
	while (*p && (*p)->deadline_ns <= deadline_ns)
		p = &(*p)->next;
	*t = (struct loop_timer){deadline_ns, cb,   arg,
	                         *p,          true, l->timer_round};
	*p = t;
}

/* The first that is due and was not armed in this round. */
static struct loop_timer *due_timer(const struct loop *l, uint64_t now)
{
	struct loop_timer *t = l->timers;

	while (t && t->deadline_ns <= now && t->round == l->timer_round)
		t = t->next;
	return t && t->deadline_ns <= now ? t : NULL;
}

/*
 * Timers that are due now; one armed by a callback waits for the next round,
 * also when its deadline has passed already: descriptors get their turn.
 */
static void run_timers(struct loop *l)
{
	uint64_t now = clock_now_ns();
	struct loop_timer *t;

	l->timer_round++;
	while ((t = due_timer(l, now))) {
		loop_timer_del(l, t);
		t->cb(t->arg);
	}
}

static void run_posts(struct loop *l)
{
	uint64_t count;
	struct post *list;
	ssize_t r = read(l->wakefd, &count, sizeof(count));

	(void)r;
	(void)pthread_mutex_lock(&l->lock);
	list = l->posts;
	l->posts = NULL;
	l->posts_tail = &l->posts;
	(void)pthread_mutex_unlock(&l->lock);
	while (list) {
		struct post *p = list;

		list = p->next;
		p->fn(p->arg);
		free(p);
	}
}

/* Milliseconds until the first timer, rounded up, and at most @timeout_ms. */
static int wait_ms(const struct loop *l, int timeout_ms)
{
	uint64_t now, ms;

	if (!l->timers)
		return timeout_ms;
	now = clock_now_ns();
	if (l->timers->deadline_ns <= now)
		return 0;
	ms = (l->timers->deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS;
	ms = MIN(ms, 3600000u);
	return timeout_ms < 0 ? (int)ms : MIN(timeout_ms, (int)ms);
}

int loop_step(struct loop *l, int timeout_ms)
{
	int n;

	atomic_store_explicit(&l->thread, pthread_self(), memory_order_relaxed);
	n = epoll_wait(l->epfd, l->round, ROUND_MAX, wait_ms(l, timeout_ms));
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	l->round_len = n;
	for (int i = 0; i < l->round_len; i++) {
		struct epoll_event *ev = &l->round[i];
		struct loop_fd *s = ev->data.ptr;

		if (!ev->events)
			continue;
		if (s)
			s->cb(s->arg, ev->events);
		else
			run_posts(l);
	}
	l->round_len = 0;
	run_timers(l);
	return 0;
}

int loop_run(struct loop *l)
{
	int r = 0;

	while (r == 0 && !atomic_load(&l->stopped))
		r = loop_step(l, -1);
	return r;
}

bool loop_is_mine(struct loop *l)
{
	return atomic_load_explicit(&l->thread, memory_order_relaxed) ==
	       pthread_self();
}

void loop_stop(struct loop *l)
{
	atomic_store(&l->stopped, true);
	loop_wake(l);
}

int loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct post *p = malloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	*p = (struct post){fn, arg, NULL};
	(void)pthread_mutex_lock(&l->lock);
	*l->posts_tail = p;
	l->posts_tail = &p->next;
	(void)pthread_mutex_unlock(&l->lock);
	loop_wake(l);
	return 0;
}
