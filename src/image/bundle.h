/*
 * bundle.h - an image as a part of an archive that is no image archive: the
 * archive of a snapshot. It has no name there and gets none here: a stranger's
 * archive must not say what "alpine" is.
 */
#ifndef IMAGE_BUNDLE_H
#define IMAGE_BUNDLE_H

#include "base/buf.h"
#include "image/image.h"
#include "image/layer.h"

/* Manifest and config as received, both empty for a packed folder. */
int bundle_documents(struct store *s, const struct image *img,
                     struct buf *manifest, struct buf *config, struct err *err);

/* Bytes of a layer's tar, as layer_export() gives them. */
int bundle_layer_bytes(struct store *s, const struct digest *diff_id,
                       uint64_t *ret, struct err *err);

/* Bring a layer in; the bytes must be those of @diff_id. */
int bundle_layer_in(struct store *s, const struct layer_source *src,
                    const struct digest *diff_id, struct err *err);

/* What a stranger says of an image; the digests are in the text form. */
struct bundle {
	const char *ref, *manifest, *config, *chain; /* "" for folders */
	const struct strv *diff_ids;
	bool patched;
};

/* Keeps what comes in until it is pinned: a descriptor to close. */
int bundle_guard(struct store *s, struct err *err);

/* Put the documents of one that has some; their digests must be right. */
int bundle_put(struct store *s, const struct bundle *b,
               const struct buf *manifest, const struct buf *config,
               struct err *err);

/* All of it is in the store: 0; -ENOENT with words. */
int bundle_check(struct store *s, const struct bundle *b, struct err *err);

/*
 * Pin it as the image of the snapshot in HOME/snapshots/@folder. Whatever was
 * said is compared with what the documents say: -EBADMSG.
 */
int bundle_pin(struct store *s, const struct bundle *b, const char *folder,
               struct err *err);

#endif
