/*
 * qemu_argv.h - QEMU's command line, from typed values only.
 *
 * What is not named does not exist: -nodefaults and -no-user-config, a
 * microvm without RTC, ACPI, USB and PCI, no monitor, no display, no network
 * of QEMU's own. Every socket is a descriptor by number; the network's
 * has a path that nobody looks up (qemu_sock.h). Nothing that
 * a user typed becomes part of an option that QEMU parses: the kernel's
 * command line is an argument of its own and the name has letters, digits,
 * dot, dash and underscore only (config.c).
 */
#ifndef VMM_QEMU_ARGV_H
#define VMM_QEMU_ARGV_H

#include "base/strv.h"
#include "vmm/accel.h"
#include "vmm/engine.h"
#include "vmm/jail.h"

struct qemu_args {
	const struct vmm_config *cfg;
	enum accel accel; /* not ACCEL_AUTO */
	const struct engine_slot *slots;
	const int *slot_fds; /* QEMU's end of each slot's vhost-user socket,
	                        but for the network's */
	size_t nslots;
	int serial_fd;
	uint32_t tsc_khz;               /* of this host, for TCG; 0: unknown */
	const struct jail_paths *paths; /* where its files are for it */
	bool no_balloon;
};

/* 0, -ENOMEM, -ENODEV (a slot that QEMU has no vhost-user form of). */
int qemu_argv(const struct qemu_args *a, struct strv *ret);

#endif
