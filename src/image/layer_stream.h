/*
 * layer_stream.h - read, decompress and hash a layer beside its reader.
 *
 *	inflate thread --> ring of 1 MiB buffers --> hash thread (diff_id)
 *	                                        `--> the caller (tar reader)
 *
 * A buffer is free again when both have left it, so memory is bounded and the
 * slowest of the three sets the pace. The source's read() runs in the inflate
 * thread.
 */
#ifndef IMAGE_LAYER_STREAM_H
#define IMAGE_LAYER_STREAM_H

#include "base/cleanup.h"
#include "image/layer.h"

struct layer_stream;

/* @src and what it points to must live until layer_stream_free(). */
int layer_stream_new(const struct layer_source *src,
                     const struct layer_limits *lim, struct layer_stream **ret,
                     struct err *err);

/* Stops the threads; a read() of the source is waited for. NULL is fine. */
void layer_stream_free(struct layer_stream *s);

/* The next piece of the tar: see struct tar_source; @arg is the stream. */
ssize_t layer_stream_next(void *arg, const uint8_t **ret, struct err *err);

/* After next() gave 0: the hash and length of all there was. */
void layer_stream_finish(struct layer_stream *s, struct digest *ret_diff_id,
                         uint64_t *ret_tar_bytes);

static inline void cleanup_layer_stream_fn(struct layer_stream **s)
{
	layer_stream_free(*s);
}
#define cleanup_layer_stream cleanup(cleanup_layer_stream_fn)

#endif
