/*
 * scripts.h - scripts of a sandbox from options: NAME and what stands in it.
 */
#ifndef FORMS_SCRIPTS_H
#define FORMS_SCRIPTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strv.h"
#include "forms/conf.h"

/*
 * Lay the three options over @c's scripts: NAME=BODY with escapes, NAME=BODY
 * as it is, NAME:PATH. A name that is given twice here is an error. All but
 * the second kind get a "#!" line of c->shell, unless they have one; those
 * that are in @c already get theirs, too.
 */
int scripts_put(struct conf *c, const struct strv *decoded,
                const struct strv *raw, const struct strv *paths,
                struct err *err);

/*
 * Put "NAME=BODY" into @to. @shell (NULL: BODY stays as it is): a "#!" line
 * goes before it, unless it has one, and a newline behind it. -ENOMEM, -E2BIG.
 */
int scripts_add(struct strv *to, const char *name, size_t name_len,
                const char *body, const char *shell);

/* What the library takes: letters, digits, . _ - behind the first one. */
bool scripts_name_ok(const char *name, size_t len);

#endif
