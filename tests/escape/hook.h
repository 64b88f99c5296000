/* hook.h - what a test build of jail.c calls. See hook.c. */
#ifndef TESTS_ESCAPE_HOOK_H
#define TESTS_ESCAPE_HOOK_H

#include "vmm/jail.h"

void escape_hook(enum jail_thread_kind kind);

#endif
