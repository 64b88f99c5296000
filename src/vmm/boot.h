/*
 * boot.h - the session that the guest's agent opens: it says HELLO, gets BOOT,
 * says READY or FAILED, and listens for SHUTDOWN and PING from then on.
 *
 * The agent may be anything: frames are bounded by BOOT_FRAME_MAX, out of
 * order is a breach, a breach ends the session. There is one session a
 * machine: the first connection. BOOT may be large (scripts) and waits until
 * the agent reads it; of the few small frames behind it at most BOOT_OUT_MAX
 * bytes wait, more are refused.
 */
#ifndef VMM_BOOT_H
#define VMM_BOOT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"
#include "proto/proto.h"
#include "vmm/config.h"

#define BOOT_FRAME_MAX (64u << 10)
#define BOOT_OUT_MAX   (PROTO_FRAME_MAX + (64u << 10))

enum boot_state {
	BOOT_NONE,    /* the guest has not connected */
	BOOT_HELLO,   /* connected, HELLO is due */
	BOOT_WORKING, /* BOOT was sent, READY or FAILED is due */
	BOOT_READY,
	BOOT_CLOSED,
};

struct boot_events {
	void (*hello)(void *arg, const struct proto_hello *m);
	void (*ready)(void *arg, const struct proto_ready *m);
	void (*failed)(void *arg, const struct proto_failed *m);
	void (*pong)(void *arg, uint64_t cookie); /* any number, any time */
	/* The session is over; @why is NULL when the guest closed it. */
	void (*closed)(void *arg, const char *why);
	void *arg;
};

struct boot {
	struct loop *loop;
	const struct vmm_config *cfg;
	struct boot_events events;
	enum boot_state state;
	struct loop_fd src;
	int sock;
	struct buf in, out;
};

void boot_init(struct boot *b, struct loop *l, const struct vmm_config *cfg,
               const struct boot_events *events);
void boot_release(struct boot *b);

/* For vsock_listen(): the guest's end of the session, or -EBUSY. */
int boot_accept(void *arg);

/* Ask the agent to power off. -ENOTCONN when there is no session. */
int boot_shutdown(struct boot *b, uint32_t timeout_ms);

/* It should say PONG with this number. -ENOTCONN as above. */
int boot_ping(struct boot *b, uint64_t cookie);

#endif
