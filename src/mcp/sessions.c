#include "mcp/sessions.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "mcp/fail.h"
#include "mcp/text.h"
#include "mcp/tool.h"

#include "base/banned.h"

#define SLICE_MS 100u /* between looks at whether a call was cancelled */
#define POLL_MS  1000 /* between looks at how old they are */
#define ROUNDS   64   /* events of one command before the next's turn */
#define STREAMS  2

struct piece {
	struct piece *next;
	uint64_t number;
	int64_t unix_ms;
	int32_t kind; /* MSB_EXEC_STDOUT, MSB_EXEC_STDERR */
	size_t len;
	uint8_t data[];
};

/* Bytes at the end of what came that are no whole character yet. */
struct open_end {
	uint8_t data[4];
	size_t len;
};

struct session {
	struct session *next;
	char id[SESSION_ID_LEN + 1];
	char *sandbox;
	struct msb_exec *exec; /* NULL once it has ended */
	uint64_t used_ns;
	unsigned users; /* calls that are at it, without the lock */
	bool closed;

	struct piece *first, *last;
	uint64_t next_number, dropped;
	size_t bytes;
	struct open_end open[STREAMS];

	uint32_t pid;
	bool ended;
	int32_t code, signal;     /* code -1: none */
	struct msb_error failure; /* code 0: none */
};

struct sessions {
	pthread_mutex_t lock; /* of all */
	pthread_cond_t changed;
	pthread_t thread;
	bool runs, ending;
	int wake;
	uint64_t ttl_ns;
	struct session *first;
	unsigned n;
};

/* ---- pieces -------------------------------------------------------------- */

static void drop_oldest(struct session *x)
{
	struct piece *p = x->first;

	x->first = p->next;
	if (!x->first)
		x->last = NULL;
	x->bytes -= p->len;
	x->dropped += p->len;
	free(p);
}

static void add_piece(struct session *x, int32_t kind, const uint8_t *data,
                      size_t len)
{
	struct piece *p = malloc(sizeof(*p) + len);

	if (!p) {
		x->dropped += len;
		return;
	}
	*p = (struct piece){.number = x->next_number++,
	                    .unix_ms = (int64_t)(clock_unix_ns() / NS_PER_MS),
	                    .kind = kind,
	                    .len = len};
	memcpy(p->data, data, len);
	if (x->last)
		x->last->next = p;
	else
		x->first = p;
	x->last = p;
	x->bytes += len;
	while (x->bytes > SESSION_BYTES_MAX)
		drop_oldest(x);
}

/* No piece ends within a character, unless the stream does. */
static void add_output(struct session *x, int32_t kind, const void *data,
                       size_t len, bool last)
{
	struct open_end *o = &x->open[kind == MSB_EXEC_STDERR];
	const uint8_t *p = data;
	uint8_t block[SESSION_PIECE_MAX];

	while (len || (last && o->len)) {
		size_t n = MIN(len, sizeof(block) - o->len), all, hold;

		memcpy(block, o->data, o->len);
		if (n)
			memcpy(block + o->len, p, n);
		all = o->len + n;
		hold = last && n == len ? 0 : text_open_end(block, all);
		if (all > hold)
			add_piece(x, kind, block, all - hold);
		memcpy(o->data, block + all - hold, hold);
		o->len = hold;
		p += n;
		len -= n;
		if (!n)
			break;
	}
}

/* ---- events -------------------------------------------------------------- */

static void finish(struct session *x)
{
	add_output(x, MSB_EXEC_STDOUT, NULL, 0, true);
	add_output(x, MSB_EXEC_STDERR, NULL, 0, true);
	x->ended = true;
	msb_exec_free(x->exec);
	x->exec = NULL;
}

static void on_failed(struct session *x, const struct msb_exec_event *ev)
{
	(void)tool_fail(&x->failure, MSB_ERR_EXEC, "%s", ev->message);
	x->failure.sys_errno = ev->error_no;
	finish(x);
}

static void on_event(struct session *x, const struct msb_exec_event *ev)
{
	switch (ev->kind) {
	case MSB_EXEC_STARTED:
		x->pid = ev->pid;
		break;
	case MSB_EXEC_STDOUT:
	case MSB_EXEC_STDERR:
		add_output(x, ev->kind, ev->data, ev->len, false);
		break;
	case MSB_EXEC_EXITED:
		x->code = ev->signal ? 128 + ev->signal : ev->code;
		x->signal = ev->signal;
		finish(x);
		break;
	case MSB_EXEC_FAILED:
		on_failed(x, ev);
		break;
	default:
		break;
	}
}

