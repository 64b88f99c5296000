/*
 * metrics_view.h - sandboxes as a picture: pure functions from what is known
 * and the size of the screen to text.
 *
 * The text has at most `rows` lines of at most `cols` columns, each ended by a
 * newline; colours are the only escape sequences in it. Without UTF-8 it is
 * ASCII. Everything fits on any screen: what has no room is left out, the least
 * important first.
 */
#ifndef CLI_METRICS_VIEW_H
#define CLI_METRICS_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/strv.h"
#include "cli/metrics_model.h"

struct metrics_style {
	uint16_t rows, cols;
	bool utf8, colour;
	enum metrics_sort sort; /* named in the head line */
};

/* One line a sandbox: bars, a sparkline, rates. The rows as they are sorted. */
int metrics_view_all(struct buf *out, const struct metrics_model *m,
                     const struct metrics_style *style);

/* One sandbox: bars, and a sparkline of everything. @row NULL: it is gone. */
int metrics_view_one(struct buf *out, const struct metrics_row *row,
                     const struct metrics_style *style);

/* The cells of a plain table: head, then the rows. */
#define METRICS_TABLE_COLUMNS 7
int metrics_view_table(struct strv *cells, const struct metrics_model *m);

#define METRICS_TEXT_MAX 32

/* "2d 3h", "5m 20s", "7s"; returns @out. */
const char *metrics_duration(uint64_t ns, char *out);

#endif
