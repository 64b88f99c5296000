#include "vmm/engine.h"

#include <errno.h>
#include <sys/sysinfo.h>

#include "base/num.h"

#include "base/banned.h"

static uint64_t host_memory_mib(void)
{
	struct sysinfo si;

	if (sysinfo(&si) < 0)
		return UINT64_MAX;
	return (uint64_t)si.totalram * si.mem_unit / MIB;
}

int engine_check_memory(const struct vmm_config *cfg, struct err *err)
{
	uint64_t host = host_memory_mib();

	if (cfg->memory_mib <= host)
		return 0;
	(void)err_set(err, -ENOMEM,
	              "%u MiB of memory were asked for, this host has %llu MiB",
	              cfg->memory_mib, (unsigned long long)host);
	err_hint(err, ENGINE_MEMORY_HINT);
	return -ENOMEM;
}
