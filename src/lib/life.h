/*
 * life.h - how sandboxes come, start, end and go: their row in state.db and
 * their folder, kept in step whatever is killed in between.
 *
 * Order of a creation: folder (marked as rubbish), its lock, what is in it,
 * the row, the mark off; then the machine, which inherits the lock. Order of a
 * removal: the lock, the mark, the row, the folder. So at each moment either
 * the row speaks for the folder, or the mark allows anybody to sweep it.
 *
 * A row whose machine ended without anybody to write it down is settled by the
 * next call that comes across it: the lock is free, so end.json is final.
 */
#ifndef LIB_LIFE_H
#define LIB_LIFE_H

#include "lib/home.h"
#include "lib/sandbox.h"

/* The grace of a replacement and of a removal by force. */
#define LIFE_GRACE_MS 10000u

/*
 * Put it on record and start it, unless NO_START; fills @sb, which is zeroed
 * but for its lock, counter, machine and configuration (of @o, checked).
 * Nothing is left on failure.
 */
int life_create(struct msb_home *home, const struct msb_sandbox_opts *o,
                struct msb_sandbox *sb, struct err *err);

/* Start one that is on record. */
int life_start(struct msb_home *home, const char *name,
               const struct msb_start_opts *o, struct msb_sandbox *sb,
               struct err *err);

/*
 * Whether what only its starter has, values of secrets, is there for a start:
 * before a machine is stopped for one. -EINVAL and others of
 * tls_launch_open().
 */
int life_may_start(struct msb_home *home, const char *name,
                   const struct msb_start_opts *o, struct err *err);

/* Join one that runs. */
int life_open(struct msb_home *home, const char *name, struct msb_sandbox *sb,
              struct err *err);

/* By name or id, settled. */
int life_get(struct msb_home *home, const char *name, struct state_sandbox *ret,
             struct err *err);

/* Its row, its image's pin, its folder; under its lock, if it has a folder. */
int life_drop(struct msb_home *home, struct state *st, const char *id,
              struct err *err);

/* Settle all that may have died unseen. */
void life_reap(struct msb_home *home);

/*
 * Write down the end of one that this process saw end, and clean up. 0, or
 * -ECANCELED: the next one who comes across it does.
 */
int life_ended(struct msb_sandbox *sb);

/*
 * Remove it. -EBUSY when it runs, unless @force: then it is stopped first,
 * with @grace_ms for its commands.
 */
int life_remove(struct msb_home *home, const char *name, bool force,
                uint32_t grace_ms, struct err *err);

/*
 * Kill an msb-vmm that does not answer, or that says it has ended and goes on:
 * the process that the row names, if it is one of ours that holds this
 * folder's lock as far as can be told, and does not end by itself in
 * @grace_ms. 0 when there is no such process (any more), -ETIMEDOUT, or
 * -ECANCELED: it was not killed.
 */
int life_kill(const struct place *p, int64_t pid, uint32_t grace_ms);

/*
 * Take the lock of its folder. -EBUSY when it runs; who only looks at it or
 * changes it is waited for, a moment: then it is -EAGAIN, with words. -ENOENT
 * when it was removed meanwhile.
 */
int life_lock(const struct place *p, const char *name, struct err *err);
int life_no_such(const char *name, struct err *err); /* -ENOENT */

/* What the row and the lock say together: enum msb_state. */
int32_t life_state(const struct state_sandbox *row, bool locked);

#endif
