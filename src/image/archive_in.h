/*
 * archive_in.h - an image archive as a folder of named byte ranges: an OCI
 * layout folder, or an oci-archive or docker-archive (tar), plain or
 * compressed once, from a file or standard input.
 *
 * Names come from documents that a stranger wrote. In a folder every part is
 * opened below the one before and no link is followed; in a tar only members
 * can be found.
 */
#ifndef IMAGE_ARCHIVE_IN_H
#define IMAGE_ARCHIVE_IN_H

#include "base/buf.h"
#include "image/layer.h"
#include "image/manifest.h"
#include "image/meter.h"
#include "image/tar_index.h"
#include "store/store.h"

struct archive {
	struct store *s;
	int fd; /* the tar, or the folder */
	bool is_dir;
	struct tar_index ix;
	struct store_tmp tmp; /* what had to be spooled or decompressed */
};

int archive_open(struct store *s, const char *path, bool no_links,
                 struct meter *p, struct archive *ret, struct err *err);
void archive_close(struct archive *a);

/* A part of a file: pread() it. */
struct archive_member {
	int fd; /* owned */
	uint64_t offset, size;
};

/* -ENOENT when there is no such name; refused names are -EBADMSG. */
int archive_member(const struct archive *a, const char *name,
                   struct archive_member *ret, struct err *err);
void archive_member_release(struct archive_member *m);

/* A small document, at most @b->max bytes. */
int archive_read(const struct archive *a, const char *name, struct buf *b,
                 struct err *err);

/* "blobs/sha256/<hex>", verified against the descriptor. */
int archive_document(const struct archive *a, const struct descriptor *d,
                     struct buf *b, struct err *err);

/*
 * A member as the source of a layer; its digest is checked at the end when
 * @want is not NULL. Ticks layer @layer of @p.
 */
struct archive_source {
	struct archive_member m;
	uint64_t done;
	bool checked;
	struct digest_ctx hash;
	const struct digest *want;
	struct meter *p;
	uint32_t layer;
};

int archive_source_open(const struct archive *a, const char *name,
                        const struct digest *want, struct meter *p,
                        uint32_t layer, struct archive_source *ret,
                        struct err *err);
ssize_t archive_source_read(void *src, void *data, size_t len, struct err *err);
void archive_source_close(struct archive_source *src);

#endif
