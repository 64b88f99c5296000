#include "cli/create_image.h"

#include "cli/out.h"
#include "cli/progress.h"

#include "base/banned.h"

int create_plan_image(struct create_plan *p, struct msb_home *home, bool quiet,
                      struct msb_image **ret_image, struct msb_error *error)
{
	struct msb_pull_opts opts = MSB_PULL_OPTS_INIT;
	struct progress progress;
	int r;

	if (!quiet) {
		struct strv cleanup_strv notes = {0};

		create_plan_notes(p, &notes);
		out_warnings(&notes);
	}
	if (p->opts.snapshot)
		return msb_snapshot_image(home, p->opts.snapshot, ret_image,
		                          error);
	progress_init(&progress, "Pulling", quiet);
	opts.policy = p->pull;
	opts.root = p->root;
	opts.event = progress_event;
	opts.event_arg = &progress;
	r = msb_image_pull(home, p->reference, &opts, ret_image, error);
	progress_end(&progress);
	if (r < 0)
		return r;
	if (progress.worked && progress.terminal && !quiet)
		out_done("Pulled", msb_image_info(*ret_image)->reference);
	p->opts.image = *ret_image;
	return 0;
}
