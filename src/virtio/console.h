/*
 * console.h - virtio-console (virtio 1.2, section 5.3): one port, /dev/hvc0,
 * whose output goes to a host socket.
 */
#ifndef VIRTIO_CONSOLE_H
#define VIRTIO_CONSOLE_H

#include "base/err.h"
#include "base/loop.h"
#include "virtio/device.h"

/*
 * Runs in @l's thread. @fd is a stream socket, not owned, to stay open until
 * the device is freed; its flags are left alone. While it takes no more bytes,
 * the guest waits. What can be read from it is the guest's input. When the
 * other end is gone, output is dropped. -ENOTSOCK or -EPROTOTYPE for another
 * kind of descriptor.
 */
int virtio_console_new(struct loop *l, int fd, struct virtio_dev **ret,
                       struct err *err);

#endif
