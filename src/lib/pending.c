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

int msb_snapshot_save(struct msb_home *home, const char *name, const char *path,
                      uint32_t flags, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP,
	                 "msb_snapshot_save is not there yet");
}

int msb_snapshot_load(struct msb_home *home, const char *path, const char *name,
                      char **ret_name, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP,
	                 "msb_snapshot_load is not there yet");
}

int msb_image_commit(struct msb_home *home, const char *sandbox,
                     const char *reference, const struct msb_commit_opts *opts,
                     char **ret_id, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP,
	                 "msb_image_commit is not there yet");
}

int msb_image_save(struct msb_home *home, const char *const *references,
                   int32_t format, const char *path, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP, "msb_image_save is not there yet");
}
