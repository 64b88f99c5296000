/*
 * inflate.h - a layer's bytes as they come (gzip, zstd or plain tar, told
 * apart by their first bytes) to the tar inside.
 *
 * gzip: members one after another, each with its CRC and length checked. zstd:
 * frames one after another, skippable ones left out, windows to 128 MiB. A
 * stream that ends inside a member or frame is -EBADMSG, and so is anything
 * behind the last one that is not the start of another.
 */
#ifndef IMAGE_INFLATE_H
#define IMAGE_INFLATE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "image/layer.h"

struct inflate;

/* Reads nothing yet. NULL when out of memory. @src must outlive it. */
struct inflate *inflate_new(const struct layer_source *src);
void inflate_free(struct inflate *z); /* NULL is fine */

/*
 * Fill @out as far as the stream goes: less than @len only at the end, 0 at
 * and after it. @len is at least 1.
 */
ssize_t inflate_read(struct inflate *z, void *out, size_t len, struct err *err);

/* Bytes taken from the source so far. */
uint64_t inflate_taken(const struct inflate *z);

static inline void cleanup_inflate_fn(struct inflate **z)
{
	inflate_free(*z);
}
#define cleanup_inflate cleanup(cleanup_inflate_fn)

#endif
