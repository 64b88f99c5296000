/*
 * store.h - the home folder: layout, locks, staging and atomic publication.
 *
 * Home is MSB_HOME, else ~/.microsandbox; made with mode 0700. A home that is
 * owned by another user or that others may write to is refused, so is a newer
 * layout VERSION. Below it, 0700 in any case:
 *
 *	store/      VERSION layers/ chains/ manifests/ configs/ refs/ pins/
 *	            blobs/ templates/ locks/ tmp/  (see image/ for the content)
 *	sandboxes/  one folder a sandbox
 *
 * Publication: write everything below a store_tmp, sync it, rename it to its
 * final name. A final name always stands for whole, synced data. A process
 * that dies leaves a staging folder whose lock is free; the next store_open()
 * removes it. Locks are flock()s on files that are never unlinked, so the
 * kernel drops them with their owner.
 *
 * Paths are relative to `fd` ("store/"). One struct store per thread user:
 * all members are constant after store_open(), so threads may share it.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

struct store {
	int home_fd;
	int fd;     /* home/store */
	char *home; /* absolute path, for messages only */
};

/* @home NULL: MSB_HOME or ~/.microsandbox. Creates what is missing. */
int store_open(const char *home, struct store **ret, struct err *err);
void store_close(struct store *s); /* NULL is fine */

/*
 * A staging folder: its own directory, locked by this process. A zeroed struct
 * is an empty one that may be dropped.
 */
struct store_tmp {
	int dir_fd;    /* the folder, for openat() */
	int lock_fd;   /* the same folder again, with the flock() on it */
	char name[64]; /* "tmp/<random>" below store->fd */
};

int store_tmp_new(struct store *s, struct store_tmp *ret, struct err *err);
void store_tmp_drop(struct store *s, struct store_tmp *t); /* rm -r; twice ok */

/*
 * Make the staged folder (store_publish_dir) or one file of it
 * (store_publish_file) appear at @path, whose parents are created. Files are
 * synced first, the parent folder afterwards. If @path exists already another
 * process won and ours is dropped: returns 1. Else 0 or a negative errno.
 * store_publish_dir() consumes @t on every outcome.
 */
int store_publish_dir(struct store *s, struct store_tmp *t, const char *path,
                      struct err *err);
int store_publish_file(struct store *s, struct store_tmp *t, const char *name,
                       const char *path, struct err *err);

/*
 * Write a small file as a whole at @path, staged and synced as above; what is
 * there already is replaced.
 */
int store_put(struct store *s, const char *path, const void *data, size_t len,
              struct err *err);

enum store_lock_flags {
	STORE_LOCK_SHARED = 1,
	STORE_LOCK_TRY = 2, /* -EWOULDBLOCK instead of waiting */
};

/*
 * flock() the file locks/<name> (created when missing). Returns its descriptor
 * (close it to unlock) or a negative errno. @name holds [A-Za-z0-9._-] only.
 */
int store_lock(struct store *s, const char *name, unsigned flags,
               struct err *err);

/*
 * -ENOSPC with a clear message unless @need bytes, a floor of 64 MiB above them
 * and some inodes are free.
 */
int store_reserve(struct store *s, uint64_t need, struct err *err);

static inline void cleanup_store_fn(struct store **s)
{
	store_close(*s);
}
#define cleanup_store cleanup(cleanup_store_fn)

#endif
