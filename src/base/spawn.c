#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"

#include "base/banned.h"

#define STDERR_MAX 4096

struct pipes {
	int in[2], out[2], err[2], exec[2];
};

static void pipes_close(struct pipes *p)
{
	int *fds = (int *)p;

	for (size_t i = 0; i < sizeof(*p) / sizeof(int); i++)
		close_fd(&fds[i]);
}

static int pipes_open(struct pipes *p)
{
	memset(p, 0xff, sizeof(*p)); /* all -1 */
	/* A socket: writing to a helper that has exited must not be SIGPIPE. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p->in) < 0 ||
	    pipe2(p->out, O_CLOEXEC) < 0 || pipe2(p->err, O_CLOEXEC) < 0 ||
	    pipe2(p->exec, O_CLOEXEC) < 0)
		return -errno;
	(void)fcntl(p->in[1], F_SETFL, O_NONBLOCK);
	(void)fcntl(p->out[0], F_SETFL, O_NONBLOCK);
	(void)fcntl(p->err[0], F_SETFL, O_NONBLOCK);
	return 0;
}

static void __attribute__((noreturn))
child(const struct pipes *p, char *const *argv, pid_t parent)
{
	int code;

	/* It may be writing to a disk that the next msb takes for free. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	(void)setpgid(0, 0);
	(void)signal(SIGPIPE, SIG_DFL);
	/* What the program we live in left open is not the helper's. */
	(void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	if (dup2(p->in[0], 0) >= 0 && dup2(p->out[1], 1) >= 0 &&
	    dup2(p->err[1], 2) >= 0)
		(void)execvp(argv[0], argv);
	code = errno;
	(void)fd_write_full(p->exec[1], &code, sizeof(code));
	_exit(127);
}

static int drain(int *fd, struct buf *b, struct pollfd *pf)
{
	char chunk[4096];
	ssize_t n = read(*fd, chunk, sizeof(chunk));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0) {
		close_fd(fd);
		pf->fd = -1;
		return 0;
	}
	return b ? buf_add(b, chunk, (size_t)n) : 0;
}

static void feed(int *fd, const struct spawn_opts *o, size_t *done)
{
	ssize_t n = 0;

	if (*done < o->input_len)
		n = send(*fd, (const char *)o->input + *done,
		         o->input_len - *done, MSG_NOSIGNAL);
	if (n > 0)
		*done += (size_t)n;
	if (*done == o->input_len || (n < 0 && errno != EAGAIN))
		close_fd(fd);
}

static int pump(const struct spawn_opts *o, struct pipes *p, struct buf *errs)
{
	uint64_t end = clock_now_ns() + (uint64_t)o->timeout_ms * NS_PER_MS;
	size_t fed = 0;
	int r = 0;

	while (r >= 0 && (p->out[0] >= 0 || p->err[0] >= 0)) {
		struct pollfd pf[] = {
			{p->out[0], POLLIN,  0},
			{p->err[0], POLLIN,  0},
			{p->in[1],  POLLOUT, 0}
                };
		uint64_t now = clock_now_ns();

		if (now >= end)
			return -ETIMEDOUT;
		r = cancel_poll(pf, 3, (int)((end - now) / NS_PER_MS) + 1);
		if (r == -EINTR) {
			r = 0;
			continue;
		}
		if (r < 0)
			return r;
		if (pf[2].revents)
			feed(&p->in[1], o, &fed);
		if (pf[0].revents)
			r = drain(&p->out[0], o->output, &pf[0]);
		if (r >= 0 && pf[1].revents) {
			r = drain(&p->err[0], errs, &pf[1]);
			if (r == -E2BIG)
				r = 0; /* the beginning is enough */
		}
	}
	return r < 0 ? r : 0;
}

static int reap(pid_t pid, int result, uint64_t deadline_ns)
{
	int st;

	if (result < 0)
		(void)kill(-pid, SIGKILL);
	for (;;) {
		pid_t r = waitpid(pid, &st, result < 0 ? 0 : WNOHANG);

		if (r == pid)
			break;
		if (r < 0 && errno != EINTR)
			return -errno;
		if (clock_now_ns() > deadline_ns || cancel_fired()) {
			result = cancel_fired() ? -ECANCELED : -ETIMEDOUT;
			(void)kill(-pid, SIGKILL);
		}
		(void)poll(NULL, 0, 1);
	}
	if (result < 0)
		return result;
	return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
}

int spawn_run(const struct spawn_opts *o, struct err *err)
{
	struct buf cleanup_buf errs = BUF_INIT_MAX(STDERR_MAX);
	uint64_t deadline =
		clock_now_ns() + (uint64_t)o->timeout_ms * NS_PER_MS;
	struct pipes p;
	int r = pipes_open(&p), code = 0;
	pid_t self = getpid(), pid = -1;

	if (r == 0) {
		pid = fork();
		if (pid == 0)
			child(&p, o->argv, self);
		if (pid < 0)
			r = -errno;
	}
	if (r < 0) {
		pipes_close(&p);
		return err_set(err, r, "cannot start %s: %s", o->argv[0],
		               strerror(-r));
	}
	(void)setpgid(pid, pid);
	close_fd(&p.in[0]);
	close_fd(&p.out[1]);
	close_fd(&p.err[1]);
	close_fd(&p.exec[1]);
	if (fd_read_full(p.exec[0], &code, sizeof(code)) != sizeof(code))
		code = 0;
	if (code == 0)
		r = pump(o, &p, &errs);
	pipes_close(&p);
	r = reap(pid, code ? -code : r, deadline);
	if (r == -ECANCELED)
		return err_set(err, r, "cancelled");
	if (r < 0)
		return err_set(err, r, "%s: %s", o->argv[0], strerror(-r));
	if (r > 0)
		err_set(err, -EIO, "%s failed with exit code %d: %.*s",
		        o->argv[0], r, (int)strcspn(buf_str(&errs), "\n"),
		        buf_str(&errs));
	return r;
}
