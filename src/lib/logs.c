/*
 * The logs of one sandbox: two streams of records, of msb-vmm and of those who
 * ran commands, merged by time.
 *
 * Following. inotify tells of writes to the files and of new ones in the
 * folder; the folder's other files are not watched, as a busy guest changes
 * its disk all the time. A timer looks every second whether the sandbox still
 * runs, and ten times a second at everything where inotify is used up. When
 * its lock is free, those who ran commands may still have the last of their
 * output to write: the end comes LINGER_MS later.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "lib/error.h"
#include "lib/home.h"
#include "lib/log_stream.h"
#include "lib/options.h"
#include "lib/place.h"

#include "base/banned.h"

#define STREAMS   2
#define LINGER_MS 200
#define CHECK_MS  1000 /* whether the sandbox still runs */
#define LOOK_MS   100  /* without inotify */

struct msb_logs {
	struct msb_log_opts o;
	struct place place;
	struct log_stream streams[STREAMS];
	bool dry[STREAMS]; /* nothing more in this round */
	uint64_t skip;     /* ends of lines to pass over */
	int epfd, inotify, timer;
	unsigned watched; /* files that the streams had found by then */
	bool check;       /* the sandbox may have ended */
	uint64_t over_ns; /* when that was seen; 0: it runs */
	bool ended;
};

/* ---- records, filtered and merged ------------------------------------- */

static bool wanted(const struct msb_logs *l, const struct reclog_record *rec)
{
	const struct msb_log_opts *o = &l->o;

	return (rec->source & o->sources) &&
	       (!o->session || rec->session == o->session) &&
	       (!o->since_ms || rec->unix_ms >= o->since_ms) &&
	       (!o->until_ms || rec->unix_ms <= o->until_ms);
}

/* The oldest of the streams' next ones: 1, 0 when all are dry for now. */
static int next_any(struct msb_logs *l, const struct reclog_record **ret)
{
	const struct reclog_record *best = NULL;
	struct log_stream *from = NULL;

	for (int i = 0; i < STREAMS; i++) {
		const struct reclog_record *rec;
		int r = l->dry[i] ? 0
		                  : log_stream_peek(&l->streams[i],
		                                    l->over_ns != 0, &rec);

		if (r < 0)
			return r;
		l->dry[i] = r == 0;
		if (r > 0 && (!best || rec->unix_ms < best->unix_ms)) {
			best = rec;
			from = &l->streams[i];
		}
	}
	if (!best) {
		memset(l->dry, 0, sizeof(l->dry));
		return 0;
	}
	log_stream_take(from);
	*ret = best;
	return 1;
}

static int next_wanted(struct msb_logs *l, const struct reclog_record **ret)
{
	int r;

	do {
		r = cancel_fired() ? -ECANCELED : next_any(l, ret);
	} while (r > 0 && !wanted(l, *ret));
	return r;
}

/* ---- the last lines --------------------------------------------------- */

static uint64_t count_ends(const struct reclog_record *rec)
{
	const uint8_t *p = rec->data, *end = p + rec->len;
	uint64_t n = 0;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
		n++;
		p++;
	}
	return n;
}

/*
 * Read all once to count the lines, and begin again: nothing has to be kept,
 * however much is asked for.
 */
static int find_tail(struct msb_logs *l)
{
	const struct reclog_record *rec;
	uint64_t lines = 0;
	bool open = false; /* the last line has no end */
	int r;

	if (l->o.tail == 0)
		return 0;
	while ((r = next_wanted(l, &rec)) > 0) {
		lines += count_ends(rec);
		if (rec->len > 0)
			open = rec->data[rec->len - 1] != '\n';
	}
	if (r < 0)
		return r;
	lines += open;
	l->skip = lines > l->o.tail ? lines - l->o.tail : 0;
	for (int i = 0; i < STREAMS; i++)
		log_stream_rewind(&l->streams[i]);
	return 0;
}

/* What is left of the record behind the lines to be passed over. */
static size_t skip_lines(struct msb_logs *l, const struct reclog_record *rec)
{
	const uint8_t *p = rec->data, *end = p + rec->len;

	while (l->skip > 0 && p < end) {
		p = memchr(p, '\n', (size_t)(end - p));
		if (!p)
			return 0;
		p++;
		l->skip--;
	}
	return (size_t)(end - p);
}

