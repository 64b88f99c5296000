/*
 * jail_filter.h - system call filters, made at build time by jail_rules.c and
 * put on at run time by jail_seccomp.c.
 *
 * The sanitizers' runtime makes calls of its own at any moment: in such a
 * build no filter is put on, and jail_filter_load() says so by -EOPNOTSUPP.
 */
#ifndef VMM_JAIL_FILTER_H
#define VMM_JAIL_FILTER_H

#include "vmm/jail.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define JAIL_NO_FILTERS
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define JAIL_NO_FILTERS
#endif

/* In place of values that only the run knows: these words of the filter. */
#define JAIL_PID     0x5a5a0001u
#define JAIL_PROGRAM 0x5a5a00025a5a0003ull

enum jail_filter {
	JAIL_FILTER_MAIN = JAIL_MAIN,
	JAIL_FILTER_BLOCK = JAIL_BLOCK,
	JAIL_FILTER_SMALL = JAIL_SMALL,
	JAIL_FILTER_VCPU = JAIL_VCPU,
	JAIL_FILTER_FS = JAIL_FS,
	JAIL_FILTER_NET = JAIL_NET,
	JAIL_FILTER_SOCKETS = JAIL_SOCKETS,
	JAIL_FILTER_QEMU,
};

/*
 * Put it on the calling thread, for good; no_new_privs must be set. @program
 * is the one pointer that execve() may get, NULL: none. @ret_listener, unless
 * NULL, gets the descriptor at which calls ask that the list leaves to others
 * (seccomp_unotify(2)). Async-signal-safe.
 */
int jail_filter_load(enum jail_filter which, const char *program,
                     int *ret_listener);

/* From now on what a filter stops is told in the log; then the process ends. */
int jail_filter_report(void);

#endif
