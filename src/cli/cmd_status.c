#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "cli/command.h"
#include "cli/out.h"
#include "cli/targets.h"
#include "forms/describe.h"
#include "forms/describe_json.h"
#include "forms/describe_net.h"

#include "base/banned.h"

COMMAND_DECLARE(status)

#define IMAGE_COLUMNS   36
#define COMMAND_COLUMNS 40
#define COLUMNS         7

struct status_values {
	struct strv labels;
	int32_t format; /* index into opt_format_choices */
	bool all, quiet;
};
static_assert(sizeof(struct status_values) <= COMMAND_VALUES_MAX, "grow it");

#define FIELD(f) offsetof(struct status_values, f)
const struct opt cmd_status_opts[] = {
	OPT_ROW('a', "all", NULL, OPT_FLAG, FIELD(all),
                "Also those that do not run"),
	DESCRIBE_LIST_OPTS(FIELD(labels), FIELD(format), FIELD(quiet)),
	{0},
};

/* What is shown, row by row. */
struct view {
	const struct status_values *v;
	struct strv cells;
	json_t *array;
	size_t shown;
	int r;
};

static const char *cell(struct buf *b)
{
	return b->len ? buf_str(b) : "-";
}

static int add_row(struct strv *cells, const struct msb_sandbox_info *i,
                   const json_t *published)
{
	struct buf cleanup_buf command = BUF_INIT,
			       cleanup_buf status = BUF_INIT,
			       cleanup_buf ports = BUF_INIT;
	size_t image = strlen(i->image);
	char memory[32];
	int r = strv_add(cells, i->name);

	describe_argv(i->command, COMMAND_COLUMNS, &command);
	describe_status(i, &status);
	describe_ports_text(published, &ports);
	/* The end of a reference tells more than its registry. */
	if (r == 0 && image > IMAGE_COLUMNS)
		r = strv_addf(cells, "...%s",
		              i->image + image - (IMAGE_COLUMNS - 3));
	else if (r == 0)
		r = strv_add(cells, i->image);
	if (r == 0)
		r = strv_add(cells, cell(&command));
	if (r == 0)
		r = strv_addf(cells, "%u", (unsigned)i->cpus);
	if (r == 0)
		r = strv_add(cells, num_format_size(i->memory_bytes, memory,
		                                    sizeof(memory)));
	if (r == 0)
		r = strv_add(cells, cell(&status));
	return r < 0 ? r : strv_add(cells, cell(&ports));
}

static void show_one(struct view *w, struct msb_home *home,
                     const struct msb_sandbox_info *i)
{
	json_t *cleanup_json ports =
		w->v->quiet ? NULL : describe_ports(home, i);

	w->shown++;
	if (w->v->format)
		(void)json_array_append_new(w->array,
		                            describe_sandbox_row(i, ports));
	else if (w->v->quiet)
		out_line(i->name);
	else if (w->r == 0)
		w->r = add_row(&w->cells, i, ports);
}

static int begin(struct view *w)
{
	static const char *const head[] = {"NAME", "IMAGE",  "COMMAND", "CPUS",
	                                   "MEM",  "STATUS", "PORTS",   NULL};

	if (w->v->format)
		w->array = json_array();
	return strv_add_all(&w->cells, (char *const *)(uintptr_t)head);
}

static int show_all(struct view *w, struct msb_home *home,
                    struct msb_error *error)
{
	const char *const *labels =
		(const char *const *)strv_list(&w->v->labels);
	struct msb_sandbox_list *list = NULL;
	int r = msb_sandbox_list(home, labels, &list, error);

	for (size_t k = 0; r == 0 && k < msb_sandbox_list_count(list); k++) {
		const struct msb_sandbox_info *i =
			msb_sandbox_list_get(list, k);

		if (w->v->all || describe_is_running(i))
			show_one(w, home, i);
	}
	msb_sandbox_list_free(list);
	return r;
}

static int show_named(struct view *w, struct msb_home *home, const char *name,
                      struct msb_error *error)
{
	struct msb_sandbox_info *info = NULL;
	int r = msb_sandbox_inspect(home, name, &info, error);

	if (r == 0)
		show_one(w, home, info);
	msb_sandbox_info_free(info);
	return r;
}

static int finish(struct view *w, bool named)
{
	json_t *one;

	if (w->v->format && named) {
		one = json_incref(json_array_get(w->array, 0));
		json_decref(w->array);
		return out_json(one);
	}
	if (w->v->format)
		return out_json(w->array);
	if (w->v->quiet)
		return EXIT_OK;
	if (w->shown)
		out_table(&w->cells, COLUMNS);
	else
		out_note(w->v->all ? "No sandboxes found."
		                   : "No running sandboxes.");
	return EXIT_OK;
}

int cmd_status(struct cli *cli, void *values)
{
	struct view w = {.v = values};
	struct msb_home *home = NULL;
	struct msb_error error;
	const char *name = cli->words[0];
	int code = EXIT_FAILED, r = msb_home_open(NULL, &home, &error);

	w.r = begin(&w);
	if (r == 0)
		r = name ? show_named(&w, home, name, &error)
		         : show_all(&w, home, &error);
	if (r == 0)
		code = finish(&w, name != NULL);
	else
		out_error(&error);
	if (r < 0)
		json_decref(w.array);
	strv_release(&w.cells);
	msb_home_free(home);
	return code;
}
