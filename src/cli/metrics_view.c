#include "cli/metrics_view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "cli/metrics_draw.h"

#include "base/banned.h"

#define BAR_SMALL    8
#define SPARK_SMALL  16
#define NAME_MIN     8
#define STATE_WIDTH  8
#define CPU_WIDTH    8
#define MEMORY_WIDTH 10

/* ---- the table of a single look ------------------------------------------ */

static int add_row(struct strv *cells, const struct metrics_row *row)
{
	char a[METRICS_TEXT_MAX], b[METRICS_TEXT_MAX], pair[80];
	int r = strv_add(cells, row->name);

	if (r == 0)
		r = strv_add(cells, row->text);
	if (r == 0)
		r = strv_add(cells, metrics_cpu(row, a));
	if (r == 0 && metrics_has_counters(row))
		r = strv_addf(cells, "%s / %s", metrics_memory(row, a),
		              metrics_limit(row, b));
	else if (r == 0)
		r = strv_add(cells, "-");
	if (r == 0)
		r = strv_add(cells, metrics_pair(row, METRICS_DISK_READ, pair,
		                                 sizeof(pair)));
	if (r == 0)
		r = strv_add(cells, metrics_pair(row, METRICS_NET_RX, pair,
		                                 sizeof(pair)));
	if (r == 0)
		r = strv_add(cells, metrics_uptime(row, a));
	return r;
}

int metrics_view_table(struct strv *cells, const struct metrics_model *m)
{
	static const char *const head[METRICS_TABLE_COLUMNS] = {
		"NAME",        "STATE",        "CPU",   "MEM",
		"DISK R/W /s", "NET RX/TX /s", "UPTIME"};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(head) && r == 0; i++)
		r = strv_add(cells, head[i]);
	for (size_t i = 0; i < m->n && r == 0; i++)
		r = add_row(cells, m->rows[i]);
	return r;
}

/* ---- all of them --------------------------------------------------------- */

/* Columns that may be left out, the least important last. */
enum part {
	PART_CPU_BAR,
	PART_UPTIME,
	PART_DISK,
	PART_MEMORY_BAR,
	PART_SPARK,
	PART_NET,
	PARTS
};

static const unsigned part_widths[PARTS] = {
	[PART_CPU_BAR] = BAR_SMALL + 3,
	[PART_UPTIME] = 9,
	[PART_DISK] = 24,
	[PART_MEMORY_BAR] = BAR_SMALL + 3,
	[PART_SPARK] = SPARK_SMALL + 2,
	[PART_NET] = 24,
};

struct layout {
	unsigned name;
	bool has[PARTS];
};

static void lay_out(struct layout *y, const struct metrics_model *m,
                    unsigned cols)
{
	unsigned used = NAME_MIN + STATE_WIDTH + CPU_WIDTH + MEMORY_WIDTH + 6;
	unsigned longest = NAME_MIN;

	*y = (struct layout){.name = NAME_MIN};
	for (int p = 0; p < PARTS && used + part_widths[p] <= cols; p++) {
		y->has[p] = true;
		used += part_widths[p];
	}
	for (size_t i = 0; i < m->n; i++)
		longest = MAX(longest, (unsigned)strlen(m->rows[i]->name));
	if (used < cols)
		y->name += MIN(longest - NAME_MIN, cols - used);
}

/* "  TEXT", when the part has room. */
static void put_part(struct line *l, const struct layout *y, enum part p,
                     enum draw_colour c, const char *text, bool right)
{
	if (!y->has[p])
		return;
	draw_spaces(l, 2);
	draw_cell(l, c, text, part_widths[p] - 2, right);
}

static void put_head(struct line *l, const struct layout *y)
{
	const enum metrics_sort by = l->style->sort;

	draw_cell(l, DRAW_BOLD, by == METRICS_BY_NAME ? "NAME*" : "NAME",
	          y->name, false);
	draw_spaces(l, 2);
	draw_cell(l, DRAW_BOLD, "STATE", STATE_WIDTH, false);
	draw_spaces(l, 2);
	draw_cell(l, DRAW_BOLD, by == METRICS_BY_CPU ? "CPU*" : "CPU",
	          CPU_WIDTH, true);
	put_part(l, y, PART_CPU_BAR, DRAW_BOLD, "", false);
	put_part(l, y, PART_SPARK, DRAW_BOLD, "CPU OVER TIME", false);
	draw_spaces(l, 2);
	draw_cell(l, DRAW_BOLD, by == METRICS_BY_MEMORY ? "MEM*" : "MEM",
	          MEMORY_WIDTH, true);
	put_part(l, y, PART_MEMORY_BAR, DRAW_BOLD, "", false);
	put_part(l, y, PART_DISK, DRAW_BOLD, "DISK R/W /s", true);
	put_part(l, y, PART_NET, DRAW_BOLD, "NET RX/TX /s", true);
	put_part(l, y, PART_UPTIME, DRAW_BOLD, "UPTIME", true);
	draw_end(l);
}

