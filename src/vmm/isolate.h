/*
 * isolate.h - what msb-vmm gives up, in stages, each with its reason.
 *
 * What its engine's child gives up is in child.c. Namespaces, Landlock and
 * seccomp for this process come with the jail (issue 3).
 */
#ifndef VMM_ISOLATE_H
#define VMM_ISOLATE_H

#include "base/err.h"

/* First thing in main(), before anything from outside is read. */
int isolate_early(struct err *err);

#endif
