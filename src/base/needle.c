/*
 * needle.c - Wu and Manber's search.
 *
 * A window as long as the shortest needle slides over the text. The pair of
 * bytes at its end says by a table how far it may go on without passing a
 * match: as far as to the last place where that pair stands in the first
 * `window` bytes of any needle, or a whole window when it stands in none. Only
 * where the pair ends some needle's window is anything compared: the needles of
 * that pair hang in one chain, the longest first.
 *
 *	text     . . . . . x y . . . . .
 *	window   [         x y]             shift[xy] = 3, say
 *	                 [         ? ?]
 *
 * The worst case (needles and text all of one letter) is as slow as the naive
 * search. Needles come from the user, not from a guest.
 */
#include "base/needle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

#define PAIRS   65536
#define SHIFT   255 /* the largest that is kept */
#define BUCKETS 1024
#define NONE    UINT16_MAX

struct entry {
	const uint8_t *text; /* in `all` */
	size_t len;
	uint16_t pair;       /* at the end of its window */
	uint16_t next;       /* of its bucket: same pair, or another */
	uint16_t next_first; /* with the same first byte */
	uint16_t index;      /* the caller's */
};

struct needles {
	unsigned n;
	size_t window, longest, total;
	uint8_t *all;     /* texts, end to end */
	struct entry *v;  /* the longest first */
	uint16_t *places; /* by the caller's index: in v */
	bool has[256];
	uint16_t first[256];
	uint16_t buckets[BUCKETS];
	uint8_t shift[PAIRS];
};

static uint16_t pair_at(const uint8_t *p)
{
	uint16_t pair;

	memcpy(&pair, p, sizeof(pair));
	return pair;
}

static unsigned bucket_of(uint16_t pair)
{
	return (pair ^ (unsigned)pair >> 5) % BUCKETS;
}

/* Longest first; the caller's order among equals. */
static int by_len(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->len != y->len)
		return x->len > y->len ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

static void add_shifts(struct needles *s, const struct entry *e)
{
	for (size_t i = 0; i + 1 < s->window; i++) {
		size_t far = MIN(s->window - 2 - i, SHIFT);
		uint8_t *shift = &s->shift[pair_at(e->text + i)];

		if (far < *shift)
			*shift = (uint8_t)far;
	}
}

/* From the shortest on, so that each chain has the longest in front. */
static void chain(struct needles *s)
{
	memset(s->first, 0xff, sizeof(s->first));
	memset(s->buckets, 0xff, sizeof(s->buckets));
	memset(s->shift, (int)MIN(s->window - 1, SHIFT), sizeof(s->shift));
	for (unsigned i = s->n; i-- > 0;) {
		struct entry *e = &s->v[i];
		uint16_t *bucket, *first = &s->first[e->text[0]];

		e->pair = pair_at(e->text + s->window - 2);
		bucket = &s->buckets[bucket_of(e->pair)];
		e->next = *bucket;
		*bucket = (uint16_t)i;
		e->next_first = *first;
		*first = (uint16_t)i;
		s->places[e->index] = (uint16_t)i;
		add_shifts(s, e);
	}
}

static int fill(struct needles *s, const struct needle *v)
{
	uint8_t *at;

	s->v = calloc(s->n + 1, sizeof(*s->v));
	s->places = calloc(s->n + 1, sizeof(*s->places));
	s->all = at = malloc(s->total + 1);
	if (!s->v || !s->places || !s->all)
		return -ENOMEM;
	for (unsigned i = 0; i < s->n; i++) {
		memcpy(at, v[i].text, v[i].len);
		s->v[i] = (struct entry){
			.text = at, .len = v[i].len, .index = (uint16_t)i};
		for (size_t k = 0; k < v[i].len; k++)
			s->has[at[k]] = true;
		at += v[i].len;
	}
	qsort(s->v, s->n, sizeof(*s->v), by_len);
	chain(s);
	return 0;
}

struct needles *needles_new(const struct needle *v, size_t n)
{
	struct needles *s;

	if (n > NEEDLES_MAX)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->n = (unsigned)n;
	s->window = n ? NEEDLE_LEN_MAX : NEEDLE_LEN_MIN;
	for (size_t i = 0; i < n; i++) {
		if (v[i].len < NEEDLE_LEN_MIN || v[i].len > NEEDLE_LEN_MAX) {
			free(s);
			return NULL;
		}
		s->total += v[i].len;
		s->window = MIN(s->window, v[i].len);
		s->longest = MAX(s->longest, v[i].len);
	}
	if (fill(s, v) < 0) {
		needles_free(s);
		return NULL;
	}
	return s;
}

