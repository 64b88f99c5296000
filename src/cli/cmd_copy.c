/*
 * cmd_copy.c - msb cp: files between here and sandboxes.
 *
 * SANDBOX:PATH is in a sandbox; what begins with "." or "/", or has no name of
 * a sandbox before its first colon, is here; "-" is a tar stream.
 */
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "cli/command.h"
#include "cli/out.h"
#include "cli/session.h"
#include "cli/targets.h"

#include "base/banned.h"

COMMAND_DECLARE(copy)

struct copy_values {
	bool archive, follow, quiet;
};
static_assert(sizeof(struct copy_values) <= COMMAND_VALUES_MAX, "grow it");

#define FIELD(f) offsetof(struct copy_values, f)
const struct opt cmd_copy_opts[] = {
	OPT_ROW('a', "archive", NULL, OPT_FLAG, FIELD(archive),
                "Keep owners, set-id bits and file capabilities"),
	OPT_ROW('L', "follow-link", NULL, OPT_FLAG, FIELD(follow),
                "Copy what SOURCE links to, not the link"),
	OPT_ROW('q', "quiet", NULL, OPT_FLAG, FIELD(quiet),
                "Say nothing on success"),
	{0},
};
#undef FIELD

/* One side of a copy. */
struct endpoint {
	const char *text;
	char sandbox[MSB_NAME_MAX + 1]; /* "": here */
	const char *path;
	bool stream;
	struct session session;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signo)
{
	interrupted = signo;
}

static void endpoint_parse(const char *text, struct endpoint *e)
{
	static const char inside[] = "abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789._-";
	size_t len = strspn(text, inside);
	bool drive = len == 1 && text[1] == ':' && text[2] == '\\';

	*e = (struct endpoint){.text = text, .path = text};
	e->stream = strcmp(text, "-") == 0;
	if (len == 0 || len > MSB_NAME_MAX || text[len] != ':' ||
	    strchr("._-", *text) || drive)
		return;
	memcpy(e->sandbox, text, len);
	e->path = text + len + 1;
}

static int check(const struct endpoint *from, const struct endpoint *to)
{
	const char *what = NULL, *hint = "";

	if (!*from->sandbox && !*to->sandbox) {
		what = "neither side is in a sandbox";
		hint = "write it as SANDBOX:PATH";
	} else if (!*from->path || !*to->path) {
		what = "a sandbox's side needs a path";
		hint = "as in box:/tmp";
	} else if (to->stream && isatty(1)) {
		what = "a tar stream is not for a terminal";
		hint = "send it to a file or a program";
	} else if (from->stream && isatty(0)) {
		what = "a tar stream does not come from a terminal";
		hint = "as in tar c DIR | msb cp - SANDBOX:PATH";
	}
	if (what)
		out_errorf(hint, "%s", what);
	return what ? EXIT_USAGE : EXIT_OK;
}

static int endpoint_open(struct endpoint *e)
{
	struct session *s = &e->session;
	int r = msb_home_open(NULL, &s->home, &s->error);

	if (r == 0)
		r = msb_sandbox_open(s->home, e->sandbox, &s->sandbox,
		                     &s->error);
	if (r == -MSB_ERR_GONE && !*s->error.hint)
		(void)snprintf(s->error.hint, sizeof(s->error.hint),
		               "msb start %s starts it", e->sandbox);
	if (r < 0)
		out_error(&s->error);
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}

struct watcher {
	bool show;
	uint64_t files, bytes;
};

static int watch(void *arg, const struct msb_copy_event *ev)
{
	struct watcher *w = arg;
	char text[256], size[32];

	w->files = ev->files;
	w->bytes = ev->bytes;
	(void)snprintf(text, sizeof(text), "%llu files, %s  %.50s",
	               (unsigned long long)ev->files,
	               num_format_size(ev->bytes, size, sizeof(size)),
	               ev->path);
	if (w->show)
		targets_progress("Copying", text);
	return interrupted != 0;
}

static int transfer(const struct endpoint *from, const struct endpoint *to,
                    const struct msb_copy_opts *o, struct msb_error *error)
{
	struct msb_sandbox *a = from->session.sandbox, *b = to->session.sandbox;

	if (a && b)
		return msb_copy_across(a, from->path, b, to->path, o, error);
	if (from->stream)
		return msb_copy_in_tar(b, 0, to->path, o, error);
	if (to->stream)
		return msb_copy_out_tar(a, from->path, 1, o, error);
	if (a)
		return msb_copy_out(a, from->path, to->path, o, error);
	return msb_copy_in(b, from->path, to->path, o, error);
}

/* What a copy out has begun is taken back; the guest takes back its own. */
static void catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal};

	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

static int copy(const struct copy_values *v, const struct endpoint *from,
                const struct endpoint *to)
{
	struct watcher w = {.show = !v->quiet};
	struct msb_copy_opts o = MSB_COPY_OPTS_INIT;
	struct msb_error error = {0};
	char text[512];
	int r;

	o.flags = (v->archive ? MSB_COPY_OWNER : 0) |
	          (v->follow ? MSB_COPY_FOLLOW : 0);
	o.event = watch;
	o.event_arg = &w;
	if (!from->stream)
		catch_signals();
	r = transfer(from, to, &o, &error);
	if (w.show)
		targets_progress(NULL, NULL);
	if (interrupted)
		return EXIT_SIGNAL + interrupted;
	if (r == -MSB_ERR_PERMISSION && v->archive && !to->session.sandbox &&
	    geteuid() && !*error.hint)
		(void)snprintf(error.hint, sizeof(error.hint),
		               "only root may give files to others here: leave "
		               "--archive out");
	if (r < 0) {
		out_error(&error);
		return EXIT_FAILED;
	}
	(void)snprintf(text, sizeof(text), "%.200s → %.200s", from->text,
	               to->text);
	if (!v->quiet && !to->stream)
		out_done("Copied", text);
	return EXIT_OK;
}

int cmd_copy(struct cli *cli, void *values)
{
	struct endpoint from, to;
	int code;

	endpoint_parse(cli->words[0], &from);
	endpoint_parse(cli->words[1], &to);
	code = check(&from, &to);
	if (code == 0 && *from.sandbox)
		code = endpoint_open(&from);
	if (code == 0 && *to.sandbox)
		code = endpoint_open(&to);
	if (code == 0)
		code = copy(values, &from, &to);
	session_release(&from.session);
	session_release(&to.session);
	return code;
}
