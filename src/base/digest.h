/*
 * digest.h - SHA-256 by OpenSSL, and its text form "sha256:<64 hex digits>".
 * Only host programs link it; the guest agent does not.
 */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DIGEST_LEN      32
#define DIGEST_HEX_LEN  64
#define DIGEST_TEXT_LEN (7 + DIGEST_HEX_LEN)

struct digest {
	uint8_t b[DIGEST_LEN];
};

struct digest_ctx {
	void *md; /* EVP_MD_CTX */
};

/* 0 or -ENOMEM. digest_final() may be called once; release always. */
int digest_init(struct digest_ctx *c);
void digest_add(struct digest_ctx *c, const void *data, size_t len);
void digest_final(struct digest_ctx *c, struct digest *ret);
void digest_release(struct digest_ctx *c);

void digest_of(const void *data, size_t len, struct digest *ret);

/* Hash from the file's current position to its end; 0 or -errno. */
int digest_of_fd(int fd, struct digest *ret);

static inline bool digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->b, b->b, DIGEST_LEN) == 0;
}

/* Exactly "sha256:" and 64 lower-case hex digits; false for all else. */
bool digest_parse(const char *text, struct digest *ret);
bool digest_parse_hex(const char *hex, struct digest *ret);

/* @out holds DIGEST_HEX_LEN + 1 / DIGEST_TEXT_LEN + 1 bytes; returns @out. */
const char *digest_hex(const struct digest *d, char *out);
const char *digest_text(const struct digest *d, char *out);

#endif
