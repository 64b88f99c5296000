#include "tls/subst.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/num.h"
#include "tls/subst_own.h"

#include "base/banned.h"

struct subst *subst_new(struct secrets *set, const struct gate *g,
                        const struct sink *sink, const struct subst_request *rq)
{
	struct subst *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->gate = g;
	s->sink = sink;
	s->body.carry = (struct buf)BUF_INIT;
	s->find.text = (struct buf)BUF_INIT;
	if (!set || !set->placeholders || !set->n)
		return s;
	s->set = secrets_ref(set);
	s->needles = s->find.needles = set->placeholders;
	s->method = strdup(rq->method);
	s->path = strdup(rq->path);
	s->authority = strdup(rq->authority);
	if (!s->method || !s->path || !s->authority) {
		subst_free(s);
		return NULL;
	}
	(void)snprintf(s->protocol, sizeof(s->protocol), "%s", rq->protocol);
	if (g->name[0])
		s->named = secrets_for(set, g->name);
	if (gate_open(g) && strcmp(s->authority, g->name) == 0)
		s->here = s->named;
	return s;
}

void subst_free(struct subst *s)
{
	if (!s)
		return;
	sink_count(s->sink, TLSLINK_USED, s->used);
	sink_count(s->sink, TLSLINK_VIOLATION, s->passed_on);
	buf_release(&s->body.carry);
	find_release(&s->find);
	free(s->authority);
	free(s->path);
	free(s->method);
	secrets_unref(s->set);
	free(s);
}

bool subst_looks(const struct subst *s)
{
	return s->needles != NULL;
}

const char *subst_refusal(const struct subst *s)
{
	return s && s->refusal[0] ? s->refusal
	                          : "a secret must not go there (`msb logs "
	                            "--source system` says more)";
}

unsigned subst_used(const struct subst *s)
{
	return s->used;
}

void subst_undo(struct buf *out, size_t len)
{
	if (out->len > len)
		explicit_bzero(out->data + len, out->len - len);
	out->len = len;
}

/* @text with its placeholders done onto @out. */
static int rewrite(struct subst *s, const struct spot *spot, const void *text,
                   size_t len, struct buf *out, bool *ret_secret)
{
	struct subst_at at = {s, spot};
	size_t was = out->len;
	unsigned used = s->used;
	int r = find_copy(&s->find, text, len, subst_hit, &at, out);

	if (r < 0) {
		subst_undo(out, was);
		s->used = used;
		return r;
	}
	*ret_secret = s->used > used;
	return 0;
}

/* Where nothing is ever put in: 0, or -EACCES when it is a violation. */
static int inspect(struct subst *s, enum place place, const char *text,
                   size_t len)
{
	const struct spot spot = {
		.place = place, .name = text, .name_len = len};
	struct buf nowhere = BUF_INIT;
	bool secret;
	int r = rewrite(s, &spot, text, len, &nowhere, &secret);

	buf_release(&nowhere);
	return r;
}

int subst_target(struct subst *s, const char *target, size_t len,
                 struct buf *out)
{
	struct spot spot = {.place = PLACE_PATH,
	                    .how = ENCODE_PERCENT,
	                    .query = len,
	                    .query_end = len};
	const char *mark, *end;
	bool secret;
	int r;

	if (!s->needles)
		return buf_add(out, target, len);
	r = inspect(s, PLACE_METHOD, s->method, strlen(s->method));
	if (r < 0)
		return r;
	end = memchr(target, '#', len);
	if (end)
		spot.query = spot.query_end = (size_t)(end - target);
	mark = memchr(target, '?', spot.query_end);
	if (mark)
		spot.query = (size_t)(mark - target) + 1;
	return rewrite(s, &spot, target, len, out, &secret);
}

static bool name_is(const char *name, size_t len, const char *want)
{
	return len == strlen(want) && strncasecmp(name, want, len) == 0;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Basic's base64 in a header's value: [*ret_from, *ret_to); false: none. */
static bool basic_part(const char *value, size_t len, size_t *ret_from,
                       size_t *ret_to)
{
	size_t from = strlen("basic");

	if (len <= from || strncasecmp(value, "basic", from) != 0 ||
	    !blank(value[from]))
		return false;
	while (from < len && blank(value[from]))
		from++;
	while (len > from && blank(value[len - 1]))
		len--;
	*ret_from = from;
	*ret_to = len;
	return from < len;
}

/* No less than the length of @text with its values in; 0: there are none. */
static int room_for(struct subst *s, const struct spot *spot,
                    const struct buf *text, size_t *ret)
{
	struct find_hit hit;
	size_t room = 0;
	int r;

	find_begin(&s->find, text->data, text->len, true);
	while ((r = find_next(&s->find, &hit)) > 0)
		room += subst_value_len(s, spot, &hit);
	*ret = room ? room + text->len : 0;
	return r;
}

/*
 * The one copy of a value that is not in its place yet. It is made long enough
 * at once, so that it is never moved, and wiped.
 */
static int basic_rewrite(struct subst *s, const struct spot *spot,
                         const struct buf *plain, size_t room, struct buf *out,
                         bool *ret_secret)
{
	struct buf full = BUF_INIT_MAX(room);
	int r = buf_reserve(&full, room);

	if (r == 0)
		r = rewrite(s, spot, plain->data, plain->len, &full,
		            ret_secret);
	if (r == 0 && *ret_secret)
		r = base64_add(out, full.data, full.len);
	if (full.data)
		explicit_bzero(full.data, full.cap);
	buf_release(&full);
	return r;
}

/* 1: *ret_secret, and @out has it all; 0: it is not for us. */
static int basic(struct subst *s, const struct spot *spot, const char *value,
                 size_t len, struct buf *out)
{
	struct spot inner = *spot;
	cleanup_buf struct buf plain = BUF_INIT;
	size_t from, to, room = 0, was = out->len;
	bool secret = false;
	int r;

	if (!basic_part(value, len, &from, &to))
		return 0;
	r = base64_decode(value + from, to - from, &plain);
	if (r == -EINVAL)
		return 0;
	inner.place = PLACE_BASIC;
	if (r == 0)
		r = room_for(s, &inner, &plain, &room);
	if (r < 0 || !room)
		return r;
	if (room > out->max)
		return -E2BIG;
	r = buf_add(out, value, from);
	if (r == 0)
		r = basic_rewrite(s, &inner, &plain, room, out, &secret);
	if (r == 0 && secret)
		r = buf_add(out, value + to, len - to);
	if (r < 0 || !secret)
		subst_undo(out, was);
	return r < 0 ? r : secret;
}

int subst_header(struct subst *s, const char *name, size_t name_len,
                 const char *value, size_t len, struct buf *out,
                 bool *ret_secret)
{
	const struct spot spot = {
		.place = PLACE_HEADER, .name = name, .name_len = name_len};
	bool secret = false;
	int r;

	if (!s->needles) {
		r = buf_add(out, value, len);
	} else {
		r = inspect(s, PLACE_NAME, name, name_len);
		if (r == 0 && (name_is(name, name_len, "authorization") ||
		               name_is(name, name_len, "proxy-authorization")))
			r = basic(s, &spot, value, len, out);
		secret = r > 0;
		if (r == 0)
			r = rewrite(s, &spot, value, len, out, &secret);
	}
	if (r < 0)
		return r;
	*ret_secret = secret;
	return 0;
}
