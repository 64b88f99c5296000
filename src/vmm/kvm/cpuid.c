/*
 * Theory
 *
 * KVM says what it can offer (KVM_GET_SUPPORTED_CPUID); most of it is passed
 * on as it is, the paravirtual leaves at 0x40000000 included. Changed is what
 * depends on the processor's number and on how many there are, and what a
 * guest should not see: other guests' virtualization, counters of the host.
 *
 * The APIC id is the processor's number everywhere: leaf 1, leaf 0xb, the MP
 * table and KVM_CREATE_VCPU agree. Sources: Intel SDM volume 2 (CPUID), AMD
 * APM volume 3 appendix E, the kernel's Documentation/virt/kvm/x86/cpuid.rst.
 */
#include "vmm/kvm/cpuid.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

#define BIT(n) (1u << (n))

static void set(uint32_t *reg, unsigned bit, bool on)
{
	*reg = on ? *reg | BIT(bit) : *reg & ~BIT(bit);
}

/* Bits [lo, hi] of @reg become @value. */
static void field(uint32_t *reg, unsigned lo, unsigned hi, uint32_t value)
{
	uint32_t mask = (uint32_t)((BIT(hi - lo) << 1) - 1) << lo;

	*reg = (*reg & ~mask) | ((value << lo) & mask);
}

/* How many bits tell @n numbers apart. */
static uint32_t id_bits(uint32_t n)
{
	uint32_t bits = 0;

	while (BIT(bits) < n)
		bits++;
	return bits;
}

struct cpu {
	uint32_t id, count;
};

typedef void patch_fn(struct kvm_cpuid_entry2 *e, const struct cpu *cpu);

static void patch_features(struct kvm_cpuid_entry2 *e, const struct cpu *cpu)
{
	field(&e->ebx, 24, 31, cpu->id);
	field(&e->ebx, 16, 23, BIT(id_bits(cpu->count)));
	field(&e->ebx, 8, 15, 8); /* CLFLUSH: 64 bytes */
	set(&e->ecx, 5, false);   /* VMX */
	set(&e->ecx, 15, false);  /* performance counters' capabilities */
	set(&e->ecx, 24, true);   /* TSC deadline timer: KVM's APIC has it */
	set(&e->ecx, 31, true);   /* a hypervisor is present */
	set(&e->edx, 28, cpu->count > 1);
}

/* Each cache belongs to one processor: there is no sharing to know of. */
static void patch_caches(struct kvm_cpuid_entry2 *e, const struct cpu *cpu)
{
	if ((e->eax & 0x1f) == 0)
		return; /* no cache */
	field(&e->eax, 14, 25, 0);
	if (e->function == 4)
		field(&e->eax, 26, 31, BIT(id_bits(cpu->count)) - 1);
}

static void patch_power(struct kvm_cpuid_entry2 *e, const struct cpu *cpu)
{
	(void)cpu;
	set(&e->eax, 1, false); /* turbo */
	set(&e->ecx, 3, false); /* energy bias */
}

static void patch_extended(struct kvm_cpuid_entry2 *e, const struct cpu *cpu)
{
	(void)cpu;
	if (e->index == 0)
		set(&e->ecx, 5, false); /* WAITPKG: would idle the host */
}

/* Counters of the host are not the guest's to read. */
static void clear_all(struct kvm_cpuid_entry2 *e, const struct cpu *cpu)
{
	(void)cpu;
	e->eax = e->ebx = e->ecx = e->edx = 0;
}

/* Level 0: threads, one a core; level 1: cores; then the end. */
static void patch_topology(struct kvm_cpuid_entry2 *e, const struct cpu *cpu)
{
	static const uint32_t types[] = {1, 2};

	e->eax = e->ebx = 0;
	e->ecx = e->index & 0xff;
	e->edx = cpu->id;
	if (e->index >= ARRAY_SIZE(types))
		return;
	e->eax = e->index == 0 ? 0 : id_bits(cpu->count);
	e->ebx = e->index == 0 ? 1 : cpu->count;
	e->ecx |= types[e->index] << 8;
}

static void patch_amd_features(struct kvm_cpuid_entry2 *e,
                               const struct cpu *cpu)
{
	set(&e->ecx, 1, cpu->count > 1); /* legacy multi-processing */
	set(&e->ecx, 2, false);          /* SVM */
}

static void patch_amd_sizes(struct kvm_cpuid_entry2 *e, const struct cpu *cpu)
{
	field(&e->ecx, 0, 7, cpu->count - 1);
	field(&e->ecx, 12, 15, id_bits(cpu->count));
}

static void patch_amd_topology(struct kvm_cpuid_entry2 *e,
                               const struct cpu *cpu)
{
	e->eax = cpu->id;
	field(&e->ebx, 0, 7, cpu->id); /* core */
	field(&e->ebx, 8, 15, 0);      /* one thread in it */
	e->ecx = 0;                    /* one node */
}

/* In the order of the leaves. */
static const struct {
	uint32_t leaf;
	bool amd_only; /* means something else with Intel */
	patch_fn *fn;
} patches[] = {
	{0x1,        false, patch_features    },
	{0x4,        false, patch_caches      },
	{0x6,        false, patch_power       },
	{0x7,        false, patch_extended    },
	{0xa,        false, clear_all         },
	{0xb,        false, patch_topology    },
	{0x1f,       false, patch_topology    },
	{0x80000001, true,  patch_amd_features},
	{0x80000008, true,  patch_amd_sizes   },
	{0x8000001d, true,  patch_caches      },
	{0x8000001e, true,  patch_amd_topology},
	{0x80000022, true,  clear_all         },
};

static struct kvm_cpuid_entry2 *find(struct cpuid *c, uint32_t leaf,
                                     uint32_t index)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (c->entries[i].function == leaf &&
		    c->entries[i].index == index)
			return &c->entries[i];
	return NULL;
}

/* AMD and its licensee: "AuthenticAMD", "HygonGenuine". */
static bool is_amd(struct cpuid *c)
{
	const struct kvm_cpuid_entry2 *e = find(c, 0, 0);

	return e && (e->ebx == 0x68747541 || e->ebx == 0x6f677948);
}

/* KVM's list has only the first level of a topology leaf. */
static void complete_topology(struct cpuid *c, uint32_t leaf)
{
	for (uint32_t index = 0; index <= 2; index++) {
		if (!find(c, leaf, 0) || find(c, leaf, index) ||
		    c->n == CPUID_MAX)
			continue;
		c->entries[c->n++] = (struct kvm_cpuid_entry2){
			.function = leaf,
			.index = index,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX};
	}
}

int cpuid_supported(struct kvm_vm *vm, struct cpuid *ret, struct err *err)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->n = CPUID_MAX;
	r = kvm_call(vm, vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, ret);
	if (r < 0)
		return err_set(err, r, "KVM does not tell its CPUID: %s",
		               strerror(-r));
	complete_topology(ret, 0xb);
	complete_topology(ret, 0x1f);
	return 0;
}

void cpuid_patch(struct cpuid *c, uint32_t id, uint32_t cpus)
{
	const struct cpu cpu = {id, cpus};
	bool amd = is_amd(c);

	for (uint32_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(patches); k++)
			if (c->entries[i].function == patches[k].leaf &&
			    (amd || !patches[k].amd_only))
				patches[k].fn(&c->entries[i], &cpu);
}
