/*
 * defaults.h - what a caller's options leave open: the environment says it
 * (MSB_ENGINE, MSB_ACCEL), else the user's files (defaults_file.h), of these
 * the one sandbox's section first, else the program.
 */
#ifndef LIB_DEFAULTS_H
#define LIB_DEFAULTS_H

#include <stddef.h>

#include "base/err.h"
#include "base/strv.h"
#include "lib/defaults_file.h"
#include "microsandbox.h"

/* Words and numbers, by enum msb_engine and enum msb_accel; 0: NULL. */
#define DEFAULTS_ENGINES 4
#define DEFAULTS_ACCELS  4
extern const char *const defaults_engines[DEFAULTS_ENGINES];
extern const char *const defaults_accels[DEFAULTS_ACCELS];

/* What filled options point into. */
struct defaults {
	struct defaults_file file;
	struct strv env;
};

void defaults_release(struct defaults *d);
#define cleanup_defaults cleanup(defaults_release)

/*
 * Give every member of @o that has a default its final value; those that are
 * set are checked against the values of their lists. @home is the folder's
 * path. @d (zeroed) must outlive @o and is to be released in any case. -EINVAL
 * also when engine and accelerator contradict each other.
 */
int defaults_fill(struct msb_sandbox_opts *o, const char *home,
                  struct defaults *d, struct err *err);

#endif
