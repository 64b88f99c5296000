/* Prints the frequency of this machine's time stamp counter in kHz: what goes into tsc_early_khz=. */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

struct point { uint64_t tsc, ns; };

/* The pair read closest together out of several. */
static struct point sample(void)
{
	struct point best = { 0, 0 };
	uint64_t width = UINT64_MAX;

	for (int i = 0; i < 32; i++) {
		struct timespec t;
		uint64_t before = __rdtsc();

		clock_gettime(CLOCK_MONOTONIC_RAW, &t);
		uint64_t after = __rdtsc();

		if (after - before < width) {
			width = after - before;
			best.tsc = before + width / 2;
			best.ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
		}
	}
	return best;
}

int main(void)
{
	struct point a = sample();
	nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	struct point b = sample();

	printf("%llu\n", (unsigned long long)((double)(b.tsc - a.tsc) * 1e6 / (double)(b.ns - a.ns) + 0.5));
	return 0;
}
