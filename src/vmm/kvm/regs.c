#include "vmm/kvm/regs.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

#define CR0_PE   (1u << 0)
#define CR0_ET   (1u << 4)
#define CR0_PG   (1u << 31)
#define CR4_PAE  (1u << 5)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)

#define RFLAGS_RESERVED 2 /* bit 1 is always set */

#define MSR_MISC_ENABLE      0x1a0
#define MISC_ENABLE_FAST_STR 1
#define MSR_MTRR_DEF_TYPE    0x2ff
#define MTRR_ENABLE          (1 << 11)
#define MTRR_WRITE_BACK      6

/* AMD: the TSC runs at P0's rate; without it Linux reports a firmware bug. */
#define MSR_K7_HWCR       0xc0010015
#define HWCR_TSC_FREQ_SEL (1ull << 24)

/* Local APIC: what the two interrupt pins deliver (SDM volume 3, 11.5.1). */
#define LAPIC_LVT_LINT0 0x350
#define LAPIC_LVT_LINT1 0x360
#define MODE_NMI        4u
#define MODE_EXTINT     7u

/* Selectors into the table that the loader wrote at LOADER_GDT. */
#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_TSS  0x18
#define GDT_BYTES     32

/* The parts of a segment register that matter; flat ones have no limit. */
static struct kvm_segment segment(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){.limit = 0xffffffff,
	                            .selector = selector,
	                            .type = type,
	                            .present = 1,
	                            .s = 1,
	                            .g = 1};
}

static void set_segments(struct kvm_sregs *s, bool is_long)
{
	struct kvm_segment code = segment(SELECTOR_CODE, 0xb);
	struct kvm_segment data = segment(SELECTOR_DATA, 0x3);

	code.l = is_long;
	code.db = !is_long;
	data.db = 1;
	s->cs = code;
	s->ds = s->es = s->fs = s->gs = s->ss = data;
	s->tr = segment(SELECTOR_TSS, 0xb);
	s->tr.s = 0;
	s->tr.g = 0;
	s->tr.limit = 0x67;
	s->gdt =
		(struct kvm_dtable){.base = LOADER_GDT, .limit = GDT_BYTES - 1};
	s->idt = (struct kvm_dtable){0};
}

static int set_special(struct kvm_vm *vm, int fd,
                       const struct loader_start *start)
{
	bool is_long = start->entry == LOADER_ENTRY_64;
	struct kvm_sregs s;
	int r = kvm_call(vm, fd, KVM_GET_SREGS, &s);

	if (r < 0)
		return r;
	set_segments(&s, is_long);
	s.cr0 = CR0_PE | CR0_ET;
	s.cr4 = 0;
	if (is_long) {
		s.cr0 |= CR0_PG;
		s.cr3 = LOADER_PML4;
		s.cr4 = CR4_PAE;
		s.efer |= EFER_LME | EFER_LMA;
	}
	return kvm_call(vm, fd, KVM_SET_SREGS, &s);
}

static int set_general(struct kvm_vm *vm, int fd,
                       const struct loader_start *start)
{
	struct kvm_regs regs = {.rflags = RFLAGS_RESERVED,
	                        .rip = start->rip,
	                        .rsp = LOADER_STACK,
	                        .rbp = LOADER_STACK};

	if (start->entry == LOADER_ENTRY_64)
		regs.rsi = LOADER_PARAMS;
	else
		regs.rbx = LOADER_PVH_INFO;
	return kvm_call(vm, fd, KVM_SET_REGS, &regs);
}

/*
 * All memory is write-back: with KVM's reset value Linux might take it for
 * uncached. The others are wishes: which of them exist depends on the
 * processor and on KVM's age.
 */
static const struct {
	uint32_t index;
	uint64_t value;
	bool required;
} msrs[] = {
	{MSR_MTRR_DEF_TYPE, MTRR_ENABLE | MTRR_WRITE_BACK, true },
	{MSR_MISC_ENABLE,   MISC_ENABLE_FAST_STR,          false},
	{MSR_K7_HWCR,       HWCR_TSC_FREQ_SEL,             false},
};

/* The answer is how many were set. */
static int set_msrs(struct kvm_vm *vm, int fd)
{
	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
		struct {
			struct kvm_msrs head;
			struct kvm_msr_entry entry;
		} m = {
			.head.nmsrs = 1,
			.entry = {.index = msrs[i].index,
		                  .data = msrs[i].value}
                };
		int r = kvm_call(vm, fd, KVM_SET_MSRS, &m);

		if (r != 1 && msrs[i].required)
			return r < 0 ? r : -EIO;
	}
	return 0;
}

static void set_delivery(struct kvm_lapic_state *l, unsigned reg, uint32_t mode)
{
	uint8_t *p = (uint8_t *)l->regs + reg;

	put_le32(p, (get_le32(p) & ~(7u << 8)) | mode << 8);
}

/* As the MP table says: the old controllers on LINT0, NMI on LINT1. */
static int set_lapic(struct kvm_vm *vm, int fd)
{
	struct kvm_lapic_state l;
	int r = kvm_call(vm, fd, KVM_GET_LAPIC, &l);

	if (r < 0)
		return r;
	set_delivery(&l, LAPIC_LVT_LINT0, MODE_EXTINT);
	set_delivery(&l, LAPIC_LVT_LINT1, MODE_NMI);
	return kvm_call(vm, fd, KVM_SET_LAPIC, &l);
}

/* CPUID first: it decides which of the others are legal. */
int regs_prepare(struct kvm_vm *vm, int fd, struct cpuid *c,
                 const struct loader_start *start, const char **ret_what)
{
	int r = kvm_call(vm, fd, KVM_SET_CPUID2, c);

	*ret_what = "CPUID";
	if (r < 0)
		return r;
	*ret_what = "machine specific registers";
	r = set_msrs(vm, fd);
	if (r < 0)
		return r;
	*ret_what = "interrupt controller";
	r = set_lapic(vm, fd);
	if (r < 0 || !start)
		return r;
	*ret_what = "special registers";
	r = set_special(vm, fd, start);
	if (r < 0)
		return r;
	*ret_what = "general registers";
	return set_general(vm, fd, start);
}
