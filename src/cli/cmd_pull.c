#include <assert.h>
#include <stdio.h>

#include "base/num.h"
#include "cli/command.h"
#include "cli/out.h"
#include "cli/progress.h"

#include "base/banned.h"

COMMAND_DECLARE(pull)

struct pull_values {
	bool force, quiet, insecure;
	const char *ca_certs, *platform;
};
static_assert(sizeof(struct pull_values) <= COMMAND_VALUES_MAX, "grow it");

#define FIELD(f) offsetof(struct pull_values, f)
const struct opt cmd_pull_opts[] = {
	OPT_ROW('f', "force", NULL, OPT_FLAG, FIELD(force),
                "Fetch again what is here already"),
	OPT_ROW('q', "quiet", NULL, OPT_FLAG, FIELD(quiet),
                "Say nothing on success"),
	OPT_ROW(0, "insecure", NULL, OPT_FLAG, FIELD(insecure),
                "Allow plain HTTP and unknown certificates"),
	OPT_ROW(0, "ca-certs", "PATH", OPT_STRING, FIELD(ca_certs),
                "Trust the certificates in this PEM file, too"),
	OPT_ROW(0, "platform", "OS/ARCH", OPT_STRING, FIELD(platform),
                "Choose another platform's image, as linux/arm64"),
	{0},
};

static void say_done(const struct msb_image *image)
{
	const struct msb_image_info *i = msb_image_info(image);
	char text[600], size[32];

	(void)snprintf(text, sizeof(text), "%.512s (%u layer%s, %s)",
	               i->reference, i->layer_count,
	               i->layer_count == 1 ? "" : "s",
	               num_format_size(i->size_bytes, size, sizeof(size)));
	out_done("Pulled", text);
}

int cmd_pull(struct cli *cli, void *values)
{
	const struct pull_values *v = values;
	struct msb_pull_opts opts = MSB_PULL_OPTS_INIT;
	struct msb_home *home = NULL;
	struct msb_image *image = NULL;
	struct msb_error error;
	struct progress progress;
	int r;

	progress_init(&progress, "Pulling", v->quiet);
	opts.policy = MSB_PULL_ALWAYS;
	opts.force = v->force;
	opts.insecure = v->insecure;
	opts.ca_certs = v->ca_certs;
	opts.platform = v->platform;
	opts.event = progress_event;
	opts.event_arg = &progress;
	r = msb_home_open(NULL, &home, &error);
	if (r == 0)
		r = msb_image_pull(home, cli->words[0], &opts, &image, &error);
	progress_end(&progress);
	if (r < 0)
		out_error(&error);
	else if (!v->quiet)
		say_done(image);
	msb_image_free(image);
	msb_home_free(home);
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}
