#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/num.h"
#include "cli/command.h"
#include "cli/out.h"
#include "forms/describe.h"
#include "forms/describe_json.h"

#include "base/banned.h"

COMMAND_DECLARE(image_list)
COMMAND_DECLARE(image_inspect)
COMMAND_DECLARE(image_remove)
COMMAND_DECLARE(image_prune)

struct image_values {
	int32_t format; /* index into opt_format_choices */
	bool quiet, force, yes, all;
};
static_assert(sizeof(struct image_values) <= COMMAND_VALUES_MAX, "grow it");

#define FIELD(f) offsetof(struct image_values, f)
#define FORMAT_OPT                                                             \
	OPT_ROW_CHOICE(0, "format", "FORMAT", FIELD(format), "How to print",   \
	               opt_format_choices, NULL)
#define QUIET_OPT(help)                                                        \
	OPT_ROW('q', "quiet", NULL, OPT_FLAG, FIELD(quiet), help)

const struct opt cmd_image_list_opts[] = {
	FORMAT_OPT,
	QUIET_OPT("Print references only"),
	{0},
};

const struct opt cmd_image_inspect_opts[] = {
	FORMAT_OPT,
	{0},
};

const struct opt cmd_image_remove_opts[] = {
	OPT_ROW('f', "force", NULL, OPT_FLAG, FIELD(force),
                "Also images that sandboxes use, and no matter "
                "whether they are here"),
	QUIET_OPT("Say nothing on success"),
	{0},
};

const struct opt cmd_image_prune_opts[] = {
	OPT_ROW('a', "all", NULL, OPT_FLAG, FIELD(all), "Remove every image"),
	OPT_ROW('y', "yes", NULL, OPT_FLAG, FIELD(yes), "Do not ask"),
	FORMAT_OPT,
	QUIET_OPT("Say nothing on success"),
	{0},
};

static int fail(const struct msb_error *e)
{
	out_error(e);
	return EXIT_FAILED;
}

static int list_json(struct msb_image *const *list, size_t n)
{
	json_t *all = json_array();

	for (size_t k = 0; k < n; k++)
		if (json_array_append_new(
			    all, describe_image(msb_image_info(list[k]))) < 0) {
			json_decref(all);
			return out_json(NULL);
		}
	return out_json(all);
}

static void list_table(struct msb_image *const *list, size_t n)
{
	struct strv cleanup_strv cells = {0};
	int r = strv_add(&cells, "REFERENCE");

	if (r == 0)
		r = strv_add(&cells, "DIGEST");
	if (r == 0)
		r = strv_add(&cells, "SIZE");
	if (r == 0)
		r = strv_add(&cells, "CREATED");
	for (size_t k = 0; k < n && r == 0; k++) {
		const struct msb_image_info *i = msb_image_info(list[k]);
		char text[32];

		r = strv_add(&cells, i->reference);
		if (r == 0)
			r = strv_addn(&cells, i->id, 19);
		if (r == 0)
			r = strv_add(&cells,
			             num_format_size(i->size_bytes, text,
			                             sizeof(text)));
		if (r == 0)
			r = strv_add(&cells, out_time(i->created_unix, text));
	}
	out_table(&cells, 4);
}

int cmd_image_list(struct cli *cli, void *values)
{
	const struct image_values *v = values;
	struct msb_home *home = NULL;
	struct msb_image **list = NULL;
	struct msb_error error;
	size_t n = 0;
	int code = EXIT_OK, r = msb_home_open(NULL, &home, &error);

	(void)cli;
	if (r == 0)
		r = msb_image_list(home, &list, &n, &error);
	if (r < 0)
		code = fail(&error);
	else if (v->format)
		code = list_json(list, n);
	else if (v->quiet)
		for (size_t k = 0; k < n; k++)
			out_line(msb_image_info(list[k])->reference);
	else if (n == 0)
		out_note("No images found.");
	else
		list_table(list, n);
	msb_image_list_free(list, n);
	msb_home_free(home);
	return code;
}

static void field(const char *name, const char *value)
{
	char text[2048];

	(void)snprintf(text, sizeof(text), "%-12s %s", name, value);
	out_line(text);
}

static void field_list(const char *name, const char *const *list)
{
	for (; list && *list; list++, name = "")
		field(name, *list);
}

static void field_argv(const char *name, const char *const *list)
{
	json_t *cleanup_json a = describe_list((const char *const *)list);
	cleanup_free char *text = json_dumps(a, 0);

	if (list && *list && text)
		field(name, text);
}

