/*
 * conf.h - what a person says about a sandbox, from whichever source: sparse,
 * so that sources can be laid over each other.
 */
#ifndef CLI_CONF_H
#define CLI_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"

/* Zero and NULL: not said. */
struct conf {
	char *image, *workdir, *shell, *user, *hostname, *init;
	struct strv entrypoint, cmd;
	bool has_entrypoint, has_cmd; /* an empty list says something, too */
	struct strv env, labels;      /* KEY=VALUE */
	struct strv scripts;          /* NAME=BODY */
	struct strv rlimits;          /* RESOURCE=SOFT[:HARD] */
	struct strv init_args, init_env;
	uint64_t memory, max_duration_ms, idle_timeout_ms;
	uint32_t cpus;
	int32_t pull; /* enum msb_pull_policy + 1 */
};

void conf_release(struct conf *c);

#endif
