/*
 * The tables of the 64-bit entry (Documentation/arch/x86/boot.rst and
 * zero-page.rst): the page of parameters, and page tables under which the
 * first GiB lies at its own addresses. The kernel makes its own tables before
 * it reaches for anything beyond, such as an initramfs high up.
 *
 * A bzImage brings a setup header, which goes into the page as it is but for
 * the loader's own fields. For an ELF we make one up.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "vmm/kvm/loader_plan.h"

#include "base/banned.h"

#define PAGE 4096u

/* Offsets into the page. */
#define AT_E820_ENTRIES  0x1e8u
#define AT_BOOT_FLAG     0x1feu
#define AT_HEADER        0x202u
#define AT_VERSION       0x206u
#define AT_LOADER_TYPE   0x210u
#define AT_LOAD_FLAGS    0x211u
#define AT_CODE32_START  0x214u
#define AT_RAMDISK_IMAGE 0x218u
#define AT_RAMDISK_SIZE  0x21cu
#define AT_CMDLINE       0x228u
#define AT_INITRD_MAX    0x22cu
#define AT_ALIGNMENT     0x230u
#define AT_CMDLINE_SIZE  0x238u
#define AT_SETUP_DATA    0x250u
#define AT_E820          0x2d0u
#define E820_MAX         128u
#define E820_ENTRY       20u

#define BOOT_FLAG    0xaa55u
#define HEADER_MAGIC 0x53726448u /* "HdrS" */
#define PROTOCOL     0x20fu
#define LOADER_OTHER 0xffu /* we have no number of our own */
#define LOADED_HIGH  1u
#define ALIGNMENT    0x1000000u

static_assert(MEMMAP_MAX <= E820_MAX, "the map must fit into the page");

/* What a bzImage would say of itself. */
static void invent_header(uint8_t *page)
{
	put_le16(page + AT_BOOT_FLAG, BOOT_FLAG);
	put_le32(page + AT_HEADER, HEADER_MAGIC);
	put_le16(page + AT_VERSION, PROTOCOL);
	put_le32(page + AT_INITRD_MAX, LOADER_HOLE - 1);
	put_le32(page + AT_ALIGNMENT, ALIGNMENT);
	put_le32(page + AT_CMDLINE_SIZE, LOADER_CMDLINE_SIZE - 1);
}

/* All addresses are below LOADER_HOLE: 32 bits hold them. */
static void fill_in(uint8_t *page, const struct loader_boot *b)
{
	page[AT_LOADER_TYPE] = LOADER_OTHER;
	page[AT_LOAD_FLAGS] |= LOADED_HIGH;
	put_le32(page + AT_CODE32_START, (uint32_t)b->kernel_gpa);
	put_le32(page + AT_RAMDISK_IMAGE, (uint32_t)b->initramfs_gpa);
	put_le32(page + AT_RAMDISK_SIZE, (uint32_t)b->initramfs_len);
	put_le32(page + AT_CMDLINE, LOADER_CMDLINE);
	put_le64(page + AT_SETUP_DATA, 0);
}

static void write_e820(uint8_t *page, const struct loader_boot *b)
{
	uint8_t *p = page + AT_E820;

	page[AT_E820_ENTRIES] = (uint8_t)b->nmemmap;
	for (uint32_t i = 0; i < b->nmemmap; i++, p += E820_ENTRY) {
		put_le64(p, b->memmap[i].addr);
		put_le64(p + 8, b->memmap[i].size);
		put_le32(p + 16, b->memmap[i].type);
	}
}

/* ---- page tables ---- */

#define TABLE_ENTRIES 512u
#define PRESENT_RW    3u
#define HUGE_PAGE     0x80u
#define HUGE_SHIFT    21

static int write_page_tables(const struct guest_mem *mem)
{
	uint8_t *p = guest_mem_at(mem, LOADER_PML4, 3 * (uint64_t)PAGE);

	if (!p)
		return -EFAULT;
	memset(p, 0, 2 * (size_t)PAGE);
	put_le64(p, (LOADER_PML4 + PAGE) | PRESENT_RW);
	put_le64(p + PAGE, (LOADER_PML4 + 2 * PAGE) | PRESENT_RW);
	p += 2 * (size_t)PAGE;
	for (uint64_t i = 0; i < TABLE_ENTRIES; i++)
		put_le64(p + 8 * i, i << HUGE_SHIFT | HUGE_PAGE | PRESENT_RW);
	return 0;
}

int zero_page_write(const struct guest_mem *mem, const struct loader_plan *plan,
                    const struct loader_boot *b)
{
	uint8_t *page = guest_mem_at(mem, LOADER_PARAMS, PAGE);

	if (!page)
		return -EFAULT;
	memset(page, 0, PAGE);
	if (plan->setup_len)
		memcpy(page + SETUP_HEADER, plan->setup, plan->setup_len);
	else
		invent_header(page);
	fill_in(page, b);
	write_e820(page, b);
	return write_page_tables(mem);
}