static void inspect_text(const struct msb_image_info *i)
{
	char text[32];

	field("Reference", i->reference);
	field("Digest", i->id);
	field("Platform", i->platform);
	field("Size", num_format_size(i->size_bytes, text, sizeof(text)));
	field("Created", out_time(i->created_unix, text));
	field("Pulled", out_time(i->pulled_unix, text));
	field_argv("Entrypoint", i->entrypoint);
	field_argv("Cmd", i->cmd);
	if (*i->workdir)
		field("Workdir", i->workdir);
	if (*i->user)
		field("User", i->user);
	if (*i->stop_signal)
		field("Stop signal", i->stop_signal);
	field_list("Environment", i->env);
	field_list("Layers", i->layers);
}

int cmd_image_inspect(struct cli *cli, void *values)
{
	const struct image_values *v = values;
	struct msb_home *home = NULL;
	struct msb_image *image = NULL;
	struct msb_error error;
	int code = EXIT_OK, r = msb_home_open(NULL, &home, &error);

	if (r == 0)
		r = msb_image_open(home, cli->words[0], &image, &error);
	if (r < 0)
		code = fail(&error);
	else if (v->format)
		code = out_json(describe_image_whole(msb_image_info(image)));
	else
		inspect_text(msb_image_info(image));
	msb_image_free(image);
	msb_home_free(home);
	return code;
}

#define USERS_SHOWN 5

static void complain(const char *ref, char *const *users)
{
	struct buf cleanup_buf text = BUF_INIT;
	size_t n = 0;

	for (; users[n]; n++)
		if (n < USERS_SHOWN)
			(void)buf_printf(&text, "%s%s", n ? ", " : "",
			                 users[n]);
	if (n > USERS_SHOWN)
		(void)buf_printf(&text, " and %zu more", n - USERS_SHOWN);
	out_errorf("remove them first with msb rm, or take the name away all "
	           "the same with -f: they keep what they were made of",
	           "image %s is in use by sandbox%s %s", ref,
	           n == 1 ? "" : "es", buf_str(&text));
}

/* 1: yes, and it was said. */
static int is_used(struct msb_home *home, const char *ref,
                   struct msb_error *error)
{
	char **users = NULL;
	int r = msb_image_users(home, ref, &users, error);

	if (r == 0 && users[0]) {
		complain(ref, users);
		r = 1;
	}
	msb_strings_free(users);
	return r;
}

static int remove_all(struct msb_home *home, const struct image_values *v,
                      char *const *refs)
{
	struct msb_error error;
	int code = EXIT_OK;

	for (; *refs; refs++) {
		int r = v->force ? 0 : is_used(home, *refs, &error);

		if (r > 0) {
			code = EXIT_FAILED;
			continue;
		}
		if (r == 0)
			r = msb_image_remove(home, *refs, &error);
		if (r == -MSB_ERR_NOT_FOUND && v->force)
			continue;
		if (r < 0)
			code = fail(&error);
		else if (!v->quiet)
			out_done("Removed", *refs);
	}
	return code;
}

/* Removing the names, then what only they needed. */
int cmd_image_remove(struct cli *cli, void *values)
{
	struct msb_home *home = NULL;
	struct msb_error error;
	uint64_t freed;
	uint32_t names;
	int code;

	if (msb_home_open(NULL, &home, &error) < 0)
		return fail(&error);
	code = remove_all(home, values, cli->words);
	if (msb_image_prune(home, 0, &freed, &names, &error) < 0)
		code = fail(&error);
	msb_home_free(home);
	return code;
}

static int prune(const struct image_values *v)
{
	struct msb_home *home = NULL;
	struct msb_error error;
	uint64_t freed = 0;
	uint32_t names = 0;
	char text[96], size[32];
	int r = msb_home_open(NULL, &home, &error);

	if (r == 0)
		r = msb_image_prune(home, v->all, &freed, &names, &error);
	msb_home_free(home);
	if (r < 0)
		return fail(&error);
	if (v->format)
		return out_json(json_pack("{s:i, s:I}", "image_refs_removed",
		                          (int)names, "bytes_reclaimed",
		                          (json_int_t)freed));
	(void)snprintf(text, sizeof(text), "%u image%s, %s freed", names,
	               names == 1 ? "" : "s",
	               num_format_size(freed, size, sizeof(size)));
	if (!v->quiet)
		out_done("Pruned", text);
	return EXIT_OK;
}

int cmd_image_prune(struct cli *cli, void *values)
{
	const struct image_values *v = values;

	(void)cli;
	if (v->all && !v->yes && !out_confirm("Remove every image?")) {
		out_errorf("say --yes to remove every image",
		           "nothing was removed");
		return EXIT_FAILED;
	}
	return prune(v);
}
