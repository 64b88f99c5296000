/* hook.h - what a test build of jail.c calls. See hook.c. */
#ifndef TESTS_ESCAPE_HOOK_H
#define TESTS_ESCAPE_HOOK_H

#include "vmm/jail.h"

/* To see what the other walls hold alone. */
extern _Thread_local bool escape_without_filter;

void escape_hook(enum jail_thread_kind kind);

#endif
