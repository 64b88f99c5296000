/*
 * download.h - one blob from a registry, as the source of a layer.
 *
 * A thread appends what comes to blobs/<hex>.part while layer_ingest() reads
 * the same file some way behind it (from the page cache). The reader hashes
 * every byte from the start, so bytes that an earlier, killed pull left in the
 * file are verified like those that come now. What is in the file survives a
 * failure and is gone on with next time, unless it is known to be wrong.
 *
 *	registry --> thread --> .part --> reader + SHA-256 --> layer_ingest()
 */
#ifndef IMAGE_DOWNLOAD_H
#define IMAGE_DOWNLOAD_H

#include "image/layer.h"
#include "image/manifest.h"
#include "image/registry.h"

/*
 * Fetch the blob and ingest it as @diff_id, whose lock the caller holds. Ticks
 * layer @layer of the registry's progress.
 */
int download_layer(struct store *s, struct registry *reg,
                   const struct descriptor *blob, const struct digest *diff_id,
                   uint32_t layer, struct err *err);

#endif
