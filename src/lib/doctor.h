/*
 * doctor.h - the findings about this host, one function a concern. The list
 * of checks, in the order in which they are shown, is in doctor.c.
 *
 * What is found out and what is said about it are apart: the explain
 * functions get facts, which a test can make up.
 */
#ifndef LIB_DOCTOR_H
#define LIB_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/virt.h"
#include "microsandbox.h"

#define DOCTOR_CHECKS_MAX 32

struct msb_report {
	struct msb_check checks[DOCTOR_CHECKS_MAX]; /* strings are owned */
	size_t n;
	/* During the run only: */
	const char *home_path;
	bool kvm_real, qemu_works; /* what earlier checks found */
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
void doctor_memory(struct msb_report *r);
void doctor_mke2fs(struct msb_report *r);

/* "QEMU emulator version 7.2.22 (Debian ...)"; false when it is not that. */
bool doctor_qemu_version(const char *text, unsigned *ret_major,
                         unsigned *ret_minor);

/* doctor_kvm.c: the processor's virtualization, and what engine follows. */
void doctor_kvm(struct msb_report *r);
void doctor_engine(struct msb_report *r);

struct doctor_kvm_facts {
	struct virt virt;
	bool amd;       /* which module is meant: kvm_amd or kvm_intel */
	bool loaded;    /* that module is */
	bool pvm;       /* a module that emulates KVM is */
	bool container; /* we are in one */
	char nested;    /* the module's parameter: 'Y', 'N', 0: unknown */
	char paging;    /* ept or npt, the same */
	uint32_t mode;  /* of /dev/kvm */
	char group[32]; /* its group's name; "" when not known */
	bool may_join;  /* the user database has us in it, this session not */
};
void doctor_kvm_explain(struct msb_report *r,
                        const struct doctor_kvm_facts *facts);

/* @chosen: enum msb_engine, as environment and config.json have it. */
void doctor_engine_explain(struct msb_report *r, int32_t chosen);

/* doctor_jail.c: the walls that this host allows around a machine. */
void doctor_jail(struct msb_report *r);

struct doctor_jail_facts {
	int userns;   /* 0: a user may make namespaces; else -errno */
	int landlock; /* the ABI's number; 0: none */
	int seccomp;  /* 0, else -errno */
	/* Switches; -1: not there. */
	int64_t userns_clone, max_userns, apparmor_userns;
};
void doctor_jail_explain(struct msb_report *r,
                         const struct doctor_jail_facts *facts);

/* doctor_net.c: what sandboxes can have of this host's network. */
void doctor_net(struct msb_report *r);

struct doctor_net_facts {
	int route4, route6;  /* 0: there is one to the internet; -errno */
	int ping;            /* 0: this user may open ping sockets; -errno */
	const char *servers; /* of resolv.conf */
};
void doctor_net_explain(struct msb_report *r,
                        const struct doctor_net_facts *facts);

/* doctor_tls.c: what secrets need. */
struct doctor_tls_facts {
	bool program;        /* msb-tls is there */
	uint64_t locked_max; /* bytes of memory that a process may lock */
};
void doctor_tls(struct msb_report *r);
void doctor_tls_explain(struct msb_report *r, const struct doctor_tls_facts *f);

#endif
