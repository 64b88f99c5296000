/* Which kernel files the loader takes, and what it says of the others. */
#include "loader_files.h"

#include <fcntl.h>
#include <stdio.h>

#include "vmm/kvm/loader_plan.h"

/* Rows of the tables: the file's fault, or more than fits. */
#define ENTRY(name, at, len, value, word, entry)                               \
	{                                                                      \
		name, at, len, value, -ENOEXEC, word, entry                    \
	}
#define NO(name, at, len, value, word)                                         \
	ENTRY(name, at, len, value, word, LOADER_WANT_ANY)
#define BIG(name, at, len, value, word)                                        \
	{                                                                      \
		name, at, len, value, -E2BIG, word, LOADER_WANT_ANY            \
	}

static void broken_elf_is_refused(void **state)
{
	static const struct patch patches[] = {
		NO("no magic", 0, 1, 0, "neither an ELF"),
		NO("32 bits", 4, 1, 1, "64-bit x86"),
		NO("big endian", 5, 1, 2, "64-bit x86"),
		NO("version", 6, 1, 0, "64-bit x86"),
		NO("ARM", EHDR(e_machine), 2, 183, "64-bit x86"),
		NO("relocatable", EHDR(e_type), 2, 3, "fixed address"),
		NO("header size", EHDR(e_phentsize), 2, 55, "headers"),
		NO("no headers", EHDR(e_phnum), 2, 0, "headers"),
		NO("33 headers", EHDR(e_phnum), 2, 33, "headers"),
		NO("65535 headers", EHDR(e_phnum), 2, 65535, "headers"),
		NO("headers behind the end", EHDR(e_phoff), 8, ELF_LEN - 167,
	           "before its program headers"),
		NO("headers wrap", EHDR(e_phoff), 8, UINT64_MAX - 100,
	           "before its program headers"),
		NO("segment behind the end", PHDR(0, p_offset), 8,
	           ELF_LEN - TEXT_LEN + 1, "within a segment"),
		NO("segment wraps", PHDR(0, p_offset), 8, UINT64_MAX - 5,
	           "within a segment"),
		NO("file part above all", PHDR(0, p_filesz), 8, UINT64_MAX,
	           "larger than its memory"),
		NO("file part above memory", PHDR(0, p_memsz), 8, TEXT_LEN - 1,
	           "larger than its memory"),
		NO("at 0", PHDR(0, p_paddr), 8, 0, "first MiB"),
		NO("just below 1 MiB", PHDR(0, p_paddr), 8, 0xfffff,
	           "first MiB"),
		NO("address wraps", PHDR(0, p_paddr), 8, UINT64_MAX - 5,
	           "no memory can be"),
		NO("in the hole", PHDR(0, p_paddr), 8, LOADER_HOLE,
	           "no memory can be"),
		NO("above the hole", PHDR(0, p_paddr), 8, LOADER_HOLE_END,
	           "no memory can be"),
		NO("endless memory", PHDR(1, p_memsz), 8, UINT64_MAX,
	           "no memory can be"),
		NO("half of 2^64", PHDR(1, p_memsz), 8, 1ull << 63,
	           "no memory can be"),
		BIG("more than there is", PHDR(1, p_memsz), 8,
	            RAM_LEN - DATA_GPA + 1, "need 65 MiB"),
		BIG("behind the end", PHDR(1, p_paddr), 8, RAM_LEN,
	            "the machine has 64"),
		NO("upon each other", PHDR(1, p_paddr), 8,
	           TEXT_GPA + TEXT_LEN - 1, "upon each other"),
		NO("the same place", PHDR(1, p_paddr), 8, TEXT_GPA,
	           "upon each other"),
		NO("nothing to load", PHDR(0, p_type), 4, PT_NULL,
	           "is not in what is loaded"),
		ENTRY("entry before", EHDR(e_entry), 8, TEXT_GPA - 1,
	              "is not in what is loaded", LOADER_WANT_64),
		ENTRY("entry behind", EHDR(e_entry), 8, TEXT_GPA + TEXT_LEN,
	              "is not in what is loaded", LOADER_WANT_64),
		ENTRY("entry in .bss", EHDR(e_entry), 8, DATA_GPA + DATA_LEN,
	              "is not in what is loaded", LOADER_WANT_64),
		ENTRY("entry far off", EHDR(e_entry), 8, UINT64_MAX,
	              "is not in what is loaded", LOADER_WANT_64),
		NO("PVH entry outside", NOTE_XEN + 16, 8, 0x1000,
	           "is not in what is loaded"),
		NO("PVH entry of 64 bits", NOTE_XEN + 20, 4, 1,
	           "is not in what is loaded"),
		NO("PVH note of 5 bytes", NOTE_XEN + 4, 4, 5, "wrong length"),
		NO("PVH note of no bytes", NOTE_XEN + 4, 4, 0, "wrong length"),
		NO("note larger", NOTE_XEN + 4, 4, 9,
	           "larger than its segment"),
		NO("endless note", NOTE_GNU + 4, 4, UINT32_MAX,
	           "larger than its segment"),
		NO("endless name", NOTE_GNU, 4, UINT32_MAX,
	           "larger than its segment"),
		NO("notes behind the end", PHDR(2, p_filesz), 8, 0x1001,
	           "within its notes"),
		NO("notes wrap", PHDR(2, p_offset), 8, UINT64_MAX - 3,
	           "within its notes"),
		ENTRY("no PVH note", NOTE_XEN + 8, 4, 17, "no PVH entry",
	              LOADER_WANT_PVH),
		ENTRY("of another owner", NOTE_XEN + 12, 4, 0x006e6558 ^ 1,
	              "no PVH entry", LOADER_WANT_PVH),
	};
	static uint8_t f[ELF_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(patches); i++) {
		elf_build(f);
		apply(f, &patches[i]);
		refused(f, ELF_LEN, &patches[i]);
	}
}

