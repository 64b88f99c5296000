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
#include "cli/out.h"
#include "cli/progress.h"
#include "cli/run_io.h"
#include "cli/term.h"

#include "base/banned.h"

COMMAND_DECLARE(run)

struct run_values {
	struct strv env, rlimits;
	const char *name, *hostname, *workdir, *user, *entrypoint, *times;
	uint64_t memory, timeout_ms, boot_timeout_ms;
	uint32_t cpus;
	int32_t pull, engine, accel;
	bool tty, no_tty, no_stdin, quiet;
};
static_assert(sizeof(struct run_values) <= COMMAND_VALUES_MAX, "grow it");

#define BOOT_MAX_MS 3600000u

/* In the order of enum msb_pull_policy, msb_engine and msb_accel. */
static const char *const pull_choices[] = {"if-missing", "always", "never",
                                           NULL};
static const char *const engine_choices[] = {"", "auto", "kvm", "qemu", NULL};
static const char *const accel_choices[] = {"", "tcg", "kvm", "auto", NULL};

#define FIELD(f) offsetof(struct run_values, f)
const struct opt cmd_run_opts[] = {
	OPT_ROW('c', "cpus", "N", OPT_COUNT, FIELD(cpus), "Virtual CPUs (1)"),
	OPT_ROW('m', "memory", "SIZE", OPT_MEMORY, FIELD(memory),
                "Memory, as 512M or 2G; a bare number is MiB (512M)"),
	OPT_ROW('e', "env", "KEY[=VALUE]", OPT_ENV, FIELD(env),
                "Set a variable; without VALUE copy it from here (repeatable)"),
	OPT_ROW('w', "workdir", "DIR", OPT_STRING, FIELD(workdir),
                "Working folder, instead of the image's"),
	OPT_ROW('u', "user", "USER[:GROUP]", OPT_STRING, FIELD(user),
                "User by name or number, instead of the image's"),
	OPT_ROW(0, "entrypoint", "PROGRAM", OPT_STRING, FIELD(entrypoint),
                "Run PROGRAM instead of the image's ENTRYPOINT and CMD"),
	OPT_ROW('H', "hostname", "NAME", OPT_STRING, FIELD(hostname),
                "Host name inside (the sandbox's name)"),
	OPT_ROW('n', "name", "NAME", OPT_STRING, FIELD(name),
                "Name of the sandbox (msb- and 8 digits)"),
	OPT_ROW('t', "tty", NULL, OPT_FLAG, FIELD(tty),
                "Give the command a terminal, whatever we have here"),
	OPT_ROW(0, "no-tty", NULL, OPT_FLAG, FIELD(no_tty),
                "Give it none, even if there is one here"),
	OPT_ROW(0, "no-stdin", NULL, OPT_FLAG, FIELD(no_stdin),
                "Do not pass standard input on"),
	OPT_ROW(0, "timeout", "DURATION", OPT_DURATION, FIELD(timeout_ms),
                "Kill the command after this time, as 500ms, 30s or 5m"),
	OPT_ROW(0, "boot-timeout", "DURATION", OPT_DURATION,
                FIELD(boot_timeout_ms),
                "Give up when the machine is not ready by then (60s)"),
	OPT_ROW(0, "rlimit", "RESOURCE=SOFT[:HARD]", OPT_LIST, FIELD(rlimits),
                "Limit a resource, as nofile=1024:4096 (repeatable)"),
	OPT_ROW_CHOICE(0, "pull", "WHEN", FIELD(pull), "When to pull the image",
                       pull_choices, NULL),
	OPT_ROW_CHOICE(0, "engine", "ENGINE", FIELD(engine),
                       "What runs the machine: auto takes kvm where "
                       "hardware virtualization is real, else qemu",
                       engine_choices, "MSB_ENGINE"),
	OPT_ROW_CHOICE(0, "accel", "KIND", FIELD(accel),
                       "How the qemu engine runs the processor: tcg is "
                       "emulation, kvm uses /dev/kvm; either makes --engine "
                       "auto mean qemu",
                       accel_choices, "MSB_ACCEL"),
	OPT_ROW('q', "quiet", NULL, OPT_FLAG, FIELD(quiet),
                "No progress, no notes"),
	/* For tests/bench: moments of the run as JSON, CLOCK_MONOTONIC. */
	OPT_ROW(0, "times", "FILE", OPT_STRING, FIELD(times), NULL),
	{0},
};

