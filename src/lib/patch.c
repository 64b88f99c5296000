#include "lib/patch.h"

#include <errno.h>
#include <stdlib.h>

#include "image/gc.h"
#include "image/install.h"
#include "image/patch.h"
#include "lib/options.h"

#include "base/banned.h"

_Static_assert((int)MSB_PATCH_FILE == (int)PATCH_FILE &&
                       (int)MSB_PATCH_COPY == (int)PATCH_COPY &&
                       (int)MSB_PATCH_APPEND == (int)PATCH_APPEND &&
                       (int)MSB_PATCH_MKDIR == (int)PATCH_MKDIR &&
                       (int)MSB_PATCH_SYMLINK == (int)PATCH_SYMLINK &&
                       (int)MSB_PATCH_REMOVE == (int)PATCH_REMOVE &&
                       (int)MSB_PATCH_SET_MODE == (int)PATCH_SET_MODE &&
                       (int)MSB_PATCH_SET_OWNER == (int)PATCH_SET_OWNER,
               "the kinds are the same, number for number");
_Static_assert((int)MSB_PATCH_REPLACE == (int)PATCH_F_REPLACE &&
                       (int)MSB_PATCH_MODE == (int)PATCH_F_MODE &&
                       (int)MSB_PATCH_OWNER == (int)PATCH_F_OWNER &&
                       (int)MSB_PATCH_NO_LINKS == (int)PATCH_F_NO_LINKS,
               "so are the flags");
_Static_assert(MSB_PATCHES_MAX == PATCHES_MAX, "and how many there may be");

static size_t count(const struct msb_patch *const *patches)
{
	size_t n = 0;

	while (patches && n <= PATCHES_MAX && patches[n])
		n++;
	return n;
}

static int take(const struct msb_patch *const *patches, size_t n,
                struct patch *to, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct msb_patch p = MSB_PATCH_INIT;

		if (!options_take(&p, sizeof(p), patches[i]))
			return err_set(err, -EINVAL, "msb_patch: wrong size");
		to[i] = (struct patch){
			.kind = (enum patch_kind)p.kind,
			.flags = p.flags,
			.path = p.path,
			.source = p.source,
			.data = p.data,
			.data_len = p.data_len,
			.mode = p.mode,
			.uid = p.uid,
			.gid = p.gid,
		};
	}
	return 0;
}

static int check_root(const struct image *img, struct err *err)
{
	static const struct digest none;

	if (!digest_equal(&img->chain_id, &none))
		return 0;
	err_set(err, -EOPNOTSUPP,
	        "a root that is not packed cannot be patched: %s",
	        img->ref ? img->ref : "");
	err_hint(err, "patches are for images and packed folders; a live "
	              "folder or a disk image is used as it is");
	return -EOPNOTSUPP;
}

static int apply(struct msb_home *home, const struct msb_image *image,
                 const struct patch *patches, size_t n, struct lib_patch *p,
                 struct err *err)
{
	int r = check_root(&image->image, err);

	if (r < 0)
		return r;
	gc_trim_patched(home->store);
	p->guard = install_guard(home->store, err);
	if (p->guard < 0)
		return p->guard;
	p->image = *image;
	p->image.image = (struct image){0};
	return image_patch(home->store, &image->image, patches, n,
	                   &p->image.image, err);
}

int lib_patch_apply(struct msb_home *home, struct msb_sandbox_opts *o,
                    struct lib_patch *ret, struct err *err)
{
	struct lib_patch cleanup_lib_patch p = LIB_PATCH_INIT;
	struct patch *cleanup_free list = NULL;
	size_t n = count(o->patches);
	int r;

	if (n == 0)
		return 0;
	if (o->snapshot)
		return err_set(err, -EINVAL,
		               "patches change an image, not a snapshot");
	if (n > PATCHES_MAX)
		return err_set(err, -E2BIG, "over %d patches", PATCHES_MAX);
	list = calloc(n, sizeof(*list));
	if (!list)
		return err_set(err, -ENOMEM, "out of memory");
	r = take(o->patches, n, list, err);
	if (r == 0)
		r = apply(home, o->image, list, n, &p, err);
	if (r < 0)
		return r;
	*ret = p;
	p = (struct lib_patch)LIB_PATCH_INIT;
	o->image = &ret->image;
	return 0;
}

void lib_patch_release(struct lib_patch *p)
{
	image_release(&p->image.image);
	close_fd(&p->guard);
}

int lib_patch_list(const struct msb_patch *const *patches, struct strv *ret)
{
	size_t n = count(patches);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		struct msb_patch p = MSB_PATCH_INIT;

		if (options_take(&p, sizeof(p), patches[i]) && p.path)
			r = strv_addf(ret, "%s %s",
			              patch_kind_name((enum patch_kind)p.kind),
			              p.path);
	}
	return r;
}
