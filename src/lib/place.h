/*
 * place.h - the folder of one sandbox, HOME/sandboxes/ID (0700):
 *
 *	lock          held by its msb-vmm for as long as that lives; nothing
 *	              else says that a sandbox runs
 *	agent.sock    where msb-vmm listens for who joins later
 *	tls.sock      where msb-tls does for changed secrets, if there is one
 *	end.json      how the last run ended, written by msb-vmm; empty while it
 *	              runs or when msb-vmm itself was killed
 *	vm.log.0 .1   what the console, detached commands and msb-vmm said
 *	exec.log .1   what all other commands said
 *	upper.ext4    what was written in it; only of sandboxes that are kept
 *	disk.json     ... or which files hold it, if more do (disks.h)
 *	ports.json    which ports of the host lead into it while it runs
 *	sandbox.json  what the database says, should that be lost; of these
 *	NAME.new      what a writer of one of these two left who was killed;
 *	              the next one overwrites it
 *	unkept        a mark: without a row in the database this folder is
 *	              rubbish, left by a killed process
 *
 * One that is being removed is called ID.gone before the first file goes.
 *
 * The mark is there so that a lost database does not cost anybody's data: a
 * folder without it is never swept.
 *
 * The lock is one of the open file description (F_OFD_SETLK): it goes with the
 * descriptor to msb-vmm, and to look at it takes nothing away from anybody.
 */
#ifndef LIB_PLACE_H
#define LIB_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/state.h"
#include "store/store.h"

#define PLACE_UPPER       "upper.ext4"
#define PLACE_REASON_MAX  64
#define PLACE_MESSAGE_MAX 512

struct place {
	int parent_fd, dir_fd; /* -1: none */
	char id[STATE_ID_LEN + 1];
};

#define PLACE_INIT                                                             \
	{                                                                      \
		.parent_fd = -1, .dir_fd = -1                                  \
	}

/* Make the folder of @id, which must be new, with the mark; or open it. */
int place_make(const struct store *s, const char *id, struct place *ret,
               struct err *err);
int place_open(const struct store *s, const char *id, struct place *ret,
               struct err *err);     /* -ENOENT */
void place_release(struct place *p); /* NULL is fine */

/* Set, remove and look for the mark `unkept`. */
int place_mark(const struct place *p);
int place_unmark(const struct place *p);
bool place_is_marked(const struct place *p);

/*
 * Take the lock: a descriptor that holds it, for msb-vmm to inherit.
 * -EBUSY when the sandbox runs, or somebody is about to start or remove it.
 */
int place_lock(const struct place *p, struct err *err);

/* Whether somebody holds it. */
bool place_is_locked(const struct place *p);

/* Wait until nobody does: 0, or -ETIMEDOUT. */
int place_wait_unlocked(const struct place *p, uint32_t timeout_ms);

/* A new listening socket in place of the old one. Under the lock. */
int place_listen(const struct place *p, struct err *err);
int place_listen_tls(const struct place *p, struct err *err);

/*
 * A line to the msb-vmm that listens there. -ECONNREFUSED, -ENOENT; -EAGAIN
 * when it listens, and too many wait for it already. Never waits.
 */
int place_connect(const struct place *p);

/* The same to its msb-tls, which only a machine with secrets has. */
int place_connect_tls(const struct place *p);
/* Whether its last start was one with msb-tls; and take that back. */
bool place_has_tls(const struct place *p);
void place_forget_tls(const struct place *p);

/* Open a file in it. Ours alone; never through a link. */
int place_file(const struct place *p, const char *name, int flags);

/* How the last run ended; @reason "" when nobody wrote it down. */
struct place_end {
	char reason[PLACE_REASON_MAX];
	char message[PLACE_MESSAGE_MAX];
	int64_t ended_ms; /* 0: not known */
	int32_t exit_code;
};
int place_read_end(const struct place *p, struct place_end *ret);

/* sandbox.json: @config and @labels as in the row. */
int place_write_json(const struct place *p, const struct state_sandbox *row,
                     struct err *err);
/* The row that it describes; release it. */
int place_read_json(const struct place *p, struct state_sandbox *ret,
                    struct err *err);

/* Bytes that its files occupy on the host. */
uint64_t place_disk_bytes(const struct place *p);

/* Remove the folder and all in it. Under the lock. Fine when it is gone. */
int place_remove(const struct store *s, const char *id, struct err *err);

/*
 * Remove marked folders that are not @known and whose lock is free, but for
 * those of the last minute: their makers may be about to lock them.
 */
int place_sweep(const struct store *s, bool (*known)(void *arg, const char *id),
                void *arg);

#define cleanup_place cleanup(place_release)

#endif
