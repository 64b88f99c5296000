#include "base/escape.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/banned.h"

/* Length of the valid UTF-8 sequence at @p and its code point; 0 if none. */
static size_t utf8_next(const uint8_t *p, size_t len, uint32_t *cp)
{
	static const uint32_t min[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80   ? 1
	           : p[0] < 0xc2 ? 0
	           : p[0] < 0xe0 ? 2
	           : p[0] < 0xf0 ? 3
	           : p[0] < 0xf5 ? 4
	                         : 0;
	uint32_t v;

	if (n == 0 || n > len)
		return 0;
	v = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3f);
	}
	if (v < min[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		return 0;
	*cp = v;
	return n;
}

static bool is_bidi(uint32_t cp)
{
	return (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069);
}

static bool is_control(uint32_t cp, int keep_newline)
{
	if (cp == '\t' || (cp == '\n' && keep_newline))
		return false;
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0);
}

int escape_text(struct buf *b, const void *text, size_t len, int keep_newline)
{
	const uint8_t *p = text;
	int r = 0;

	while (len && r == 0) {
		uint32_t cp = 0;
		size_t n = utf8_next(p, len, &cp);

		if (n == 0) {
			r = buf_printf(b, "\\x%02x", p[0]);
			n = 1;
		} else if (is_control(cp, keep_newline)) {
			r = buf_printf(b, "\\x%02x", cp);
		} else if (is_bidi(cp)) {
			r = buf_printf(b, "\\u%04x", cp);
		} else {
			r = buf_add(b, p, n);
		}
		p += n;
		len -= n;
	}
	return r;
}
