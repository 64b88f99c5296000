/* cmd_metrics.c - what sandboxes use: once, as a stream, on a live screen. */
#include <assert.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/num.h"
#include "cli/command.h"
#include "cli/metrics_source.h"
#include "cli/metrics_view.h"
#include "cli/out.h"
#include "cli/screen.h"
#include "forms/describe_json.h"

#include "base/banned.h"

COMMAND_DECLARE(metrics)

#define INTERVAL_MS     1000
#define INTERVAL_MIN_MS 100
#define INTERVAL_MAX_MS 3600000
#define ONCE_MS         500 /* between the two looks that make a rate */

static const char *const sorts[] = {"", "name", "cpu", "mem", NULL};

struct metrics_values {
	uint64_t interval_ms;
	struct strv labels;
	int32_t format, sort;
	bool watch, follow, all;
};
static_assert(sizeof(struct metrics_values) <= COMMAND_VALUES_MAX, "grow it");

#define FIELD(f) offsetof(struct metrics_values, f)
const struct opt cmd_metrics_opts[] = {
	OPT_ROW('w', "watch", NULL, OPT_FLAG, FIELD(watch),
                "A live view; n, c, m sort, q quits"),
	OPT_ROW('f', "follow", NULL, OPT_FLAG, FIELD(follow),
                "One line of JSON a sandbox and interval"),
	OPT_ROW(0, "interval", "DURATION", OPT_DURATION, FIELD(interval_ms),
                "Between two looks, 100ms or more [1s]"),
	OPT_ROW('a', "all", NULL, OPT_FLAG, FIELD(all),
                "Also sandboxes that do not run"),
	OPT_ROW_CHOICE(0, "sort", "COLUMN", FIELD(sort), "By name, cpu or mem",
                       sorts, NULL),
	OPT_ROW(0, "label", "KEY[=VALUE]", OPT_LIST, FIELD(labels),
                "Only those with this label (repeatable: with all)"),
	OPT_ROW_CHOICE(0, "format", "FORMAT", FIELD(format), "How to print",
                       opt_format_choices, NULL),
	{0},
};
#undef FIELD

/* What all three ways of showing share. */
struct session {
	struct metrics_model model;
	struct metrics_source source;
	struct msb_error error;
	enum metrics_sort sort;
	uint64_t interval_ns;
	bool utf8; /* what the terminal shows */
};

static int update(struct session *s)
{
	int r = metrics_source_update(&s->source, &s->error);

	metrics_model_sort(&s->model, s->sort);
	return r;
}

static void sleep_until(uint64_t ns)
{
	struct timespec ts = {.tv_sec = (time_t)(ns / NS_PER_S),
	                      .tv_nsec = (long)(ns % NS_PER_S)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) ==
	       EINTR)
		;
}

/* ---- JSON ---------------------------------------------------------------- */

/* With two digits behind the point. */
static json_t *percent(double p)
{
	return json_real((double)(int64_t)(MIN(p, 1e9) * 100 + 0.5) / 100);
}

/* Of one that does not run there is only name and state. */
static json_t *row_json(const struct metrics_row *row)
{
	const struct msb_metrics *m = &row->last;
	json_t *j = json_object();

	(void)json_object_set_new(j, "name", json_string(row->name));
	(void)json_object_set_new(j, "state", json_string(row->text));
	if (row->samples == 0 || row->state > METRICS_RUNNING)
		return j;
	describe_counters(m, j);
	(void)json_object_set_new(j, "cpu_percent",
	                          percent(row->now[METRICS_CPU]));
	return j;
}

/* ---- once ---------------------------------------------------------------- */

static int show_json(const struct session *s)
{
	json_t *list;

	if (s->source.name && s->model.n)
		return out_json(row_json(s->model.rows[0]));
	list = json_array();
	for (size_t i = 0; i < s->model.n; i++)
		(void)json_array_append_new(list, row_json(s->model.rows[i]));
	return out_json(list);
}

static int show_table(const struct session *s)
{
	struct strv cleanup_strv cells = {0};

	if (s->model.n == 0) {
		out_note("no sandbox %s",
		         s->source.all ? "is on record" : "runs");
		return EXIT_OK;
	}
	if (metrics_view_table(&cells, &s->model) < 0) {
		out_errorf("", "out of memory");
		return EXIT_FAILED;
	}
	out_table(&cells, METRICS_TABLE_COLUMNS);
	return EXIT_OK;
}

static int show_once(struct session *s, bool json)
{
	uint64_t begin = clock_now_ns();
	int r = update(s);

	if (r == 0 && s->model.n > 0) {
		sleep_until(begin + ONCE_MS * NS_PER_MS);
		r = update(s);
	}
	if (r < 0) {
		out_error(&s->error);
		return EXIT_FAILED;
	}
	return json ? show_json(s) : show_table(s);
}

/* ---- as a stream --------------------------------------------------------- */

/* A row has something to tell once there are rates, and at its end. */
static int put_lines(const struct session *s)
{
	for (size_t i = 0; i < s->model.n; i++) {
		const struct metrics_row *row = s->model.rows[i];
		json_t *cleanup_json j = NULL;

		if (row->samples < 2 && row->state <= METRICS_RUNNING)
			continue;
		j = row_json(row);
		if (!j ||
		    json_dumpf(j, stdout,
		               JSON_COMPACT | JSON_REAL_PRECISION(12)) < 0)
			return -EIO;
		(void)putchar('\n');
	}
	return fflush(stdout) == 0 ? 0 : -errno;
}

