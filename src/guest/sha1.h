/*
 * sha1.h - SHA-1, for two file formats that want it: Java's key stores and the
 * names of OpenSSL's certificate folders. Nothing is made safe by it.
 */
#ifndef GUEST_SHA1_H
#define GUEST_SHA1_H

#include <stddef.h>
#include <stdint.h>

#define SHA1_LEN 20

struct sha1 {
	uint32_t h[5];
	uint8_t block[64];
	uint64_t len; /* of all bytes so far */
};

void sha1_init(struct sha1 *s);
void sha1_add(struct sha1 *s, const void *data, size_t len);
void sha1_end(struct sha1 *s, uint8_t ret[SHA1_LEN]);

#endif
