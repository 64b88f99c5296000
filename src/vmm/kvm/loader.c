/*
 * Theory
 *
 * A format's parser (elf.c, bzimage.c) reads the kernel file into a plan:
 * which bytes go where, and the entry. The plan is checked here as a whole,
 * with the initramfs and the command line, against the machine's memory; only
 * then is anything written. So a file can say what it likes: what is written
 * lies in low memory above the first MiB, no two pieces lie upon each other,
 * and the first processor starts within bytes of the file.
 *
 * The file is read once where it matters (headers are copied, then checked,
 * then used). Somebody who rewrites it meanwhile gets another kernel, as if he
 * had done so before; one who cuts it gets -EIO.
 */
#include "vmm/kvm/loader.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "vmm/kvm/loader_plan.h"

#include "base/banned.h"

#define PAGE 4096u

/* What the page tables of the 64-bit entry cover. */
#define IDENTITY_MAP GIB

struct load {
	const struct guest_mem *mem;
	const struct loader_image *img;
	uint64_t low_end; /* of the memory below LOADER_HOLE */
	struct loader_file kernel, initramfs;
	struct loader_plan plan;
	struct loader_boot boot;
};

static int too_small(const struct load *l, uint64_t need, struct err *err)
{
	(void)err_set(err, -E2BIG,
	              "the kernel and its initramfs need %llu MiB of memory, "
	              "the machine has %llu",
	              (unsigned long long)((need + MIB - 1) / MIB),
	              (unsigned long long)(l->low_end / MIB));
	err_hint(err, "give it more memory, with --memory");
	return -E2BIG;
}

/* ---- the machine's memory ---- */

static int find_memory(struct load *l, struct err *err)
{
	const struct guest_region *low = &l->mem->region[0];

	if (l->mem->n == 0 || low->gpa != 0 || low->len > LOADER_HOLE)
		return err_set(err, -EINVAL,
		               "the machine's memory does not start at 0 and "
		               "end below the devices");
	l->low_end = low->len;
	return 0;
}

static void add_memory(struct loader_boot *b, uint64_t from, uint64_t end,
                       uint32_t type)
{
	b->memmap[b->nmemmap++] = (struct memmap_entry){
		.addr = from, .size = end - from, .type = type};
}

/* The end of the first MiB has the MP table in it; the kernel lies behind. */
static void map_memory(struct load *l)
{
	struct loader_boot *b = &l->boot;

	add_memory(b, 0, LOADER_MPTABLE, MEMMAP_RAM);
	add_memory(b, LOADER_MPTABLE, LOADER_HIMEM, MEMMAP_RESERVED);
	add_memory(b, LOADER_HIMEM, l->low_end, MEMMAP_RAM);
	for (uint32_t i = 1; i < l->mem->n; i++) {
		const struct guest_region *r = &l->mem->region[i];

		add_memory(b, r->gpa, r->gpa + r->len, MEMMAP_RAM);
	}
}

/* ---- the kernel ---- */

static const struct {
	bool (*is)(const struct loader_file *f);
	int (*plan)(const struct loader_file *f, enum loader_want want,
	            struct loader_plan *plan, struct err *err);
} formats[] = {
	{elf_is,     elf_plan    },
	{bzimage_is, bzimage_plan},
};

static int plan_kernel(struct load *l, struct err *err)
{
	int r = loader_file_open(l->img->kernel_fd, "kernel", -ENOEXEC,
	                         &l->kernel, err);

	if (r < 0)
		return r;
	l->plan.initramfs_end = LOADER_HOLE;
	l->plan.cmdline_max = LOADER_CMDLINE_SIZE - 1;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].is(&l->kernel))
			return formats[i].plan(&l->kernel, l->img->want,
			                       &l->plan, err);
	return err_set(err, -ENOEXEC,
	               "the kernel file is neither an ELF file nor a bzImage");
}

static int check_piece(const struct load *l, const struct loader_piece *p,
                       struct err *err)
{
	uint64_t end;

	if (!num_add(p->gpa, p->room, &end) || end > LOADER_HOLE)
		return err_set(err, -ENOEXEC,
		               "the kernel wants to be at 0x%llx, where no "
		               "memory can be",
		               (unsigned long long)p->gpa);
	if (p->gpa < LOADER_HIMEM)
		return err_set(err, -ENOEXEC,
		               "the kernel wants to be at 0x%llx, within the "
		               "first MiB, which holds the boot tables",
		               (unsigned long long)p->gpa);
	return end <= l->low_end ? 0 : too_small(l, end, err);
}

static bool overlap(const struct loader_piece *a, const struct loader_piece *b)
{
	return a->gpa < b->gpa + b->room && b->gpa < a->gpa + a->room;
}

static int check_pieces(const struct load *l, struct err *err)
{
	const struct loader_piece *p = l->plan.pieces;

	for (uint32_t i = 0; i < l->plan.n; i++) {
		int r = check_piece(l, &p[i], err);

		if (r < 0)
			return r;
		for (uint32_t k = 0; k < i; k++)
			if (overlap(&p[i], &p[k]))
				return err_set(err, -ENOEXEC,
				               "two segments of the kernel lie "
				               "upon each other");
	}
	return 0;
}

static uint64_t kernel_end(const struct loader_plan *plan)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < plan->n; i++)
		end = MAX(end, plan->pieces[i].gpa + plan->pieces[i].room);
	return end;
}

