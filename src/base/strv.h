/* strv.h - a bounded, growing, NULL-terminated list of owned strings. */
#ifndef BASE_STRV_H
#define BASE_STRV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

#define STRV_MAX 65536

struct strv {
	char **v; /* v[n] is NULL; v itself is NULL while empty */
	size_t n;
};

void strv_release(struct strv *s); /* NULL is fine */

/* Replace *@to by a copy of @from; NULL leaves it as it is. -ENOMEM */
int str_put(char **to, const char *from);

/* Copies @str. 0, -ENOMEM, or -E2BIG past STRV_MAX. */
int strv_add(struct strv *s, const char *str);
int strv_addn(struct strv *s, const char *str, size_t len);
int strv_addf(struct strv *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Append copies of all strings of a NULL-terminated list (may be NULL). */
int strv_add_all(struct strv *s, char *const *list);

/* "KEY=VALUE": replace the entry with the same KEY, else append. */
int strv_env_set(struct strv *s, const char *assignment);

/* Never NULL: an empty list gives a pointer to a lone NULL. */
char *const *strv_list(const struct strv *s);

#define cleanup_strv cleanup(strv_release)

#endif
