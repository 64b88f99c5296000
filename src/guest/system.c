#include "guest/system.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/random.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"

#include "base/banned.h"

#define ENTROPY_MAX 512 /* the pool holds 32 bytes; more is waste */

/* Not in all versions of the kernel's user headers. */
#ifndef RNDRESEEDCRNG
#define RNDRESEEDCRNG _IO('R', 0x07)
#endif

int system_set_clock(uint64_t unix_ns, struct err *err)
{
	struct timespec ts = {.tv_sec = (time_t)(unix_ns / NS_PER_S),
	                      .tv_nsec = (long)(unix_ns % NS_PER_S)};

	if (clock_settime(CLOCK_REALTIME, &ts) < 0)
		return err_set(err, -errno, "cannot set the clock: %s",
		               strerror(errno));
	return 0;
}

int system_add_entropy(const void *data, uint32_t len, struct err *err)
{
	struct {
		struct rand_pool_info info;
		uint8_t bytes[ENTROPY_MAX];
	} pool = {0};
	cleanup_close int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

	if (len == 0)
		return 0;
	len = MIN(len, ENTROPY_MAX);
	pool.info.entropy_count = (int)len * 8;
	pool.info.buf_size = (int)len;
	memcpy(pool.bytes, data, len);
	/* Once the generator is ready, added bytes wait for the next re-key. */
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool) < 0 ||
	    ioctl(fd, RNDRESEEDCRNG) < 0)
		return err_set(err, -errno, "cannot add entropy: %s",
		               strerror(errno));
	return 0;
}

int system_set_hostname(const char *name, struct err *err)
{
	if (*name && sethostname(name, strlen(name)) < 0)
		return err_set(err, -errno, "cannot set the host name '%s': %s",
		               name, strerror(errno));
	return 0;
}

int system_loopback_up(struct err *err)
{
	cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {.ifr_name = "lo"};

	ifr.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		return err_set(err, -errno, "cannot bring up lo: %s",
		               strerror(errno));
	return 0;
}

/* As docker has them: inside, every user may ping and bind low ports. */
static const struct {
	const char *path, *value;
} sysctls[] = {
	{"/proc/sys/net/ipv4/ping_group_range",           "0 2147483647"},
	{"/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"           },
};

int system_sysctls(struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(sysctls); i++) {
		cleanup_close int fd =
			open(sysctls[i].path, O_WRONLY | O_CLOEXEC);
		int r = fd < 0 ? -errno
		               : fd_write_full(fd, sysctls[i].value,
		                               strlen(sysctls[i].value));

		if (r < 0)
			return err_set(err, r, "cannot write %s: %s",
			               sysctls[i].path, strerror(-r));
	}
	return 0;
}

#define FILES_SOFT 8192 /* all sessions at their limit: 256 of about 8 */
#define FILES_HARD 524288

int system_limits(struct err *err)
{
	struct rlimit r = {FILES_SOFT, FILES_HARD};

	if (setrlimit(RLIMIT_NOFILE, &r) < 0)
		return err_set(err, -errno,
		               "cannot raise the open-file limit: %s",
		               strerror(errno));
	return 0;
}

/*
 * O_NOFOLLOW and O_NONBLOCK: whatever stands there in a hostile image, it is
 * neither followed nor waited for.
 */
static int provide(const char *path, const char *text)
{
	cleanup_close int fd = open(
		path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
		0644);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return errno == ELOOP ? 0 : -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > 0)
		return 0;
	return fd_write_full(fd, text, strlen(text));
}

static void provide_or_log(const char *path, const char *text)
{
	int r = provide(path, text);

	if (r < 0)
		log_warn("cannot write %s: %s", path, strerror(-r));
}

static void etc_files(const char *hostname)
{
	char text[512];

	(void)mkdir("/etc", 0755);
	(void)snprintf(text, sizeof(text),
	               "127.0.0.1\tlocalhost\n"
	               "::1\tlocalhost ip6-localhost ip6-loopback\n"
	               "127.0.1.1\t%.250s\n",
	               *hostname ? hostname : "sandbox");
	provide_or_log("/etc/hosts", text);
	(void)snprintf(text, sizeof(text), "%.250s\n", hostname);
	provide_or_log("/etc/hostname", text);
	provide_or_log("/etc/resolv.conf", "");
}

static const struct {
	const char *path, *target;
} links[] = {
	{"/dev/fd",     "/proc/self/fd"  },
	{"/dev/stdin",  "/proc/self/fd/0"},
	{"/dev/stdout", "/proc/self/fd/1"},
	{"/dev/stderr", "/proc/self/fd/2"},
};

void system_files(const char *hostname)
{
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (symlink(links[i].target, links[i].path) < 0 &&
		    errno != EEXIST)
			log_warn("cannot create %s: %s", links[i].path,
			         strerror(errno));
	if (mkdir("/tmp", 0777) == 0)
		(void)chmod("/tmp", 01777);
	etc_files(hostname);
}
