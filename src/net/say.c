/* What was denied, for the user to read: a bounded number of lines. */
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "net/net_int.h"

#include "base/banned.h"

#define WINDOW_NS (10 * NS_PER_S)
#define LINES_MAX 20 /* in a window */

static void put(const struct net *n, const char *line)
{
	log_limited(LOG_WARN, "%s", line);
	if (n->cfg.say)
		n->cfg.say(n->cfg.say_arg, line);
}

/* Whether one more line may be said; tells of those that were not. */
static bool may_say(struct net *n)
{
	uint64_t now = net_now(n);
	char more[64];

	if (now - n->say_ns >= WINDOW_NS) {
		(void)snprintf(more, sizeof(more), "denied: and %u more",
		               n->unsaid);
		if (n->unsaid)
			put(n, more);
		n->say_ns = now;
		n->said = n->unsaid = 0;
	}
	if (n->said < LINES_MAX) {
		n->said++;
		return true;
	}
	n->unsaid++;
	return false;
}

void net_say(struct net *n, const char *fmt, ...)
{
	char line[NET_SAY_MAX];
	va_list ap;

	if (!may_say(n))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	put(n, line);
}
