/*
 * metrics_source.h - where metrics come from: the sandboxes of a home, found
 * and asked again and again. Those that appear get a row, those that end lose
 * theirs.
 */
#ifndef CLI_METRICS_SOURCE_H
#define CLI_METRICS_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/metrics_model.h"

struct metrics_source {
	struct msb_home *home;
	const char *name;          /* only this one; NULL: all */
	const char *const *labels; /* with these; may be NULL */
	bool all;                  /* also those that do not run */
	struct metrics_model *model;
	uint64_t listed_ns; /* when the list was read; 0: never */
};

/*
 * Ask everybody once. A machine that ended since the last call has the state
 * METRICS_EXITED now and no row after the next call, except the one of `name`.
 * A negative enum msb_code: the record cannot be read, or nobody has this name
 * (and it has no row yet).
 */
int metrics_source_update(struct metrics_source *s, struct msb_error *error);

/* Close what is open; the model stays. */
void metrics_source_release(struct metrics_source *s);

#endif
