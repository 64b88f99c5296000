#include "lib/tls_launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/fdio.h"
#include "base/num.h"
#include "lib/clone.h"
#include "lib/error.h"
#include "lib/machine.h"
#include "lib/place.h"

#include "base/banned.h"

#define NFDS   (TLS_FD_LISTEN + 1)
#define END_MS 3000

void tls_launch_reap(pid_t *pid)
{
	int pidfd, done;
	pid_t r;

	if (*pid <= 0)
		return;
	pidfd = (int)syscall(SYS_pidfd_open, *pid, 0);
	done = pidfd < 0 ? -ETIMEDOUT : machine_await_process(pidfd, END_MS);
	close_fd(&pidfd);
	if (done == -ECANCELED)
		return;
	if (done < 0)
		(void)kill(*pid, SIGKILL);
	do {
		r = waitpid(*pid, NULL, 0);
	} while (r < 0 && errno == EINTR);
	*pid = 0;
}

void tls_launch_release(struct tls_launch *t)
{
	struct cancel *cleanup_cancel held = cancel_hold();

	if (t->pid > 0)
		(void)kill(t->pid, SIGKILL);
	tls_launch_reap(&t->pid);
	tls_values_release(&t->values);
	json_decref(t->request);
	free(t->program);
	close_fd(&t->listen_fd);
	*t = (struct tls_launch)TLS_LAUNCH_INIT;
}

/* ---- before anything is changed ------------------------------------------ */

static int find_program(const struct runtime *rt, char **ret, struct err *err)
{
	cleanup_free char *path = NULL;

	if (asprintf(&path, "%s/msb-tls", rt->dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (access(path, X_OK) < 0) {
		err_set(err, -LIB_EINSTALL,
		        "msb-tls, which secrets and TLS interception need: "
		        "%s: %s",
		        path, strerror(errno));
		err_hint(err, "run make in the source tree, or install again");
		return -LIB_EINSTALL;
	}
	*ret = take_ptr(path);
	return 0;
}

int tls_launch_open(struct tls_launch *t, const struct runtime *rt,
                    const struct sandbox_config *c,
                    const struct msb_secret *const *given, struct err *err)
{
	const struct secret_checked checked = {
		.secrets = secrets_get(&c->secrets),
		.tls = &c->tls,
		.env = (const char *const *)strv_list(&c->env),
		.network = &c->network,
		.recorded = true,
	};
	int r;

	if (!c->secrets.n && !(c->tls.flags & MSB_TLS_INTERCEPT))
		return 0;
	r = secrets_check(&checked, err);
	if (r == 0)
		r = find_program(rt, &t->program, err);
	if (r == 0 && c->tls.ca_key)
		r = tls_values_read_file(&t->values, c->tls.ca_key,
		                         "the CA's key", err);
	if (r == 0)
		r = tls_values_take(&t->values, checked.secrets, given, err);
	return r < 0 ? r
	             : tls_request_setup(&c->secrets, &c->tls, &t->request,
	                                 err);
}

/* ---- its process --------------------------------------------------------- */

/* Its ends of what it is connected by, and ours. */
struct ends {
	int null, link[2], setup[2];
};

#define ENDS_INIT                                                              \
	{                                                                      \
		.null = -1, .link = {-1, -1}, .setup = { -1, -1 }              \
	}

static void ends_release(struct ends *e)
{
	close_fd(&e->null);
	close_fd(&e->link[0]);
	close_fd(&e->link[1]);
	close_fd(&e->setup[0]);
	close_fd(&e->setup[1]);
}

static int open_ends(struct ends *e, struct err *err)
{
	e->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (e->null < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, e->link) <
	            0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, e->setup) < 0)
		return err_set(err, -errno, "cannot make sockets: %s",
		               strerror(errno));
	return 0;
}

/* Copies above all targets: see clone.h. */
static int copy_fds(const struct ends *e, int listen, int log, int *fds)
{
	const int from[NFDS] = {
		[0] = e->null,
		[1] = log >= 0 ? log : e->null,
		[2] = log >= 0 ? log : e->null,
		[TLS_FD_LINK] = e->link[0],
		[TLS_FD_SETUP] = e->setup[0],
		[TLS_FD_LISTEN] = listen,
	};

	for (int i = 0; i < NFDS; i++) {
		fds[i] = fcntl(from[i], F_DUPFD_CLOEXEC, NFDS);
		if (fds[i] < 0)
			return -errno;
	}
	return 0;
}

