/*
 * jail_landlock.h - the wall where the host allows no user namespaces: no file
 * but what the engine's program is made of, no TCP, no abstract sockets and
 * signals to the outside, as far as the kernel's Landlock knows them.
 */
#ifndef VMM_JAIL_LANDLOCK_H
#define VMM_JAIL_LANDLOCK_H

#include "vmm/jail.h"

/*
 * Hold this thread and all that it starts: nothing is allowed but @needs'
 * program (none: NULL). May be called again, each time only less is left.
 * -EOPNOTSUPP where the kernel has no Landlock.
 */
int jail_landlock(const struct jail_needs *needs);

/*
 * Hold this thread, whose work is the host's network: no file, no abstract
 * socket, no signal to others. -EOPNOTSUPP as above.
 */
int jail_landlock_net(void);

#endif
