#include "mcp/text.h"

#include <stdint.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstu"
			       "vwxyz0123456789+/";

/* The length of the character that @c begins, or 0. */
static size_t length_of(uint8_t c)
{
	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c < 0xe0)
		return 2;
	if (c >= 0xe0 && c < 0xf0)
		return 3;
	return c >= 0xf0 && c < 0xf5 ? 4 : 0;
}

/* Of the second byte, by the first: no overlong forms, no surrogates. */
static bool second_fits(uint8_t first, uint8_t c)
{
	uint8_t min = first == 0xe0   ? 0xa0
	              : first == 0xf0 ? 0x90
	                              : 0x80,
		max = first == 0xed   ? 0x9f
	              : first == 0xf4 ? 0x8f
	                              : 0xbf;

	return c >= min && c <= max;
}

/*
 * The character at @p: its length; 0 when there is none. *@ret_whole false: it
 * may become one with more bytes.
 */
static size_t character(const uint8_t *p, size_t len, bool *ret_whole)
{
	size_t n = length_of(*p);

	*ret_whole = true;
	for (size_t i = 1; i < n; i++) {
		if (i >= len) {
			*ret_whole = false;
			return 0;
		}
		if (i == 1 ? !second_fits(*p, p[i]) : (p[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

size_t text_cut(const void *data, size_t len, size_t max)
{
	const uint8_t *p = data;

	if (len <= max)
		return len;
	for (size_t back = 0; back < 4 && back < max; back++)
		if ((p[max - back] & 0xc0) != 0x80)
			return max - back;
	return max;
}

size_t text_open_end(const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t back = 1; back <= 3 && back <= len; back++) {
		bool whole;

		if ((p[len - back] & 0xc0) == 0x80)
			continue;
		(void)character(p + len - back, back, &whole);
		return whole ? 0 : back;
	}
	return 0;
}

json_t *text_json(const void *data, size_t len)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(4 * len + 4);
	const uint8_t *p = data;
	json_t *j = json_stringn(data ? data : "", len);
	size_t from = 0, i = 0;

	if (j)
		return j;
	while (i < len) {
		bool whole;
		size_t n = character(p + i, len - i, &whole);

		if (n) {
			i += n;
			continue;
		}
		(void)buf_add(&b, p + from, i - from);
		(void)buf_adds(&b, "\xef\xbf\xbd");
		from = ++i;
	}
	(void)buf_add(&b, p + from, len - from);
	return buf_ok(&b) ? json_stringn(buf_str(&b), b.len) : NULL;
}

json_t *text_json_str(const char *s)
{
	return s ? text_json(s, strlen(s)) : json_null();
}

json_t *text_base64(const void *data, size_t len)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(len / 3 * 4 + 8);
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i += 3) {
		size_t n = MIN(len - i, (size_t)3);
		uint32_t v = (uint32_t)p[i] << 16;
		char out[4];

		if (n > 1)
			v |= (uint32_t)p[i + 1] << 8;
		if (n > 2)
			v |= p[i + 2];
		for (size_t k = 0; k < 4; k++)
			out[k] =
				k <= n ? alphabet[v >> (18 - 6 * k) & 63] : '=';
		(void)buf_add(&b, out, sizeof(out));
	}
	return buf_ok(&b) ? json_stringn(buf_str(&b), b.len) : NULL;
}

static bool digit(char c, uint32_t *ret)
{
	const char *at = c ? strchr(alphabet, c) : NULL;

	*ret = at ? (uint32_t)(at - alphabet) : 0;
	return at != NULL;
}

bool text_from_base64(const char *text, size_t len, struct buf *ret)
{
	size_t pad = 0;

	if (len % 4 != 0)
		return false;
	while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < len; i += 4) {
		size_t n = i + 4 == len ? 4 - pad : 4;
		uint32_t v = 0, d;
		uint8_t out[3];

		for (size_t k = 0; k < 4; k++) {
			if (k < n && !digit(text[i + k], &d))
				return false;
			v = v << 6 | (k < n ? d : 0);
		}
		out[0] = (uint8_t)(v >> 16);
		out[1] = (uint8_t)(v >> 8);
		out[2] = (uint8_t)v;
		(void)buf_add(ret, out, n - 1);
	}
	return buf_ok(ret);
}

json_t *text_encoded(const void *data, size_t len, const char *encoding)
{
	return encoding && strcmp(encoding, "base64") == 0
	               ? text_base64(data, len)
	               : text_json(data, len);
}
