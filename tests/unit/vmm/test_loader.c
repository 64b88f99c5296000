/* What stands in memory after a kernel was loaded, read by fixed offsets. */
#include "loader_files.h"

#define CMDLINE "console=hvc0 quiet"

struct machine {
	struct ram r;
	struct loader_start start;
	struct err err;
};

/* Load with an initramfs of @len bytes (0: none), each byte 0x5a. */
static int load(struct machine *m, const uint8_t *f, size_t flen,
                enum loader_want want, size_t len, const char *cmdline)
{
	uint8_t *bytes = malloc(len + 1);
	struct loader_image img = {.kernel_fd = file_of(f, flen),
	                           .initramfs_fd = -1,
	                           .cmdline = cmdline,
	                           .cpus = 2,
	                           .want = want};
	int r;

	assert_non_null(bytes);
	memset(bytes, 0x5a, len);
	if (len)
		img.initramfs_fd = file_of(bytes, len);
	r = loader_load(&m->r.mem, &img, &m->start, &m->err);
	(void)close(img.kernel_fd);
	if (len)
		(void)close(img.initramfs_fd);
	free(bytes);
	return r;
}

static void check_segments(const struct ram *r, const uint8_t *f)
{
	assert_memory_equal(r->p + TEXT_GPA, f + TEXT_OFF, TEXT_LEN);
	assert_memory_equal(r->p + DATA_GPA, f + DATA_OFF, DATA_LEN);
	for (uint64_t a = TEXT_GPA + TEXT_LEN; a < DATA_GPA; a++)
		assert_int_equal(r->p[a], 0);
	for (uint64_t a = DATA_GPA + DATA_LEN; a < 2 * MIB; a++)
		assert_int_equal(r->p[a], 0);
}

static void check_initramfs(const struct ram *r, uint64_t gpa, uint64_t len)
{
	assert_int_equal(gpa % 4096, 0);
	assert_in_range(gpa + len, RAM_LEN - 4095, RAM_LEN);
	assert_int_equal(r->p[gpa - 1], 0);
	for (uint64_t i = 0; i < len; i++)
		assert_int_equal(r->p[gpa + i], 0x5a);
	assert_true(gpa + len == RAM_LEN || r->p[gpa + len] == 0);
}

static void check_gdt(const struct ram *r, uint64_t code)
{
	assert_int_equal(ram64(r, 0x500), 0);
	assert_int_equal(ram64(r, 0x508), code);
	assert_int_equal(ram64(r, 0x510), 0x00cf93000000ffff);
	assert_int_equal(ram64(r, 0x518), 0x00008b0000000067);
	assert_int_equal(ram64(r, 0x520), 0);
}

/* e820 entries have 20 bytes, PVH's 24. */
static void check_map(const struct ram *r, uint64_t at, unsigned stride)
{
	static const struct {
		uint64_t from, len;
		uint32_t type;
	} want[] = {
		{0,        0x9fc00,            1},
		{0x9fc00,  0x60400,            2},
		{0x100000, RAM_LEN - 0x100000, 1},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(want); i++, at += stride) {
		assert_int_equal(ram64(r, at), want[i].from);
		assert_int_equal(ram64(r, at + 8), want[i].len);
		assert_int_equal(ram32(r, at + 16), want[i].type);
	}
	assert_int_equal(ram64(r, at + 8), 0);
}

static void elf_with_note_starts_by_pvh(void **state)
{
	static uint8_t f[ELF_LEN];
	struct machine m = {.r = ram_new(RAM_LEN)};
	uint64_t s = 0x6000, mod;

	(void)state;
	elf_build(f);
	assert_int_equal(load(&m, f, ELF_LEN, 0, 5000, CMDLINE), 0);
	assert_int_equal(m.start.entry, LOADER_ENTRY_PVH);
	assert_int_equal(m.start.rip, ENTRY_PVH);
	check_segments(&m.r, f);
	check_gdt(&m.r, 0x00cf9b000000ffff);
	assert_int_equal(ram32(&m.r, s), 0x336ec578);
	assert_int_equal(ram32(&m.r, s + 4), 1);
	assert_int_equal(ram32(&m.r, s + 8), 0);
	assert_int_equal(ram32(&m.r, s + 12), 1);
	mod = ram64(&m.r, s + 16);
	check_initramfs(&m.r, ram64(&m.r, mod), ram64(&m.r, mod + 8));
	assert_int_equal(ram64(&m.r, mod + 8), 5000);
	assert_int_equal(ram64(&m.r, mod + 16), 0);
	assert_string_equal((char *)m.r.p + ram64(&m.r, s + 24), CMDLINE);
	assert_int_equal(ram64(&m.r, s + 32), 0); /* no ACPI */
	assert_int_equal(ram64(&m.r, s + 40), LOADER_PARAMS);
	assert_int_equal(ram32(&m.r, s + 48), 3);
	check_map(&m.r, LOADER_PARAMS, 24);
	assert_memory_equal(m.r.p + LOADER_MPTABLE, "_MP_", 4);
	ram_free(&m.r);
}

