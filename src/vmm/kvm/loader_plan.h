/*
 * loader_plan.h - what is inside the loader: a format's parser turns the
 * kernel file into a plan, loader.c checks the plan as a whole and carries it
 * out. A parser writes nothing; the plan's numbers are the file's until
 * loader.c has checked them.
 */
#ifndef VMM_KVM_LOADER_PLAN_H
#define VMM_KVM_LOADER_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "virtio/mem.h"
#include "vmm/kvm/loader.h"

/* A regular file that somebody named; its size as fstat() told it. */
struct loader_file {
	int fd;
	uint64_t size;
	const char *name; /* "kernel", for messages */
};

/* Linux has five; more than this is no kernel. */
#define LOADER_PIECES_MAX 32

/* The setup header of a bzImage ends at the latest where EDD data begins. */
#define SETUP_HEADER     0x1f1u
#define SETUP_HEADER_MAX (0x290u - SETUP_HEADER)

/* @len bytes of the file go to @gpa; @room bytes there are the kernel's. */
struct loader_piece {
	uint64_t offset, len;
	uint64_t gpa, room;
	bool read_only; /* the file does not want it to be written */
};

struct loader_plan {
	struct loader_piece pieces[LOADER_PIECES_MAX];
	uint32_t n;
	struct loader_start start;
	uint64_t initramfs_end; /* it must end here at the latest */
	uint32_t cmdline_max;   /* without the NUL */
	/* Of a bzImage, as it stands in the file; an ELF has none. */
	uint8_t setup[SETUP_HEADER_MAX];
	uint32_t setup_len;
};

/* One line of the map of memory; types are those of e820. */
#define MEMMAP_RAM      1u
#define MEMMAP_RESERVED 2u
#define MEMMAP_MAX      (GUEST_MEM_MAX + 2)

struct memmap_entry {
	uint64_t addr, size;
	uint32_t type;
};

/* What the kernel is told through the tables of its entry. */
struct loader_boot {
	uint64_t kernel_gpa;
	uint64_t initramfs_gpa, initramfs_len; /* 0, 0: none */
	uint32_t cmdline_len;                  /* without the NUL */
	struct memmap_entry memmap[MEMMAP_MAX];
	uint32_t nmemmap;
};

/* ---- loader_file.c ---- */

/* -@code unless it is a regular file that has bytes. */
int loader_file_open(int fd, const char *name, int code,
                     struct loader_file *ret, struct err *err);

/* Exactly @len bytes, or -EIO. The caller has compared with the size. */
int loader_file_read(const struct loader_file *f, uint64_t offset, void *data,
                     uint64_t len, struct err *err);

/* Is [@offset, @offset + @len) inside the file? */
bool loader_file_has(const struct loader_file *f, uint64_t offset,
                     uint64_t len);

/* May it be mapped? See map_kernel in loader.h. */
bool loader_file_is_steady(const struct loader_file *f);

/*
 * The same bytes as loader_file_read(), but whole pages are mapped privately
 * over @host where both sides are at the same place within a page.
 */
int loader_file_map(const struct loader_file *f, uint64_t offset, void *host,
                    uint64_t len, struct err *err);

/* ---- one file each ---- */

bool elf_is(const struct loader_file *f);
int elf_plan(const struct loader_file *f, enum loader_want want,
             struct loader_plan *plan, struct err *err);

bool bzimage_is(const struct loader_file *f);
int bzimage_plan(const struct loader_file *f, enum loader_want want,
                 struct loader_plan *plan, struct err *err);

/* Write the tables of an entry; -EFAULT if the memory is not there. */
int pvh_write(const struct guest_mem *mem, const struct loader_boot *b);
int zero_page_write(const struct guest_mem *mem, const struct loader_plan *plan,
                    const struct loader_boot *b);

#endif
