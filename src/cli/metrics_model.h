/*
 * metrics_model.h - what is known of sandboxes over time: the last counters of
 * each, the rates between the last two, and a history for sparklines.
 *
 * Pure: counters come in, numbers are kept. Counters come from msb-vmm, which
 * a guest may have taken over, so one that runs backwards, stands still or
 * leaps gives a rate of 0 or a large one, never a fault.
 */
#ifndef CLI_METRICS_MODEL_H
#define CLI_METRICS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "microsandbox.h"

/* Samples kept of each series: four minutes at one a second. */
#define METRICS_HISTORY 240

/* Samples of a column at most: a narrow sparkline shows less, but moves. */
#define METRICS_COLUMN_MAX 4

/* What is drawn over time; all but the first two are bytes a second. */
enum metrics_series {
	METRICS_CPU,    /* percent of one processor of the host */
	METRICS_MEMORY, /* bytes */
	METRICS_DISK_READ,
	METRICS_DISK_WRITE,
	METRICS_NET_RX,
	METRICS_NET_TX,
	METRICS_SERIES
};

enum metrics_state {
	METRICS_STARTING, /* its agent is not ready */
	METRICS_RUNNING,
	METRICS_STALLED, /* its msb-vmm does not answer */
	METRICS_EXITED,
	METRICS_OTHER, /* on record, not running: see `text` */
};

struct metrics_row {
	char name[MSB_NAME_MAX + 1];
	enum metrics_state state;
	const char *text;            /* the state as it is shown */
	struct msb_sandbox *sandbox; /* NULL: not open; see metrics_source.h */
	bool seen;                   /* in the last list of sandboxes */
	uint64_t retry_ns; /* a stalled one is left alone until then */
	unsigned samples;  /* 0: `last` is not set; 1: no rates yet */
	struct msb_metrics last;
	double now[METRICS_SERIES];
	float history[METRICS_SERIES][METRICS_HISTORY];
	uint64_t count; /* of samples in history, ever */
};

enum metrics_sort { METRICS_BY_NAME, METRICS_BY_CPU, METRICS_BY_MEMORY };

struct metrics_model {
	struct metrics_row **rows;
	size_t n;
};

/* The row of @name, made when there is none; NULL when out of memory. */
struct metrics_row *metrics_model_row(struct metrics_model *m,
                                      const char *name);

/* Forget the rows that @drop says; it must have let go of `sandbox`. */
void metrics_model_drop(struct metrics_model *m,
                        bool (*drop)(void *arg, struct metrics_row *row),
                        void *arg);
void metrics_model_sort(struct metrics_model *m, enum metrics_sort by);
void metrics_model_release(struct metrics_model *m); /* NULL is fine */

/* Take new counters; sets state, rates and history. */
void metrics_row_feed(struct metrics_row *row, const struct msb_metrics *m);
void metrics_row_set_state(struct metrics_row *row, enum metrics_state state);

/*
 * The history of @series in @columns values, oldest first, each the highest of
 * some samples, up to METRICS_COLUMN_MAX; -1: none yet. Sample and column stay
 * together from one call to the next, so that nothing flickers.
 */
void metrics_row_columns(const struct metrics_row *row,
                         enum metrics_series series, double *ret,
                         unsigned columns);

#endif
