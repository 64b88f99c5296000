#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/out.h"

#include "base/banned.h"

COMMAND_DECLARE(doctor)

struct doctor_values {
	int32_t format;
	bool fix, yes;
};
static_assert(sizeof(struct doctor_values) <= COMMAND_VALUES_MAX, "grow it");

const struct opt cmd_doctor_opts[] = {
	OPT_ROW_CHOICE(0, "format", "FORMAT",
                       offsetof(struct doctor_values, format), "How to print",
                       opt_format_choices, NULL),
	OPT_ROW(0, "fix", NULL, OPT_FLAG, offsetof(struct doctor_values, fix),
                "Bring back what the record of sandboxes has lost"),
	OPT_ROW('y', "yes", NULL, OPT_FLAG, offsetof(struct doctor_values, yes),
                "Do not ask"),
	{0},
};

static const struct {
	const char *name, *mark;
	enum out_colour colour;
} statuses[] = {
	[MSB_CHECK_OK] = {"ok",   "✓", OUT_GREEN },
	[MSB_CHECK_INFO] = {"info", "-",   OUT_DIM   },
	[MSB_CHECK_WARN] = {"warn", "!",   OUT_YELLOW},
	[MSB_CHECK_FAIL] = {"fail", "✗", OUT_RED   },
};

static void show_check(const struct msb_check *c)
{
	(void)printf(
		"   %s%s%s %-11s ", out_colour(1, statuses[c->status].colour),
		statuses[c->status].mark, out_colour(1, OUT_PLAIN), c->name);
	out_line(c->message);
	if (*c->fix) {
		(void)printf("                 → ");
		out_line(c->fix);
	}
}

static int show_json(const struct msb_report *report, bool ok)
{
	json_t *checks = json_array();

	for (size_t i = 0; i < msb_report_count(report); i++) {
		const struct msb_check *c = msb_report_get(report, i);

		(void)json_array_append_new(
			checks,
			json_pack("{s:s, s:s, s:s, s:s}", "name", c->name,
		                  "status", statuses[c->status].name, "message",
		                  c->message, "fix", c->fix));
	}
	return out_json(
		json_pack("{s:b, s:o}", "ok", (int)ok, "checks", checks));
}

static bool all_well(const struct msb_report *report)
{
	for (size_t i = 0; i < msb_report_count(report); i++)
		if (msb_report_get(report, i)->status == MSB_CHECK_FAIL)
			return false;
	return true;
}

static void show_each(const char *verb, char *const *list)
{
	for (; *list; list++)
		out_done(verb, *list);
}

/* First what would be done; at a terminal people may say no to it. */
static int fix(bool yes)
{
	struct msb_error error;
	char **list = NULL;
	bool go = yes || !isatty(0) || !isatty(2);
	int r = msb_repair(NULL, 1, &list, &error);

	if (r == 0 && !go && *list) {
		for (char **p = list; *p; p++)
			out_note("%s", *p);
		go = out_confirm("Repair this?");
	}
	if (r == 0 && go && *list) {
		msb_strings_free(list);
		list = NULL;
		r = msb_repair(NULL, 0, &list, &error);
		if (r == 0)
			show_each("Repaired", list);
	}
	msb_strings_free(list);
	if (r < 0)
		out_error(&error);
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}

int cmd_doctor(struct cli *cli, void *values)
{
	const struct doctor_values *v = values;
	struct msb_report *report;
	struct msb_error error;
	bool ok;

	(void)cli;
	if (v->fix && fix(v->yes) != EXIT_OK)
		return EXIT_FAILED;
	if (msb_doctor(NULL, &report, &error) < 0) {
		out_error(&error);
		return EXIT_FAILED;
	}
	ok = all_well(report);
	if (v->format) {
		if (show_json(report, ok) != EXIT_OK)
			ok = false;
	} else {
		for (size_t i = 0; i < msb_report_count(report); i++)
			show_check(msb_report_get(report, i));
		(void)printf("\n%s\n", ok ? "Sandboxes can run here."
		                          : "Sandboxes cannot run here yet.");
	}
	msb_report_free(report);
	return ok ? EXIT_OK : EXIT_FAILED;
}
