/*
 * hostsock.h - sockets of the host that the guest reaches by vsock: who
 * connects to CID 2 and a route's port is joined with whoever listens at the
 * route's Unix socket at that moment.
 */
#ifndef VMM_HOSTSOCK_H
#define VMM_HOSTSOCK_H

#include "base/err.h"
#include "base/loop.h"
#include "virtio/device.h"
#include "vmm/config_net.h"

#define HOSTSOCK_PEERS_MAX 256 /* of one route, at once */

/*
 * @routes must outlive the machine, @vsock runs in @l's thread, which is the
 * caller's. Without routes there is nothing to do, and no thread.
 */
int hostsock_start(const struct vmm_vsock_list *routes, struct loop *l,
                   struct virtio_dev *vsock, struct err *err);

#endif
