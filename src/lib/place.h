/*
 * place.h - the folder of one sandbox, HOME/sandboxes/ID (0700):
 *
 *	lock        flock()ed by its msb-vmm for as long as that lives; nothing
 *	            else says that a sandbox runs
 *	agent.sock  where msb-vmm listens for who joins later
 *	end.json    how the last run ended, written by msb-vmm; empty while it
 *	            runs or when msb-vmm itself was killed
 *	upper.ext4  what was written in it; only of sandboxes that are kept
 *	vmm.log     what msb-vmm said, of detached ones
 *
 * A folder without a row in the database is what a killed process left of a
 * creation or a removal: place_sweep() removes it.
 */
#ifndef LIB_PLACE_H
#define LIB_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"

#define PLACE_REASON_MAX  64
#define PLACE_MESSAGE_MAX 512

struct place {
	int parent_fd, dir_fd; /* -1: none */
	char id[32];
};

#define PLACE_INIT                                                             \
	{                                                                      \
		.parent_fd = -1, .dir_fd = -1                                  \
	}

/* Make the folder of @id, which must be new, or open it. -ENOENT. */
int place_make(const struct store *s, const char *id, struct place *ret,
               struct err *err);
int place_open(const struct store *s, const char *id, struct place *ret,
               struct err *err);
void place_release(struct place *p); /* NULL is fine */

/*
 * Take the lock: a descriptor that holds it, for msb-vmm to inherit.
 * -EBUSY when the sandbox runs, or somebody is about to start or remove it.
 */
int place_lock(const struct place *p, struct err *err);

/* Whether somebody holds it. */
bool place_is_locked(const struct place *p);

/* A new listening socket in place of the old one. Under the lock. */
int place_listen(const struct place *p, struct err *err);

/* A line to the msb-vmm that listens there. -ECONNREFUSED, -ENOENT. */
int place_connect(const struct place *p);

/* Open a file in it. Ours alone; never through a link. */
int place_file(const struct place *p, const char *name, int flags);

/* How the last run ended; @reason "" when nobody wrote it down. */
struct place_end {
	char reason[PLACE_REASON_MAX];
	char message[PLACE_MESSAGE_MAX];
	int64_t ended_ms; /* 0: not known */
};
int place_read_end(const struct place *p, struct place_end *ret);

/* Bytes that its files occupy on the host. */
uint64_t place_disk_bytes(const struct place *p);

/* Remove the folder and all in it. Under the lock. Fine when it is gone. */
int place_remove(const struct store *s, const char *id, struct err *err);

/* Remove folders that are not @known and whose lock is free. */
int place_sweep(const struct store *s, bool (*known)(void *arg, const char *id),
                void *arg);

#define cleanup_place cleanup(place_release)

#endif
