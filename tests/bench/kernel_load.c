/*
 * kernel_load.c - what it costs to put a kernel into fresh guest memory, read
 * or mapped, and to touch it afterwards as a guest does page by page.
 *
 *	kernel_load VMLINUX ROUNDS
 *
 * Prints one line per way: microseconds to load, to read one byte of each page
 * of the kernel then, to write one byte of each page then (the least and the
 * middle of all rounds), and private memory after loading and after reading.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "vmm/kvm/loader.h"

#define RAM_LEN    (256 * MIB)
#define KERNEL     (16 * MIB) /* where ours is linked to, and its length */
#define KERNEL_LEN (15 * MIB)
#define PAGE       4096
#define ROUNDS_MAX 1000

static const struct way {
	const char *name;
	bool map;
	int advice; /* for the kernel's part of memory, -1: none */
} ways[] = {
	{"read",		    false, -1                 },
	{"read, pages made first",  false, MADV_POPULATE_WRITE},
	{"read, huge pages",        false, MADV_HUGEPAGE      },
	{"map",		     true,  -1                 },
	{"map, rest in huge pages", true,  MADV_HUGEPAGE      },
};

enum { LOAD, READ, WRITE, STEPS };

struct times {
	uint64_t us[STEPS][ROUNDS_MAX];
	uint64_t private_kib[2];
};

static uint64_t since(uint64_t start)
{
	return (clock_now_ns() - start) / 1000;
}

/* Resident and not of a file, in KiB. */
static uint64_t private_kib(void)
{
	unsigned long long size, resident, shared;
	FILE *cleanup_fclose f = fopen("/proc/self/statm", "re");

	if (!f || fscanf(f, "%llu %llu %llu", &size, &resident, &shared) != 3)
		return 0;
	return (resident - shared) * (PAGE / 1024);
}

static uint64_t touch(volatile uint8_t *p, bool write)
{
	uint64_t start = clock_now_ns();

	for (size_t i = 0; i < KERNEL_LEN; i += PAGE) {
		if (write)
			p[i] = p[i];
		else
			(void)p[i];
	}
	return since(start);
}

static int one_round(int fd, const struct way *w, unsigned round,
                     struct times *t, struct err *err)
{
	const struct loader_image img = {.kernel_fd = fd,
	                                 .initramfs_fd = -1,
	                                 .cmdline = "quiet",
	                                 .cpus = 1,
	                                 .map_kernel = w->map};
	uint8_t *all = mmap(NULL, RAM_LEN + 2 * MIB, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *ram = (uint8_t *)num_align_up((uintptr_t)all, 2 * MIB);
	struct guest_mem mem = {0};
	struct loader_start s;
	uint64_t before = private_kib(), start;
	int r;

	if (all == MAP_FAILED)
		return err_set(err, -ENOMEM, "out of memory");
	start = clock_now_ns();
	if (w->advice >= 0)
		(void)madvise(ram + KERNEL, KERNEL_LEN, w->advice);
	r = guest_mem_add(&mem, 0, RAM_LEN, 0, ram);
	if (r == 0)
		r = loader_load(&mem, &img, &s, err);
	t->us[LOAD][round] = since(start);
	t->private_kib[0] = private_kib() - before;
	t->us[READ][round] = touch(ram + KERNEL, false);
	t->private_kib[1] = private_kib() - before;
	t->us[WRITE][round] = touch(ram + KERNEL, true);
	(void)munmap(all, RAM_LEN + 2 * MIB);
	return r;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print(const struct way *w, struct times *t, unsigned rounds)
{
	static const char *const names[STEPS] = {"load", "read", "write"};

	printf("%-24s", w->name);
	for (int i = 0; i < STEPS; i++) {
		qsort(t->us[i], rounds, sizeof(t->us[i][0]), by_size);
		printf(" %s %5llu %5llu us", names[i],
		       (unsigned long long)t->us[i][0],
		       (unsigned long long)t->us[i][rounds / 2]);
	}
	printf(" private %llu, %llu KiB\n",
	       (unsigned long long)t->private_kib[0],
	       (unsigned long long)t->private_kib[1]);
}

int main(int argc, char **argv)
{
	static struct times times[ARRAY_SIZE(ways)];
	struct err err = {0};
	uint64_t rounds;
	int fd, r = 0;

	if (argc != 3 || !num_parse_u64(argv[2], ROUNDS_MAX, &rounds) ||
	    rounds == 0)
		return 2;
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	/* In turns, so that what else the host does hits all alike. */
	for (unsigned i = 0; r == 0 && i < rounds; i++)
		for (size_t w = 0; r == 0 && w < ARRAY_SIZE(ways); w++)
			r = one_round(fd, &ways[w], i, &times[w], &err);
	for (size_t w = 0; r == 0 && w < ARRAY_SIZE(ways); w++)
		print(&ways[w], &times[w], (unsigned)rounds);
	if (r < 0)
		(void)fprintf(stderr, "kernel_load: %s\n", err.msg);
	return r < 0;
}
