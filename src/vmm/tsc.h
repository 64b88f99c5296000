/* tsc.h - how fast this host's time stamp counter runs. */
#ifndef VMM_TSC_H
#define VMM_TSC_H

#include <stdint.h>

/* The counter and the clock, read together. */
struct tsc_point {
	uint64_t ticks, ns;
};

struct tsc_point tsc_now(void);

/*
 * Kilohertz between @start and now, after waiting until they are at least
 * TSC_SPAN_NS apart (reading both takes some 50 ns: an error of about 50 ppm).
 * 0 where the processor has no such counter.
 */
#define TSC_SPAN_NS 1000000ULL
uint32_t tsc_khz_since(struct tsc_point start);

#endif
