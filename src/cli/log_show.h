/*
 * log_show.h - lines of logs for people and programs.
 *
 * Where a terminal reads, nothing of a guest reaches it but text, and colours
 * (SGR sequences) if the terminal is to have colours; each line ends them. All
 * else is made visible. A pipe or file gets the bytes as they were written.
 */
#ifndef CLI_LOG_SHOW_H
#define CLI_LOG_SHOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "cli/log_lines.h"

struct log_show {
	bool json, timestamps, show_id, colour_sessions, raw, labels;
	bool colour[2];   /* of stdout and stderr */
	bool terminal[2]; /* the same */
	/* What was printed last. */
	FILE *last;
	bool open; /* and its line has no end yet */
	uint64_t session;
	int32_t source;
	struct buf line; /* scratch; BUF_INIT */
};

void log_show_piece(struct log_show *s, const struct log_piece *piece);

/* End what is open, write all out. */
void log_show_flush(struct log_show *s);
void log_show_release(struct log_show *s);

/* "stdout", ...; NULL for other numbers. */
const char *log_source_name(int32_t source);

/* Text from a guest as a terminal may get it; tests. */
int log_show_escape(struct buf *b, const char *text, size_t len, bool colour);

#endif
