/*
 * upper.h - the writable disk of a sandbox: made, opened for a start, grown,
 * forked from a snapshot, and set aside as one. disks.h says what it is made
 * of. All under the lock of the sandbox's folder.
 *
 * A fork costs no data: where the file system can (XFS, btrfs) the snapshot's
 * top file is cloned by reference and is the fork's own; else the fork gets an
 * empty qcow2 over it. Nothing of the host reads the file system in it.
 */
#ifndef LIB_UPPER_H
#define LIB_UPPER_H

#include "lib/disks.h"
#include "lib/place.h"

/* The upper first, then what is below it: descriptors to close. */
struct upper {
	struct disk_layer layers[DISK_LAYERS_MAX];
	unsigned n;
	uint64_t bytes;
};
void upper_release(struct upper *u); /* NULL and zeroed are fine */
#define cleanup_upper cleanup(upper_release)

/* What the sandbox's disk.json says, else that it has an upper.ext4 only. */
int upper_chain(const struct place *p, struct disk_chain *ret, struct err *err);

/* For a new sandbox: an empty disk of @bytes. */
int upper_make(struct store *s, const struct place *p, uint64_t bytes,
               struct err *err);
/*
 * The same with what the chain @from (of a snapshot, that begins with
 * @parent's digest) has in it. Under the guard of disks.h.
 */
int upper_fork(struct store *s, const struct place *p, uint64_t bytes,
               const struct disk_chain *from, const char *parent,
               struct err *err);

/*
 * Open it: to be written by a machine, at least @bytes large, or with
 * @read_only as it is. Files that a killed process left are dropped.
 */
int upper_open(struct store *s, const struct place *p, uint64_t bytes,
               bool read_only, struct upper *ret, struct err *err);

/* It is not kept, and has files all the same, until upper_forget(). */
bool upper_is_forked(const struct place *p);
/* It goes with its last descriptor: for sandboxes that are not kept. */
void upper_forget(const struct place *p);

/* All of its files, at once. */
int upper_remove(const struct place *p);

/*
 * Set it aside for a snapshot: what it holds now becomes a chain of layers
 * that nobody writes to, *ret, and the sandbox goes on with the same content.
 * Cloned where that can be done, else the upper's file gets a name in
 * HOME/disks and the sandbox an empty one over it. @flat, if not -1, is a raw
 * copy of it all (disks_new_file()), which takes the place of the chain.
 * @parent is the digest of the snapshot. Under the guard. -EMLINK: the chain
 * would be too deep, a @flat is needed.
 *
 * With @ret_old the file is still called that, too: upper_drop_old() at the
 * end, when the snapshot has its name.
 */
struct upper_aside {
	struct disk_chain chain; /* the snapshot's */
	struct disk_chain next;  /* the sandbox's */
	bool cloned;
	char old[32]; /* the upper's file before; "": it stays */
};
void upper_aside_release(struct upper_aside *a);
#define cleanup_aside cleanup(upper_aside_release)

int upper_set_aside(struct store *s, const struct place *p, uint64_t bytes,
                    int flat, const char *parent, struct upper_aside *ret,
                    struct err *err);
void upper_drop_old(struct store *s, const struct place *p,
                    const struct upper_aside *a);

/* Write @len bytes at @at of a new file, but for blocks that are all zeros. */
int upper_write_sparse(int fd, const void *data, size_t len, uint64_t at);

/*
 * All of an open disk into the raw file @fd, which gets its size: only what is
 * not zeros is written. @tick (may be NULL) is told of bytes read; not 0 stops
 * with -ECANCELED.
 */
typedef int (*upper_tick_fn)(void *arg, uint64_t bytes);
int upper_copy(struct disk *d, int fd, upper_tick_fn tick, void *arg,
               struct err *err);

#endif
