#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/num.h"
#include "cli/command.h"
#include "cli/out.h"
#include "cli/targets.h"
#include "forms/describe_json.h"

#include "base/banned.h"

COMMAND_DECLARE(snapshot_create)
COMMAND_DECLARE(snapshot_list)
COMMAND_DECLARE(snapshot_inspect)
COMMAND_DECLARE(snapshot_verify)
COMMAND_DECLARE(snapshot_remove)
COMMAND_DECLARE(snapshot_save)
COMMAND_DECLARE(snapshot_load)

#define DIGEST_SHOWN 19 /* "sha256:" and 12 digits */

struct snapshot_values {
	struct strv labels;
	const char *from;
	int32_t format;
	bool force, integrity, resumable, quiet, verify;
	bool with_image, with_parents, plain;
};
static_assert(sizeof(struct snapshot_values) <= COMMAND_VALUES_MAX, "grow it");

#define FIELD(f) offsetof(struct snapshot_values, f)
#define FORMAT_OPT                                                             \
	OPT_ROW_CHOICE(0, "format", "FORMAT", FIELD(format), "How to print",   \
	               opt_format_choices, NULL)
#define QUIET_OPT(help)                                                        \
	OPT_ROW('q', "quiet", NULL, OPT_FLAG, FIELD(quiet), help)

const struct opt cmd_snapshot_create_opts[] = {
	OPT_ROW(0, "from", "SANDBOX", OPT_STRING, FIELD(from),
                "The sandbox; it must have stopped"),
	OPT_ROW(0, "label", "KEY=VALUE", OPT_LIST, FIELD(labels),
                "A label (repeatable)"),
	OPT_ROW('f', "force", NULL, OPT_FLAG, FIELD(force),
                "Replace a snapshot of the same name"),
	OPT_ROW(0, "integrity", NULL, OPT_FLAG, FIELD(integrity),
                "Take a digest of the content, too, which reads it all"),
	OPT_ROW(0, "resumable", NULL, OPT_FLAG, FIELD(resumable), NULL),
	QUIET_OPT("Say nothing on success"),
	{0},
};

const struct opt cmd_snapshot_list_opts[] = {
	FORMAT_OPT,
	QUIET_OPT("Print digests only"),
	{0},
};

const struct opt cmd_snapshot_inspect_opts[] = {
	FORMAT_OPT,
	OPT_ROW(0, "verify", NULL, OPT_FLAG, FIELD(verify),
                "Also compare its content with its digest"),
	{0},
};

const struct opt cmd_snapshot_verify_opts[] = {{0}};

const struct opt cmd_snapshot_remove_opts[] = {
	OPT_ROW('f', "force", NULL, OPT_FLAG, FIELD(force),
                "Fine when there is no such snapshot"),
	QUIET_OPT("Say nothing on success"),
	{0},
};

const struct opt cmd_snapshot_save_opts[] = {
	OPT_ROW(0, "with-image", NULL, OPT_FLAG, FIELD(with_image),
                "With the image it was written over"),
	OPT_ROW(0, "with-parents", NULL, OPT_FLAG, FIELD(with_parents),
                "What it has of its parents is always in it"),
	OPT_ROW(0, "plain-tar", NULL, OPT_FLAG, FIELD(plain),
                "Do not compress"),
	{0},
};

const struct opt cmd_snapshot_load_opts[] = {{0}};

static int fail(const struct msb_error *e)
{
	out_error(e);
	return EXIT_FAILED;
}

/* ---- create -------------------------------------------------------------- */

static int show_bytes(void *arg, const struct msb_copy_event *event)
{
	char text[32], line[160];

	(void)arg;
	(void)snprintf(line, sizeof(line), "%s: %s", event->path,
	               num_format_size(event->bytes, text, sizeof(text)));
	targets_progress("Reading", line);
	return 0;
}

static int create(const struct snapshot_values *v, const char *name,
                  struct msb_error *error)
{
	struct msb_snapshot_opts o = MSB_SNAPSHOT_OPTS_INIT;
	struct msb_home *home = NULL;
	int r = msb_home_open(NULL, &home, error);

	o.labels = (const char *const *)strv_list(&v->labels);
	if (v->force)
		o.flags |= MSB_SNAPSHOT_REPLACE;
	if (v->integrity)
		o.flags |= MSB_SNAPSHOT_INTEGRITY;
	if (!v->quiet)
		o.event = show_bytes;
	if (r == 0)
		r = msb_snapshot_create(home, v->from, name, &o, error);
	if (!v->quiet)
		targets_progress(NULL, NULL);
	msb_home_free(home);
	return r;
}

