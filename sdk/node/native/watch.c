/*
 * watch.c - one thread that waits for descriptors of commands and logs.
 *
 * A watch is for one wake: the thread tells its number, never touches what is
 * behind it, and a number that nobody knows any more is ignored. So a
 * descriptor may be closed at any moment, if watch_end_fd() was called before.
 */
#include "addon.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct watch {
	struct watch *next;
	napi_deferred deferred;
	uint32_t id;
	int fd;
};

static void tell(struct addon *a, uint32_t id)
{
	struct ready *r = calloc(1, sizeof(*r));

	if (!r)
		return;
	r->message.type = MESSAGE_READY;
	r->id = id;
	addon_post(a, &r->message);
}

/* Number 0 is the end. */
static void *watcher_main(void *arg)
{
	struct addon *a = arg;
	struct epoll_event events[64];

	for (;;) {
		int n = epoll_wait(a->watcher.epoll_fd, events, 64, -1);

		if (n < 0 && errno != EINTR)
			return NULL;
		for (int i = 0; i < n; i++) {
			if (!events[i].data.u64)
				return NULL;
			tell(a, (uint32_t)events[i].data.u64);
		}
	}
}

static bool start(struct addon *a)
{
	struct watcher *w = &a->watcher;
	struct epoll_event e = {.events = EPOLLIN};

	if (w->started)
		return true;
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->epoll_fd >= 0 && w->wake_fd >= 0 &&
	    epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &e) == 0 &&
	    pthread_create(&w->thread, NULL, watcher_main, a) == 0) {
		w->started = true;
		return true;
	}
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	return false;
}

static bool add(struct watcher *w, int fd, uint32_t id)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLONESHOT};

	e.data.u64 = id;
	if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0)
		return true;
	return errno == EEXIST &&
	       epoll_ctl(w->epoll_fd, EPOLL_CTL_MOD, fd, &e) == 0;
}

napi_value watch_fd(struct addon *a, int fd)
{
	struct watcher *w = &a->watcher;
	struct watch *watch;
	napi_value promise = NULL;
	uint32_t id;

	watch_end_fd(a, fd);
	watch = calloc(1, sizeof(*watch));
	id = ++w->last_id ? w->last_id : ++w->last_id;
	if (!watch || !start(a) || !add(w, fd, id) ||
	    napi_create_promise(a->env, &watch->deferred, &promise) !=
	            napi_ok) {
		free(watch);
		fail(a->env, MSB_ERR_IO, "cannot wait for descriptor %d", fd);
		return NULL;
	}
	watch->id = id;
	watch->fd = fd;
	watch->next = w->first;
	w->first = watch;
	addon_use(a);
	return promise;
}

static void settle(struct addon *a, struct watch **at, bool is_ready)
{
	struct watch *watch = *at;
	napi_value v = NULL;

	*at = watch->next;
	napi_get_boolean(a->env, is_ready, &v);
	napi_resolve_deferred(a->env, watch->deferred, v);
	free(watch);
	addon_unuse(a);
}

void watch_end_fd(struct addon *a, int fd)
{
	for (struct watch **at = &a->watcher.first; *at; at = &(*at)->next) {
		if ((*at)->fd != fd)
			continue;
		epoll_ctl(a->watcher.epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		settle(a, at, false);
		return;
	}
}

void watch_ready(struct addon *a, struct ready *r)
{
	for (struct watch **at = &a->watcher.first; *at; at = &(*at)->next) {
		if ((*at)->id == r->id) {
			settle(a, at, true);
			return;
		}
	}
}

void watcher_end(struct addon *a)
{
	struct watcher *w = &a->watcher;

	if (w->started) {
		eventfd_write(w->wake_fd, 1);
		pthread_join(w->thread, NULL);
		close(w->epoll_fd);
		close(w->wake_fd);
		w->started = false;
	}
	while (w->first) {
		struct watch *watch = w->first;

		w->first = watch->next;
		free(watch);
	}
}
