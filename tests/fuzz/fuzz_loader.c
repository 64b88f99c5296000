/*
 * A kernel file somebody made: byte 0 chooses the entry, the machine's memory
 * and whether to map; byte 1 how many pages of zeros follow the file; bytes 2
 * and 3 the initramfs' pages and the processors; the rest is the file.
 *
 * Whatever it is, nothing outside the memory is touched (its neighbours cannot
 * be), a refusal says why and has written no boot table, and what is started
 * starts above the first MiB and inside the memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"
#include "vmm/kvm/loader.h"

#define HEAD    4
#define RAM_MAX (64 * MIB)
#define PAGE    4096

static uint8_t *ram;
static int kernel_fd, initramfs_fd;

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* Fresh zeros, also where a file was mapped. */
static void clear(void)
{
	check(mmap(ram, RAM_MAX, PROT_READ | PROT_WRITE,
	           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
	           0) == ram);
}

static void prepare(void)
{
	if (ram)
		return;
	ram = mmap(NULL, RAM_MAX + 2 * MIB, PROT_NONE,
	           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	check(ram != MAP_FAILED);
	ram += MIB;
	kernel_fd = memfd_create("kernel", MFD_CLOEXEC);
	initramfs_fd = memfd_create("initramfs", MFD_CLOEXEC);
	check(kernel_fd >= 0 && initramfs_fd >= 0);
	check(fchmod(kernel_fd, 0600) == 0); /* so that it may be mapped */
}

static void write_kernel(const uint8_t *data, size_t size, unsigned pages)
{
	check(ftruncate(kernel_fd, 0) == 0);
	check(pwrite(kernel_fd, data, size, 0) == (ssize_t)size);
	check(ftruncate(kernel_fd, (off_t)(size + (size_t)pages * PAGE)) == 0);
}

static void check_refused(int r, const struct err *err)
{
	check(r == -ENOEXEC || r == -E2BIG || r == -EINVAL);
	check(err->code == r && err->msg[0]);
	check(get_le64(ram + LOADER_GDT + 8) == 0);
	check(get_le64(ram + LOADER_MPTABLE) == 0);
}

static void check_started(const struct loader_start *s, uint64_t len)
{
	const char *line = (char *)ram + LOADER_CMDLINE;

	check(s->rip >= LOADER_HIMEM && s->rip < len);
	check(s->entry == LOADER_ENTRY_PVH || s->entry == LOADER_ENTRY_64);
	check(memcmp(ram + LOADER_MPTABLE, "_MP_", 4) == 0);
	check(strcmp(line, "quiet") == 0);
	/* The stack and what lies between the tables is nobody's. */
	check(get_le64(ram + LOADER_STACK) == 0);
	check(get_le64(ram + LOADER_CMDLINE - 8) == 0);
	check(get_le64(ram + LOADER_HIMEM - 8) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct loader_image img = {.initramfs_fd = -1, .cmdline = "quiet"};
	struct guest_mem mem = {0};
	struct loader_start s = {0};
	struct err err = {0};
	uint64_t len;
	int r;

	if (size < HEAD)
		return -1;
	prepare();
	clear();
	len = (8 * MIB) << (data[0] >> 2 & 3);
	check(guest_mem_add(&mem, 0, len, 0, ram) == 0);
	write_kernel(data + HEAD, size - HEAD, data[1]);
	img.kernel_fd = kernel_fd;
	img.want = data[0] & 3;
	img.map_kernel = data[0] >> 4 & 1;
	img.cpus = data[3];
	if (data[2]) {
		img.initramfs_fd = initramfs_fd;
		check(ftruncate(initramfs_fd, (off_t)data[2] * PAGE - 5) == 0);
	}
	r = loader_load(&mem, &img, &s, &err);
	if (r < 0)
		check_refused(r, &err);
	else
		check_started(&s, len);
	return 0;
}
