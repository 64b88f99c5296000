/*
 * ext4.h - empty ext4 file systems, made by e2fsprogs.
 */
#ifndef IMAGE_EXT4_H
#define IMAGE_EXT4_H

#include <stdint.h>

#include "base/err.h"

#define EXT4_SIZE_MIN (16ULL << 20)
#define EXT4_SIZE_MAX (1ULL << 43) /* 8 TiB: ext4 hosts end at 16 */
#define EXT4_ABI      1            /* raise it when the options change */

/*
 * Make the existing file at @path an ext4 of @size bytes with the folders `u`
 * and `w` (root, 0755), to be grown online later. Its inode tables are not
 * written: the file must be all holes.
 */
int ext4_make(const char *path, uint64_t size, struct err *err);

/*
 * The same with nothing in it, its root root's (0755), and inodes for files of
 * 16 KiB each: a disk volume.
 */
int ext4_make_plain(const char *path, uint64_t size, struct err *err);

#endif
