/*
 * console.h - virtio-console (virtio 1.2, section 5.3): one port, /dev/hvc0,
 * whose output goes to a host descriptor.
 */
#ifndef VIRTIO_CONSOLE_H
#define VIRTIO_CONSOLE_H

#include "base/err.h"
#include "base/loop.h"
#include "virtio/device.h"

/*
 * Runs in @l's thread. @fd is a stream (socket or pipe; set to non-blocking
 * here, not owned): while it takes no more bytes, the guest waits. What can
 * be read from it is the guest's input. When the other end is gone, output is
 * dropped.
 */
int virtio_console_new(struct loop *l, int fd, struct virtio_dev **ret,
                       struct err *err);

#endif
