#include "base/iov.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

void iov_skip(struct iov *s, size_t len)
{
	s->len -= len;
	while (len) {
		size_t part = MIN(len, s->v->iov_len);

		s->v->iov_base = (uint8_t *)s->v->iov_base + part;
		s->v->iov_len -= part;
		len -= part;
		if (!s->v->iov_len) {
			s->v++;
			s->n--;
		}
	}
}

int iov_get(struct iov *s, void *data, size_t len)
{
	uint8_t *to = data;

	if (len > s->len)
		return -EMSGSIZE;
	while (len) {
		size_t part = MIN(len, s->v->iov_len);

		memcpy(to, s->v->iov_base, part);
		iov_skip(s, part);
		to += part;
		len -= part;
	}
	return 0;
}

int iov_put(struct iov *s, const void *data, size_t len)
{
	const uint8_t *from = data;

	if (len > s->len)
		return -EMSGSIZE;
	while (len) {
		size_t part = MIN(len, s->v->iov_len);

		memcpy(s->v->iov_base, from, part);
		iov_skip(s, part);
		from += part;
		len -= part;
	}
	return 0;
}

void iov_keep(struct iov *s, size_t len)
{
	size_t drop = s->len - len;

	s->len = len;
	while (drop) {
		struct iovec *last = &s->v[s->n - 1];
		size_t part = MIN(drop, last->iov_len);

		last->iov_len -= part;
		drop -= part;
		if (!last->iov_len)
			s->n--;
	}
}

uint8_t *iov_take_last(struct iov *s)
{
	struct iovec *last;
	uint8_t *p;

	if (!s->len)
		return NULL;
	last = &s->v[s->n - 1];
	p = (uint8_t *)last->iov_base + last->iov_len - 1;
	iov_keep(s, s->len - 1);
	return p;
}

unsigned iov_take(struct iov *s, size_t len, struct iovec *out)
{
	unsigned n = 0;

	while (len) {
		size_t part = MIN(len, s->v->iov_len);

		out[n++] = (struct iovec){s->v->iov_base, part};
		iov_skip(s, part);
		len -= part;
	}
	return n;
}