int cmd_snapshot_create(struct cli *cli, void *values)
{
	const struct snapshot_values *v = values;
	struct msb_error error;

	if (!v->from) {
		out_errorf("msb snapshot create NAME --from SANDBOX",
		           "--from is missing: the sandbox");
		return EXIT_USAGE;
	}
	if (v->resumable) {
		out_errorf("without --resumable it keeps what is on the disk",
		           "memory snapshots are not there yet");
		return EXIT_FAILED;
	}
	if (create(v, cli->words[0], &error) < 0)
		return fail(&error);
	if (!v->quiet)
		out_done("Created", cli->words[0]);
	return EXIT_OK;
}

/* ---- list and inspect ---------------------------------------------------- */

static int list_json(const struct msb_snapshots *list)
{
	json_t *all = json_array();

	for (size_t k = 0; k < msb_snapshots_count(list); k++)
		if (json_array_append_new(
			    all, describe_snapshot(
					 msb_snapshots_get(list, k))) < 0) {
			json_decref(all);
			return out_json(NULL);
		}
	return out_json(all);
}

static void list_table(const struct msb_snapshots *list)
{
	static const char *const head[] = {"NAME", "SANDBOX", "IMAGE",  "SIZE",
	                                   "USED", "CREATED", "DIGEST", NULL};
	struct strv cleanup_strv cells = {0};
	int r = strv_add_all(&cells, (char *const *)(uintptr_t)head);

	for (size_t k = 0; k < msb_snapshots_count(list) && r == 0; k++) {
		const struct msb_snapshot_info *i = msb_snapshots_get(list, k);
		char size[32], used[32], time[32];

		r = strv_add(&cells, i->name);
		if (r == 0)
			r = strv_add(&cells, i->sandbox);
		if (r == 0)
			r = strv_add(&cells, i->image);
		if (r == 0)
			r = strv_add(&cells,
			             num_format_size(i->size_bytes, size,
			                             sizeof(size)));
		if (r == 0)
			r = strv_add(&cells,
			             num_format_size(i->used_bytes, used,
			                             sizeof(used)));
		if (r == 0)
			r = strv_add(&cells,
			             out_time(i->created_ms / 1000, time));
		if (r == 0)
			r = strv_addn(&cells, i->digest, DIGEST_SHOWN);
	}
	out_table(&cells, ARRAY_SIZE(head) - 1);
}

int cmd_snapshot_list(struct cli *cli, void *values)
{
	const struct snapshot_values *v = values;
	struct msb_snapshots *list = NULL;
	struct msb_home *home = NULL;
	struct msb_error error;
	int code = EXIT_OK, r = msb_home_open(NULL, &home, &error);

	(void)cli;
	if (r == 0)
		r = msb_snapshot_list(home, NULL, &list, &error);
	if (r < 0)
		code = fail(&error);
	else if (v->format)
		code = list_json(list);
	else if (v->quiet)
		for (size_t k = 0; k < msb_snapshots_count(list); k++)
			out_line(msb_snapshots_get(list, k)->digest);
	else if (msb_snapshots_count(list) == 0)
		out_note("No snapshots found.");
	else
		list_table(list);
	msb_snapshots_free(list);
	msb_home_free(home);
	return code;
}

static void field(const char *name, const char *value)
{
	struct buf cleanup_buf line = BUF_INIT;

	if (*value && buf_printf(&line, "%-12s %s", name, value) == 0)
		out_line(buf_str(&line));
}

static void inspect_text(const struct msb_snapshot_info *i)
{
	char text[32];

	field("Name", i->name);
	field("Digest", i->digest);
	field("Parent", i->parent);
	field("Sandbox", i->sandbox);
	field("Image", i->image);
	field("Image digest", i->image_id);
	field("Size", num_format_size(i->size_bytes, text, sizeof(text)));
	field("Used", num_format_size(i->used_bytes, text, sizeof(text)));
	field("Created", out_time(i->created_ms / 1000, text));
	field("Content", i->content);
	for (const char *const *l = i->labels; *l; l++)
		field(l == i->labels ? "Labels" : "", *l);
	field("Path", i->path);
}