static bool has_ended(const struct session *s)
{
	return s->source.name && s->model.rows[0]->state == METRICS_EXITED;
}

static int follow(struct session *s)
{
	uint64_t next = clock_now_ns();
	int r = update(s);

	while (r == 0 && !has_ended(s)) {
		next = MAX(next + s->interval_ns, clock_now_ns());
		sleep_until(next);
		r = update(s);
		if (r == 0 && put_lines(s) < 0)
			return EXIT_FAILED; /* out_finish() says why */
	}
	if (r < 0)
		out_error(&s->error);
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}

/* ---- on a live screen ---------------------------------------------------- */

static bool is_utf8(void)
{
	locale_t l = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	bool yes = l && strcmp(nl_langinfo_l(CODESET, l), "UTF-8") == 0;

	if (l)
		freelocale(l);
	return yes;
}

static int draw(const struct session *s)
{
	struct metrics_style style = {.utf8 = s->utf8,
	                              .colour = *out_colour(1, OUT_BOLD),
	                              .sort = s->sort};
	struct buf cleanup_buf b = BUF_INIT;
	const struct metrics_row *row = NULL;
	int r;

	screen_size(&style.rows, &style.cols);
	if (s->source.name && s->model.n && s->model.rows[0]->sandbox)
		row = s->model.rows[0];
	r = s->source.name ? metrics_view_one(&b, row, &style)
	                   : metrics_view_all(&b, &s->model, &style);
	return r < 0 ? r : screen_draw(&b);
}

/* False: quit. */
static bool on_key(struct session *s, int key)
{
	static const struct {
		char key;
		enum metrics_sort sort;
	} keys[] = {
		{'n', METRICS_BY_NAME  },
		{'c', METRICS_BY_CPU   },
		{'m', METRICS_BY_MEMORY}
        };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].key == key)
			s->sort = keys[i].sort;
	metrics_model_sort(&s->model, s->sort);
	return key != 'q' && key != 'Q';
}

/* The exit code, or negative when the record or the terminal failed. */
static int watch_loop(struct session *s)
{
	uint64_t next = clock_now_ns();
	int r = 0, what = 0;

	while (r >= 0) {
		enum screen_event ev = screen_wait(next, &what);

		if (ev == SCREEN_SIGNAL)
			return EXIT_SIGNAL + what;
		if (ev == SCREEN_KEY && !on_key(s, what))
			return EXIT_OK;
		if (ev == SCREEN_TIME) {
			next = MAX(next + s->interval_ns, clock_now_ns());
			r = update(s);
		}
		if (r >= 0)
			r = draw(s);
	}
	return r;
}

static int watch(struct session *s)
{
	int r = update(s); /* an error belongs on the usual screen */

	s->utf8 = is_utf8();
	if (r == 0)
		r = screen_open();
	if (r == -ENOTTY) {
		out_errorf("msb metrics --follow is for pipes",
		           "--watch needs a terminal");
		return EXIT_FAILED;
	}
	if (r == 0)
		r = watch_loop(s);
	screen_close();
	if (r >= 0)
		return r;
	if (*s->error.message)
		out_error(&s->error);
	else
		out_errorf("", "cannot draw: %s", strerror(-r));
	return EXIT_FAILED;
}

/* ---- which one ----------------------------------------------------------- */

static const char *wrong_use(const struct cli *cli,
                             const struct metrics_values *v)
{
	if (v->watch && v->follow)
		return "--watch and --follow do not go together";
	if (v->watch && v->format)
		return "--watch and --format do not go together";
	if (cli->nwords && (v->all || v->labels.n))
		return "--all and --label are not for one sandbox";
	if (v->interval_ms && (v->interval_ms < INTERVAL_MIN_MS ||
	                       v->interval_ms > INTERVAL_MAX_MS))
		return "--interval is between 100ms and 1h";
	return NULL;
}

static int show(struct session *s, const struct metrics_values *v)
{
	if (v->watch)
		return watch(s);
	return v->follow ? follow(s) : show_once(s, v->format != 0);
}

int cmd_metrics(struct cli *cli, void *values)
{
	const struct metrics_values *v = values;
	const char *wrong = wrong_use(cli, v);
	struct session s = {
		.interval_ns = (v->interval_ms ? v->interval_ms : INTERVAL_MS) *
	                       NS_PER_MS,
		.sort = v->sort ? (enum metrics_sort)(v->sort - 1)
	                        : METRICS_BY_NAME,
	};
	int code = EXIT_FAILED;

	if (wrong) {
		out_errorf("run 'msb metrics --help'", "%s", wrong);
		return EXIT_USAGE;
	}
	s.source = (struct metrics_source){
		.name = cli->nwords ? cli->words[0] : NULL,
		.labels = (const char *const *)strv_list(&v->labels),
		.all = v->all,
		.model = &s.model};
	if (msb_home_open(NULL, &s.source.home, &s.error) < 0)
		out_error(&s.error);
	else
		code = show(&s, v);
	metrics_source_release(&s.source);
	metrics_model_release(&s.model);
	msb_home_free(s.source.home);
	return code;
}
