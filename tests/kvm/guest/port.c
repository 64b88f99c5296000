/* port.c - ports and addresses: nothing, and the serial port's registers. */
#include "guest.h"

#define COM1 0x3f8
#define HOLE 0xd8000000ull /* between the devices and the IOAPIC */

static void nothing_at_ports(void)
{
	static const uint16_t ports[] = {0x0,   0x2f8, 0x2e8,
	                                 0x3f6, 0xcfc, 0xffff};
	uint64_t all = ~0ull;

	for (uint32_t i = 0; i < ARRAY_SIZE(ports); i++) {
		outb(ports[i], 0);
		all &= inb(ports[i]) | ~0xffull;
	}
	EQUAL("unknown ports, 1 byte", all, ~0ull);
	outw(0x600, 0);
	EQUAL("unknown port, 2 bytes", inw(0x600), 0xffff);
	outl(0xcf8, 0x80000000);
	EQUAL("unknown port, 4 bytes", inl(0xcfc), 0xffffffff);
}

static void nothing_at_addresses(void)
{
	write8(HOLE, 0);
	write16(HOLE, 0);
	write32(HOLE, 0);
	write64(HOLE, 0);
	EQUAL("hole, 1 byte", read8(HOLE + 1), 0xff);
	EQUAL("hole, 2 bytes", read16(HOLE + 2), 0xffff);
	EQUAL("hole, 4 bytes", read32(HOLE + 4), 0xffffffff);
	EQUAL("hole, 8 bytes", read64(HOLE), ~0ull);
	EQUAL("hole, across pages", read64(HOLE + PAGE - 4), ~0ull);
	EQUAL("below the devices", read32(0xcffffffc), 0xffffffff);
	EQUAL("behind the devices", read32(0xd0000000 + 32 * PAGE), 0xffffffff);
}

/* A string instruction is one exit with many bytes in KVM. */
static void strings(void)
{
	static const char text[] = "ok string of bytes to a port\n";
	const char *p = text;
	uint64_t n = sizeof(text) - 1;
	static uint16_t words[4] = {0, 0, 0, 0};
	void *to = words;

	__asm__ volatile("rep outsb"
	                 : "+S"(p), "+c"(n)
	                 : "d"((uint16_t)COM1)
	                 : "memory");
	n = 3;
	__asm__ volatile("rep insw"
	                 : "+D"(to), "+c"(n)
	                 : "d"((uint16_t)0x600)
	                 : "memory");
	CHECK("string of words from a port",
	      words[0] == 0xffff && words[2] == 0xffff && words[3] == 0);
}

/* While these bits are set, nothing that is said would be heard. */
static uint32_t divisor(void)
{
	uint32_t v;

	outb(COM1 + 3, 0x83);
	outb(COM1, 0x0c);
	outb(COM1 + 1, 0x01);
	v = inb(COM1) | (uint32_t)inb(COM1 + 1) << 8;
	outb(COM1, 1);
	outb(COM1 + 1, 0);
	outb(COM1 + 3, 0x03);
	return v;
}

static uint32_t modem(uint8_t mcr)
{
	uint32_t v;

	outb(COM1 + 4, mcr);
	v = inb(COM1 + 6) & 0xf0;
	if (mcr & 0x10)
		outb(COM1, '!'); /* must not be seen outside */
	outb(COM1 + 4, 0);
	return v;
}

static void registers(void)
{
	EQUAL("LSR is idle", inb(COM1 + 5) & 0x60, 0x60);
	outb(COM1 + 7, 0x5a);
	EQUAL("scratch register", inb(COM1 + 7), 0x5a);
	EQUAL("divisor", divisor(), 0x10c);
	EQUAL("LCR", inb(COM1 + 3), 0x03);
	EQUAL("IER is not the divisor", inb(COM1 + 1), 0);
	EQUAL("no interrupt", inb(COM1 + 2) & 0x0f, 0x01);
	outb(COM1 + 2, 0x01);
	EQUAL("FIFO enabled", inb(COM1 + 2) & 0xc0, 0xc0);
	outb(COM1 + 2, 0x00);
	EQUAL("FIFO disabled", inb(COM1 + 2) & 0xc0, 0);
	outb(COM1 + 1, 0xff);
	EQUAL("IER's upper bits", inb(COM1 + 1), 0x0f);
	outb(COM1 + 1, 0);
}

/* How Linux finds out that there is a port: MSR mirrors MCR. */
static void loopback(void)
{
	EQUAL("loopback: RTS, OUT2", modem(0x1a), 0x90);
	EQUAL("loopback: DTR, OUT1", modem(0x15), 0x60);
	EQUAL("modem is ready", modem(0) & 0xb0, 0xb0);
}

static void interrupt(void)
{
	const uint32_t had = irq_count[VECTOR(4)];
	uint32_t came, sent, iir, iir_after, last;

	lapic_on();
	ioapic_route(4, true);
	outb(COM1 + 4, 0x08); /* OUT2 lets interrupts out */
	irq_on();
	outb(COM1 + 1, 0x02);
	came = WAIT_FOR(irq_count[VECTOR(4)] != had);
	iir = inb(COM1 + 2) & 0x0f;
	iir_after = inb(COM1 + 2) & 0x0f;
	last = irq_count[VECTOR(4)];
	outb(COM1, '#');
	sent = WAIT_FOR(irq_count[VECTOR(4)] != last);
	outb(COM1 + 1, 0);
	outb(COM1, '\n');
	EQUAL("empty transmitter interrupts", came, true);
	EQUAL("IIR says why", iir, 0x02);
	EQUAL("and is acknowledged by that", iir_after, 0x01);
	EQUAL("a byte sent interrupts", sent, true);
	last = irq_count[VECTOR(4)];
	outb(COM1, '#');
	outb(COM1, '\n');
	pass(SECOND / 50);
	EQUAL("disabled it does not", irq_count[VECTOR(4)], last);
	irq_off();
}

void guest_main(void)
{
	nothing_at_ports();
	nothing_at_addresses();
	strings();
	registers();
	loopback();
	interrupt();
}
