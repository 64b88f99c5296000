/*
 * quota.h - how much a share may take.
 *
 * A volume's usage is one number in a file of 8 bytes that all sandboxes with
 * that volume map (atomic, little-endian); whoever mounts it first counts it
 * anew (src/lib/volume.c), as it may be wrong after a crash. Of a plain folder
 * only the growth since the start is counted, in this process; what the guest
 * removes gives room.
 *
 * What counts, in the server and in who counts anew:
 *   - each name (of a file, folder, link, device; each hard link, too):
 *     QUOTA_INODE_BYTES, which is more than its entry and its inode take;
 *   - each folder QUOTA_FOLDER_BYTES besides, however big it is: the names pay
 *     for its growth; the root of the share is free;
 *   - each file and link what it occupies (st_blocks * 512), once, however many
 *     names it has. So holes are free until they are filled, preallocated room
 *     is not, and blocks that files share (reflinks) count for each.
 * Extended attributes count where they are blocks of a file's; a folder's do
 * not.
 *
 *   operation             taken before               settled after
 *   --------------------  -------------------------  ------------------------
 *   create, mknod, link   quota_take_name()          given back on failure
 *   mkdir                 that and the folder's      the same
 *   symlink               that and a block           by its st_blocks
 *   write, fallocate,     quota_room() of the range  quota_settle() with
 *   copy, setxattr                                   st_blocks of both moments
 *   chmod, chown          -                          what the owner's attribute
 *                                                    grew by; undone if refused
 *   truncate, punch hole  0; to grow: 0, it is a     quota_settle()
 *                         hole (fill the last block)
 *   unlink, rmdir,        -                          quota_give() of the name;
 *   rename over                                      of the blocks when that
 *                                                    was the last name and no
 *                                                    handle is open, else at
 *                                                    the last close
 *
 * Where there is not enough and the range has no hole (SEEK_HOLE, below the
 * file's size), nothing needs to be taken: what is full can still be written
 * over. Preallocated room that was never written is a hole for that.
 *
 * A file without a name counts for the sandbox that removed it, until it is
 * closed there. Of what another sandbox has open nobody here knows: two that
 * share a volume may so keep more than its limit as long as they hold it open.
 *
 * Room is taken before a file grows and what was too much is given back after,
 * so several writers together never pass the limit. Two sandboxes that change
 * one file's size at the same time would both see the difference: before and
 * after are looked at under quota_lock().
 *
 * Besides, whatever the quota: the host's file system keeps a reserve of
 * min(1/20, 256 MiB) and of min(1/20, 65536) inodes, so a guest never fills
 * it. Free space is asked for again every QUOTA_STEP_MAX bytes at the latest,
 * and sooner when little is left.
 */
#ifndef FS_QUOTA_H
#define FS_QUOTA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"

#define QUOTA_INODE_BYTES    512u
#define QUOTA_FOLDER_BYTES   4096u
#define QUOTA_BLOCK          4096u
#define QUOTA_RESERVE_MAX    (256ull << 20)
#define QUOTA_RESERVE_INODES 65536ull
#define QUOTA_STEP_MAX       (16ull << 20)

struct quota {
	uint64_t limit;   /* 0: none */
	uint64_t *shared; /* mapped; NULL: own */
	int64_t own;
	int dir_fd;             /* of the share: for the host's free space */
	uint64_t reserve_left;  /* bytes until the host is asked again */
	uint64_t reserve_names; /* the same in inodes */
	int usage_fd;           /* the caller's; -1: not shared */
};

/* @usage_fd -1: no shared number. @dir_fd: the share, the caller's. */
int quota_init(struct quota *q, uint64_t limit, int usage_fd, int dir_fd,
               struct err *err);
void quota_release(struct quota *q);

/* Take @bytes: 0 or -ENOSPC, also for the host's reserve. */
int quota_take(struct quota *q, uint64_t bytes);
void quota_give(struct quota *q, uint64_t bytes);

/* Take a name's bytes and @more, and one of the host's inodes. */
int quota_take_name(struct quota *q, uint64_t more);

/*
 * At most so much room is new when @len bytes at @offset of a file are filled:
 * blocks that are touched, and those that say where they are.
 */
uint64_t quota_room(uint64_t offset, uint64_t len);

/*
 * A file that may have grown: @taken was taken before, @before and @after are
 * its st_blocks * 512.
 */
void quota_settle(struct quota *q, uint64_t taken, uint64_t before,
                  uint64_t after);

/*
 * Nobody else who shares the number settles this file meanwhile. Without a
 * shared number free. Held over one system call; who waits in vain for
 * QUOTA_LOCK_MS (a stopped process holds it) goes on without. The system drops
 * it with the process.
 */
#define QUOTA_LOCK_MS 200
void quota_lock(struct quota *q, uint64_t ino);
void quota_unlock(struct quota *q, uint64_t ino);

/* For statfs: what is used and what may be; false without a limit. */
bool quota_state(const struct quota *q, uint64_t *ret_used,
                 uint64_t *ret_limit);

#endif
