/*
 * The guest's half of test_qemu: PID 1 of a real Linux under QEMU, which uses
 * our devices through its own drivers and says on the console what worked.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/vm_sockets.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qemu_ports.h"

#define MIB     (1u << 20)
#define CHUNK   65536u
#define THREADS 8

static char why[256];

static bool fail(const char *fmt, ...)
{
	int saved = errno;
	size_t n;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	n = strlen(why);
	snprintf(why + n, sizeof(why) - n, " (%s)", strerror(saved));
	return false;
}

static bool file_is(const char *path, const char *want)
{
	char text[64] = "";
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return fail("%s", path);
	return strncmp(text, want, strlen(want)) == 0 ||
	       fail("%s is %s", path, text);
}

static bool disks_have_their_names(void)
{
	return file_is("/sys/block/vda/serial", "root") &&
	       file_is("/sys/block/vdb/serial", "upper") &&
	       file_is("/sys/block/vda/ro", "1") &&
	       file_is("/sys/block/vdb/ro", "0");
}

static bool the_root_disk_reads_as_made(void)
{
	static uint8_t data[CHUNK] __attribute__((aligned(4096)));
	int fd = open("/dev/vda", O_RDONLY | O_DIRECT);
	uint32_t pos = 0;
	ssize_t n;

	while (fd >= 0 && (n = read(fd, data, CHUNK)) > 0)
		for (ssize_t i = 0; i < n; i++, pos++)
			if (data[i] != disk_byte(pos))
				return fail("byte %u differs", pos);
	close(fd);
	return pos == ROOT_LEN || fail("%u bytes", pos);
}

static bool the_root_disk_cannot_be_written(void)
{
	static uint8_t data[4096] __attribute__((aligned(4096)));
	int fd = open("/dev/vda", O_RDWR | O_DIRECT);

	if (fd >= 0 && pwrite(fd, data, 4096, 0) >= 0)
		return fail("write to the root disk worked");
	close(fd);
	return the_root_disk_reads_as_made();
}

static bool writes_of(uint32_t size, int flags)
{
	uint8_t *out, *in;
	int fd = open("/dev/vdb", O_RDWR | flags);

	if (fd < 0 || posix_memalign((void **)&out, 4096, size) ||
	    posix_memalign((void **)&in, 4096, size))
		return fail("open /dev/vdb");
	for (uint32_t pos = 0; pos < UPPER_LEN; pos += size) {
		for (uint32_t i = 0; i < size; i++)
			out[i] = disk_byte(pos + i + size);
		if (pwrite(fd, out, size, pos) != (ssize_t)size)
			return fail("write %u at %u", size, pos);
	}
	if (fsync(fd) < 0)
		return fail("fsync");
	for (uint32_t pos = 0; pos < UPPER_LEN; pos += size) {
		for (uint32_t i = 0; i < size; i++)
			out[i] = disk_byte(pos + i + size);
		if (pread(fd, in, size, pos) != (ssize_t)size ||
		    memcmp(in, out, size) != 0)
			return fail("read back %u at %u", size, pos);
	}
	free(in);
	free(out);
	return close(fd) == 0;
}

static bool the_upper_disk_keeps_what_is_written(void)
{
	return writes_of(4096, O_DIRECT) && writes_of(CHUNK, O_DIRECT) &&
	       writes_of(2 * MIB, O_DIRECT) && writes_of(CHUNK, 0);
}

static bool cleared(int fd, unsigned long request, uint64_t at, uint64_t len)
{
	static uint8_t data[CHUNK] __attribute__((aligned(4096)));
	uint64_t range[2] = {at, len};

	if (ioctl(fd, request, range) < 0)
		return fail("ioctl %lx", request);
	for (uint64_t pos = at; pos < at + len; pos += CHUNK) {
		if (pread(fd, data, CHUNK, (off_t)pos) != CHUNK)
			return fail("read");
		for (uint32_t i = 0; i < CHUNK; i++)
			if (data[i])
				return fail("not zero at %u",
				            (uint32_t)pos + i);
	}
	if (pread(fd, data, CHUNK, (off_t)(at + len)) != CHUNK || !data[1])
		return fail("cleared too much");
	return true;
}

static bool discard_and_zeroout_clear(void)
{
	int fd = open("/dev/vdb", O_RDWR | O_DIRECT);
	bool ok = cleared(fd, BLKDISCARD, MIB, MIB) &&
	          cleared(fd, BLKZEROOUT, 4 * MIB, MIB);

	close(fd);
	return ok;
}

static bool entropy_comes(void)
{
	uint8_t data[1024];
	int fd = open("/dev/hwrng", O_RDONLY);
	unsigned zeros = 0;

	for (unsigned got = 0; got < sizeof(data);) {
		ssize_t n = read(fd, data + got, sizeof(data) - got);

		if (n <= 0)
			return fail("/dev/hwrng");
		got += (unsigned)n;
	}
	close(fd);
	for (unsigned i = 0; i < sizeof(data); i++)
		zeros += !data[i];
	return zeros < 100 || fail("%u zeros", zeros);
}

static int dial(uint32_t port)
{
	const struct sockaddr_vm to = {.svm_family = AF_VSOCK,
	                               .svm_cid = VMADDR_CID_HOST,
	                               .svm_port = port};
	int s = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (s >= 0 && connect(s, (const void *)&to, sizeof(to)) == 0)
		return s;
	close(s);
	return -1;
}

static bool a_port_nobody_serves_is_refused(void)
{
	return (dial(PORT_NOBODY) < 0 && errno == ECONNRESET) ||
	       fail("connect");
}

static void *sender(void *arg)
{
	return send_pattern(*(int *)arg) ? arg : NULL;
}

/* Send, end-of-file, and read all of it back until the other's end-of-file. */
static void *echo(void *arg)
{
	pthread_t t;
	void *sent;
	int s = dial(PORT_ECHO);
	bool got;

	(void)arg;
	if (s < 0 || pthread_create(&t, NULL, sender, &s))
		return NULL;
	got = read_pattern(s);
	pthread_join(t, &sent);
	close(s);
	return got && sent ? &why : NULL;
}

