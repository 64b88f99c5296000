#include "tls/subst_encode.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/banned.h"

static const char hex[] = "0123456789ABCDEF";
static const char letters[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	       c == '~';
}

/* The letter behind the backslash; 'u': \u00XX; 0: as it is. */
static char json_escape(uint8_t c)
{
	static const char short_form[32] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n',
		['\f'] = 'f', ['\r'] = 'r',
	};

	if (c == '"' || c == '\\')
		return (char)c;
	if (c >= ' ')
		return 0;
	return short_form[c] ? short_form[c] : 'u';
}

static size_t json_len(uint8_t c)
{
	char e = json_escape(c);

	return e == 0 ? 1 : e == 'u' ? 6 : 2;
}

size_t encoded_len(enum encoding how, const uint8_t *data, size_t len)
{
	size_t n = 0;

	if (how == ENCODE_RAW)
		return len;
	for (size_t i = 0; i < len; i++)
		n += how == ENCODE_JSON    ? json_len(data[i])
		     : unreserved(data[i]) ? 1
		                           : 3;
	return n;
}

static uint8_t *put_percent(uint8_t *p, uint8_t c)
{
	if (unreserved(c)) {
		*p++ = c;
		return p;
	}
	*p++ = '%';
	*p++ = (uint8_t)hex[c >> 4];
	*p++ = (uint8_t)hex[c & 15];
	return p;
}

static uint8_t *put_json(uint8_t *p, uint8_t c)
{
	char e = json_escape(c);

	if (e == 0) {
		*p++ = c;
		return p;
	}
	*p++ = '\\';
	*p++ = (uint8_t)e;
	if (e == 'u') {
		*p++ = '0';
		*p++ = '0';
		*p++ = (uint8_t)hex[c >> 4];
		*p++ = (uint8_t)hex[c & 15];
	}
	return p;
}

int encode_add(struct buf *out, enum encoding how, const uint8_t *data,
               size_t len)
{
	size_t n = encoded_len(how, data, len);
	uint8_t *p;
	int r;

	if (how == ENCODE_RAW)
		return buf_add(out, data, len);
	r = buf_reserve(out, n);
	if (r < 0)
		return r;
	p = out->data + out->len;
	for (size_t i = 0; i < len; i++)
		p = how == ENCODE_JSON ? put_json(p, data[i])
		                       : put_percent(p, data[i]);
	buf_commit(out, n);
	return 0;
}

int base64_add(struct buf *out, const uint8_t *data, size_t len)
{
	int r = buf_reserve(out, (len + 2) / 3 * 4);
	uint8_t *p;

	if (r < 0)
		return r;
	p = out->data + out->len;
	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		unsigned v = (unsigned)data[i] << 16 |
		             (left > 1 ? (unsigned)data[i + 1] << 8 : 0) |
		             (left > 2 ? data[i + 2] : 0);

		*p++ = (uint8_t)letters[v >> 18];
		*p++ = (uint8_t)letters[v >> 12 & 63];
		*p++ = left > 1 ? (uint8_t)letters[v >> 6 & 63] : '=';
		*p++ = left > 2 ? (uint8_t)letters[v & 63] : '=';
	}
	buf_commit(out, (len + 2) / 3 * 4);
	return 0;
}

static int letter_value(char c)
{
	const char *p = c ? strchr(letters, c) : NULL;

	return p ? (int)(p - letters) : -1;
}

/* Four letters, the last @pad of them padding. -EINVAL. */
static int decode_four(const char *text, unsigned pad, struct buf *out)
{
	unsigned v = 0;
	uint8_t bytes[3];

	for (unsigned i = 0; i < 4; i++) {
		int x = i < 4 - pad ? letter_value(text[i]) : 0;

		if (x < 0)
			return -EINVAL;
		v = v << 6 | (unsigned)x;
	}
	if (v & ((1u << 8 * pad) - 1))
		return -EINVAL;
	bytes[0] = (uint8_t)(v >> 16);
	bytes[1] = (uint8_t)(v >> 8);
	bytes[2] = (uint8_t)v;
	return buf_add(out, bytes, 3 - pad);
}

int base64_decode(const char *text, size_t len, struct buf *out)
{
	int r = 0;

	if (len == 0 || len % 4)
		return -EINVAL;
	for (size_t i = 0; i < len && r == 0; i += 4) {
		unsigned pad = 0;

		if (i + 4 == len && text[len - 1] == '=')
			pad = text[len - 2] == '=' ? 2 : 1;
		r = decode_four(text + i, pad, out);
	}
	return r;
}
