/*
 * fs.h - the file server behind virtio-fs: FUSE requests on folders of the
 * host (Linux: include/uapi/linux/fuse.h, protocol 7.31 and newer).
 *
 * One server has several shares. The root that the guest mounts is a folder of
 * our own that cannot be changed: in it each share is an entry of its name, a
 * folder of the host, or one file. The guest's agent binds these to where the
 * user wants them. So one device serves any number of shares, and each has its
 * own rules: read-only, cache, owners, quota.
 *
 * The guest is hostile, and so may be what changes the share on the host
 * meanwhile. Nothing outside of a share is read, written or found: every name
 * is one component and never followed, what has several is walked by openat2()
 * with RESOLVE_BENEATH, NO_SYMLINKS and NO_MAGICLINKS from a descriptor of the
 * share; only regular files and folders are ever opened for more than O_PATH;
 * devices, sockets and setuid bits are shown to the guest and never exist on
 * the host (owner.h).
 *
 * One thread (the device's) makes all calls.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iov.h"

#define FS_NAME_MAX   32 /* of a share's entry in the root */
#define FS_SHARES_MAX 64

/* What the guest may keep, and so what it sees of changes on the host. */
enum fs_cache {
	FS_CACHE_AUTO,   /* a second; data until size or time changed (open) */
	FS_CACHE_ALWAYS, /* until evicted: nobody else changes the share */
	FS_CACHE_NONE,   /* nothing: every access asks the host */
};

/* Whom the guest takes the host's owners for, where no attribute says it. */
struct fs_owners {
	bool squash; /* all files are @uid, @gid */
	uint32_t uid, gid;
	uint32_t host_uid, host_gid; /* who msb is on the host; shown as above,
	                                other owners as themselves (host_uid 0)
	                                or as 65534 */
};

struct fs_share {
	char name[FS_NAME_MAX + 1];
	int fd; /* O_PATH, a folder or a regular file; the caller's */
	bool read_only;
	enum fs_cache cache;
	struct fs_owners owners;
	/*
	 * At most so many bytes more (0: no limit). With @usage_fd (>= 0, an
	 * 8-byte file shared by all that use the volume, quota.h) at most so
	 * many in all.
	 */
	uint64_t quota_bytes;
	int usage_fd;
};

struct fs_config {
	const struct fs_share *shares; /* copied */
	size_t nshares;
	/*
	 * A folder with our descriptors by number (/proc/self/fd, O_PATH), to
	 * open again what was opened with O_PATH. The caller's.
	 */
	int proc_fd;
	/* What a guest may have at once; 0: the default. */
	uint32_t inodes_max, handles_max;
	uint32_t fds_max; /* kept open for inodes: a cache */
};

#define FS_INODES_DEFAULT  (1u << 20)
#define FS_HANDLES_DEFAULT 8192u
#define FS_FDS_DEFAULT     4096u

struct fs;

int fs_new(const struct fs_config *cfg, struct fs **ret, struct err *err);
void fs_free(struct fs *fs); /* NULL is fine */

/* The driver is gone: forget all inodes, handles and the session. */
void fs_reset(struct fs *fs);

/*
 * One request: @out is what the guest sent (header, arguments, data), @in room
 * for the answer. Both are consumed; data goes straight between the guest's
 * memory and the file. *ret_len is how much of @in was written; 0 for requests
 * without an answer. -EPROTO when no answer is possible (no room for a header,
 * lengths that contradict each other): the device is broken. All other faults
 * are answers. Never blocks on what another request of this guest would end.
 */
int fs_request(struct fs *fs, struct iov *out, struct iov *in,
               uint32_t *ret_len);

/* For metrics and tests. */
struct fs_stats {
	uint64_t requests, read_bytes, write_bytes;
	uint32_t inodes, handles, fds;
};
void fs_get_stats(const struct fs *fs, struct fs_stats *ret);

#endif
