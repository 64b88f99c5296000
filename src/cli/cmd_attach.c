/* msb attach: a command that was let go of is joined again. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "cli/command.h"
#include "cli/out.h"
#include "cli/session.h"

#include "base/banned.h"

COMMAND_DECLARE(attach)

struct attach_values {
	struct session_values session;
	const char *number;
	bool quiet;
};
static_assert(sizeof(struct attach_values) <= COMMAND_VALUES_MAX, "grow it");

#define FIELD(f) offsetof(struct attach_values, f)
const struct opt cmd_attach_opts[] = {
	OPT_ROW(0, "session", "NUMBER", OPT_STRING, FIELD(number),
                "Which command, as exec --detach printed it (the main one, "
                "else the only one)"),
	SESSION_KEYS(FIELD(session))
		OPT_ROW(0, "no-stdin", NULL, OPT_FLAG, FIELD(session.no_stdin),
                        "Do not pass standard input on"),
	OPT_ROW('q', "quiet", NULL, OPT_FLAG, FIELD(quiet), "No notes"),
	{0},
};
#undef FIELD

/* The machine of a main command ends with it: see that through. */
#define END_LIMIT_MS 15000

static int attach(struct session *s, const char *name, uint64_t number)
{
	int code = session_open(s, name);

	if (code != 0)
		return code;
	run_io_block_signals();
	if (msb_exec_attach(s->sandbox, number, &s->exec, &s->error) < 0)
		return session_failed(s);
	s->io.command = name;
	s->io.tty = msb_exec_is_tty(s->exec);
	s->io.raw = s->io.tty && isatty(0) && s->io.use_stdin;
	s->io.taken_back = s->io.leave = true;
	code = session_serve(s, false);
	if (s->result.exited && msb_exec_detach(s->exec, NULL) == 0)
		(void)msb_sandbox_wait(s->sandbox, END_LIMIT_MS, NULL);
	return code;
}

int cmd_attach(struct cli *cli, void *values)
{
	struct attach_values *v = values;
	struct session s = {.quiet = v->quiet, .is_main = !v->number};
	uint64_t number = 0;
	int code;

	if (v->number &&
	    (!num_parse_u64(v->number, INT64_MAX, &number) || number == 0)) {
		out_errorf("msb exec --detach prints it",
		           "'%s' is no session number", v->number);
		return EXIT_USAGE;
	}
	code = session_prepare(cli, &s, &v->session);
	if (code == 0)
		code = attach(&s, cli->words[0], number);
	session_release(&s);
	return code;
}
