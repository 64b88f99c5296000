/*
 * subst_body.c - a request's body, in pieces.
 *
 * What may be the beginning of a placeholder at the end of a piece is kept in
 * `carry` and is the beginning of the next text; all else is passed on at once.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/num.h"
#include "tls/subst_own.h"

#include "base/banned.h"

static const struct {
	const char *type; /* "+x": ends with it */
	enum encoding how;
} types[] = {
	{"application/x-www-form-urlencoded", ENCODE_PERCENT},
	{"application/json",                  ENCODE_JSON   },
	{"text/json",			 ENCODE_JSON   },
	{"application/x-ndjson",              ENCODE_JSON   },
	{"application/json-seq",              ENCODE_JSON   },
	{"+json",			     ENCODE_JSON   },
};

/* The length of @text without what is behind ';' and blanks at its end. */
static size_t token_len(const char *text)
{
	size_t len = strcspn(text, ";");

	while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	return len;
}

static enum encoding encoding_of_type(const char *type)
{
	size_t len;

	type += strspn(type, " \t");
	len = token_len(type);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		size_t n = strlen(types[i].type);
		const char *from = type;

		if (types[i].type[0] == '+' && len > n)
			from += len - n;
		else if (len != n)
			continue;
		if (strncasecmp(from, types[i].type, n) == 0)
			return types[i].how;
	}
	return ENCODE_RAW;
}

static uint64_t for_bodies(const struct subst *s)
{
	uint64_t mask = 0;

	for (unsigned i = 0; s->needles && i < s->set->n; i++)
		if (s->set->v[i].where & SECRET_BODY)
			mask |= 1ULL << i;
	return mask & s->here;
}

int subst_body_begin(struct subst *s, const char *type, const char *coding)
{
	uint64_t *told = s->gate->told ? s->gate->told : s->told;
	size_t len;

	coding += strspn(coding, " \t");
	len = token_len(coding);
	buf_reset(&s->body.carry);
	s->body.broken = 0;
	s->body.how = encoding_of_type(type);
	s->body.seen =
		s->needles &&
		(len == 0 || (len == strlen("identity") &&
	                      strncasecmp(coding, "identity", len) == 0));
	if (!s->body.seen && for_bodies(s) && !subst_told(told, TOLD_CODED, 0))
		subst_note(s,
		           "a body in the coding %.32s cannot be seen into: "
		           "placeholders in it stay as they are",
		           coding);
	return 0;
}

bool subst_body_changes(const struct subst *s)
{
	return s->body.seen && !s->body.fixed && for_bodies(s);
}

void subst_body_fixed(struct subst *s)
{
	s->body.fixed = true;
}

/* What a call added goes when it fails: nothing of it is to be sent. */
static int settle(struct subst *s, int r, struct buf *out, size_t was)
{
	if (r < 0) {
		subst_undo(out, was);
		s->body.broken = r;
	}
	return r;
}

static int piece(struct subst *s, const uint8_t *data, size_t len, bool last,
                 struct buf *out)
{
	const struct spot spot = {.place = PLACE_BODY, .how = s->body.how};
	struct subst_at at = {s, &spot};
	size_t was = out->len;
	int r = s->body.broken;

	if (r == 0)
		r = find_stream(&s->find, &s->body.carry, data, len, last,
		                subst_hit, &at, out);
	return settle(s, r, out, was);
}

int subst_body(struct subst *s, const uint8_t *data, size_t len,
               struct buf *out)
{
	if (!s->body.seen)
		return buf_add(out, data, len);
	return piece(s, data, len, false, out);
}

int subst_body_end(struct subst *s, struct buf *out)
{
	if (!s->body.seen)
		return 0;
	return piece(s, (const uint8_t *)"", 0, true, out);
}
