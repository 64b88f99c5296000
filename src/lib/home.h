/*
 * home.h - the public home handle: an open store, and the record of sandboxes
 * in it, which is opened when it is first needed. Counted: sandboxes hold it.
 */
#ifndef LIB_HOME_H
#define LIB_HOME_H

#include <pthread.h>
#include <sys/types.h>

#include "base/err.h"
#include "store/state.h"
#include "store/store.h"

struct msb_home {
	pthread_mutex_t lock; /* of refs and state, and of each call of it */
	unsigned refs;
	struct store *store;
	struct state *state; /* NULL: not open yet */
	/*
	 * Machines that we started and that live on without their handles: our
	 * children, to be waited for whenever they end while we are there.
	 */
	pid_t *children;
	size_t nchildren;
};

struct msb_home *home_ref(struct msb_home *home);
void home_unref(struct msb_home *home);

/*
 * The record, for this thread until home_unlock(). *ret is open; on failure
 * nothing is locked.
 */
int home_lock(struct msb_home *home, struct state **ret, struct err *err);
void home_unlock(struct msb_home *home);

/* Wait for @pid some time later. */
void home_leave_child(struct msb_home *home, pid_t pid);

#endif
