/* create_image.h - the image that a sandbox is made of. */
#ifndef CLI_CREATE_IMAGE_H
#define CLI_CREATE_IMAGE_H

#include <stdbool.h>

#include "forms/create_opts.h"

/* Pull (or open) the image with progress; sets opts.image. */
int create_plan_image(struct create_plan *p, struct msb_home *home, bool quiet,
                      struct msb_image **ret_image, struct msb_error *error);

#endif
