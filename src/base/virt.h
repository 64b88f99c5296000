/*
 * virt.h - whether this host's processor can run machines.
 *
 * A /dev/kvm alone does not say so. Hosts without hardware virtualization can
 * have one too (KVM emulated by a para-virtual module, as on cloud machines
 * without nested virtualization); it answers every ioctl, but a whole Linux
 * does not run on it reliably. So KVM counts as real only when the processor
 * shows vmx or svm besides. The engine's choice, doctor and the hints of
 * errors all ask here, so that they cannot disagree.
 */
#ifndef BASE_VIRT_H
#define BASE_VIRT_H

#include <stdbool.h>

#include "base/err.h"

#define VIRT_CPUINFO "/proc/cpuinfo"
#define VIRT_KVM     "/dev/kvm"

struct virt {
	bool vmx, svm;   /* flags of the first processor */
	bool hypervisor; /* this is a virtual machine itself */
	/*
	 * Why KVM cannot be used: of opening it read-write; ENOTTY: it is
	 * something else; EOPNOTSUPP: it lacks what @missing says.
	 */
	int kvm_errno;
	const char *missing;
};

/* Look at these two paths: VIRT_CPUINFO and VIRT_KVM but in tests. */
void virt_probe(const char *cpuinfo, const char *kvm, struct virt *ret);

/*
 * 0 where hardware virtualization is real and usable; else why not, and what
 * to do, in one sentence each.
 */
int virt_check(const struct virt *v, struct err *err);

/* KVM answers, but the processor has no virtualization for it to use. */
bool virt_is_emulated(const struct virt *v);

/*
 * Open KVM and see that it has the version and all capabilities that our
 * engine uses. A descriptor or a negative errno, as in struct virt.
 */
int virt_kvm_open(const char *kvm, struct err *err);

#endif
