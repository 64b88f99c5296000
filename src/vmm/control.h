/*
 * control.h - one line to the library: VMM_* frames, one a packet.
 *
 * A packet is passed on only when it is whole, one of those that the library
 * may send, and has a descriptor if and only if its kind has one.
 */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

#include "base/err.h"
#include "base/loop.h"
#include "proto/proto.h"

struct control_events {
	/*
	 * Who gets it owns @fd (-1: none). @m is dead afterwards; the line may
	 * be released in here.
	 */
	void (*got)(void *arg, const struct proto_msg *m, int fd);
	/* @why is NULL for a plain close, else which rule was broken. */
	void (*closed)(void *arg, const char *why);
	void *arg;
};

struct control {
	struct loop *loop;
	struct loop_fd src;
	int fd; /* not owned */
	struct control_events events;
};

/* The struct must stay where it is. */
int control_init(struct control *c, struct loop *l, int fd,
                 const struct control_events *events, struct err *err);
void control_release(struct control *c);

/* 0 or a negative errno; works without control_init()'s loop, too. */
int control_send(int sock, const struct proto_msg *msg);

/* The same with a descriptor, which stays the caller's; -1: none. */
int control_send_fd(int sock, const struct proto_msg *msg, int fd);

#endif
