/*
 * buf.h - a growable byte string with an upper bound.
 *
 * Invariants: data[len] is always '\0' (once anything was added), so a buffer
 * of text can be used as a C string; len never exceeds max. A failed call
 * leaves the content as it was and sets `failed`, so a series of calls may be
 * checked once at the end through buf_ok(). BUF_INIT has the default bound.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define BUF_MAX_DEFAULT (64u << 20)

struct buf {
	uint8_t *data;
	size_t len, cap, max;
	bool failed;
};

#define BUF_INIT                                                               \
	{                                                                      \
		.max = BUF_MAX_DEFAULT                                         \
	}
#define BUF_INIT_MAX(m)                                                        \
	{                                                                      \
		.max = (m)                                                     \
	}

void buf_release(struct buf *b); /* frees the content; NULL is fine */
void buf_reset(struct buf *b);   /* empties it, keeps the memory */

/* All return 0, -ENOMEM, or -E2BIG when @max would be passed. */
int buf_add(struct buf *b, const void *data, size_t len);
int buf_adds(struct buf *b, const char *s);
int buf_addc(struct buf *b, char c);
int buf_addz(struct buf *b, size_t len); /* @len zero bytes */
int buf_printf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *fmt, va_list ap);

/* Room for @len more bytes behind the content; commit with buf_commit(). */
int buf_reserve(struct buf *b, size_t len);
void buf_commit(struct buf *b, size_t len);

/* Drop @len bytes from the front. */
void buf_consume(struct buf *b, size_t len);

/* The content as a C string, "" when empty. Valid until the next change. */
const char *buf_str(const struct buf *b);

/* The same, handed over to the caller, who frees it. NULL if out of memory. */
char *buf_steal(struct buf *b);

static inline bool buf_ok(const struct buf *b)
{
	return !b->failed;
}

#define cleanup_buf cleanup(buf_release)

#endif
