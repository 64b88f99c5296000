/*
 * snapshot_archive.h - a snapshot as one file: a tar, plain or inside zstd, of
 * these entries in this order, which any tar can list and unpack:
 *
 *	snapshot.json           as in its folder; its SHA-256 is the identity
 *	image/manifest.json     \
 *	image/config.json        > with the image only; of a packed folder the
 *	image/layers/HEX.tar    /  layers alone
 *	upper.raw               the disk, whatever it is made of on the host;
 *	                        with holes (GNU's sparse form 1.0)
 *	digests.json            of snapshot.json and of the disk (disk_tree.h)
 *
 * snapshot.json has the digests of all else. Nothing of an archive is believed
 * before they fit; the file system inside is for a guest alone.
 */
#ifndef LIB_SNAPSHOT_ARCHIVE_H
#define LIB_SNAPSHOT_ARCHIVE_H

#include "lib/disk_tree.h"
#include "lib/snapshot.h"

#define ARCHIVE_TEXT     "snapshot.json"
#define ARCHIVE_MANIFEST "image/manifest.json"
#define ARCHIVE_CONFIG   "image/config.json"
#define ARCHIVE_LAYERS   "image/layers/"
#define ARCHIVE_LAYER    ".tar"
#define ARCHIVE_DISK     "upper.raw"
#define ARCHIVE_DIGESTS  "digests.json"

#define ARCHIVE_SCHEMA 1

/* @path "-": standard output. Appears as a whole, or not at all. */
int snapshot_save(struct store *s, const char *name, const char *path,
                  uint32_t flags, struct err *err);

/* *ret_name is freed by the caller. */
int snapshot_load(struct store *s, const char *path, const char *name,
                  char **ret_name, struct err *err);

#endif
