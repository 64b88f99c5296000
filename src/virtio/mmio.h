/*
 * mmio.h - the virtio-mmio transport, register layout 2 (virtio 1.2, section
 * 4.2): one device model behind a page of registers.
 *
 * Two sides meet here. vCPU threads read and write registers: all of them
 * under one lock, most of them answered from what the transport itself holds.
 * The model is called in its loop's thread only: a register write that
 * concerns it (DRIVER_OK, reset, a config write) is carried there and waited
 * for; if the caller is that thread, it is done at once. Config reads come
 * from a copy, taken when the model is attached, when it says that it changed,
 * and after a write.
 *
 * Notifications come through one eventfd a queue (KVM_IOEVENTFD), so the vCPU
 * does not leave the kernel for them; a write that reaches mmio_write()
 * anyhow does the same. Interrupts go out as one eventfd (KVM_IRQFD).
 */
#ifndef VIRTIO_MMIO_H
#define VIRTIO_MMIO_H

#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "virtio/device.h"
#include "virtio/mem.h"

#define MMIO_SIZE   0x1000u /* bytes of guest address space */
#define MMIO_NOTIFY 0x050u  /* the register that KVM_IOEVENTFD matches */

struct mmio;

/*
 * Serve @dev behind registers, in the thread of @l, which does not run yet.
 * @mem is copied: its regions are borrowed and must outlive the transport.
 * @irq_fd is an eventfd of the caller's; each interrupt adds 1 to it.
 */
int mmio_new(struct loop *l, struct virtio_dev *dev,
             const struct guest_mem *mem, int irq_fd, struct mmio **ret,
             struct err *err);

/* Only when no vCPU can call any more and the loop has stopped. */
void mmio_free(struct mmio *m); /* NULL is fine */

/* The eventfd of queue @q < dev->ops->nqueues, the transport's to close. */
int mmio_notify_fd(const struct mmio *m, uint16_t q);

/*
 * A guest's access of @len bytes (1, 2, 4 or 8) at @off < MMIO_SIZE, any
 * thread. Reads that make no sense give zeros, writes are ignored.
 */
void mmio_read(struct mmio *m, uint64_t off, void *data, uint32_t len);
void mmio_write(struct mmio *m, uint64_t off, const void *data, uint32_t len);

/*
 * In the loop's thread: do now what a vCPU waits for. For a caller that keeps
 * the loop from running while it waits for vCPUs (pause, tear down): without
 * it each would wait for the other.
 */
void mmio_settle(struct mmio *m);

#endif
