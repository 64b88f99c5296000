#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/out.h"
#include "cli/progress.h"

#include "base/banned.h"

COMMAND_DECLARE(save)

struct save_values {
	const char *output;
	int32_t format; /* enum msb_archive_format */
	bool quiet;
};
static_assert(sizeof(struct save_values) <= COMMAND_VALUES_MAX, "grow it");

static const char *const formats[] = {"docker", "oci", NULL};

#define FIELD(f) offsetof(struct save_values, f)
const struct opt cmd_save_opts[] = {
	OPT_ROW_CHOICE(0, "format", "FORMAT", FIELD(format),
                       "What reads it: docker load (docker), or tools that "
                       "know OCI layouts",
                       formats, NULL),
	OPT_ROW('o', "output", "PATH", OPT_STRING, FIELD(output),
                "The archive; - is standard output"),
	OPT_ROW('q', "quiet", NULL, OPT_FLAG, FIELD(quiet),
                "Say nothing on success"),
	{0},
};

static int save(const struct save_values *v, const char *path,
                char *const *references, struct msb_error *error)
{
	struct msb_save_opts opts = MSB_SAVE_OPTS_INIT;
	struct msb_home *home = NULL;
	struct progress progress;
	int r;

	progress_init(&progress, "Saving", v->quiet);
	opts.format = v->format;
	opts.event = progress_event;
	opts.event_arg = &progress;
	r = msb_home_open(NULL, &home, error);
	if (r == 0)
		r = msb_image_save(home, (const char *const *)references, &opts,
		                   path, error);
	progress_end(&progress);
	for (; r == 0 && !v->quiet && *references; references++)
		out_done("Saved", *references);
	msb_home_free(home);
	return r;
}

int cmd_save(struct cli *cli, void *values)
{
	const struct save_values *v = values;
	const char *path = v->output ? v->output : "-";
	struct msb_error error;

	if (strcmp(path, "-") == 0 && isatty(1)) {
		out_errorf("name a file with --output, or send it to a pipe or "
		           "file",
		           "standard output is a terminal");
		return EXIT_USAGE;
	}
	if (save(v, path, cli->words, &error) < 0) {
		out_error(&error);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}
