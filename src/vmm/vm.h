/*
 * vm.h - one machine from its start to its end, and what the library hears.
 *
 * Exactly one of VMM_FAILED (it never got ready) and VMM_EXITED (it did) is
 * sent, when the engine is gone; then vm_run() returns. If the library closes
 * the control socket, the engine is killed and nothing is sent, unless somebody
 * said DETACH before: then the machine lives on, and others may join.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "vmm/boot.h"
#include "vmm/clients.h"
#include "vmm/config.h"
#include "vmm/console.h"
#include "vmm/devices.h"
#include "vmm/engine.h"
#include "vmm/journal.h"
#include "vmm/keep.h"
#include "vmm/lifetime.h"
#include "vmm/net_dev.h"
#include "vmm/ping.h"
#include "vmm/relay.h"

enum vm_state {
	VM_STARTING, /* until the agent says READY */
	VM_READY,
	VM_STOPPING,  /* was ready, SHUTDOWN was sent or the engine killed */
	VM_CANCELLED, /* stopped before it was ready */
	VM_ENDED,     /* reported; the loop stops */
};

/* What the host holds for the guest, as far as it was looked at. */
struct vm_memory {
	uint64_t resident, returned;
};

struct vm {
	int control_fd;
	struct loop *loop;
	enum vm_state state;
	struct vmm_config cfg;
	const struct engine_ops *ops;
	struct engine_host host;
	struct engine *engine;
	struct jail_share shares[VMM_SHARES_MAX];
	struct jail_share sockets[VMM_VSOCK_MAX];
	struct jail_paths paths;
	bool sealed;
	struct console console;
	int serial_fd;       /* the machine's end of it */
	struct net_dev *net; /* NULL: no network */
	struct devices devices;
	struct clients clients;
	struct lifetime lifetime;
	struct journal journal;
	struct keep keep;
	struct pings pings;
	struct pings explains; /* VMM_NET_EXPLAIN, the same way */
	bool detached;
	/* Of the end, where they are not the engine's. */
	const char *reason;
	char message[ERR_MSG_MAX];
	int main_code; /* how the main command ended, or KEEP_NO_CODE */
	struct boot boot;
	struct relay relay;
	struct loop_fd signals;
	int signal_fd;
	struct loop_timer deadline;
	bool killed; /* by us, on purpose */
	bool asked;  /* SHUTDOWN was sent */
	uint64_t init_ns, ready_ns;
	struct vm_memory memory;
	int exit_code;
};

/* The steps of a start, in the order of main.c's list. */
int vm_open_loop(struct vm *vm, struct err *err);
int vm_read_config(struct vm *vm, struct err *err);
int vm_open_journal(struct vm *vm, struct err *err);
int vm_open_control(struct vm *vm, struct err *err);
int vm_pick_engine(struct vm *vm, struct err *err);
int vm_close_others(struct vm *vm, struct err *err);
int vm_enter_jail(struct vm *vm, struct err *err);
int vm_start_engine(struct vm *vm, struct err *err);
int vm_start_devices(struct vm *vm, struct err *err);
int vm_await_agent(struct vm *vm, struct err *err);
int vm_run_engine(struct vm *vm, struct err *err);

/* Report that a step failed; ends the engine if there is one. */
void vm_fail(struct vm *vm, const char *stage, const struct err *err);

/* Serve until the machine ended; the exit code of this program. */
int vm_run(struct vm *vm);

#endif
