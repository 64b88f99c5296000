/*
 * install.h - put an image into the store, wherever its bytes come from: pull
 * and load give a function that brings one layer, the rest is here.
 *
 * Locks, always taken in this order:
 *	pull          shared, for the whole of a pull: image_gc() then keeps
 *	              what is young, for it cannot know what is wanted
 *	config-<hex>  one process installs an image, others wait and find it
 *	layer-<hex>   one fetches a layer, by diff_id
 *	blob-<hex>    one writes a .part file
 *	store         shared, briefly, where an image becomes reachable;
 *	              image_gc() and image_remove() hold it alone
 */
#ifndef IMAGE_INSTALL_H
#define IMAGE_INSTALL_H

#include "image/manifest.h"
#include "image/meter.h"
#include "image/ref.h"
#include "store/store.h"

#define INSTALL_WORKERS_DEFAULT 4
#define INSTALL_WORKERS_MAX     16

struct install {
	struct store *s;
	struct meter *meter;
	const struct digest *diff_ids;
	const struct descriptor *blobs; /* as the manifest lists them */
	uint32_t nlayers;
	uint32_t workers; /* 0: the default */
	bool force;

	/* Ingest layer @i. Several threads call it; its lock is held. */
	int (*fetch)(void *arg, uint32_t i, struct err *err);
	void *arg;
};

/* Bring in what is missing, several layers at once. */
int install_layers(const struct install *in, struct err *err);

/* What an image's record is made of. */
struct install_image {
	const struct ref *ref;
	const void *manifest, *config; /* raw bytes */
	size_t manifest_len, config_len;
	const struct digest *tag_digest; /* of the index, or NULL */
	const char *platform;
};

/* Build the root, keep the documents, and name the image: the last step. */
int install_commit(const struct install *in, const struct install_image *img,
                   struct err *err);

/* The lock "pull", shared; a descriptor to close at the end. */
int install_guard(struct store *s, struct err *err);

/*
 * Wait for "<kind>-<digest>" exclusively, polling the progress; @watch is
 * called at each turn (to show what the holder does), and may be NULL.
 */
int install_lock(struct store *s, const char *kind, const struct digest *d,
                 struct meter *p, void (*watch)(void *arg), void *arg,
                 struct err *err);

/* Bytes of the interrupted or running download of @blob, 0 when none. */
uint64_t install_part_size(struct store *s, const struct digest *blob);

/* All layers and the root are in the store. */
bool install_is_whole(struct store *s, const struct image *img);

#endif
