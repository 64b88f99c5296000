#include "base/num.h"

#include <stdio.h>

#include "base/banned.h"

static bool parse_digits(const char **s, unsigned base, uint64_t *ret)
{
	const char *p = *s;
	uint64_t v = 0;

	for (; *p >= '0' && *p < (char)('0' + base); p++) {
		if (!num_mul(v, base, &v) ||
		    !num_add(v, (uint64_t)(*p - '0'), &v))
			return false;
	}
	if (p == *s)
		return false;
	*s = p;
	*ret = v;
	return true;
}

static bool parse_whole(const char *s, unsigned base, uint64_t max,
                        uint64_t *ret)
{
	uint64_t v;

	if (!parse_digits(&s, base, &v) || *s != '\0' || v > max)
		return false;
	*ret = v;
	return true;
}

bool num_parse_u64(const char *s, uint64_t max, uint64_t *ret)
{
	return parse_whole(s, 10, max, ret);
}

bool num_parse_octal(const char *s, uint64_t max, uint64_t *ret)
{
	return parse_whole(s, 8, max, ret);
}

/* "K", "KB", "KiB" and so on; the empty suffix gives @unit. */
static bool parse_suffix(const char *s, uint64_t unit, uint64_t *ret)
{
	static const char letters[] = "kmgt";
	uint64_t mult = KIB;

	if (*s == '\0') {
		*ret = unit;
		return true;
	}
	for (const char *l = letters; *l; l++, mult *= KIB) {
		if ((*s | 0x20) != *l)
			continue;
		s++;
		if (*s == 'i' && (s[1] | 0x20) == 'b')
			s += 2;
		else if ((*s | 0x20) == 'b')
			s++;
		*ret = mult;
		return *s == '\0';
	}
	*ret = 1;
	return (*s | 0x20) == 'b' && s[1] == '\0';
}

bool num_parse_size(const char *s, uint64_t unit, uint64_t *ret)
{
	uint64_t whole, frac = 0, scale = 1, mult, v;

	if (!parse_digits(&s, 10, &whole))
		return false;
	if (*s == '.') {
		const char *start = ++s;

		if (!parse_digits(&s, 10, &frac) || s - start > 6)
			return false;
		for (const char *p = start; p < s; p++)
			scale *= 10;
	}
	if (!parse_suffix(s, unit, &mult) || !num_mul(whole, mult, &v))
		return false;
	/* frac < 10^6 and mult <= 2^40: the product fits. */
	return num_add(v, frac * mult / scale, ret);
}

bool num_parse_duration_ms(const char *s, uint64_t *ret)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {
		{"",   1000    },
                {"ms", 1       },
                {"s",  1000    },
		{"m",  60000   },
                {"h",  3600000 },
                {"d",  86400000},
	};
	uint64_t v;

	if (!parse_digits(&s, 10, &v))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strcmp(s, units[i].name) == 0)
			return num_mul(v, units[i].ms, ret);
	return false;
}

const char *num_format_size(uint64_t bytes, char *out, size_t out_len)
{
	static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double v = (double)bytes;
	size_t i = 0;

	while (v >= 1024.0 && i + 1 < ARRAY_SIZE(unit)) {
		v /= 1024.0;
		i++;
	}
	(void)snprintf(out, out_len, i ? "%.1f %s" : "%.0f %s", v, unit[i]);
	return out;
}
