/*
 * system.h - what an operating system sets once at its start, and the few
 * files that programs expect below /etc.
 */
#ifndef GUEST_SYSTEM_H
#define GUEST_SYSTEM_H

#include <stdint.h>

#include "base/err.h"

int system_set_clock(uint64_t unix_ns, struct err *err);

/* Mix @data into the kernel's generator, credited in full, and re-key it. */
int system_add_entropy(const void *data, uint32_t len, struct err *err);

int system_set_hostname(const char *name, struct err *err);

/* Bring lo up; the kernel adds 127.0.0.1 and ::1 itself. */
int system_loopback_up(struct err *err);

/* Settings below /proc/sys. */
int system_sysctls(struct err *err);

/* Open-file limits of this process; commands get their own (child.c). */
int system_limits(struct err *err);

/*
 * /tmp, the links in /dev, and /etc/hosts, /etc/hostname, /etc/resolv.conf
 * where the image lacks them or has them empty. What the image brings is never
 * changed. Failures are logged only: a machine without them is usable.
 */
void system_files(const char *hostname);

#endif
