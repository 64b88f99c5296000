/*
 * mounts.h - what a machine has besides its root: shares of the host, disks
 * and tmpfs, at the places that BOOT.mounts names (proto/proto.h).
 *
 * All shares are entries of one virtio-fs, which is mounted once where nobody
 * sees it; each is bound to its target. A target that is missing is made: a
 * folder, or an empty file for a share that is a file.
 */
#ifndef GUEST_MOUNTS_H
#define GUEST_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "guest/disk.h"
#include "proto/proto.h"

/* Whether there is any share: in @mounts, or as the root. */
bool mounts_need_shares(const struct proto_boot *b);

/*
 * Mount the virtio-fs below the initramfs: a descriptor of its root, by which
 * shares are found when that is out of sight.
 */
int mounts_open_shares(int *ret_fd, struct err *err);

/* Bind the share @name of @shares_fd to @target, a folder that exists. */
int mounts_bind_root(int shares_fd, const char *name, const char *target,
                     struct err *err);

/* All of @list, in order, in the root that commands see. */
int mounts_provide(const struct proto_strs *list, int shares_fd,
                   const struct disks *disks, struct err *err);

/* One mount's options: "ro,noexec,size=1024". */
struct mount_options {
	bool read_only, noexec, nosuid, nodev;
	char fstype[16];
	char data[96]; /* for mount(2) */
};

int mounts_parse_options(const char *text, struct mount_options *ret,
                         struct err *err);

#endif
