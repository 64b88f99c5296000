/*
 * tree.h - the layers of an image merged into one tree, by the rules of the
 * OCI image specification; nothing of it ever touches a path of the host.
 *
 * For each layer, from the lowest:
 *  1. Whiteouts and opaque marks take away from what lower layers gave, never
 *     from their own layer, wherever they stand in it.
 *  2. Entries in order. Folders on the way are looked up through symbolic
 *     links *inside the tree* ("/" and ".." end at its root; at most 40
 *     links); missing ones are made: 0755, root, time 0.
 *  3. A folder over a folder gives it new attributes; its content stays.
 *     Everything else replaces what had the name.
 *  4. A hard link gets the inode that its target names at that moment, the
 *     target's last part not followed; not a folder, not missing.
 *
 * Inodes point into the indexes, which must outlive the tree.
 */
#ifndef IMAGE_TREE_H
#define IMAGE_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "image/index.h"

#define TREE_INODES_MAX 2000000
#define TREE_NAMES_MAX  4000000
#define TREE_LINKS_MAX  40
#define TREE_NONE       UINT32_MAX
#define TREE_ROOT       0 /* inode number */

struct tree_inode {
	const struct index_entry *e; /* NULL: a folder that no layer has */
	uint32_t layer;
	uint32_t nlink;       /* of what can be reached; by tree_finish() */
	uint32_t first_child; /* name, folders only */
	uint32_t parent;      /* inode, folders only */
};

struct tree_name {
	const uint8_t *text;
	uint32_t parent, inode; /* inodes */
	uint32_t next;          /* name in the same folder */
	uint32_t hash_next;
	uint8_t len;
	bool dead;
	bool taken; /* by tree_take() */
};

struct tree {
	const struct index *layers;
	uint32_t nlayers;
	struct tree_inode *inodes;
	struct tree_name *names;
	uint32_t ninodes, cap_inodes, nnames, cap_names;
	uint32_t *hash, hash_bits;
	uint64_t seed[2];

	/* The folder that the last entry was in: tar order makes it hit. */
	const uint8_t *last_dir;
	uint32_t last_dir_len, last_dir_inode;

	/*
	 * After tree_finish(): every reachable inode once, each folder's
	 * entries side by side, the root first; and each folder's names
	 * sorted by bytes, dead ones gone.
	 */
	uint32_t *order, norder;
};

int tree_build(const struct index *layers, uint32_t n, struct tree **ret,
               struct err *err);
void tree_free(struct tree *t); /* NULL is fine */

/*
 * The same in two steps, for those who change the tree in between (patch.c):
 * `order`, link counts and sorted names are there after tree_finish() only.
 */
int tree_merge(const struct index *layers, uint32_t n, struct tree **ret,
               struct err *err);
int tree_finish(struct tree *t, struct err *err);

/*
 * The folder @path, seen from the folder @from ("/" leads to the root), links
 * followed; with @create what is missing is made. -ENOENT, -ENOTDIR, -ELOOP,
 * -ENAMETOOLONG say what is wrong with the path; other failures have filled
 * @err.
 */
int tree_walk(struct tree *t, uint32_t from, const uint8_t *path, size_t len,
              bool create, uint32_t *ret, struct err *err);

/* The number of the name in the folder @parent, or TREE_NONE. */
uint32_t tree_find(const struct tree *t, uint32_t parent, const uint8_t *name,
                   size_t len);

/* @e: as in struct tree_inode, and must outlive the tree. */
int tree_new_inode(struct tree *t, const struct index_entry *e, uint32_t layer,
                   uint32_t parent, uint32_t *ret, struct err *err);

/* Let the name, old or new, stand for @inode; @text must outlive the tree. */
int tree_set_name(struct tree *t, uint32_t parent, const uint8_t *text,
                  size_t len, uint32_t inode, struct err *err);

/* The name goes, and all that it led to; it is `taken` for ever. */
void tree_take(struct tree *t, uint32_t name);

static inline bool tree_is_dir(const struct tree *t, uint32_t inode)
{
	const struct index_entry *e = t->inodes[inode].e;

	return !e || e->type == INDEX_DIR;
}

static inline void cleanup_tree_fn(struct tree **t)
{
	tree_free(*t);
}
#define cleanup_tree cleanup(cleanup_tree_fn)

#endif
