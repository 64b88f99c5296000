/*
 * cpuid.h - what a guest's processor says it is: what KVM can offer, made
 * consistent for @cpus processors of one core each in one package.
 */
#ifndef VMM_KVM_CPUID_H
#define VMM_KVM_CPUID_H

#include <linux/kvm.h>
#include <stdint.h>

#include "base/err.h"
#include "vmm/kvm/kvm.h"

#define CPUID_MAX 256

/* KVM's struct kvm_cpuid2 with room for its entries. */
struct cpuid {
	uint32_t n, padding;
	struct kvm_cpuid_entry2 entries[CPUID_MAX];
};

/* What this host's KVM supports; ask once, patch for each processor. */
int cpuid_supported(struct kvm_vm *vm, struct cpuid *ret, struct err *err);

/* Make @c that of processor @id of @cpus; may be called again for another. */
void cpuid_patch(struct cpuid *c, uint32_t id, uint32_t cpus);

#endif
