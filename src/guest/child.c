#include "guest/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/num.h"
#include "guest/exec.h"
#include "guest/pty.h"
#include "guest/rlimit.h"
#include "guest/user.h"

#include "base/banned.h"

/* The child's ends, and what the steps find out. */
struct plan {
	const struct child_env *env;
	const struct proto_exec *x;
	int in, out, err; /* to become 0, 1, 2 */
	struct user user;
};

/* ---- in the child -------------------------------------------------------- */

static int step_stdio(struct plan *p, struct err *err)
{
	if (setsid() < 0 || dup2(p->in, 0) < 0 || dup2(p->out, 1) < 0 ||
	    dup2(p->err, 2) < 0)
		return err_set(err, -errno, "cannot set up stdio: %s",
		               strerror(errno));
	if (p->x->tty && ioctl(0, TIOCSCTTY, 0) < 0)
		return err_set(err, -errno, "cannot take the terminal: %s",
		               strerror(errno));
	return 0;
}

/* Pipes and the terminal become the user's: /dev/stdout can be reopened. */
static int give_stdio(const struct plan *p)
{
	bool own_stdin = p->x->want_stdin || p->x->tty; /* not /dev/null */

	for (int fd = own_stdin ? 0 : 1; fd < 3; fd++)
		if (fchown(fd, p->user.uid, (gid_t)-1) < 0)
			return -errno;
	return 0;
}

static int step_user(struct plan *p, struct err *err)
{
	int r = user_lookup(p->x->user, p->env->passwd_path, p->env->group_path,
	                    &p->user, err);

	if (r < 0 || p->user.uid == 0)
		return r;
	r = give_stdio(p);
	if (r < 0)
		return err_set(err, r, "cannot hand over stdio: %s",
		               strerror(-r));
	return 0;
}

/* What protects the agent is not for its commands. */
static int be_killable(int proc_fd)
{
	cleanup_close int fd =
		openat(proc_fd, "self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd_write_full(fd, "0", 1);
}

static int step_rlimits(struct plan *p, struct err *err)
{
	static const struct rlimit files = {1024, 524288};
	int r = p->env->spared ? be_killable(p->env->proc_fd) : 0;

	if (r < 0)
		return err_set(err, r, "cannot set oom_score_adj: %s",
		               strerror(-r));
	(void)setrlimit(RLIMIT_NOFILE, &files); /* the agent has more */
	for (uint32_t i = 0; i < p->x->rlimits.n && r == 0; i++) {
		const char *text = p->x->rlimits.v[i];
		struct rlimit_setting s;

		r = rlimit_parse(text, &s, err);
		if (r == 0 && setrlimit((unsigned)s.resource, &s.limit) < 0)
			r = err_set(err, -errno, "cannot set limit %s: %s",
			            text, strerror(errno));
	}
	return r;
}

/* Made if missing, as docker makes the working folder of an image. */
static int step_cwd(struct plan *p, struct err *err)
{
	const char *cwd = *p->x->cwd ? p->x->cwd : "/";
	int r = 0;

	if (*cwd != '/')
		return err_set(err, -EINVAL,
		               "the working folder '%s' is not absolute", cwd);
	if (chdir(cwd) == 0)
		return 0;
	if (errno == ENOENT)
		r = dir_make(AT_FDCWD, cwd, 0755);
	if (r < 0)
		return err_set(err, r, "cannot create the folder %s: %s", cwd,
		               strerror(-r));
	if (chdir(cwd) < 0)
		return err_set(err, -errno, "cannot enter the folder %s: %s",
		               cwd, strerror(errno));
	return 0;
}

static int step_become(struct plan *p, struct err *err)
{
	const struct user *u = &p->user;

	if (setgroups(u->ngroups, u->groups) < 0 ||
	    setresgid(u->gid, u->gid, u->gid) < 0 ||
	    setresuid(u->uid, u->uid, u->uid) < 0)
		return err_set(err, -errno, "cannot become user %u:%u: %s",
		               u->uid, u->gid, strerror(errno));
	return 0;
}

static int step_exec(struct plan *p, struct err *err)
{
	return exec_command(p->x->argv.v, p->x->env.v, p->env->defaults,
	                    p->user.home, err);
}

/* The names are those of EXEC_FAILED.stage in proto.h. */
static const struct {
	const char *name;
	int (*fn)(struct plan *p, struct err *err);
} steps[] = {
	{"pty",    step_stdio  },
        {"user",   step_user   },
        {"rlimit", step_rlimits},
	{"cwd",    step_cwd    },
        {"user",   step_become },
        {"exec",   step_exec   },
};

static void reset_signals(void)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)umask(022);
}

