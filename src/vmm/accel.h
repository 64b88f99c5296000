/*
 * accel.h - how the qemu engine runs guest code: by KVM or by emulation.
 *
 * This is the qemu engine's own matter: the kvm engine always runs on KVM.
 * "auto" takes KVM only where it is hardware virtualization (base/virt.h).
 */
#ifndef VMM_ACCEL_H
#define VMM_ACCEL_H

#include <stdbool.h>

#include "base/err.h"

enum accel { ACCEL_AUTO, ACCEL_TCG, ACCEL_KVM };

/* "auto", "tcg", "kvm", NULL: by the enum's value. */
extern const char *const accel_names[];

/* Whether the first processor of @cpuinfo (a path) has vmx or svm. */
bool accel_cpu_has_virt(const char *cpuinfo);

/* 0 when @kvm (a path) opens and has all that machines need. */
int accel_kvm_usable(const char *kvm, struct err *err);

/* 0 where hardware virtualization is real: what "auto" asks of KVM. */
int accel_hardware(struct err *err);

/* Decide between TCG and KVM; asking for KVM where there is none fails. */
int accel_resolve(enum accel asked, enum accel *ret, struct err *err);

#endif
