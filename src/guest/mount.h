/*
 * mount.h - the file systems of the machine.
 *
 * The initramfs holds the empty folders /lower, /upper and /root. The image's
 * read-only disk (or a folder of the host) is mounted on the first, the
 * sandbox's writable disk (or a tmpfs) on the second, overlayfs joins them on
 * the third, and the third then becomes "/". From there on the initramfs is out
 * of everyone's sight.
 *
 * Everything else is mounted after that step: a path such as /dev may be a
 * symbolic link in a hostile image and must not lead out of it.
 */
#ifndef GUEST_MOUNT_H
#define GUEST_MOUNT_H

#include <stdint.h>

#include "base/err.h"

/* /sys and /dev of the initramfs, needed to find and open the disks. */
int mount_early(struct err *err);

#define MOUNT_LOWER "/lower"

/* @disk is a name such as "vda", @type erofs ("": the same) or ext4. */
int mount_image(const char *disk, const char *type, struct err *err);

/*
 * @disk NULL means a tmpfs of @bytes (0: half of memory). @ret_fd is the folder
 * the file system is mounted on, for the clean end (see power.h); -1 for a
 * tmpfs.
 */
int mount_upper(const char *disk, uint64_t bytes, int *ret_fd, struct err *err);

/* The upper's folder of changes, once it is mounted; a descriptor. */
int mount_upper_changes(void);

/* Join both and make the result this process's root. */
int mount_root(struct err *err);

/* proc, sys, dev and the like, below the new root. */
int mount_kernel(struct err *err);

/* Let every cgroup v2 controller be used by the groups below the root. */
int mount_cgroup_enable(struct err *err);

#endif
