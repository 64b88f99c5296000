/* cmd_commit.c - msb commit: a sandbox's changes as a new image. */
#include <assert.h>
#include <stdio.h>

#include "base/num.h"
#include "cli/command.h"
#include "cli/out.h"
#include "cli/targets.h"

#include "base/banned.h"

COMMAND_DECLARE(commit)

struct commit_values {
	const char *author, *message;
	struct strv changes;
	bool quiet;
};
static_assert(sizeof(struct commit_values) <= COMMAND_VALUES_MAX, "grow it");

#define FIELD(f) offsetof(struct commit_values, f)
const struct opt cmd_commit_opts[] = {
	OPT_ROW('a', "author", "NAME", OPT_STRING, FIELD(author),
                "Who made it, as \"Ada <ada@example.org>\""),
	OPT_ROW('c', "change", "INSTRUCTION", OPT_LIST, FIELD(changes),
                "Change the configuration as in a Dockerfile: CMD, "
                "ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, "
                "WORKDIR (repeatable)"),
	OPT_ROW('m', "message", "TEXT", OPT_STRING, FIELD(message),
                "What it is, for the image's history"),
	OPT_ROW('q', "quiet", NULL, OPT_FLAG, FIELD(quiet),
                "Print nothing but the image's id"),
	{0},
};
#undef FIELD

static int commit(struct msb_home *home, const struct cli *cli,
                  const struct commit_values *v, char **ret_id,
                  struct msb_error *error)
{
	struct msb_commit_opts o = MSB_COMMIT_OPTS_INIT;
	int r;

	o.author = v->author;
	o.message = v->message;
	o.changes = (const char *const *)strv_list(&v->changes);
	if (!v->quiet)
		targets_progress("Committing", cli->words[0]);
	r = msb_image_commit(home, cli->words[0], cli->words[1], &o, ret_id,
	                     error);
	if (!v->quiet)
		targets_progress(NULL, NULL);
	return r;
}

int cmd_commit(struct cli *cli, void *values)
{
	const struct commit_values *v = values;
	struct msb_home *home = NULL;
	struct msb_error error = {0};
	char *id = NULL;
	int r = msb_home_open(NULL, &home, &error);

	if (r == 0)
		r = commit(home, cli, v, &id, &error);
	msb_home_free(home);
	if (r < 0) {
		out_error(&error);
		return EXIT_FAILED;
	}
	out_line(id);
	msb_free(id);
	return out_finish(EXIT_OK);
}
