/*
 * What qcow2 costs above raw, without a guest: the same requests on a raw
 * file, on an allocated qcow2 file, and on an empty one over the raw file.
 * CPU time counts; the page cache has everything.
 *
 *	disk_io FOLDER
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "disk/disk.h"

#define SIZE  (1 * GIB)
#define SMALL 4096u
#define LARGE (512 * 1024u)
#define TIMES 100000u

static uint8_t buf[LARGE];

static uint64_t cpu_ns(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-r));
	exit(1);
}

static void one(struct disk *d, bool write, uint32_t len, uint64_t pos)
{
	struct iovec v = {buf, len};

	must(write ? disk_write(d, &v, 1, pos) : disk_read(d, &v, 1, pos),
	     "request");
}

static void run(const char *name, struct disk *d, bool write, uint32_t len,
                bool random)
{
	uint32_t n = random ? TIMES : (uint32_t)(SIZE / len);
	uint64_t seed = 1, start = cpu_ns();

	for (uint32_t i = 0; i < n; i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		one(d, write, len,
		    random ? (seed >> 20) % (SIZE / len) * len
		           : (uint64_t)i * len);
	}
	start = cpu_ns() - start;
	printf("%-24s %-5s %s %7u: %8.2f us a request, %7.0f MB/s\n", name,
	       write ? "write" : "read", random ? "random" : "rows  ", len,
	       (double)start / n / 1000,
	       (double)n * len * 1000 / (double)start);
}

static int file(const char *folder, const char *name)
{
	char path[4096];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd, path);
	(void)unlink(path);
	return fd;
}

static void all(const char *name, const struct disk_layer *l, uint32_t n)
{
	struct disk *d;

	must(disk_open_layers(l, n, false, &d, NULL), "open");
	if (n > 1) {
		run("empty over raw", d, false, SMALL, true);
		run("empty over raw", d, true, SMALL, true);
	}
	run(name, d, true, LARGE, false);
	run(name, d, false, LARGE, false);
	run(name, d, false, SMALL, true);
	run(name, d, true, SMALL, true);
	disk_close(d);
}

static void creation(const char *folder)
{
	uint64_t start = clock_now_ns();

	for (unsigned i = 0; i < 200; i++) {
		int fd = file(folder, "new");

		must(qcow2_create(fd, 8 * GIB, "base", DISK_RAW, NULL), "new");
		(void)close(fd);
	}
	printf("qcow2_create, with open and unlink: %.3f ms\n",
	       (double)(clock_now_ns() - start) / 200 / 1e6);
}

int main(int argc, char **argv)
{
	const char *folder = argc > 1 ? argv[1] : ".";
	struct disk_layer raw = {file(folder, "raw"), DISK_RAW};
	struct disk_layer cow = {file(folder, "cow"), DISK_QCOW2};
	struct disk_layer over[2] = {
		{file(folder, "over"), DISK_QCOW2},
                raw
        };

	creation(folder);
	must(ftruncate(raw.fd, SIZE), "raw");
	memset(buf, 0x5a, sizeof(buf));
	all("raw", &raw, 1);
	must(qcow2_create(cow.fd, SIZE, NULL, DISK_RAW, NULL), "cow");
	all("qcow2", &cow, 1);
	must(qcow2_create(over[0].fd, SIZE, "raw", DISK_RAW, NULL), "over");
	all("qcow2 over raw", over, 2);
	return 0;
}