/*
 * Bounded, so that one that floods does not keep the others waiting. True:
 * there is more, which the descriptor need not say.
 */
static bool feed(struct session *x)
{
	for (int i = 0; i < ROUNDS && x->exec; i++) {
		struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
		int r = msb_exec_next(x->exec, 0, &ev, &x->failure);

		if (r == 0)
			return false;
		if (r < 0)
			finish(x);
		else
			on_event(x, &ev);
	}
	return x->exec != NULL;
}

/* ---- the list ------------------------------------------------------------ */

static void session_free(struct session *x)
{
	while (x->first)
		drop_oldest(x);
	msb_exec_free(x->exec);
	free(x->sandbox);
	free(x);
}

/* With the lock: out of the list, freed by the last who is at it. */
static void remove_one(struct sessions *s, struct session *x)
{
	struct session **at = &s->first;

	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
	s->n--;
	x->closed = true;
	msb_exec_free(x->exec);
	x->exec = NULL;
	x->ended = true;
	(void)pthread_cond_broadcast(&s->changed);
	if (!x->users)
		session_free(x);
}

static void wake(struct sessions *s)
{
	uint64_t one = 1;

	while (write(s->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void remove_old(struct sessions *s)
{
	uint64_t now = clock_now_ns();

	for (struct session *x = s->first, *next; x; x = next) {
		next = x->next;
		if (!x->users && now - x->used_ns > s->ttl_ns)
			remove_one(s, x);
	}
}

/* With the lock; fills @fds with what is to be waited for. */
static nfds_t gather(struct sessions *s, struct pollfd *fds)
{
	nfds_t n = 1;

	fds[0] = (struct pollfd){.fd = s->wake, .events = POLLIN};
	for (struct session *x = s->first; x; x = x->next)
		if (x->exec)
			fds[n++] = (struct pollfd){.fd = msb_exec_fd(x->exec),
			                           .events = POLLIN};
	return n;
}

static void *feed_all(void *arg)
{
	struct sessions *s = arg;
	struct pollfd fds[SESSIONS_MAX + 1];
	uint64_t count;
	bool more = false;

	(void)pthread_mutex_lock(&s->lock);
	while (!s->ending) {
		nfds_t n = gather(s, fds);

		(void)pthread_mutex_unlock(&s->lock);
		(void)poll(fds, n, more ? 0 : POLL_MS);
		(void)!read(s->wake, &count, sizeof(count));
		(void)pthread_mutex_lock(&s->lock);
		more = false;
		for (struct session *x = s->first; x; x = x->next)
			more |= feed(x);
		(void)pthread_cond_broadcast(&s->changed);
		remove_old(s);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

struct sessions *sessions_new(uint64_t ttl_ms)
{
	struct sessions *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;

	if (!s)
		return NULL;
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake < 0) {
		free(s);
		return NULL;
	}
	s->ttl_ns = ttl_ms * NS_PER_MS;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	return s;
}

void sessions_free(struct sessions *s)
{
	if (!s)
		return;
	(void)pthread_mutex_lock(&s->lock);
	s->ending = true;
	(void)pthread_mutex_unlock(&s->lock);
	wake(s);
	if (s->runs)
		(void)pthread_join(s->thread, NULL);
	while (s->first)
		remove_one(s, s->first);
	(void)close(s->wake);
	(void)pthread_cond_destroy(&s->changed);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

/* With the lock. */
static bool ensure_thread(struct sessions *s)
{
	if (!s->runs)
		s->runs = pthread_create(&s->thread, NULL, feed_all, s) == 0;
	return s->runs;
}

static bool make_id(char *id)
{
	uint8_t random[SESSION_ID_LEN / 2];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return false;
	for (size_t i = 0; i < sizeof(random); i++)
		(void)snprintf(id + 2 * i, 3, "%02x", random[i]);
	return true;
}

static int too_many(struct msb_error *error)
{
	(void)tool_fail(error, MSB_ERR_BUSY,
	                "%u commands run in the background", SESSIONS_MAX);
	return tool_hint(error, "close some with sandbox_exec_close");
}

int sessions_add(struct sessions *s, struct msb_exec *exec, const char *sandbox,
                 char *ret_id, struct msb_error *error)
{
	struct session *x = calloc(1, sizeof(*x));
	bool full, runs = false;

	if (!x || !make_id(x->id) || !(x->sandbox = strdup(sandbox))) {
		free(x);
		msb_exec_free(exec);
		return tool_no_memory(error);
	}
	x->exec = exec;
	x->code = -1;
	x->used_ns = clock_now_ns();
	(void)pthread_mutex_lock(&s->lock);
	full = s->n >= SESSIONS_MAX;
	if (!full)
		runs = ensure_thread(s);
	if (runs) {
		memcpy(ret_id, x->id, sizeof(x->id));
		x->next = s->first;
		s->first = x;
		s->n++;
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (runs) {
		wake(s);
		return 0;
	}
	session_free(x);
	return full ? too_many(error) : tool_no_memory(error);
}

/* With the lock. */
static struct session *find(struct sessions *s, const char *id,
                            struct msb_error *error)
{
	for (struct session *x = s->first; x; x = x->next) {
		if (strcmp(x->id, id) != 0)
			continue;
		x->used_ns = clock_now_ns();
		return x;
	}
	(void)tool_fail(error, MSB_ERR_NOT_FOUND, "no such background command");
	(void)tool_hint(error, "sandbox_exec_start gives an execSessionId, "
	                       "which is forgotten when it was closed, or not "
	                       "asked for too long");
	return NULL;
}

static void wait_a_little(struct sessions *s)
{
	uint64_t end = clock_now_ns() + SLICE_MS * NS_PER_MS;
	struct timespec ts = {.tv_sec = (time_t)(end / NS_PER_S),
	                      .tv_nsec = (long)(end % NS_PER_S)};

	(void)pthread_cond_timedwait(&s->changed, &s->lock, &ts);
}

/* ---- poll ---------------------------------------------------------------- */

static json_t *piece_json(const struct piece *p, const char *encoding)
{
	return json_pack("{s:I, s:s, s:I, s:o}", "cursor",
	                 (json_int_t)p->number, "stream",
	                 p->kind == MSB_EXEC_STDERR ? "stderr" : "stdout",
	                 "timeMs", (json_int_t)p->unix_ms, "data",
	                 text_encoded(p->data, p->len, encoding));
}

static json_t *or_null(bool set, int64_t n)
{
	return set ? json_integer((json_int_t)n) : json_null();
}

static const char *status_of(const struct session *x)
{
	if (x->failure.code)
		return "failed";
	return x->ended ? "exited" : "running";
}

static json_t *error_json(const struct session *x)
{
	if (!x->failure.code)
		return json_null();
	return json_pack("{s:s, s:o, s:o}", "code",
	                 msb_code_name(x->failure.code), "message",
	                 text_json_str(x->failure.message), "hint",
	                 text_json_str(x->failure.hint));
}

static json_t *state_json(const struct session *x)
{
	return json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:o}", "execSessionId",
	                 x->id, "name", text_json_str(x->sandbox), "status",
	                 status_of(x), "pid", or_null(x->pid, x->pid),
	                 "exitCode", or_null(x->code >= 0, x->code), "signal",
	                 or_null(x->signal, x->signal), "error", error_json(x));
}

/* The pieces from the cursor on, as many as may be. */
static json_t *pieces_json(const struct session *x,
                           const struct session_poll *p, uint64_t *ret_next,
                           bool *ret_more)
{
	json_t *list = json_array();
	size_t n = 0, bytes = 0;
	uint64_t next = p->cursor;

	*ret_more = false;
	for (const struct piece *k = x->first; k; k = k->next) {
		if (k->number < p->cursor)
			continue;
		if (n && (n >= p->limit || bytes + k->len > p->max_bytes)) {
			*ret_more = true;
			break;
		}
		(void)json_array_append_new(list, piece_json(k, p->encoding));
		n++;
		bytes += k->len;
		next = k->number + 1;
	}
	*ret_next = next;
	return list;
}

static bool has_news(const struct session *x, uint64_t cursor)
{
	return x->ended || (x->last && x->last->number >= cursor);
}

/* With the lock. */
static json_t *poll_json(const struct session *x, const struct session_poll *p)
{
	uint64_t oldest = x->first ? x->first->number : x->next_number, next;
	bool more;
	json_t *o = state_json(x), *list = pieces_json(x, p, &next, &more);

	(void)json_object_set_new(o, "events", list);
	(void)json_object_set_new(o, "nextCursor",
	                          json_integer((json_int_t)next));
	(void)json_object_set_new(o, "more", json_boolean(more));
	(void)json_object_set_new(o, "missed",
	                          json_boolean(p->cursor < oldest));
	(void)json_object_set_new(o, "droppedBytes",
	                          json_integer((json_int_t)x->dropped));
	return o;
}

int sessions_poll(struct sessions *s, struct mcp_call *c, const char *id,
                  const struct session_poll *p, json_t **ret,
                  struct msb_error *error)
{
	uint64_t end = clock_now_ns() + p->wait_ms * NS_PER_MS;
	struct session *x;
	int r = 0;

	(void)pthread_mutex_lock(&s->lock);
	x = find(s, id, error);
	if (x) {
		x->users++;
		while (!has_news(x, p->cursor) && clock_now_ns() < end &&
		       !tool_cancelled(c))
			wait_a_little(s);
		*ret = poll_json(x, p);
		x->used_ns = clock_now_ns();
		if (--x->users == 0 && x->closed)
			session_free(x);
	} else {
		r = -error->code;
	}
	(void)pthread_mutex_unlock(&s->lock);
	return r;
}

/* ---- input, signals, the end --------------------------------------------- */

static int has_ended(struct msb_error *error)
{
	return tool_fail(error, MSB_ERR_GONE, "the command has ended");
}

/* With the lock: as much as the command takes. */
static int write_some(struct session *x, const uint8_t *data, size_t len,
                      size_t *taken, struct msb_error *error)
{
	while (*taken < len) {
		int64_t n;

		if (!x->exec)
			return has_ended(error);
		n = msb_exec_write(x->exec, data + *taken, len - *taken, error);
		if (n <= 0)
			return (int)n;
		*taken += (size_t)n;
	}
	return 0;
}

static int write_all(struct sessions *s, struct mcp_call *c, struct session *x,
                     const void *data, size_t len, uint64_t end, size_t *taken,
                     struct msb_error *error)
{
	int r;

	for (;;) {
		r = write_some(x, data, len, taken, error);
		if (r < 0 || *taken == len)
			return r;
		if (tool_cancelled(c))
			return tool_was_cancelled(error);
		if (clock_now_ns() > end)
			return tool_fail(
				error, MSB_ERR_TIMEOUT,
				"the command has taken %zu of %zu bytes",
				*taken, len);
		wait_a_little(s);
	}
}

int sessions_write(struct sessions *s, struct mcp_call *c, const char *id,
                   const void *data, size_t len, int close, uint64_t timeout_ms,
                   size_t *ret_taken, struct msb_error *error)
{
	uint64_t end = clock_now_ns() + timeout_ms * NS_PER_MS;
	struct session *x;
	int r;

	*ret_taken = 0;
	(void)pthread_mutex_lock(&s->lock);
	x = find(s, id, error);
	if (!x) {
		(void)pthread_mutex_unlock(&s->lock);
		return -error->code;
	}
	x->users++;
	r = x->exec ? write_all(s, c, x, data, len, end, ret_taken, error)
	            : has_ended(error);
	if (r == 0 && close && x->exec)
		r = msb_exec_close_stdin(x->exec, error);
	if (--x->users == 0 && x->closed)
		session_free(x);
	(void)pthread_mutex_unlock(&s->lock);
	wake(s);
	return r;
}

int sessions_signal(struct sessions *s, const char *id, int number,
                    struct msb_error *error)
{
	struct session *x;
	int r;

	(void)pthread_mutex_lock(&s->lock);
	x = find(s, id, error);
	if (!x)
		r = -error->code;
	else if (!x->exec)
		r = has_ended(error);
	else
		r = msb_exec_signal(x->exec, number, error);
	(void)pthread_mutex_unlock(&s->lock);
	return r;
}

int sessions_close(struct sessions *s, const char *id, json_t **ret,
                   struct msb_error *error)
{
	struct session *x;
	int r = 0;

	(void)pthread_mutex_lock(&s->lock);
	x = find(s, id, error);
	if (x) {
		*ret = state_json(x);
		remove_one(s, x);
	} else {
		r = -error->code;
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (r == 0)
		wake(s);
	return r;
}

json_t *sessions_list(struct sessions *s)
{
	json_t *list = json_array();

	(void)pthread_mutex_lock(&s->lock);
	for (struct session *x = s->first; x; x = x->next)
		(void)json_array_append_new(list, state_json(x));
	(void)pthread_mutex_unlock(&s->lock);
	return list;
}
