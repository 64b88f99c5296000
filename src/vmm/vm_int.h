/*
 * vm_int.h - what the parts of a machine's life share: vm.c (engine, agent,
 * end), vm_serve.c (what clients ask), vm_start.c (the steps of the start).
 */
#ifndef VMM_VM_INT_H
#define VMM_VM_INT_H

#include "vmm/vm.h"

/* How long SIGTERM, a time limit or the main command's end lets it go down. */
#define VM_TERM_TIMEOUT_MS 5000

/* ---- vm.c ---- */

struct engine_events vm_engine_events(struct vm *vm);
struct boot_events vm_boot_events(struct vm *vm);
void vm_on_panic(void *arg); /* for console_init() */

/* The agent has cfg.boot_timeout_ms from now on. */
void vm_start_deadline(struct vm *vm);

/* After this no file of this host can be opened, and no process started. */
int vm_seal(struct vm *vm, struct err *err);

/* Graceful; 0: kill at once. */
void vm_stop(struct vm *vm, uint32_t timeout_ms);

/* Stop it; @reason is what its end will be called. */
void vm_stop_because(struct vm *vm, const char *reason);

/* At once: a secret's placeholder went where that is the end. */
void vm_end_violated(struct vm *vm, const char *why);

/* The main command is gone and did not say how it ended. */
void vm_lost_main(struct vm *vm);

/* Who it was attached to is gone. */
void vm_abandon(struct vm *vm, const char *why);

/* ---- vm_serve.c ---- */

struct clients_events vm_clients_events(struct vm *vm);
struct keep_events vm_keep_events(struct vm *vm);

void vm_pong(void *arg, uint64_t cookie);

/* Questions that came before the agent was ready. */
void vm_ask_pings(struct vm *vm);

#endif