static void broken_bzimage_is_refused(void **state)
{
	static const struct patch patches[] = {
		NO("no flag", 0x1fe, 2, 0, "neither an ELF"),
		NO("no magic", 0x202, 4, 0, "neither an ELF"),
		NO("old", 0x206, 2, 0x20b, "before 3.8"),
		NO("low", 0x211, 1, 0, "64-bit entry"),
		NO("32 bits", 0x236, 2, 2, "64-bit entry"),
		NO("short header", 0x201, 1, 0x61, "too short"),
		NO("no payload", 0x1f4, 4, 0, "no kernel in it"),
		NO("no entry", 0x1f4, 4, 0x200 / 16, "no kernel in it"),
		NO("cut", 0x1f4, 4, KERNEL_LEN / 16 + 1,
	           "ends within the kernel"),
		NO("endless", 0x1f4, 4, UINT32_MAX, "ends within the kernel"),
		NO("setup behind the end", 0x1f1, 1, 255,
	           "ends within the kernel"),
		NO("alignment 0", 0x230, 4, 0, "odd alignment"),
		NO("alignment 3 MiB", 0x230, 4, 0x300000, "odd alignment"),
		BIG("alignment 2 GiB", 0x230, 4, 1u << 31, "need 2056"),
		NO("place wraps", 0x258, 8, UINT64_MAX, "without memory"),
		NO("place in the hole", 0x258, 8, LOADER_HOLE - 0x100000,
	           "no memory can be"),
		BIG("place behind memory", 0x258, 8, RAM_LEN, "need 72"),
		BIG("too large", 0x260, 4, RAM_LEN - BZ_GPA + 1, "need 65"),
		NO("endless memory", 0x260, 4, UINT32_MAX, "no memory can be"),
		ENTRY("PVH", 0, 1, 0, "no PVH entry", LOADER_WANT_PVH),
		BIG("command line", 0x238, 4, 4, "5 bytes, it takes 4"),
	};
	static uint8_t f[BZ_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(patches); i++) {
		bz_build(f);
		apply(f, &patches[i]);
		refused(f, BZ_LEN, &patches[i]);
	}
}

/* A kernel that must stay where it says may not say "in the boot tables". */
static void fixed_bzimage_below_1_mib_is_refused(void **state)
{
	static const struct patch p =
		NO("fixed", 0x258, 8, 0x10000, "first MiB");
	static uint8_t f[BZ_LEN];

	(void)state;
	bz_build(f);
	f[0x234] = 0;
	apply(f, &p);
	refused(f, BZ_LEN, &p);
}

