/* log_time.h - points in time as people type them. */
#ifndef CLI_LOG_TIME_H
#define CLI_LOG_TIME_H

#include <stdbool.h>
#include <stdint.h>

/*
 * "10m" (so long before @now_ms), "2026-01-31T12:00:00Z", with a fraction,
 * with an offset "+02:00", without any: local time; "2026-01-31" alone.
 */
bool log_time_parse(const char *text, int64_t now_ms, int64_t *ret_ms);

#endif
