/*
 * layer_path.h - names inside a layer. None of them ever becomes a path of
 * the host.
 */
#ifndef IMAGE_LAYER_PATH_H
#define IMAGE_LAYER_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/*
 * Append the clean form of @path to @out: relative, one slash between parts,
 * no "." part; the root is "". Returns its length, or -EBADMSG for "..", a
 * NUL, parts over 255 bytes, paths over 4095 bytes or 256 parts. *ret_why
 * says which.
 */
int layer_path_clean(const void *path, size_t len, struct buf *out,
                     const char **ret_why);

/* Would layer_path_clean() give back the same? */
bool layer_path_is_clean(const void *path, size_t len);

#endif