static void no_initramfs_no_module(void **state)
{
	static uint8_t f[ELF_LEN];
	struct machine m = {.r = ram_new(RAM_LEN)};

	(void)state;
	elf_build(f);
	assert_int_equal(load(&m, f, ELF_LEN, 0, 0, ""), 0);
	assert_int_equal(ram32(&m.r, 0x600c), 0);
	assert_int_equal(ram64(&m.r, 0x6010), 0);
	assert_int_equal(m.r.p[LOADER_CMDLINE], 0);
	ram_free(&m.r);
}

static void note_of_4_bytes_is_taken(void **state)
{
	static uint8_t f[ELF_LEN];
	struct machine m = {.r = ram_new(RAM_LEN)};

	(void)state;
	elf_build(f);
	put_le32(f + NOTE_XEN + 4, 4);
	put_le32(f + NOTE_XEN + 20, 0xffffffff); /* is not the note's */
	put_le64(f + PHDR(2, p_filesz), NOTES_BYTES - 4);
	assert_int_equal(load(&m, f, ELF_LEN, LOADER_WANT_PVH, 0, ""), 0);
	assert_int_equal(m.start.rip, ENTRY_PVH);
	ram_free(&m.r);
}

/* Behind an 8-aligned note of 4 bytes, as .note.gnu.property is. */
static void notes_may_be_aligned_to_8(void **state)
{
	const uint8_t entry[4] = {0x20, 0, 0x10, 0};
	static uint8_t f[ELF_LEN];
	struct machine m = {.r = ram_new(RAM_LEN)};

	(void)state;
	elf_build(f);
	memset(f + NOTE_OFF, 0, NOTES_BYTES);
	(void)put_note(f + NOTE_OFF, "GNU", 5, entry, 4);
	(void)put_note(f + NOTE_OFF + 24, "Xen", 18, entry, 4);
	put_le64(f + PHDR(2, p_align), 8);
	put_le64(f + PHDR(2, p_filesz), 24 + 20);
	assert_int_equal(load(&m, f, ELF_LEN, LOADER_WANT_PVH, 0, ""), 0);
	assert_int_equal(m.start.rip, ENTRY_PVH);
	ram_free(&m.r);
}

/* Walk the tables as a processor would; all is present and writable. */
static uint64_t translate(const struct ram *r, uint64_t va)
{
	uint64_t entry = ram64(r, 0x9000 + 8 * (va >> 39 & 511));

	for (int shift = 30; shift >= 21; shift -= 9) {
		assert_int_equal(entry & 0x83, 3);
		entry = ram64(r, (entry & ~0xfffull) + 8 * (va >> shift & 511));
	}
	assert_int_equal(entry & 0x1fffff, 0x83); /* 2 MiB page */
	return (entry & ~0x1fffffull) | (va & 0x1fffff);
}

static void check_page_tables(const struct ram *r)
{
	for (uint64_t va = 0x1234; va < GIB; va += 2 * MIB)
		assert_int_equal(translate(r, va), va);
	assert_int_equal(ram64(r, 0xa008), 0); /* and nothing else */
	assert_int_equal(ram64(r, 0x9008), 0);
	assert_int_equal(ram64(r, 0xc000), 0);
}

