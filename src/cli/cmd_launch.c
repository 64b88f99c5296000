/*
 * msb launch: what a launcher of msb install calls. A command in a sandbox that
 * is made when it is not there and started when it does not run.
 *
 * Several may begin at once, so each step may find that another was faster:
 * then it looks again. A machine that this one has started is detached before
 * its command runs, and ends by its idle time limit, so that a row of calls
 * waits for one boot only.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "cli/command.h"
#include "cli/create_image.h"
#include "cli/out.h"
#include "cli/session.h"
#include "forms/create_opts.h"

#include "base/banned.h"

COMMAND_DECLARE(launch)

#define TRIES    100
#define PAUSE_MS 50
#define IDLE_S   600u /* where neither options nor files say something */

struct launch_values {
	struct create_values create; /* first: CREATE_OPTS */
};
static_assert(sizeof(struct launch_values) <= COMMAND_VALUES_MAX, "grow it");

const struct opt cmd_launch_opts[] = {CREATE_OPTS{0}};

struct launch {
	const struct create_values *values;
	const struct cli *cli;
	struct session s;
	struct strv env; /* of the command alone: TERM */
	bool wrong;      /* a file or option is, as `error` says */
};

/* Until it lives without us. */
static int let_live(struct session *s)
{
	int r = msb_sandbox_wait_ready(s->sandbox, -1, &s->error);

	return r < 0 ? r : msb_sandbox_detach(s->sandbox, &s->error);
}

static int start(struct launch *l)
{
	int r = msb_sandbox_start(l->s.home, l->values->name, NULL,
	                          &l->s.sandbox, &l->s.error);

	return r < 0 ? r : let_live(&l->s);
}

static int create_by(struct launch *l, struct create_plan *plan)
{
	struct msb_image *image = NULL;
	int r = create_plan_image(plan, l->s.home, l->values->quiet, &image,
	                          &l->s.error);

	if (r < 0)
		return r;
	if (!plan->opts.idle_timeout_s)
		plan->opts.idle_timeout_s = IDLE_S;
	/* It gives a machine; the commands are ours. */
	plan->opts.command = NULL;
	plan->opts.flags |= MSB_SANDBOX_KEEP;
	r = msb_sandbox_create(l->s.home, &plan->opts, &l->s.sandbox,
	                       &l->s.error);
	msb_image_free(image);
	return r < 0 ? r : let_live(&l->s);
}

static int create(struct launch *l)
{
	struct create_plan plan = {0};
	struct err err = {0};
	int r = create_plan_make(l->values, l->cli->words[0], l->cli->tail,
	                         &plan, &err);

	if (r < 0) {
		out_err(&err);
		l->wrong = true;
		return -MSB_ERR_INVALID;
	}
	r = create_by(l, &plan);
	create_plan_release(&plan);
	return r;
}

static int join(struct launch *l)
{
	int r = msb_sandbox_open(l->s.home, l->values->name, &l->s.sandbox,
	                         &l->s.error);

	if (r == -MSB_ERR_NOT_FOUND)
		return create(l);
	return r == -MSB_ERR_GONE ? start(l) : r;
}

/* Another one makes, starts or ends it right now; a taken port stays so. */
static bool is_race(int r, const struct msb_error *e)
{
	if (r == -MSB_ERR_BUSY)
		return e->sys_errno != EADDRINUSE;
	return r == -MSB_ERR_EXISTS || r == -MSB_ERR_NOT_FOUND;
}

static int reach(struct launch *l)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
	int r = msb_home_open(NULL, &l->s.home, &l->s.error);

	if (r < 0)
		return r;
	for (int i = 0; i < TRIES; i++) {
		r = join(l);
		if (r == 0 || l->s.sandbox || !is_race(r, &l->s.error))
			return r;
		(void)nanosleep(&pause, NULL);
	}
	return r;
}

static int exec(struct launch *l)
{
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;
	char *const *tail = l->cli->tail;
	int r = session_opts(&l->s, &l->env, &o);

	if (r < 0)
		return r;
	o.flags |= MSB_EXEC_IMAGE_COMMAND;
	if (tail && *tail)
		o.argv = (const char *const *)tail;
	l->s.io.command = o.argv ? *o.argv : "the image's command";
	return msb_exec_start(l->s.sandbox, &o, &l->s.exec, &l->s.error);
}

static int run(struct launch *l)
{
	if (reach(l) < 0)
		return l->wrong ? EXIT_USAGE : session_failed(&l->s);
	run_io_block_signals();
	if (exec(l) < 0)
		return session_failed(&l->s);
	return session_serve(&l->s, false);
}

int cmd_launch(struct cli *cli, void *values)
{
	const struct launch_values *v = values;
	struct session_values none = {0};
	struct launch l = {
		.values = &v->create, .cli = cli, .s.quiet = v->create.quiet};
	int code;

	if (!v->create.name) {
		out_errorf("msb install makes launchers that call it",
		           "msb launch needs a --name");
		return EXIT_USAGE;
	}
	code = session_prepare(cli, &l.s, &none);
	if (code == 0)
		code = run(&l);
	session_release(&l.s);
	strv_release(&l.env);
	return code;
}
