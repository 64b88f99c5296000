/* image.h - the public image handle around struct image. */
#ifndef LIB_IMAGE_H
#define LIB_IMAGE_H

#include "image/image.h"
#include "lib/root_source.h"
#include "microsandbox.h"

/* Whom the events of a pull or a save go to. */
struct lib_listener {
	msb_pull_event_fn fn;
	void *arg;
};

/* Let @ret's events go to @fn, which may be NULL; @l must outlive the work. */
void lib_listen(struct lib_listener *l, msb_pull_event_fn fn, void *arg,
                struct image_pull_opts *ret);

struct msb_image {
	struct image image; /* a folder's has a chain and a path as its ref */
	struct root_source root; /* of a live folder, a disk image */
	struct msb_image_info info;
	char id[DIGEST_TEXT_LEN + 1], config_digest[DIGEST_TEXT_LEN + 1];
	char **layers;
};

/* A handle around @image, which it takes, also on failure; NULL: no memory. */
struct msb_image *lib_image_new(struct image *image);

/* Open the root disk; merges the layers again when the store dropped that. */
int lib_image_open_root(struct store *s, const struct image *image,
                        struct rootfs *ret, struct err *err);

#endif