static void check_params(const struct ram *r, uint32_t kernel)
{
	uint64_t p = 0x7000;

	assert_int_equal(get_le16(r->p + p + 0x1fe), 0xaa55);
	assert_memory_equal(r->p + p + 0x202, "HdrS", 4);
	assert_true(get_le16(r->p + p + 0x206) >= 0x20c);
	assert_int_equal(r->p[p + 0x210], 0xff);
	assert_int_equal(r->p[p + 0x211] & 1, 1);
	assert_int_equal(ram32(r, p + 0x214), kernel);
	assert_int_equal(ram32(r, p + 0x21c), 5000);
	check_initramfs(r, ram32(r, p + 0x218), 5000);
	assert_string_equal((char *)r->p + ram32(r, p + 0x228), CMDLINE);
	assert_int_equal(ram32(r, p + 0x0c0), 0);
	assert_int_equal(ram32(r, p + 0x0c4), 0);
	assert_int_equal(ram32(r, p + 0x0c8), 0);
	assert_int_equal(ram64(r, p + 0x250), 0); /* no setup_data */
	assert_int_equal(r->p[p + 0x1ef], 0);     /* the sentinel */
	assert_int_equal(r->p[p + 0x1e8], 3);
	check_map(r, p + 0x2d0, 20);
}

static void elf_starts_at_its_64_bit_entry(void **state)
{
	static uint8_t f[ELF_LEN];
	struct machine m = {.r = ram_new(RAM_LEN)};

	(void)state;
	elf_build(f);
	assert_int_equal(load(&m, f, ELF_LEN, LOADER_WANT_64, 5000, CMDLINE),
	                 0);
	assert_int_equal(m.start.entry, LOADER_ENTRY_64);
	assert_int_equal(m.start.rip, ENTRY_64);
	check_segments(&m.r, f);
	check_gdt(&m.r, 0x00af9b000000ffff);
	check_page_tables(&m.r);
	check_params(&m.r, TEXT_GPA);
	ram_free(&m.r);
}

/* Another note's type: then any way in will do. */
static void elf_without_note_starts_at_its_64_bit_entry(void **state)
{
	static uint8_t f[ELF_LEN];
	struct machine m = {.r = ram_new(RAM_LEN)};

	(void)state;
	elf_build(f);
	put_le32(f + NOTE_XEN + 8, 19);
	assert_int_equal(load(&m, f, ELF_LEN, 0, 0, ""), 0);
	assert_int_equal(m.start.entry, LOADER_ENTRY_64);
	ram_free(&m.r);
}

static void bzimage_starts_at_its_64_bit_entry(void **state)
{
	static uint8_t f[BZ_LEN];
	struct machine m = {.r = ram_new(RAM_LEN)};

	(void)state;
	bz_build(f);
	put_le32(f + 0x268, 0xabcd); /* last of its header: handed on */
	put_le32(f + 0x26c, 0x5555); /* behind it: not */
	assert_int_equal(load(&m, f, BZ_LEN, 0, 5000, CMDLINE), 0);
	assert_int_equal(m.start.entry, LOADER_ENTRY_64);
	assert_int_equal(m.start.rip, BZ_GPA + 0x200);
	assert_memory_equal(m.r.p + BZ_GPA, f + KERNEL_OFF, KERNEL_LEN);
	check_page_tables(&m.r);
	check_params(&m.r, BZ_GPA);
	assert_int_equal(ram64(&m.r, 0x7258), BZ_GPA);
	assert_int_equal(ram32(&m.r, 0x7268), 0xabcd);
	assert_int_equal(ram32(&m.r, 0x726c), 0);
	ram_free(&m.r);
}

static void bzimage_without_a_wish_goes_to_2_mib(void **state)
{
	static uint8_t f[BZ_LEN];
	struct machine m = {.r = ram_new(RAM_LEN)};

	(void)state;
	bz_build(f);
	put_le64(f + 0x258, 0);
	f[0x1f1] = 0; /* stands for 4 */
	assert_int_equal(load(&m, f, BZ_LEN, 0, 0, ""), 0);
	assert_int_equal(m.start.rip, 0x200200);
	assert_memory_equal(m.r.p + 2 * MIB, f + KERNEL_OFF, KERNEL_LEN);
	ram_free(&m.r);
}

static void bzimage_bounds_the_initramfs(void **state)
{
	static uint8_t f[BZ_LEN];
	struct machine m = {.r = ram_new(RAM_LEN)};

	(void)state;
	bz_build(f);
	put_le32(f + 0x22c, 0x2000fff);
	assert_int_equal(load(&m, f, BZ_LEN, 0, 8192, ""), 0);
	assert_int_equal(ram32(&m.r, 0x7218), 0x1fff000);
	assert_int_equal(m.r.p[0x1fff000], 0x5a);
	assert_int_equal(m.r.p[0x2001000], 0);
	put_le32(f + 0x22c, BZ_GPA);
	assert_int_equal(load(&m, f, BZ_LEN, 0, 5000, ""), -E2BIG);
	put_le32(f + 0x22c, 0xffffffff);
	assert_int_equal(load(&m, f, BZ_LEN, 0, 5000, ""), 0);
	check_initramfs(&m.r, ram32(&m.r, 0x7218), 5000);
	ram_free(&m.r);
}

