/*
 * log_lines.h - pieces of output joined to lines, for each command and source
 * by itself.
 *
 * Memory is bounded whatever comes: of a long line LOG_LINE_MAX bytes are
 * given out at a time, and of more than LOG_LINES_OPEN lines without an end
 * the one that waits longest. A line whose end does not come for LOG_IDLE_MS
 * while others write is given out as far as it is, so that a prompt is seen
 * where it was printed.
 */
#ifndef CLI_LOG_LINES_H
#define CLI_LOG_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "microsandbox.h"

#define LOG_LINE_MAX   (64u << 10)
#define LOG_LINES_OPEN 64
#define LOG_IDLE_MS    200

/* A line, or a part of one. */
struct log_piece {
	int64_t unix_ms; /* of its first byte */
	uint64_t session;
	int32_t source;
	const char *data; /* without the newline */
	size_t len;
	bool begins, ends; /* a line; it ends where there was a newline */
};

struct log_line {
	uint64_t session;
	int32_t source;
	int64_t first_ms, last_ms;
	bool begun; /* some of it was given out */
	struct buf text;
};

struct log_lines {
	struct log_line open[LOG_LINES_OPEN]; /* oldest last_ms first */
	size_t n;
	void (*give)(void *arg, const struct log_piece *piece);
	void *arg;
};

void log_lines_add(struct log_lines *l, const struct msb_log_entry *e);

/* The command has ended: so do its lines. */
void log_lines_close(struct log_lines *l, uint64_t session);

/* What waits for its end. A character that is not whole yet stays. */
void log_lines_flush(struct log_lines *l);

/* The same with all; releases the memory. */
void log_lines_end(struct log_lines *l);

#endif
