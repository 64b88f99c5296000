/*
 * image.c - guest memory as our loader fills it, into two files: what is below
 * the BIOS, and what is from 1 MiB on.
 *
 *	image KERNEL INITRAMFS CMDLINE CPUS WANT MEMORY-MIB LOW HIGH
 *
 * WANT is 0, 1 or 2, as enum loader_want. Prints entry and address.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/fdio.h"
#include "base/num.h"
#include "vmm/kvm/loader.h"

#define BIOS 0xe0000u

static int save(const char *path, const void *data, size_t len)
{
	cleanup_close int fd =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd_write_full(fd, data, len);
}

static uint64_t number(const char *text, uint64_t max)
{
	uint64_t n;

	if (!num_parse_u64(text, max, &n))
		exit(2);
	return n;
}

int main(int argc, char **argv)
{
	struct guest_mem mem = {0};
	struct loader_start start;
	struct loader_image img;
	struct err err = {0};
	uint64_t len;
	uint8_t *ram;

	if (argc != 9)
		return 2;
	img = (struct loader_image){.kernel_fd = open(argv[1], O_RDONLY),
	                            .initramfs_fd = open(argv[2], O_RDONLY),
	                            .cmdline = argv[3],
	                            .cpus = (uint32_t)number(argv[4], 254),
	                            .want = (int)number(argv[5], 2)};
	len = number(argv[6], 3072) * MIB;
	ram = mmap(NULL, len, PROT_READ | PROT_WRITE,
	           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram == MAP_FAILED || guest_mem_add(&mem, 0, len, 0, ram) < 0)
		return 1;
	if (loader_load(&mem, &img, &start, &err) < 0) {
		(void)fprintf(stderr, "image: %s\n", err.msg);
		return 1;
	}
	if (save(argv[7], ram, BIOS) < 0 ||
	    save(argv[8], ram + LOADER_HIMEM, len - LOADER_HIMEM) < 0)
		return 1;
	printf("%d %llu\n", start.entry, (unsigned long long)start.rip);
	return 0;
}
