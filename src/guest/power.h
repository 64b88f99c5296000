/*
 * power.h - the end of the machine.
 *
 *	power_begin() --SIGTERM--> waiting --idle--> sync, freeze, reboot
 *	                              |
 *	                        time limit: SIGKILL, and wait a little more
 *
 * The machine has no ACPI, so "off" is a reset, which the VMM takes as the
 * end. The upper is frozen instead of unmounted: its journal is then empty and
 * the file system on the disk is whole, whatever still holds files open.
 */
#ifndef GUEST_POWER_H
#define GUEST_POWER_H

#include <stdbool.h>

#include "base/loop.h"

struct power_ops {
	void (*kill_all)(void *arg, int signo); /* every other process */
	void (*end)(int upper_fd); /* does not return in a machine */
	bool (*idle)(void *arg);   /* no process and no session is left */
};

/* Those of a real machine; idle() is the owner's. */
void power_kill_all(void *arg, int signo);
void power_end(int upper_fd);

struct power {
	struct loop *loop;
	const struct power_ops *ops;
	void *arg;
	int upper_fd; /* -1: nothing to keep */
	struct loop_timer timer;
	enum { POWER_ON, POWER_TERM, POWER_KILL, POWER_OFF } state;
};

/* @timeout_ms 0: kill at once. A second call can only shorten the wait. */
void power_begin(struct power *p, uint32_t timeout_ms);

/* The owner calls this whenever a process or a session has ended. */
void power_check(struct power *p);

#endif
