#include "vmm/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
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

static int confine(pid_t parent)
{
	const struct rlimit no_core = {0, 0};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	if (getppid() != parent) /* it died before the line above */
		return -ESRCH;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    setrlimit(RLIMIT_CORE, &no_core) < 0)
		return -errno;
	return reset_signals();
}

static void __attribute__((noreturn))
child_main(char *const *argv, const int *fds, size_t nfds, pid_t parent,
           int out, int status)
{
	char *const no_env[] = {NULL};
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int r = confine(parent);

	if (r == 0 && (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 ||
	               dup2(out, 2) < 0))
		r = -errno;
	if (r == 0)
		r = keep_only(fds, nfds);
	if (r == 0) {
		(void)execve(argv[0], argv, no_env);
		r = -errno;
	}
	r = -r;
	(void)fd_write_full(status, &r, sizeof(r));
	_exit(127);
}

int child_spawn(char *const *argv, const int *fds, size_t nfds,
                struct child *ret, struct err *err)
{
	int out[2] = {-1, -1}, status[2] = {-1, -1};
	struct child c = CHILD_INIT;
	pid_t parent = getpid();
	int r = 0;

	if (pipe2(out, O_CLOEXEC) < 0 ||
	    pipe2(status, O_CLOEXEC | O_NONBLOCK) < 0)
		r = -errno;
	c.errfd = out[0];
	c.execfd = status[0];
	if (r == 0)
		r = fd_set_nonblock(c.errfd);
	if (r == 0) {
		c.pid = fork();
		if (c.pid == 0)
			child_main(argv, fds, nfds, parent, out[1], status[1]);
		if (c.pid < 0)
			r = -errno;
	}
	if (r == 0) {
		c.pidfd = (int)syscall(SYS_pidfd_open, c.pid, 0);
		if (c.pidfd < 0)
			r = -errno;
	}
	close_fd(&out[1]);
	close_fd(&status[1]);
	if (r < 0) {
		child_release(&c);
		return err_set(err, r, "cannot start %s: %s", argv[0],
		               strerror(-r));
	}
	*ret = c;
	return 0;
}

void child_release(struct child *c)
{
	if (c->pid > 0) {
		(void)kill(c->pid, SIGKILL);
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	c->pid = -1;
	close_fd(&c->pidfd);
	close_fd(&c->execfd);
	close_fd(&c->errfd);
}
