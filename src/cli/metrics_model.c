#include "cli/metrics_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"

#include "base/banned.h"

static const char *const state_names[] = {
	[METRICS_STARTING] = "starting",
	[METRICS_RUNNING] = "running",
	[METRICS_STALLED] = "stalled",
	[METRICS_EXITED] = "exited",
	[METRICS_OTHER] = "",
};

struct metrics_row *metrics_model_row(struct metrics_model *m, const char *name)
{
	struct metrics_row **rows, *row;

	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->rows[i]->name, name) == 0)
			return m->rows[i];
	rows = realloc(m->rows, (m->n + 1) * sizeof(*rows));
	if (!rows)
		return NULL;
	m->rows = rows;
	row = calloc(1, sizeof(*row));
	if (!row)
		return NULL;
	(void)snprintf(row->name, sizeof(row->name), "%s", name);
	metrics_row_set_state(row, METRICS_STARTING);
	m->rows[m->n++] = row;
	return row;
}

void metrics_model_drop(struct metrics_model *m,
                        bool (*drop)(void *arg, struct metrics_row *row),
                        void *arg)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->n; i++) {
		if (drop(arg, m->rows[i]))
			free(m->rows[i]);
		else
			m->rows[kept++] = m->rows[i];
	}
	m->n = kept;
}

static int by_name(const void *a, const void *b)
{
	const struct metrics_row *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* The largest first; equal ones by name, so that they do not change places. */
static int by_series(const void *a, const void *b, enum metrics_series s)
{
	const struct metrics_row *const *x = a, *const *y = b;
	double u = (*x)->now[s], v = (*y)->now[s];

	return u > v ? -1 : u < v ? 1 : by_name(a, b);
}

static int by_cpu(const void *a, const void *b)
{
	return by_series(a, b, METRICS_CPU);
}

static int by_memory(const void *a, const void *b)
{
	return by_series(a, b, METRICS_MEMORY);
}

void metrics_model_sort(struct metrics_model *m, enum metrics_sort by)
{
	static int (*const order[])(const void *a, const void *b) = {
		[METRICS_BY_NAME] = by_name,
		[METRICS_BY_CPU] = by_cpu,
		[METRICS_BY_MEMORY] = by_memory,
	};

	if (m->n > 1)
		qsort(m->rows, m->n, sizeof(*m->rows), order[by]);
}

void metrics_model_release(struct metrics_model *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++)
		free(m->rows[i]);
	free(m->rows);
	*m = (struct metrics_model){0};
}

void metrics_row_set_state(struct metrics_row *row, enum metrics_state state)
{
	row->state = state;
	row->text = state_names[state];
}

static double rate(uint64_t before, uint64_t after, uint64_t ns)
{
	if (after <= before || ns == 0)
		return 0;
	return (double)(after - before) * (double)NS_PER_S / (double)ns;
}

static void compute(struct metrics_row *row, const struct msb_metrics *m)
{
	const struct msb_metrics *old = &row->last;
	uint64_t ns = m->time_ns > old->time_ns ? m->time_ns - old->time_ns : 0;
	double *now = row->now;

	now[METRICS_CPU] =
		rate(old->cpu_ns, m->cpu_ns, ns) * 100 / (double)NS_PER_S;
	now[METRICS_DISK_READ] =
		rate(old->disk_read_bytes, m->disk_read_bytes, ns);
	now[METRICS_DISK_WRITE] =
		rate(old->disk_write_bytes, m->disk_write_bytes, ns);
	now[METRICS_NET_RX] = rate(old->net_rx_bytes, m->net_rx_bytes, ns);
	now[METRICS_NET_TX] = rate(old->net_tx_bytes, m->net_tx_bytes, ns);
}

void metrics_row_feed(struct metrics_row *row, const struct msb_metrics *m)
{
	size_t at = row->count % METRICS_HISTORY;

	if (row->samples > 0)
		compute(row, m);
	row->now[METRICS_MEMORY] = (double)m->memory_resident_bytes;
	row->last = *m;
	metrics_row_set_state(row, m->uptime_ns ? METRICS_RUNNING
	                                        : METRICS_STARTING);
	row->samples = MIN(row->samples + 1, 2u);
	if (row->samples < 2)
		return;
	for (int s = 0; s < METRICS_SERIES; s++)
		row->history[s][at] = (float)row->now[s];
	row->count++;
}

static double highest(const struct metrics_row *row, enum metrics_series series,
                      uint64_t from, uint64_t end)
{
	uint64_t oldest =
		row->count > METRICS_HISTORY ? row->count - METRICS_HISTORY : 0;
	double max = -1;

	for (uint64_t i = MAX(from, oldest); i < MIN(end, row->count); i++)
		max = MAX(max,
		          (double)row->history[series][i % METRICS_HISTORY]);
	return max;
}

void metrics_row_columns(const struct metrics_row *row,
                         enum metrics_series series, double *ret,
                         unsigned columns)
{
	uint64_t each, buckets;

	if (columns == 0)
		return;
	each = (METRICS_HISTORY + columns - 1) / columns;
	each = MIN(each, (uint64_t)METRICS_COLUMN_MAX);
	buckets = (row->count + each - 1) / each;
	for (unsigned c = 0; c < columns; c++) {
		uint64_t back = columns - 1 - c; /* columns from the newest */

		ret[c] = -1;
		if (back < buckets)
			ret[c] = highest(row, series,
			                 (buckets - 1 - back) * each,
			                 (buckets - back) * each);
	}
}
