/* smp.c - processors of the MP table, started, counting and interrupting. */
#include "guest.h"

#define CPUS_MAX 8
#define ROUNDS   500

static volatile uint32_t count, ready, pings, go;
static volatile uint32_t seen_ids[CPUS_MAX], seen_cpuid[CPUS_MAX],
	seen_leafb[CPUS_MAX];

static void ap(uint32_t number)
{
	seen_ids[number] = lapic_id();
	seen_cpuid[number] = cpuid(1, 0).ebx >> 24;
	seen_leafb[number] =
		cpuid(0, 0).eax >= 0xb ? cpuid(0xb, 0).edx : lapic_id();
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	while (!go)
		relax();
	for (int i = 0; i < ROUNDS; i++)
		__atomic_fetch_add(&count, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		irq_wait();
		__atomic_fetch_add(&pings, 1, __ATOMIC_SEQ_CST);
	}
}

static void table(const uint8_t *ids, uint32_t n)
{
	uint32_t own = 0;

	EQUAL("processors in the MP table", n, boot_number("cpus", 1));
	for (uint32_t i = 0; i < n; i++) {
		say("processor %u has APIC id %u", i, ids[i]);
		own += ids[i] == lapic_id();
	}
	EQUAL("our own is one of them", own, 1);
	EQUAL("IOAPIC has 24 lines", ioapic_read(1) >> 16 & 0xff, 23);
}

/* The entries behind the processors', as Linux wants them. */
static void lines(void)
{
	uint64_t at = read32(0x9fc04), e = at + 44;
	uint32_t buses = 0, ioapics = 0, interrupts = 0, identity = 0;

	if (read32(0x9fc00) != 0x5f504d5f)
		return; /* somewhere else: QEMU */
	for (uint32_t i = 0; i < read16(at + 34); i++) {
		switch (read8(e)) {
		case 0:
			e += 12;
			break;
		case 1:
			buses++;
			break;
		case 2:
			ioapics += read32(e + 4) == 0xfec00000 && read8(e + 3);
			break;
		case 3:
			interrupts++;
			identity += read8(e + 5) == read8(e + 7);
			break;
		default:
			break;
		}
		e += 8;
	}
	EQUAL("one IOAPIC", ioapics, 1);
	CHECK("a bus", buses);
	CHECK("interrupt lines", interrupts >= 16 && identity == interrupts);
	EQUAL("LAPIC address", read32(at + 36), LAPIC);
}

static void together(const uint8_t *ids, uint32_t n)
{
	uint32_t wrong = 0;

	CHECK("all are started", WAIT_FOR(ready == n - 1));
	for (uint32_t i = 1; i < n; i++)
		wrong += seen_ids[i] != ids[i] || seen_cpuid[i] != ids[i] ||
		         seen_leafb[i] != ids[i];
	EQUAL("processors with a wrong id", wrong, 0);
	go = 1;
	CHECK("all have counted", WAIT_FOR(ready == 2 * (n - 1)));
	EQUAL("no count is lost", count, ROUNDS * (n - 1));
	pass(SECOND / 20); /* now they sleep */
	for (uint32_t i = 1; i < n; i++)
		lapic_send(ids[i], 0x4000 | VECTOR_IPI);
	CHECK("each wakes up by an interrupt", WAIT_FOR(pings == n - 1));
	EQUAL("interrupts between processors", irq_count[VECTOR_IPI], n - 1);
}

void guest_main(void)
{
	uint8_t ids[CPUS_MAX];
	uint32_t n = mptable_cpus(ids, CPUS_MAX);

	lapic_on();
	table(ids, n);
	lines();
	if (!n)
		return;
	smp_start(ids, n, ap);
	together(ids, n);
}
