#include "lib/clone.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
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
	/* For midwife(), see there. */
	char *stack, path[48];
	pid_t pid;
	uint32_t mapped; /* futex: the maps are written, or it failed */
	pid_t alive;     /* the kernel clears it and wakes: exec, or the end */
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

IN_THE_CHILD static void futex(uint32_t *word, int op, uint32_t value)
{
	(void)syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

IN_THE_CHILD static void await_maps(struct birth *b)
{
	while (!__atomic_load_n(&b->mapped, __ATOMIC_ACQUIRE))
		futex(&b->mapped, FUTEX_WAIT, 0);
}

/* In the child, on a stack of its own, in the caller's memory. */
IN_THE_CHILD static int child_main(void *arg)
{
	struct birth *b = arg;

	if (b->stack)
		await_maps(b);
	else
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

/* "/proc/PID/NAME"; no stdio in a child. */
IN_THE_CHILD static void proc_path(char *out, pid_t pid, const char *name)
{
	char digits[12];
	int n = 0;

	for (; pid > 0; pid /= 10)
		digits[n++] = (char)('0' + pid % 10);
	memcpy(out, "/proc/", 6);
	out += 6;
	while (n)
		*out++ = digits[--n];
	*out++ = '/';
	memcpy(out, name, strlen(name) + 1);
}

#define ALL_IDS "0 0 4294967295"

/* No array on the stack: what is never returned from, ASan never clears. */
IN_THE_CHILD static int map_all(struct birth *b)
{
	int e;

	proc_path(b->path, b->pid, "uid_map");
	e = write_proc(b->path, ALL_IDS);
	if (e)
		return e;
	proc_path(b->path, b->pid, "gid_map");
	return write_proc(b->path, ALL_IDS);
}

/*
 * A process may give itself one user in a new namespace. More are for somebody
 * with rights outside of it to give, so there is one process more: this one
 * makes the child, as a child of the caller's, writes its maps, and waits for
 * its exec, as the caller waits for this one.
 */
IN_THE_CHILD static int midwife(void *arg)
{
	struct birth *b = arg;
	pid_t alive = 1;

	b->alive = alive;
	/* The kernel writes b->pid before there is anybody to be lost. */
	if (clone(child_main, b->stack + STACK_SIZE,
	          CLONE_VM | CLONE_PARENT | CLONE_PARENT_SETTID |
	                  CLONE_CHILD_CLEARTID | SIGCHLD | b->namespaces,
	          b, &b->pid, NULL, &b->alive) < 0) {
		b->error = errno;
		_exit(0);
	}
	b->error = map_all(b);
	__atomic_store_n(&b->mapped, 1, __ATOMIC_RELEASE);
	futex(&b->mapped, FUTEX_WAKE, 1);
	while ((alive = __atomic_load_n(&b->alive, __ATOMIC_ACQUIRE)) != 0)
		futex((uint32_t *)&b->alive, FUTEX_WAIT, (uint32_t)alive);
	_exit(0);
}

static int reap(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* What is left of a birth that failed, or whose midwife was killed. */
static void end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)reap(pid);
}

/* As give_birth(), by midwife(). */
static int give_birth_mapped(struct birth *b, char *stack, pid_t *ret_pid)
{
	sigset_t all, before;
	pid_t pid;
	int e;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	pid = clone(midwife, stack + STACK_SIZE,
	            CLONE_VM | CLONE_VFORK | SIGCHLD, b);
	e = pid < 0 ? errno : b->error;
	if (pid > 0 && reap(pid) != 0 && e == 0)
		e = EINTR;
	if (e && b->pid > 0)
		end(b->pid);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (e == 0)
		*ret_pid = b->pid;
	return -e;
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
		(void)reap(pid);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (e == 0)
		*ret_pid = pid;
	return -e;
}

/* The host's root, not one of some namespace that lacks users itself. */
static bool has_all_users(void)
{
	cleanup_close int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	char text[64] = {0};
	unsigned inside, outside, count;

	return geteuid() == 0 && fd >= 0 &&
	       read(fd, text, sizeof(text) - 1) > 0 &&
	       sscanf(text, "%u %u %u", &inside, &outside, &count) == 3 &&
	       inside == 0 && outside == 0 && count == UINT32_MAX;
}

static int run(const struct clone_opts *o, pid_t *ret_pid)
{
	struct birth b = {.opts = o, .namespaces = NAMESPACES};
	char *stack = mmap(NULL, 2 * STACK_SIZE, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	int r;

	if (stack == MAP_FAILED)
		return -errno;
	(void)snprintf(b.uid_map, sizeof(b.uid_map), "0 %u 1", geteuid());
	(void)snprintf(b.gid_map, sizeof(b.gid_map), "0 %u 1", getegid());
	r = -EPERM;
	if (o && o->all_users && has_all_users()) {
		b.stack = stack + STACK_SIZE;
		r = give_birth_mapped(&b, stack, ret_pid);
		b.stack = NULL;
	}
	if (r < 0)
		r = give_birth(&b, stack, ret_pid);
	if (r < 0 && o) { /* whatever it was, it may be the namespaces */
		b.namespaces = 0;
		r = give_birth(&b, stack, ret_pid);
	}
	(void)munmap(stack, 2 * STACK_SIZE);
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
