/* copy_tar.h - a tree as a tar archive: the sink. */
#ifndef LIB_COPY_TAR_H
#define LIB_COPY_TAR_H

#include "base/buf.h"
#include "files/sink.h"

/*
 * The content of an archive's file is as long as its header says: what grew
 * meanwhile is cut off there, and what shrank is filled with zeros and told at
 * the end. Holes are zeros in it, so a file with very large ones is refused.
 */
struct copy_tar {
	/* Called with the archive's bytes, in order. */
	int (*put)(void *arg, const void *data, size_t len, struct err *err);
	void *arg;
	const char *name; /* of the root in the archive; ".": "./" */
	bool layer;       /* whiteouts as in OCI layers; no root entry's name */
	struct buf head, path, link;
	uint64_t size, off; /* of the file under way */
	uint64_t gaps;      /* filled with zeros in it so far */
	char shrunk[256];   /* the first that did */
};

struct files_sink copy_tar_sink(struct copy_tar *t);
/* The end marker; -EBUSY when a file shrank. */
int copy_tar_finish(struct copy_tar *t, struct err *err);
void copy_tar_release(struct copy_tar *t);

#endif
