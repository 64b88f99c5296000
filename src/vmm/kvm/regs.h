/*
 * regs.h - a processor's registers when it starts.
 */
#ifndef VMM_KVM_REGS_H
#define VMM_KVM_REGS_H

#include <stdint.h>

#include "vmm/kvm/cpuid.h"
#include "vmm/kvm/kvm.h"
#include "vmm/kvm/loader.h"

/*
 * Prepare processor @fd with @c, which is patched for it. The first one gets
 * the kernel's @start; the others (NULL) wait for INIT and SIPI as after a
 * reset. Returns 0 or a negative errno, @ret_what then names the step.
 */
int regs_prepare(struct kvm_vm *vm, int fd, struct cpuid *c,
                 const struct loader_start *start, const char **ret_what);

#endif
