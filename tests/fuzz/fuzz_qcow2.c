/*
 * A hostile qcow2 file: two bytes of mode, then the file. It is opened,
 * read, written and closed; what is below it must not change, and it must not
 * grow beyond its bound.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/num.h"
#include "disk/disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define BASE_LEN (64 * KIB)
#define STEPS    24
#define IO_MAX   (20 * 512u)

static uint8_t base_bytes[BASE_LEN];

static void must(bool ok)
{
	if (!ok)
		abort();
}

static uint64_t next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return *seed >> 17;
}

/* Near the beginning, near the end, or anywhere. */
static uint64_t place(uint64_t *seed, uint64_t size)
{
	const uint64_t near = MIN(size, 64 * KIB);
	uint64_t pos;

	switch (next(seed) % 3) {
	case 0:
		pos = next(seed) % near;
		break;
	case 1:
		pos = size - 1 - next(seed) % near;
		break;
	default:
		pos = next(seed) % size;
	}
	return pos & ~511ULL;
}

static void step(struct disk *d, uint64_t *seed)
{
	static uint8_t buf[IO_MAX];
	const uint64_t size = disk_size(d), pos = place(seed, size);
	uint64_t len = (1 + next(seed) % (IO_MAX / 512)) * 512, n = 0;
	struct iovec v[2];
	bool hole;

	len = MIN(len, size - pos);
	v[0] = (struct iovec){buf, len / 3};
	v[1] = (struct iovec){buf + len / 3, len - len / 3};
	switch (next(seed) % 8) {
	case 0:
	case 1:
		(void)disk_read(d, v, 2, pos);
		break;
	case 2:
	case 3:
	case 4:
		memset(buf, (int)next(seed) | 1, len);
		if (disk_write(d, v, 2, pos) == 0) {
			static uint8_t again[IO_MAX];
			struct iovec w = {again, len};

			(void)disk_read(d, &w, 1, pos);
		}
		break;
	case 5:
		(void)disk_zero(d, pos, len, next(seed) & 1);
		break;
	case 6:
		(void)disk_discard(d, pos, len);
		break;
	default:
		if (disk_map(d, pos, len, &hole, &n) == 0)
			must(n > 0 && n <= len);
		(void)disk_flush(d);
	}
}

static void use(int fd, int base, uint8_t mode, uint64_t seed)
{
	const bool read_only = mode & 1;
	const struct disk_layer l[] = {
		{fd,   DISK_QCOW2},
                {base, DISK_RAW  }
        };
	struct qcow2_info info = {0};
	struct disk *d = NULL;
	uint64_t before = (uint64_t)lseek(fd, 0, SEEK_END);

	(void)qcow2_look(fd, &info, NULL);
	if (disk_open_layers(l, *info.backing ? 2 : 1, read_only, &d, NULL) < 0)
		return;
	for (unsigned i = 0; i < STEPS; i++)
		step(d, &seed);
	disk_close(d);
	must((uint64_t)lseek(fd, 0, SEEK_END) <=
	     (read_only ? before : qcow2_file_max(&info)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static int fd = -1, base = -1;
	static uint8_t now[BASE_LEN];

	if (fd < 0) {
		log_setup("fuzz", 2, LOG_NONE);
		memset(base_bytes, 0x42, sizeof(base_bytes));
		fd = memfd_create("top", MFD_CLOEXEC);
		base = memfd_create("base", MFD_CLOEXEC);
		must(pwrite(base, base_bytes, BASE_LEN, 0) == BASE_LEN);
	}
	if (len < 2)
		return 0;
	must(ftruncate(fd, 0) == 0);
	must(pwrite(fd, data + 2, len - 2, 0) == (ssize_t)(len - 2));
	use(fd, base, data[0], data[1]);
	must(pread(base, now, BASE_LEN, 0) == BASE_LEN);
	must(memcmp(now, base_bytes, BASE_LEN) == 0);
	return 0;
}
