#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/confine.h"
#include "base/num.h"
#include "vmm/jail_filter.h"

#include "jail_filters.h"

#include "base/banned.h"

#define FILTER_MAX 512 /* instructions; the kernel takes 4096 */

static const struct {
	const char *name;
	const struct sock_filter *code;
	size_t n;
} filters[] = {
	[JAIL_FILTER_MAIN] = {"main",    filter_main,    ARRAY_SIZE(filter_main) },
	[JAIL_FILTER_BLOCK] = {"block",   filter_block,   ARRAY_SIZE(filter_block)},
	[JAIL_FILTER_SMALL] = {"small",   filter_small,   ARRAY_SIZE(filter_small)},
	[JAIL_FILTER_VCPU] = {"vcpu",    filter_vcpu,    ARRAY_SIZE(filter_vcpu) },
	[JAIL_FILTER_FS] = {"fs",      filter_fs,      ARRAY_SIZE(filter_fs)   },
	[JAIL_FILTER_NET] = {"net",     filter_net,     ARRAY_SIZE(filter_net)  },
	[JAIL_FILTER_SOCKETS] = {"sockets", filter_sockets,
                              ARRAY_SIZE(filter_sockets)                         },
	[JAIL_FILTER_QEMU] = {"qemu",    filter_qemu,    ARRAY_SIZE(filter_qemu) },
};

_Static_assert(ARRAY_SIZE(filter_main) <= FILTER_MAX &&
                       ARRAY_SIZE(filter_block) <= FILTER_MAX &&
                       ARRAY_SIZE(filter_small) <= FILTER_MAX &&
                       ARRAY_SIZE(filter_vcpu) <= FILTER_MAX &&
                       ARRAY_SIZE(filter_fs) <= FILTER_MAX &&
                       ARRAY_SIZE(filter_net) <= FILTER_MAX &&
                       ARRAY_SIZE(filter_sockets) <= FILTER_MAX &&
                       ARRAY_SIZE(filter_qemu) <= FILTER_MAX,
               "a filter does not fit into jail_filter_load()'s copy");

/* Put this run's values where the lists have their stand-ins. */
static void fill_in(struct sock_filter *f, const char *program)
{
	uint64_t p = (uintptr_t)program;

	if (BPF_CLASS(f->code) != BPF_JMP)
		return;
	if (f->k == JAIL_PID)
		f->k = (uint32_t)getpid();
	else if (f->k == (uint32_t)(JAIL_PROGRAM >> 32))
		f->k = (uint32_t)(p >> 32);
	else if (f->k == (uint32_t)JAIL_PROGRAM)
		f->k = (uint32_t)p;
}

int jail_filter_load(enum jail_filter which, const char *program,
                     int *ret_listener)
{
	long r;

	struct sock_filter code[FILTER_MAX];
	struct sock_fprog prog = {(unsigned short)filters[which].n, code};

#if defined(JAIL_NO_FILTERS)
	return -EOPNOTSUPP;
#endif
	memcpy(code, filters[which].code, prog.len * sizeof(code[0]));
	for (size_t i = 0; i < prog.len; i++)
		fill_in(&code[i], program);
	confine_name_thread(filters[which].name);
	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	            ret_listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0, &prog);
	if (r < 0)
		return -errno;
	if (ret_listener)
		*ret_listener = (int)r;
	return 0;
}

int jail_filter_report(void)
{
	confine_name_thread("?"); /* until it has a filter of its own */
	return confine_report("msb-vmm: error: the jail stopped");
}
