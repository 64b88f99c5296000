/* The main command of a sandbox's record, given to its msb-vmm. */
#include <errno.h>
#include <stdio.h>

#include "lib/error.h"
#include "lib/exec.h"
#include "lib/sandbox.h"

#include "base/banned.h"

#define SPAWN_MS 30000 /* from a ready machine to the command's start */

static int failed(const struct msb_exec_event *ev, struct msb_error *error)
{
	return error_set(error, -LIB_EEXEC,
	                 "the main command did not start: %s: %s", ev->stage,
	                 ev->message);
}

static int await_start(struct msb_exec *x, struct msb_error *error)
{
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;
	int r = msb_exec_next(x, SPAWN_MS, &ev, error);

	if (r < 0)
		return r;
	if (r == 0)
		return error_set(error, -ETIMEDOUT,
		                 "the main command did not start in time");
	return ev.kind == MSB_EXEC_STARTED ? 0 : failed(&ev, error);
}

static int give_away(struct msb_exec *x, struct msb_error *error)
{
	struct err err = {0};
	int r = await_start(x, error);

	if (r < 0)
		return r;
	r = exec_detach(x, true, &err);
	return r < 0 ? error_return(error, r, &err) : 0;
}

int msb_sandbox_run_main(struct msb_sandbox *sb, struct msb_error *error)
{
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;
	struct msb_exec *x = NULL;
	int r;

	if (!sb->config.has_main)
		return 0;
	r = msb_sandbox_wait_ready(sb, -1, error);
	if (r < 0)
		return r;
	o.flags = MSB_EXEC_IMAGE_COMMAND;
	o.argv = (const char *const *)strv_list(&sb->config.command);
	r = msb_exec_start(sb, &o, &x, error);
	if (r == 0)
		r = give_away(x, error);
	msb_exec_free(x);
	return r;
}
