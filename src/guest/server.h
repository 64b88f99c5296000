/*
 * server.h - accepts sessions and reaps every process of the machine.
 *
 * Only the host may connect: the vsock port can be reached from inside the
 * machine, too, and would make any user root.
 *
 * So many sessions are served at once; who comes then waits in the kernel's
 * queue for one to end. When none does for SERVER_FULL_MS, those who wait are
 * told that there are too many, and so is who comes, until one ends.
 */
#ifndef GUEST_SERVER_H
#define GUEST_SERVER_H

#include "guest/session.h"

#define SERVER_SESSIONS_MAX 256
#define SERVER_REFUSED_MAX  64 /* at once: being told so */
#define SERVER_FULL_MS      5000

struct server {
	struct session_env env;
	struct loop_fd listen_src, child_src;
	struct session *sessions[SERVER_SESSIONS_MAX + SERVER_REFUSED_MAX];
	size_t nsessions, nrefused; /* both kinds; of the second */
	struct loop_timer full;
	bool refusing;
	void (*changed)(void *arg); /* a process or session ended */
	void *arg;
};

/* Blocks SIGCHLD for this process. @changed may be NULL. */
int server_init(struct server *s, struct loop *loop, void (*changed)(void *arg),
                void *arg);

/* Open /dev/null, /proc and /dev/pts: once, before guest programs run. */
int server_open_env(struct server *s, struct err *err);

/* The same, and listen on vsock port PROTO_PORT_AGENT. */
int server_listen(struct server *s, struct err *err);

/*
 * Serve a connected stream socket, or tell it that there are too many; takes
 * ownership of @fd. -EAGAIN when there are too many of these as well.
 */
int server_adopt(struct server *s, int fd);

/* No new sessions; those that run go on. */
void server_close(struct server *s);

/* No session, and this process has no child. */
bool server_idle(const struct server *s);

/* Ends all sessions, closes everything. */
void server_release(struct server *s);

#endif
