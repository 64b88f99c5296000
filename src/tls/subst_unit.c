#include "tls/subst_unit.h"

#include "base/banned.h"

/* One more than the digit; 0: it is none. */
const uint8_t unit_digits[256] = {
	['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
	['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
	['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
	['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

/* What the letter behind a backslash means (u: more follows); 0: nothing. */
const uint8_t unit_escapes[256] = {
	['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b', ['f'] = '\f',
	['n'] = '\n', ['r'] = '\r',  ['t'] = '\t', ['u'] = 'u',
};

/* @want digits at @p. -1: no; -2: so far, but the text ends. */
static int hex_at(const uint8_t *p, size_t left, unsigned want)
{
	int value = 0;

	for (unsigned i = 0; i < want; i++) {
		if (i == left)
			return -2;
		if (!unit_digits[p[i]])
			return -1;
		value = value * 16 + unit_digits[p[i]] - 1;
	}
	return value;
}

static struct unit percent_unit(const uint8_t *p, size_t left)
{
	int c = hex_at(p + 1, left - 1, 2);

	if (c < 0)
		return (struct unit){.cut = c == -2, .len = 1};
	return (struct unit){
		.form = FIND_PERCENT, .len = 3, .n = 1, .bytes = {(uint8_t)c}};
}

static uint8_t put_utf8(uint8_t out[4], unsigned c)
{
	if (c < 0x80) {
		out[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (uint8_t)(0xc0 | c >> 6);
		out[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (uint8_t)(0xe0 | c >> 12);
		out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | c >> 18);
	out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

/* The second of a pair, at @p: 0..0x3ff; -1, -2 as hex_at(). */
static int low_surrogate(const uint8_t *p, size_t left)
{
	int c;

	if (left == 0)
		return -2;
	if (p[0] != '\\')
		return -1;
	if (left == 1)
		return -2;
	if (p[1] != 'u')
		return -1;
	c = hex_at(p + 2, left - 2, 4);
	if (c < 0)
		return c;
	return c >= 0xdc00 && c <= 0xdfff ? c - 0xdc00 : -1;
}

static struct unit unicode_unit(const uint8_t *p, size_t left)
{
	struct unit u = {.form = FIND_JSON, .len = 6};
	int c = hex_at(p + 2, left - 2, 4), low;

	if (c < 0)
		return (struct unit){.cut = c == -2, .len = 1};
	if (c < 0xd800 || c > 0xdfff) {
		u.n = put_utf8(u.bytes, (unsigned)c);
		return u;
	}
	if (c > 0xdbff)
		return u; /* alone: it means nothing */
	low = low_surrogate(p + 6, left - 6);
	if (low == -2)
		return (struct unit){.cut = true, .len = 1};
	if (low >= 0) {
		u.len = UNIT_MAX;
		u.n = put_utf8(u.bytes, 0x10000 +
		                                ((unsigned)c - 0xd800) * 0x400 +
		                                (unsigned)low);
	}
	return u;
}

static struct unit json_unit(const uint8_t *p, size_t left)
{
	if (left < 2)
		return (struct unit){.cut = true, .len = 1};
	if (p[1] == 'u')
		return unicode_unit(p, left);
	if (!unit_escapes[p[1]])
		return (struct unit){.len = 1};
	return (struct unit){.form = FIND_JSON,
	                     .len = 2,
	                     .n = 1,
	                     .bytes = {unit_escapes[p[1]]}};
}

struct unit unit_at(const uint8_t *p, size_t left, bool last)
{
	struct unit u = {.len = 1};

	if (*p == '%')
		u = percent_unit(p, left);
	else if (*p == '\\')
		u = json_unit(p, left);
	if (last)
		u.cut = false;
	return u;
}
