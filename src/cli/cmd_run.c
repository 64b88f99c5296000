#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/num.h"
#include "cli/command.h"
#include "cli/create_image.h"
#include "cli/out.h"
#include "cli/session.h"
#include "forms/create_opts.h"

#include "base/banned.h"

COMMAND_DECLARE(run)

struct run_values {
	struct create_values create; /* first: CREATE_OPTS */
	struct session_values session;
	const char *times;
};
static_assert(sizeof(struct run_values) <= COMMAND_VALUES_MAX, "grow it");
static_assert(offsetof(struct run_values, create) == 0, "CREATE_OPTS");

/* For a kept sandbox to write down what it has, once its command has ended. */
#define END_LIMIT_MS 10000
#define STOP_MS      5000

#define FIELD(f) offsetof(struct run_values, f)
const struct opt cmd_run_opts[] = {
	CREATE_OPTS SESSION_OPTS(FIELD(session))
		OPT_ROW('d', "detach", NULL, OPT_FLAG, FIELD(session.detach),
                        "Leave it running in the background and print its "
                        "name"),
	/* For tests/bench: moments of the run as JSON, CLOCK_MONOTONIC. */
	OPT_ROW(0, "times", "FILE", OPT_STRING, FIELD(times), NULL),
	{0},
};
#undef FIELD

/* One run: what is freed at its end. */
struct job {
	struct session s;
	struct create_plan plan;
	struct msb_image *image;
	const char *const *argv; /* NULL: the image's */
	const char *shell[2];    /* argv, where a person waits for one */
	struct strv env;         /* of the command alone: TERM */
	uint64_t begin_ns, image_ns;
	bool quiet, detach;
};

static int get_image(struct job *j)
{
	int r = msb_home_open(NULL, &j->s.home, &j->s.error);

	if (r == 0)
		r = create_plan_image(&j->plan, j->s.home, j->quiet, &j->image,
		                      &j->s.error);
	j->image_ns = clock_now_ns();
	return r;
}

/*
 * The arguments, or a shell where a person waits and the image has nothing.
 * Only what runs in the background is kept as the sandbox's command: of a
 * sandbox to work in, msb start is to give the machine, not to run once more
 * what was run by hand.
 */
static void choose_command(struct job *j)
{
	static const char *const nothing[] = {NULL};
	const struct msb_image_info *i = msb_image_info(j->image);
	struct msb_sandbox_opts *o = &j->plan.opts;

	j->argv = o->command && *o->command ? o->command : NULL;
	if (!j->argv && j->s.io.tty && !o->entrypoint && !*i->entrypoint &&
	    !*i->cmd) {
		j->shell[0] = o->shell ? o->shell : "/bin/sh";
		j->argv = j->shell;
	}
	o->command = NULL;
	if (j->detach)
		o->command = j->argv ? j->argv : nothing;
}

/* argv[0] as the library will compose it, for messages. */
static const char *program(const struct job *j)
{
	const struct msb_image_info *i = msb_image_info(j->image);
	const char *entrypoint = j->plan.opts.entrypoint;

	if (entrypoint && *entrypoint)
		return entrypoint;
	if (!entrypoint && *i->entrypoint)
		return *i->entrypoint;
	if (j->argv)
		return *j->argv;
	return !entrypoint && *i->cmd ? *i->cmd : "";
}

static const char *variable(const char *const *env, const char *name,
                            const char *otherwise)
{
	size_t len = strlen(name);

	for (; env && *env; env++)
		if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
			otherwise = *env + len + 1;
	return otherwise;
}

static const char *of_machine(const struct job *j, const char *name,
                              const char *otherwise)
{
	return variable(
		j->plan.opts.env, name,
		variable(msb_image_info(j->image)->env, name, otherwise));
}

static int check_command(struct job *j)
{
	if (*program(j))
		return 0;
	j->s.error = (struct msb_error){
		.code = MSB_ERR_INVALID,
		.message = "the image names no command to run",
		.hint = "give one: msb run IMAGE -- COMMAND"};
	return -MSB_ERR_INVALID;
}

static int create(struct job *j, const struct cli *cli)
{
	struct msb_sandbox_opts *o = &j->plan.opts;
	int r;

	/*
	 * Why a machine failed is told by its error; the log is for more. One
	 * in the background must not hold on to our terminal or pipe.
	 */
	if (cli->log_level && !j->detach) {
		o->log_fd = 2;
		o->log_level = cli->log_level;
	}
	r = msb_sandbox_create(j->s.home, o, &j->s.sandbox, &j->s.error);
	if (r < 0)
		return r;
	log_info("sandbox %s", msb_sandbox_name(j->s.sandbox));
	if (*msb_sandbox_warning(j->s.sandbox) && !j->quiet)
		out_note("warn: %s", msb_sandbox_warning(j->s.sandbox));
	return 0;
}

/* What the sandbox was made with holds for the command; TERM alone is here. */
static int start_exec(struct job *j)
{
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;
	const char *term = of_machine(j, "TERM", NULL);
	int r = session_opts(&j->s, &j->env, &o);

	if (r < 0)
		return r;
	if (term)
		o.env = NULL;
	o.flags |= MSB_EXEC_IMAGE_COMMAND | MSB_EXEC_MAIN;
	o.argv = j->argv;
	return msb_exec_start(j->s.sandbox, &o, &j->s.exec, &j->s.error);
}

