#include "base/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "base/banned.h"

int digest_init(struct digest_ctx *c)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	if (!md || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1) {
		EVP_MD_CTX_free(md);
		c->md = NULL;
		return -ENOMEM;
	}
	c->md = md;
	return 0;
}

void digest_add(struct digest_ctx *c, const void *data, size_t len)
{
	(void)EVP_DigestUpdate(c->md, data, len);
}

void digest_final(struct digest_ctx *c, struct digest *ret)
{
	(void)EVP_DigestFinal_ex(c->md, ret->b, NULL);
}

void digest_release(struct digest_ctx *c)
{
	EVP_MD_CTX_free(c->md);
	c->md = NULL;
}

void digest_of(const void *data, size_t len, struct digest *ret)
{
	/* Out of memory: zeros, which no content has. */
	if (EVP_Digest(data, len, ret->b, NULL, EVP_sha256(), NULL) != 1)
		memset(ret->b, 0, sizeof(ret->b));
}

int digest_of_fd(int fd, struct digest *ret)
{
	static _Thread_local uint8_t chunk[1 << 16];
	struct digest_ctx c;
	ssize_t n;
	int r = digest_init(&c);

	if (r < 0)
		return r;
	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r = -errno;
			break;
		}
		digest_add(&c, chunk, (size_t)n);
	}
	if (r == 0)
		digest_final(&c, ret);
	digest_release(&c);
	return r;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool digest_parse_hex(const char *hex, struct digest *ret)
{
	struct digest d;

	for (size_t i = 0; i < DIGEST_LEN; i++) {
		int hi = hex_value(hex[2 * i]);
		int lo = hi < 0 ? -1 : hex_value(hex[2 * i + 1]);

		if (lo < 0)
			return false;
		d.b[i] = (uint8_t)(hi << 4 | lo);
	}
	if (hex[DIGEST_HEX_LEN] != '\0')
		return false;
	*ret = d;
	return true;
}

bool digest_parse(const char *text, struct digest *ret)
{
	return strncmp(text, "sha256:", 7) == 0 &&
	       digest_parse_hex(text + 7, ret);
}

const char *digest_hex(const struct digest *d, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < DIGEST_LEN; i++) {
		out[2 * i] = digits[d->b[i] >> 4];
		out[2 * i + 1] = digits[d->b[i] & 15];
	}
	out[DIGEST_HEX_LEN] = '\0';
	return out;
}

const char *digest_text(const struct digest *d, char *out)
{
	memcpy(out, "sha256:", 7);
	digest_hex(d, out + 7);
	return out;
}