static int check_entry(const struct loader_plan *plan, struct err *err)
{
	uint64_t rip = plan->start.rip;

	if (plan->start.entry == LOADER_ENTRY_64 &&
	    kernel_end(plan) > IDENTITY_MAP)
		return err_set(err, -ENOEXEC,
		               "the kernel does not lie within the first GiB, "
		               "as its 64-bit entry asks for");
	for (uint32_t i = 0; i < plan->n; i++) {
		const struct loader_piece *p = &plan->pieces[i];

		if (rip >= p->gpa && rip - p->gpa < p->len)
			return 0;
	}
	return err_set(err, -ENOEXEC,
	               "the kernel's entry 0x%llx is not in what is loaded",
	               (unsigned long long)rip);
}

static int load_kernel(const struct load *l, struct err *err)
{
	bool map = l->img->map_kernel && loader_file_is_steady(&l->kernel);

	for (uint32_t i = 0; i < l->plan.n; i++) {
		const struct loader_piece *p = &l->plan.pieces[i];
		void *at = guest_mem_at(l->mem, p->gpa, p->room);
		int r;

		if (!at)
			return err_set(err, -EFAULT, "no memory there");
		r = (map && p->read_only ? loader_file_map : loader_file_read)(
			&l->kernel, p->offset, at, p->len, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- what the kernel is given ---- */

/* At the top, as far from the kernel's own memory as can be. */
static int plan_initramfs(struct load *l, struct err *err)
{
	uint64_t end = MIN(l->low_end, l->plan.initramfs_end);
	uint64_t from = num_align_up(kernel_end(&l->plan), PAGE);
	int r;

	if (l->img->initramfs_fd < 0)
		return 0;
	r = loader_file_open(l->img->initramfs_fd, "initramfs", -EINVAL,
	                     &l->initramfs, err);
	if (r < 0)
		return r;
	if (end < from || l->initramfs.size > end - from)
		return too_small(l, from + MIN(l->initramfs.size, GIB * GIB),
		                 err);
	l->boot.initramfs_len = l->initramfs.size;
	l->boot.initramfs_gpa = (end - l->initramfs.size) & ~(PAGE - 1ull);
	return 0;
}

static int load_initramfs(const struct load *l, struct err *err)
{
	uint64_t len = l->boot.initramfs_len;
	void *at = guest_mem_at(l->mem, l->boot.initramfs_gpa, len);

	if (!len)
		return 0;
	return at ? loader_file_read(&l->initramfs, 0, at, len, err)
	          : err_set(err, -EFAULT, "no memory for the initramfs");
}

static int plan_cmdline(struct load *l, struct err *err)
{
	size_t len = strlen(l->img->cmdline);
	size_t max = MIN(l->plan.cmdline_max, LOADER_CMDLINE_SIZE - 1);

	if (len > max)
		return err_set(err, -E2BIG,
		               "the kernel's command line has %zu bytes, it "
		               "takes %zu",
		               len, max);
	l->boot.cmdline_len = (uint32_t)len;
	return 0;
}

/* ---- descriptor table ---- */

#define GDT_CODE_32 0x00cf9b000000ffffull
#define GDT_CODE_64 0x00af9b000000ffffull
#define GDT_DATA    0x00cf93000000ffffull
#define GDT_TSS     0x00008b0000000067ull

static int write_gdt(const struct load *l)
{
	bool is_long = l->plan.start.entry == LOADER_ENTRY_64;
	uint64_t gdt[] = {0, is_long ? GDT_CODE_64 : GDT_CODE_32, GDT_DATA,
	                  GDT_TSS};
	void *at = guest_mem_at(l->mem, LOADER_GDT, sizeof(gdt));

	if (!at)
		return -EFAULT;
	memcpy(at, gdt, sizeof(gdt));
	return 0;
}

static int write_cmdline(const struct load *l)
{
	char *at = guest_mem_at(l->mem, LOADER_CMDLINE, LOADER_CMDLINE_SIZE);

	if (!at)
		return -EFAULT;
	memcpy(at, l->img->cmdline, l->boot.cmdline_len);
	at[l->boot.cmdline_len] = '\0';
	return 0;
}

static int write_tables(const struct load *l)
{
	int r = write_gdt(l);

	if (r == 0)
		r = write_cmdline(l);
	if (r == 0)
		r = loader_mptable(l->mem, l->img->cpus);
	if (r < 0)
		return r;
	return l->plan.start.entry == LOADER_ENTRY_PVH
	               ? pvh_write(l->mem, &l->boot)
	               : zero_page_write(l->mem, &l->plan, &l->boot);
}

/* ---- all of it ---- */

static int make_plan(struct load *l, struct err *err)
{
	int r;

	if (l->img->cpus == 0 || l->img->cpus > LOADER_CPUS_MAX)
		return err_set(err, -EINVAL, "a machine has 1 to %u processors",
		               LOADER_CPUS_MAX);
	r = find_memory(l, err);
	if (r == 0)
		r = plan_kernel(l, err);
	if (r == 0)
		r = check_pieces(l, err);
	if (r == 0)
		r = check_entry(&l->plan, err);
	if (r == 0)
		r = plan_initramfs(l, err);
	if (r == 0)
		r = plan_cmdline(l, err);
	return r;
}

int loader_load(const struct guest_mem *mem, const struct loader_image *img,
                struct loader_start *ret, struct err *err)
{
	struct load l = {.mem = mem, .img = img};
	int r = make_plan(&l, err);

	if (r < 0)
		return r;
	map_memory(&l);
	l.boot.kernel_gpa = l.plan.pieces[0].gpa;
	r = load_kernel(&l, err);
	if (r == 0)
		r = load_initramfs(&l, err);
	if (r < 0)
		return r;
	r = write_tables(&l);
	if (r < 0)
		return err_set(err, r, "cannot write the boot tables: %s",
		               strerror(-r));
	*ret = l.plan.start;
	return 0;
}
