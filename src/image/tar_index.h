/*
 * tar_index.h - where the members of an outer tar (an image archive) lie.
 *
 * Only names, links, offsets and sizes matter here; layers inside are read by
 * tar_read. Names are cleaned ("./a//b" is "a/b"); members whose name is
 * absolute or has ".." are left out, so they cannot be found.
 */
#ifndef IMAGE_TAR_INDEX_H
#define IMAGE_TAR_INDEX_H

#include <stdint.h>

#include "base/err.h"

struct tar_member {
	char *name, *link; /* link: cleaned target, or NULL */
	uint64_t offset, size;
};

struct tar_index {
	struct tar_member *members; /* sorted by name */
	uint32_t n, cap;
};

/* @fd must be seekable; @size is its length. */
int tar_index_build(int fd, uint64_t size, struct tar_index *ret,
                    struct err *err);
void tar_index_release(struct tar_index *ix); /* zeroed is fine */

/*
 * Follows links inside the archive. -ENOENT, -ELOOP, or -EBADMSG when the name
 * is there twice: which one is meant is not for us to guess.
 */
int tar_index_find(const struct tar_index *ix, const char *name,
                   const struct tar_member **ret, struct err *err);

#endif