static int inspect(const struct snapshot_values *v,
                   const struct msb_snapshots *list)
{
	const struct msb_snapshot_info *i = msb_snapshots_get(list, 0);

	if (v->format)
		return out_json(describe_snapshot(i));
	inspect_text(i);
	return EXIT_OK;
}

int cmd_snapshot_inspect(struct cli *cli, void *values)
{
	const struct snapshot_values *v = values;
	struct msb_snapshots *list = NULL;
	struct msb_home *home = NULL;
	struct msb_error error;
	int code = EXIT_OK, r = msb_home_open(NULL, &home, &error);

	if (r == 0)
		r = msb_snapshot_list(home, cli->words[0], &list, &error);
	if (r == 0)
		code = inspect(v, list);
	if (r == 0 && v->verify)
		r = msb_snapshot_verify(home, cli->words[0], &error);
	if (r < 0)
		code = fail(&error);
	else if (v->verify)
		out_note("its content is what it was when it was made");
	msb_snapshots_free(list);
	msb_home_free(home);
	return code;
}

/* ---- verify and remove --------------------------------------------------- */

int cmd_snapshot_verify(struct cli *cli, void *values)
{
	struct msb_home *home = NULL;
	struct msb_error error;
	int r = msb_home_open(NULL, &home, &error);

	(void)values;
	targets_progress("Verifying", cli->words[0]);
	if (r == 0)
		r = msb_snapshot_verify(home, cli->words[0], &error);
	targets_progress(NULL, NULL);
	msb_home_free(home);
	if (r < 0)
		return fail(&error);
	out_done("Verified", cli->words[0]);
	return EXIT_OK;
}

static int remove_one(struct target *t)
{
	const struct snapshot_values *v = t->values;
	int r = msb_snapshot_remove(t->home, t->name, &t->error);

	return r == -MSB_ERR_NOT_FOUND && v->force ? 0 : r;
}

int cmd_snapshot_remove(struct cli *cli, void *values)
{
	const struct snapshot_values *v = values;
	const struct targets what = {.quiet = v->quiet,
	                             .verb = "Removed",
	                             .act = remove_one,
	                             .values = v};
	struct msb_home *home = NULL;
	struct msb_error error;
	int code = EXIT_OK;

	if (msb_home_open(NULL, &home, &error) < 0)
		return fail(&error);
	for (int i = 0; i < cli->nwords; i++)
		if (targets_one(home, &what, cli->words[i]) != EXIT_OK)
			code = EXIT_FAILED;
	msb_home_free(home);
	return code;
}

/* ---- save and load ------------------------------------------------------- */

int cmd_snapshot_save(struct cli *cli, void *values)
{
	const struct snapshot_values *v = values;
	const char *name = cli->words[0], *path = cli->words[1];
	uint32_t flags = (v->with_image ? MSB_SNAPSHOT_WITH_IMAGE : 0) |
	                 (v->plain ? MSB_SNAPSHOT_PLAIN : 0);
	bool to_stdout = strcmp(path, "-") == 0;
	struct msb_home *home = NULL;
	struct msb_error error;
	int r;

	if (to_stdout && isatty(1)) {
		out_errorf("name a file, or pipe it on",
		           "standard output is a terminal");
		return EXIT_USAGE;
	}
	if (v->with_parents)
		out_note("what it has of its parents is always in it");
	targets_progress("Saving", name);
	r = msb_home_open(NULL, &home, &error);
	if (r == 0)
		r = msb_snapshot_save(home, name, path, flags, &error);
	targets_progress(NULL, NULL);
	msb_home_free(home);
	if (r < 0)
		return fail(&error);
	out_done("Saved", to_stdout ? name : path);
	return EXIT_OK;
}

int cmd_snapshot_load(struct cli *cli, void *values)
{
	const char *path = cli->words[0];
	struct msb_home *home = NULL;
	struct msb_error error;
	char *name = NULL;
	int r;

	(void)values;
	if (strcmp(path, "-") == 0 && isatty(0)) {
		out_errorf("name a file, or pipe the archive in",
		           "standard input is a terminal");
		return EXIT_USAGE;
	}
	targets_progress("Loading", path);
	r = msb_home_open(NULL, &home, &error);
	if (r == 0)
		r = msb_snapshot_load(home, path,
		                      cli->nwords > 1 ? cli->words[1] : NULL,
		                      &name, &error);
	targets_progress(NULL, NULL);
	msb_home_free(home);
	if (r < 0)
		return fail(&error);
	out_done("Loaded", name);
	msb_free(name);
	return EXIT_OK;
}
