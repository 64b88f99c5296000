/*
 * spawn.h - run a helper program to its end: no shell, time and output
 * bounded, nothing inherited but what is named.
 */
#ifndef BASE_SPAWN_H
#define BASE_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct spawn_opts {
	char *const *argv; /* argv[0] is looked up in PATH */
	const void *input; /* fed to stdin; NULL: /dev/null */
	size_t input_len;
	struct buf *output; /* stdout, bounded by its max; NULL: /dev/null */
	int timeout_ms;     /* then the helper is killed: -ETIMEDOUT */
};

/*
 * Returns the exit code (0..255), 128+n for a signal, or a negative errno:
 * -ENOENT when the program does not exist, -E2BIG when it prints too much,
 * -ETIMEDOUT, -ECANCELED (cancel.h). The helper never outlives the call, nor
 * the calling thread, also when that is killed. What it wrote to stderr is
 * dropped unless the exit code is not 0: then its first line is in @err.
 */
int spawn_run(const struct spawn_opts *o, struct err *err);

#endif
