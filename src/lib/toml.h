/*
 * toml.h - the part of TOML 1.0 that a file of settings needs:
 *
 *	# comment
 *	[table."name of a part"]
 *	text = "with \n escapes"		other = 'as it is'
 *	number = -1_000				yes = true
 *	list = ["a", "b",
 *		"c",]
 *
 * Refused, by FILE:LINE: what is not in this list (floats, dates, numbers of
 * other bases, inline tables, arrays of tables, dotted keys, texts over several
 * lines), keys and tables that come twice, what is not UTF-8. Bounded: 64 KiB,
 * TOML_ENTRIES_MAX entries, tables of TOML_DEPTH_MAX parts.
 */
#ifndef LIB_TOML_H
#define LIB_TOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"

#define TOML_SIZE_MAX    (64u << 10)
#define TOML_ENTRIES_MAX 1024u
#define TOML_TABLES_MAX  256u
#define TOML_DEPTH_MAX   4u

enum toml_kind { TOML_NUMBER, TOML_TEXT, TOML_BOOL, TOML_LIST };

struct toml_table {
	struct strv path; /* empty: what stands before the first table */
	unsigned line;
};

struct toml_entry {
	size_t table; /* index */
	unsigned line;
	char *key;
	enum toml_kind kind;
	int64_t number; /* TOML_BOOL: 0 or 1 */
	char *text;     /* UTF-8 without NUL */
	struct strv list;
};

/* Both in the file's order; tables[0] has the empty path. */
struct toml {
	struct toml_table *tables;
	struct toml_entry *entries;
	size_t ntables, nentries;
};

void toml_release(struct toml *t);
#define cleanup_toml cleanup(toml_release)

/* @what names the file in errors: "WHAT:LINE: ...". -EINVAL, -ENOMEM. */
int toml_parse(const void *data, size_t len, const char *what, struct toml *ret,
               struct err *err);

#endif