/* ---- following -------------------------------------------------------- */

static int set_timer(const struct msb_logs *l)
{
	long ms = l->over_ns ? LINGER_MS : l->inotify < 0 ? LOOK_MS : CHECK_MS;
	struct timespec ts = {.tv_sec = ms / 1000,
	                      .tv_nsec = ms % 1000 * (long)NS_PER_MS};
	struct itimerspec its = {.it_interval = ts, .it_value = ts};

	return timerfd_settime(l->timer, 0, &its, NULL) < 0 ? -errno : 0;
}

static void watch(struct msb_logs *l, int fd, uint32_t mask)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (l->inotify < 0 || inotify_add_watch(l->inotify, path, mask) >= 0)
		return;
	close_fd(&l->inotify); /* the timer does it */
	(void)set_timer(l);
}

/*
 * Watch the files that the streams have open (twice is fine). True when there
 * are new ones: what was written before they were watched is to be read first.
 */
static bool watch_files(struct msb_logs *l)
{
	unsigned found = 0;

	for (int i = 0; i < STREAMS; i++)
		found += l->streams[i].found;
	if (found == l->watched)
		return false;
	l->watched = found;
	for (int i = 0; i < STREAMS; i++)
		for (unsigned k = 0; k < l->streams[i].nfiles; k++)
			watch(l, l->streams[i].files[k].fd, IN_MODIFY);
	return true;
}

static int follow_begin(struct msb_logs *l)
{
	struct epoll_event ev = {.events = EPOLLIN};

	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->epfd < 0 || l->timer < 0 ||
	    epoll_ctl(l->epfd, EPOLL_CTL_ADD, l->timer, &ev) < 0)
		return -errno;
	l->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	watch(l, l->place.dir_fd,
	      IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE);
	if (l->inotify >= 0 &&
	    epoll_ctl(l->epfd, EPOLL_CTL_ADD, l->inotify, &ev) < 0)
		return -errno;
	/* Of one that does not run there is nothing more to wait for. */
	if (!place_is_locked(&l->place))
		l->over_ns = 1;
	return set_timer(l);
}

/* Take notice of all that made the descriptor readable. */
static void follow_drain(struct msb_logs *l)
{
	_Alignas(struct inotify_event) char events[4096];
	uint64_t expired;
	ssize_t n = 0;

	if (read(l->timer, &expired, sizeof(expired)) > 0)
		l->check = true;
	while (l->inotify >= 0 &&
	       (n = read(l->inotify, events, sizeof(events))) > 0) {
		const struct inotify_event *e;

		for (char *p = events; p < events + n;
		     p += sizeof(*e) + e->len) {
			e = (const struct inotify_event *)(void *)p;
			/* The folder's are about names: of the lock, too. */
			l->check |= e->len > 0;
		}
	}
}

/* All has been read. Whether there will be nothing more. */
static bool is_over(struct msb_logs *l)
{
	uint64_t now = clock_now_ns();
	bool was_over = l->over_ns != 0;

	if (l->o.until_ms &&
	    (int64_t)(clock_unix_ns() / NS_PER_MS) > l->o.until_ms)
		return true;
	if (!l->check && !was_over)
		return false;
	l->check = false;
	if (place_is_locked(&l->place))
		l->over_ns = 0;
	else if (!was_over)
		l->over_ns = now;
	if (was_over != (l->over_ns != 0))
		(void)set_timer(l);
	return l->over_ns && now - l->over_ns >= LINGER_MS * NS_PER_MS;
}

/* ---- the public calls ------------------------------------------------- */

static int find_place(struct msb_home *home, const char *name,
                      struct place *ret, struct err *err)
{
	struct state_sandbox cleanup_state_sandbox b = {0};
	struct state *state;
	int r = home_lock(home, &state, err);

	if (r < 0)
		return r;
	r = state_get(state, name, &b, err);
	home_unlock(home);
	return r < 0 ? r : place_open(home->store, b.id, ret, err);
}

