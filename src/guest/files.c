#include "guest/files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "guest/files_op.h"

#include "base/banned.h"

static int (*const ops[])(struct files_op *op, struct err *err) = {
	[PROTO_FILE_STAT] = files_op_stat,
	[PROTO_FILE_LIST] = files_op_list,
	[PROTO_FILE_MKDIR] = files_op_mkdir,
	[PROTO_FILE_REMOVE] = files_op_remove,
	[PROTO_FILE_RENAME] = files_op_rename,
	[PROTO_FILE_CHMOD] = files_op_chmod,
	[PROTO_FILE_CHOWN] = files_op_chown,
	[PROTO_FILE_SYMLINK] = files_op_symlink,
	[PROTO_FILE_COPY] = files_op_copy,
	[PROTO_FILE_READ] = files_op_read,
	[PROTO_FILE_WRITE] = files_op_write,
	[PROTO_FILE_TREE_READ] = files_op_tree_read,
	[PROTO_FILE_TREE_WRITE] = files_op_tree_write,
	[PROTO_FILE_UPPER_READ] = files_op_upper_read,
};

int files_op_fail(struct err *err, int r, const char *what, const char *path)
{
	return err_set(err, r, "cannot %s %s: %s", what, path, strerror(-r));
}

int files_op_step(void *arg)
{
	struct files_op *op = arg;

	return files_link_alive(&op->link);
}

/* The host may be sending still: it is to hear of the end first. */
static void wait_for_close(int sock)
{
	char drain[16384];
	ssize_t n;

	do
		n = recv(sock, drain, sizeof(drain), 0);
	while (n > 0 || (n < 0 && errno == EINTR));
}

void files_serve(const struct files_env *env, int sock,
                 const struct proto_file_req *req, const void *rest,
                 size_t rest_len)
{
	struct files_op op = {.env = env, .req = req};
	struct proto_msg done = {.type = PROTO_FILE_DONE};
	struct err err = {0};
	int r = -EOPNOTSUPP;

	files_link_init(&op.link, sock, -1);
	if (buf_add(&op.link.in, rest, rest_len) < 0)
		return;
	if (req->op < ARRAY_SIZE(ops) && ops[req->op])
		r = ops[req->op](&op, &err);
	else
		(void)err_set(&err, r, "this agent has no such operation");
	if (r < 0 && err.code == 0)
		(void)err_set(&err, r, "%s", strerror(-r));
	done.file_done.error = r < 0 ? -r : 0;
	done.file_done.message = r < 0 ? err.msg : "";
	done.file_done.count = op.count;
	if (files_link_send(&op.link, &done) == 0 &&
	    files_link_flush(&op.link) == 0)
		wait_for_close(sock);
	files_link_release(&op.link);
}

/* A long command may take the place of the agent in memory; so may this. */
static void be_killable(const struct files_env *env)
{
	int fd = openat(env->proc_fd, "self/oom_score_adj",
	                O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)fd_write_full(fd, "0", 1);
	(void)close(fd);
}

/* Descriptors 3 and 4 are the connection and the upper; no others are left. */
static int keep_two(struct files_env *env, int sock)
{
	int s = fcntl(sock, F_DUPFD_CLOEXEC, 10), u = -1, n;

	if (env->upper_fd >= 0)
		u = fcntl(env->upper_fd, F_DUPFD_CLOEXEC, 10);
	if (s < 0 || dup2(s, 3) < 0 || (u >= 0 && dup2(u, 4) < 0))
		return -errno;
	n = u >= 0 ? 5 : 4;
	env->upper_fd = u >= 0 ? 4 : -1;
	env->proc_fd = -1;
	return syscall(SYS_close_range, n, ~0U, 0) < 0 ? -errno : 0;
}

static void __attribute__((noreturn))
run(struct files_env env, int sock, const struct proto_file_req *req,
    const void *rest, size_t rest_len)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "msb-files");
	(void)umask(0);
	(void)setsid();
	if (env.spared)
		be_killable(&env);
	if (keep_two(&env, sock) == 0 && chdir("/") == 0 &&
	    fcntl(3, F_SETFL, 0) == 0)
		files_serve(&env, 3, req, rest, rest_len);
	_exit(0);
}

int files_start(const struct files_env *env, int sock,
                const struct proto_file_req *req, const void *rest,
                size_t rest_len, pid_t *ret_pid)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		run(*env, sock, req, rest, rest_len);
	*ret_pid = pid;
	return 0;
}