/* Its init_size may be a lie: what is loaded is its own in any case. */
static void initramfs_is_not_put_upon_the_bzimage(void **state)
{
	static uint8_t f[BZ_LEN];
	struct machine m = {.r = ram_new(RAM_LEN)};

	(void)state;
	bz_build(f);
	put_le32(f + 0x260, 0x1000);
	put_le32(f + 0x22c, BZ_GPA + KERNEL_LEN - 1);
	assert_int_equal(load(&m, f, BZ_LEN, 0, 4096, ""), -E2BIG);
	put_le32(f + 0x22c, BZ_GPA + KERNEL_LEN + 4095);
	assert_int_equal(load(&m, f, BZ_LEN, 0, 4096, ""), 0);
	assert_int_equal(ram32(&m.r, 0x7218), BZ_GPA + KERNEL_LEN);
	ram_free(&m.r);
}

static void initramfs_fits_to_the_last_page(void **state)
{
	static uint8_t f[ELF_LEN];
	size_t room = RAM_LEN - (DATA_GPA + DATA_ROOM);
	struct machine m = {.r = ram_new(RAM_LEN)};

	(void)state;
	elf_build(f);
	assert_int_equal(load(&m, f, ELF_LEN, 0, room + 1, ""), -E2BIG);
	assert_non_null(strstr(m.err.msg, "need 65 MiB"));
	assert_non_null(strstr(m.err.msg, "has 64"));
	assert_non_null(strstr(m.err.hint, "--memory"));
	assert_int_equal(load(&m, f, ELF_LEN, 0, room, ""), 0);
	assert_int_equal(ram64(&m.r, ram64(&m.r, 0x6010)),
	                 DATA_GPA + DATA_ROOM);
	assert_int_equal(m.r.p[DATA_GPA + DATA_ROOM - 1], 0);
	assert_int_equal(m.r.p[DATA_GPA + DATA_ROOM], 0x5a);
	ram_free(&m.r);
}

static void empty_initramfs_is_refused(void **state)
{
	static uint8_t f[ELF_LEN];
	struct machine m = {.r = ram_new(RAM_LEN)};
	struct loader_image img = {.cmdline = "", .cpus = 1};

	(void)state;
	elf_build(f);
	img.kernel_fd = file_of(f, ELF_LEN);
	img.initramfs_fd = file_of("", 0);
	assert_int_equal(loader_load(&m.r.mem, &img, &m.start, &m.err),
	                 -EINVAL);
	assert_non_null(strstr(m.err.msg, "initramfs file is empty"));
	(void)close(img.kernel_fd);
	(void)close(img.initramfs_fd);
	ram_free(&m.r);
}

static void command_line_is_bounded(void **state)
{
	static uint8_t f[ELF_LEN];
	struct machine m = {.r = ram_new(RAM_LEN)};
	char line[2049];

	(void)state;
	elf_build(f);
	memset(line, 'x', sizeof(line));
	line[2048] = '\0';
	assert_int_equal(load(&m, f, ELF_LEN, 0, 0, line), -E2BIG);
	assert_non_null(strstr(m.err.msg, "2048 bytes, it takes 2047"));
	line[2047] = '\0';
	assert_int_equal(load(&m, f, ELF_LEN, 0, 0, line), 0);
	assert_string_equal((char *)m.r.p + LOADER_CMDLINE, line);
	assert_int_equal(m.r.p[LOADER_CMDLINE + 2048], 0);
	ram_free(&m.r);
}

