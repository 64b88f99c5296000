/*
 * iov.h - a request's bytes, wherever the guest cut them.
 *
 * A driver may split a request into buffers at any byte. These calls consume
 * a list of buffers from its front (or its end), so that device code never
 * sees the cuts. They change the entries that they are given.
 */
#ifndef BASE_IOV_H
#define BASE_IOV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct iov {
	struct iovec *v;
	unsigned n;
	size_t len; /* of all of @v; exact */
};

/* Copy @len bytes off the front to @data, or to the front from @data. */
int iov_get(struct iov *s, void *data, size_t len); /* 0 or -EMSGSIZE */
int iov_put(struct iov *s, const void *data, size_t len);

/* Drop bytes at the front, or keep only so many; at most s->len. */
void iov_skip(struct iov *s, size_t len);
void iov_keep(struct iov *s, size_t len);

/* Move the last byte's place out of @s; NULL when empty. */
uint8_t *iov_take_last(struct iov *s);

/*
 * Move the first @len bytes (at most s->len) out of @s as a list of their own;
 * @out has room for s->n entries. Returns how many were used.
 */
unsigned iov_take(struct iov *s, size_t len, struct iovec *out);

#endif
