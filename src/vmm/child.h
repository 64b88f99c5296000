/*
 * child.h - start the engine's program with nothing but what it needs.
 *
 * The child gets: standard input from /dev/null, standard output and error
 * into a pipe of ours, the descriptors that are named, an empty environment,
 * no new privileges, no core files. It dies with the thread that started it
 * (PR_SET_PDEATHSIG), so only the main thread may call child_spawn().
 */
#ifndef VMM_CHILD_H
#define VMM_CHILD_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct child {
	pid_t pid;
	int pidfd;  /* readable when it ended */
	int execfd; /* end of file: exec worked; an int: its errno */
	int errfd;  /* what it prints, non-blocking */
};

#define CHILD_INIT                                                             \
	{                                                                      \
		-1, -1, -1, -1                                                 \
	}

/* @argv[0] is an absolute path; @fds keep their numbers. */
int child_spawn(char *const *argv, const int *fds, size_t nfds,
                struct child *ret, struct err *err);

/* Kill it, wait for it, close its descriptors; fine when it never started. */
void child_release(struct child *c);

#endif
