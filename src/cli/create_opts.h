/*
 * create_opts.h - the options that make a sandbox: one table for run, create
 * and install, from flags, files (--conf and its kin) and defaults.
 *
 * A command's value struct begins with a struct create_values, and its option
 * table has CREATE_OPTS among its rows. Then:
 *
 *	create_plan_make()   files under flags, checked, as the library's opts
 *	create_plan_image()  pull the image, with progress
 *	msb_sandbox_create(home, &plan.opts, ...)
 *	create_plan_release()
 */
#ifndef CLI_CREATE_OPTS_H
#define CLI_CREATE_OPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/opt.h"
#include "microsandbox.h"

struct create_values {
	struct strv conf; /* files, in the order given; scoped: "net:PATH" */
	struct strv env, labels, rlimits;
	struct strv scripts, scripts_raw, script_paths;
	struct strv init_args, init_env;
	const char *name, *hostname, *workdir, *user, *entrypoint, *shell,
		*init;
	const char *root_disk;
	uint64_t memory, max_duration_ms, idle_timeout_ms, replace_timeout_ms,
		boot_timeout_ms;
	uint32_t cpus;
	int32_t pull, engine, accel;
	bool replace, quiet;
};

/* The rows; offsets are those of struct create_values. Ends with a comma. */
#define CREATE_OPTS /* defined by the owner of create_opts.c */

struct create_plan {
	struct msb_sandbox_opts opts; /* all but image, log_fd, log_level */
	const char *reference;        /* of the image */
	int32_t pull;                 /* enum msb_pull_policy */
	/* What opts points to. */
	void *mem;
};

/*
 * @image: the word of the command line, NULL: the files must name one. @tail:
 * COMMAND of the command line or NULL; else the files' cmd goes to
 * opts.command. Errors are usage errors that name the option or FILE:LINE:COL.
 */
int create_plan_make(const struct create_values *v, const char *image,
                     char *const *tail, struct create_plan *ret,
                     struct err *err);
void create_plan_release(struct create_plan *p);

/* Pull (or open) the image with progress; sets opts.image. */
int create_plan_image(struct create_plan *p, struct msb_home *home, bool quiet,
                      struct msb_image **ret_image, struct msb_error *error);

#endif
