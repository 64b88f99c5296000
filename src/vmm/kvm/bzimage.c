/*
 * A bzImage: some sectors of real-mode code, whose first ones hold the setup
 * header, then the kernel, which unpacks itself. We skip the former and start
 * the latter at its 64-bit entry (Documentation/arch/x86/boot.rst).
 *
 * Where it lands: a relocatable kernel unpacks to where it was loaded, but not
 * below pref_address, and any other to pref_address itself. So a lower place
 * would need as much memory, and memory has no gap below its end: either
 * pref_address will do or nothing will.
 */
#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "vmm/kvm/loader_plan.h"

#include "base/banned.h"

#define SECTOR        512u
#define SECTORS_UNSET 4u     /* what 0 means */
#define HEADER_MAGIC  "HdrS" /* at AT_HEADER */
#define BOOT_FLAG     0xaa55u
#define PROTOCOL_MIN  0x20cu /* the first with xloadflags */
#define LOADED_HIGH   1u
#define KERNEL_64     1u
#define ENTRY_64      0x200u
#define PARAGRAPH     16u
#define PLACE_ALIGN   (2 * MIB)

/* Offsets into the file. */
#define AT_SETUP_SECTORS 0x1f1u
#define AT_SYSSIZE       0x1f4u
#define AT_BOOT_FLAG     0x1feu
#define AT_HEADER_END    0x201u /* of a jump: its distance from AT_HEADER */
#define AT_HEADER        0x202u
#define AT_VERSION       0x206u
#define AT_LOAD_FLAGS    0x211u
#define AT_INITRD_MAX    0x22cu
#define AT_ALIGNMENT     0x230u
#define AT_RELOCATABLE   0x234u
#define AT_XLOAD_FLAGS   0x236u
#define AT_CMDLINE_SIZE  0x238u
#define AT_PREF_ADDRESS  0x258u
#define AT_INIT_SIZE     0x260u
#define HEAD_LEN         (SETUP_HEADER + SETUP_HEADER_MAX)

bool bzimage_is(const struct loader_file *f)
{
	uint8_t head[AT_VERSION];

	return loader_file_has(f, 0, HEAD_LEN) &&
	       loader_file_read(f, 0, head, sizeof(head), NULL) == 0 &&
	       get_le16(head + AT_BOOT_FLAG) == BOOT_FLAG &&
	       memcmp(head + AT_HEADER, HEADER_MAGIC, 4) == 0;
}

static int broken(struct err *err, const char *why)
{
	return err_set(err, -ENOEXEC, "the kernel's bzImage %s", why);
}

static int check_header(const uint8_t *head, struct err *err)
{
	if (get_le16(head + AT_VERSION) < PROTOCOL_MIN)
		return broken(err, "is of Linux before 3.8");
	if (!(head[AT_LOAD_FLAGS] & LOADED_HIGH) ||
	    !(get_le16(head + AT_XLOAD_FLAGS) & KERNEL_64))
		return broken(err, "has no 64-bit entry");
	if (AT_HEADER + head[AT_HEADER_END] < AT_INIT_SIZE + 4)
		return broken(err, "has a setup header that is too short");
	return 0;
}

/* The part of the file that is loaded. */
static int find_payload(const struct loader_file *f, const uint8_t *head,
                        struct loader_piece *ret, struct err *err)
{
	uint32_t sectors = head[AT_SETUP_SECTORS];
	uint64_t offset = ((sectors ? sectors : SECTORS_UNSET) + 1) * SECTOR;
	uint64_t len = (uint64_t)get_le32(head + AT_SYSSIZE) * PARAGRAPH;

	if (len <= ENTRY_64)
		return broken(err, "has no kernel in it");
	if (!loader_file_has(f, offset, len))
		return broken(err, "ends within the kernel");
	ret->offset = offset;
	ret->len = len;
	return 0;
}

static int find_place(const uint8_t *head, struct loader_piece *p,
                      struct err *err)
{
	uint64_t align = get_le32(head + AT_ALIGNMENT);
	uint64_t place = get_le64(head + AT_PREF_ADDRESS);

	if (head[AT_RELOCATABLE]) {
		if (!num_is_pow2(align))
			return broken(err, "has an odd alignment");
		align = MAX(align, PLACE_ALIGN);
		place = MAX(place, LOADER_HIMEM);
		if (place > LOADER_HOLE)
			return broken(err, "wants a place without memory");
		place = num_align_up(place, align);
	}
	p->gpa = place;
	p->room = MAX(get_le32(head + AT_INIT_SIZE), p->len);
	return 0;
}

int bzimage_plan(const struct loader_file *f, enum loader_want want,
                 struct loader_plan *plan, struct err *err)
{
	struct loader_piece *p = &plan->pieces[0];
	uint8_t head[HEAD_LEN];
	int r;

	if (want == LOADER_WANT_PVH)
		return broken(err, "has no PVH entry");
	r = loader_file_read(f, 0, head, sizeof(head), err);
	if (r == 0)
		r = check_header(head, err);
	if (r == 0)
		r = find_payload(f, head, p, err);
	if (r == 0)
		r = find_place(head, p, err);
	if (r < 0)
		return r;
	plan->n = 1;
	plan->start.entry = LOADER_ENTRY_64;
	plan->start.rip = p->gpa + ENTRY_64;
	plan->initramfs_end = get_le32(head + AT_INITRD_MAX) + 1ull;
	plan->cmdline_max = get_le32(head + AT_CMDLINE_SIZE);
	plan->setup_len = MIN(AT_HEADER + head[AT_HEADER_END] - SETUP_HEADER,
	                      SETUP_HEADER_MAX);
	memcpy(plan->setup, head + SETUP_HEADER, plan->setup_len);
	return 0;
}
