/*
 * disk_tree.h - one digest for a disk's content, whatever form it has: SHA-256
 * of "msb-disk-tree-1\n", le64 of the size, then for each block of 64 KiB that
 * is not all zeros, in order, le64 of its number and the SHA-256 of its bytes
 * (of the last one: those that there are). Holes need not be read.
 */
#ifndef LIB_DISK_TREE_H
#define LIB_DISK_TREE_H

#include "base/digest.h"
#include "disk/disk.h"

#define DISK_TREE_BLOCK 65536u

struct disk_tree {
	struct digest_ctx all;
	uint8_t *block;
	uint64_t size, number; /* of the block */
	bool used;             /* something of it was added */
};

int disk_tree_init(struct disk_tree *t, uint64_t size); /* -ENOMEM */
void disk_tree_release(struct disk_tree *t);
/* Bytes at @at, which only grows; what is left out is zeros. Inside the size.
 */
void disk_tree_add(struct disk_tree *t, uint64_t at, const void *data,
                   size_t len);
void disk_tree_final(struct disk_tree *t, struct digest *ret);

/*
 * Call fn(arg, at, data, len) for all that is not a hole, in order; a piece
 * lies in one block. Not 0 ends it with that value.
 */
typedef int (*disk_piece_fn)(void *arg, uint64_t at, const void *data,
                             size_t len);
int disk_each_piece(struct disk *d, disk_piece_fn fn, void *arg);

/* Of an open disk: reads it all. @tick as in upper.h. */
int disk_tree_of(struct disk *d, int (*tick)(void *arg, uint64_t bytes),
                 void *arg, struct digest *ret, struct err *err);

#define cleanup_tree cleanup(disk_tree_release)

#endif