void needles_free(struct needles *s)
{
	if (!s)
		return;
	if (s->all)
		explicit_bzero(s->all, s->total);
	free(s->all);
	free(s->places);
	free(s->v);
	explicit_bzero(s, sizeof(*s));
	free(s);
}

size_t needles_longest(const struct needles *s)
{
	return s->longest;
}

size_t needles_len(const struct needles *s, unsigned index)
{
	return s->v[s->places[index]].len;
}

bool needles_has(const struct needles *s, uint8_t c)
{
	return s->has[c];
}

/* The longest that begins at @p, @left bytes before the end; NULL. */
static const struct entry *match(const struct needles *s, uint16_t pair,
                                 const uint8_t *p, size_t left)
{
	const struct entry *e;

	for (uint16_t i = s->buckets[bucket_of(pair)]; i != NONE; i = e->next) {
		e = &s->v[i];
		if (e->pair == pair && e->len <= left &&
		    memcmp(e->text, p, e->len) == 0)
			return e;
	}
	return NULL;
}

int needles_find(const struct needles *s, const uint8_t *data, size_t len,
                 size_t from, size_t *ret_at)
{
	const uint8_t *end = data + s->window - 2;

	if (!s->n || from >= len || len - from < s->window)
		return -1;
	for (size_t at = from; at <= len - s->window; at++) {
		uint16_t pair = pair_at(end + at);
		uint8_t far = s->shift[pair];
		const struct entry *e;

		if (far) {
			at += far - 1;
			continue;
		}
		e = match(s, pair, data + at, len - at);
		if (e) {
			*ret_at = at;
			return e->index;
		}
	}
	return -1;
}

/* Is @p, all @left bytes of it, the beginning of a longer needle? */
static bool begins(const struct needles *s, const uint8_t *p, size_t left)
{
	const struct entry *e;

	for (uint16_t i = s->first[*p]; i != NONE; i = e->next_first) {
		e = &s->v[i];
		if (e->len <= left)
			return false; /* so are the others */
		if (memcmp(e->text, p, left) == 0)
			return true;
	}
	return false;
}

size_t needles_tail(const struct needles *s, const uint8_t *data, size_t len)
{
	size_t left = s->n ? MIN(len, s->longest - 1) : 0;

	for (const uint8_t *p = data + len - left; left; left--, p++)
		if (s->first[*p] != NONE && begins(s, p, left))
			return left;
	return 0;
}

/* Those that begin in the first @within bytes; what ended in the first @known
   bytes was told before. */
static void tell(const struct needles *s, const uint8_t *data, size_t len,
                 size_t within, size_t known,
                 void (*hit)(void *arg, unsigned index), void *arg)
{
	for (size_t at = 0; at < within; at++) {
		int i = needles_find(s, data, len, at, &at);

		if (i < 0 || at >= within)
			return;
		if (at + needles_len(s, (unsigned)i) > known)
			hit(arg, (unsigned)i);
	}
}

/*
 * The end of what came before and the beginning of @data in one piece: only so
 * much of it that every match which begins before @data is in it.
 */
int needle_watch_all(struct needle_watch *w, const uint8_t *data, size_t len,
                     void (*hit)(void *arg, unsigned index), void *arg)
{
	size_t most = w->s->longest ? w->s->longest - 1 : 0, tail;
	size_t joint = MIN(len, most);

	if (w->len) {
		memcpy(w->carry + w->len, data, joint);
		tell(w->s, w->carry, w->len + joint, w->len, w->len, hit, arg);
	}
	tell(w->s, data, len, len, 0, hit, arg);
	if (w->len && len < most) {
		tail = needles_tail(w->s, w->carry, w->len + len);
		memmove(w->carry, w->carry + w->len + len - tail, tail);
		w->len = tail;
		return 0;
	}
	w->len = 0;
	tail = needles_tail(w->s, data, len);
	if (tail && !w->carry)
		w->carry = malloc(2 * most);
	if (tail && !w->carry)
		return -ENOMEM;
	if (tail)
		memcpy(w->carry, data + len - tail, tail);
	w->len = tail;
	return 0;
}

static void keep_first(void *arg, unsigned index)
{
	int *first = arg;

	if (*first < 0)
		*first = (int)index;
}

int needle_watch(struct needle_watch *w, const uint8_t *data, size_t len)
{
	int first = -1;
	int r = needle_watch_all(w, data, len, keep_first, &first);

	return r < 0 ? r : first;
}

void needle_watch_release(struct needle_watch *w)
{
	free(w->carry);
	w->carry = NULL;
	w->len = 0;
}
