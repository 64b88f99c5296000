/* msb volume: what stays when sandboxes go. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "cli/command.h"
#include "cli/out.h"
#include "forms/describe.h"
#include "forms/describe_json.h"

#include "base/banned.h"

COMMAND_DECLARE(volume_create)
COMMAND_DECLARE(volume_list)
COMMAND_DECLARE(volume_inspect)
COMMAND_DECLARE(volume_remove)
COMMAND_DECLARE(volume_prune)

struct volume_values {
	const char *name;
	int32_t kind;   /* enum msb_volume_kind */
	int32_t format; /* index into opt_format_choices */
	uint64_t size;
	bool quiet, force, yes;
};
static_assert(sizeof(struct volume_values) <= COMMAND_VALUES_MAX, "grow it");

static const char *const kinds[] = {"dir", "disk", NULL};

#define FIELD(f) offsetof(struct volume_values, f)
#define FORMAT_OPT                                                             \
	OPT_ROW_CHOICE(0, "format", "FORMAT", FIELD(format), "How to print",   \
	               opt_format_choices, NULL)
#define QUIET_OPT(help)                                                        \
	OPT_ROW('q', "quiet", NULL, OPT_FLAG, FIELD(quiet), help)

const struct opt cmd_volume_create_opts[] = {
	OPT_ROW(0, "name", "NAME", OPT_STRING, FIELD(name),
                "The same as NAME in its place"),
	OPT_ROW_CHOICE(0, "kind", "KIND", FIELD(kind),
                       "dir: a folder, for several sandboxes at once; disk: "
                       "an ext4 of its own, for one at a time",
                       kinds, NULL),
	OPT_ROW(0, "size", "SIZE", OPT_MEMORY, FIELD(size),
                "Of a dir: what it may take at most; of a disk: how large it "
                "is (required)"),
	QUIET_OPT("Say nothing on success"),
	{0},
};

const struct opt cmd_volume_list_opts[] = {
	FORMAT_OPT,
	QUIET_OPT("Print names only"),
	{0},
};

const struct opt cmd_volume_inspect_opts[] = {
	FORMAT_OPT,
	{0},
};

const struct opt cmd_volume_remove_opts[] = {
	OPT_ROW('f', "force", NULL, OPT_FLAG, FIELD(force),
                "Also one that sandboxes on record mount, and no matter "
                "whether it is there"),
	QUIET_OPT("Say nothing on success"),
	{0},
};