/* Each length up to the last byte that is loaded or looked at. */
static void every_cut_is_refused(void **state)
{
	static const struct patch p = NO("cut", 0, 0, 0, "");
	static uint8_t f[ELF_LEN];
	struct ram r = ram_new(RAM_LEN);
	struct loader_start s;

	(void)state;
	elf_build(f);
	for (size_t len = 1; len < NOTE_OFF + NOTES_BYTES; len += 61)
		refused(f, len, &p);
	refused(f, NOTE_OFF + NOTES_BYTES - 1, &p);
	assert_int_equal(load_bytes(&r, f, NOTE_OFF + NOTES_BYTES, 0, &s, NULL),
	                 0);
	bz_build(f);
	for (size_t len = 1; len < BZ_LEN; len += 61)
		refused(f, len, &p);
	refused(f, BZ_LEN - 1, &p);
	assert_int_equal(load_bytes(&r, f, BZ_LEN, 0, &s, NULL), 0);
	ram_free(&r);
}

/* 257 notes of 12 bytes, the PVH note behind them. */
static void endless_notes_are_refused(void **state)
{
	static const struct patch p = NO("notes", 0, 0, 0, "too many");
	static uint8_t f[ELF_LEN];

	(void)state;
	elf_build(f);
	memset(f + NOTE_OFF, 0, 0x1000);
	put_le64(f + PHDR(2, p_filesz), 0x1000);
	refused(f, ELF_LEN, &p);
}

static int load_fd(int fd, struct err *err)
{
	struct ram r = ram_new(RAM_LEN);
	const struct loader_image img = {
		.kernel_fd = fd, .initramfs_fd = -1, .cmdline = "", .cpus = 1};
	struct loader_start s;
	int got = loader_load(&r.mem, &img, &s, err);

	ram_free(&r);
	return got;
}

static void only_regular_files_are_read(void **state)
{
	static const struct {
		const char *path, *word;
		int want;
	} cases[] = {
		{"/",         "not a regular file", -ENOEXEC},
		{"/dev/zero", "not a regular file", -ENOEXEC},
		{"/dev/null", "not a regular file", -ENOEXEC},
	};
	struct err err;
	int fd;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fd = open(cases[i].path, O_RDONLY | O_CLOEXEC);
		assert_int_equal(load_fd(fd, &err), cases[i].want);
		assert_non_null(strstr(err.msg, cases[i].word));
		(void)close(fd);
	}
	fd = file_of("", 0);
	assert_int_equal(load_fd(fd, &err), -ENOEXEC);
	assert_non_null(strstr(err.msg, "empty"));
	(void)close(fd);
	assert_int_equal(load_fd(-1, &err), -EIO);
}

/* Not a crash and not a half-filled success, wherever it is cut. */
static void file_that_shrinks_meanwhile_is_an_io_error(void **state)
{
	static uint8_t bytes[3 * 4096];
	int fd = file_of(bytes, sizeof(bytes));
	void *at = mmap(NULL, sizeof(bytes), PROT_READ | PROT_WRITE,
	                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct loader_file f;
	struct err err;

	(void)state;
	assert_ptr_not_equal(at, MAP_FAILED);
	assert_int_equal(loader_file_open(fd, "kernel", -ENOEXEC, &f, NULL), 0);
	assert_int_equal(ftruncate(fd, 5000), 0);
	assert_int_equal(loader_file_read(&f, 0, at, sizeof(bytes), &err),
	                 -EIO);
	assert_non_null(strstr(err.msg, "became shorter"));
	assert_int_equal(loader_file_read(&f, 8192, at, 1, &err), -EIO);
	assert_int_equal(munmap(at, sizeof(bytes)), 0);
	(void)close(fd);
}

/* The lines of /proc/self/maps within @r that are of a memory file. */
static unsigned mapped_files(const struct ram *r)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long long from, end;
	unsigned n = 0;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%llx-%llx", &from, &end) == 2 &&
		    from >= (uintptr_t)r->p && end <= (uintptr_t)r->p + RAM_LEN)
			n += strstr(line, "memfd:kernel") != NULL;
	(void)fclose(maps);
	return n;
}

static void load_mapped(struct ram *r, int fd)
{
	const struct loader_image img = {.kernel_fd = fd,
	                                 .initramfs_fd = -1,
	                                 .cmdline = "quiet",
	                                 .cpus = 1,
	                                 .map_kernel = true};
	struct loader_start s;

	assert_int_equal(loader_load(&r->mem, &img, &s, NULL), 0);
}