/* One run: what is freed at its end. */
struct session {
	struct msb_home *home;
	struct msb_image *image;
	struct msb_sandbox *sandbox;
	struct msb_exec *exec;
	struct msb_error error;
	uint64_t begin_ns, image_ns;
	struct run_io_times times;
	bool tty, raw;
};

static int get_image(struct session *s, const struct run_values *v,
                     const char *reference)
{
	struct msb_pull_opts opts = MSB_PULL_OPTS_INIT;
	struct progress progress;
	int r = msb_home_open(NULL, &s->home, &s->error);

	if (r < 0)
		return r;
	progress_init(&progress, "Pulling", v->quiet);
	opts.policy = v->pull;
	opts.event = progress_event;
	opts.event_arg = &progress;
	r = msb_image_pull(s->home, reference, &opts, &s->image, &s->error);
	progress_end(&progress);
	if (r == 0 && progress.worked && progress.terminal && !v->quiet)
		out_done("Pulled", msb_image_info(s->image)->reference);
	s->image_ns = clock_now_ns();
	return r;
}

static int create(struct session *s, const struct cli *cli,
                  const struct run_values *v)
{
	struct msb_sandbox_opts opts = MSB_SANDBOX_OPTS_INIT;
	int r;

	opts.image = s->image;
	opts.name = v->name;
	opts.hostname = v->hostname;
	opts.cpus = v->cpus;
	opts.engine = v->engine;
	opts.accel = v->accel;
	opts.memory_bytes = v->memory;
	opts.boot_timeout_ms = (uint32_t)MIN(v->boot_timeout_ms, BOOT_MAX_MS);
	/* Why a machine failed is told by its error; the log is for more. */
	if (cli->log_level)
		opts.log_fd = 2;
	opts.log_level = cli->log_level;
	r = msb_sandbox_create(s->home, &opts, &s->sandbox, &s->error);
	if (r < 0)
		return r;
	log_info("sandbox %s", msb_sandbox_name(s->sandbox));
	if (*msb_sandbox_warning(s->sandbox) && !v->quiet)
		out_note("warn: %s", msb_sandbox_warning(s->sandbox));
	return 0;
}

static const char *const shell[] = {"/bin/sh", NULL};

/* The arguments, or a shell where a person waits and the image has nothing. */
static const char *const *arguments(const struct session *s,
                                    const struct cli *cli,
                                    const struct run_values *v)
{
	const struct msb_image_info *i = msb_image_info(s->image);

	if (cli->tail && *cli->tail)
		return (const char *const *)cli->tail;
	if (s->tty && !v->entrypoint && !*i->entrypoint && !*i->cmd)
		return shell;
	return NULL;
}

/* argv[0] as the library will compose it, for messages. */
static const char *program(const struct msb_image_info *i,
                           const struct run_values *v, const char *const *argv)
{
	if (v->entrypoint && *v->entrypoint)
		return v->entrypoint;
	if (!v->entrypoint && *i->entrypoint)
		return *i->entrypoint;
	if (argv)
		return *argv;
	return *i->cmd ? *i->cmd : "";
}

static const char *lookup_path(const struct msb_image_info *i,
                               const struct run_values *v)
{
	const char *path = MSB_DEFAULT_PATH;

	for (const char *const *e = i->env; *e; e++)
		if (strncmp(*e, "PATH=", 5) == 0)
			path = *e + 5;
	for (size_t n = 0; n < v->env.n; n++)
		if (strncmp(v->env.v[n], "PATH=", 5) == 0)
			path = v->env.v[n] + 5;
	return path;
}

/* TERM goes along with a terminal, unless the user or the image has set it. */
static int add_term(const struct session *s, struct run_values *v)
{
	const char *term = getenv("TERM");

	for (const char *const *e = msb_image_info(s->image)->env; *e; e++)
		if (strncmp(*e, "TERM=", 5) == 0)
			return 0;
	for (size_t n = 0; n < v->env.n; n++)
		if (strncmp(v->env.v[n], "TERM=", 5) == 0)
			return 0;
	if (!s->raw || !term || !*term)
		return 0;
	return strv_addf(&v->env, "TERM=%s", term);
}

