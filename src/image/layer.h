/*
 * layer.h - one OCI layer becomes block data: a compressed (gzip, zstd) or
 * plain tar stream in, `layers/<aa>/<diffid>/{data,index,hdr.zst,meta.json}`
 * out, once per diff_id.
 */
#ifndef IMAGE_LAYER_H
#define IMAGE_LAYER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/digest.h"
#include "base/err.h"
#include "store/store.h"

/*
 * Where the layer's (compressed) bytes come from. read() returns a count, 0 at
 * the end, or a negative errno with @err filled. The source verifies its own
 * compressed digest and length and fails the read at the end when they are
 * wrong: layer_ingest() always reads to the end before it publishes.
 */
struct layer_source {
	ssize_t (*read)(void *arg, void *data, size_t len, struct err *err);
	void *arg;
};

/* Bounds on what an image's author can make us do; 0 takes the default. */
struct layer_limits {
	uint64_t tar_bytes; /* default 64 GiB */
	uint64_t entries;   /* default 2,000,000 */
	uint64_t ratio;     /* default 1000, applied above 1 GiB of output */
};

struct layer_info {
	struct digest diff_id;
	uint64_t tar_bytes, data_bytes, entries;
};

/* Called at most every 50 ms with uncompressed bytes so far; may be NULL. */
typedef void (*layer_progress_fn)(void *arg, uint64_t tar_bytes);

/*
 * Convert and publish. @want is the config's claim of the diff_id; -EBADMSG
 * when the bytes say otherwise. NULL: take what comes out (directory packing).
 * The caller holds the lock "layer-<diffid>". Nothing is left on failure.
 */
int layer_ingest(struct store *s, const struct layer_source *src,
                 const struct digest *want, const struct layer_limits *lim,
                 layer_progress_fn progress, void *arg, struct layer_info *ret,
                 struct err *err);

/* 1 when the store has the layer, whole; 0 when not; negative errno. */
int layer_present(struct store *s, const struct digest *diff_id);

/*
 * Make the very tar again that the layer came from. @sink gets its bytes in
 * order; not 0 stops with that code. Everything read from the store is
 * checked, but whether the bytes are right only the diff_id tells.
 */
typedef int (*layer_sink_fn)(void *arg, const void *data, size_t len,
                             struct err *err);
int layer_export(struct store *s, const struct digest *diff_id,
                 layer_sink_fn sink, void *arg, struct err *err);

/* Does every byte of the stored layer still give its diff_id? Or -EBADMSG. */
int layer_verify(struct store *s, const struct digest *diff_id,
                 struct err *err);

/* The layer's folder below the store, with "/NAME" behind it unless NULL. */
#define LAYER_PATH_LEN 128
void layer_path(const struct digest *diff_id, const char *name, char *out);

#endif
