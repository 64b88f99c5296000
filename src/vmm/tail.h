/*
 * tail.h - the last bytes of a stream, in bounded memory.
 *
 * The memory is twice the bound, so that adding is a copy and, once a bound's
 * worth of bytes, one move; no byte is looked at twice.
 */
#ifndef VMM_TAIL_H
#define VMM_TAIL_H

#include <stddef.h>
#include <stdint.h>

#define TAIL_MAX (8u << 10)

struct tail {
	size_t len;
	uint8_t data[2 * TAIL_MAX];
};

void tail_add(struct tail *t, const void *data, size_t len);

/* The last min(TAIL_MAX, all) bytes; valid until the next tail_add(). */
const uint8_t *tail_get(const struct tail *t, size_t *ret_len);

#endif
