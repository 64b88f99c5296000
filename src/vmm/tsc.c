#include "vmm/tsc.h"

#include "base/clock.h"

#include "base/banned.h"

/* A preempted reading is wide; the narrowest of a few is not. */
#define TRIES 8

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

struct tsc_point tsc_now(void)
{
	struct tsc_point best = {0};
	uint64_t width = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = read_ticks(), ns = clock_now_ns();
		uint64_t after = read_ticks();

		if (after - before >= width)
			continue;
		width = after - before;
		best = (struct tsc_point){before + width / 2, ns};
	}
	return best;
}

uint32_t tsc_khz_since(struct tsc_point start)
{
	struct tsc_point now = tsc_now();
	uint64_t span, ticks;

	while (now.ns - start.ns < TSC_SPAN_NS) {
		struct timespec rest = {
			.tv_nsec = (long)(TSC_SPAN_NS - (now.ns - start.ns))};

		(void)nanosleep(&rest, NULL);
		now = tsc_now();
	}
	span = now.ns - start.ns;
	ticks = now.ticks - start.ticks;
	if (!ticks || ticks > UINT64_MAX / 1000000)
		return 0;
	return (uint32_t)(ticks * 1000000 / span);
}
