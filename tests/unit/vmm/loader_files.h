/*
 * loader_files.h - kernels of a few KiB for the loader's tests, in memory
 * files, and a machine's memory to load them into.
 *
 * The ELF: two segments and a note segment, offsets as below. The bzImage:
 * four sectors of setup, then KERNEL_LEN bytes.
 */
#ifndef TEST_VMM_LOADER_FILES_H
#define TEST_VMM_LOADER_FILES_H

#include "lib/test.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"
#include "vmm/kvm/loader.h"

#define RAM_LEN (64 * MIB)

/* ---- a machine's memory ---- */

struct ram {
	uint8_t *p;
	struct guest_mem mem;
};

static inline uint8_t *ram_map(uint64_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static inline struct ram ram_new(uint64_t len)
{
	struct ram r = {.p = ram_map(len)};

	assert_int_equal(guest_mem_add(&r.mem, 0, len, 0, r.p), 0);
	return r;
}

static inline void ram_free(struct ram *r)
{
	assert_int_equal(munmap(r->p, r->mem.region[0].len), 0);
}

static inline uint32_t ram32(const struct ram *r, uint64_t gpa)
{
	return get_le32(r->p + gpa);
}

static inline uint64_t ram64(const struct ram *r, uint64_t gpa)
{
	return get_le64(r->p + gpa);
}

/* ---- files ---- */

static inline int file_of(const void *data, size_t len)
{
	int fd = memfd_create("kernel", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	return fd;
}

/* No two of its 8-byte words are alike. */
static inline void fill(uint8_t *p, size_t len, uint64_t seed)
{
	for (size_t i = 0; i + 8 <= len; i += 8)
		put_le64(p + i, (seed << 32) + i + 1);
}

#define ELF_LEN   0x6000u
#define TEXT_OFF  0x1000u
#define TEXT_LEN  0x2345u
#define TEXT_GPA  0x100000u
#define DATA_OFF  0x4000u
#define DATA_LEN  0x0801u
#define DATA_GPA  0x104000u
#define DATA_ROOM 0x3000u
#define NOTE_OFF  0x5000u
#define ENTRY_64  (TEXT_GPA + 0x10)
#define ENTRY_PVH (TEXT_GPA + 0x20)

/* Where a field lies in the file; segments 0 and 1, notes 2. */
#define EHDR(field)    offsetof(Elf64_Ehdr, field)
#define PHDR(i, field) (64 + (i)*56 + offsetof(Elf64_Phdr, field))

#define NOTE_LEN(name, desc)                                                   \
	(12u + ((name) + 3u) / 4 * 4 + ((desc) + 3u) / 4 * 4)
#define NOTE_GNU    NOTE_OFF
#define NOTE_XEN    (NOTE_GNU + NOTE_LEN(4, 20))
#define NOTES_BYTES (NOTE_LEN(4, 20) + NOTE_LEN(4, 8))

static inline size_t put_note(uint8_t *p, const char *name, uint32_t type,
                              const void *desc, uint32_t len)
{
	uint32_t name_len = (uint32_t)strlen(name) + 1;

	put_le32(p, name_len);
	put_le32(p + 4, len);
	put_le32(p + 8, type);
	memcpy(p + 12, name, name_len);
	memcpy(p + 12 + num_align_up(name_len, 4), desc, len);
	return NOTE_LEN(name_len, len);
}

static inline void elf_build(uint8_t *f)
{
	static const uint8_t id[20] = {0};
	const uint8_t entry[8] = {ENTRY_PVH & 0xff, ENTRY_PVH >> 8 & 0xff,
	                          ENTRY_PVH >> 16};
	const Elf64_Ehdr h = {
		.e_ident = {0x7f, 'E', 'L', 'F', 2, 1, 1},
		.e_type = 2,
		.e_machine = 62,
		.e_version = 1,
		.e_entry = ENTRY_64,
		.e_phoff = 64,
		.e_ehsize = 64,
		.e_phentsize = 56,
		.e_phnum = 3
        };
	const Elf64_Phdr p[] = {
		{.p_type = PT_LOAD,
	         .p_flags = PF_R | PF_X,
	         .p_offset = TEXT_OFF,
	         .p_paddr = TEXT_GPA,
	         .p_filesz = TEXT_LEN,
	         .p_memsz = TEXT_LEN},
		{.p_type = PT_LOAD,
	         .p_flags = PF_R | PF_W,
	         .p_offset = DATA_OFF,
	         .p_paddr = DATA_GPA,
	         .p_filesz = DATA_LEN,
	         .p_memsz = DATA_ROOM},
		{.p_type = PT_NOTE,
	         .p_offset = NOTE_OFF,
	         .p_filesz = NOTES_BYTES,
	         .p_align = 4},
	};

	memset(f, 0, ELF_LEN);
	memcpy(f, &h, sizeof(h));
	memcpy(f + 64, p, sizeof(p));
	/* The rest of the pages is not zero in the file. */
	fill(f + TEXT_OFF, 0x3000, 1);
	fill(f + DATA_OFF, 0x1000, 2);
	(void)put_note(f + NOTE_GNU, "GNU", 3, id, sizeof(id));
	(void)put_note(f + NOTE_XEN, "Xen", 18, entry, sizeof(entry));
}

#define KERNEL_OFF (5 * 512u)
#define KERNEL_LEN 0x3000u
#define BZ_LEN     (KERNEL_OFF + KERNEL_LEN)
#define BZ_GPA     0x1000000u
#define BZ_ROOM    0x800000u

static inline void bz_build(uint8_t *f)
{
	memset(f, 0, BZ_LEN);
	f[0x1f1] = 4;
	put_le32(f + 0x1f4, KERNEL_LEN / 16);
	put_le16(f + 0x1fe, 0xaa55);
	put_le16(f + 0x200, 0x6aeb); /* jump over the header: 0x202 + 0x6a */
	memcpy(f + 0x202, "HdrS", 4);
	put_le16(f + 0x206, 0x20f);
	f[0x211] = 1;
	put_le32(f + 0x22c, 0x7fffffff);
	put_le32(f + 0x230, 0x200000);
	f[0x234] = 1;
	put_le16(f + 0x236, 1);
	put_le32(f + 0x238, 2047);
	put_le64(f + 0x250, 0xdeadbeef); /* the loader's: not to be handed on */
	put_le64(f + 0x258, BZ_GPA);
	put_le32(f + 0x260, BZ_ROOM);
	fill(f + KERNEL_OFF, KERNEL_LEN, 3);
}

/* One field of a file overwritten. */
struct patch {
	const char *name;
	uint32_t at, len;
	uint64_t value;
	int want;         /* what loader_load() says then */
	const char *word; /* and why */
	enum loader_want entry;
};

static inline void apply(uint8_t *f, const struct patch *p)
{
	uint8_t bytes[8];

	put_le64(bytes, p->value);
	memcpy(f + p->at, bytes, p->len);
}

/* Load @len bytes of @file; 0 or what went wrong. */
static inline int load_bytes(struct ram *r, const void *file, size_t len,
                             enum loader_want want, struct loader_start *s,
                             struct err *err)
{
	int fd = file_of(file, len);
	const struct loader_image img = {.kernel_fd = fd,
	                                 .initramfs_fd = -1,
	                                 .cmdline = "quiet",
	                                 .cpus = 1,
	                                 .want = want};
	int got = loader_load(&r->mem, &img, s, err);

	assert_int_equal(close(fd), 0);
	return got;
}

static inline void refused(const void *file, size_t len, const struct patch *p)
{
	struct ram r = ram_new(RAM_LEN);
	struct loader_start s = {0};
	struct err err = {0};
	int got = load_bytes(&r, file, len, p->entry, &s, &err);

	if (got != p->want || !strstr(err.msg, p->word))
		fail_msg("%s: %d, %s", p->name, got, err.msg);
	/* Nothing was written. */
	assert_int_equal(ram64(&r, LOADER_GDT + 8), 0);
	assert_int_equal(ram64(&r, TEXT_GPA), 0);
	assert_int_equal(s.rip, 0);
	ram_free(&r);
}

#endif
