#include <string.h>

#include "tls/vault.h"

#include "base/banned.h"

bool pattern_match(const char *pattern, const char *name)
{
	size_t p, n = strlen(name);

	if (strcmp(pattern, "*") == 0)
		return true;
	if (strncmp(pattern, "*.", 2) != 0)
		return n && strcmp(pattern, name) == 0;
	pattern += 2;
	p = strlen(pattern);
	if (p == 0 || n < p || strcmp(name + n - p, pattern) != 0)
		return false;
	return n == p || name[n - p - 1] == '.';
}

bool pattern_any(const struct strv *patterns, const char *name)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (pattern_match(patterns->v[i], name))
			return true;
	return false;
}
