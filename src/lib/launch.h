/*
 * launch.h - start one msb-vmm: its descriptors, its configuration, its
 * process.
 *
 * The program that loads this library may have many threads, many open files
 * and its own signal handlers: clone.h says how the child is made all the
 * same. All descriptors of ours are close-on-exec from their birth, and the
 * child closes all it was not given.
 *
 *	0 /dev/null   1,2 log   3 control socket   4 configuration (memfd)
 *	5 kernel   6 initramfs   7 listening socket   8 lock   9 end.json
 *	10,11 the log's two files   12.. those of disks, shares, locks and the
 *	network, in order
 */
#ifndef LIB_LAUNCH_H
#define LIB_LAUNCH_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/strv.h"
#include "disk/disk.h"
#include "image/rootfs.h"
#include "lib/net_launch.h"
#include "lib/record.h"
#include "lib/runtime.h"
#include "microsandbox.h"

#define LAUNCH_FD_CONTROL   3
#define LAUNCH_FD_CONFIG    4
#define LAUNCH_FD_KERNEL    5
#define LAUNCH_FD_INITRAMFS 6
#define LAUNCH_FD_LISTEN    7
#define LAUNCH_FD_LOCK      8
#define LAUNCH_FD_END       9
#define LAUNCH_FD_LOG       10
#define LAUNCH_FD_MORE      12

/* Layers are at most 127 by OCI practice; the rest is a generous bound. */
#define LAUNCH_MORE_MAX   1024
#define LAUNCH_DISKS_MAX  8
#define LAUNCH_SHARES_MAX (MSB_MOUNTS_MAX + 1)
#define LAUNCH_NAME_MAX   20 /* a virtio-blk serial */

/* A disk: extents of an image, or files of which the first is the top. */
struct launch_disk {
	char serial[LAUNCH_NAME_MAX + 1]; /* "root", "upper", "disk0"... */
	bool read_only;
	const struct rootfs *extents;              /* borrowed; NULL: layers */
	struct disk_layer layers[DISK_LAYERS_MAX]; /* owned descriptors */
	unsigned nlayers;
};

/* A folder or file of the host for virtio-fs; see struct fs_share. */
struct launch_share {
	char name[LAUNCH_NAME_MAX + 1]; /* "s0"..., its entry there */
	int fd;                         /* O_PATH; owned */
	int32_t cache;                  /* enum msb_cache */
	bool read_only, squash;
	uint32_t uid, gid; /* of the user's own files, or of all */
	uint64_t quota_bytes;
	int usage_fd; /* owned; -1: none */
};

/*
 * What a machine gets. Zeroed with LAUNCH_INIT; launch_release() closes all
 * that is owned in @disks, @shares, @locks and @net.
 */
struct launch {
	const struct runtime *runtime;
	const char *name, *hostname;
	const struct sandbox_config *config; /* engine, accel: not DEFAULT */
	int listen_fd, lock_fd, end_fd, log_fds[2];
	int stderr_fd;         /* where msb-vmm logs; -1: /dev/null */
	const char *log_level; /* NULL: msb-vmm's default */
	struct launch_disk disks[LAUNCH_DISKS_MAX];
	unsigned ndisks;
	struct launch_share shares[LAUNCH_SHARES_MAX];
	unsigned nshares;
	/*
	 * Open files that the machine holds for as long as it lives: locks of
	 * volumes and disk images. Owned.
	 */
	int locks[LAUNCH_SHARES_MAX];
	unsigned nlocks;
	struct strv mounts;    /* BOOT.mounts, four each */
	const char *root_type; /* erofs, ext4, share; a disk "root" */
	const char *root_name; /* the disk's serial or the share's name */
	uint64_t upper_bytes;  /* of a tmpfs; a disk "upper" otherwise */
	struct net_launch net;
};

#define LAUNCH_INIT                                                            \
	{                                                                      \
		.root_type = "erofs", .root_name = "root",                     \
		.net = NET_LAUNCH_INIT                                         \
	}

void launch_release(struct launch *l);
#define cleanup_launch cleanup(launch_release)

/* Room for one more, zeroed but for its descriptors (-1); NULL: too many. */
struct launch_disk *launch_add_disk(struct launch *l, const char *serial);
struct launch_share *launch_add_share(struct launch *l);
/* Takes @fd, also on failure. */
int launch_add_lock(struct launch *l, int fd);

/* The configuration as JSON; NULL when out of memory. Free it. */
char *launch_config(const struct launch *l);

/*
 * Start it. The caller owns the control socket and must wait for the process.
 * The descriptors in @l may be closed afterwards.
 */
int launch_start(const struct launch *l, pid_t *ret_pid, int *ret_control,
                 struct err *err);

#endif
