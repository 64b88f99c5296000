/*
 * child.h - start the engine's program with nothing but what it needs.
 *
 * The child gets: our standard input (/dev/null), standard output and error
 * into a pipe of ours, the descriptors that are named, an empty environment,
 * no new privileges, no core files, and what the caller's enter() does with
 * it. It dies with the thread that started it (PR_SET_PDEATHSIG), so only the
 * main thread may call child_spawn(), and only while it is the only one: the
 * child is a plain copy made by clone(), without libc's care for locks.
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

struct child_opts {
	char *const *argv; /* argv[0] is an absolute path */
	const int *fds;    /* they keep their numbers */
	size_t nfds;
	/* Namespaces (CLONE_NEW*): all of them, or none where that fails. */
	unsigned namespaces;
	/* The last act before exec, with argv[0] as exec gets it; or NULL. */
	int (*enter)(const char *program, int ask);
	int ask; /* for enter(): a descriptor that ends with exec, or -1 */
};

int child_spawn(const struct child_opts *o, struct child *ret,
                unsigned *ret_namespaces, struct err *err);

/*
 * By its descriptor: the jail's list of system calls has no kill(). -ESRCH
 * when it has ended.
 */
int child_signal(const struct child *c, int sig);

/* Kill it, wait for it, close its descriptors; fine when it never started. */
void child_release(struct child *c);

#endif
