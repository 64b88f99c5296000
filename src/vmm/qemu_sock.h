/*
 * qemu_sock.h - the one socket that QEMU connects, or thinks so.
 *
 * For a network device QEMU insists on a socket that it connected to a path
 * itself (net_vhost_claim_chardev()); a descriptor will not do. It may not make
 * sockets, and shall not: so its filter asks us instead
 * (SECCOMP_RET_USER_NOTIF) when it calls socket() and connect(). The first
 * socket() gets the descriptor that we have for it, the connect() behind it a
 * plain success; then nobody answers any more, and both calls are ENOSYS for
 * good.
 */
#ifndef VMM_QEMU_SOCK_H
#define VMM_QEMU_SOCK_H

#include <stdbool.h>

#include "base/loop.h"

/* What QEMU is told to connect to; nobody looks it up. */
#define QEMU_SOCK_PATH "/net"

struct qemu_sock {
	struct loop *loop;
	struct loop_fd src;
	int fd;       /* that it gets; owned. -1: none is due */
	int ask[2];   /* ours and the child's: the listener comes over it */
	int listener; /* -1: not here yet, or done */
	bool given;
};

#define QEMU_SOCK_INIT                                                         \
	{                                                                      \
		.fd = -1, .ask = {-1, -1}, .listener = -1                      \
	}

/* Takes @fd. Before the child starts, which gets s->ask[1] for jail_child(). */
int qemu_sock_init(struct qemu_sock *s, struct loop *l, int fd);

/* The child runs: forget its end. */
void qemu_sock_started(struct qemu_sock *s);

void qemu_sock_release(struct qemu_sock *s); /* fine when never begun */

#endif
