#include "cli/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/out.h"
#include "cli/term.h"

#include "base/banned.h"

static int usage(const struct cli *cli, const char *message)
{
	char hint[128];

	(void)snprintf(hint, sizeof(hint), "run '%s --help'", cli->path);
	out_errorf(hint, "%s", message);
	return EXIT_USAGE;
}

static int check(const struct cli *cli, const struct session_values *v)
{
	if (v->tty && v->no_tty)
		return usage(cli, "--tty and --no-tty exclude each other");
	if (v->interactive && v->no_stdin)
		return usage(cli,
		             "--interactive and --no-stdin exclude each other");
	if (v->detach && v->timeout_ms)
		return usage(
			cli,
			"--detach and --timeout exclude each other: nobody "
			"would be here to look at the clock");
	return 0;
}

/*
 * A terminal where a person sits on both ends. Who detaches at once sits
 * elsewhere: there only what was asked for.
 */
int session_prepare(const struct cli *cli, struct session *s,
                    const struct session_values *v)
{
	const char *keys = v->detach_keys ? v->detach_keys : KEYS_DEFAULT;
	bool terminals = isatty(0) && isatty(1) && !v->detach && !v->no_stdin;
	struct err err = {0};

	if (check(cli, v) != 0)
		return EXIT_USAGE;
	if (keys_parse(keys, &s->io.keys, &err) < 0) {
		out_err(&err);
		return EXIT_USAGE;
	}
	s->io.tty = v->tty || (terminals && !v->no_tty);
	s->io.use_stdin = !v->no_stdin;
	if (v->detach)
		s->io.use_stdin = v->interactive || v->tty;
	s->io.raw = s->io.tty && isatty(0) && !v->no_stdin && !v->detach;
	s->io.timeout_ms = v->timeout_ms;
	return 0;
}

static bool has_term(const struct strv *env)
{
	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], "TERM=", 5) == 0)
			return true;
	return false;
}

int session_opts(struct session *s, struct strv *env, struct msb_exec_opts *o)
{
	const char *term = getenv("TERM");

	if (s->io.raw && term && *term && !has_term(env) &&
	    strv_addf(env, "TERM=%s", term) < 0) {
		s->error = (struct msb_error){.code = MSB_ERR_NO_MEMORY,
		                              .message = "out of memory"};
		return -MSB_ERR_NO_MEMORY;
	}
	if (s->io.tty)
		o->flags |= MSB_EXEC_TTY;
	if (s->io.use_stdin)
		o->flags |= MSB_EXEC_STDIN;
	if (s->io.tty)
		(void)term_size(1, &o->rows, &o->cols);
	o->env = (const char *const *)strv_list(env);
	return 0;
}

int session_failed(const struct session *s)
{
	out_error(&s->error);
	if (s->sandbox)
		out_console(msb_sandbox_console(s->sandbox));
	return EXIT_MSB;
}

/* The cursor may be anywhere in a line. */
static void say_how_to_return(const struct session *s)
{
	char text[64] = "";

	if (s->quiet)
		return;
	if (!s->is_main)
		(void)snprintf(text, sizeof(text), " --session %llu",
		               (unsigned long long)msb_exec_session(s->exec));
	(void)fputc('\n', stderr);
	out_note("detached; msb attach%s %s takes it back", text,
	         msb_sandbox_name(s->sandbox));
}

int session_serve(struct session *s, bool machine_too)
{
	int code = run_io(s->sandbox, s->exec, &s->io, &s->result);

	if (!s->result.let_go)
		return code;
	if (msb_exec_detach(s->exec, &s->error) < 0 ||
	    (machine_too && msb_sandbox_detach(s->sandbox, &s->error) < 0))
		return session_failed(s);
	say_how_to_return(s);
	return EXIT_OK;
}

int session_leave(struct session *s)
{
	struct msb_exec_event ev = MSB_EXEC_EVENT_INIT;

	if (msb_exec_next(s->exec, -1, &ev, &s->error) < 0)
		return session_failed(s);
	if (ev.kind == MSB_EXEC_FAILED)
		return run_io_explain(&s->io, &ev);
	if (msb_exec_detach(s->exec, &s->error) < 0)
		return session_failed(s);
	return 0;
}

int session_open(struct session *s, const char *name)
{
	int r = msb_home_open(NULL, &s->home, &s->error);

	if (r == 0)
		r = msb_sandbox_open(s->home, name, &s->sandbox, &s->error);
	if (r == -MSB_ERR_GONE && !*s->error.hint)
		(void)snprintf(s->error.hint, sizeof(s->error.hint),
		               "msb start %s starts it", name);
	return r < 0 ? session_failed(s) : 0;
}

void session_release(struct session *s)
{
	msb_exec_free(s->exec);
	msb_sandbox_free(s->sandbox);
	msb_home_free(s->home);
}
