/*
 * patch_int.h - the parts of patch.h: patch.c changes the merged tree,
 * patch_host.c brings files of the host into it, patch_tar.c writes down what
 * differs.
 *
 * The tree gets one more layer, the patches'. An inode of that layer points to
 * a struct made; all others are the image's as they are. A name that the image
 * had and that is gone or replaced is `taken` (see tree.h).
 */
#ifndef IMAGE_PATCH_INT_H
#define IMAGE_PATCH_INT_H

#include "base/fdio.h"
#include "image/layer.h"
#include "image/patch.h"
#include "image/tree.h"

/* Memory that goes as a whole. */
struct patch_chunk;

/* A folder or file of the host that is copied. */
struct patch_source {
	const char *path;
	uint64_t dev, ino;
	bool is_dir;
	enum file_links links; /* that the path may have */
};

/* A file in it, as it was when it was found. */
struct patch_host {
	const struct patch_source *source;
	const char *name; /* below the source; "" is the source itself */
	uint64_t dev, ino, size;
	struct timespec changed;
};

/* A file's content is a row of these. */
struct patch_part {
	struct patch_part *next;
	uint64_t len;
	const uint8_t *data;           /* the caller's, or */
	const struct index_entry *e;   /* the image's, or */
	uint32_t layer;                /* (of e) */
	const struct patch_host *host; /* the host's */
};

struct patch_made {
	struct index_entry e; /* link_off: in patch_job.links */
	const uint8_t *xattrs;
	uint32_t xattrs_len;
	struct patch_part *parts, **end;
	char *name; /* the first that was written of it, to link to */
	size_t name_len;
};

struct patch_job {
	struct store *store;
	const struct digest *diff_ids;
	struct index *layers; /* nlayers and one more: the patches' */
	uint32_t nlayers;
	struct tree *tree;
	uint32_t base_names; /* names that the image had */
	struct buf links;    /* texts of symbolic links */
	struct patch_chunk *chunks;
	int64_t mtime; /* of what has no time of its own */
	struct err *err;
	const struct patch *cur;
};

/* Zeroed; NULL and the error when there is none. */
void *patch_alloc(struct patch_job *j, size_t len);
char *patch_copy_text(struct patch_job *j, const char *text, size_t len);

/* Fill the error with "patch of PATH: ..."; returns @code. */
int patch_error(struct patch_job *j, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* NULL when it is the image's own. */
static inline struct patch_made *patch_made_of(const struct patch_job *j,
                                               uint32_t inode)
{
	const struct tree_inode *n = &j->tree->inodes[inode];

	return n->e && n->layer == j->nlayers
	               ? (struct patch_made *)(uintptr_t)n->e
	               : NULL;
}

/* A new inode's description, with the owner that the patch says. */
struct patch_made *patch_make(struct patch_job *j, enum index_type type,
                              uint32_t mode);
struct patch_part *patch_add_part(struct patch_job *j, struct patch_made *m,
                                  uint64_t len);
int patch_set_link(struct patch_job *j, struct patch_made *m, const char *text,
                   size_t len);
/* Give it an inode below @parent. */
int patch_add(struct patch_job *j, struct patch_made *m, uint32_t parent,
              const char *name, size_t len, uint32_t *ret_inode);

/* The file or folder j->cur->source, as the name @name in @parent. */
int patch_copy(struct patch_job *j, uint32_t parent, const char *name,
               size_t len);

/* Open @h again, if it is still the one that was found. */
int patch_host_open(const struct patch_host *h, struct err *err);
/* Whether the open file is still as it was found. */
int patch_host_same(const struct patch_host *h, int fd, struct err *err);

/* Write the difference as a layer. */
int patch_ingest(struct patch_job *j, struct layer_info *ret, struct err *err);

#endif