const struct opt cmd_volume_prune_opts[] = {
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

/* ---- create ---------------------------------------------------------------
 */

static int create_usage(const char *text)
{
	out_errorf("run 'msb volume create --help'", "%s", text);
	return EXIT_USAGE;
}

int cmd_volume_create(struct cli *cli, void *values)
{
	const struct volume_values *v = values;
	const char *name = v->name ? v->name : cli->words[0];
	struct msb_volume_opts o = MSB_VOLUME_OPTS_INIT;
	struct msb_home *home = NULL;
	struct msb_error error;
	int r;

	if (!name)
		return create_usage("a name is missing");
	if (v->name && cli->words[0])
		return create_usage("two names are given");
	if (v->kind == MSB_VOLUME_DISK && !v->size)
		return create_usage("--kind disk needs a --size");
	o.kind = v->kind;
	o.size_bytes = v->size;
	r = msb_home_open(NULL, &home, &error);
	if (r == 0)
		r = msb_volume_create(home, name, &o, &error);
	msb_home_free(home);
	if (r < 0)
		return fail(&error);
	if (!v->quiet)
		out_line(name);
	return EXIT_OK;
}

/* ---- list -----------------------------------------------------------------
 */

static int list_json(const struct msb_volumes *list)
{
	json_t *all = json_array();

	for (size_t k = 0; k < msb_volumes_count(list); k++)
		(void)json_array_append_new(
			all, describe_volume(msb_volumes_get(list, k)));
	return out_json(all);
}

static const char *size_text(uint64_t bytes, char *out, size_t len)
{
	return bytes ? num_format_size(bytes, out, len) : "-";
}

static int add_row(struct strv *cells, const struct msb_volume_info *i)
{
	char size[32], used[32], time[32];
	const char *const row[] = {
		i->name,
		kinds[i->kind],
		size_text(i->size_bytes, size, sizeof(size)),
		num_format_size(i->used_bytes, used, sizeof(used)),
		i->in_use ? "yes" : "-",
		out_time(i->created_ms / 1000, time),
	};
	int r = 0;

	for (size_t k = 0; k < ARRAY_SIZE(row) && r == 0; k++)
		r = strv_add(cells, row[k]);
	return r;
}

static void list_table(const struct msb_volumes *list)
{
	static const char *const head[] = {"NAME", "KIND",   "SIZE",
	                                   "USED", "IN USE", "CREATED"};
	struct strv cleanup_strv cells = {0};
	int r = 0;

	for (size_t k = 0; k < ARRAY_SIZE(head) && r == 0; k++)
		r = strv_add(&cells, head[k]);
	for (size_t k = 0; k < msb_volumes_count(list) && r == 0; k++)
		r = add_row(&cells, msb_volumes_get(list, k));
	out_table(&cells, ARRAY_SIZE(head));
}

static void list_names(const struct msb_volumes *list)
{
	for (size_t k = 0; k < msb_volumes_count(list); k++)
		out_line(msb_volumes_get(list, k)->name);
}

int cmd_volume_list(struct cli *cli, void *values)
{
	const struct volume_values *v = values;
	struct msb_home *home = NULL;
	struct msb_volumes *list = NULL;
	struct msb_error error;
	int code = EXIT_OK, r = msb_home_open(NULL, &home, &error);

	(void)cli;
	if (r == 0)
		r = msb_volume_list(home, NULL, &list, &error);
	if (r < 0)
		code = fail(&error);
	else if (v->format)
		code = list_json(list);
	else if (v->quiet)
		list_names(list);
	else if (msb_volumes_count(list) == 0)
		out_note("No volumes found.");
	else
		list_table(list);
	msb_volumes_free(list);
	msb_home_free(home);
	return code;
}

/* ---- inspect --------------------------------------------------------------
 */

static void field(const char *name, const char *value)
{
	char text[4200];

	(void)snprintf(text, sizeof(text), "%-12s %s", name, value);
	out_line(text);
}

static void inspect_text(const struct msb_volume_info *i)
{
	bool disk = i->kind == MSB_VOLUME_DISK;
	char text[32];

	field("Name", i->name);
	field("Kind", kinds[i->kind]);
	if (disk) {
		field("Format", "raw");
		field("File system", "ext4");
	}
	field(disk ? "Capacity" : "Quota",
	      i->size_bytes ? num_format_size(i->size_bytes, text, sizeof(text))
	                    : "unlimited");
	field("Used", num_format_size(i->used_bytes, text, sizeof(text)));
	field("Path", i->path);
	field("Created", out_time(i->created_ms / 1000, text));
	field("In use", i->in_use ? "yes" : "no");
	for (const char *const *u = i->users; *u; u++)
		field(u == i->users ? "Sandboxes" : "", *u);
}

int cmd_volume_inspect(struct cli *cli, void *values)
{
	const struct volume_values *v = values;
	struct msb_home *home = NULL;
	struct msb_volumes *list = NULL;
	struct msb_error error;
	int code = EXIT_OK, r = msb_home_open(NULL, &home, &error);

	if (r == 0)
		r = msb_volume_list(home, cli->words[0], &list, &error);
	if (r < 0)
		code = fail(&error);
	else if (v->format)
		code = out_json(describe_volume(msb_volumes_get(list, 0)));
	else
		inspect_text(msb_volumes_get(list, 0));
	msb_volumes_free(list);
	msb_home_free(home);
	return code;
}

/* ---- remove and prune -----------------------------------------------------
 */

int cmd_volume_remove(struct cli *cli, void *values)
{
	const struct volume_values *v = values;
	struct msb_home *home = NULL;
	struct msb_error error;
	int code = EXIT_OK;

	if (msb_home_open(NULL, &home, &error) < 0)
		return fail(&error);
	for (char **name = cli->words; *name; name++) {
		int r = msb_volume_remove(home, *name, v->force, &error);

		if (r == -MSB_ERR_NOT_FOUND && v->force)
			continue;
		if (r < 0)
			code = fail(&error);
		else if (!v->quiet)
			out_done("Removed", *name);
	}
	msb_home_free(home);
	return code;
}

static int show_pruned(const struct volume_values *v, char *const *names,
                       uint64_t freed)
{
	char text[96], size[32];
	size_t n = 0;

	if (v->format)
		return out_json(
			json_pack("{s:o, s:I}", "volumes_removed",
		                  describe_list((const char *const *)names),
		                  "bytes_reclaimed", (json_int_t)freed));
	for (; names[n]; n++)
		if (!v->quiet)
			out_done("Removed", names[n]);
	(void)snprintf(text, sizeof(text), "%zu volume%s, %s freed", n,
	               n == 1 ? "" : "s",
	               num_format_size(freed, size, sizeof(size)));
	if (!v->quiet)
		out_done("Pruned", text);
	return EXIT_OK;
}

int cmd_volume_prune(struct cli *cli, void *values)
{
	const struct volume_values *v = values;
	struct msb_home *home = NULL;
	struct msb_error error;
	char **names = NULL;
	uint64_t freed = 0;
	int code, r;

	(void)cli;
	if (!v->yes &&
	    !out_confirm("Remove every volume that no sandbox mounts, with all "
	                 "in it?")) {
		out_errorf("say --yes to remove them", "nothing was removed");
		return EXIT_FAILED;
	}
	r = msb_home_open(NULL, &home, &error);
	if (r == 0)
		r = msb_volume_prune(home, &names, &freed, &error);
	msb_home_free(home);
	if (r < 0)
		return fail(&error);
	code = show_pruned(v, names, freed);
	msb_strings_free(names);
	return code;
}
