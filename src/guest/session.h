/*
 * session.h - one session: a connection from the host, and its command or the
 * child that serves its files (files.h), as the first message says.
 *
 *	waiting --FILE_REQ--> files
 *	waiting --EXEC--> starting --status pipe--> running --reaped--> draining
 *	                     |                                             |
 *	                     +--EXEC_FAILED-----> closing <----EXITED------+
 *
 * Works on any connected stream socket. Every state but "closing" ends at once
 * when the host closes the connection or breaks the protocol: the command and
 * all of its session are killed then.
 *
 * Flow: output is read from the command only while less than PROTO_DATA_MAX
 * bytes wait for the host, so at most that and one chunk of each stream are
 * held here. Input is held up to PROTO_STDIN_WINDOW and acknowledged once the
 * command's pipe took it (or is gone). The end of input closes the pipe; a
 * terminal has no such end: there the host sends ^D itself.
 *
 * Draining: EXITED follows the end of both output streams. A background
 * process may hold them open for ever; after SESSION_GRACE_MS without output
 * (and nothing waiting for the host) the session ends without them.
 */
#ifndef GUEST_SESSION_H
#define GUEST_SESSION_H

#include <stdbool.h>

#include "base/loop.h"
#include "guest/child.h"
#include "proto/proto.h"

#define SESSION_GRACE_MS 200

struct session;

struct session_env {
	struct loop *loop;
	struct child_env child;
	int proc_fd;
	int upper_fd; /* see files.h */
	/* The session is over: forget and session_free() it. */
	void (*over)(void *arg, struct session *s);
	void *arg;
};

/* Takes ownership of @fd, also on failure (NULL, errno set). */
struct session *session_new(const struct session_env *env, int fd);

/*
 * There are too many already: what its first message asks for is answered with
 * EAGAIN and @why, which must outlive it.
 */
void session_refuse(struct session *s, const char *why);
bool session_is_refused(const struct session *s);

/* Closes everything; kills the command if it still runs. NULL is fine. */
void session_free(struct session *s);

/* The command's or child's process, 0 before there is one and after it was
 * reaped. */
pid_t session_pid(const struct session *s);

/* The process was reaped with this status of waitpid(). May end the session. */
void session_reaped(struct session *s, int status);

#endif
