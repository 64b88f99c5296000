/*
 * patch_opts.h - patches of options (--copy, --mkdir, --rm and their like) and
 * of configuration files (`patches`, `patch_files`) as the library takes them.
 */
#ifndef FORMS_PATCH_OPTS_H
#define FORMS_PATCH_OPTS_H

#include <stddef.h>

#include "base/err.h"
#include "base/strv.h"
#include "microsandbox.h"

/* In order. Texts and data are the list's own, freed with it. */
struct patch_list {
	struct msb_patch *v;
	size_t n, cap;
};

void patch_list_release(struct patch_list *l); /* zeroed is fine */

/* Takes what @p points to, also on failure. */
int patch_list_take(struct patch_list *l, struct msb_patch *p);

/* Move all of @from behind @to. */
int patch_list_move(struct patch_list *to, struct patch_list *from);

/*
 * Pointers for the library, NULL at the end, or NULL when @l is empty; valid
 * while @l stays as it is. Free them.
 */
int patch_list_pointers(const struct patch_list *l,
                        const struct msb_patch ***ret);

/*
 * What options say: each of @given is "OPTION:VALUE". SRC:DST may have options
 * behind it, as SRC:DST:replace,mode=0644,uid=1000,gid=1000. -EINVAL names the
 * option, -ENOENT and its like the source.
 */
int patch_options(struct patch_list *l, const struct strv *given,
                  struct err *err);

/* The same options with sources that hold in any folder. -ENOMEM. */
int patch_opts_absolute(const struct strv *given, struct strv *ret);

/* Four octal digits. */
int patch_parse_mode(const char *text, uint32_t *ret);

#endif
