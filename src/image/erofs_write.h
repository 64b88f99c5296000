/*
 * erofs_write.h - the metadata of an image as an EROFS file system, whose file
 * contents lie behind it on the same disk, in the layers' data files:
 *
 *	0        boot area, zeros
 *	1024     super block
 *	1152     inodes, the root first, each folder's entries side by side;
 *	         behind an inode its attributes, then its tail: link text, a
 *	         small file, the last part of a folder
 *	dirs     full blocks of folders
 *	meta     end of this file, a multiple of 4096
 *	         data of layer 0, data of layer 1, ...
 *
 * To the guest's kernel that is one plain, single-device, uncompressed EROFS:
 * no feature bit that Linux 5.4 does not know. The inode table starts at byte
 * 0, so an inode's number is its offset / 32. Always the 64-byte inode: the
 * short one has no time. A tail never crosses a block; an inode may.
 *
 * The bytes depend on the tree and the uuid only.
 */
#ifndef IMAGE_EROFS_WRITE_H
#define IMAGE_EROFS_WRITE_H

#include <stdint.h>

#include "image/tree.h"

#define EROFS_BLOCK 4096u
#define EROFS_ABI   1 /* raise it when the same tree gives other bytes */

struct erofs_info {
	uint64_t bytes; /* of the metadata */
	uint64_t inodes;
	uint64_t split;  /* where the folders' full blocks begin */
	uint32_t crc[2]; /* CRC-32C before and after that */
};

/*
 * Write to @fd from its start. -EFBIG when the disk would be over 16 TiB,
 * -E2BIG when an entry's attributes are too large.
 */
int erofs_write(const struct tree *t, const uint8_t uuid[16], int fd,
                struct erofs_info *ret, struct err *err);

#endif
