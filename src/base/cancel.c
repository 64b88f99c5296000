#include "base/cancel.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"

#include "base/banned.h"

/* Between two tries where the kernel knows no waiting for two things. */
#define TRY_MS 20

static _Thread_local struct cancel *current;

int cancel_init(struct cancel *c)
{
	atomic_init(&c->fired, false);
	c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return c->fd < 0 ? -errno : 0;
}

void cancel_release(struct cancel *c)
{
	close_fd(&c->fd);
}

static void wake(struct cancel *c)
{
	const uint64_t one = 1;
	ssize_t n = write(c->fd, &one, sizeof(one));

	(void)n; /* EAGAIN: readable as it is */
}

static void drain(struct cancel *c)
{
	uint64_t count;
	ssize_t n = read(c->fd, &count, sizeof(count));

	(void)n;
}

/* The flag counts; the descriptor only says that it is to be looked at. */
void cancel_fire(struct cancel *c)
{
	int saved = errno;

	atomic_store(&c->fired, true);
	wake(c);
	errno = saved;
}

void cancel_reset(struct cancel *c)
{
	atomic_store(&c->fired, false);
	drain(c);
	if (cancel_is_fired(c)) /* in between: others may sleep on it */
		wake(c);
}

struct cancel *cancel_use(struct cancel *c)
{
	struct cancel *was = current;

	current = c;
	return was;
}

struct cancel *cancel_now(void)
{
	return current;
}

bool cancel_fired(void)
{
	return cancel_is_fired(current);
}

int cancel_check(struct err *err)
{
	return cancel_fired() ? err_set(err, -ECANCELED, "cancelled") : 0;
}

struct cancel *cancel_hold(void)
{
	return cancel_use(NULL);
}

static int plain_poll(struct pollfd *pf, size_t n, int ms)
{
	int r = poll(pf, n, ms);

	return r < 0 ? -errno : r;
}

/* Readable, but not fired: it was reset at that moment. */
static int look_again(struct cancel *c)
{
	drain(c);
	if (!cancel_is_fired(c))
		return -EINTR;
	wake(c);
	return -ECANCELED;
}

int cancel_poll(struct pollfd *pf, size_t n, int ms)
{
	struct pollfd all[CANCEL_POLL_MAX + 1];
	struct cancel *c = current;
	int r;

	if (!c || ms == 0 || n > CANCEL_POLL_MAX)
		return plain_poll(pf, n, ms);
	if (cancel_is_fired(c))
		return -ECANCELED;
	if (n)
		memcpy(all, pf, n * sizeof(*pf));
	all[n] = (struct pollfd){.fd = c->fd, .events = POLLIN};
	r = plain_poll(all, n + 1, ms);
	if (n)
		memcpy(pf, all, n * sizeof(*pf));
	if (r <= 0 || !all[n].revents)
		return r;
	return cancel_is_fired(c) ? -ECANCELED : look_again(c);
}

int cancel_sleep(uint32_t ms)
{
	uint64_t end = clock_now_ns() + ms * NS_PER_MS;
	uint64_t now;
	int r;

	do {
		now = clock_now_ns();
		r = cancel_poll(NULL, 0,
		                now < end ? (int)((end - now) / NS_PER_MS) + 1
		                          : 0);
	} while (r != -ECANCELED && now < end);
	return r == -ECANCELED ? r : 0;
}

static int try_flock(int fd, int op)
{
	int r;

	do {
		r = flock(fd, op);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int cancel_flock(int fd, int op)
{
	uint32_t ms = 1;
	int r;

	if (!current || (op & LOCK_NB))
		return try_flock(fd, op);
	while ((r = try_flock(fd, op | LOCK_NB)) == -EWOULDBLOCK) {
		r = cancel_sleep(ms);
		if (r < 0)
			return r;
		ms = MIN(2 * ms, TRY_MS);
	}
	return r;
}

int cancel_lock(pthread_mutex_t *lock)
{
	struct timespec ts;

	if (!current) {
		(void)pthread_mutex_lock(lock);
		return 0;
	}
	if (pthread_mutex_trylock(lock) == 0)
		return 0;
	do {
		if (cancel_fired())
			return -ECANCELED;
		(void)clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_nsec += (long)(TRY_MS * NS_PER_MS);
		ts.tv_sec += ts.tv_nsec / (long)NS_PER_S;
		ts.tv_nsec %= (long)NS_PER_S;
	} while (pthread_mutex_timedlock(lock, &ts) != 0);
	return 0;
}

/* 0 when @fd is ready, and where nobody can say. */
static int await(int fd, short events)
{
	struct pollfd pf = {.fd = fd, .events = events};
	int r;

	do {
		r = cancel_poll(&pf, 1, -1);
	} while (r == -EINTR);
	return MIN(r, 0);
}

ssize_t cancel_read(int fd, void *data, size_t len)
{
	ssize_t n;
	int r;

	do {
		r = current ? await(fd, POLLIN) : 0;
		n = r < 0 ? r : read(fd, data, len);
		if (r == 0 && n < 0)
			n = -errno;
	} while (n == -EINTR || (current && n == -EAGAIN));
	return n;
}

/* A pipe that is ready takes so much without waiting; a file, anything. */
static size_t write_max(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? MIB : PIPE_BUF;
}

int cancel_write_full(int fd, const void *data, size_t len)
{
	const char *p = data;
	size_t max;

	if (!current)
		return fd_write_full(fd, data, len);
	max = write_max(fd);
	while (len > 0) {
		int r = await(fd, POLLOUT);
		ssize_t n = r < 0 ? r : write(fd, p, MIN(len, max));

		if (r < 0)
			return r;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		p += MAX(n, 0);
		len -= (size_t)MAX(n, 0);
	}
	return 0;
}
