#include "cli/targets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/escape.h"
#include "cli/out.h"

#include "base/banned.h"

static bool has(const struct strv *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], name) == 0)
			return true;
	return false;
}

static int add_once(struct strv *list, const char *name,
                    struct msb_error *error)
{
	if (has(list, name) || strv_add(list, name) == 0)
		return 0;
	*error = (struct msb_error){.code = MSB_ERR_NO_MEMORY,
	                            .message = "out of memory"};
	return -MSB_ERR_NO_MEMORY;
}

int targets_of_labels(struct msb_home *home, const struct strv *labels,
                      struct strv *ret, struct msb_error *error)
{
	struct msb_sandbox_list *list = NULL;
	int r = msb_sandbox_list(home, (const char *const *)strv_list(labels),
	                         &list, error);

	if (r < 0)
		return r;
	if (msb_sandbox_list_count(list) == 0)
		out_note("warn: no sandbox has %s",
		         labels->n == 1 ? labels->v[0] : "all these labels");
	for (size_t i = 0; r == 0 && i < msb_sandbox_list_count(list); i++)
		r = add_once(ret, msb_sandbox_list_get(list, i)->name, error);
	msb_sandbox_list_free(list);
	return r;
}

void targets_progress(const char *word, const char *name)
{
	struct buf cleanup_buf b = BUF_INIT;

	if (!isatty(2))
		return;
	if (word && escape_text(&b, name, strlen(name), 0) == 0)
		(void)fprintf(stderr, "\r\033[K   %s%-14s%s %s",
		              out_colour(2, OUT_DIM), word,
		              out_colour(2, OUT_PLAIN), buf_str(&b));
	else
		(void)fputs("\r\033[K", stderr);
	(void)fflush(stderr);
}

int targets_one(struct msb_home *home, const struct targets *what,
                const char *name)
{
	struct target t = {.home = home, .name = name, .values = what->values};
	char text[MSB_NAME_MAX + sizeof(t.extra) + 2];
	int r;

	if (what->busy && !what->quiet)
		targets_progress(what->busy, name);
	r = what->act(&t);
	if (what->busy && !what->quiet)
		targets_progress(NULL, NULL);
	(void)snprintf(text, sizeof(text), "%.*s%s%s", MSB_NAME_MAX, name,
	               *t.extra ? " " : "", t.extra);
	if (r < 0) {
		out_error(&t.error);
		if (t.console)
			out_console(t.console);
	} else if (*t.note) {
		if (!what->quiet)
			out_note("%s", t.note);
	} else if (!what->quiet) {
		out_done(what->verb, text);
	}
	free(t.console);
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}

static int run_all(struct msb_home *home, const struct cli *cli,
                   const struct targets *what)
{
	struct strv cleanup_strv names = {0};
	struct msb_error error;
	int code = EXIT_OK, r = 0;

	for (char **w = cli->words; *w && r == 0; w++)
		r = add_once(&names, *w, &error);
	if (r == 0 && what->labels->n)
		r = targets_of_labels(home, what->labels, &names, &error);
	if (r < 0) {
		out_error(&error);
		return EXIT_FAILED;
	}
	for (size_t i = 0; i < names.n; i++)
		if (targets_one(home, what, names.v[i]) != EXIT_OK)
			code = EXIT_FAILED;
	return code;
}

int targets_run(const struct cli *cli, const struct targets *what)
{
	struct msb_home *home = NULL;
	struct msb_error error;
	int code;

	if (cli->nwords == 0 && what->labels->n == 0) {
		out_errorf("give names, or --label KEY=VALUE",
		           "no sandbox is named");
		return EXIT_USAGE;
	}
	if (msb_home_open(NULL, &home, &error) < 0) {
		out_error(&error);
		return EXIT_FAILED;
	}
	code = run_all(home, cli, what);
	msb_home_free(home);
	return code;
}

static void take_console(struct target *t, struct msb_sandbox *s)
{
	free(t->console);
	t->console = strdup(msb_sandbox_console(s));
}

/* From the start of @s, which returned @r; takes the handle. */
static int bring_up(struct target *t, struct msb_sandbox *s, int r)
{
	if (r == 0)
		r = msb_sandbox_wait_ready(s, -1, &t->error);
	if (r == 0)
		r = msb_sandbox_run_main(s, &t->error);
	if (r == 0)
		r = msb_sandbox_detach(s, &t->error);
	if (r < 0 && s)
		take_console(t, s);
	msb_sandbox_free(s);
	return r;
}

int targets_start(struct target *t)
{
	struct msb_sandbox *s = NULL;
	int r = msb_sandbox_start(t->home, t->name, NULL, &s, &t->error);

	return bring_up(t, s, r);
}

int targets_stop(struct target *t, uint32_t timeout_ms)
{
	struct msb_sandbox *s = NULL;
	int r = msb_sandbox_open(t->home, t->name, &s, &t->error);

	if (r == -MSB_ERR_GONE)
		return 1;
	if (r == 0)
		r = msb_sandbox_stop(s, timeout_ms, &t->error);
	msb_sandbox_free(s);
	return r;
}

bool targets_is_running(const struct target *t)
{
	struct msb_sandbox *s = NULL;
	bool runs = msb_sandbox_open(t->home, t->name, &s, NULL) == 0 &&
	            msb_sandbox_wait_ready(s, -1, NULL) == 0;

	msb_sandbox_free(s);
	return runs;
}

int targets_restart(struct target *t, uint32_t timeout_ms)
{
	struct msb_sandbox *s = NULL;
	int r = msb_sandbox_restart(t->home, t->name, timeout_ms, NULL, &s,
	                            &t->error);

	r = bring_up(t, s, r);
	return r == -MSB_ERR_BUSY && targets_is_running(t) ? 0 : r;
}
