/*
 * snapshot.h - what the parts of the library that make, save and load
 * snapshots share.
 */
#ifndef LIB_SNAPSHOT_H
#define LIB_SNAPSHOT_H

#include "lib/home.h"
#include "lib/snapshot_file.h"
#include "lib/upper.h"
#include "microsandbox.h"

/* Its content, opened for reading, its name free to go meanwhile. */
struct snapshot_disk {
	struct upper files;
	struct disk *disk;
};
int snapshot_open_disk(struct store *s, const struct snapshot *sn,
                       struct snapshot_disk *ret, struct err *err);
void snapshot_disk_release(struct snapshot_disk *d);
#define cleanup_snapshot_disk cleanup(snapshot_disk_release)

/* By name or digest, with its content open: no removal can come between. */
int snapshot_find_open(struct store *s, const char *name, struct snapshot *ret,
                       struct snapshot_disk *ret_disk, struct err *err);

/*
 * For a new sandbox: what msb_sandbox_opts.snapshot names. *ret_image is what
 * it was written over; *bytes, 0 for that of the snapshot, is checked.
 */
int snapshot_for_fork(struct store *s, const char *name, struct snapshot *ret,
                      struct image *ret_image, uint64_t *bytes,
                      struct err *err);

/* The disk of a new sandbox. */
int snapshot_fork(struct store *s, const char *digest, const struct place *p,
                  uint64_t bytes, struct err *err);

/* Tells a caller's event function of what is read, at most every 50 ms. */
struct snapshot_meter {
	msb_copy_event_fn fn;
	void *arg;
	uint64_t bytes, next_ns;
	const char *name;
};
int snapshot_tick(void *meter, uint64_t bytes);

#endif
