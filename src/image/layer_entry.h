/*
 * layer_entry.h - what a tar entry means in an OCI layer: its clean names, its
 * attributes, and whether it is a whiteout. Everything that could steer the
 * guest's overlay from inside an image ends here.
 */
#ifndef IMAGE_LAYER_ENTRY_H
#define IMAGE_LAYER_ENTRY_H

#include "image/index.h"
#include "image/tar_read.h"

/* Buffers that are used again for each entry. */
struct layer_names {
	struct buf path, link, xattrs;
};

#define LAYER_NAMES_INIT                                                       \
	{                                                                      \
		.path = BUF_INIT, .link = BUF_INIT, .xattrs = BUF_INIT         \
	}

void layer_names_release(struct layer_names *n);

/*
 * Fill @ret but for its offsets, block and content, and @n with the strings.
 * 1; 0: an entry to leave out; -EBADMSG: one that no layer may have. @t is for
 * the message.
 */
int layer_entry_convert(const struct tar_reader *t, const struct tar_entry *e,
                        struct layer_names *n, struct index_entry *ret,
                        struct err *err);

#endif
