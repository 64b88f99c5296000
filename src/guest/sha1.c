#include "guest/sha1.h"

#include <string.h>

#include "base/num.h"

#include "base/banned.h"

static uint32_t rotate(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

/* One round, by FIPS 180-4: @f and @k change every twenty. */
#define ROUND(f, k)                                                            \
	do {                                                                   \
		uint32_t next = rotate(a, 5) + (f) + e + (k) + w[i];           \
                                                                               \
		e = d;                                                         \
		d = c;                                                         \
		c = rotate(b, 30);                                             \
		b = a;                                                         \
		a = next;                                                      \
	} while (0)

static void take_block(struct sha1 *s, const uint8_t *p)
{
	uint32_t a = s->h[0], b = s->h[1], c = s->h[2], d = s->h[3],
		 e = s->h[4];
	uint32_t w[80];
	unsigned i;

	for (i = 0; i < 16; i++)
		w[i] = get_be32(p + (size_t)4 * i);
	for (; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (i = 0; i < 20; i++)
		ROUND((b & c) | (~b & d), 0x5a827999);
	for (; i < 40; i++)
		ROUND(b ^ c ^ d, 0x6ed9eba1);
	for (; i < 60; i++)
		ROUND((b & c) | (b & d) | (c & d), 0x8f1bbcdc);
	for (; i < 80; i++)
		ROUND(b ^ c ^ d, 0xca62c1d6);
	s->h[0] += a;
	s->h[1] += b;
	s->h[2] += c;
	s->h[3] += d;
	s->h[4] += e;
}

void sha1_init(struct sha1 *s)
{
	*s = (struct sha1){
		.h = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476,
	              0xc3d2e1f0}
        };
}

void sha1_add(struct sha1 *s, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		size_t have = s->len % 64, n = MIN(len, 64 - have);

		if (n == 64) {
			take_block(s, p);
		} else {
			memcpy(s->block + have, p, n);
			if (have + n == 64)
				take_block(s, s->block);
		}
		s->len += n;
		p += n;
		len -= n;
	}
}

void sha1_end(struct sha1 *s, uint8_t ret[SHA1_LEN])
{
	static const uint8_t pad[64] = {0x80};
	uint64_t bits = s->len * 8;
	uint8_t count[8];

	sha1_add(s, pad, 1 + (119 - s->len % 64) % 64);
	put_be32(count, (uint32_t)(bits >> 32));
	put_be32(count + 4, (uint32_t)bits);
	sha1_add(s, count, 8);
	for (unsigned i = 0; i < 5; i++)
		put_be32(ret + (size_t)4 * i, s->h[i]);
}
