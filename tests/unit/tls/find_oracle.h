/*
 * find_oracle.h - what subst_find.h says, in the plainest way: every place is
 * tried, each time from the beginning. Tests and fuzzers compare with it.
 */
#ifndef TEST_TLS_FIND_ORACLE_H
#define TEST_TLS_FIND_ORACLE_H

#include <stdlib.h>
#include <string.h>

#include "base/needle.h"
#include "tls/subst_find.h"

struct oracle_unit {
	size_t len, n;
	enum find_form form;
	uint8_t bytes[4];
};

static int oracle_hex(const uint8_t *p, size_t left, size_t want)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	int v = 0;

	if (left < want)
		return -1;
	for (size_t i = 0; i < want; i++) {
		const char *d = p[i] ? strchr(digits, p[i]) : NULL;

		if (!d)
			return -1;
		v = v * 16 + (int)((d - digits) % 16);
	}
	return v;
}

static size_t oracle_utf8(unsigned c, uint8_t *out)
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n - 1; i > 0; i--) {
		out[i] = (uint8_t)(0x80 + c % 64);
		c /= 64;
	}
	out[0] = (uint8_t)(first[n] + c);
	return n;
}

static struct oracle_unit oracle_unit(const uint8_t *p, size_t left)
{
	struct oracle_unit u = {1, 1, FIND_RAW, {*p}};
	static const char *simple = "\"\"\\\\//b\bf\fn\nr\rt\t";

	if (*p == '%' && oracle_hex(p + 1, left - 1, 2) >= 0) {
		u.form = FIND_PERCENT;
		u.len = 3;
		u.bytes[0] = (uint8_t)oracle_hex(p + 1, 2, 2);
	} else if (*p == '\\' && left >= 6 && p[1] == 'u' &&
	           oracle_hex(p + 2, 4, 4) >= 0) {
		int c = oracle_hex(p + 2, 4, 4), d = -1;

		u.form = FIND_JSON;
		u.len = 6;
		if (left >= 12 && p[6] == '\\' && p[7] == 'u')
			d = oracle_hex(p + 8, 4, 4);
		if (c < 0xd800 || c > 0xdfff) {
			u.n = oracle_utf8((unsigned)c, u.bytes);
		} else if (c < 0xdc00 && d >= 0xdc00 && d <= 0xdfff) {
			u.len = 12;
			u.n = oracle_utf8((unsigned)(0x10000 +
			                             (c - 0xd800) * 1024 + d -
			                             0xdc00),
			                  u.bytes);
		} else {
			u.n = 0;
		}
	} else if (*p == '\\' && left >= 2) {
		for (const char *s = simple; *s; s += 2)
			if (p[1] == (uint8_t)*s) {
				u.form = FIND_JSON;
				u.len = 2;
				u.bytes[0] = (uint8_t)s[1];
			}
	}
	return u;
}

/* Does @needle stand, in units, at @p? How long it is there; 0: no. */
static size_t oracle_at(const struct needle *needle, const uint8_t *p,
                        size_t left, enum find_form *form)
{
	size_t done = 0, at = 0;
	const uint8_t *text = needle->text;

	*form = FIND_RAW;
	while (done < needle->len) {
		struct oracle_unit u;

		if (at >= left)
			return 0;
		u = oracle_unit(p + at, left - at);
		if (u.n == 0 || u.n > needle->len - done ||
		    memcmp(text + done, u.bytes, u.n) != 0)
			return 0;
		if (u.form != FIND_RAW)
			*form = *form == FIND_RAW || *form == u.form
			                ? u.form
			                : FIND_MIXED;
		done += u.n;
		at += u.len;
	}
	return at;
}

/* The best that begins at @at; @unit: a unit begins there. */
static bool oracle_best(const struct needle *v, size_t n, const uint8_t *data,
                        size_t len, size_t at, bool unit, struct find_hit *ret)
{
	size_t longest = 0;
	bool found = false;

	for (size_t i = 0; i < n; i++)
		if (v[i].len <= len - at && v[i].len > longest &&
		    memcmp(data + at, v[i].text, v[i].len) == 0) {
			longest = v[i].len;
			*ret = (struct find_hit){(unsigned)i, FIND_RAW, at,
			                         v[i].len};
			found = true;
		}
	longest = 0;
	for (size_t i = 0; i < n && unit; i++) {
		enum find_form form;
		size_t here = oracle_at(&v[i], data + at, len - at, &form);

		if (here == 0 || v[i].len <= longest)
			continue;
		longest = v[i].len;
		if (form == FIND_RAW ||
		    (found && ret->form == FIND_RAW && here <= ret->len))
			continue;
		*ret = (struct find_hit){(unsigned)i, form, at, here};
		found = true;
	}
	return found;
}

static bool oracle_next(const struct needle *v, size_t n, const uint8_t *data,
                        size_t len, size_t pos, struct find_hit *ret)
{
	size_t unit = pos;

	*ret = (struct find_hit){0};
	for (size_t at = pos; at < len; at++) {
		if (oracle_best(v, n, data, len, at, at == unit, ret))
			return true;
		if (at == unit)
			unit += oracle_unit(data + at, len - at).len;
	}
	return false;
}

#endif
