/* text.c - lines on the serial port, and the little of libc that gcc wants. */
#include <stdarg.h>

#include "guest.h"

#define COM1 0x3f8

static void put(char c)
{
	outb(COM1, (uint8_t)c);
}

static void put_string(const char *s)
{
	while (*s)
		put(*s++);
}

static void put_number(uint64_t v, uint32_t base)
{
	char digits[20];
	uint32_t n = 0;

	do
		digits[n++] = "0123456789abcdef"[v % base];
	while (v /= base);
	while (n)
		put(digits[--n]);
}

static void vsay(const char *fmt, va_list ap)
{
	for (; *fmt; fmt++) {
		bool wide = false;

		if (*fmt != '%') {
			put(*fmt);
			continue;
		}
		while (*++fmt == 'l')
			wide = true;
		if (*fmt == 's')
			put_string(va_arg(ap, const char *));
		else if (*fmt == 'c')
			put((char)va_arg(ap, int));
		else
			put_number(wide ? va_arg(ap, uint64_t)
			                : va_arg(ap, uint32_t),
			           *fmt == 'x' ? 16 : 10);
	}
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(fmt, ap);
	va_end(ap);
	put('\n');
}

void ok(const char *name)
{
	say("ok %s", name);
}

void fail(const char *name, const char *fmt, ...)
{
	va_list ap;

	put_string("not ok ");
	put_string(name);
	put_string(": ");
	va_start(ap, fmt);
	vsay(fmt, ap);
	va_end(ap);
	put('\n');
}

void check(bool good, const char *name, const char *what)
{
	if (good)
		ok(name);
	else
		fail(name, "%s", what);
}

void equal(const char *name, uint64_t got, uint64_t want)
{
	if (got == want)
		ok(name);
	else
		fail(name, "0x%lx instead of 0x%lx", got, want);
}

void guest_reset(void)
{
	outb(0x64, 0xfe);
	pass(SECOND / 4);
	fail("reset", "port 0x64 does nothing");
	guest_triple_fault();
}

void guest_triple_fault(void)
{
	static const uint8_t empty[10];

	__asm__ volatile("lidt %0; ud2" : : "m"(empty));
	__builtin_unreachable();
}

void guest_done(void)
{
	say("done");
	guest_reset();
}

bool before(uint64_t deadline)
{
	for (int i = 0; i < 20; i++)
		relax();
	return (int64_t)(deadline - rdtsc()) > 0;
}

uint64_t in(uint64_t cycles)
{
	return rdtsc() + cycles;
}

void pass(uint64_t cycles)
{
	uint64_t end = in(cycles);

	while (before(end))
		;
}

void *memset(void *to, int c, size_t n)
{
	uint64_t words = n / 8, bytes = n % 8;
	void *p = to;

	/* Emulated, each step takes the same time. */
	__asm__ volatile("rep stosq"
	                 : "+D"(p), "+c"(words)
	                 : "a"((uint8_t)c * 0x0101010101010101)
	                 : "memory");
	__asm__ volatile("rep stosb"
	                 : "+D"(p), "+c"(bytes)
	                 : "a"(c)
	                 : "memory");
	return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
	void *p = to;

	__asm__ volatile("rep movsb"
	                 : "+D"(p), "+S"(from), "+c"(n)
	                 :
	                 : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

bool starts_with(const char *s, const char *prefix)
{
	while (*prefix)
		if (*s++ != *prefix++)
			return false;
	return true;
}
