/*
 * config.h - what the library asks of one machine: JSON in a memfd, read
 * once, checked as a whole before anything has an effect.
 *
 * The library is trusted to mean well, not to be without faults, and what a
 * user typed goes through it: so every value has a range, an unknown key is an
 * error that names it, and a descriptor must be open. Every descriptor that
 * the config names is close-on-exec afterwards.
 */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"
#include "disk/disk.h"
#include "fs/fs.h"
#include "vmm/accel.h"
#include "vmm/config_net.h"

#define VMM_CONFIG_VERSION 1
#define VMM_CONFIG_MAX     (4u << 20) /* bytes of JSON; scripts, escaped */
#define VMM_NAME_MAX       64
#define VMM_CMDLINE_MAX    1536 /* x86 takes 2047; QEMU adds its devices */
#define VMM_SERIAL_MAX     20   /* virtio-blk's own limit */
#define VMM_DISKS_MAX      6    /* root, upper, disk0 ... disk3 */
#define VMM_EXTENTS_MAX    4096
#define VMM_CPUS_MAX       64
#define VMM_MEMORY_MIN_MIB 64
#define VMM_MEMORY_MAX_MIB (1u << 20) /* 1 TiB: TCG's physical addresses */
#define VMM_FD_FIRST       5          /* 0..4 are fixed, see VMM_FD_* */
#define VMM_SCRIPTS_MAX    256        /* all fit into one BOOT frame: */
#define VMM_SCRIPTS_BYTES  (512u << 10)
#define VMM_INIT_MAX       1024 /* words of init, and of init_env */
#define VMM_INIT_BYTES     (128u << 10)
#define VMM_SHARES_MAX     FS_SHARES_MAX
#define VMM_MOUNTS_MAX     256 /* four strings each in the list */
#define VMM_MOUNTS_BYTES   (256u << 10)
#define VMM_LOCKS_MAX      128

#define VMM_FD_CONTROL 3
#define VMM_FD_CONFIG  4

struct vmm_disk {
	char serial[VMM_SERIAL_MAX + 1];
	bool read_only;
	struct disk_extent *extents; /* owned; or layers */
	uint32_t nextents;
	struct disk_layer *layers; /* owned; the top first */
	uint32_t nlayers;
};

struct vmm_config {
	char name[VMM_NAME_MAX + 1];
	char hostname[VMM_NAME_MAX + 1];
	char qemu[PATH_MAX];
	char cmdline[VMM_CMDLINE_MAX + 1];
	unsigned engine; /* index into vmm_engine_names */
	enum accel accel;
	uint32_t cpus, memory_mib, boot_timeout_ms;
	int kernel_fd, initramfs_fd;
	int console_fd; /* -1: none */
	int log_fds[2]; /* base/reclog.h; -1: none */
	/*
	 * Others than the library that started it reach a machine by
	 * @listen_fd, a listening socket (SOCK_SEQPACKET). Who wants to know
	 * whether it lives looks for a lock on @lock_fd's file, which we only
	 * hold open. How it ended is written to @end_fd.
	 */
	int listen_fd, lock_fd, end_fd;          /* -1: none */
	uint32_t max_duration_s, idle_timeout_s; /* 0: no limit */
	struct vmm_disk disks[VMM_DISKS_MAX];
	unsigned ndisks;
	struct fs_share shares[VMM_SHARES_MAX];
	unsigned nshares;
	/* Held open, for nothing but the locks that they carry. */
	int lock_fds[VMM_LOCKS_MAX];
	unsigned nlocks;
	/* The root: an EROFS or ext4 on the disk "root", or a share. */
	unsigned root_type; /* index into vmm_root_types */
	char root_name[FS_NAME_MAX + 1];
	uint64_t upper_bytes; /* of a tmpfs upper: no disk "upper" */
	struct vmm_net net;
	struct vmm_vsock_list vsock;
	char *cas; /* PEM for the guest's trust stores; NULL: none */
	/* As in BOOT (proto/proto.h): not looked into, for the guest only. */
	struct strv scripts, init, init_env, mounts;
};

/* "auto", "kvm", "qemu", NULL: what "engine" may say. */
extern const char *const vmm_engine_names[];

/* "erofs", "ext4", "share", NULL */
extern const char *const vmm_root_types[];

/* Parse and check @len bytes; release @ret with config_release() always. */
int config_parse(struct vmm_config *ret, const void *data, size_t len,
                 struct err *err);

/* The same from a descriptor, from offset 0. */
int config_read(struct vmm_config *ret, int fd, struct err *err);

void config_release(struct vmm_config *c);

/* The disk with @serial, or NULL. */
const struct vmm_disk *config_disk(const struct vmm_config *c,
                                   const char *serial);

#define cleanup_config cleanup(config_release)

#endif
