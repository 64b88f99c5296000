/* cmd_ping.c - ping and touch: one asks the agent, the other keeps it awake. */
#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/targets.h"

#include "base/banned.h"

COMMAND_DECLARE(ping)
COMMAND_DECLARE(touch)

#define PING_MS 5000

struct ping_values {
	struct strv labels;
	bool touch, quiet;
};
static_assert(sizeof(struct ping_values) <= COMMAND_VALUES_MAX, "grow it");

#define FIELD(f)  offsetof(struct ping_values, f)
#define LABEL_OPT TARGETS_LABEL_OPT(FIELD(labels))
#define QUIET_OPT TARGETS_QUIET_OPT(FIELD(quiet))

const struct opt cmd_ping_opts[] = {
	LABEL_OPT,
	OPT_ROW(0, "touch", NULL, OPT_FLAG, FIELD(touch),
                "Start the idle time limit anew, too"),
	QUIET_OPT,
	{0},
};
const struct opt cmd_touch_opts[] = {LABEL_OPT, QUIET_OPT, {0}};

static int ping(struct target *t)
{
	const struct ping_values *v = t->values;
	struct msb_sandbox *s = NULL;
	uint64_t ns = 0;
	int r = msb_sandbox_open(t->home, t->name, &s, &t->error);

	if (r == 0)
		r = msb_sandbox_ping(s, PING_MS, &ns, &t->error);
	if (r == 0 && v->touch)
		r = msb_sandbox_touch(s, &t->error);
	msb_sandbox_free(s);
	(void)snprintf(t->extra, sizeof(t->extra), "%.2f ms",
	               (double)ns / (double)NS_PER_MS);
	return r;
}

int cmd_ping(struct cli *cli, void *values)
{
	const struct ping_values *v = values;

	return targets_run(cli, &(struct targets){.labels = &v->labels,
	                                          .quiet = v->quiet,
	                                          .verb = "Reachable",
	                                          .act = ping,
	                                          .values = v});
}

static int touch(struct target *t)
{
	struct msb_sandbox *s = NULL;
	int r = msb_sandbox_open(t->home, t->name, &s, &t->error);

	if (r == 0)
		r = msb_sandbox_touch(s, &t->error);
	msb_sandbox_free(s);
	return r;
}

int cmd_touch(struct cli *cli, void *values)
{
	const struct ping_values *v = values;

	return targets_run(cli, &(struct targets){.labels = &v->labels,
	                                          .quiet = v->quiet,
	                                          .verb = "Touched",
	                                          .act = touch,
	                                          .values = v});
}