static void __attribute__((noreturn)) run(struct plan *p, int status_fd)
{
	struct child_failure f = {0};
	struct err err = {0};
	size_t i = 0;
	int r = 0;

	reset_signals();
	for (; i < ARRAY_SIZE(steps); i++) {
		r = steps[i].fn(p, &err);
		if (r < 0)
			break;
	}
	f.error = -r;
	(void)snprintf(f.stage, sizeof(f.stage), "%s", steps[i].name);
	(void)snprintf(f.message, sizeof(f.message), "%.*s", CHILD_TEXT_MAX - 1,
	               err.msg);
	(void)fd_write_full(status_fd, &f, sizeof(f));
	_exit(127);
}

/* ---- in the agent -------------------------------------------------------- */

/* Both sides' ends; what is still open at the end of scope is closed. */
struct ends {
	int status, in, out, err; /* the child's */
	struct child ours;
};

static void ends_close(struct ends *e)
{
	close_fd(&e->status);
	close_fd(&e->in);
	close_fd(&e->out);
	close_fd(&e->err);
	close_fd(&e->ours.status_fd);
	close_fd(&e->ours.in_fd);
	close_fd(&e->ours.out_fd);
	close_fd(&e->ours.err_fd);
}

static int make_pipe(int *ret_read, int *ret_write, int *ours)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	*ret_read = p[0];
	*ret_write = p[1];
	return fd_set_nonblock(*ours);
}

static int make_pipes(const struct child_env *env, const struct proto_exec *x,
                      struct ends *e)
{
	int r = make_pipe(&e->ours.out_fd, &e->out, &e->ours.out_fd);

	if (r == 0)
		r = make_pipe(&e->ours.err_fd, &e->err, &e->ours.err_fd);
	if (r == 0 && x->want_stdin)
		return make_pipe(&e->in, &e->ours.in_fd, &e->ours.in_fd);
	if (r == 0) {
		e->in = fcntl(env->null_fd, F_DUPFD_CLOEXEC, 3);
		r = e->in < 0 ? -errno : 0;
	}
	return r;
}

static int make_terminal(const struct child_env *env,
                         const struct proto_exec *x, struct ends *e)
{
	int r = pty_open(env->pts_fd, &e->ours.out_fd, &e->in);

	if (r < 0)
		return r;
	e->out = fcntl(e->in, F_DUPFD_CLOEXEC, 3);
	e->err = fcntl(e->in, F_DUPFD_CLOEXEC, 3);
	e->ours.in_fd = fcntl(e->ours.out_fd, F_DUPFD_CLOEXEC, 3);
	if (e->out < 0 || e->err < 0 || e->ours.in_fd < 0)
		return -errno;
	r = pty_resize(e->ours.out_fd, x->rows, x->cols);
	return r < 0 ? r : fd_set_nonblock(e->ours.out_fd);
}

static int make_ends(const struct child_env *env, const struct proto_exec *x,
                     struct ends *e, const char **stage, struct err *err)
{
	int r = make_pipe(&e->ours.status_fd, &e->status, &e->ours.status_fd);

	*stage = x->tty ? "pty" : "fork";
	if (r == 0)
		r = x->tty ? make_terminal(env, x, e) : make_pipes(env, x, e);
	if (r < 0)
		return err_set(err, r, "cannot open %s: %s",
		               x->tty ? "a terminal" : "pipes", strerror(-r));
	return 0;
}

int child_start(const struct child_env *env, const struct proto_exec *x,
                struct child *ret, const char **ret_stage, struct err *err)
{
	struct ends e cleanup(ends_close) = {-1, -1, -1, -1, CHILD_INIT};
	/* Large, and used by the child only: it has its own copy. */
	static struct plan plan;
	const char *stage;
	int r = make_ends(env, x, &e, &stage, err);

	if (r < 0) {
		*ret_stage = stage;
		return r;
	}
	plan.env = env;
	plan.x = x;
	plan.in = e.in;
	plan.out = e.out;
	plan.err = e.err;
	e.ours.pid = fork();
	if (e.ours.pid == 0)
		run(&plan, e.status);
	if (e.ours.pid < 0) {
		*ret_stage = "fork";
		return err_set(err, -errno, "cannot fork: %s", strerror(errno));
	}
	*ret = e.ours;
	e.ours = (struct child)CHILD_INIT;
	return 0;
}
