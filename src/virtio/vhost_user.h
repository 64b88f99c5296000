/*
 * vhost_user.h - the vhost-user back end: a virtio device model served to QEMU
 * over a Unix socket (QEMU docs/interop/vhost-user.rst). The peer is our own
 * QEMU, but a guest that broke out of it may speak here: every message is
 * hostile.
 */
#ifndef VIRTIO_VHOST_USER_H
#define VIRTIO_VHOST_USER_H

#include "base/err.h"
#include "base/loop.h"
#include "virtio/device.h"

struct vhost_user;

/*
 * Serve @dev on @sock (connected; owned from now on) in @l's thread. @closed
 * is called once, from the loop, when the peer went away or broke the protocol
 * (@why is NULL for a plain close). The device must outlive the transport.
 */
int vhost_user_new(struct loop *l, int sock, struct virtio_dev *dev,
                   void (*closed)(void *arg, const char *why), void *arg,
                   struct vhost_user **ret, struct err *err);
void vhost_user_free(struct vhost_user *vu); /* NULL is fine */

#endif
