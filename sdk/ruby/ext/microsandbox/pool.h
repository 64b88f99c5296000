/*
 * pool.h - threads for calls that wait.
 *
 * A call of the library that waits runs in a thread of this pool, not in the
 * Ruby thread that asked: that one waits on a descriptor, the way Ruby waits
 * on anything, so that Thread#raise, Thread#kill, Timeout and signals reach
 * it, a fiber scheduler can do other things meanwhile, and a trap handler that
 * merely runs does not disturb the call.
 *
 * The pool has as many threads as there are calls at once; those that have had
 * nothing to do for a while end. Nothing here knows Ruby; any thread may call.
 */
#ifndef MSB_RUBY_POOL_H
#define MSB_RUBY_POOL_H

struct task {
	void (*run)(struct task *task);
	struct task *next;
};

int pool_init(void);
/* 0, or a positive errno: then it will not run. */
int pool_submit(struct task *task);
/* Run @give_back(@handle) some time, without the caller; at once if need be. */
void pool_give_back(void (*give_back)(void *handle), void *handle);
/* Wait until all that was given back is, for ten seconds at most. */
void pool_drain(void);

#endif
