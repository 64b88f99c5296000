/*
 * lines.h - a stream cut into lines of a bounded length. One that is longer is
 * skipped to its end and reported once, so that the next is read rightly.
 */
#ifndef MCP_LINES_H
#define MCP_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct lines {
	struct buf buf;
	size_t max;
	bool skipping;
};

#define LINES_INIT(m)                                                          \
	{                                                                      \
		.buf = BUF_INIT_MAX((m) + 1), .max = (m)                       \
	}

/* @line is NULL for one that was too long; without its newline, not empty. */
typedef void (*lines_fn)(void *arg, const char *line, size_t len);

/* 0 or -ENOMEM. */
int lines_feed(struct lines *l, const char *data, size_t len, lines_fn fn,
               void *arg);
/* The stream has ended: what has no newline is a line, too. */
void lines_end(struct lines *l, lines_fn fn, void *arg);
void lines_release(struct lines *l);

#endif
