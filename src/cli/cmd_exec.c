/* msb exec and msb shell: a command in a sandbox that runs. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "cli/command.h"
#include "cli/out.h"
#include "cli/session.h"

#include "base/banned.h"

COMMAND_DECLARE(exec)
COMMAND_DECLARE(shell)

struct exec_values {
	struct session_values session;
	struct strv env, rlimits;
	const char *workdir, *user, *script;
	bool quiet, stream;
};
static_assert(sizeof(struct exec_values) <= COMMAND_VALUES_MAX, "grow it");

#define FIELD(f) offsetof(struct exec_values, f)
#define COMMON_OPTS                                                            \
	OPT_ROW('e', "env", "KEY[=VALUE]", OPT_ENV, FIELD(env),                \
	        "Set a variable; without VALUE copy it from here "             \
	        "(repeatable)"),                                               \
		OPT_ROW('w', "workdir", "DIR", OPT_STRING, FIELD(workdir),     \
	                "Working folder, instead of the sandbox's"),           \
		OPT_ROW('u', "user", "USER[:GROUP]", OPT_STRING, FIELD(user),  \
	                "User by name or number, instead of the sandbox's"),   \
		SESSION_OPTS(FIELD(session))                                   \
			OPT_ROW(0, "rlimit", "RESOURCE=SOFT[:HARD]", OPT_LIST, \
	                        FIELD(rlimits),                                \
	                        "Limit a resource, as nofile=1024:4096 "       \
	                        "(repeatable)"),                               \
		OPT_ROW('q', "quiet", NULL, OPT_FLAG, FIELD(quiet),            \
	                "No notes"),

const struct opt cmd_exec_opts[] = {
	COMMON_OPTS OPT_ROW('d', "detach", NULL, OPT_FLAG,
                            FIELD(session.detach),
                            "Leave it running in the background and print "
                            "its session number"),
	/* The Rust msb collects output without it; ours always passes it on. */
	OPT_ROW(0, "stream", NULL, OPT_FLAG, FIELD(stream),
                "Pass output on as it comes (it always does)"),
	{0},
};

const struct opt cmd_shell_opts[] = {
	COMMON_OPTS OPT_ROW('c', "command", "SCRIPT", OPT_STRING, FIELD(script),
                            "Run SCRIPT by the shell, as sh -c does"),
	{0},
};
#undef FIELD

static int start(struct session *s, struct exec_values *v, uint32_t flags,
                 const char *const *argv)
{
	struct msb_exec_opts o = MSB_EXEC_OPTS_INIT;
	int r = session_opts(s, &v->env, &o);

	if (r < 0)
		return r;
	o.flags |= flags;
	o.argv = argv;
	o.rlimits = (const char *const *)strv_list(&v->rlimits);
	o.cwd = v->workdir;
	o.user = v->user;
	return msb_exec_start(s->sandbox, &o, &s->exec, &s->error);
}

static int leave(struct session *s)
{
	int code = session_leave(s);

	if (code == 0)
		(void)printf("%" PRIu64 "\n", msb_exec_session(s->exec));
	return code;
}

static int run(struct session *s, const char *name, struct exec_values *v,
               uint32_t flags, const char *const *argv)
{
	int code = session_open(s, name);

	if (code != 0)
		return code;
	if (!v->session.detach)
		run_io_block_signals();
	if (start(s, v, flags, argv) < 0)
		return session_failed(s);
	return v->session.detach ? leave(s) : session_serve(s, false);
}

static int run_and_release(struct cli *cli, struct exec_values *v,
                           uint32_t flags, const char *const *argv)
{
	struct session s = {.quiet = v->quiet};
	int code = session_prepare(cli, &s, &v->session);

	if (code != 0)
		return code;
	s.io.command = flags & MSB_EXEC_SHELL ? "the sandbox's shell" : *argv;
	code = run(&s, cli->words[0], v, flags, argv);
	session_release(&s);
	return code;
}

/* Without a command: the shell, where a person sits. */
int cmd_exec(struct cli *cli, void *values)
{
	struct exec_values *v = values;
	bool person = isatty(0) && isatty(1);

	if (cli->tail && *cli->tail)
		return run_and_release(cli, v, 0,
		                       (const char *const *)cli->tail);
	if (!person && !v->session.tty) {
		out_errorf("give one: msb exec NAME -- COMMAND; without a "
		           "terminal no shell is started",
		           "there is no command to run");
		return EXIT_USAGE;
	}
	return run_and_release(cli, v, MSB_EXEC_SHELL, NULL);
}

/* Arguments behind the script are the script's. */
static int script_list(struct strv *list, const char *script, char *const *tail)
{
	int r = strv_add(list, script);

	return r < 0 ? r : strv_add_all(list, tail);
}

int cmd_shell(struct cli *cli, void *values)
{
	struct strv cleanup_strv list = {0};
	struct exec_values *v = values;
	const char *const *argv = (const char *const *)cli->tail;

	if (v->script) {
		if (script_list(&list, v->script, cli->tail) < 0) {
			out_errorf("", "out of memory");
			return EXIT_MSB;
		}
		argv = (const char *const *)strv_list(&list);
	}
	return run_and_release(cli, v, MSB_EXEC_SHELL, argv);
}