static void memory_above_4_gib_is_in_the_map(void **state)
{
	static uint8_t f[ELF_LEN];
	struct machine m = {.r = ram_new(LOADER_HOLE)};
	uint8_t *high = ram_map(GIB);
	uint64_t usable = 0;

	(void)state;
	elf_build(f);
	assert_int_equal(guest_mem_add(&m.r.mem, LOADER_HOLE_END, GIB, 0, high),
	                 0);
	assert_int_equal(load(&m, f, ELF_LEN, 0, 100, ""), 0);
	assert_int_equal(ram32(&m.r, 0x6030), 4);
	for (unsigned i = 0; i < 4; i++)
		if (ram32(&m.r, 0x7010 + i * 24) == 1)
			usable += ram64(&m.r, 0x7008 + i * 24);
	assert_int_equal(usable, LOADER_HOLE + GIB - 0x60400);
	assert_int_equal(ram64(&m.r, 0x7048), LOADER_HOLE_END);
	assert_int_equal(ram64(&m.r, ram64(&m.r, 0x6010)), LOADER_HOLE - 4096);
	assert_int_equal(munmap(high, GIB), 0);
	ram_free(&m.r);
}

/* PVH has no paging; the 64-bit entry is given one GiB. */
static void kernel_above_1_gib_starts_by_pvh_only(void **state)
{
	static uint8_t f[ELF_LEN];
	struct machine m = {.r = ram_new(2 * GIB)};

	(void)state;
	elf_build(f);
	put_le64(f + PHDR(1, p_paddr), GIB);
	assert_int_equal(load(&m, f, ELF_LEN, LOADER_WANT_64, 0, ""), -ENOEXEC);
	assert_non_null(strstr(m.err.msg, "first GiB"));
	assert_int_equal(load(&m, f, ELF_LEN, LOADER_WANT_PVH, 0, ""), 0);
	assert_memory_equal(m.r.p + GIB, f + DATA_OFF, DATA_LEN);
	ram_free(&m.r);
}

static void odd_memory_is_refused(void **state)
{
	static uint8_t f[ELF_LEN];
	struct machine m = {.r = ram_new(MIB)};
	struct guest_mem none = {0}, high = {0};

	(void)state;
	elf_build(f);
	assert_int_equal(load(&m, f, ELF_LEN, 0, 0, ""), -E2BIG);
	assert_int_equal(guest_mem_add(&high, MIB, MIB, 0, m.r.p), 0);
	ram_free(&m.r);
	m.r.mem = none;
	assert_int_equal(load(&m, f, ELF_LEN, 0, 0, ""), -EINVAL);
	m.r.mem = high;
	assert_int_equal(load(&m, f, ELF_LEN, 0, 0, ""), -EINVAL);
}

static void odd_processors_are_refused(void **state)
{
	static uint8_t f[ELF_LEN];
	struct machine m = {.r = ram_new(RAM_LEN)};
	struct loader_image img = {.initramfs_fd = -1, .cmdline = ""};

	(void)state;
	elf_build(f);
	img.kernel_fd = file_of(f, ELF_LEN);
	assert_int_equal(loader_load(&m.r.mem, &img, &m.start, &m.err),
	                 -EINVAL);
	img.cpus = 255;
	assert_int_equal(loader_load(&m.r.mem, &img, &m.start, &m.err),
	                 -EINVAL);
	assert_int_equal(ram64(&m.r, TEXT_GPA), 0);
	img.cpus = 254;
	assert_int_equal(loader_load(&m.r.mem, &img, &m.start, &m.err), 0);
	(void)close(img.kernel_fd);
	ram_free(&m.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elf_with_note_starts_by_pvh),
		cmocka_unit_test(no_initramfs_no_module),
		cmocka_unit_test(note_of_4_bytes_is_taken),
		cmocka_unit_test(notes_may_be_aligned_to_8),
		cmocka_unit_test(elf_starts_at_its_64_bit_entry),
		cmocka_unit_test(elf_without_note_starts_at_its_64_bit_entry),
		cmocka_unit_test(bzimage_starts_at_its_64_bit_entry),
		cmocka_unit_test(bzimage_without_a_wish_goes_to_2_mib),
		cmocka_unit_test(bzimage_bounds_the_initramfs),
		cmocka_unit_test(initramfs_is_not_put_upon_the_bzimage),
		cmocka_unit_test(initramfs_fits_to_the_last_page),
		cmocka_unit_test(empty_initramfs_is_refused),
		cmocka_unit_test(command_line_is_bounded),
		cmocka_unit_test(memory_above_4_gib_is_in_the_map),
		cmocka_unit_test(kernel_above_1_gib_starts_by_pvh_only),
		cmocka_unit_test(odd_memory_is_refused),
		cmocka_unit_test(odd_processors_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
