#include "guest/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"

#include "base/banned.h"

/*
 * Who finds it full is reset by the kernel, without a word. A host opens 1024
 * at once at most (VSOCK_CONNS_MAX), and faster than we can start commands.
 */
#define BACKLOG 1024

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)
#define TOO_MANY                                                               \
	"the machine runs " TEXT(                                              \
		SERVER_SESSIONS_MAX) " commands and file transfers already"

static bool is_full(const struct server *s)
{
	return s->nsessions - s->nrefused >= SERVER_SESSIONS_MAX;
}

/* Take from the queue, or leave there what comes. */
static void take_more(struct server *s, bool yes)
{
	if (s->listen_src.added)
		(void)loop_mod(s->env.loop, &s->listen_src, yes ? EPOLLIN : 0);
}

static void on_full(void *arg)
{
	struct server *s = arg;

	s->refusing = true;
	take_more(s, true);
}

static void await_room(struct server *s)
{
	take_more(s, false);
	if (!s->full.armed)
		loop_timer_set(s->env.loop, &s->full,
		               clock_now_ns() + SERVER_FULL_MS * NS_PER_MS,
		               on_full, s);
}

static void made_room(struct server *s)
{
	s->refusing = false;
	loop_timer_del(s->env.loop, &s->full);
	take_more(s, true);
}

static void forget(void *arg, struct session *gone)
{
	struct server *s = arg;

	if (session_is_refused(gone)) {
		s->nrefused--;
		take_more(s, true);
	} else {
		made_room(s);
	}
	for (size_t i = 0; i < s->nsessions; i++) {
		if (s->sessions[i] == gone) {
			s->sessions[i] = s->sessions[--s->nsessions];
			break;
		}
	}
	session_free(gone);
	if (s->changed)
		s->changed(s->arg);
}

static struct session *find(struct server *s, pid_t pid)
{
	for (size_t i = 0; i < s->nsessions; i++)
		if (session_pid(s->sessions[i]) == pid)
			return s->sessions[i];
	return NULL;
}

/* Orphans of the whole machine end here, too; they belong to no session. */
static void on_child(void *arg, uint32_t events)
{
	struct server *s = arg;
	struct signalfd_siginfo si;
	ssize_t n = read(s->child_src.fd, &si, sizeof(si));
	struct session *k;
	int status;
	pid_t pid;

	(void)events;
	(void)n;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		k = find(s, pid);
		if (k)
			session_reaped(k, status);
	}
	if (s->changed)
		s->changed(s->arg);
}

int server_init(struct server *s, struct loop *loop, void (*changed)(void *arg),
                void *arg)
{
	sigset_t set;
	int fd, r;

	*s = (struct server){
		.env = {.loop = loop,
	                .child = {.null_fd = -1,
	                          .pts_fd = -1,
	                          .proc_fd = -1,
	                          .passwd_path = "/etc/passwd",
	                          .group_path = "/etc/group"},
	                .proc_fd = -1,
	                .upper_fd = -1,
	                .over = forget,
	                .arg = s},
		.changed = changed,
		.arg = arg
        };
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = loop_add(loop, &s->child_src, fd, EPOLLIN, on_child, s);
	if (r < 0)
		(void)close(fd);
	return r;
}

static int open_one(const char *path, int flags, int *ret, struct err *err)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		return err_set(err, -errno, "cannot open %s: %s", path,
		               strerror(errno));
	*ret = fd;
	return 0;
}

int server_open_env(struct server *s, struct err *err)
{
	struct session_env *e = &s->env;
	int r = open_one("/dev/null", O_RDWR, &e->child.null_fd, err);

	if (r == 0)
		r = open_one("/proc", O_DIRECTORY, &e->proc_fd, err);
	if (r == 0)
		r = open_one("/dev/pts", O_DIRECTORY, &e->child.pts_fd, err);
	e->child.proc_fd = e->proc_fd;
	return r;
}

int server_adopt(struct server *s, int fd)
{
	struct session *k;

	if (is_full(s))
		log_limited(LOG_WARN, "more than %d sessions: refused",
		            SERVER_SESSIONS_MAX);
	if (s->nrefused == SERVER_REFUSED_MAX) {
		(void)close(fd);
		return -EAGAIN;
	}
	k = session_new(&s->env, fd);
	if (!k)
		return -errno;
	if (is_full(s)) {
		session_refuse(k, TOO_MANY);
		s->nrefused++;
	}
	s->sessions[s->nsessions++] = k;
	return 0;
}

static void on_listen(void *arg, uint32_t events)
{
	struct server *s = arg;
	struct sockaddr_vm a = {0};
	socklen_t len = sizeof(a);
	int fd;

	(void)events;
	if (is_full(s) && !s->refusing) {
		await_room(s);
		return;
	}
	if (s->nrefused == SERVER_REFUSED_MAX) {
		take_more(s, false);
		return;
	}
	fd = accept4(s->listen_src.fd, (struct sockaddr *)&a, &len,
	             SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	if (len < sizeof(a) || a.svm_cid != VMADDR_CID_HOST) {
		log_limited(LOG_WARN,
		            "vsock connection not from the host "
		            "(cid %u): refused",
		            a.svm_cid);
		(void)close(fd);
		return;
	}
	(void)server_adopt(s, fd);
}

int server_listen(struct server *s, struct err *err)
{
	struct sockaddr_vm a = {.svm_family = AF_VSOCK,
	                        .svm_cid = VMADDR_CID_ANY,
	                        .svm_port = PROTO_PORT_AGENT};
	int r = server_open_env(s, err), fd;

	if (r < 0)
		return r;
	fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(fd, BACKLOG) < 0 ||
	    loop_add(s->env.loop, &s->listen_src, fd, EPOLLIN, on_listen, s)) {
		r = err_set(err, -errno, "cannot listen on vsock port %d: %s",
		            PROTO_PORT_AGENT, strerror(errno));
		close_fd(&fd);
	}
	return r;
}

static void close_source(struct server *s, struct loop_fd *src)
{
	if (!src->added)
		return;
	loop_del(s->env.loop, src);
	close_fd(&src->fd);
}

void server_close(struct server *s)
{
	close_source(s, &s->listen_src);
	loop_timer_del(s->env.loop, &s->full);
}

bool server_idle(const struct server *s)
{
	siginfo_t si;

	return s->nsessions == 0 &&
	       waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 &&
	       errno == ECHILD;
}

void server_release(struct server *s)
{
	while (s->nsessions)
		session_free(s->sessions[--s->nsessions]);
	server_close(s);
	close_source(s, &s->child_src);
	close_fd(&s->env.child.null_fd);
	close_fd(&s->env.child.pts_fd);
	close_fd(&s->env.proc_fd);
	close_fd(&s->env.upper_fd);
}
