#include "cli/log_lines.h"

#include <string.h>

#include "base/num.h"

#include "base/banned.h"

/* How many bytes at the end are the beginning of a longer UTF-8 character. */
static size_t cut_character(const uint8_t *p, size_t len)
{
	for (size_t n = 1; n <= 3 && n <= len; n++) {
		uint8_t c = p[len - n];
		size_t need = c < 0xc0 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

		if (need > n)
			return n;
		if ((c & 0xc0) != 0x80)
			return 0;
	}
	return 0;
}

static void give(struct log_lines *l, struct log_line *line, const void *data,
                 size_t len, bool ends)
{
	struct log_piece piece = {
		.unix_ms = line->first_ms,
		.session = line->session,
		.source = line->source,
		.data = len ? data : "",
		.len = len,
		.begins = !line->begun,
		.ends = ends,
	};

	l->give(l->arg, &piece);
	line->begun = !ends;
}

static void drop(struct log_lines *l, size_t i)
{
	buf_release(&l->open[i].text);
	l->n--;
	memmove(l->open + i, l->open + i + 1, (l->n - i) * sizeof(l->open[0]));
}

/* Give out what the line has; it stays open only for half a character. */
static void give_part(struct log_lines *l, size_t i, bool all)
{
	struct log_line *line = &l->open[i];
	size_t keep = all ? 0 : cut_character(line->text.data, line->text.len);

	if (line->text.len > keep)
		give(l, line, line->text.data, line->text.len - keep, false);
	buf_consume(&line->text, line->text.len - keep);
}

/* Others have written since: those that wait too long are not waited for. */
static void give_idle(struct log_lines *l, const struct msb_log_entry *e)
{
	for (size_t i = 0; i < l->n;) {
		const struct log_line *line = &l->open[i];

		if (e->unix_ms - line->last_ms < LOG_IDLE_MS ||
		    (line->session == e->session &&
		     line->source == e->source)) {
			i++;
			continue;
		}
		give_part(l, i, true);
		drop(l, i);
	}
}

static bool take_open(struct log_lines *l, const struct msb_log_entry *e,
                      struct log_line *ret)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->open[i].session != e->session ||
		    l->open[i].source != e->source)
			continue;
		*ret = l->open[i];
		l->open[i].text = (struct buf){0};
		drop(l, i);
		return true;
	}
	return false;
}

/* Add to the open line, and give out what is too long of it. */
static void grow(struct log_lines *l, struct log_line *line, const char *p,
                 size_t len)
{
	while (len > 0) {
		size_t n = MIN(len, LOG_LINE_MAX - line->text.len), keep;

		if (buf_add(&line->text, p, n) < 0)
			return;
		p += n;
		len -= n;
		if (line->text.len < LOG_LINE_MAX)
			return;
		keep = cut_character(line->text.data, line->text.len);
		give(l, line, line->text.data, line->text.len - keep, false);
		buf_consume(&line->text, line->text.len - keep);
	}
}

/* All whole lines of @e, the first of which @line has the beginning of. */
static void add_lines(struct log_lines *l, struct log_line *line,
                      const struct msb_log_entry *e)
{
	const char *p = e->data, *end = p + e->len, *nl;

	while (p < end && (nl = memchr(p, '\n', (size_t)(end - p)))) {
		size_t len = (size_t)(nl - p);

		if (line->text.len == 0 && len <= LOG_LINE_MAX) {
			give(l, line, p, len, true);
		} else {
			grow(l, line, p, len);
			give(l, line, line->text.data, line->text.len, true);
			buf_reset(&line->text);
		}
		line->first_ms = e->unix_ms;
		p = nl + 1;
	}
	grow(l, line, p, (size_t)(end - p));
}

void log_lines_add(struct log_lines *l, const struct msb_log_entry *e)
{
	struct log_line line;

	give_idle(l, e);
	if (!take_open(l, e, &line))
		line = (struct log_line){.session = e->session,
		                         .source = e->source,
		                         .first_ms = e->unix_ms,
		                         .text = BUF_INIT_MAX(LOG_LINE_MAX)};
	line.last_ms = e->unix_ms;
	add_lines(l, &line, e);
	if (line.text.len == 0) {
		buf_release(&line.text);
		return;
	}
	if (l->n == LOG_LINES_OPEN) {
		give_part(l, 0, true);
		drop(l, 0);
	}
	l->open[l->n++] = line;
}

void log_lines_close(struct log_lines *l, uint64_t session)
{
	for (size_t i = 0; i < l->n;) {
		if (l->open[i].session != session) {
			i++;
			continue;
		}
		give_part(l, i, true);
		drop(l, i);
	}
}

void log_lines_flush(struct log_lines *l)
{
	for (size_t i = 0; i < l->n;) {
		give_part(l, i, false);
		if (l->open[i].text.len == 0)
			drop(l, i);
		else
			i++;
	}
}

void log_lines_end(struct log_lines *l)
{
	while (l->n > 0) {
		give_part(l, 0, true);
		drop(l, 0);
	}
}
