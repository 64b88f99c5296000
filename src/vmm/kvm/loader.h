/*
 * loader.h - put a Linux kernel (or any 64-bit ELF) into guest memory and say
 * with which registers its first processor starts.
 *
 * Three ways in, tried in this order: an ELF with a PVH note starts in 32-bit
 * protected mode (Xen's x86 HVM direct boot ABI), an ELF without one at its
 * 64-bit entry (Documentation/arch/x86/boot.rst), a bzImage at its 64-bit
 * entry. The kernel file is as hostile as an image: whoever names it may have
 * built it.
 *
 *	0x00500  GDT                       0x20000  command line
 *	0x06000  hvm_start_info, modules   0x9fc00  MP table (EBDA)
 *	0x07000  boot_params / memory map  0x100000 kernel (by its p_paddr)
 *	0x08ff0  stack                     top      initramfs, page-aligned
 *	0x09000  PML4, PDPT, PD (64-bit entry only)
 *
 * The GDT is 32 bytes: empty, code (0x08), data (0x10), task state (0x18, limit
 * 0x67); code is a 64-bit segment for the 64-bit entry and a flat 32-bit one
 * for PVH. The page tables map the first GiB at its own addresses; a kernel
 * that starts at a 64-bit entry must lie within it, for PVH all memory below
 * LOADER_HOLE will do.
 */
#ifndef VMM_KVM_LOADER_H
#define VMM_KVM_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "virtio/mem.h"

#define LOADER_GDT          0x500u
#define LOADER_PVH_INFO     0x6000u
#define LOADER_PARAMS       0x7000u /* or the PVH memory map */
#define LOADER_STACK        0x8ff0u
#define LOADER_PML4         0x9000u
#define LOADER_CMDLINE      0x20000u
#define LOADER_CMDLINE_SIZE 2048u /* Linux' COMMAND_LINE_SIZE, NUL included */
#define LOADER_MPTABLE      0x9fc00u
#define LOADER_HIMEM        0x100000u
#define LOADER_HOLE         0xd0000000ull /* below 4 GiB: RAM ends, devices begin */
#define LOADER_HOLE_END     0x100000000ull

/* APIC ids have 8 bits, and 255 stands for all processors. */
#define LOADER_CPUS_MAX 254u

enum loader_entry {
	/* protected mode, paging off, rbx = LOADER_PVH_INFO */
	LOADER_ENTRY_PVH,
	/* long mode, identity map, rsi = LOADER_PARAMS */
	LOADER_ENTRY_64,
};

/* Which way to take when the file offers several. */
enum loader_want {
	LOADER_WANT_ANY,
	LOADER_WANT_PVH,
	LOADER_WANT_64,
};

struct loader_image {
	int kernel_fd;
	int initramfs_fd; /* -1: none */
	const char *cmdline;
	uint32_t cpus; /* 1 to LOADER_CPUS_MAX; for the MP table */
	enum loader_want want;
	/*
	 * A wish: map what an ELF does not want to be written (code and
	 * constants) privately over the guest's memory instead of reading it.
	 * Its clean pages are the page cache's, one copy for all machines;
	 * data, and the part that Linux gives back after boot, are read, so
	 * that a page that is discarded there comes back as zeros.
	 *
	 * Who cuts a mapped file short takes the pages away: the guest faults,
	 * and a device that looks there gets SIGBUS. So only a file is mapped
	 * that nobody but root and this user may write to, or that is sealed
	 * against it: who can still harm us then could end this process
	 * anyway. It is the same with every shared library. Others are read.
	 */
	bool map_kernel;
};

struct loader_start {
	enum loader_entry entry;
	uint64_t rip;
};

/*
 * @mem is the guest's RAM: [0, min(size, LOADER_HOLE)) and, above that, from
 * LOADER_HOLE_END on; fresh, so zeros. -ENOEXEC when the file is no kernel that
 * can be started, -E2BIG when something does not fit into memory, -EINVAL when
 * the initramfs is empty or no file or @cpus is out of range, -EIO. Memory is
 * written only after all but reading can no longer fail.
 */
int loader_load(const struct guest_mem *mem, const struct loader_image *img,
                struct loader_start *ret, struct err *err);

/*
 * Write the MP table (Intel MultiProcessor Specification 1.4) for @cpus, whose
 * APIC ids count from 0; the interrupt controller's id is @cpus, and its pin i
 * is interrupt i. loader_load() has done so. -EINVAL, -EFAULT.
 */
int loader_mptable(const struct guest_mem *mem, uint32_t cpus);

#endif
