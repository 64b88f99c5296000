/*
 * archive_out.h - images of the store as one archive that docker, podman,
 * skopeo and msb load.
 *
 * Layers are written as plain tars, the very bytes that the image's author
 * made (layer_export()), so configs and diff_ids are what they were. The
 * compressed layers that a registry had are gone, and nobody can make the same
 * bytes of them again; a manifest that names them by digest therefore cannot
 * describe this archive. An OCI archive gets a manifest of its own for that,
 * of plain layers; and both forms carry the image's manifest, too, as the blob
 * that ARCHIVE_ORIGINAL names: load.c takes it for what the image is called
 * when its config is that of the archive's own manifest, whose diff_ids bind
 * all the content. So an image has the same id after any number of journeys.
 *
 * The same images in the same order give the same bytes everywhere.
 */
#ifndef IMAGE_ARCHIVE_OUT_H
#define IMAGE_ARCHIVE_OUT_H

#include "image/image.h"

/* In the descriptor of index.json, and in the entry of manifest.json. */
#define ARCHIVE_ORIGINAL     "dev.microsandbox.manifest"
#define ARCHIVE_ORIGINAL_KEY "MicrosandboxManifest"

enum archive_format { ARCHIVE_DOCKER, ARCHIVE_OCI };

/*
 * Write the images @refs (names or ids), each blob once, to @fd, which may be
 * a pipe. Every layer's bytes are checked against its diff_id on the way:
 * -EBADMSG. @opts may be NULL; of it, event and event_arg are looked at:
 * LAYER and LAYER_DONE count over all layers of all images.
 */
int archive_save(struct store *s, const char *const *refs, size_t n,
                 enum archive_format format, int fd,
                 const struct image_pull_opts *opts, struct err *err);

/* The same for who may not be killed by a pipe that nobody reads. */
int image_save(struct store *s, const char *const *refs, size_t n,
               enum archive_format format, int fd,
               const struct image_pull_opts *opts, struct err *err);

#endif
