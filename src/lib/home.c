#include "lib/home.h"

#include <stdlib.h>
#include <sys/wait.h>

#include "base/cancel.h"
#include "lib/error.h"
#include "microsandbox.h"

#include "base/banned.h"

int msb_home_open(const char *path, struct msb_home **ret_home,
                  struct msb_error *error)
{
	struct msb_home *home = calloc(1, sizeof(*home));
	struct err err = {0};
	int r;

	if (!home)
		return error_return(error, -ENOMEM, NULL);
	r = store_open(path, &home->store, &err);
	if (r < 0) {
		free(home);
		return error_return(error, r, &err);
	}
	home->refs = 1;
	(void)pthread_mutex_init(&home->lock, NULL);
	*ret_home = home;
	return 0;
}

/* Those that have ended; under the lock or alone. */
static void reap(struct msb_home *home)
{
	size_t left = 0;

	for (size_t i = 0; i < home->nchildren; i++)
		if (waitpid(home->children[i], NULL, WNOHANG) == 0)
			home->children[left++] = home->children[i];
	home->nchildren = left;
}

void home_leave_child(struct msb_home *home, pid_t pid)
{
	pid_t *more;

	(void)pthread_mutex_lock(&home->lock);
	reap(home);
	more = reallocarray(home->children, home->nchildren + 1, sizeof(*more));
	if (more) {
		home->children = more;
		more[home->nchildren++] = pid;
	}
	(void)pthread_mutex_unlock(&home->lock);
}

struct msb_home *home_ref(struct msb_home *home)
{
	(void)pthread_mutex_lock(&home->lock);
	home->refs++;
	(void)pthread_mutex_unlock(&home->lock);
	return home;
}

void home_unref(struct msb_home *home)
{
	unsigned left;

	(void)pthread_mutex_lock(&home->lock);
	left = --home->refs;
	(void)pthread_mutex_unlock(&home->lock);
	if (left)
		return;
	reap(home);
	free(home->children);
	state_close(home->state);
	store_close(home->store);
	(void)pthread_mutex_destroy(&home->lock);
	free(home);
}

void msb_home_free(struct msb_home *home)
{
	if (home)
		home_unref(home);
}

const char *msb_home_path(const struct msb_home *home)
{
	return home->store->home;
}

int home_lock(struct msb_home *home, struct state **ret, struct err *err)
{
	int r = cancel_lock(&home->lock);

	if (r < 0)
		return err_set(err, r, "cancelled");
	if (!home->state)
		r = state_open(home->store, &home->state, err);
	if (r < 0)
		(void)pthread_mutex_unlock(&home->lock);
	else
		*ret = home->state;
	return r;
}

void home_unlock(struct msb_home *home)
{
	(void)pthread_mutex_unlock(&home->lock);
}
