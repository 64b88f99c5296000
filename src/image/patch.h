/*
 * patch.h - changes to an image before a machine starts from it, as one more
 * layer.
 *
 * The layer is made like any that a registry sends: a tar goes through
 * layer_ingest(), so it obeys the same rules, is named by its digest, and is
 * merged with the image's layers into a chain of its own by rootfs_build(). The
 * same patches of the same image give the same layer, whoever asks.
 *
 * Paths are those of the guest. What lies on their way is looked up in the
 * merged tree, links followed inside of it only, so nothing here can name a
 * file of the host but `source`.
 */
#ifndef IMAGE_PATCH_H
#define IMAGE_PATCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "image/image.h"
#include "store/store.h"

#define PATCHES_MAX 4096

enum patch_kind {
	PATCH_FILE = 1,
	PATCH_COPY,
	PATCH_APPEND,
	PATCH_MKDIR,
	PATCH_SYMLINK,
	PATCH_REMOVE,
	PATCH_SET_MODE,
	PATCH_SET_OWNER,
	PATCH_KINDS,
};

enum patch_flags {
	PATCH_F_REPLACE = 1,
	PATCH_F_MODE = 2,
	PATCH_F_OWNER = 4,
	PATCH_F_NO_LINKS = 8, /* COPY: no part of source's path is one */
};

struct patch {
	enum patch_kind kind;
	uint32_t flags;
	const char *path;   /* in the guest, absolute */
	const char *source; /* COPY: on the host; SYMLINK: the link's text */
	const void *data;   /* FILE, APPEND */
	size_t data_len;
	uint32_t mode, uid, gid;
};

/* "mkdir", "copy", ... */
const char *patch_kind_name(enum patch_kind kind);

/* What can be said about @p alone: -EINVAL. */
int patch_check(const struct patch *p, struct err *err);

/*
 * Apply the @n patches, in order, to @base, an image or a packed folder. @ret
 * is the same with one more layer and another chain, which are in the store;
 * keep them there with image_pin() before the lock of install_guard(), which
 * the caller holds, goes. What the patches point to is read, not kept.
 *
 * -EEXIST, -ENOENT, -ENOTDIR, -EINVAL about the guest's paths; -EBUSY when a
 * file of the host changes while it is read.
 */
int image_patch(struct store *s, const struct image *base,
                const struct patch *patches, size_t n, struct image *ret,
                struct err *err);

#endif
