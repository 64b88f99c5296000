#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "cli/command.h"
#include "cli/log_lines.h"
#include "cli/log_show.h"
#include "cli/log_time.h"
#include "cli/out.h"

#include "base/banned.h"

COMMAND_DECLARE(logs)

struct logs_values {
	const char *tail, *since, *until, *grep, *session;
	struct strv sources;
	bool follow, timestamps, json, no_color, show_id, color_sessions, raw;
	int32_t format, color;
};
static_assert(sizeof(struct logs_values) <= COMMAND_VALUES_MAX, "grow it");

enum { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER };
static const char *const colour_choices[] = {"auto", "always", "never", NULL};

#define FIELD(f) offsetof(struct logs_values, f)
#define FLAG(letter, name, field, help)                                        \
	OPT_ROW(letter, name, NULL, OPT_FLAG, FIELD(field), help)
#define TEXT(name, value, field, help)                                         \
	OPT_ROW(0, name, value, OPT_STRING, FIELD(field), help)

const struct opt cmd_logs_opts[] = {
	FLAG('f', "follow", follow, "Go on until the sandbox ends"),
	OPT_ROW('n', "tail", "N", OPT_STRING, FIELD(tail),
                "Only the last N lines (with --grep: of those it finds)"),
	TEXT("since", "TIME", since,
             "Only from then on: 10m (ago), 2026-01-31T12:00:00Z, 2026-01-31"),
	TEXT("until", "TIME", until, "Only up to then"),
	OPT_ROW(0, "source", "SOURCE", OPT_LIST, FIELD(sources),
                "stdout, stderr, output (of terminals), console (kernel), "
                "system, all; with commas or repeated [default: "
                "stdout,stderr,output]"),
	TEXT("session", "ID", session, "Only of this command"),
	TEXT("grep", "REGEX", grep,
             "Only lines that match (extended regular expression)"),
	FLAG('t', "timestamps", timestamps, "Put the time before each line"),
	FLAG(0, "show-id", show_id, "Put the number of the command before it"),
	FLAG(0, "raw", raw, "Also on a terminal the bytes as they are: unsafe"),
	OPT_ROW_CHOICE(0, "color", "WHEN", FIELD(color), "Whether to colour",
                       colour_choices, NULL),
	FLAG(0, "no-color", no_color, "The same as --color never"),
	FLAG(0, "color-sessions", color_sessions, "A colour for each command"),
	FLAG(0, "json", json, "The same as --format json"),
	OPT_ROW_CHOICE(0, "format", "FORMAT", FIELD(format),
                       "How to print; json: an object a line",
                       opt_format_choices, NULL),
	{0},
};

/* ---- options --------------------------------------------------------------
 */

static const struct {
	const char *name;
	uint32_t bits;
} source_names[] = {
	{"stdout",  MSB_LOG_STDOUT },
        {"stderr",  MSB_LOG_STDERR },
	{"output",  MSB_LOG_OUTPUT },
        {"console", MSB_LOG_CONSOLE},
	{"kernel",  MSB_LOG_CONSOLE},
        {"system",  MSB_LOG_SYSTEM },
	{"all",     MSB_LOG_ALL    },
};

static int add_source(const char *name, size_t len, uint32_t *bits)
{
	for (size_t i = 0; i < ARRAY_SIZE(source_names); i++) {
		if (strlen(source_names[i].name) != len ||
		    memcmp(source_names[i].name, name, len) != 0)
			continue;
		*bits |= source_names[i].bits;
		return 0;
	}
	out_errorf("stdout, stderr, output, console, kernel, system or all",
	           "--source: '%.*s' is no source", (int)MIN(len, 64), name);
	return EXIT_USAGE;
}

static int parse_sources(const struct strv *list, uint32_t *ret)
{
	int r = 0;

	for (size_t i = 0; i < list->n; i++) {
		for (const char *p = list->v[i]; r == 0; p++) {
			size_t n = strcspn(p, ",");

			r = add_source(p, n, ret);
			p += n;
			if (!*p)
				break;
		}
	}
	return r;
}

