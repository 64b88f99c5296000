#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/out.h"
#include "cli/progress.h"

#include "base/banned.h"

COMMAND_DECLARE(load)

struct load_values {
	const char *input, *tag;
	bool quiet;
};
static_assert(sizeof(struct load_values) <= COMMAND_VALUES_MAX, "grow it");

#define FIELD(f) offsetof(struct load_values, f)
const struct opt cmd_load_opts[] = {
	OPT_ROW('i', "input", "PATH", OPT_STRING, FIELD(input),
                "The archive or folder; - is standard input"),
	OPT_ROW('t', "tag", "REF", OPT_STRING, FIELD(tag),
                "Name the only image of the archive"),
	OPT_ROW('q', "quiet", NULL, OPT_FLAG, FIELD(quiet),
                "Say nothing on success"),
	{0},
};

static int load(const struct load_values *v, const char *path,
                struct msb_error *error)
{
	struct msb_pull_opts opts = MSB_PULL_OPTS_INIT;
	struct msb_home *home = NULL;
	struct progress progress;
	char **refs = NULL;
	int r;

	progress_init(&progress, "Loading", v->quiet);
	opts.event = progress_event;
	opts.event_arg = &progress;
	r = msb_home_open(NULL, &home, error);
	if (r == 0)
		r = msb_image_load(home, path, v->tag, &opts, &refs, error);
	progress_end(&progress);
	for (char **ref = refs; r == 0 && !v->quiet && *ref; ref++)
		out_done("Loaded", *ref);
	msb_strings_free(refs);
	msb_home_free(home);
	return r;
}

int cmd_load(struct cli *cli, void *values)
{
	const struct load_values *v = values;
	const char *path = v->input ? v->input : "-";
	struct msb_error error;

	(void)cli;
	if (strcmp(path, "-") == 0 && isatty(0)) {
		out_errorf("name a file with --input, or pipe the archive in",
		           "standard input is a terminal");
		return EXIT_USAGE;
	}
	if (load(v, path, &error) < 0) {
		out_error(&error);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}
