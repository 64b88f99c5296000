#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"

#include "base/banned.h"

static struct {
	const char *program;
	int fd;
	enum log_level level;
} cfg = {"msb", 2, LOG_WARN};

static const char *const level_name[] = {
	[LOG_NONE] = "none", [LOG_ERROR] = "error", [LOG_WARN] = "warn",
	[LOG_INFO] = "info", [LOG_DEBUG] = "debug", [LOG_TRACE] = "trace",
};

void log_setup(const char *program, int fd, enum log_level level)
{
	cfg.program = program;
	cfg.fd = fd;
	cfg.level = level;
}

void log_setup_env(const char *program)
{
	const char *want = getenv("MSB_LOG");
	enum log_level level = LOG_WARN;

	for (unsigned i = 0; want && i < ARRAY_SIZE(level_name); i++)
		if (strcmp(want, level_name[i]) == 0)
			level = (enum log_level)i;
	log_setup(program, 2, level);
}

enum log_level log_get_level(void)
{
	return cfg.level;
}

/* Control bytes could drive the reader's terminal: show them as '?'. */
static void scrub(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

static void log_line(enum log_level level, unsigned dropped, const char *fmt,
                     va_list ap)
{
	char msg[1024], line[1200];
	int n;

	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	scrub(msg);
	if (dropped)
		n = snprintf(line, sizeof(line),
		             "%s: %s: %s (%u like it dropped)\n", cfg.program,
		             level_name[level], msg, dropped);
	else
		n = snprintf(line, sizeof(line), "%s: %s: %s\n", cfg.program,
		             level_name[level], msg);
	if (n > 0) {
		ssize_t w =
			write(cfg.fd, line, MIN((size_t)n, sizeof(line) - 1));
		(void)w; /* nowhere left to complain */
	}
}

void log_at(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > cfg.level)
		return;
	va_start(ap, fmt);
	log_line(level, 0, fmt, ap);
	va_end(ap);
}

void log_limited_at(struct log_limit *lim, enum log_level level,
                    const char *fmt, ...)
{
	uint64_t now = clock_now_ns();
	unsigned dropped = 0;
	va_list ap;

	if (level > cfg.level)
		return;
	if (!lim->count || now - lim->window_start_ns > LOG_LIMIT_WINDOW_NS) {
		dropped = lim->dropped;
		*lim = (struct log_limit){.window_start_ns = now};
	}
	if (++lim->count > LOG_LIMIT_BURST) {
		lim->dropped++;
		return;
	}
	va_start(ap, fmt);
	log_line(level, dropped, fmt, ap);
	va_end(ap);
}
