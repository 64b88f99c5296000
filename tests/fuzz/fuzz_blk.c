/* Requests to a disk: one byte of mode, then guest memory with the ring. */
#include "fuzz_guest.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "vmm/disk_dev.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define FILE_LEN 0x20000

static struct virtio_dev *disk(int fd, bool read_only)
{
	const struct disk_extent e[] = {
		{fd, 0x1000, 0x4000},
		{fd, 0x8000, 0x200 },
		{fd, 0x9000, 0x8000}
        };
	const struct disk_dev_config cfg = {e, 3, read_only, "fuzz", NULL, 0};
	struct virtio_dev *d;

	if (disk_dev_new(&cfg, &d, NULL) < 0)
		abort();
	return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct virtio_dev *dev[2];
	static int fd = -1;
	struct fuzz_guest g;
	struct virtio_dev *d;
	uint8_t first = 0;
	struct stat st;

	if (fd < 0) {
		log_setup("fuzz", 2, LOG_NONE);
		fd = memfd_create("disk", MFD_CLOEXEC);
		if (ftruncate(fd, FILE_LEN) < 0)
			abort();
		dev[0] = disk(fd, false);
		dev[1] = disk(fd, true);
	}
	if (!len)
		return 0;
	d = dev[data[0] & 1];
	if (data[0] & 1 && pwrite(fd, "canary", 6, 0x1000) != 6)
		abort();
	fuzz_ram(&g, data + 1, len - 1);
	fuzz_start(&g, d);
	fuzz_kick(&g, d, 0);
	fuzz_stop(&g, d);
	/* Bytes outside the extents, and a read-only disk, never change. */
	if (pread(fd, &first, 1, 0) != 1 || first || fstat(fd, &st) < 0 ||
	    st.st_size != FILE_LEN)
		abort();
	if (data[0] & 1) {
		char canary[6];

		if (pread(fd, canary, 6, 0x1000) != 6 ||
		    memcmp(canary, "canary", 6) != 0)
			abort();
	}
	return 0;
}
