/* load.h - images out of an archive or an OCI layout folder. */
#ifndef IMAGE_LOAD_H
#define IMAGE_LOAD_H

#include "image/image.h"
#include "image/manifest.h"

/* As image_load(); at least one reference is added on success. */
int load_archive(struct store *s, const char *path, const char *tag,
                 const struct image_pull_opts *opts, struct strv *ret_refs,
                 struct err *err);

/* -ENOTSUP when the image is for another platform than the one wanted. */
int load_check_platform(const struct image *img, const struct platform *want,
                        struct err *err);

#endif
