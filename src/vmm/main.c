/*
 * msb-vmm NAME - one machine.
 *
 * Started by the library with fixed descriptors: 3 is the control socket, 4
 * the config, more are named by the config. It ends when its machine ends or
 * the library does, and takes the engine with it.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/num.h"
#include "vmm/jail.h"
#include "vmm/vm.h"

#include "base/banned.h"

static int isolate(struct vm *vm, struct err *err)
{
	(void)vm;
	return jail_early(err);
}

/* The whole start, in order. The stage is what VMM_FAILED names. */
static const struct {
	const char *stage;
	int (*run)(struct vm *vm, struct err *err);
} steps[] = {
	{"engine", isolate         },
	{"config", vm_read_config  },
	{"engine", vm_close_others },
	{"engine", vm_open_loop    },
	{"engine", vm_open_journal },
	{"engine", vm_open_control },
	{"engine", vm_pick_engine  },
	{"engine", vm_enter_jail   }, /* no other thread yet */
	{"engine", vm_start_engine }, /* it comes up while we go on */
	{"engine", vm_start_devices},
	{"engine", vm_await_agent  },
	{"engine", vm_run_engine   },
};

int main(void)
{
	static struct vm vm = {.control_fd = VMM_FD_CONTROL,
	                       .signal_fd = -1,
	                       .host = {.kvm_fd = -1},
	                       .serial_fd = -1,
	                       .main_code = KEEP_NO_CODE};
	struct err err = {0};

	log_setup_env("msb-vmm");
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (steps[i].run(&vm, &err) < 0) {
			vm_fail(&vm, steps[i].stage, &err);
			break;
		}
	}
	/* Threads may be at work; there is nothing that exit() should do. */
	_exit(vm_run(&vm));
}
