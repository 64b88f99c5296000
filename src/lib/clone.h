/*
 * clone.h - start a program as the first process of namespaces of its own.
 *
 * A process can give itself most namespaces, but not a new pid namespace: that
 * takes the moment of its birth. posix_spawn() cannot ask for it, so this is
 * the same thing by hand: the child shares the caller's memory and the caller
 * waits until exec (CLONE_VM | CLONE_VFORK), so that it costs nothing however
 * much memory the caller has, and other threads of the caller go on.
 *
 * The child therefore allocates nothing, takes no lock and calls nothing but
 * the kernel; all signals are blocked around it, so no handler of the caller
 * runs in it.
 */
#ifndef LIB_CLONE_H
#define LIB_CLONE_H

#include <stdbool.h>
#include <sys/types.h>

struct clone_opts {
	const char *path;
	char *const *argv, *const *env;
	const int *fds; /* fds[n] becomes n; all are above nfds */
	int nfds;
	/*
	 * Run by the host's root, keep all users and groups in its namespace
	 * as they are: it works on files of others. Else it has one.
	 */
	bool all_users;
};

/*
 * It gets its own session, default signals and no other descriptors. User and
 * pid namespace are its own where the host allows that: it is then process 1
 * and user 0, who is the caller, in there; other users are nobody. *ret_pid is
 * the number that the caller knows it by. A negative errno, also exec's.
 */
int clone_program(const struct clone_opts *o, pid_t *ret_pid);

/* Whether a program would get them: 0, or why not as a negative errno. */
int clone_try_namespaces(void);

#endif
