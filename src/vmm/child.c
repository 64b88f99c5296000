#include "vmm/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdio.h"

#include "base/banned.h"

/* A signal that is ignored or blocked would stay so over exec. */
static int reset_signals(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	(void)sigemptyset(&none);
	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &dfl, NULL); /* not KILL, STOP, libc's */
	return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

/* Only 0, 1, 2 and @fds outlive exec; the status pipe closes with it. */
static int keep_only(const int *fds, size_t nfds)
{
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return -errno;
	for (size_t i = 0; i < nfds; i++)
		if (fcntl(fds[i], F_SETFD, 0) < 0)
			return -errno;
	return 0;
}

/*
 * Die with the parent. In a pid namespace of our own getppid() knows nobody:
 * the parent's pidfd says whether it died before the first line.
 */
static int follow(int parent)
{
	struct pollfd p = {.fd = parent, .events = POLLIN};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	return poll(&p, 1, 0) == 0 ? 0 : -ESRCH;
}

static int confine(void)
{
	const struct rlimit no_core = {0, 0};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    setrlimit(RLIMIT_CORE, &no_core) < 0)
		return -errno;
	return reset_signals();
}

static void __attribute__((noreturn))
child_main(const struct child_opts *o, int parent, int out, int status)
{
	char *const no_env[] = {NULL};
	int r = confine();

	if (r == 0 && (dup2(out, 1) < 0 || dup2(out, 2) < 0))
		r = -errno;
	if (r == 0)
		r = keep_only(o->fds, o->nfds);
	if (r == 0)
		r = follow(parent);
	if (r == 0 && o->enter)
		r = o->enter(o->argv[0], o->ask);
	if (r == 0) {
		(void)execve(o->argv[0], o->argv, no_env);
		r = -errno;
	}
	r = -r;
	(void)fd_write_full(status, &r, sizeof(r));
	_exit(127);
}

/* fork(), but with namespaces, where they are allowed. */
static pid_t clone_child(unsigned *namespaces)
{
	long pid = *namespaces ? syscall(SYS_clone, *namespaces | SIGCHLD, NULL,
	                                 NULL, NULL, NULL)
	                       : -1;

	if (pid >= 0)
		return (pid_t)pid;
	*namespaces = 0;
	return fork();
}

static int start(const struct child_opts *o, int out, int status,
                 struct child *c, unsigned *namespaces)
{
	cleanup_close int self = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (self < 0)
		return -errno;
	c->pid = clone_child(namespaces);
	if (c->pid == 0)
		child_main(o, self, out, status);
	if (c->pid < 0)
		return -errno;
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	return c->pidfd < 0 ? -errno : 0;
}

int child_spawn(const struct child_opts *o, struct child *ret,
                unsigned *ret_namespaces, struct err *err)
{
	int out[2] = {-1, -1}, status[2] = {-1, -1};
	struct child c = CHILD_INIT;
	unsigned namespaces = o->namespaces;
	int r = 0;

	if (pipe2(out, O_CLOEXEC) < 0 ||
	    pipe2(status, O_CLOEXEC | O_NONBLOCK) < 0)
		r = -errno;
	c.errfd = out[0];
	c.execfd = status[0];
	if (r == 0)
		r = fd_set_nonblock(c.errfd);
	if (r == 0)
		r = start(o, out[1], status[1], &c, &namespaces);
	close_fd(&out[1]);
	close_fd(&status[1]);
	if (r < 0) {
		child_release(&c);
		return err_set(err, r, "cannot start %s: %s", o->argv[0],
		               strerror(-r));
	}
	*ret = c;
	*ret_namespaces = namespaces;
	return 0;
}

int child_signal(const struct child *c, int sig)
{
	if (c->pid <= 0)
		return -ESRCH;
	return syscall(SYS_pidfd_send_signal, c->pidfd, sig, NULL, 0) < 0
	               ? -errno
	               : 0;
}

void child_release(struct child *c)
{
	if (c->pid > 0) {
		(void)child_signal(c, SIGKILL);
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	c->pid = -1;
	close_fd(&c->pidfd);
	close_fd(&c->execfd);
	close_fd(&c->errfd);
}
