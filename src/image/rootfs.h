/*
 * rootfs.h - from layers to a root disk: the merged EROFS metadata of a chain
 * of layers, the list of extents that make it one read-only disk, and the
 * ext4 upper.
 */
#ifndef IMAGE_ROOTFS_H
#define IMAGE_ROOTFS_H

#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "store/store.h"

/* A piece of the disk: @len bytes at @offset of fds[fd]. In disk order. */
struct rootfs_extent {
	uint32_t fd; /* index into fds */
	uint64_t offset, len;
};

struct rootfs {
	int *fds; /* owned, read-only, close-on-exec */
	uint32_t nfds;
	struct rootfs_extent *extents;
	uint32_t nextents;
	uint64_t size; /* bytes, a multiple of 4096 */
};

/* OCI chain id of the ordered diff_ids. */
void rootfs_chain_id(const struct digest *diff_ids, uint32_t n,
                     struct digest *ret);

/*
 * Merge the layers (all present) and publish `chains/<aa>/<id>.<abi>/`, unless
 * it is there already. Takes its own lock.
 */
int rootfs_build(struct store *s, const struct digest *diff_ids, uint32_t n,
                 struct digest *ret_chain_id, struct err *err);

/* Open a built chain: the start path, no copying, well below 5 ms. */
int rootfs_open(struct store *s, const struct digest *chain_id,
                struct rootfs *ret, struct err *err);
void rootfs_release(struct rootfs *r); /* NULL and zeroed are fine */

/*
 * Pack the host directory @dir_fd (all ids and modes as they are; when not
 * run by root the caller's own files become root's) into the store as a chain
 * of one layer. Cost: reading the tree.
 */
int rootfs_pack_dir(struct store *s, int dir_fd, struct digest *ret_chain_id,
                    struct err *err);

/*
 * A fresh, unlinked ext4 file of @size bytes (sparse; folders `u` and `w`
 * inside for the overlay's upper and work), cloned from a cached template.
 * The file lives below the home folder and vanishes with its descriptor.
 */
int upper_create(struct store *s, uint64_t size, int *ret_fd, struct err *err);

/*
 * The same with a name: @name (0600) in the folder @dir_fd, which appears as a
 * whole or not at all. -EEXIST. It is on the disk on return: the record of the
 * sandbox that it belongs to is durable too, and after a power cut a disk of
 * holes would be one that never mounts again.
 */
int upper_create_at(struct store *s, uint64_t size, int dir_fd,
                    const char *name, struct err *err);

#endif
