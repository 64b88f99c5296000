/*
 * accel.h - how the qemu engine runs guest code: by KVM or by emulation.
 *
 * This is the qemu engine's own matter: the kvm engine always runs on KVM.
 * "auto" takes KVM only where it is hardware virtualization (base/virt.h).
 */
#ifndef VMM_ACCEL_H
#define VMM_ACCEL_H

#include "base/err.h"

enum accel { ACCEL_AUTO, ACCEL_TCG, ACCEL_KVM };

/* "auto", "tcg", "kvm", NULL: by the enum's value. */
extern const char *const accel_names[];

/* 0 where hardware virtualization is real: what "auto" asks of KVM. */
int accel_hardware(struct err *err);

/* Decide between TCG and KVM; asking for KVM where there is none fails. */
int accel_resolve(enum accel asked, enum accel *ret, struct err *err);

#endif
