/*
 * link.h - the boot connection: this machine's side of the talk with msb-vmm.
 *
 * During boot it is used step by step, each step with a time limit. Later the
 * event loop watches it; PING is answered here, the rest is the owner's. When
 * the other side closes, the owner is told through lost(): there is no machine
 * without a host.
 */
#ifndef GUEST_LINK_H
#define GUEST_LINK_H

#include "base/err.h"
#include "base/loop.h"
#include "proto/proto.h"

struct link_ops {
	void (*shutdown)(void *arg, uint32_t timeout_ms);
	void (*clock)(void *arg, uint64_t unix_ns);
	void (*lost)(void *arg); /* closed, or the host broke the protocol */
};

struct link {
	int fd;
	struct buf in;
	size_t taken; /* bytes of `in` that the last message still uses */
	struct loop *loop;
	struct loop_fd source;
	const struct link_ops *ops;
	void *arg;
};

/* One frame, and what was read with it. */
#define LINK_CHUNK  (32u << 10)
#define LINK_IN_MAX (PROTO_HEADER_LEN + PROTO_FRAME_MAX + LINK_CHUNK)

#define LINK_INIT                                                              \
	{                                                                      \
		.fd = -1, .in = BUF_INIT_MAX(LINK_IN_MAX)                      \
	}

/* Begin to connect to the host; link_send() and link_receive() wait for it. */
int link_connect(struct link *l, struct err *err);

/* Use a connected stream socket instead. Takes ownership of @fd. */
int link_adopt(struct link *l, int fd);

/* Send all of @msg, or fail after LINK_TIMEOUT_MS. */
#define LINK_TIMEOUT_MS 10000
int link_send(struct link *l, const struct proto_msg *msg);

/*
 * Wait for one message of @type; anything else is -EPROTO. @ret points into
 * the link's memory until the next message is received.
 */
int link_receive(struct link *l, enum proto_type type, struct proto_msg *ret,
                 struct err *err);

/* Wait until the host has closed, so that the last message surely got there. */
void link_linger(struct link *l, int timeout_ms);

int link_watch(struct link *l, struct loop *loop, const struct link_ops *ops,
               void *arg);
void link_release(struct link *l);

#endif
