/*
 * cursor.h - the one way to read a message, frame or header from outside.
 *
 * A cursor never reads past its end: a read that does not fit sets `bad`,
 * yields zeros, and every later read yields zeros too. So a decoder reads all
 * its fields and checks cur_ok() once.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/num.h"

struct cursor {
	const uint8_t *p, *end;
	bool bad;
};

static inline struct cursor cur_init(const void *data, size_t len)
{
	const uint8_t *p = data;

	return (struct cursor){.p = p, .end = p + len};
}

static inline size_t cur_left(const struct cursor *c)
{
	return c->bad ? 0 : (size_t)(c->end - c->p);
}

static inline bool cur_ok(const struct cursor *c)
{
	return !c->bad;
}

/* All was read and nothing is left over. */
static inline bool cur_done(const struct cursor *c)
{
	return !c->bad && c->p == c->end;
}

/* The next @len bytes, or NULL. The memory is the cursor's source. */
static inline const void *cur_bytes(struct cursor *c, size_t len)
{
	const uint8_t *p = c->p;

	if (c->bad || len > (size_t)(c->end - c->p)) {
		c->bad = true;
		return NULL;
	}
	c->p += len;
	return p;
}

static inline uint8_t cur_u8(struct cursor *c)
{
	const uint8_t *p = cur_bytes(c, 1);

	return p ? *p : 0;
}

#define CUR_READ(name, bits, get)                                              \
	static inline uint##bits##_t cur_##name(struct cursor *c)              \
	{                                                                      \
		const void *p = cur_bytes(c, bits / 8);                        \
		return p ? get(p) : 0;                                         \
	}
CUR_READ(le16, 16, get_le16)
CUR_READ(le32, 32, get_le32)
CUR_READ(le64, 64, get_le64)
CUR_READ(be16, 16, get_be16)
CUR_READ(be32, 32, get_be32)
CUR_READ(be64, 64, get_be64)
#undef CUR_READ

#endif
