#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "tls/relay.h"

#include "base/banned.h"

/*
 * Bytes as they are. A placeholder may lie over the border of two pieces, so
 * the end of the last one is kept: less than the longest placeholder.
 */
struct opaque {
	struct relay relay;
	bool told[TLS_SECRETS_MAX]; /* one that passes: a line a flow */
	size_t nkept;
	uint8_t kept[TLS_PLACEHOLDER_MAX];
};

static const char *how(const struct gate *g)
{
	return g->tls ? "is no HTTP" : "is not encrypted";
}

/* What its option says. 0: it passes. */
static int violation(struct opaque *o, const struct secret *s, size_t index)
{
	const struct gate *g = o->relay.gate;
	const struct sink *sink = o->relay.sink;
	const char *name = g->name[0] ? g->name : "an address";

	if (s->violation == SECRET_BLOCK) {
		sink_count(sink, TLSLINK_VIOLATION, 1);
		return -EACCES;
	}
	if (s->violation == SECRET_PASS && o->told[index]) {
		sink_count(sink, TLSLINK_VIOLATION, 1);
		return 0;
	}
	o->told[index] = true;
	sink_say(sink, TLSLINK_VIOLATION,
	         s->violation == SECRET_BLOCK_TERMINATE,
	         "secret %s: its placeholder %s was sent to %s:%u in a stream "
	         "that %s%s",
	         s->name, s->placeholder, name, g->port, how(g),
	         s->violation == SECRET_PASS ? "; it was let through"
	                                     : "; the connection was ended");
	return s->violation == SECRET_PASS ? 0 : -EACCES;
}

/* Matches in @data that end behind its first @old bytes. */
static int search_in(struct opaque *o, const struct secrets *s,
                     const uint8_t *data, size_t len, size_t old)
{
	size_t at = 0;
	int i;

	while ((i = needles_find(s->placeholders, data, len, at, &at)) >= 0) {
		const struct secret *c = &s->v[i];

		if (at + c->placeholder_len > old && violation(o, c, (size_t)i))
			return -EACCES;
		at++;
	}
	return 0;
}

static void keep(struct opaque *o, const uint8_t *data, size_t len, size_t max)
{
	if (len >= max) {
		o->nkept = max;
		memcpy(o->kept, data + len - max, max);
		return;
	}
	if (o->nkept + len > max) {
		size_t drop = o->nkept + len - max;

		o->nkept -= drop;
		memmove(o->kept, o->kept + drop, o->nkept);
	}
	memcpy(o->kept + o->nkept, data, len);
	o->nkept += len;
}

static int search(struct opaque *o, const uint8_t *data, size_t len)
{
	const struct secrets *s = o->relay.secrets(o->relay.secrets_arg);
	uint8_t border[2 * TLS_PLACEHOLDER_MAX];
	size_t max, part;

	if (!s || !s->placeholders)
		return 0;
	max = MIN(needles_longest(s->placeholders), sizeof(o->kept)) - 1;
	part = MIN(len, max);
	if (o->nkept) {
		memcpy(border, o->kept, o->nkept);
		memcpy(border + o->nkept, data, part);
		if (search_in(o, s, border, o->nkept + part, o->nkept) < 0)
			return -EACCES;
	}
	/* Those within the part at the front were found just now. */
	if (search_in(o, s, data, len, o->nkept ? part : 0) < 0)
		return -EACCES;
	keep(o, data, len, max);
	return 0;
}

static int opaque_input(struct relay *r, enum side from, const uint8_t *data,
                        size_t len)
{
	struct opaque *o = container_of(r, struct opaque, relay);

	if (from == SIDE_GUEST && search(o, data, len) < 0)
		return -ECONNABORTED;
	return buf_add(&r->out[side_other(from)], data, len);
}

static int opaque_eof(struct relay *r, enum side from)
{
	(void)r;
	(void)from;
	return 0;
}

static void opaque_free(struct relay *r)
{
	relay_release(r);
	free(container_of(r, struct opaque, relay));
}

static const struct relay_ops opaque_ops = {
	.name = "opaque",
	.input = opaque_input,
	.eof = opaque_eof,
	.free = opaque_free,
};

struct relay *opaque_new(const struct relay_env *env)
{
	struct opaque *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	relay_init(&o->relay, &opaque_ops, env);
	return &o->relay;
}
