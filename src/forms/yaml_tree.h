/*
 * yaml_tree.h - the YAML that a configuration file may be: one document of
 * maps, lists and scalars.
 *
 * YAML has more than configuration needs, and readers differ in it. Refused,
 * with FILE:LINE:COL: anchors and aliases, merge keys, tags, directives,
 * several documents, keys that are no plain words or come twice, and unquoted
 * yes, no, on and off, which are booleans to one reader and words to the next.
 * Bounded: YTREE_SIZE_MAX bytes, YTREE_NODES_MAX nodes, YTREE_DEPTH_MAX levels.
 */
#ifndef FORMS_YAML_TREE_H
#define FORMS_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

#define YTREE_SIZE_MAX  (1u << 20)
#define YTREE_NODES_MAX 4096u
#define YTREE_DEPTH_MAX 16u
#define YTREE_KEY_MAX   256u

enum ytree_kind { YTREE_SCALAR, YTREE_LIST, YTREE_MAP };

/* Where something stands; both count from 1. */
struct ytree_place {
	unsigned line, col;
};

struct ytree_node {
	enum ytree_kind kind;
	struct ytree_place at;
	char *text; /* a scalar's; UTF-8 without NUL */
	bool plain; /* a scalar without quotes, not a block */
	char *key;  /* in a map */
	struct ytree_place key_at;
	struct ytree_node *child; /* of a list or map, in the file's order */
	struct ytree_node *next;
	struct ytree_node *last; /* child, while it grows */
	size_t n;
};

void ytree_free(struct ytree_node *n);

static inline void cleanup_ytree_fn(struct ytree_node **n)
{
	ytree_free(*n);
}
#define cleanup_ytree cleanup(cleanup_ytree_fn)

/*
 * Names begin with ytree_: libyaml exports a yaml_free() that must stay its
 * own.
 *
 * @what names the file in errors. -EINVAL, -E2BIG, -ENOMEM.
 */
int ytree_read(const void *data, size_t len, const char *what,
               struct ytree_node **ret, struct err *err);

/* The same, as a scalar that means nothing: empty, ~ or null. */
bool ytree_is_null(const struct ytree_node *n);

/* Set @err to "WHAT:LINE:COL: ..."; returns -EINVAL. */
int ytree_error(struct err *err, const char *what, struct ytree_place at,
                const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
