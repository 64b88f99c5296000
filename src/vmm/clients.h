/*
 * clients.h - who may talk to this machine: the library that started it, and
 * those who connect to its socket later (detached machines, or a second `msb
 * exec`).
 *
 * All speak the VMM_* frames of control.h. A newcomer hears first what has
 * happened so far, so that it need not have been there. Who breaks the rules
 * or does not read what it is sent loses its connection, nothing else. What
 * the machine tells goes to all, an answer only to who asked.
 */
#ifndef VMM_CLIENTS_H
#define VMM_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "vmm/control.h"

#define CLIENTS_MAX 64

struct clients;
struct client;

struct clients_events {
	/* As in control.h; @from is valid until it is told to be gone. */
	void (*got)(void *arg, struct client *from, const struct proto_msg *m,
	            int fd);
	/* No answer reaches it any more. Not called by clients_release(). */
	void (*gone)(void *arg, const struct client *cl);
	/* The first one, too; @why is NULL for a plain close. */
	void (*owner_gone)(void *arg, const char *why);
	void *arg;
};

struct client {
	struct clients *set;
	struct control control;
	int fd; /* -1: a free place */
};

struct clients {
	struct loop *loop;
	struct clients_events events;
	struct client list[CLIENTS_MAX]; /* [0] is the owner */
	struct loop_fd listen;
	int listen_fd;         /* -1: nobody may join; borrowed */
	struct buf history[2]; /* encoded: VMM_STARTED, VMM_READY */
};

/* @owner_fd and @listen_fd stay the caller's to close. Stays in its place. */
int clients_init(struct clients *c, struct loop *l, int owner_fd, int listen_fd,
                 const struct clients_events *events, struct err *err);

/* To everybody. VMM_STARTED and VMM_READY are kept for those who come later. */
void clients_say(struct clients *c, const struct proto_msg *m);

/*
 * To the one who asked; @fd (-1: none) stays the caller's. A negative errno
 * says that it was not told; its line is closed then, unless it is the owner.
 */
int clients_answer(struct client *to, const struct proto_msg *m, int fd);

void clients_release(struct clients *c); /* a zeroed one is fine */

#endif
