#include "cli/log_time.h"

#include <string.h>
#include <time.h>

#include "base/num.h"

#include "base/banned.h"

/* Digits, exactly @n of them; NULL when they are not there. */
static const char *digits(const char *p, int n, int *ret)
{
	int v = 0;

	for (int i = 0; i < n; i++, p++) {
		if (*p < '0' || *p > '9')
			return NULL;
		v = 10 * v + (*p - '0');
	}
	*ret = v;
	return p;
}

static const char *expect(const char *p, char c)
{
	return p && *p == c ? p + 1 : NULL;
}

/* "2026-01-31" and, behind T or a space, "12:00:00". */
static const char *date_and_time(const char *p, struct tm *tm)
{
	p = digits(p, 4, &tm->tm_year);
	p = expect(p, '-');
	p = p ? digits(p, 2, &tm->tm_mon) : NULL;
	p = expect(p, '-');
	p = p ? digits(p, 2, &tm->tm_mday) : NULL;
	if (!p || tm->tm_mon < 1 || tm->tm_mon > 12 || tm->tm_mday < 1 ||
	    tm->tm_mday > 31 || tm->tm_year < 1970)
		return NULL;
	tm->tm_year -= 1900;
	tm->tm_mon -= 1;
	if (*p == '\0')
		return p;
	if (*p != 'T' && *p != 't' && *p != ' ')
		return NULL;
	p = digits(p + 1, 2, &tm->tm_hour);
	p = expect(p, ':');
	p = p ? digits(p, 2, &tm->tm_min) : NULL;
	p = expect(p, ':');
	p = p ? digits(p, 2, &tm->tm_sec) : NULL;
	return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec <= 60 ? p
	                                                               : NULL;
}

static const char *fraction(const char *p, int *ret_ms)
{
	int unit = 100;

	if (*p != '.' || p[1] < '0' || p[1] > '9')
		return p;
	for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
		*ret_ms += unit * (*p - '0');
	return p;
}

/* "Z" or "+02:00" up to the end of the text. */
static bool offset(const char *p, int *ret_s)
{
	int hours, minutes, sign = *p == '-' ? -1 : 1;

	*ret_s = 0;
	if ((*p == 'Z' || *p == 'z') && p[1] == '\0')
		return true;
	if (*p != '+' && *p != '-')
		return false;
	p = expect(digits(p + 1, 2, &hours), ':');
	p = p ? digits(p, 2, &minutes) : NULL;
	if (!p || *p || hours > 23 || minutes > 59)
		return false;
	*ret_s = sign * (hours * 3600 + minutes * 60);
	return true;
}

static bool parse_date(const char *text, int64_t *ret_ms)
{
	struct tm tm = {.tm_isdst = -1};
	const char *p = date_and_time(text, &tm);
	int ms = 0, day = tm.tm_mday, off = 0;
	bool leap = tm.tm_sec == 60;
	time_t t;

	if (!p)
		return false;
	p = fraction(p, &ms);
	if (*p && !offset(p, &off))
		return false;
	t = *p ? timegm(&tm) : mktime(&tm);
	if (tm.tm_mday != day && !leap) /* February 31st */
		return false;
	*ret_ms = ((int64_t)t - off) * 1000 + ms;
	return *ret_ms >= 0;
}

bool log_time_parse(const char *text, int64_t now_ms, int64_t *ret_ms)
{
	uint64_t back;

	if (!num_parse_duration_ms(text, &back))
		return parse_date(text, ret_ms);
	*ret_ms = back < (uint64_t)now_ms ? now_ms - (int64_t)back : 0;
	return true;
}