static bool many_connections_echo(void)
{
	pthread_t t[THREADS];
	unsigned good = 0;

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, echo, NULL))
			return fail("thread");
	for (int i = 0; i < THREADS; i++) {
		void *ok;

		pthread_join(t[i], &ok);
		good += ok != NULL;
	}
	return good == THREADS || fail("%u of %u echoed", good, THREADS);
}

static void *serve(void *arg)
{
	int s = (int)(intptr_t)arg;
	static __thread char data[CHUNK];
	ssize_t n;

	while ((n = read(s, data, CHUNK)) > 0)
		for (ssize_t at = 0, w; at < n; at += w)
			if ((w = write(s, data + at, (size_t)(n - at))) < 0)
				n = -1, w = 0;
	close(s);
	return NULL;
}

/* The host opens connections to us and tells on the first how it went. */
static bool the_host_connects(void)
{
	const struct sockaddr_vm at = {.svm_family = AF_VSOCK,
	                               .svm_cid = VMADDR_CID_ANY,
	                               .svm_port = PORT_GUEST};
	int l = socket(AF_VSOCK, SOCK_STREAM, 0), ctl;
	char verdict = 0;

	if (bind(l, (const void *)&at, sizeof(at)) < 0 || listen(l, 16) < 0)
		return fail("listen");
	ctl = dial(PORT_CALL_ME);
	for (int i = 0; i < THREADS; i++) {
		int s = accept(l, NULL, NULL);
		pthread_t t;

		if (s < 0 ||
		    pthread_create(&t, NULL, serve, (void *)(intptr_t)s))
			return fail("accept");
		pthread_detach(t);
	}
	if (read(ctl, &verdict, 1) != 1 || verdict != 'y')
		return fail("the host says no");
	close(ctl);
	return close(l) == 0;
}

static bool many_connections_one_by_one(void)
{
	for (int i = 0; i < 300; i++) {
		int s = dial(PORT_CLOSER);
		char c;

		if (s < 0 || read(s, &c, 1) != 0)
			return fail("connection %d", i);
		close(s);
	}
	return true;
}

static bool attach(const char *driver, const char *what, const char *device)
{
	char path[128];
	int fd;
	bool ok;

	snprintf(path, sizeof(path), "/sys/bus/virtio/drivers/%s/%s", driver,
	         what);
	fd = open(path, O_WRONLY);
	ok = fd >= 0 && write(fd, device, strlen(device)) > 0;
	close(fd);
	return ok;
}

/* The driver lets go of each device and takes it again: a reset of ours. */
static bool devices_survive_a_reset(void)
{
	static const char *const drivers[] = {"virtio_blk", "virtio_rng",
	                                      "vmw_vsock_virtio_transport"};
	unsigned n = 0;

	for (int dev = 0; dev < 4; dev++) {
		for (int i = 0; i < 3; i++) {
			char name[16];

			snprintf(name, sizeof(name), "virtio%d", dev);
			if (attach(drivers[i], "unbind", name))
				n += attach(drivers[i], "bind", name);
		}
	}
	if (n != 4)
		return fail("%u of 4 came back", n);
	return the_root_disk_reads_as_made() && writes_of(CHUNK, O_DIRECT) &&
	       entropy_comes() && many_connections_echo();
}

#define CASE(f)                                                                \
	{                                                                      \
#f, f                                                          \
	}

static const struct {
	const char *name;
	bool (*run)(void);
} cases[] = {
	CASE(disks_have_their_names),
	CASE(the_root_disk_reads_as_made),
	CASE(the_root_disk_cannot_be_written),
	CASE(the_upper_disk_keeps_what_is_written),
	CASE(discard_and_zeroout_clear),
	CASE(entropy_comes),
	CASE(a_port_nobody_serves_is_refused),
	CASE(many_connections_echo),
	CASE(the_host_connects),
	CASE(many_connections_one_by_one),
	CASE(devices_survive_a_reset),
};

int main(void)
{
	const unsigned n = sizeof(cases) / sizeof(cases[0]);
	int console;

	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	console = open("/dev/console", O_RDWR);
	dup2(console, 1);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%u\n", n);
	for (unsigned i = 0; i < n; i++) {
		if (cases[i].run())
			printf("ok %u - %s\n", i + 1, cases[i].name);
		else
			printf("not ok %u - %s: %s\n", i + 1, cases[i].name,
			       why);
	}
	fsync(1);
	reboot(RB_AUTOBOOT);
	return 1;
}
