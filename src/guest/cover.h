/*
 * cover.h - files of the machine's own over those of its image.
 *
 * As docker has it they lie in a tmpfs and are bound over what the image has
 * there, so that nothing of them gets into the upper: not into a commit, not
 * into a snapshot. Where the image has nothing, an empty file is made to bind
 * to. The image is hostile: a symbolic link is followed within the root only,
 * never through /proc's magic ones, and what is no regular file stays.
 *
 *	cover_begin() -> { cover_path(), cover_fd() } -> cover_end()
 */
#ifndef GUEST_COVER_H
#define GUEST_COVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"

struct cover {
	int root_fd;
	const char *scratch; /* an empty folder of ours; mounted on meanwhile */
	int tmpfs_fd;
	dev_t dev; /* of the tmpfs: what has it is covered already */
	unsigned n;
};

/* Mounts the tmpfs with @options; cover_end() also after a failure. */
int cover_begin(struct cover *c, const char *options);
/* The bound files keep it; the folder itself is nobody's business. */
void cover_end(struct cover *c);

/*
 * A descriptor (O_PATH) of the regular file @path, an absolute path within the
 * root @root_fd. @make: an empty one is made where it, or what its link leads
 * to, is missing. -EINVAL: it is no regular file.
 */
int cover_open(int root_fd, const char *path, bool make);

/* The folder @path within the root, to be read; a link at its end is followed.
 */
int cover_folder(int root_fd, const char *path);

bool cover_has(const struct cover *c, int fd);

/* All of the file that cover_open() gave, bounded by to->max (-E2BIG). */
int cover_read(int fd, struct buf *to);

/* A file of the tmpfs with @text, over the one that @target is. */
int cover_fd(struct cover *c, int target, const struct buf *text);

/* Take away what is bound over the image's file: @fd is its place, of
   cover_open(). Who has it open keeps it. */
void cover_off(int fd);

/* As cover_fd(), by name, made if it is missing; what fails is logged. */
void cover_path(struct cover *c, const char *path, const struct buf *text);

#endif
