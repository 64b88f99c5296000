#include "tls/gate.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/banned.h"

static void harmless(char *s)
{
	for (; *s; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
}

void sink_say(const struct sink *s, enum tlslink_what what, bool terminate,
              const char *fmt, ...)
{
	char text[TLSLINK_TEXT_MAX + 1];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	harmless(text);
	s->event(s->arg, &(struct tls_event){.what = what,
	                                     .terminate = terminate,
	                                     .count = 1,
	                                     .text = text});
}

void sink_count(const struct sink *s, enum tlslink_what what, uint32_t count)
{
	if (count)
		s->event(s->arg,
		         &(struct tls_event){.what = what, .count = count});
}
