/* hello.c - what a kernel learns first: command line, memory, processor. */
#include "guest.h"

#define MIB (1ull << 20)

static uint8_t zeros[64 * 1024];
static uint64_t data = 0x1122334455667788;

static void loaded(void)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < sizeof(zeros); i += 61)
		sum |= zeros[i];
	EQUAL("bss is zero", sum, 0);
	EQUAL("data is there", data, 0x1122334455667788);
	data++;
	EQUAL("data can be written", data, 0x1122334455667789);
}

/* Ranges ascend and do not overlap; their sum is what the host gave. */
static void memory(void)
{
	uint64_t usable = 0, last = 0, before_it = 0;
	bool sorted = true;

	for (uint32_t i = 0; i < boot.nmap; i++) {
		const struct mem_range *r = &boot.map[i];

		say("range 0x%lx 0x%lx type %u", r->addr, r->size, r->type);
		sorted = sorted && r->addr >= last;
		last = r->addr + r->size;
		if (r->type == 1) {
			usable += r->size;
			before_it = last;
		}
	}
	CHECK("memory map is sorted", sorted && boot.nmap);
	CHECK("all memory is in the map",
	      usable > (boot_number("mib", 0) - 1) * MIB &&
	              usable <= boot_number("mib", 0) * MIB);
	*(volatile uint64_t *)(before_it - 8) = data;
	EQUAL("last word of memory", read64(before_it - 8), data);
	EQUAL("MP table is not in usable memory",
	      boot.map[0].addr + boot.map[0].size <= 0x9fc00, true);
}

/* Past the end there is nothing: ones, and writes are lost. */
static void hole(void)
{
	uint64_t end = ram_end();

	if (end >= 0xd0000000)
		return;
	EQUAL("behind memory", read64(end), ~0ull);
	write64(end, 0);
	EQUAL("behind memory, written", read64(end), ~0ull);
}

static void processor(void)
{
	const struct cpuid c1 = cpuid(1, 0), hv = cpuid(0x40000000, 0);

	say("cpuid max 0x%x, 1: 0x%x 0x%x 0x%x 0x%x", cpuid(0, 0).eax, c1.eax,
	    c1.ebx, c1.ecx, c1.edx);
	say("hypervisor 0x%x", hv.ebx);
	CHECK("hypervisor bit", c1.ecx >> 31);
	EQUAL("initial APIC id", c1.ebx >> 24, 0);
	EQUAL("no VMX", c1.ecx >> 5 & 1, 0);
	EQUAL("no SVM", cpuid(0x80000001, 0).ecx >> 2 & 1, 0);
	CHECK("TSC runs", rdtsc() < rdtsc());
}

static void initramfs(void)
{
	const char *p = (const char *)boot.initramfs;

	say("initramfs 0x%lx %lu", boot.initramfs, boot.initramfs_size);
	if (!boot_word("initramfs"))
		return;
	EQUAL("initramfs' length", boot.initramfs_size,
	      boot_number("initramfs", 0));
	EQUAL("initramfs is aligned", boot.initramfs % PAGE, 0);
	CHECK("initramfs' first word", starts_with(p, "first"));
	CHECK("initramfs' last word",
	      starts_with(p + boot.initramfs_size - 4, "last"));
}

void guest_main(void)
{
	say("entry %s", boot.pvh ? "pvh" : "linux");
	say("command line \"%s\"", boot.cmdline);
	CHECK("entry", boot_is("entry", boot.pvh ? "pvh" : "linux") ||
	                       !boot_word("entry"));
	loaded();
	memory();
	hole();
	processor();
	initramfs();
}
