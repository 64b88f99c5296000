#include "guest/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"
#include "base/strv.h"
#include "guest/exec.h"

#include "base/banned.h"

#define CGROUP "/sys/fs/cgroup/microsandbox"

static const char *const known[] = {
	"/sbin/init",
	"/lib/systemd/systemd",
	"/usr/lib/systemd/systemd",
};

/* Where the init's own environment says nothing. */
static const char *const base_env[] = {
	"PATH=" EXEC_PATH_DEFAULT,
	"TERM=linux",
	/* Nobody types on the console: systemd shall wait for no terminal. */
	"SYSTEMD_GETTY_AUTO=no",
};

/* What PID 1 answers when it could not become the init. */
struct failure {
	int32_t code;
	char message[ERR_MSG_MAX];
};

static int runnable(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EACCES;
	return access(path, X_OK) < 0 ? -errno : 0;
}

int handoff_find(const char *name, const char **ret, struct err *err)
{
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(name, "auto") != 0)
			break;
		if (runnable(known[i]) == 0) {
			*ret = known[i];
			return 0;
		}
	}
	if (strcmp(name, "auto") == 0)
		return err_set(err, -ENOENT,
		               "the image has no init: none of %s, %s and %s "
		               "is there and can be run",
		               known[0], known[1], known[2]);
	if (*name != '/')
		return err_set(err, -EINVAL,
		               "'%s' is neither an absolute path nor auto",
		               name);
	r = runnable(name);
	if (r < 0)
		return err_set(err, r, "cannot run %s as init: %s", name,
		               strerror(-r));
	*ret = name;
	return 0;
}

/* ---- PID 1 --------------------------------------------------------------- */

struct plan {
	struct strv argv, env;
};

static void plan_release(struct plan *p)
{
	strv_release(&p->argv);
	strv_release(&p->env);
}

static int make_plan(const struct proto_strs *argv,
                     const struct proto_strs *env, char *const *defaults,
                     struct plan *p, struct err *err)
{
	const char *path;
	int r = handoff_find(argv->v[0], &path, err);

	if (r < 0)
		return r;
	r = strv_add(&p->argv, path);
	if (r == 0)
		r = strv_add_all(&p->argv, argv->v + 1);
	for (size_t i = 0; i < ARRAY_SIZE(base_env) && r == 0; i++)
		r = strv_add(&p->env, base_env[i]);
	if (r == 0)
		r = strv_add_all(&p->env, defaults);
	for (uint32_t i = 0; i < env->n && r == 0; i++) {
		const char *eq = strchr(env->v[i], '=');

		if (!eq || eq == env->v[i])
			return err_set(err, -EINVAL,
			               "the init's environment: '%.64s' is not "
			               "KEY=VALUE",
			               env->v[i]);
		r = strv_env_set(&p->env, env->v[i]);
	}
	if (r < 0)
		return err_set(err, r, "cannot prepare the init's start: %s",
		               strerror(-r));
	return 0;
}

/* All of this process's descriptors but 0 to 2 are close-on-exec. */
static void __attribute__((noreturn)) become(const struct plan *p, int fd)
{
	struct failure f = {0};
	struct err err = {0};
	char go;

	if (fd_read_full(fd, &go, 1) == 1) {
		(void)signal(SIGPIPE, SIG_DFL);
		f.code = exec_command(strv_list(&p->argv), strv_list(&p->env),
		                      NULL, "/", &err);
		(void)snprintf(f.message, sizeof(f.message), "%s", err.msg);
		(void)signal(SIGPIPE, SIG_IGN);
		(void)fd_write_full(fd, &f, sizeof(f));
		/* The agent tells the host, then ends the machine. */
		(void)fd_read_full(fd, &go, 1);
	}
	if (getpid() == 1)
		(void)reboot(RB_AUTOBOOT);
	_exit(127);
}

int handoff_fork(struct handoff *h, const struct proto_strs *argv,
                 const struct proto_strs *env, char *const *defaults,
                 struct err *err)
{
	struct plan p cleanup(plan_release) = {0};
	int r = make_plan(argv, env, defaults, &p, err), pair[2];
	pid_t pid;

	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(err, -errno, "cannot make a socket pair: %s",
		               strerror(errno));
	pid = fork();
	if (pid > 0) {
		(void)close(pair[1]);
		become(&p, pair[0]);
	}
	(void)close(pair[0]);
	if (pid < 0) {
		r = err_set(err, -errno, "cannot fork: %s", strerror(errno));
		(void)close(pair[1]);
		return r;
	}
	h->fd = pair[1];
	h->active = true;
	return 0;
}

/* ---- the agent ----------------------------------------------------------- */

static int write_word(const char *path, const char *word)
{
	cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd_write_full(fd, word, strlen(word));
}

static int own_cgroup(void)
{
	if (mkdir(CGROUP, 0755) < 0 && errno != EEXIST)
		return -errno;
	return write_word(CGROUP "/cgroup.procs", "0");
}

int handoff_settle(char *argv0, struct err *err)
{
	sigset_t all;
	int r;

	memset(&all, 0xff, sizeof(all)); /* sigfillset() spares musl's own */
	if (setsid() < 0 || sigprocmask(SIG_SETMASK, &all, NULL) < 0 ||
	    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NAME, "msb-agent", 0, 0, 0) < 0)
		return err_set(err, -errno, "cannot leave process 1: %s",
		               strerror(errno));
	/* systemd's mark of storage daemons: not killed at the end. */
	argv0[0] = '@';
	r = own_cgroup();
	if (r < 0)
		return err_set(err, r, "cannot enter %s: %s", CGROUP,
		               strerror(-r));
	r = write_word("/proc/self/oom_score_adj", "-1000");
	if (r < 0)
		return err_set(err, r,
		               "cannot leave the OOM killer's choice: %s",
		               strerror(-r));
	return 0;
}

int handoff_start(struct handoff *h, struct err *err)
{
	struct failure f;
	int r = fd_write_full(h->fd, "", 1);
	ssize_t n = r < 0 ? r : fd_read_full(h->fd, &f, sizeof(f));

	if (n == 0) {
		close_fd(&h->fd);
		return 0;
	}
	/* Open until this process ends: PID 1 waits for that. */
	if (n == (ssize_t)sizeof(f) && f.code < 0)
		return err_set(err, f.code, "%.*s", ERR_MSG_MAX - 1, f.message);
	return err_set(err, n < 0 ? (int)n : -EIO,
	               "process 1 does not say whether the init runs");
}

/* ---- the end ------------------------------------------------------------- */

/*
 * SIGRTMIN+4 as glibc counts, and systemd is built with that; musl, which we
 * are built with, begins one later.
 */
#define SYSTEMD_POWEROFF 38

/* systemd takes SIGTERM as "start anew", so it is known by its program. */
static bool is_systemd(void)
{
	char path[256];
	ssize_t n = readlink("/proc/1/exe", path, sizeof(path) - 1);
	const char *base;

	path[MAX(n, 0)] = '\0';
	base = strrchr(path, '/');
	return base && strcmp(base + 1, "systemd") == 0;
}

static void on_timer(void *arg)
{
	(void)arg;
	(void)kill(1, SIGPWR);
}

void handoff_stop(struct handoff *h, struct loop *loop, uint32_t timeout_ms)
{
	if (is_systemd()) {
		(void)kill(1, SYSTEMD_POWEROFF);
		return;
	}
	(void)kill(1, SIGTERM);
	loop_timer_set(loop, &h->timer,
	               clock_now_ns() + timeout_ms / 2 * NS_PER_MS, on_timer,
	               h);
}
