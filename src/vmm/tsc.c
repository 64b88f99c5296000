#include "vmm/tsc.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"

#include "base/banned.h"

/* A preempted reading is wide; the narrowest of a few is not. */
#define TRIES 8

/* What processors of the last twenty years have. */
#define KHZ_MIN 500000u
#define KHZ_MAX 10000000u

#if defined(__x86_64__)
static uint64_t read_ticks(void)
{
	return __builtin_ia32_rdtsc();
}
#else
static uint64_t read_ticks(void)
{
	return 0;
}
#endif

/* The raw clock is the counter times a constant: NTP does not steer it. */
static uint64_t raw_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

bool tsc_is_clock(void)
{
	cleanup_close int fd = open("/sys/devices/system/clocksource/"
	                            "clocksource0/current_clocksource",
	                            O_RDONLY | O_CLOEXEC);
	char name[32] = {0};

	if (fd < 0 || fd_read_full(fd, name, sizeof(name) - 1) <= 0)
		return false;
	name[strcspn(name, "\n")] = '\0';
	return strcmp(name, "tsc") == 0 || strcmp(name, "kvm-clock") == 0;
}

struct tsc_point tsc_now(void)
{
	struct tsc_point best = {0};
	uint64_t width = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = read_ticks(), ns = raw_ns();
		uint64_t after = read_ticks();

		if (after - before >= width)
			continue;
		width = after - before;
		best = (struct tsc_point){before + width / 2, ns};
	}
	return best;
}

uint32_t tsc_rate(uint64_t ticks, uint64_t ns)
{
	uint64_t khz;

	if (ns < TSC_SPAN_NS / 2 || ticks > UINT64_MAX / 1000000)
		return 0;
	khz = ticks * 1000000 / ns;
	return khz >= KHZ_MIN && khz <= KHZ_MAX ? (uint32_t)khz : 0;
}

uint32_t tsc_khz_since(struct tsc_point start)
{
	struct tsc_point now = tsc_now();

	while (now.ns - start.ns < TSC_SPAN_NS) {
		struct timespec rest = {
			.tv_nsec = (long)(TSC_SPAN_NS - (now.ns - start.ns))};

		(void)nanosleep(&rest, NULL);
		now = tsc_now();
	}
	return tsc_rate(now.ticks - start.ticks, now.ns - start.ns);
}
