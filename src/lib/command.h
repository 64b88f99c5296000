/*
 * command.h - what runs in the guest: the image's ENTRYPOINT, CMD, ENV,
 * WORKDIR and USER together with what the caller asks for. Pure functions.
 */
#ifndef LIB_COMMAND_H
#define LIB_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"
#include "image/image.h"
#include "microsandbox.h"

struct command {
	struct strv argv, env, rlimits;
	char *cwd, *user; /* never NULL */
};

/*
 * Compose @ret from the image's configuration and @opts. -EINVAL with a
 * message when there is nothing to run or an argument is malformed.
 */
int command_compose(const struct image_config *image,
                    const struct msb_exec_opts *opts, struct command *ret,
                    struct err *err);
void command_release(struct command *c);

#define cleanup_command cleanup(command_release)

#endif
