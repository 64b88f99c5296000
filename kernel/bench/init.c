/* The smallest init: says that it runs, then ends the machine. No libc: start-up cost is the kernel's alone. */

static long call(long nr, long a, long b, long c, long d)
{
	long ret;
	register long r10 __asm__("r10") = d;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return ret;
}

void _start(void)
{
	static const char marker[] = "MSB-INIT\n";

	call(1 /* write */, 1, (long)marker, sizeof(marker) - 1, 0);
	call(169 /* reboot */, 0xfee1dead, 0x28121969, 0x01234567 /* restart */, 0);
	for (;;)
		call(34 /* pause */, 0, 0, 0, 0);
}