static int check_opts(struct msb_log_opts *o, struct err *err)
{
	if (o->sources == 0)
		o->sources = MSB_LOG_COMMANDS;
	if (o->sources & ~(uint32_t)MSB_LOG_ALL)
		return err_set(err, -EINVAL, "log sources: unknown bits");
	if (o->since_ms < 0 || o->until_ms < 0)
		return err_set(err, -EINVAL, "log times: before 1970");
	return 0;
}

static int logs_begin(struct msb_logs *l)
{
	int r = log_stream_init(&l->streams[0], l->place.dir_fd, "vm.log",
	                        true);

	if (r == 0)
		r = log_stream_init(&l->streams[1], l->place.dir_fd, "exec.log",
		                    false);
	if (r == 0 && l->o.follow)
		r = follow_begin(l);
	return r < 0 ? r : find_tail(l);
}

int msb_logs_open(struct msb_home *home, const char *name,
                  const struct msb_log_opts *opts, struct msb_logs **ret_logs,
                  struct msb_error *error)
{
	struct msb_log_opts o = MSB_LOG_OPTS_INIT;
	struct msb_logs *l;
	struct err err = {0};
	int r;

	if (!name || !options_take(&o, sizeof(o), opts))
		return error_set(error, -EINVAL, "msb_log_opts: wrong size");
	l = calloc(1, sizeof(*l));
	if (!l)
		return error_return(error, -ENOMEM, NULL);
	l->o = o;
	l->place = (struct place)PLACE_INIT;
	l->epfd = l->inotify = l->timer = -1;
	r = check_opts(&l->o, &err);
	if (r == 0)
		r = find_place(home, name, &l->place, &err);
	if (r == 0)
		r = logs_begin(l);
	if (r < 0) {
		msb_logs_free(l);
		return error_return(error, r, &err);
	}
	*ret_logs = l;
	return 0;
}

void msb_logs_free(struct msb_logs *l)
{
	if (!l)
		return;
	for (int i = 0; i < STREAMS; i++)
		log_stream_release(&l->streams[i]);
	close_fd(&l->inotify);
	close_fd(&l->timer);
	close_fd(&l->epfd);
	place_release(&l->place);
	free(l);
}

int msb_logs_fd(const struct msb_logs *l)
{
	return l->epfd;
}

int msb_logs_ended(const struct msb_logs *l)
{
	return l->ended;
}

static void give(const struct reclog_record *rec, size_t left,
                 struct msb_log_entry *ret)
{
	struct msb_log_entry e = {
		.unix_ms = rec->unix_ms,
		.session = rec->session,
		.source = (int32_t)rec->source,
		.data = rec->data + (rec->len - left),
		.len = left,
	};

	options_give(ret, &e, sizeof(e));
}

/* What is there now: 1, 0. */
static int step(struct msb_logs *l, struct msb_log_entry *ret)
{
	const struct reclog_record *rec;
	int r;

	do {
		while ((r = next_wanted(l, &rec)) > 0) {
			size_t left = skip_lines(l, rec);

			if (left == 0)
				continue;
			give(rec, left, ret);
			return 1;
		}
	} while (r == 0 && l->o.follow && watch_files(l));
	if (r == 0)
		l->ended = !l->o.follow || is_over(l);
	return r;
}

int msb_logs_next(struct msb_logs *l, int timeout_ms,
                  struct msb_log_entry *ret_entry, struct msb_error *error)
{
	uint64_t end =
		clock_now_ns() + (uint64_t)MAX(timeout_ms, 0) * NS_PER_MS;

	for (;;) {
		struct pollfd pf = {.fd = l->epfd, .events = POLLIN};
		uint64_t now;
		int ms = -1, r;

		if (l->ended)
			return 0;
		r = step(l, ret_entry);
		if (r < 0)
			return error_return(error, r, NULL);
		if (r > 0 || l->ended)
			return r;
		now = timeout_ms > 0 ? clock_now_ns() : end;
		if (timeout_ms >= 0 && now >= end)
			ms = 0;
		else if (timeout_ms > 0)
			ms = (int)((end - now) / NS_PER_MS) + 1;
		r = cancel_poll(&pf, 1, ms);
		if (r == -ECANCELED)
			return error_return(error, r, NULL);
		if (r > 0)
			follow_drain(l);
		else if (ms == 0)
			return 0;
	}
}
