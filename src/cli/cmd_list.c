#include <assert.h>

#include "cli/command.h"
#include "cli/out.h"
#include "cli/targets.h"
#include "forms/describe.h"

#include "base/banned.h"

COMMAND_DECLARE(list)

struct list_values {
	struct strv labels;
	int32_t format; /* index into opt_format_choices */
	bool running, stopped, quiet;
};
static_assert(sizeof(struct list_values) <= COMMAND_VALUES_MAX, "grow it");

#define FIELD(f) offsetof(struct list_values, f)
const struct opt cmd_list_opts[] = {
	OPT_ROW(0, "running", NULL, OPT_FLAG, FIELD(running),
                "Only those that run"),
	OPT_ROW(0, "stopped", NULL, OPT_FLAG, FIELD(stopped),
                "Only those that do not"),
	DESCRIBE_LIST_OPTS(FIELD(labels), FIELD(format), FIELD(quiet)),
	{0},
};

static bool is_wanted(const struct list_values *v,
                      const struct msb_sandbox_info *i)
{
	if (v->running == v->stopped)
		return true;
	return describe_is_running(i) == v->running;
}

static json_t *as_json(const struct msb_sandbox_info *i)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:s, s:o}", "name", i->name,
	                 "id", i->id, "status", describe_state(i), "created_at",
	                 describe_time(i->created_unix), "image", i->image,
	                 "labels", describe_pairs(i->labels));
}

static int add_row(struct strv *cells, const struct msb_sandbox_info *i)
{
	char time[32];
	int r = strv_add(cells, i->name);

	if (r == 0)
		r = strv_add(cells, i->image);
	if (r == 0)
		r = strv_add(cells, describe_state(i));
	if (r == 0)
		r = strv_add(cells, out_time(i->created_unix, time));
	return r;
}

static int add_head(struct strv *cells)
{
	static const char *const head[] = {"NAME", "IMAGE", "STATUS", "CREATED",
	                                   NULL};

	return strv_add_all(cells, (char *const *)(uintptr_t)head);
}

static int show(const struct list_values *v, const struct msb_sandbox_list *all)
{
	struct strv cleanup_strv cells = {0};
	json_t *array = v->format ? json_array() : NULL;
	size_t shown = 0;
	int r = add_head(&cells);

	for (size_t k = 0; r == 0 && k < msb_sandbox_list_count(all); k++) {
		const struct msb_sandbox_info *i = msb_sandbox_list_get(all, k);

		if (!is_wanted(v, i))
			continue;
		shown++;
		if (v->format)
			(void)json_array_append_new(array, as_json(i));
		else if (v->quiet)
			out_line(i->name);
		else
			r = add_row(&cells, i);
	}
	if (v->format)
		return out_json(array);
	if (!v->quiet && shown == 0)
		out_note("No sandboxes found.");
	else if (!v->quiet)
		out_table(&cells, 4);
	return EXIT_OK;
}

int cmd_list(struct cli *cli, void *values)
{
	const struct list_values *v = values;
	struct msb_sandbox_list *all = NULL;
	struct msb_home *home = NULL;
	struct msb_error error;
	int code = EXIT_FAILED, r = msb_home_open(NULL, &home, &error);

	(void)cli;
	if (r == 0)
		r = msb_sandbox_list(home,
		                     (const char *const *)strv_list(&v->labels),
		                     &all, &error);
	if (r < 0)
		out_error(&error);
	else
		code = show(v, all);
	msb_sandbox_list_free(all);
	msb_home_free(home);
	return code;
}
