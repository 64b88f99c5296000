/*
 * kvm.h - the virtual machine as Linux' KVM gives it: descriptors, guest
 * memory, interrupt controllers, eventfds (Documentation/virt/kvm/api.rst).
 *
 * Order matters: memory slots before interrupt controllers (after them each
 * slot waits 5 to 11 ms for a grace period of the host's kernel), interrupt
 * controllers before processors. kvm_vm_new() keeps it.
 */
#ifndef VMM_KVM_KVM_H
#define VMM_KVM_KVM_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "virtio/mem.h"

struct kvm_vm {
	int kvm_fd; /* /dev/kvm, borrowed */
	int fd;
	size_t run_len; /* bytes of a processor's struct kvm_run mapping */
	struct guest_mem mem;
	void *ram; /* whole mapping, guard pages included */
	size_t ram_len;
	uint64_t ioctl_ns; /* spent inside KVM's ioctls so far */
};

#define KVM_VM_INIT                                                            \
	{                                                                      \
		.kvm_fd = -1, .fd = -1                                         \
	}

/* A machine with @bytes of fresh memory and interrupt controllers. */
int kvm_vm_new(int kvm_fd, uint64_t bytes, struct kvm_vm *ret, struct err *err);
void kvm_vm_release(struct kvm_vm *vm); /* takes 8 to 24 ms: not in a hurry */

/* ioctl() that is counted in vm->ioctl_ns; 0 or more, or a negative errno. */
int kvm_call(struct kvm_vm *vm, int fd, unsigned long request, void *arg);

/* Writing 1 to @eventfd pulses interrupt line @gsi. */
int kvm_irqfd(struct kvm_vm *vm, int eventfd, uint32_t gsi);

/* A 4-byte write of @value at @gpa adds 1 to @eventfd and does not exit. */
int kvm_ioeventfd(struct kvm_vm *vm, int eventfd, uint64_t gpa, uint32_t value);

#endif
