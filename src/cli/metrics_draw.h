/*
 * metrics_draw.h - what pictures of metrics are made of: lines that never get
 * wider, nor more, than the screen; bars, sparklines, and numbers as words.
 */
#ifndef CLI_METRICS_DRAW_H
#define CLI_METRICS_DRAW_H

#include "base/buf.h"
#include "cli/metrics_model.h"
#include "cli/metrics_view.h"

enum draw_colour {
	DRAW_PLAIN,
	DRAW_DIM,
	DRAW_BOLD,
	DRAW_GREEN,
	DRAW_YELLOW,
	DRAW_RED,
	DRAW_CYAN
};

struct line {
	struct buf *out;
	const struct metrics_style *style;
	unsigned col, max; /* columns used, and that may be used */
	unsigned rows;     /* lines that may still be written */
};

struct line draw_begin(struct buf *out, const struct metrics_style *style);
void draw_end(struct line *l); /* the line, not the picture */

/* As many characters of @s as fit. */
void draw(struct line *l, const char *s);
void draw_in(struct line *l, enum draw_colour c, const char *s);
void draw_spaces(struct line *l, unsigned n);

/* In @width columns, at their left or right side; cut when it is longer. */
void draw_cell(struct line *l, enum draw_colour c, const char *s,
               unsigned width, bool right);

/* "[###  ]": @width columns and the brackets; @part is 0 to 1. */
void draw_bar(struct line *l, double part, unsigned width);

/* @max 0: as high as the highest that is shown. */
void draw_spark(struct line *l, const struct metrics_row *row,
                enum metrics_series series, double max, unsigned width);

unsigned draw_width(const char *s);         /* in columns */
double draw_part(double value, double max); /* 0 to 1 */

/* Numbers of a row, "-" where they are not known; @out: METRICS_TEXT_MAX. */
const char *metrics_size(double bytes, char *out);
const char *metrics_cpu(const struct metrics_row *row, char *out);
const char *metrics_memory(const struct metrics_row *row, char *out);
const char *metrics_limit(const struct metrics_row *row, char *out);
const char *metrics_uptime(const struct metrics_row *row, char *out);

/* "1.0 KiB / 0 B": the rate of @first and of the next series. */
const char *metrics_pair(const struct metrics_row *row,
                         enum metrics_series first, char *out, size_t len);

bool metrics_has_rates(const struct metrics_row *row);
bool metrics_has_counters(const struct metrics_row *row);
double metrics_cpu_limit(const struct metrics_row *row); /* percent */
enum draw_colour metrics_colour(const struct metrics_row *row);

#endif
