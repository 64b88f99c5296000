/*
 * The tables by which a kernel without ACPI finds its processors and its
 * interrupt lines (Intel MultiProcessor Specification 1.4): a floating pointer
 * at LOADER_MPTABLE, where every kernel looks for it (last KiB of base
 * memory), and right behind it the configuration table. With more than about
 * 35 processors that goes on past 0xa0000, which is plain memory here and
 * reserved up to 1 MiB by the map of memory.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "vmm/kvm/loader.h"

#include "base/banned.h"

#define LINES        24u /* pins of the interrupt controller */
#define LAPIC_ADDR   0xfee00000u
#define IOAPIC_ADDR  0xfec00000u
#define APIC_VERSION 0x14u
#define SPEC_1_4     4u

enum {
	ENTRY_CPU,
	ENTRY_BUS,
	ENTRY_IOAPIC,
	ENTRY_LINE,
	ENTRY_LOCAL,
};

#define CPU_ENABLED   1u
#define CPU_BOOT      2u
#define CPU_FAMILY    0x600u
#define CPU_FPU       (1u << 0)
#define CPU_APIC      (1u << 9)
#define IOAPIC_USABLE 1u
#define BUS_ISA       0u
#define LINE_INT      0u
#define LINE_NMI      1u
#define LINE_EXTINT   3u
#define ALL_CPUS      0xffu

struct floating {
	char signature[4];
	uint32_t table;
	uint8_t length, spec, checksum, features[5];
};

struct table {
	char signature[4];
	uint16_t length;
	uint8_t spec, checksum;
	char oem[8], product[12];
	uint32_t oem_table;
	uint16_t oem_length, entries;
	uint32_t lapic;
	uint16_t ext_length;
	uint8_t ext_checksum, reserved;
};

struct cpu {
	uint8_t type, id, version, flags;
	uint32_t signature, features, reserved[2];
};

struct bus {
	uint8_t type, id;
	char name[6];
};

struct ioapic {
	uint8_t type, id, version, flags;
	uint32_t addr;
};

/* Of the interrupt controller, or of the processors' own two pins. */
struct line {
	uint8_t type, kind;
	uint16_t flags; /* 0: as the bus has it, so edges that go up */
	uint8_t bus, irq, to_id, to_pin;
};

static_assert(sizeof(struct floating) == 16, "1.4, table 4-1");
static_assert(sizeof(struct table) == 44, "1.4, table 4-2");
static_assert(sizeof(struct cpu) == 20, "1.4, table 4-4");
static_assert(sizeof(struct bus) == 8, "1.4, table 4-7");
static_assert(sizeof(struct ioapic) == 8, "1.4, table 4-9");
static_assert(sizeof(struct line) == 8, "1.4, table 4-10");

#define TABLE_LEN(cpus)                                                        \
	(sizeof(struct table) + (cpus) * sizeof(struct cpu) +                  \
	 sizeof(struct bus) + sizeof(struct ioapic) +                          \
	 (LINES + 2) * sizeof(struct line))

static_assert(LOADER_MPTABLE + sizeof(struct floating) +
                              TABLE_LEN(LOADER_CPUS_MAX) <=
                      LOADER_HIMEM,
              "the table must end below the kernel");

/* The byte that makes the sum of all zero. */
static uint8_t checksum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}

static uint8_t *put(uint8_t *at, const void *entry, size_t len)
{
	memcpy(at, entry, len);
	return at + len;
}

static uint8_t *put_cpus(uint8_t *at, uint32_t cpus)
{
	for (uint32_t i = 0; i < cpus; i++) {
		const struct cpu c = {.type = ENTRY_CPU,
		                      .id = (uint8_t)i,
		                      .version = APIC_VERSION,
		                      .flags = CPU_ENABLED |
		                               (i == 0 ? CPU_BOOT : 0),
		                      .signature = CPU_FAMILY,
		                      .features = CPU_FPU | CPU_APIC};

		at = put(at, &c, sizeof(c));
	}
	return at;
}

static uint8_t *put_lines(uint8_t *at, uint8_t ioapic_id)
{
	const struct line extint = {.type = ENTRY_LOCAL,
	                            .kind = LINE_EXTINT,
	                            .bus = BUS_ISA,
	                            .to_id = 0,
	                            .to_pin = 0};
	const struct line nmi = {.type = ENTRY_LOCAL,
	                         .kind = LINE_NMI,
	                         .bus = BUS_ISA,
	                         .to_id = ALL_CPUS,
	                         .to_pin = 1};

	for (uint8_t i = 0; i < LINES; i++) {
		const struct line l = {.type = ENTRY_LINE,
		                       .kind = LINE_INT,
		                       .bus = BUS_ISA,
		                       .irq = i,
		                       .to_id = ioapic_id,
		                       .to_pin = i};

		at = put(at, &l, sizeof(l));
	}
	at = put(at, &extint, sizeof(extint));
	return put(at, &nmi, sizeof(nmi));
}

static void put_table(uint8_t *at, uint32_t cpus)
{
	const struct bus isa = {
		.type = ENTRY_BUS, .id = BUS_ISA, .name = "ISA   "};
	const struct ioapic ioapic = {.type = ENTRY_IOAPIC,
	                              .id = (uint8_t)cpus,
	                              .version = APIC_VERSION,
	                              .flags = IOAPIC_USABLE,
	                              .addr = IOAPIC_ADDR};
	struct table t = {.signature = "PCMP",
	                  .length = (uint16_t)TABLE_LEN(cpus),
	                  .spec = SPEC_1_4,
	                  .oem = "MSANDBOX",
	                  .product = "microsandbox",
	                  .entries = (uint16_t)(cpus + 2 + LINES + 2),
	                  .lapic = LAPIC_ADDR};
	uint8_t *start = at;

	at = put(at, &t, sizeof(t));
	at = put_cpus(at, cpus);
	at = put(at, &isa, sizeof(isa));
	at = put(at, &ioapic, sizeof(ioapic));
	at = put_lines(at, ioapic.id);
	t.checksum = checksum(start, (size_t)(at - start));
	(void)put(start, &t, sizeof(t));
}

int loader_mptable(const struct guest_mem *mem, uint32_t cpus)
{
	struct floating f = {.signature = "_MP_",
	                     .table = LOADER_MPTABLE + sizeof(f),
	                     .length = sizeof(f) / 16,
	                     .spec = SPEC_1_4};
	uint8_t *at;

	if (cpus == 0 || cpus > LOADER_CPUS_MAX)
		return -EINVAL;
	at = guest_mem_at(mem, LOADER_MPTABLE, sizeof(f) + TABLE_LEN(cpus));
	if (!at)
		return -EFAULT;
	f.checksum = checksum(&f, sizeof(f));
	put_table(put(at, &f, sizeof(f)), cpus);
	return 0;
}
