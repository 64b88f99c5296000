/*
 * vsock.h - virtio socket device (virtio 1.2, section 5.10), complete in user
 * space: streams in both directions, credit, bounded connections.
 *
 * Each vsock connection is bridged to one host stream descriptor (a Unix
 * socket, usually one end of a socketpair): what arrives there goes to the
 * guest and the other way round, with end-of-file each way. Flow control is
 * the descriptor's: bytes are read only while the guest has credit, credit is
 * given back only when the descriptor took the bytes.
 */
#ifndef VIRTIO_VSOCK_H
#define VIRTIO_VSOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "virtio/device.h"

#define VSOCK_HOST_CID 2

/* Runs in @l's thread. @guest_cid is at least 3. */
int vsock_new(struct loop *l, uint64_t guest_cid, struct virtio_dev **ret,
              struct err *err);

/*
 * Open a connection to the guest's @port and bridge it to @fd (non-blocking
 * is set here), which is owned from now on, also when the call fails. May be
 * called before the guest is there: the request then waits for activation.
 * When the guest refuses, resets, or is silent for 10 s, @fd is closed.
 * -EMFILE past 1024 connections, -ENOTSOCK or -EPROTOTYPE for a descriptor
 * that is no stream socket.
 */
int vsock_connect(struct virtio_dev *d, uint32_t port, int fd);

/* Connections that were opened by vsock_connect() and have not ended. */
unsigned vsock_sessions(const struct virtio_dev *d);

/* The end of a protocol's last message fits in here. */
#define VSOCK_LAST_MAX 16

/*
 * Who wants to know when a connection ends whose host end somebody else has.
 * ended() comes once, in the device's thread and amidst its work: it may only
 * take note. @last are the last bytes that the guest sent, at most
 * VSOCK_LAST_MAX (for the curious: a guest can make them differ from what it
 * had delivered).
 */
struct vsock_follower {
	void (*ended)(void *arg, const uint8_t *last, size_t n);
	void *arg;
};

/*
 * Follow the connection whose descriptor, given to vsock_connect(), is the
 * peer of @fd. It has one follower: the one before is forgotten, NULL leaves
 * it without. -ENOTCONN if there is none, or no more.
 */
int vsock_follow(struct virtio_dev *d, int fd, const struct vsock_follower *f);

/* No follower with this @arg is told any more. */
void vsock_unfollow(struct virtio_dev *d, const void *arg);

/*
 * When the guest connects to host @port, accept() gives the stream descriptor
 * to bridge it to (owned by the device from then on) or a negative errno,
 * which refuses it. Ports without a listener, and connections past 512 that
 * the guest opened, are refused. -EEXIST, -ENOSPC past 64 listeners.
 */
int vsock_listen(struct virtio_dev *d, uint32_t port, int (*accept)(void *arg),
                 void *arg);

/*
 * The same for who has to ask somebody else: ask() takes note of @id (or
 * refuses by a negative errno), and vsock_answer() follows, from the device's
 * thread and not from within ask(). At most @max such connections at once;
 * without an answer for 10 s the guest is refused.
 */
int vsock_listen_later(struct virtio_dev *d, uint32_t port, unsigned max,
                       int (*ask)(void *arg, uint64_t id), void *arg);

/*
 * The descriptor for the connection @id, owned from now on, or a negative errno
 * that refuses it. One that has ended meanwhile is fine.
 */
void vsock_answer(struct virtio_dev *d, uint64_t id, int fd_or_error);

#endif
