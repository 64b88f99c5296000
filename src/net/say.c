/* What is told to the user: a bounded number of lines. */
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "net/net_int.h"

#include "base/banned.h"

#define WINDOW_NS (10 * NS_PER_S)
#define LINES_MAX 20 /* in a window */

static void pass_on(const struct net *n, const char *line)
{
	if (n->cfg.say)
		n->cfg.say(n->cfg.say_arg, line);
}

/*
 * Whether one more line may be said, and into @more what is to be told of those
 * that were not; "": nothing.
 */
static bool may_say(const struct net *n, struct say *s, const char *what,
                    char more[64])
{
	uint64_t now = net_now(n);

	*more = '\0';
	if (now - s->ns >= WINDOW_NS) {
		if (s->unsaid)
			(void)snprintf(more, 64, "%s: and %u more", what,
			               s->unsaid);
		*s = (struct say){.ns = now};
	}
	if (s->said < LINES_MAX) {
		s->said++;
		return true;
	}
	s->unsaid++;
	return false;
}

static void put_denied(const struct net *n, const char *line)
{
	log_limited(LOG_WARN, "%s", line);
	pass_on(n, line);
}

static void put_told(const struct net *n, const char *line)
{
	log_limited(LOG_WARN, "%s", line);
	pass_on(n, line);
}

void net_say(struct net *n, const char *fmt, ...)
{
	char line[NET_SAY_MAX], more[64];
	va_list ap;

	if (!may_say(n, &n->denied, "denied", more))
		return;
	if (*more)
		put_denied(n, more);
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	put_denied(n, line);
}

void net_tell(struct net *n, const char *fmt, ...)
{
	char line[NET_SAY_MAX], more[64];
	va_list ap;

	if (!may_say(n, &n->told, "secrets and TLS", more))
		return;
	if (*more)
		put_told(n, more);
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	put_told(n, line);
}
