/*
 * state.h - the record of sandboxes: HOME/state.db, SQLite in WAL mode.
 *
 * It says what sandboxes there are and what was last seen of each; it never
 * says that one runs. That is a lock in the sandbox's folder, held by its
 * msb-vmm: the kernel drops it with the process, however that ends. So a crash
 * of anything leaves nothing "running" here.
 *
 * Any number of processes may use one home. Each call is one transaction, and
 * waits for others at most STATE_BUSY_MS. The schema has a number
 * (PRAGMA user_version); migrations run in order inside one transaction; a
 * newer schema is refused with -EPROTONOSUPPORT and left alone. A file that is
 * damaged, or no database, gives -EUCLEAN with what to do about it: images are
 * not in there and not lost.
 *
 * Facts that people rely on (a named sandbox is there, its config, its name, it
 * is gone) are on the disk when the call returns. What was seen of a run
 * (started, ready, ended) and ephemeral sandboxes cost no fsync: a power cut
 * may lose the newest of these, a crash of any process loses nothing.
 *
 * A struct state belongs to one thread at a time, and to the process that
 * opened it: it must not be used, nor closed, behind a fork().
 */
#ifndef STORE_STATE_H
#define STORE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/strv.h"
#include "store/store.h"

#define STATE_SCHEMA  2
#define STATE_BUSY_MS 10000
#define STATE_ID_LEN  16 /* hex digits; also the folder's name */

struct state;

/* One sandbox. Strings are owned, never NULL when read. Times in ms since
 * 1970, 0: has not happened. */
struct state_sandbox {
	char id[STATE_ID_LEN + 1]; /* by state_new_id() */
	char *name;                /* unique */
	char *image;               /* the reference as it was given */
	char *image_id;            /* digest of the manifest that is used */
	char *config;       /* JSON: all that a start needs; the library's */
	struct strv labels; /* KEY=VALUE, read: by KEY, one for each */
	bool ephemeral;     /* goes when it has ended */
	bool detached;      /* may outlive its creator */
	int64_t created_ms;
	/* of its last start */
	int64_t started_ms, ready_ms, ended_ms;
	int64_t pid; /* of its msb-vmm as the starter saw it; for people */
	char *engine, *accel;
	char *end_reason; /* "poweroff", "killed", "crashed", ...; "" */
	char *end_message;
	int32_t exit_code; /* of its main command; -1: none */
};

void state_sandbox_release(struct state_sandbox *b); /* a zeroed one is fine */

/* Open HOME/state.db (0600), create and migrate it. */
int state_open(const struct store *s, struct state **ret, struct err *err);
void state_close(struct state *st); /* NULL is fine */

/*
 * An id for a sandbox that will be added: its folder is made before its row.
 */
int state_new_id(char ret[STATE_ID_LEN + 1], struct err *err);

/* Read all there is, and see whether it fits together: -EUCLEAN. */
int state_check(struct state *st, struct err *err);

/*
 * Move the file aside, whatever is in it, to state.db.damaged-TIME; who has it
 * open does not notice. @ret_name is its new name, below home.
 */
int state_set_aside(const struct store *s, char ret_name[64], struct err *err);

/*
 * Add a sandbox: id (by state_new_id()), name, image, image_id, config, labels,
 * ephemeral, detached are taken from @b; created_ms too, or is set in it when
 * it is 0. -EEXIST when the name is taken, or the id, or the name is the id of
 * another.
 */
int state_add(struct state *st, struct state_sandbox *b, struct err *err);

/* By name, or by id when there is no such name. -ENOENT. */
int state_get(struct state *st, const char *name_or_id,
              struct state_sandbox *ret, struct err *err);

/*
 * All that have each of @labels ("KEY" or "KEY=VALUE"; NULL: all), by name.
 * *ret is an array of *ret_n, freed by state_list_free().
 */
int state_list(struct state *st, const struct strv *labels,
               struct state_sandbox **ret, size_t *ret_n, struct err *err);
void state_list_free(struct state_sandbox *list, size_t n);

/*
 * As state_list(), but only those that were started and have no end yet (they
 * may have died unseen), and all ephemeral ones, started or not, ended or not:
 * who was to remove one may have died first. Cheap however many others there
 * are.
 */
int state_unended(struct state *st, struct state_sandbox **ret, size_t *ret_n,
                  struct err *err);

/* A start begins: sets started_ms (now), pid, and forgets the last end. */
int state_set_started(struct state *st, const char *id, int64_t pid,
                      struct err *err);
/* The agent answered: sets ready_ms (now, the first time), engine, accel. */
int state_set_ready(struct state *st, const char *id, const char *engine,
                    const char *accel, struct err *err);
/*
 * It ended. Only the first of several that see the same end writes it: the
 * row must have started_ms == @started_ms and no ended_ms. 1 when written, 0
 * when somebody else was first.
 */
int state_set_ended(struct state *st, const char *id, int64_t started_ms,
                    int64_t ended_ms, const char *reason, const char *message,
                    int32_t exit_code, struct err *err);
/* It may outlive its creator from now on, until its next start. */
int state_set_detached(struct state *st, const char *id, struct err *err);
/* Replace config, and labels when not NULL. -ENOENT. */
int state_set_config(struct state *st, const char *id, const char *config,
                     const struct strv *labels, struct err *err);
int state_rename(struct state *st, const char *id, const char *name,
                 struct err *err);
/* -ENOENT when it is gone already. */
int state_remove(struct state *st, const char *id, struct err *err);

static inline void cleanup_state_fn(struct state **st)
{
	state_close(*st);
}
#define cleanup_state         cleanup(cleanup_state_fn)
#define cleanup_state_sandbox cleanup(state_sandbox_release)

#endif
