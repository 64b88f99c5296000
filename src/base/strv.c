#include "base/strv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

int str_put(char **to, const char *from)
{
	char *copy = from ? strdup(from) : NULL;

	if (!from)
		return 0;
	if (!copy)
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

void strv_release(struct strv *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct strv){0};
}

/* Takes ownership of @str, also on failure. */
static int strv_take(struct strv *s, char *str)
{
	char **v;

	if (!str)
		return -ENOMEM;
	if (s->n >= STRV_MAX) {
		free(str);
		return -E2BIG;
	}
	v = s->v;
	if (s->n % 8 == 0) /* room for 8 more and the NULL */
		v = realloc(s->v, (s->n + 9) * sizeof(*v));
	if (!v) {
		free(str);
		return -ENOMEM;
	}
	s->v = v;
	s->v[s->n++] = str;
	s->v[s->n] = NULL;
	return 0;
}

int strv_add(struct strv *s, const char *str)
{
	return strv_take(s, strdup(str));
}

int strv_addn(struct strv *s, const char *str, size_t len)
{
	return strv_take(s, strndup(str, len));
}

int strv_addf(struct strv *s, const char *fmt, ...)
{
	char *str = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&str, fmt, ap);
	va_end(ap);
	return n < 0 ? -ENOMEM : strv_take(s, str);
}

int strv_add_all(struct strv *s, char *const *list)
{
	int r = 0;

	for (; list && *list && r == 0; list++)
		r = strv_add(s, *list);
	return r;
}

int strv_env_set(struct strv *s, const char *assignment)
{
	size_t key = strcspn(assignment, "=") + 1;
	char *copy;

	for (size_t i = 0; i < s->n; i++) {
		if (strncmp(s->v[i], assignment, key) != 0)
			continue;
		copy = strdup(assignment);
		if (!copy)
			return -ENOMEM;
		free(s->v[i]);
		s->v[i] = copy;
		return 0;
	}
	return strv_add(s, assignment);
}

char *const *strv_list(const struct strv *s)
{
	static char *const empty[] = {NULL};

	return s->v ? s->v : empty;
}
