/*
 * What files.h declares and nobody has written yet: each answers "not there
 * yet". Whoever writes one deletes it here in the same commit; the last one
 * deletes this file.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/error.h"
#include "microsandbox.h"

#include "base/banned.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"

int msb_image_commit(struct msb_home *home, const char *sandbox,
                     const char *reference, const struct msb_commit_opts *opts,
                     char **ret_id, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP,
	                 "msb_image_commit is not there yet");
}
