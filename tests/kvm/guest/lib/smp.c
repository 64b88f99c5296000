/* smp.c - the MP table (Intel MP Specification 1.4), INIT and SIPI. */
#include "guest.h"
#include "trap.h"

#define AP_PAGE 0x10000ull

extern const uint8_t ap_start[], ap_end[];
extern volatile uint32_t ap_number;
void guest_start_ap(uint32_t number);

static void (*volatile ap_run)(uint32_t number);

void guest_start_ap(uint32_t number)
{
	trap_load();
	lapic_on();
	ap_run(number);
	for (;;)
		irq_wait();
}

#define ICR_INIT 0x4500u
#define ICR_SIPI 0x4600u

void smp_start(const uint8_t *ids, uint32_t n, void (*run)(uint32_t number))
{
	ap_run = run;
	memcpy((void *)AP_PAGE, ap_start, (size_t)(ap_end - ap_start));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t had = ap_number;

		if (ids[i] == lapic_id())
			continue;
		lapic_send(ids[i], ICR_INIT);
		lapic_send(ids[i], ICR_SIPI | AP_PAGE >> 12);
		if (!WAIT_FOR(ap_number != had))
			fail("SIPI", "processor %u does not start", ids[i]);
	}
}

static bool sums_to_zero(uint64_t at, uint32_t len)
{
	uint8_t sum = 0;

	for (uint32_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + read8(at + i));
	return sum == 0;
}

static uint64_t find_pointer(uint64_t from, uint64_t to)
{
	for (; from < to; from += 16)
		if (read32(from) == 0x5f504d5f && sums_to_zero(from, 16))
			return from;
	return 0;
}

uint32_t mptable_cpus(uint8_t *ids, uint32_t max)
{
	uint64_t p = find_pointer(0x9fc00, 0xa0000), table, e;
	uint32_t n = 0;

	if (!p)
		p = find_pointer(0xf0000, 0x100000);
	table = p ? read32(p + 4) : 0;
	if (!table || read32(table) != 0x504d4350 ||
	    !sums_to_zero(table, read16(table + 4)))
		return 0;
	e = table + 44;
	for (uint32_t i = 0; i < read16(table + 34); i++) {
		if (read8(e) != 0) {
			e += 8;
			continue;
		}
		if (read8(e + 3) & 1 && n < max)
			ids[n++] = read8(e + 1);
		e += 20;
	}
	return e == table + read16(table + 4) ? n : 0;
}
