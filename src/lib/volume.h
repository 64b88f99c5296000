/*
 * volume.h - the folder of one volume, HOME/volumes/NAME/ (0700):
 *
 *	volume.json   its kind, size, birth; never changes
 *	data/         what sandboxes see of a MSB_VOLUME_DIR
 *	usage         8 bytes (little-endian): what data/ takes now, shared by
 *	              all machines that have it mounted (src/fs/quota.h)
 *	disk.raw      the ext4 of a MSB_VOLUME_DISK, as large as the disk
 *	lock          held by each msb-vmm that has it mounted: shared of a
 *	              folder, exclusive of a disk
 *
 * The folders alone say which volumes there are; state.db does not know them,
 * so it may be lost. One that is made is called .new-N until it is complete
 * and on the disk, one that is removed .gone-N before the first file goes.
 * Their makers hold their lock: what a killed one left, the next creation or
 * removal of any volume takes away.
 *
 * Locks are those of place.h. What was opened and locked may have been removed
 * between: volume_use() looks again.
 */
#ifndef LIB_VOLUME_H
#define LIB_VOLUME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"
#include "microsandbox.h"
#include "store/store.h"

#define VOLUME_DISK     "disk.raw"
#define VOLUME_DISK_MIN (16ULL << 20)

struct volume {
	int dir_fd; /* -1: none */
	char name[MSB_NAME_MAX + 1];
	int32_t kind;        /* enum msb_volume_kind */
	uint64_t size_bytes; /* the quota, 0: none; the disk's size */
	int64_t created_ms;
};

#define VOLUME_INIT                                                            \
	{                                                                      \
		.dir_fd = -1                                                   \
	}

/* What @name, @kind and @size cannot be: -EINVAL. */
int volume_check(const char *name, int32_t kind, uint64_t size,
                 struct err *err);

/* A new one; checked before. -EEXIST. */
int volume_create(struct store *s, const char *name, int32_t kind,
                  uint64_t size, struct err *err);

int volume_open(struct store *s, const char *name, struct volume *ret,
                struct err *err);      /* -ENOENT */
void volume_release(struct volume *v); /* NULL is fine */

/* The names of all, sorted. */
int volume_names(struct store *s, struct strv *ret, struct err *err);

/* What a machine that mounts it is given. */
struct volume_use {
	int fd;       /* data/ (O_PATH), or the disk (O_RDWR, or read-only) */
	int usage_fd; /* of a folder; -1 */
	int lock_fd;  /* to be held for as long as the machine lives */
};

#define VOLUME_USE_INIT                                                        \
	{                                                                      \
		.fd = -1, .usage_fd = -1, .lock_fd = -1                        \
	}

/*
 * Lock it and open it. Of a folder, the first that does so counts what is in
 * it. -EBUSY: another machine has this disk, or it is being removed; -ENOENT:
 * it was removed since it was opened.
 */
int volume_use(struct store *s, const struct volume *v, bool read_only,
               struct volume_use *ret, struct err *err);
void volume_use_release(struct volume_use *u); /* NULL is fine */

/*
 * An empty folder that nobody owns yet is @uid's and @gid's from now on, as
 * guests see it (src/fs/owner.h): of the user of the first sandbox that mounts
 * it. Fine when the host's file system cannot keep that.
 */
void volume_give(const struct volume *v, uint32_t uid, uint32_t gid);

/* Whether a machine has it mounted. */
bool volume_is_used(const struct volume *v);

/* Bytes that it takes on the host: of a folder that is not mounted, counted. */
uint64_t volume_bytes(const struct volume *v);

/* The volume and all in it. -ENOENT, -EBUSY when a machine has it mounted. */
int volume_remove(struct store *s, const char *name, struct err *err);

int volume_no_such(const char *name, struct err *err); /* -ENOENT */

#define cleanup_volume     cleanup(volume_release)
#define cleanup_volume_use cleanup(volume_use_release)

#endif
