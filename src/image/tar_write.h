/*
 * tar_write.h - entries as pax headers: ustar, with an extended header where
 * a value does not fit. The same entry always gives the same bytes.
 */
#ifndef IMAGE_TAR_WRITE_H
#define IMAGE_TAR_WRITE_H

#include "base/buf.h"
#include "image/tar_read.h"

/* Append the header blocks of @e to @b; the content is up to the caller. */
int tar_put_header(struct buf *b, const struct tar_entry *e);

/*
 * The same for a file with holes, in GNU's form 1.0: @e->size is what follows,
 * that is the map (decimal lines: how many pieces, then offset and length of
 * each; zeros to the end of the block) and the pieces; @real is the file's.
 */
int tar_put_sparse_header(struct buf *b, const struct tar_entry *e,
                          uint64_t real);

/* Append the end marker. */
int tar_put_end(struct buf *b);

/* Bytes of padding behind a content of @size bytes. */
static inline uint32_t tar_padding(uint64_t size)
{
	return (uint32_t)(-size & (TAR_BLOCK - 1));
}

#endif