static int start_exec(struct session *s, struct run_values *v,
                      const char *const *argv)
{
	struct msb_exec_opts opts = MSB_EXEC_OPTS_INIT;

	if (add_term(s, v) < 0) {
		s->error = (struct msb_error){.message = "out of memory"};
		return -MSB_ERR_NO_MEMORY;
	}
	opts.flags = MSB_EXEC_IMAGE_COMMAND | (s->tty ? MSB_EXEC_TTY : 0u) |
	             (v->no_stdin ? 0u : MSB_EXEC_STDIN);
	opts.argv = argv;
	opts.env = (const char *const *)strv_list(&v->env);
	opts.rlimits = (const char *const *)strv_list(&v->rlimits);
	opts.entrypoint = v->entrypoint;
	opts.cwd = v->workdir;
	opts.user = v->user;
	if (s->tty)
		(void)term_size(1, &opts.rows, &opts.cols);
	return msb_exec_start(s->sandbox, &opts, &s->exec, &s->error);
}

static int check_command(struct session *s, const struct run_values *v,
                         const char *const *argv)
{
	if (*program(msb_image_info(s->image), v, argv))
		return 0;
	s->error = (struct msb_error){
		.code = MSB_ERR_INVALID,
		.message = "the image names no command to run",
		.hint = "give one: msb run IMAGE -- COMMAND"};
	return -MSB_ERR_INVALID;
}

static void write_times(const struct session *s, const char *path)
{
	struct msb_sandbox_times t = MSB_SANDBOX_TIMES_INIT;
	json_t *cleanup_json j = NULL;

	msb_sandbox_times(s->sandbox, &t);
	j = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
	              "begin_ns", (json_int_t)s->begin_ns, "image_ns",
	              (json_int_t)s->image_ns, "create_ns",
	              (json_int_t)t.create_ns, "launched_ns",
	              (json_int_t)t.launched_ns, "spawn_ns",
	              (json_int_t)t.spawn_ns, "init_ns", (json_int_t)t.init_ns,
	              "ready_ns", (json_int_t)t.ready_ns, "started_ns",
	              (json_int_t)s->times.started_ns, "first_output_ns",
	              (json_int_t)s->times.first_output_ns, "exited_ns",
	              (json_int_t)s->times.exited_ns, "end_ns",
	              (json_int_t)clock_now_ns());
	if (!j || json_dump_file(j, path, JSON_INDENT(2)) < 0)
		out_errorf("", "cannot write %s", path);
}

static int run(struct session *s, const struct cli *cli, struct run_values *v)
{
	const struct msb_image_info *i;
	struct run_io_opts io = {.timeout_ms = v->timeout_ms,
	                         .use_stdin = !v->no_stdin};
	const char *const *argv;

	if (get_image(s, v, cli->words[0]) < 0)
		goto failed;
	i = msb_image_info(s->image);
	argv = arguments(s, cli, v);
	if (check_command(s, v, argv) < 0)
		goto failed;
	run_io_block_signals();
	if (create(s, cli, v) < 0 || start_exec(s, v, argv) < 0)
		goto failed;
	io.command = program(i, v, argv);
	io.path = lookup_path(i, v);
	io.tty = s->tty;
	io.raw = s->raw;
	return run_io(s->sandbox, s->exec, &io, &s->times);
failed:
	out_error(&s->error);
	if (s->sandbox)
		out_console(msb_sandbox_console(s->sandbox));
	return EXIT_MSB;
}

static int usage(const char *message)
{
	out_errorf("run 'msb run --help'", "%s", message);
	return EXIT_USAGE;
}

int cmd_run(struct cli *cli, void *values)
{
	struct run_values *v = values;
	struct session s = {.begin_ns = clock_now_ns()};
	bool terminals = isatty(0) && isatty(1);
	int code;

	if (cli->nwords < 1)
		return usage("an image is missing");
	if (v->tty && v->no_tty)
		return usage("--tty and --no-tty exclude each other");
	if (v->engine == MSB_ENGINE_KVM && v->accel == MSB_ACCEL_TCG)
		return usage("--engine kvm (or MSB_ENGINE) and --accel tcg (or "
		             "MSB_ACCEL) exclude each other: the kvm engine "
		             "always runs on KVM, tcg is the qemu engine's");
	s.tty = v->tty || (terminals && !v->no_tty && !v->no_stdin);
	s.raw = s.tty && isatty(0) && !v->no_stdin;
	code = run(&s, cli, v);
	msb_exec_free(s.exec);
	if (v->times && s.sandbox)
		write_times(&s, v->times);
	msb_sandbox_free(s.sandbox);
	msb_image_free(s.image);
	msb_home_free(s.home);
	return code;
}
