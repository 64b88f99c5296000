/*
 * doctor.h - the findings about this host, one function a concern. The list
 * of checks, in the order in which they are shown, is in doctor.c.
 */
#ifndef LIB_DOCTOR_H
#define LIB_DOCTOR_H

#include <stdbool.h>

#include "base/err.h"
#include "microsandbox.h"

#define DOCTOR_CHECKS_MAX 24

struct msb_report {
	struct msb_check checks[DOCTOR_CHECKS_MAX]; /* strings are owned */
	size_t n;
	const char *home_path; /* during the run only */
};

/* Add one finding. */
void doctor_add(struct msb_report *r, const char *name,
                enum msb_check_status status, const char *fix, const char *fmt,
                ...) __attribute__((format(printf, 5, 6)));

/* Add @err as a finding. */
void doctor_add_err(struct msb_report *r, const char *name,
                    enum msb_check_status status, const struct err *err);

/* doctor_host.c: what the machine offers. */
void doctor_qemu(struct msb_report *r);
void doctor_kvm(struct msb_report *r);
void doctor_memory(struct msb_report *r);
void doctor_mke2fs(struct msb_report *r);

/* The parts that a test can feed: */

/* "QEMU emulator version 7.2.22 (Debian ...)"; false when it is not that. */
bool doctor_qemu_version(const char *text, unsigned *ret_major,
                         unsigned *ret_minor);

struct doctor_kvm_facts {
	bool vmx, svm;   /* in /proc/cpuinfo's flags */
	bool hypervisor; /* this is a virtual machine itself */
	int open_errno;  /* of /dev/kvm; 0: it opens */
};
void doctor_kvm_explain(struct msb_report *r,
                        const struct doctor_kvm_facts *facts);

#endif
