/*
 * What was said of a flow's first bytes stays true when more come, a name is in
 * its one form, and only those who name somebody say anything.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/sniff.h"

#include "base/banned.h"

static bool same(const struct sniff *a, const struct sniff *b)
{
	return a->kind == b->kind && strcmp(a->name, b->name) == 0 &&
	       a->port == b->port && a->ech == b->ech &&
	       strcmp(a->alpn, b->alpn) == 0;
}

static void check(const struct sniff *s)
{
	char again[POLICY_NAME_MAX + 1];
	bool names = s->kind == SNIFF_TLS || s->kind == SNIFF_HTTP ||
	             s->kind == SNIFF_CONNECT;

	if (s->name[0] &&
	    (!names || strchr(s->name, '/') ||
	     policy_name(s->name, again) < 0 || strcmp(again, s->name) != 0))
		abort();
	if ((s->port != 0) != (s->kind == SNIFF_CONNECT))
		abort();
	if ((s->alpn[0] || s->ech) && s->kind != SNIFF_TLS)
		abort();
}

/* Each prefix in memory of its own, so that ASan sees a step too far. */
static void look(const uint8_t *data, size_t len, struct sniff *ret)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	memcpy(copy, data, len);
	sniff(copy, len, ret);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t step = len < 64 ? 1 : len / 16;
	struct sniff first = {.kind = SNIFF_MORE}, s;

	for (size_t n = 0; n < len; n += step) {
		look(data, n, &s);
		check(&s);
		if (first.kind == SNIFF_MORE)
			first = s;
		else if (!same(&first, &s))
			abort();
	}
	look(data, len, &s);
	check(&s);
	if (first.kind != SNIFF_MORE && !same(&first, &s))
		abort();
	return 0;
}
