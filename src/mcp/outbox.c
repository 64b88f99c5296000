#include "mcp/outbox.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"

#include "base/banned.h"

#define LOOK_MS 100u

struct outbox_line {
	struct outbox_line *next;
	char *text; /* with its newline */
	size_t len;
};

static void signal_fd(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* A pipe that can be written to takes PIPE_BUF bytes without blocking. */
static bool write_line(struct outbox *o, const struct outbox_line *l)
{
	struct pollfd fds[2] = {
		{.fd = o->fd,   .events = POLLOUT},
		{.fd = o->wake, .events = POLLIN }
        };
	size_t done = 0;

	while (done < l->len) {
		ssize_t n;

		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return false;
		}
		if (fds[1].revents)
			return false;
		n = write(o->fd, l->text + done, MIN(l->len - done, PIPE_BUF));
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		if (n > 0) {
			done += (size_t)n;
			(void)atomic_fetch_add(&o->written, (size_t)n);
		}
	}
	return true;
}

static void free_line(struct outbox_line *l)
{
	free(l->text);
	free(l);
}

/* With the lock. */
static void drop_all(struct outbox *o)
{
	while (o->first) {
		struct outbox_line *l = o->first;

		o->first = l->next;
		free_line(l);
	}
	o->last = NULL;
	o->bytes = 0;
}

static struct outbox_line *take(struct outbox *o)
{
	struct outbox_line *l = o->first;

	if (l) {
		o->first = l->next;
		if (!l->next)
			o->last = NULL;
		o->writing = true;
	}
	return l;
}

static void *write_all(void *arg)
{
	struct outbox *o = arg;

	(void)pthread_mutex_lock(&o->lock);
	while (!o->broken) {
		struct outbox_line *l = take(o);
		bool fine;

		if (!l) {
			(void)pthread_cond_broadcast(&o->empty);
			if (o->ending)
				break;
			(void)pthread_cond_wait(&o->room, &o->lock);
			continue;
		}
		(void)pthread_mutex_unlock(&o->lock);
		fine = write_line(o, l);
		(void)pthread_mutex_lock(&o->lock);
		o->writing = false;
		o->bytes -= l->len;
		free_line(l);
		if (!fine) {
			o->broken = true;
			signal_fd(o->broken_fd);
		}
		(void)pthread_cond_broadcast(&o->room);
	}
	(void)pthread_cond_broadcast(&o->empty);
	(void)pthread_mutex_unlock(&o->lock);
	return NULL;
}

int outbox_start(struct outbox *o, int fd, int broken_fd, int in, int signals)
{
	pthread_condattr_t attr;
	int r;

	*o = (struct outbox){
		.fd = fd, .broken_fd = broken_fd, .in = in, .signals = signals};
	o->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (o->wake < 0)
		return -errno;
	(void)pthread_mutex_init(&o->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&o->room, &attr);
	(void)pthread_cond_init(&o->empty, &attr);
	(void)pthread_condattr_destroy(&attr);
	r = pthread_create(&o->thread, NULL, write_all, o);
	o->running = r == 0;
	if (r != 0)
		(void)close(o->wake);
	return -r;
}

static struct outbox_line *make_line(json_t *message)
{
	char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
	struct outbox_line *l = text ? malloc(sizeof(*l)) : NULL;

	json_decref(message);
	if (!l) {
		free(text);
		return NULL;
	}
	*l = (struct outbox_line){.text = text, .len = strlen(text) + 1};
	text[l->len - 1] = '\n'; /* in place of its end */
	return l;
}

/* With the lock. Who waits may be the one who would hear of the end. */
static void look_for_end(struct outbox *o)
{
	struct pollfd fds[2] = {
		{.fd = o->in,      .events = POLLRDHUP},
		{.fd = o->signals, .events = POLLIN   }
        };
	uint64_t now = clock_now_ns();
	size_t written = atomic_load(&o->written);

	(void)poll(fds, 2, 0);
	o->full |= fds[1].revents != 0;
	if (!o->no_input && !fds[0].revents)
		return;
	if (!o->seen_ns || written != o->seen) {
		o->seen = written;
		o->seen_ns = now;
	}
	o->full |= now - o->seen_ns > OUTBOX_STILL_MS * NS_PER_MS;
}

/* With the lock. */
static void wait_for_room(struct outbox *o)
{
	uint64_t end = clock_now_ns() + LOOK_MS * NS_PER_MS;
	struct timespec ts = {.tv_sec = (time_t)(end / NS_PER_S),
	                      .tv_nsec = (long)(end % NS_PER_S)};

	if (pthread_cond_timedwait(&o->room, &o->lock, &ts) == ETIMEDOUT)
		look_for_end(o);
	if (o->full)
		(void)pthread_cond_broadcast(&o->room);
}

void outbox_no_input(struct outbox *o)
{
	if (!o->running)
		return;
	(void)pthread_mutex_lock(&o->lock);
	o->no_input = true;
	(void)pthread_mutex_unlock(&o->lock);
}

bool outbox_put(struct outbox *o, json_t *message, bool optional)
{
	struct outbox_line *l = make_line(message);
	bool taken;

	if (!l)
		return false;
	(void)pthread_mutex_lock(&o->lock);
	while (o->bytes > OUTBOX_MAX && !optional && !o->ending && !o->broken &&
	       !o->full)
		wait_for_room(o);
	taken = !o->broken && o->bytes <= OUTBOX_MAX;
	if (taken) {
		if (o->last)
			o->last->next = l;
		else
			o->first = l;
		o->last = l;
		o->bytes += l->len;
		(void)pthread_cond_broadcast(&o->room);
	}
	(void)pthread_mutex_unlock(&o->lock);
	if (!taken)
		free_line(l);
	return taken;
}

void outbox_stop(struct outbox *o, unsigned ms)
{
	uint64_t end = clock_now_ns() + ms * NS_PER_MS;
	struct timespec ts = {.tv_sec = (time_t)(end / NS_PER_S),
	                      .tv_nsec = (long)(end % NS_PER_S)};

	if (!o->running)
		return;
	(void)pthread_mutex_lock(&o->lock);
	o->ending = true;
	(void)pthread_cond_broadcast(&o->room);
	while ((o->first || o->writing) && !o->broken)
		if (pthread_cond_timedwait(&o->empty, &o->lock, &ts) ==
		    ETIMEDOUT)
			break;
	(void)pthread_mutex_unlock(&o->lock);
	signal_fd(o->wake);
	(void)pthread_join(o->thread, NULL);
	drop_all(o);
	(void)close(o->wake);
	(void)pthread_cond_destroy(&o->room);
	(void)pthread_cond_destroy(&o->empty);
	(void)pthread_mutex_destroy(&o->lock);
	o->running = false;
}
