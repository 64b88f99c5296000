/* tsc.h - how fast this host's time stamp counter runs. */
#ifndef VMM_TSC_H
#define VMM_TSC_H

#include <stdbool.h>
#include <stdint.h>

/* The counter and the clock, read together. */
struct tsc_point {
	uint64_t ticks, ns;
};

struct tsc_point tsc_now(void);

/* Whether the host's own kernel keeps time by this counter. */
bool tsc_is_clock(void);

/*
 * Kilohertz between @start and now, after waiting until they are at least
 * TSC_SPAN_NS apart (reading both takes some 50 ns: an error of about 50 ppm).
 * 0 when the result is none that a processor has. Worth something where
 * tsc_is_clock(). Under emulation the guest's counter is the host's.
 */
#define TSC_SPAN_NS 1000000ULL
uint32_t tsc_khz_since(struct tsc_point start);

/* The pure part: ticks in a time to kHz, 0 when that is no sane value. */
uint32_t tsc_rate(uint64_t ticks, uint64_t ns);

#endif
