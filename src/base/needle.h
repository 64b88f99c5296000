/*
 * needle.h - find any of some texts in a stream of bytes, however it is cut.
 *
 * Wu and Manber's way: a table of shifts by pairs of bytes lets the search skip
 * most of what it reads, so that a body without a match costs little more than
 * reading it.
 */
#ifndef BASE_NEEDLE_H
#define BASE_NEEDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEEDLES_MAX    512
#define NEEDLE_LEN_MIN 2
#define NEEDLE_LEN_MAX (512u << 10)

struct needles;

struct needle {
	const void *text;
	size_t len;
};

/* Copies them. NULL when out of memory, or one is too long or too short. */
struct needles *needles_new(const struct needle *v, size_t n);
void needles_free(struct needles *s); /* wipes them; NULL is fine */
size_t needles_longest(const struct needles *s);
size_t needles_len(const struct needles *s, unsigned index);
/* Is the byte @c in any of them? */
bool needles_has(const struct needles *s, uint8_t c);

/*
 * The first match that begins at @from or behind it: 0 <= its index, *ret_at
 * where it begins. The longest of those that begin at one place. -1: none.
 */
int needles_find(const struct needles *s, const uint8_t *data, size_t len,
                 size_t from, size_t *ret_at);

/*
 * How many bytes at the end of @data could be the beginning of a match that
 * goes on behind it: what a stream must hold back; 0 most of the time.
 */
size_t needles_tail(const struct needles *s, const uint8_t *data, size_t len);

/*
 * Only whether a stream has one: what may be the beginning of a match, and no
 * more, is kept between calls. Begins with @s alone, the rest zeroed.
 */
struct needle_watch {
	const struct needles *s;
	uint8_t *carry; /* owned; made when needed */
	size_t len;
};

/*
 * The index of the first match that ends in @data, or -1; -ENOMEM. A needle
 * that is the beginning of another is told of although the other may follow.
 */
int needle_watch(struct needle_watch *w, const uint8_t *data, size_t len);
/*
 * All of them, also those that overlap (of those that begin at one place the
 * longest): @hit for each, in their order. 0, -ENOMEM.
 */
int needle_watch_all(struct needle_watch *w, const uint8_t *data, size_t len,
                     void (*hit)(void *arg, unsigned index), void *arg);
void needle_watch_release(struct needle_watch *w);

#endif
