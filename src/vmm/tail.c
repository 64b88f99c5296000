#include "vmm/tail.h"

#include <string.h>

#include "base/num.h"

#include "base/banned.h"

void tail_add(struct tail *t, const void *data, size_t len)
{
	const uint8_t *p = data;

	if (len > TAIL_MAX) {
		p += len - TAIL_MAX;
		len = TAIL_MAX;
	}
	if (t->len + len > sizeof(t->data)) {
		memmove(t->data, t->data + t->len - TAIL_MAX, TAIL_MAX);
		t->len = TAIL_MAX;
	}
	memcpy(t->data + t->len, p, len);
	t->len += len;
}

const uint8_t *tail_get(const struct tail *t, size_t *ret_len)
{
	*ret_len = MIN(t->len, (size_t)TAIL_MAX);
	return t->data + t->len - *ret_len;
}
