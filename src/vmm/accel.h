/*
 * accel.h - how the qemu engine runs guest code: by KVM or by emulation.
 *
 * "auto" takes KVM only where it is hardware virtualization: a vmx or svm flag
 * and a /dev/kvm that answers. A /dev/kvm without the flag is a para-virtual
 * one, on which QEMU's x86 guests do not run reliably.
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

/* 0 when @kvm (a path) opens and speaks the stable KVM interface. */
int accel_kvm_usable(const char *kvm, struct err *err);

/* Decide between TCG and KVM; asking for KVM where there is none fails. */
int accel_resolve(enum accel asked, enum accel *ret, struct err *err);

#endif