static int parse_time(const char *name, const char *text, int64_t *ret)
{
	int64_t now = (int64_t)(clock_unix_ns() / NS_PER_MS);

	if (!text || log_time_parse(text, now, ret))
		return 0;
	out_errorf("as 10m, 2h, 2026-01-31T12:00:00Z or 2026-01-31",
	           "--%s: '%s' is no time", name, text);
	return EXIT_USAGE;
}

static int parse_number(const char *name, const char *text, uint64_t *ret)
{
	if (!text || num_parse_u64(text, UINT64_MAX, ret))
		return 0;
	out_errorf("", "--%s: '%s' is no number", name, text);
	return EXIT_USAGE;
}

static int parse_opts(const struct logs_values *v, struct msb_log_opts *o,
                      uint64_t *tail)
{
	bool all = !v->tail || strcmp(v->tail, "all") == 0;
	int r = parse_sources(&v->sources, &o->sources);

	if (r == 0)
		r = parse_time("since", v->since, &o->since_ms);
	if (r == 0)
		r = parse_time("until", v->until, &o->until_ms);
	if (r == 0)
		r = parse_number("session", v->session, &o->session);
	if (r == 0)
		r = parse_number("tail", all ? NULL : v->tail, tail);
	o->follow = v->follow;
	return r;
}

/* ---- what is shown --------------------------------------------------------
 */

struct view {
	struct log_show show;
	struct log_lines lines;
	regex_t regex;
	bool has_regex;
	uint32_t sources;
	uint64_t found, skip; /* lines that match; not shown of them */
	bool counting;
};

static bool matches(const struct view *v, const struct log_piece *p)
{
	regmatch_t range = {.rm_so = 0, .rm_eo = (regoff_t)p->len};

	return !v->has_regex ||
	       regexec(&v->regex, p->data, 1, &range, REG_STARTEND) == 0;
}

static void on_piece(void *arg, const struct log_piece *p)
{
	struct view *v = arg;

	if (!(v->sources & (uint32_t)p->source) || !matches(v, p))
		return;
	v->found += p->begins || v->has_regex;
	if (!v->counting && v->found > v->skip)
		log_show_piece(&v->show, p);
}

static bool wants_colour(const struct logs_values *v, int fd)
{
	if (v->no_color || v->color == COLOUR_NEVER)
		return false;
	return v->color == COLOUR_ALWAYS || *out_colour(fd, OUT_DIM);
}

static int view_init(struct view *view, const struct logs_values *v,
                     uint32_t bits)
{
	char text[128];
	int r;

	*view = (struct view){
		.sources = bits,
		.lines = {.give = on_piece,                   .arg = view},
		.show = { .json = v->json || v->format == 1,
	                  .timestamps = v->timestamps,
	                  .show_id = v->show_id,
	                  .colour_sessions = v->color_sessions,
	                  .raw = v->raw,
	                  .labels = (bits & (bits - 1)) != 0,
	                  .colour = {wants_colour(v, 1), wants_colour(v, 2)},
	                  .terminal = {isatty(1), isatty(2)},
	                  .line = BUF_INIT}
        };
	if (!v->grep)
		return 0;
	r = regcomp(&view->regex, v->grep, REG_EXTENDED);
	if (r == 0) {
		view->has_regex = true;
		return 0;
	}
	(void)regerror(r, &view->regex, text, sizeof(text));
	out_errorf("", "--grep: '%s': %s", v->grep, text);
	return EXIT_USAGE;
}

static void view_release(struct view *view)
{
	log_show_release(&view->show);
	if (view->has_regex)
		regfree(&view->regex);
}

/* ---- reading --------------------------------------------------------------
 */

/*
 * Wait for more. False when nobody reads what we print any more: poll() tells,
 * while the logs are silent, where a write would.
 */
static bool wait_more(struct msb_logs *logs, struct view *v)
{
	struct pollfd fds[] = {
		{.fd = msb_logs_fd(logs), .events = POLLIN},
		{.fd = STDOUT_FILENO,     .events = 0     },
	};
	/* A pattern is for whole lines, as far as there are any. */
	bool idle = v->lines.n > 0 && !v->has_regex;
	int n;

	log_show_flush(&v->show);
	n = poll(fds, ARRAY_SIZE(fds), idle ? LOG_IDLE_MS : -1);
	if (n == 0)
		log_lines_flush(&v->lines);
	return !(fds[1].revents & (POLLERR | POLLNVAL));
}

