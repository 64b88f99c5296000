/*
 * child.h - start one command.
 *
 * Everything that depends on the image's files (who is "www-data", where is
 * "python3", is there such a folder) happens in the forked child: a file
 * system that hangs then hangs that command, never the agent. How it went
 * comes back through a close-on-exec pipe: end of file means that the command
 * runs, a struct child_failure means that it never did.
 */
#ifndef GUEST_CHILD_H
#define GUEST_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "proto/proto.h"

#define CHILD_TEXT_MAX 512

/* What the agent opened while the root was still its own. */
struct child_env {
	int null_fd, pts_fd;
	int proc_fd;
	bool spared; /* the OOM killer must not take the agent */
	const char *passwd_path, *group_path;
	char *const *defaults; /* of the environment; NULL: none */
};

struct child_failure {
	char stage[16];
	int32_t error; /* positive */
	char message[CHILD_TEXT_MAX];
};

struct child {
	pid_t pid;     /* also its session and process group */
	int status_fd; /* one struct child_failure, or end of file */
	int in_fd;     /* -1 without stdin */
	int out_fd;    /* with a tty its master side, in_fd is a duplicate */
	int err_fd;    /* -1 with a tty */
};

#define CHILD_INIT                                                             \
	{                                                                      \
		.status_fd = -1, .in_fd = -1, .out_fd = -1, .err_fd = -1       \
	}

/*
 * Fork. The descriptors of @ret are non-blocking and the caller's. On failure
 * @ret_stage names the stage.
 */
int child_start(const struct child_env *env, const struct proto_exec *x,
                struct child *ret, const char **ret_stage, struct err *err);

/* Kill the process group of @sid and all that is left of its session. */
void child_kill_session(int proc_fd, pid_t sid);

#endif
