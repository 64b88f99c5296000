#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/num.h"
#include "cli/command.h"
#include "cli/create_image.h"
#include "cli/out.h"
#include "cli/targets.h"
#include "forms/create_opts.h"

#include "base/banned.h"

COMMAND_DECLARE(create)

struct created_values {
	struct create_values create; /* first: CREATE_OPTS */
	bool no_start;
};
static_assert(sizeof(struct created_values) <= COMMAND_VALUES_MAX, "grow it");
static_assert(offsetof(struct created_values, create) == 0, "CREATE_OPTS");

const struct opt cmd_create_opts[] = {
	CREATE_OPTS OPT_ROW(0, "no-start", NULL, OPT_FLAG,
                            offsetof(struct created_values, no_start),
                            "Only put it on record"),
	{0},
};

/* One creation: what is freed at its end. */
struct creation {
	struct create_plan plan;
	struct msb_home *home;
	struct msb_image *image;
	struct msb_sandbox *sandbox;
	struct msb_error error;
	bool made;     /* it is on record, by us */
	char name[16]; /* made up when the user gave none */
};

/* Ours and not the library's: of one that is not started we get no handle. */
static int make_name(struct creation *c)
{
	uint32_t n;

	if (c->plan.opts.name)
		return 0;
	if (getrandom(&n, sizeof(n), 0) != sizeof(n)) {
		c->error = (struct msb_error){
			.code = MSB_ERR_IO,
			.message = "the host gives no random numbers"};
		return -MSB_ERR_IO;
	}
	(void)snprintf(c->name, sizeof(c->name), "msb-%08x", n);
	c->plan.opts.name = c->name;
	return 0;
}

#define LOOK_MS 100 /* how late an interrupt may be seen */

/*
 * Who is stopped before the name was printed leaves nothing. A second signal
 * ends us at once: --replace may take its time.
 */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int signo)
{
	interrupted = signo;
}

static void catch_interrupts(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction sa = {.sa_handler = on_interrupt,
	                       .sa_flags = (int)SA_RESETHAND},
			 old;

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (sigaction(signals[i], NULL, &old) == 0 &&
		    old.sa_handler != SIG_IGN)
			(void)sigaction(signals[i], &sa, NULL);
}

static int wait_ready(struct creation *c)
{
	while (!interrupted) {
		int r = msb_sandbox_wait_ready(c->sandbox, LOOK_MS, &c->error);

		/* READY: it got so since then. */
		if (r == 0 || msb_sandbox_state(c->sandbox) > MSB_STATE_READY)
			return r;
	}
	return -MSB_ERR_CANCELLED;
}

/* Until it lives without us. */
static int boot(struct creation *c, bool quiet)
{
	int r;

	if (*msb_sandbox_warning(c->sandbox) && !quiet)
		out_note("warn: %s", msb_sandbox_warning(c->sandbox));
	if (!quiet)
		targets_progress("Starting", c->plan.opts.name);
	r = wait_ready(c);
	if (r == 0)
		r = msb_sandbox_detach(c->sandbox, &c->error);
	if (!quiet)
		targets_progress(NULL, NULL);
	return r;
}

static int create(struct creation *c, const struct cli *cli,
                  const struct created_values *v)
{
	struct msb_sandbox_opts *opts = &c->plan.opts;
	int r = msb_home_open(NULL, &c->home, &c->error);

	if (r == 0)
		r = make_name(c);
	if (r == 0)
		r = create_plan_image(&c->plan, c->home, v->create.quiet,
		                      &c->image, &c->error);
	if (r < 0)
		return r;
	opts->flags |= MSB_SANDBOX_KEEP;
	if (v->no_start)
		opts->flags |= MSB_SANDBOX_NO_START;
	opts->log_fd = cli->log_level ? 2 : 0;
	opts->log_level = cli->log_level;
	catch_interrupts();
	r = msb_sandbox_create(c->home, opts, &c->sandbox, &c->error);
	c->made = r == 0;
	if (r == 0 && interrupted)
		return -MSB_ERR_CANCELLED;
	if (r == 0 && !v->no_start)
		r = boot(c, v->create.quiet);
	return r;
}

static void take_back(struct creation *c)
{
	msb_sandbox_free(c->sandbox);
	c->sandbox = NULL;
	(void)msb_sandbox_remove(c->home, c->plan.opts.name, MSB_REMOVE_FORCE,
	                         NULL);
}

/*
 * One that did not come up stays, for its logs and another try, unless nobody
 * could know its name. The exit code.
 */
static int failed(struct creation *c)
{
	if (interrupted) {
		if (c->made)
			take_back(c);
		return EXIT_SIGNAL + interrupted;
	}
	out_error(&c->error);
	if (!c->sandbox)
		return EXIT_FAILED;
	out_console(msb_sandbox_console(c->sandbox));
	if (*c->name)
		take_back(c);
	return EXIT_FAILED;
}

int cmd_create(struct cli *cli, void *values)
{
	const struct created_values *v = values;
	struct creation c = {0};
	struct err err = {0};
	int code = EXIT_OK;

	if (create_plan_make(&v->create, cli->words[0], NULL, &c.plan, &err) <
	    0) {
		if (!*err.hint)
			err_hint(&err, "run 'msb create --help'");
		out_err(&err);
		return EXIT_USAGE;
	}
	if (create(&c, cli, v) < 0)
		code = failed(&c);
	else
		out_line(c.plan.opts.name);
	msb_sandbox_free(c.sandbox);
	msb_image_free(c.image);
	msb_home_free(c.home);
	create_plan_release(&c.plan);
	return code;
}
