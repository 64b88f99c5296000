/*
 * patch.h - msb_sandbox_opts.patches: the image of a sandbox becomes the same
 * with one more layer before the sandbox is put on record (image/patch.h does
 * the work). Nothing else of a creation knows about it: the pin keeps the
 * layer, and a start opens the chain that the pin names.
 */
#ifndef LIB_PATCH_H
#define LIB_PATCH_H

#include "base/strv.h"
#include "lib/home.h"
#include "lib/image.h"

struct lib_patch {
	struct msb_image image; /* .image is ours, the rest the caller's */
	int guard;              /* keeps what no pin keeps yet */
};

#define LIB_PATCH_INIT                                                         \
	{                                                                      \
		.guard = -1                                                    \
	}

/*
 * Apply o->patches, if there are any, and let o->image be the result, which
 * lives until lib_patch_release(). -EOPNOTSUPP for roots that have no layers.
 */
int lib_patch_apply(struct msb_home *home, struct msb_sandbox_opts *o,
                    struct lib_patch *ret, struct err *err);
void lib_patch_release(struct lib_patch *p); /* as LIB_PATCH_INIT is fine */

/* For people: "KIND PATH" of each, in order. */
int lib_patch_list(const struct msb_patch *const *patches, struct strv *ret);

#define cleanup_lib_patch cleanup(lib_patch_release)

#endif
