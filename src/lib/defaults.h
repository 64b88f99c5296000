/*
 * defaults.h - what a caller's options leave open: the environment says it
 * (MSB_ENGINE, MSB_ACCEL), else the user's config.json, else the program.
 *
 * The file is MSB_CONFIG_PATH, else config.json in the home folder, where it
 * may be missing. It is read strictly, since a key that is silently ignored
 * may be one that somebody relies on: errors name file and key.
 *
 *	{"sandbox_defaults": {"cpus": 2, "memory_mib": 1024,
 *	                      "engine": "auto", "accel": "auto"}}
 */
#ifndef LIB_DEFAULTS_H
#define LIB_DEFAULTS_H

#include <stddef.h>

#include "base/err.h"
#include "microsandbox.h"

/* Words and numbers, by enum msb_engine and enum msb_accel; 0: NULL. */
#define DEFAULTS_ENGINES 4
#define DEFAULTS_ACCELS  4
extern const char *const defaults_engines[DEFAULTS_ENGINES];
extern const char *const defaults_accels[DEFAULTS_ACCELS];

/*
 * Give every member of @o that has a default its final value; those that are
 * set are checked against the values of their lists. @home is the folder's
 * path. -EINVAL also when engine and accelerator contradict each other.
 */
int defaults_fill(struct msb_sandbox_opts *o, const char *home,
                  struct err *err);

/*
 * Check the file alone: 1 when it is there and right, 0 when there is none.
 * *ret_path (free it) is set in any case but -ENOMEM.
 */
int defaults_check_file(const char *home, char **ret_path, struct err *err);

#endif
