/*
 * control.h - one line to the library: VMM_* frames, one a packet.
 */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

#include "base/err.h"
#include "base/loop.h"
#include "proto/proto.h"

struct control_events {
	void (*connect)(void *arg, uint32_t port, int fd); /* owns @fd */
	void (*stop)(void *arg, uint32_t timeout_ms);
	void (*touch)(void *arg); /* somebody still wants it */
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
int control_send(int fd, const struct proto_msg *msg);

#endif