static void write_times(const struct job *j, const char *path)
{
	const struct run_io_result *result = &j->s.result;
	struct msb_sandbox_times t = MSB_SANDBOX_TIMES_INIT;
	json_t *cleanup_json json = NULL;

	msb_sandbox_times(j->s.sandbox, &t);
	json = json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"begin_ns", (json_int_t)j->begin_ns, "image_ns",
		(json_int_t)j->image_ns, "create_ns", (json_int_t)t.create_ns,
		"launched_ns", (json_int_t)t.launched_ns, "spawn_ns",
		(json_int_t)t.spawn_ns, "init_ns", (json_int_t)t.init_ns,
		"ready_ns", (json_int_t)t.ready_ns, "started_ns",
		(json_int_t)result->started_ns, "first_output_ns",
		(json_int_t)result->first_output_ns, "exited_ns",
		(json_int_t)result->exited_ns, "end_ns",
		(json_int_t)clock_now_ns());
	if (!json || json_dump_file(json, path, JSON_INDENT(2)) < 0)
		out_errorf("", "cannot write %s", path);
}

/* Something that is written in it outlives it. */
static bool leaves_something(const struct msb_sandbox_opts *o)
{
	if (o->flags & MSB_SANDBOX_KEEP)
		return true;
	for (const struct msb_mount *const *m = o->mounts; m && *m; m++)
		if ((*m)->kind != MSB_MOUNT_TMPFS &&
		    !((*m)->flags & MSB_MOUNT_READ_ONLY))
			return true;
	return false;
}

/*
 * What was written in a kept sandbox or on a volume is to be whole: its machine
 * is shut down, not killed. A command that ended by itself is given to msb-vmm
 * for that, which writes its exit code down. Of any other sandbox nothing is
 * left, so its machine is killed with its handle.
 */
static void end_kept(struct job *j)
{
	if (!leaves_something(&j->plan.opts) || j->s.result.let_go)
		return;
	if (j->s.result.exited && msb_exec_detach(j->s.exec, NULL) == 0 &&
	    msb_sandbox_wait(j->s.sandbox, END_LIMIT_MS, NULL) == 0)
		return;
	msb_exec_free(j->s.exec); /* what still runs in it has to go */
	j->s.exec = NULL;
	(void)msb_sandbox_stop(j->s.sandbox, STOP_MS, NULL);
}

/* In the background: as soon as the command runs, both live without us. */
static int leave(struct job *j)
{
	int code = session_leave(&j->s);

	if (code != 0)
		return code;
	if (msb_sandbox_detach(j->s.sandbox, &j->s.error) < 0)
		return session_failed(&j->s);
	j->s.result.let_go = true;
	out_line(msb_sandbox_name(j->s.sandbox));
	return EXIT_OK;
}

/* The command was only killed: say by what. */
static void tell_of_limit(const struct job *j, int code)
{
	uint32_t limit_s = j->plan.opts.max_duration_s;
	struct msb_sandbox_times t = MSB_SANDBOX_TIMES_INIT;

	if (!limit_s || !j->s.result.exited || code <= EXIT_SIGNAL || j->quiet)
		return;
	msb_sandbox_times(j->s.sandbox, &t);
	if (clock_now_ns() - t.launched_ns >= limit_s * NS_PER_S)
		out_note("stopped: --max-duration of %u s is over", limit_s);
}

static int serve(struct job *j)
{
	int code;

	j->s.io.command = program(j);
	j->s.io.path = of_machine(j, "PATH", MSB_DEFAULT_PATH);
	code = j->detach ? leave(j) : session_serve(&j->s, true);
	tell_of_limit(j, code);
	end_kept(j);
	return code;
}

static int run(struct job *j, const struct cli *cli)
{
	if (get_image(j) < 0)
		return session_failed(&j->s);
	choose_command(j);
	if (check_command(j) < 0)
		return session_failed(&j->s);
	if (!j->detach)
		run_io_block_signals();
	if (create(j, cli) < 0 || start_exec(j) < 0)
		return session_failed(&j->s);
	return serve(j);
}

static int prepare(struct job *j, const struct cli *cli,
                   const struct run_values *v)
{
	struct err err = {0};
	int code = session_prepare(cli, &j->s, &v->session);

	if (code != 0)
		return code;
	if (create_plan_make(&v->create, cli->words[0], cli->tail, &j->plan,
	                     &err) == 0)
		return 0;
	if (!*err.hint)
		err_hint(&err, "run 'msb run --help'");
	out_err(&err);
	return EXIT_USAGE;
}

int cmd_run(struct cli *cli, void *values)
{
	const struct run_values *v = values;
	struct job j = {.begin_ns = clock_now_ns(),
	                .quiet = v->create.quiet,
	                .detach = v->session.detach,
	                .s.quiet = v->create.quiet,
	                .s.is_main = true};
	int code = prepare(&j, cli, v);

	if (code == 0) {
		code = run(&j, cli);
		msb_exec_free(j.s.exec);
		j.s.exec = NULL;
		if (v->times && j.s.sandbox)
			write_times(&j, v->times);
	}
	msb_sandbox_free(j.s.sandbox);
	j.s.sandbox = NULL;
	msb_image_free(j.image);
	session_release(&j.s);
	strv_release(&j.env);
	create_plan_release(&j.plan);
	return code;
}
