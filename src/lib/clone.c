#include "lib/clone.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/num.h"

#include "base/banned.h"

#define STACK_SIZE (64 * KIB)
#define NAMESPACES (CLONE_NEWUSER | CLONE_NEWPID)

/*
 * ThreadSanitizer takes any clone() for a fork(): it would forget all threads
 * but one, in the memory that the parent goes on with. So it must not see this
 * one, nor what the child does in the parent's name.
 */
#ifdef __SANITIZE_THREAD__
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
#define clone        __clone
#define IN_THE_CHILD __attribute__((no_sanitize("thread")))
#else
#define IN_THE_CHILD
#endif

/* What both sides see: memory is shared until exec. */
struct birth {
	const struct clone_opts *opts; /* NULL: only to see if it can be */
	int namespaces;
	char uid_map[32], gid_map[32];
	int error; /* positive errno: it did not come to exec */
};

/* By syscall(): open() and write() may touch a thread's cancellation. */
IN_THE_CHILD static int write_proc(const char *path, const char *text)
{
	long fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return errno;
	if (syscall(SYS_write, fd, text, strlen(text)) < 0)
		r = errno;
	(void)syscall(SYS_close, fd);
	return r;
}

/* One user and one group: the caller's, called 0. */
IN_THE_CHILD static int map_ids(const struct birth *b)
{
	int e = write_proc("/proc/self/setgroups", "deny");

	if (e == 0)
		e = write_proc("/proc/self/uid_map", b->uid_map);
	return e ? e : write_proc("/proc/self/gid_map", b->gid_map);
}

IN_THE_CHILD static void reset_signals(void)
{
	const struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &dfl, NULL); /* not KILL, STOP, libc's */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

IN_THE_CHILD static int place_fds(const struct clone_opts *o)
{
	for (int i = 0; i < o->nfds; i++)
		if (syscall(SYS_dup2, o->fds[i], i) < 0)
			return errno;
	return close_range((unsigned)o->nfds, ~0U, 0) < 0 ? errno : 0;
}

/* In the child, on a stack of its own, in the caller's memory. */
IN_THE_CHILD static int child_main(void *arg)
{
	struct birth *b = arg;

	b->error = b->namespaces ? map_ids(b) : 0;
	if (!b->opts) { /* a mount namespace is what all the rest is for */
		if (b->error == 0 && unshare(CLONE_NEWNS) < 0)
			b->error = errno;
		_exit(0);
	}
	if (b->error == 0 && setsid() < 0)
		b->error = errno;
	if (b->error == 0)
		b->error = place_fds(b->opts);
	if (b->error == 0) {
		reset_signals();
		(void)execve(b->opts->path, b->opts->argv, b->opts->env);
		b->error = errno;
	}
	_exit(127);
}

/* The child or the error is there when clone() returns. */
static int give_birth(struct birth *b, char *stack, pid_t *ret_pid)
{
	sigset_t all, before;
	pid_t pid;
	int e;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	b->error = 0;
	pid = clone(child_main, stack + STACK_SIZE,
	            CLONE_VM | CLONE_VFORK | SIGCHLD | b->namespaces, b);
	e = pid < 0 ? errno : b->error;
	if (pid > 0 && (e || !b->opts))
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (e == 0)
		*ret_pid = pid;
	return -e;
}

static int run(const struct clone_opts *o, pid_t *ret_pid)
{
	struct birth b = {.opts = o, .namespaces = NAMESPACES};
	char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	int r;

	if (stack == MAP_FAILED)
		return -errno;
	(void)snprintf(b.uid_map, sizeof(b.uid_map), "0 %u 1", geteuid());
	(void)snprintf(b.gid_map, sizeof(b.gid_map), "0 %u 1", getegid());
	r = give_birth(&b, stack, ret_pid);
	if (r < 0 && o) { /* whatever it was, it may be the namespaces */
		b.namespaces = 0;
		r = give_birth(&b, stack, ret_pid);
	}
	(void)munmap(stack, STACK_SIZE);
	return r;
}

int clone_program(const struct clone_opts *o, pid_t *ret_pid)
{
	return run(o, ret_pid);
}

int clone_try_namespaces(void)
{
	pid_t pid;

	return run(NULL, &pid);
}
