/*
 * peek.h - one small file of an image, as its layers have it, without merging
 * them all.
 */
#ifndef IMAGE_PEEK_H
#define IMAGE_PEEK_H

#include "base/buf.h"
#include "base/err.h"
#include "image/image.h"
#include "store/store.h"

/*
 * Append the content of the regular file @path ("etc/passwd", clean). Links
 * are not followed, but hard links within a layer are. -ENOENT, also when a
 * layer takes it or a folder above it away; -E2BIG past the buffer's bound.
 */
int image_peek(struct store *s, const struct image *image, const char *path,
               struct buf *ret, struct err *err);

#endif
