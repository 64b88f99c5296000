/* trap.c - exceptions, which end the guest with a line, and interrupts. */
#include "trap.h"

#include "guest.h"

struct frame {
	uint64_t saved[9]; /* as trap_common pushes them */
	uint64_t vector, error, rip, cs, flags, rsp, ss;
};

extern const uint8_t trap_entries[64][16];
void guest_trap(struct frame *f);

volatile uint32_t irq_count[64];
volatile uint32_t faults_seen;
static volatile uint32_t fault_skip;

static struct {
	uint16_t offset0, selector, flags, offset1;
	uint32_t offset2, zero;
} idt[64];

void trap_load(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) p = {sizeof(idt) - 1, (uint64_t)idt};

	__asm__ volatile("lidt %0" : : "m"(p));
}

void trap_tables(void)
{
	for (uint32_t i = 0; i < 64; i++) {
		uint64_t at = (uint64_t)trap_entries[i];

		idt[i].offset0 = (uint16_t)at;
		idt[i].selector = 0x10;
		idt[i].flags = 0x8e00; /* present, interrupt gate */
		idt[i].offset1 = (uint16_t)(at >> 16);
	}
	trap_load();
}

void faults_skip(uint32_t bytes)
{
	fault_skip = bytes;
}

static uint64_t read_cr2(void)
{
	uint64_t v;

	__asm__ volatile("movq %%cr2, %0" : "=r"(v));
	return v;
}

void guest_trap(struct frame *f)
{
	if (f->vector < 32 && fault_skip) {
		faults_seen++;
		f->rip += fault_skip;
		return;
	}
	if (f->vector < 32) {
		fail("panic", "exception %lu error 0x%lx rip 0x%lx cr2 0x%lx",
		     f->vector, f->error, f->rip, read_cr2());
		guest_reset();
	}
	__atomic_fetch_add(&irq_count[f->vector], 1, __ATOMIC_RELAXED);
	if (f->vector != VECTOR_SPURIOUS)
		write32(LAPIC + 0xb0, 0);
}

/* ---- the interrupt controllers ---- */

#define IOAPIC 0xfec00000ull

void lapic_on(void)
{
	outb(0x21, 0xff); /* the 8259s are wired to the same lines */
	outb(0xa1, 0xff);
	write32(LAPIC + 0x80, 0);
	write32(LAPIC + 0xf0, 0x100 | VECTOR_SPURIOUS);
}

uint32_t lapic_id(void)
{
	return read32(LAPIC + 0x20) >> 24;
}

void lapic_timer(bool periodic, uint32_t count)
{
	write32(LAPIC + 0x3e0, 0xb); /* divide by 1 */
	write32(LAPIC + 0x320, VECTOR_TIMER | (periodic ? 0x20000 : 0));
	write32(LAPIC + 0x380, count);
}

void lapic_send(uint32_t to, uint32_t command)
{
	write32(LAPIC + 0x310, to << 24);
	write32(LAPIC + 0x300, command);
	(void)WAIT_FOR(!(read32(LAPIC + 0x300) & 0x1000));
}

uint32_t ioapic_read(uint32_t reg)
{
	write32(IOAPIC, reg);
	return read32(IOAPIC + 0x10);
}

void ioapic_route(uint32_t gsi, bool enabled)
{
	write32(IOAPIC, 0x11 + 2 * gsi);
	write32(IOAPIC + 0x10, 0); /* to processor 0 */
	write32(IOAPIC, 0x10 + 2 * gsi);
	write32(IOAPIC + 0x10, VECTOR(gsi) | (enabled ? 0 : 0x10000));
}
