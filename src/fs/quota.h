/*
 * quota.h - how much a share may take.
 *
 * A volume's usage is one number in a file of 8 bytes that all sandboxes with
 * that volume map (atomic, little-endian); whoever mounts it first counts it
 * anew (src/lib/volume.c), as it may be wrong after a crash. Of a plain folder
 * only the growth since the start is counted, in this process.
 *
 * A file counts what it occupies (st_blocks * 512) and QUOTA_INODE_BYTES. Room
 * is taken before a file grows and what was too much is given back after, so
 * several writers together never pass the limit.
 *
 * Besides, whatever the quota: the host's file system keeps a reserve of
 * min(1/20, 256 MiB), so a guest never fills it.
 */
#ifndef FS_QUOTA_H
#define FS_QUOTA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"

#define QUOTA_INODE_BYTES 512u

struct quota {
	uint64_t limit;   /* 0: none */
	uint64_t *shared; /* mapped; NULL: own */
	int64_t own;
	int dir_fd;            /* of the share: for the host's free space */
	uint64_t reserve_left; /* bytes until the host is asked again */
};

/* @usage_fd -1: no shared number. @dir_fd: the share, the caller's. */
int quota_init(struct quota *q, uint64_t limit, int usage_fd, int dir_fd,
               struct err *err);
void quota_release(struct quota *q);

/* Take @bytes: 0 or -ENOSPC, also for the host's reserve. */
int quota_take(struct quota *q, uint64_t bytes);
void quota_give(struct quota *q, uint64_t bytes);

/*
 * A file that may have grown: @taken was taken before, @before and @after are
 * its st_blocks * 512.
 */
void quota_settle(struct quota *q, uint64_t taken, uint64_t before,
                  uint64_t after);

/* For statfs: what is used and what may be; false without a limit. */
bool quota_state(const struct quota *q, uint64_t *ret_used,
                 uint64_t *ret_limit);

#endif
