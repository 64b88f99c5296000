/* pull.h - an image from a registry into the store. */
#ifndef IMAGE_PULL_H
#define IMAGE_PULL_H

#include "image/image.h"

/* As image_pull() for a reference that is not a path. */
int pull_image(struct store *s, const char *ref,
               const struct image_pull_opts *opts, struct image *ret,
               struct err *err);

#endif