/* The marks of a command's end, by whoever had it then. */
static bool says_end(const struct msb_log_entry *e)
{
	static const char *const ends[] = {"exited ", "ended"};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t len = strlen(ends[i]);

		if (e->len >= len && memcmp(e->data, ends[i], len) == 0)
			return true;
	}
	return false;
}

/* Marks are looked at also where nobody wants to see them. */
static void on_entry(struct view *v, const struct msb_log_entry *e)
{
	if (e->source == MSB_LOG_SYSTEM && e->session && says_end(e))
		log_lines_close(&v->lines, e->session);
	log_lines_add(&v->lines, e);
}

/* All that there is and, following, that comes. */
static int read_all(struct msb_home *home, const char *name,
                    const struct msb_log_opts *o, struct view *v)
{
	struct msb_log_entry e = MSB_LOG_ENTRY_INIT;
	struct msb_logs *logs = NULL;
	struct msb_error error;
	int r = msb_logs_open(home, name, o, &logs, &error);
	bool unread = false;

	while (r >= 0 && !unread && !ferror(stdout)) {
		r = msb_logs_next(logs, 0, &e, &error);
		if (r > 0)
			on_entry(v, &e);
		else if (r == 0 && msb_logs_ended(logs))
			break;
		else if (r == 0)
			unread = !wait_more(logs, v);
	}
	log_lines_end(&v->lines);
	msb_logs_free(logs);
	if (r < 0)
		out_error(&error);
	return r < 0 ? EXIT_FAILED : unread ? EXIT_SIGNAL + SIGPIPE : EXIT_OK;
}

/* The last lines, of those that are shown at all: count them before. */
static int read_tail(struct msb_home *home, const char *name,
                     const struct msb_log_opts *o, uint64_t lines,
                     struct view *v)
{
	struct msb_log_opts past = *o;
	int r;

	past.follow = 0;
	v->counting = true;
	r = read_all(home, name, &past, v);
	v->counting = false;
	v->skip = v->found > lines ? v->found - lines : 0;
	v->found = 0;
	return r;
}

/* @tail: so many lines of the past; UINT64_MAX: all. */
static int show_logs(const char *name, const struct logs_values *values,
                     struct msb_log_opts *o, uint64_t tail)
{
	struct view v;
	struct msb_home *home;
	struct msb_error error;
	int r = view_init(&v, values,
	                  o->sources ? o->sources : MSB_LOG_COMMANDS);

	if (r != 0)
		return r;
	o->sources = v.sources | MSB_LOG_SYSTEM;
	if (msb_home_open(NULL, &home, &error) < 0) {
		out_error(&error);
		view_release(&v);
		return EXIT_FAILED;
	}
	if (tail != UINT64_MAX)
		r = read_tail(home, name, o, tail, &v);
	if (r == 0)
		r = read_all(home, name, o, &v);
	msb_home_free(home);
	view_release(&v);
	return r;
}

/* What is buffered goes with us; a terminal gets its colour back. */
static void on_interrupt(int signal)
{
	static const char plain[] = "\033[0m";

	if (isatty(STDOUT_FILENO))
		(void)!write(STDOUT_FILENO, plain, sizeof(plain) - 1);
	_exit(EXIT_SIGNAL + signal);
}

int cmd_logs(struct cli *cli, void *values)
{
	const struct logs_values *v = values;
	struct sigaction sa = {.sa_handler = on_interrupt};
	struct msb_log_opts o = MSB_LOG_OPTS_INIT;
	uint64_t tail = UINT64_MAX;
	int r = parse_opts(v, &o, &tail);

	if (r != 0)
		return r;
	(void)sigaction(SIGINT, &sa, NULL);
	r = show_logs(cli->words[0], v, &o, tail);
	return r == EXIT_SIGNAL + SIGPIPE ? r : out_finish(r);
}
