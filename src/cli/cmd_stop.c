/* cmd_stop.c - stop, kill and restart: what ends a machine. */
#include <assert.h>
#include <stdio.h>

#include "base/num.h"
#include "cli/command.h"
#include "cli/out.h"
#include "cli/targets.h"

#include "base/banned.h"

COMMAND_DECLARE(stop)
COMMAND_DECLARE(kill)
COMMAND_DECLARE(restart)

#define GRACE_MS 10000u

struct stop_values {
	struct strv labels;
	const char *timeout; /* text: unlike other durations it may be 0 */
	bool force, quiet;
	uint32_t timeout_ms;
};
static_assert(sizeof(struct stop_values) <= COMMAND_VALUES_MAX, "grow it");

#define FIELD(f)  offsetof(struct stop_values, f)
#define LABEL_OPT TARGETS_LABEL_OPT(FIELD(labels))
#define QUIET_OPT TARGETS_QUIET_OPT(FIELD(quiet))
#define STOP_OPTS                                                              \
	LABEL_OPT,                                                             \
		OPT_ROW('t', "timeout", "DURATION", OPT_STRING,                \
	                FIELD(timeout),                                        \
	                "Kill what has not ended by then (10s)"),              \
		OPT_ROW('f', "force", NULL, OPT_FLAG, FIELD(force),            \
	                "Kill at once"),                                       \
		QUIET_OPT

const struct opt cmd_stop_opts[] = {STOP_OPTS, {0}};
const struct opt cmd_restart_opts[] = {STOP_OPTS, {0}};
const struct opt cmd_kill_opts[] = {LABEL_OPT, QUIET_OPT, {0}};

static int read_timeout(struct stop_values *v)
{
	uint64_t ms = GRACE_MS;

	if (v->timeout &&
	    (!num_parse_duration_ms(v->timeout, &ms) || ms > UINT32_MAX)) {
		out_errorf("for example 500ms, 30s or 5m; 0: at once",
		           "--timeout: '%s' is not a duration", v->timeout);
		return -1;
	}
	v->timeout_ms = v->force ? 0 : (uint32_t)ms;
	return 0;
}

static int stop(struct target *t)
{
	const struct stop_values *v = t->values;
	int r = targets_stop(t, v->timeout_ms);

	if (r > 0)
		(void)snprintf(t->note, sizeof(t->note),
		               "%.100s is not running", t->name);
	return r;
}

int cmd_stop(struct cli *cli, void *values)
{
	struct stop_values *v = values;

	if (read_timeout(v) < 0)
		return EXIT_USAGE;
	return targets_run(cli, &(struct targets){.labels = &v->labels,
	                                          .quiet = v->quiet,
	                                          .verb = "Stopped",
	                                          .busy = "Stopping",
	                                          .act = stop,
	                                          .values = v});
}

int cmd_kill(struct cli *cli, void *values)
{
	struct stop_values *v = values;

	return targets_run(cli, &(struct targets){.labels = &v->labels,
	                                          .quiet = v->quiet,
	                                          .verb = "Killed",
	                                          .act = stop,
	                                          .values = v});
}

static int restart(struct target *t)
{
	const struct stop_values *v = t->values;

	return targets_restart(t, v->timeout_ms);
}

int cmd_restart(struct cli *cli, void *values)
{
	struct stop_values *v = values;

	if (read_timeout(v) < 0)
		return EXIT_USAGE;
	return targets_run(cli, &(struct targets){.labels = &v->labels,
	                                          .quiet = v->quiet,
	                                          .verb = "Restarted",
	                                          .busy = "Restarting",
	                                          .act = restart,
	                                          .values = v});
}
