/*
 * boot.c - the first C code: what the loader told, in both of its languages
 * (hvm_start_info of PVH, boot_params of Linux), and pages to work with.
 */
#include "guest.h"
#include "trap.h"

struct boot boot;

struct hvm_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

#define PVH_MAGIC 0x336ec578u

static void read_pvh(uint64_t at)
{
	const struct hvm_start_info *s = (const void *)at;
	const uint64_t *module = (const void *)s->modlist;
	const struct {
		uint64_t addr, size;
		uint32_t type, reserved;
	} *map = (const void *)s->memmap;

	boot.pvh = true;
	if (s->magic != PVH_MAGIC)
		fail("start info", "magic 0x%x", s->magic);
	boot.cmdline = (const char *)s->cmdline;
	if (s->nr_modules) {
		boot.initramfs = module[0];
		boot.initramfs_size = module[1];
	}
	for (uint32_t i = 0; i < s->memmap_entries && i < 32; i++)
		boot.map[boot.nmap++] = (struct mem_range){
			map[i].addr, map[i].size, map[i].type};
}

static void read_linux(uint64_t at)
{
	uint64_t e = at + 0x2d0; /* entries of 20 bytes */

	if (read32(at + 0x202) != 0x53726448 || read16(at + 0x1fe) != 0xaa55)
		fail("boot_params", "magic 0x%x", read32(at + 0x202));
	boot.cmdline = (const char *)(uint64_t)read32(at + 0x228);
	boot.initramfs = read32(at + 0x218);
	boot.initramfs_size = read32(at + 0x21c);
	for (uint32_t i = 0; i < read8(at + 0x1e8) && i < 32; i++, e += 20)
		boot.map[boot.nmap++] = (struct mem_range){
			read64(e), read64(e + 8), read32(e + 16)};
}

void guest_start(uint32_t how, uint64_t info);

void guest_start(uint32_t how, uint64_t info)
{
	if (how == 0)
		read_pvh(info);
	else
		read_linux(info);
	trap_tables();
	guest_main();
	guest_done();
}

/* ---- the command line ---- */

const char *boot_word(const char *name)
{
	const size_t len = strlen(name);

	for (const char *s = boot.cmdline; *s; s++)
		if ((s == boot.cmdline || s[-1] == ' ') &&
		    starts_with(s, name) && s[len] == '=')
			return s + len + 1;
	return NULL;
}

bool boot_is(const char *name, const char *value)
{
	const char *w = boot_word(name);
	const size_t len = strlen(value);

	return w && starts_with(w, value) && (w[len] == ' ' || !w[len]);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return 99;
}

uint64_t number_at(const char **s)
{
	uint32_t base = starts_with(*s, "0x") ? 16 : 10;
	uint64_t v = 0;

	if (base == 16)
		*s += 2;
	for (; digit(**s) < (int)base; ++*s)
		v = v * base + (uint64_t)digit(**s);
	return v;
}

uint64_t boot_number(const char *name, uint64_t otherwise)
{
	const char *w = boot_word(name);

	return w ? number_at(&w) : otherwise;
}

/* ---- memory ---- */

uint64_t ram_end(void)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < boot.nmap; i++) {
		const struct mem_range *r = &boot.map[i];

		if (r->type == 1 && r->addr + r->size > end &&
		    r->addr < 1ull << 32)
			end = r->addr + r->size;
	}
	return end;
}

/* From 4 MiB on: a page of memory that nobody loaded anything into. */
void *pages(size_t n)
{
	static uint64_t next = 4 << 20;
	uint64_t size = PAGE;
	void *p;

	while (size < n * PAGE)
		size *= 2;
	next = (next + size - 1) & ~(size - 1);
	p = (void *)next;
	next += n * PAGE;
	memset(p, 0, n * PAGE);
	return p;
}
