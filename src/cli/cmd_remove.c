#include <assert.h>

#include "cli/command.h"
#include "cli/out.h"
#include "cli/targets.h"

#include "base/banned.h"

COMMAND_DECLARE(remove)

struct remove_values {
	struct strv labels;
	bool force, quiet;
};
static_assert(sizeof(struct remove_values) <= COMMAND_VALUES_MAX, "grow it");

#define FIELD(f) offsetof(struct remove_values, f)
const struct opt cmd_remove_opts[] = {
	TARGETS_LABEL_OPT(FIELD(labels)),
	OPT_ROW('f', "force", NULL, OPT_FLAG, FIELD(force),
                "Kill those that run"),
	TARGETS_QUIET_OPT(FIELD(quiet)),
	{0},
};

static int remove_one(struct target *t)
{
	const struct remove_values *v = t->values;

	return msb_sandbox_remove(t->home, t->name,
	                          v->force ? MSB_REMOVE_FORCE : 0, &t->error);
}

int cmd_remove(struct cli *cli, void *values)
{
	const struct remove_values *v = values;

	return targets_run(cli, &(struct targets){.labels = &v->labels,
	                                          .quiet = v->quiet,
	                                          .verb = "Removed",
	                                          .busy = "Removing",
	                                          .act = remove_one,
	                                          .values = v});
}