static void put_cpu(struct line *l, const struct layout *y,
                    const struct metrics_row *row)
{
	char text[METRICS_TEXT_MAX];

	draw_spaces(l, 2);
	draw_cell(l, DRAW_PLAIN, metrics_cpu(row, text), CPU_WIDTH, true);
	if (y->has[PART_CPU_BAR]) {
		draw_spaces(l, 1);
		draw_bar(l,
		         draw_part(row->now[METRICS_CPU],
		                   metrics_cpu_limit(row)),
		         BAR_SMALL);
	}
	if (y->has[PART_SPARK]) {
		draw_spaces(l, 2);
		draw_spark(l, row, METRICS_CPU, metrics_cpu_limit(row),
		           SPARK_SMALL);
	}
}

static void put_memory(struct line *l, const struct layout *y,
                       const struct metrics_row *row)
{
	char text[METRICS_TEXT_MAX];

	draw_spaces(l, 2);
	draw_cell(l, DRAW_PLAIN, metrics_memory(row, text), MEMORY_WIDTH, true);
	if (y->has[PART_MEMORY_BAR]) {
		draw_spaces(l, 1);
		draw_bar(l,
		         draw_part(row->now[METRICS_MEMORY],
		                   (double)row->last.memory_bytes),
		         BAR_SMALL);
	}
}

static void put_row(struct line *l, const struct layout *y,
                    const struct metrics_row *row)
{
	char text[METRICS_TEXT_MAX], pair[80];

	draw_cell(l, DRAW_PLAIN, row->name, y->name, false);
	draw_spaces(l, 2);
	draw_cell(l, metrics_colour(row), row->text, STATE_WIDTH, false);
	put_cpu(l, y, row);
	put_memory(l, y, row);
	put_part(l, y, PART_DISK, DRAW_PLAIN,
	         metrics_pair(row, METRICS_DISK_READ, pair, sizeof(pair)),
	         true);
	put_part(l, y, PART_NET, DRAW_PLAIN,
	         metrics_pair(row, METRICS_NET_RX, pair, sizeof(pair)), true);
	put_part(l, y, PART_UPTIME, DRAW_PLAIN, metrics_uptime(row, text),
	         true);
	draw_end(l);
}

/* How many run, what they take together, and the keys. */
static void put_sum(struct line *l, const struct metrics_model *m)
{
	char text[128], size[METRICS_TEXT_MAX];
	double cpu = 0, memory = 0;
	size_t running = 0;

	for (size_t i = 0; i < m->n; i++) {
		if (!metrics_has_counters(m->rows[i]))
			continue;
		running++;
		memory += m->rows[i]->now[METRICS_MEMORY];
		if (metrics_has_rates(m->rows[i]))
			cpu += m->rows[i]->now[METRICS_CPU];
	}
	(void)snprintf(text, sizeof(text), "%zu running, CPU %.1f%%, memory %s",
	               running, MIN(cpu, 999999.0), metrics_size(memory, size));
	draw_in(l, DRAW_BOLD, text);
	draw_in(l, DRAW_DIM, "   sort: n name, c cpu, m memory; q quits");
	draw_end(l);
}

int metrics_view_all(struct buf *out, const struct metrics_model *m,
                     const struct metrics_style *style)
{
	struct line l = draw_begin(out, style);
	size_t room = style->rows > 2 ? style->rows - 2u : 0, shown = m->n;
	struct layout y;
	char text[64];

	lay_out(&y, m, style->cols);
	put_sum(&l, m);
	put_head(&l, &y);
	if (shown > room)
		shown = room > 0 ? room - 1 : 0;
	for (size_t i = 0; i < shown; i++)
		put_row(&l, &y, m->rows[i]);
	if (shown < m->n) {
		(void)snprintf(text, sizeof(text), "and %zu more",
		               m->n - shown);
		draw_in(&l, DRAW_DIM, text);
		draw_end(&l);
	}
	return buf_ok(out) ? 0 : -ENOMEM;
}
