/*
 * progress.h - a pull as people see it: on a terminal one line a layer,
 * redrawn in place and gone at the end; elsewhere a line when a layer is done.
 *
 * progress_event() is a msb_pull_event_fn and runs in the library's threads,
 * one call at a time; the other functions belong to the caller's thread, not
 * during the pull.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "microsandbox.h"

#define PROGRESS_LAYERS_MAX 256

struct progress_layer {
	char digest[13]; /* 12 digits */
	uint64_t done, total;
	enum { LAYER_WAITS, LAYER_LOADS, LAYER_DONE, LAYER_CACHED } state;
};

struct progress {
	bool quiet, terminal;
	const char *verb; /* "Pulling" */
	bool worked;      /* something was fetched or converted */
	uint32_t n;
	unsigned rows; /* on the screen now */
	char phase[160];
	struct progress_layer layers[PROGRESS_LAYERS_MAX];
};

void progress_init(struct progress *p, const char *verb, bool quiet);
int progress_event(void *arg, const struct msb_pull_event *ev);

/* Take the lines off the screen. */
void progress_end(struct progress *p);

#endif
