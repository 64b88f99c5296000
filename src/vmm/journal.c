#include "vmm/journal.h"

#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"

#include "base/banned.h"

#define MARK_MAX 512

static void put(struct journal *j, enum reclog_source source, uint64_t session,
                const void *data, size_t len)
{
	int r = j->loop ? reclog_pair_write(&j->pair, source, session, data,
	                                    len)
	                : 0;

	if (r < 0)
		log_limited(LOG_WARN, "cannot write the log: %s", strerror(-r));
}

void journal_flush(struct journal *j)
{
	if (!j->loop)
		return;
	loop_timer_del(j->loop, &j->pause);
	if (j->len)
		put(j, RECLOG_CONSOLE, 0, j->lines, j->len);
	j->len = 0;
}

static void on_pause(void *arg)
{
	journal_flush(arg);
}

/* What ends in the middle of a line waits for the rest of it. */
static void write_lines(struct journal *j)
{
	const uint8_t *nl = memrchr(j->lines, '\n', j->len);
	size_t whole = nl ? (size_t)(nl - j->lines) + 1 : 0;

	if (!whole)
		return;
	put(j, RECLOG_CONSOLE, 0, j->lines, whole);
	j->len -= whole;
	memmove(j->lines, j->lines + whole, j->len);
}

void journal_console(struct journal *j, const void *data, size_t len)
{
	const uint8_t *p = data;

	if (!j->loop)
		return;
	while (len) {
		size_t part = MIN(len, JOURNAL_LINES_MAX - j->len);

		memcpy(j->lines + j->len, p, part);
		j->len += part;
		p += part;
		len -= part;
		if (j->len == JOURNAL_LINES_MAX)
			write_lines(j);
		if (j->len == JOURNAL_LINES_MAX) /* one long line */
			journal_flush(j);
	}
	write_lines(j);
	if (j->len)
		loop_timer_set(j->loop, &j->pause,
		               clock_now_ns() + JOURNAL_PAUSE_NS, on_pause, j);
	else
		loop_timer_del(j->loop, &j->pause);
}

void journal_output(struct journal *j, enum reclog_source source,
                    uint64_t session, const void *data, size_t len)
{
	put(j, source, session, data, len);
}

void journal_mark(struct journal *j, uint64_t session, const char *fmt, ...)
{
	char line[MARK_MAX];
	va_list ap;
	int n;

	journal_flush(j); /* what came before stands before */
	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	n = (int)MIN((size_t)n, sizeof(line) - 2);
	line[n] = '\n';
	put(j, RECLOG_SYSTEM, session, line, (size_t)n + 1);
}

int journal_init(struct journal *j, struct loop *l, const int fds[2],
                 struct err *err)
{
	int r;

	if (fds[0] < 0 || fds[1] < 0)
		return 0;
	r = reclog_pair_init(&j->pair, fds);
	if (r < 0)
		return err_set(err, r, "cannot use the log's files: %s",
		               strerror(-r));
	j->loop = l;
	return 0;
}

void journal_release(struct journal *j)
{
	journal_flush(j);
	j->loop = NULL;
}
