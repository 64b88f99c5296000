#include "mcp/lines.h"

#include <errno.h>
#include <string.h>

#include "base/banned.h"

static void give(struct lines *l, const char *line, size_t len, lines_fn fn,
                 void *arg)
{
	if (len && line[len - 1] == '\r')
		len--;
	if (len > l->max)
		fn(arg, NULL, 0);
	else if (len)
		fn(arg, line, len);
}

/* What is left of a line whose end has not come. */
static int keep(struct lines *l, const char *data, size_t len, lines_fn fn,
                void *arg)
{
	int r;

	if (l->skipping || !len)
		return 0;
	r = buf_add(&l->buf, data, len);
	if (r != -E2BIG)
		return r;
	l->skipping = true;
	buf_release(&l->buf);
	l->buf = (struct buf)BUF_INIT_MAX(l->max + 1);
	fn(arg, NULL, 0);
	return 0;
}

int lines_feed(struct lines *l, const char *data, size_t len, lines_fn fn,
               void *arg)
{
	const char *end;
	int r = 0;

	while (r == 0 && (end = memchr(data, '\n', len)) != NULL) {
		size_t n = (size_t)(end - data);

		if (!l->skipping && !l->buf.len) {
			give(l, data, n, fn, arg);
		} else if (!l->skipping) {
			r = keep(l, data, n, fn, arg);
			if (r == 0 && !l->skipping)
				give(l, buf_str(&l->buf), l->buf.len, fn, arg);
			buf_reset(&l->buf);
		}
		l->skipping = false;
		data += n + 1;
		len -= n + 1;
	}
	return r == 0 ? keep(l, data, len, fn, arg) : r;
}

void lines_end(struct lines *l, lines_fn fn, void *arg)
{
	if (!l->skipping && l->buf.len)
		give(l, buf_str(&l->buf), l->buf.len, fn, arg);
	buf_reset(&l->buf);
	l->skipping = false;
}

void lines_release(struct lines *l)
{
	buf_release(&l->buf);
}
