/*
 * log.h - diagnostics for the people who run us.
 *
 * Library and device code may log at debug only; the program that decides
 * logs, once. Everything a guest or a server can trigger goes through
 * log_limited(), so that hostile input cannot flood the log. Control
 * characters in the text are escaped. Thread-safe.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>

enum log_level {
	LOG_NONE,
	LOG_ERROR,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG,
	LOG_TRACE
};

/* Where lines go (default stderr, fd 2) and from which level (LOG_WARN). */
void log_setup(const char *program, int fd, enum log_level level);
/* The same for fd 2, from the level that MSB_LOG names (none, ..., trace). */
void log_setup_env(const char *program);
enum log_level log_get_level(void);

void log_at(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
#define log_trace(...) log_at(LOG_TRACE, __VA_ARGS__)

/* At most LOG_LIMIT_BURST lines a LOG_LIMIT_WINDOW_NS from one call site. */
#define LOG_LIMIT_BURST     3
#define LOG_LIMIT_WINDOW_NS 10000000000ULL

struct log_limit {
	uint64_t window_start_ns;
	unsigned count, dropped;
};

void log_limited_at(struct log_limit *lim, enum log_level level,
                    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define log_limited(level, ...)                                                \
	do {                                                                   \
		static _Thread_local struct log_limit lim_;                    \
		log_limited_at(&lim_, level, __VA_ARGS__);                     \
	} while (0)

#endif
