#include <assert.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/targets.h"

#include "base/banned.h"

COMMAND_DECLARE(start)

#define TRIES_MAX 3

struct start_values {
	struct strv labels;
	bool quiet;
};
static_assert(sizeof(struct start_values) <= COMMAND_VALUES_MAX, "grow it");

#define FIELD(f) offsetof(struct start_values, f)
const struct opt cmd_start_opts[] = {
	TARGETS_LABEL_OPT(FIELD(labels)),
	TARGETS_QUIET_OPT(FIELD(quiet)),
	{0},
};

/* Busy may also mean that somebody removes or changes it: then it fails. */
static int start(struct target *t)
{
	int r = -MSB_ERR_BUSY;

	for (int tries = 0; tries < TRIES_MAX; tries++) {
		r = targets_start(t);
		if (r != -MSB_ERR_BUSY)
			return r;
		if (!targets_is_running(t))
			continue; /* who started it gave up */
		(void)snprintf(t->note, sizeof(t->note),
		               "%.100s is running already", t->name);
		return 0;
	}
	return r;
}

int cmd_start(struct cli *cli, void *values)
{
	const struct start_values *v = values;

	return targets_run(cli, &(struct targets){.labels = &v->labels,
	                                          .quiet = v->quiet,
	                                          .verb = "Started",
	                                          .busy = "Starting",
	                                          .act = start,
	                                          .values = v});
}
