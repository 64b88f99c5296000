/*
 * jail_probe.h - what this host has for the jail of a machine's processes, for
 * doctor: the same calls as at a machine's start, without one.
 */
#ifndef LIB_JAIL_PROBE_H
#define LIB_JAIL_PROBE_H

/* 0: this user may have namespaces. Else why not, as -EPERM, -ENOSPC. */
int jail_probe_userns(void);

/* The number of Landlock's ABI, 0: this kernel has none. */
int jail_probe_landlock(void);

/* 0: filters of system calls can be put on. Else why not. */
int jail_probe_seccomp(void);

#endif
