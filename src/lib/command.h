/*
 * command.h - what runs in the guest: the image's ENTRYPOINT, CMD, ENV,
 * WORKDIR and USER, over them what the sandbox was made with, its secrets'
 * placeholders among it, over that what the caller asks for. Pure functions.
 */
#ifndef LIB_COMMAND_H
#define LIB_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"
#include "image/image.h"
#include "lib/record.h"
#include "microsandbox.h"

#define COMMAND_SCRIPTS "/.msb/scripts" /* where the guest's init puts them */
#define COMMAND_SHELL   "/bin/sh"

struct command {
	struct strv argv, env, rlimits;
	char *cwd, *user; /* never NULL */
};

/*
 * Compose @ret. @sandbox may be NULL. -EINVAL with a message when there is
 * nothing to run or an argument is malformed.
 */
int command_compose(const struct image_config *image,
                    const struct sandbox_config *sandbox,
                    const struct msb_exec_opts *opts, struct command *ret,
                    struct err *err);

/*
 * Whether commands can be composed with it at all, for the time when a sandbox
 * is made or changed: its variables, limits, working folder, shell.
 */
int command_check(const struct sandbox_config *sandbox, struct err *err);

void command_release(struct command *c);

#define cleanup_command cleanup(command_release)

#endif
