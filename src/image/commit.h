/*
 * commit.h - one more layer over an image becomes a new image.
 *
 * The layer goes through layer_ingest() as one of a registry does. Its
 * descriptor is that of the plain tar, so its digest is its diff_id; those of
 * the base's layers stay as they were. The configuration is the base's with
 * the changes, one more diff_id and one more line of history.
 */
#ifndef IMAGE_COMMIT_H
#define IMAGE_COMMIT_H

#include <jansson.h>

#include "image/image.h"
#include "image/layer.h"

struct commit_info {
	const char *reference;        /* of the new image */
	const char *author, *message; /* or NULL */
	const char *created_by;       /* for the history */
	const char *const *changes;   /* as in a Dockerfile, NULL-terminated */
};

/* Whether the reference and the changes can be: before any work is done. */
int commit_check(const struct commit_info *info, struct err *err);

/*
 * @base is whole and kept by a pin; folders without a configuration are
 * -EOPNOTSUPP. *ret_id is the new manifest's digest.
 */
int image_commit(struct store *s, const struct image *base,
                 const struct layer_source *layer,
                 const struct commit_info *info, struct digest *ret_id,
                 struct err *err);

/*
 * Apply one change to the "config" object of an image: CMD, ENTRYPOINT, ENV,
 * EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR. -EINVAL says why not.
 */
int commit_change(json_t *config, const char *change, struct err *err);

#endif
