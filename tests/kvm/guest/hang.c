/*
 * hang.c - a guest that does not end by itself. mode= halt (interrupts off, so
 * for ever), spin, ticks (writes a dot now and then; the host pauses it), all
 * (every processor spins).
 */
#include "guest.h"

static volatile uint32_t spinning;

static void spin(uint32_t number)
{
	(void)number;
	__atomic_fetch_add(&spinning, 1, __ATOMIC_SEQ_CST);
	for (;;)
		relax();
}

/* The host stops us at some time: seen as a jump of the TSC between two reads.
 */
static void ticks(void)
{
	uint64_t last = rdtsc(), longest = 0;

	please("pause");
	for (int i = 0; i < 60; i++) {
		pass(SECOND / 100);
		say("tick");
		if (rdtsc() - last > longest)
			longest = rdtsc() - last;
		last = rdtsc();
	}
	CHECK("the pause was noticed", longest > SECOND / 4);
}

static void spin_all(void)
{
	uint8_t ids[8];
	uint32_t n = mptable_cpus(ids, 8);

	smp_start(ids, n, spin);
	CHECK("all are running", WAIT_FOR(spinning == n - 1));
	please("kill");
	spin(0);
}

void guest_main(void)
{
	lapic_on();
	if (boot_is("mode", "ticks")) {
		ticks();
		return;
	}
	if (boot_is("mode", "all"))
		spin_all();
	please("kill");
	if (boot_is("mode", "halt"))
		for (;;)
			__asm__ volatile("cli; hlt");
	for (;;)
		relax();
}
