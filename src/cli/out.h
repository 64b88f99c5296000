/*
 * out.h - what people and programs read.
 *
 * Data goes to stdout, words about it to stderr. Text that comes from outside
 * (names, messages, consoles) is escaped here, so callers pass it as it is.
 * Colours only on a terminal, never with NO_COLOR.
 */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"
#include "microsandbox.h"

enum out_colour {
	OUT_PLAIN,
	OUT_BOLD,
	OUT_RED,
	OUT_GREEN,
	OUT_YELLOW,
	OUT_DIM
};

/* The sequence that begins it on @fd, or "". OUT_PLAIN ends it. */
const char *out_colour(int fd, enum out_colour c);

/* "error: MESSAGE" and "  → HINT". */
void out_error(const struct msb_error *e);
void out_err(const struct err *e);
void out_errorf(const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* "   ✓ VERB         TEXT" to stderr. */
void out_done(const char *verb, const char *text);

/* Whether somebody at a terminal says yes to "QUESTION [y/N]"; no without. */
bool out_confirm(const char *question);

/* A line to stderr, plain, escaped. */
void out_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* "warn: TEXT" of each, to stderr. */
void out_warnings(const struct strv *texts);

/* The end of a guest's console, escaped, to stderr. */
void out_console(const char *text);

/* A line to stdout, escaped. */
void out_line(const char *text);

/*
 * A table: cells row by row, the first row is the head. Columns are aligned
 * left; to stdout.
 */
void out_table(const struct strv *cells, size_t columns);

/* Indented, with a newline, to stdout. Steals @j; NULL prints an error. */
int out_json(json_t *j);

/* Local "2026-01-31 12:00:00", or "-" for 0. @out: 32 bytes. */
const char *out_time(int64_t unix_s, char *out);

/* Flush stdout: EXIT_OK, or EXIT_FAILED with a message. */
int out_finish(int code);

#endif