/* Its environment has nothing of ours, least of all values. */
static int spawn(const char *path, const char *name, const char *log_level,
                 const int *fds, pid_t *ret)
{
	struct strv cleanup_strv env = {0};
	char program[] = "msb-tls";
	char *argv[] = {program, (char *)(uintptr_t)name, NULL};
	int r = log_level ? strv_addf(&env, "MSB_LOG=%s", log_level) : 0;

	return r < 0 ? r
	             : clone_program(
			       &(struct clone_opts){.path = path,
	                                            .argv = argv,
	                                            .env = strv_list(&env),
	                                            .fds = fds,
	                                            .nfds = NFDS},
			       ret);
}

static int start(struct tls_launch *t, const struct ends *e, const char *name,
                 int log_fd, const char *log_level)
{
	int fds[NFDS] = {-1, -1, -1, -1, -1, -1};
	int r = copy_fds(e, t->listen_fd, log_fd, fds);

	if (r == 0)
		r = spawn(t->program, name, log_level, fds, &t->pid);
	for (int i = 0; i < NFDS; i++)
		close_fd(&fds[i]);
	return r;
}

int tls_launch_listen(struct tls_launch *t, const struct place *p,
                      struct err *err)
{
	place_forget_tls(p);
	if (!t->request)
		return 0;
	t->listen_fd = place_listen_tls(p, err);
	return t->listen_fd < 0 ? t->listen_fd : 0;
}

int tls_launch_start(struct tls_launch *t, const char *name, int log_fd,
                     const char *log_level, struct net_launch *net,
                     struct err *err)
{
	struct ends cleanup(ends_release) e = ENDS_INIT;
	cleanup_free char *ca = NULL;
	int r;

	if (!t->request)
		return 0;
	r = open_ends(&e, err);
	if (r < 0)
		return r;
	r = start(t, &e, name, log_fd, log_level);
	if (r < 0)
		return err_set(err, r, "cannot start %s: %s", t->program,
		               strerror(-r));
	/* Its ends are its own: else we would not see it end. */
	close_fd(&e.link[0]);
	close_fd(&e.setup[0]);
	r = tls_request_send(e.setup[1], t->request, &t->values, &ca, err);
	tls_values_release(&t->values);
	if (r == 0)
		r = net_launch_add_ca(net, ca, err);
	if (r == 0)
		net->tls_fd = take_fd(e.link[1]);
	return r;
}

/* ---- while it runs ------------------------------------------------------- */

static json_t *update_json(const struct msb_tls *tls,
                           const struct tls_update *u)
{
	json_t *set = json_array(), *gone = json_array();
	int r = 0;

	for (size_t i = 0; i < u->nset && r == 0; i++)
		r = json_array_append_new(
			set, tls_request_secret(u->set[i].secret, tls,
		                                u->set[i].has_value));
	for (size_t i = 0; i < u->nremove && r == 0; i++)
		r = json_array_append_new(gone, json_string(u->remove[i]));
	if (r < 0) {
		json_decref(set);
		json_decref(gone);
		return NULL;
	}
	return json_pack("{s:i, s:s, s:o, s:o}", "version", TLS_SETUP_VERSION,
	                 "op", "update", "set", set, "remove", gone);
}

int tls_launch_update(const struct place *p, const struct msb_tls *tls,
                      const struct tls_update *u, struct err *err)
{
	json_t *cleanup_json request = update_json(tls, u);
	cleanup_free char *ca = NULL;
	cleanup_close int fd = -1;

	if (!request)
		return -ENOMEM;
	fd = place_connect_tls(p);
	if (fd < 0) {
		err_set(err, -LIB_EGONE, "its msb-tls does not listen: %s",
		        strerror(-fd));
		err_hint(err, "msb restart starts both anew");
		return -LIB_EGONE;
	}
	return tls_request_send(fd, request, &u->values, &ca, err);
}
