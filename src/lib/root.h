/*
 * root.h - where a sandbox's root file system comes from, when it is not an
 * image of the store: a folder of the host that is used as it is ("live"), or
 * a disk image. Either is the read-only lower layer of the overlay; nothing of
 * it is copied, and it is opened anew at each start.
 */
#ifndef LIB_ROOT_H
#define LIB_ROOT_H

#include <stdbool.h>

#include "base/err.h"
#include "image/rootfs.h"
#include "lib/launch.h"
#include "lib/root_source.h"

void root_source_release(struct root_source *s);
int root_source_copy(struct root_source *ret, const struct root_source *from);

/* Whether @reference names a disk image, by its end or its options. */
bool root_is_disk(const char *reference);

/* Check and describe one: see msb_image_pull(), and MSB_PULL_NO_LINKS. */
int root_look_live(const char *path, bool no_links, struct root_source *ret,
                   struct err *err);
int root_look_disk(const char *reference, bool no_links,
                   struct root_source *ret, struct err *err);

/*
 * Add the root to @l. Of an image @extents, which must outlive @l, are its
 * disk's; else they stay empty.
 */
int root_open(struct store *s, const struct root_source *root,
              const struct image *image, struct rootfs *extents,
              struct launch *l, struct err *err);

#endif
