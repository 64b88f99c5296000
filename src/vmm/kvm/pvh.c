/*
 * The tables of the PVH entry (Xen, "x86/HVM direct boot ABI"): one structure
 * that points to the command line, the list of modules, of which the initramfs
 * is the only one, and the map of memory.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "vmm/kvm/loader_plan.h"

#include "base/banned.h"

#define START_MAGIC   0x336ec578u
#define START_VERSION 1u /* the first that has a map of memory */
#define MODULES       (LOADER_PVH_INFO + 0x40u)

struct start_info {
	uint32_t magic, version, flags, nmodules;
	uint64_t modules, cmdline, rsdp, memmap;
	uint32_t nmemmap, reserved;
};

struct module {
	uint64_t addr, size, cmdline, reserved;
};

struct map_line {
	uint64_t addr, size;
	uint32_t type, reserved;
};

static_assert(sizeof(struct start_info) == 56, "Xen's layout");
static_assert(sizeof(struct module) == 32, "Xen's layout");
static_assert(sizeof(struct map_line) == 24, "Xen's layout");

static int write_memmap(const struct guest_mem *mem,
                        const struct loader_boot *b)
{
	size_t len = b->nmemmap * sizeof(struct map_line);
	struct map_line *line = guest_mem_at(mem, LOADER_PARAMS, len);

	if (!line)
		return -EFAULT;
	for (uint32_t i = 0; i < b->nmemmap; i++)
		line[i] = (struct map_line){.addr = b->memmap[i].addr,
		                            .size = b->memmap[i].size,
		                            .type = b->memmap[i].type};
	return 0;
}

int pvh_write(const struct guest_mem *mem, const struct loader_boot *b)
{
	struct start_info *s = guest_mem_at(mem, LOADER_PVH_INFO, sizeof(*s));
	struct module *m = guest_mem_at(mem, MODULES, sizeof(*m));

	if (!s || !m)
		return -EFAULT;
	*s = (struct start_info){.magic = START_MAGIC,
	                         .version = START_VERSION,
	                         .cmdline = LOADER_CMDLINE,
	                         .memmap = LOADER_PARAMS,
	                         .nmemmap = b->nmemmap};
	if (b->initramfs_len) {
		*m = (struct module){.addr = b->initramfs_gpa,
		                     .size = b->initramfs_len};
		s->modules = MODULES;
		s->nmodules = 1;
	}
	return write_memmap(mem, b);
}