static void sealed_file_is_mapped_to_the_same_content(void **state)
{
	static uint8_t f[ELF_LEN];
	struct ram read = ram_new(RAM_LEN), map = ram_new(RAM_LEN);
	struct loader_start s;
	int fd;

	(void)state;
	elf_build(f);
	/* A page of data, too, which is read as it will be written. */
	put_le64(f + PHDR(1, p_filesz), 0x1001);
	fd = file_of(f, sizeof(f));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE),
	                 0);
	load_mapped(&map, fd);
	(void)close(fd);
	assert_int_equal(mapped_files(&map), 1);
	assert_int_equal(load_bytes(&read, f, sizeof(f), 0, &s, NULL), 0);
	assert_int_equal(mapped_files(&read), 0);
	assert_memory_equal(map.p, read.p, 2 * MIB);
	/* What follows a segment on its last page is not the file's. */
	assert_int_equal(ram64(&map, TEXT_GPA + TEXT_LEN), 0);
	/* The guest's writes stay the guest's. */
	map.p[TEXT_GPA] ^= 1;
	assert_int_equal(map.p[TEXT_GPA] ^ 1, f[TEXT_OFF]);
	ram_free(&read);
	ram_free(&map);
}

static void file_that_others_may_cut_is_read(void **state)
{
	static uint8_t f[ELF_LEN];
	struct ram r = ram_new(RAM_LEN);
	int fd;

	(void)state;
	elf_build(f);
	fd = file_of(f, sizeof(f));
	assert_int_equal(fchmod(fd, 0666), 0);
	load_mapped(&r, fd);
	assert_int_equal(mapped_files(&r), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_memory_equal(r.p + TEXT_GPA, f + TEXT_OFF, TEXT_LEN);
	(void)close(fd);
	ram_free(&r);
}

static void own_file_is_mapped(void **state)
{
	static uint8_t f[ELF_LEN];
	struct ram r = ram_new(RAM_LEN);
	int fd;

	(void)state;
	elf_build(f);
	fd = file_of(f, sizeof(f));
	assert_int_equal(fchmod(fd, 0644), 0);
	load_mapped(&r, fd);
	assert_int_equal(mapped_files(&r), 1);
	(void)close(fd);
	ram_free(&r);
}

/* A segment whose offset and address differ within the page cannot be. */
static void crooked_segment_is_read(void **state)
{
	static uint8_t f[ELF_LEN];
	struct ram r = ram_new(RAM_LEN);
	int fd;

	(void)state;
	elf_build(f);
	put_le64(f + PHDR(0, p_offset), TEXT_OFF + 8);
	fd = file_of(f, sizeof(f));
	assert_int_equal(fchmod(fd, 0600), 0);
	load_mapped(&r, fd);
	assert_int_equal(mapped_files(&r), 0);
	assert_memory_equal(r.p + TEXT_GPA, f + TEXT_OFF + 8, TEXT_LEN);
	(void)close(fd);
	ram_free(&r);
}

#ifdef VMLINUX
static void our_kernel_is_the_same_mapped_and_read(void **state)
{
	struct ram read = ram_new(RAM_LEN), map = ram_new(RAM_LEN);
	struct loader_image img = {.kernel_fd = open(VMLINUX, O_RDONLY),
	                           .initramfs_fd = -1,
	                           .cmdline = "quiet",
	                           .cpus = 4};
	struct loader_start a, b;

	(void)state;
	if (img.kernel_fd < 0) {
		print_message("missing: %s, see kernel/README.md\n", VMLINUX);
		skip();
	}
	assert_int_equal(loader_load(&read.mem, &img, &a, NULL), 0);
	img.map_kernel = true;
	assert_int_equal(loader_load(&map.mem, &img, &b, NULL), 0);
	assert_int_equal(a.entry, LOADER_ENTRY_PVH);
	assert_int_equal(a.rip, b.rip);
	assert_memory_equal(read.p, map.p, RAM_LEN);
	(void)close(img.kernel_fd);
	ram_free(&read);
	ram_free(&map);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(broken_elf_is_refused),
		cmocka_unit_test(broken_bzimage_is_refused),
		cmocka_unit_test(fixed_bzimage_below_1_mib_is_refused),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(endless_notes_are_refused),
		cmocka_unit_test(only_regular_files_are_read),
		cmocka_unit_test(file_that_shrinks_meanwhile_is_an_io_error),
		cmocka_unit_test(sealed_file_is_mapped_to_the_same_content),
		cmocka_unit_test(file_that_others_may_cut_is_read),
		cmocka_unit_test(own_file_is_mapped),
		cmocka_unit_test(crooked_segment_is_read),
#ifdef VMLINUX
		cmocka_unit_test(our_kernel_is_the_same_mapped_and_read),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
