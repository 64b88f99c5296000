/*
 * fault.c - how a machine ends. mode= reset, triple, ap-triple, exec (a jump
 * to where no memory is), exception (which the library's handler reports).
 */
#include "guest.h"

static void ap(uint32_t number)
{
	say("processor %u faults", number);
	guest_triple_fault();
}

static void end_by_ap(void)
{
	uint8_t ids[8];
	uint32_t n = mptable_cpus(ids, 8);

	lapic_on();
	smp_start(ids, n, ap);
	for (;;)
		relax();
}

void guest_main(void)
{
	lapic_on();
	say("mode %s", boot_word("mode"));
	if (boot_is("mode", "triple"))
		guest_triple_fault();
	if (boot_is("mode", "ap-triple"))
		end_by_ap();
	if (boot_is("mode", "exec"))
		((void (*)(void))0xd8000000)();
	if (boot_is("mode", "exception"))
		__asm__ volatile("ud2");
	if (boot_is("mode", "reset"))
		guest_reset();
	fail("mode", "unknown");
}
