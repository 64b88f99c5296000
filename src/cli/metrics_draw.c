#include "cli/metrics_draw.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/num.h"

#include "base/banned.h"

#define RATE_FLOOR   1024.0 /* a sparkline's full height, at least */
#define LEVEL_YELLOW 0.6
#define LEVEL_RED    0.85

static const char *const colours[] = {
	[DRAW_PLAIN] = "\033[0m",   [DRAW_DIM] = "\033[2m",
	[DRAW_BOLD] = "\033[1m",    [DRAW_GREEN] = "\033[32m",
	[DRAW_YELLOW] = "\033[33m", [DRAW_RED] = "\033[31m",
	[DRAW_CYAN] = "\033[36m",
};

struct line draw_begin(struct buf *out, const struct metrics_style *style)
{
	return (struct line){.out = out,
	                     .style = style,
	                     .max = style->cols,
	                     .rows = style->rows};
}

unsigned draw_width(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

void draw(struct line *l, const char *s)
{
	while (*s && l->rows > 0 && l->col < l->max) {
		size_t n = 1;

		while (((unsigned char)s[n] & 0xc0) == 0x80)
			n++;
		(void)buf_add(l->out, s, n);
		l->col++;
		s += n;
	}
}

void draw_in(struct line *l, enum draw_colour c, const char *s)
{
	bool coloured = l->style->colour && c != DRAW_PLAIN && l->rows > 0;

	if (coloured)
		(void)buf_adds(l->out, colours[c]);
	draw(l, s);
	if (coloured)
		(void)buf_adds(l->out, colours[DRAW_PLAIN]);
}

void draw_spaces(struct line *l, unsigned n)
{
	while (n-- > 0)
		draw(l, " ");
}

void draw_cell(struct line *l, enum draw_colour c, const char *s,
               unsigned width, bool right)
{
	unsigned n = MIN(draw_width(s), width), max = l->max;

	if (right)
		draw_spaces(l, width - n);
	l->max = MIN(max, l->col + n);
	draw_in(l, c, s);
	l->max = max;
	if (!right)
		draw_spaces(l, width - n);
}

void draw_end(struct line *l)
{
	if (l->rows > 0) {
		(void)buf_addc(l->out, '\n');
		l->rows--;
	}
	l->col = 0;
}

/* ---- bars and sparklines ------------------------------------------------- */

static enum draw_colour level_colour(double part)
{
	return part >= LEVEL_RED      ? DRAW_RED
	       : part >= LEVEL_YELLOW ? DRAW_YELLOW
	                              : DRAW_GREEN;
}

double draw_part(double value, double max)
{
	double part = max > 0 ? value / max : 0;

	return part > 1 ? 1 : part > 0 ? part : 0;
}

void draw_bar(struct line *l, double part, unsigned width)
{
	static const char *const eighths[] = {" ", "▏", "▎", "▍",
	                                      "▌", "▋", "▊", "▉"};
	unsigned full = (unsigned)(part * width * 8 + 0.5);
	struct buf cleanup_buf b = BUF_INIT;

	for (unsigned i = 0; i < width; i++) {
		unsigned have = full > i * 8 ? MIN(full - i * 8, 8u) : 0;

		if (!l->style->utf8)
			(void)buf_addc(&b, have >= 4 ? '#' : '.');
		else
			(void)buf_adds(&b, have == 8 ? "█" : eighths[have]);
	}
	draw(l, "[");
	draw_in(l, level_colour(part), buf_str(&b));
	draw(l, "]");
}

static const char *block(bool utf8, double value, double max)
{
	static const char *const wide[] = {"▁", "▂", "▃", "▄",
	                                   "▅", "▆", "▇", "█"};
	static const char *const ascii[] = {"_", ".", ":", "-",
	                                    "=", "+", "*", "#"};
	unsigned level = (unsigned)(draw_part(value, max) * 7 + 0.5);

	if (value < 0)
		return " ";
	return utf8 ? wide[level] : ascii[level];
}

void draw_spark(struct line *l, const struct metrics_row *row,
                enum metrics_series series, double max, unsigned width)
{
	struct buf cleanup_buf b = BUF_INIT;
	double values[METRICS_HISTORY], top = RATE_FLOOR;

	width = MIN(width, (unsigned)METRICS_HISTORY);
	metrics_row_columns(row, series, values, width);
	for (unsigned i = 0; i < width; i++)
		top = MAX(top, values[i]);
	if (max > 0)
		top = max;
	for (unsigned i = 0; i < width; i++)
		(void)buf_adds(&b, block(l->style->utf8, values[i], top));
	draw_in(l, DRAW_CYAN, buf_str(&b));
}

/* ---- words --------------------------------------------------------------- */

const char *metrics_duration(uint64_t ns, char *out)
{
	uint64_t s = ns / NS_PER_S;
	const unsigned long long d = s / 86400, h = s / 3600 % 24,
				 m = s / 60 % 60, r = s % 60;

	if (d)
		(void)snprintf(out, METRICS_TEXT_MAX, "%llud %lluh", d, h);
	else if (h)
		(void)snprintf(out, METRICS_TEXT_MAX, "%lluh %llum", h, m);
	else if (m)
		(void)snprintf(out, METRICS_TEXT_MAX, "%llum %llus", m, r);
	else
		(void)snprintf(out, METRICS_TEXT_MAX, "%llus", r);
	return out;
}

const char *metrics_size(double bytes, char *out)
{
	uint64_t n = bytes >= 0x1p63 ? UINT64_MAX >> 1 : (uint64_t)bytes;

	return num_format_size(n, out, METRICS_TEXT_MAX);
}

bool metrics_has_rates(const struct metrics_row *row)
{
	return row->samples > 1 && row->state <= METRICS_RUNNING;
}

bool metrics_has_counters(const struct metrics_row *row)
{
	return row->samples > 0 && row->state <= METRICS_RUNNING;
}

const char *metrics_cpu(const struct metrics_row *row, char *out)
{
	if (!metrics_has_rates(row))
		return "-";
	(void)snprintf(out, METRICS_TEXT_MAX, "%.1f%%",
	               MIN(row->now[METRICS_CPU], 999999.0));
	return out;
}

const char *metrics_memory(const struct metrics_row *row, char *out)
{
	return metrics_has_counters(row)
	               ? metrics_size(row->now[METRICS_MEMORY], out)
	               : "-";
}

const char *metrics_limit(const struct metrics_row *row, char *out)
{
	return num_format_size(row->last.memory_bytes, out, METRICS_TEXT_MAX);
}

const char *metrics_pair(const struct metrics_row *row,
                         enum metrics_series first, char *out, size_t len)
{
	char a[METRICS_TEXT_MAX], b[METRICS_TEXT_MAX];

	if (!metrics_has_rates(row))
		return "-";
	(void)snprintf(out, len, "%s / %s", metrics_size(row->now[first], a),
	               metrics_size(row->now[first + 1], b));
	return out;
}

const char *metrics_uptime(const struct metrics_row *row, char *out)
{
	return metrics_has_counters(row) && row->last.uptime_ns
	               ? metrics_duration(row->last.uptime_ns, out)
	               : "-";
}

double metrics_cpu_limit(const struct metrics_row *row)
{
	return 100.0 * MAX(row->last.cpus, 1u);
}

enum draw_colour metrics_colour(const struct metrics_row *row)
{
	return row->state == METRICS_RUNNING   ? DRAW_GREEN
	       : row->state == METRICS_STALLED ? DRAW_RED
	       : row->state == METRICS_OTHER   ? DRAW_DIM
	                                       : DRAW_YELLOW;
}
