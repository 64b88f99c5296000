/*
 * guest.h - what a freestanding guest has instead of an operating system.
 *
 * A guest is one guest_main(). It speaks in lines on the serial port, which
 * the harness reads:
 *
 *	ok NAME            not ok NAME: why
 *	please WORD ...    the host does something and says so in its own way
 *	done               the last one; the machine resets
 *
 * Everything is identity-mapped, one stack a processor, no heap but pages that
 * are never given back, no libc. Interrupts are off until irq_on().
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PAGE          4096u

/* About a second at the usual 2 to 3 GHz: for limits, not for clocks. */
#define SECOND 2500000000ull

void guest_main(void); /* the guest's own */

/* ---- the processor ---- */

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid c;

	__asm__ volatile("cpuid"
	                 : "=a"(c.eax), "=b"(c.ebx), "=c"(c.ecx), "=d"(c.edx)
	                 : "a"(leaf), "c"(subleaf));
	return c;
}

static inline void fence(void) /* mfence is not emulated everywhere */
{
	__asm__ volatile("lock; addl $0, -64(%%rsp)" : : : "memory");
}

static inline void relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static inline void irq_off(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static inline void irq_on(void)
{
	__asm__ volatile("sti" : : : "memory");
}

/* Let interrupts in and sleep until one came. */
static inline void irq_wait(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

#define MMIO(bits)                                                             \
	static inline uint##bits##_t read##bits(uint64_t at)                   \
	{                                                                      \
		return *(volatile uint##bits##_t *)at;                         \
	}                                                                      \
	static inline void write##bits(uint64_t at, uint##bits##_t v)          \
	{                                                                      \
		*(volatile uint##bits##_t *)at = v;                            \
	}
MMIO(8);
MMIO(16);
MMIO(32);
MMIO(64);
#undef MMIO

/* ---- text ---- */

/* %s, %c, %u, %x with l for 64 bits; nothing else. One writer at a
   time. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void ok(const char *name);
void fail(const char *name, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* One test: "ok NAME", or "not ok NAME: CONDITION". */
#define CHECK(name, cond) check((cond), (name), #cond)
void check(bool good, const char *name, const char *what);

/* The same with both values. */
#define EQUAL(name, got, want) equal((name), (uint64_t)(got), (uint64_t)(want))
void equal(const char *name, uint64_t got, uint64_t want);

_Noreturn void guest_done(void);  /* "done", then reset */
_Noreturn void guest_reset(void); /* by the keyboard controller */
_Noreturn void guest_triple_fault(void);

/* Ask the host for something and give it the processor time to read it. */
#define please(...) say("please " __VA_ARGS__)

/* True until @cycles went by; sleeps a little between. */
bool before(uint64_t deadline);
uint64_t in(uint64_t cycles);
void pass(uint64_t cycles);

/*
 * How long something may take: long, as the host may be busy and then gives
 * each processor its turn only now and then.
 */
#define PATIENCE (15 * SECOND)

/* Wait for @cond; its value in the end. */
#define WAIT_FOR(cond)                                                         \
	({                                                                     \
		uint64_t end_ = in(PATIENCE);                                  \
		while (!(cond) && before(end_))                                \
			;                                                      \
		(bool)(cond);                                                  \
	})

void *memset(void *to, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
bool starts_with(const char *s, const char *prefix);

/* ---- what the loader said ---- */

struct mem_range {
	uint64_t addr, size;
	uint32_t type; /* 1: usable */
};

struct boot {
	bool pvh;
	const char *cmdline;
	struct mem_range map[32];
	uint32_t nmap;
	uint64_t initramfs, initramfs_size;
};

extern struct boot boot;

/* The value of "NAME=" on the command line, or NULL; ends at a space. */
const char *boot_word(const char *name);
bool boot_is(const char *name, const char *value); /* NAME=VALUE is there */
uint64_t boot_number(const char *name, uint64_t otherwise);
uint64_t number_at(const char **s); /* 0x hexadecimal or decimal, and past it */

void *pages(size_t n);  /* zeroed, aligned to their size's power of two */
uint64_t ram_end(void); /* behind the last usable byte below the hole */

/* ---- interrupts ---- */

#define VECTOR(gsi)     (0x30 + (gsi))
#define VECTOR_TIMER    0x2e
#define VECTOR_IPI      0x2f
#define VECTOR_SPURIOUS 0x3f

extern volatile uint32_t irq_count[64]; /* by vector, all processors */

#define LAPIC 0xfee00000ull
void lapic_on(void); /* and the 8259s masked; each processor once */
uint32_t lapic_id(void);
void lapic_timer(bool periodic, uint32_t count);
void lapic_send(uint32_t to, uint32_t command);
void ioapic_route(uint32_t gsi, bool enabled); /* edge, to processor 0 */
uint32_t ioapic_read(uint32_t reg);

/* Skip instructions that fault instead of panicking: how many did. */
extern volatile uint32_t faults_seen;
void faults_skip(uint32_t bytes); /* length of the instruction; 0: panic */

/* ---- processors ---- */

/* Start all of @ids but our own; they call @run(number) 1..n-1. */
void smp_start(const uint8_t *ids, uint32_t n, void (*run)(uint32_t number));

/* The processors that the MP table lists; 0 when it is none or wrong. */
uint32_t mptable_cpus(uint8_t *ids, uint32_t max);

#endif
