/*
 * members.h - copies of the public options structs, and their form in the
 * record, by tables: one row for each member that is kept.
 *
 * A copy owns all that it points to, though the public type says const.
 */
#ifndef LIB_MEMBERS_H
#define LIB_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"

enum member_kind {
	MEMBER_NUMBER, /* uint32_t, or int32_t that is not negative */
	MEMBER_TEXT,   /* const char * */
	MEMBER_LIST,   /* const char *const *, ends with NULL */
	MEMBER_OTHER,  /* as its `type` says */
};

/*
 * A kind of its owner's. Functions that return an int give 0 or a negative
 * errno; what they have made by then is released all the same.
 */
struct member_type {
	int (*copy)(void *to, const void *from);
	void (*release)(void *of); /* NULL: it owns nothing */
	bool (*is_default)(const void *of);
	json_t *(*json)(const void *of);
	int (*read)(const json_t *j, void *ret);
};

/* A table ends with a row without a key. */
struct member {
	const char *key;
	enum member_kind kind;
	size_t offset;
	const struct member_type *type;
};

#define MEMBER(of, name, kind)                                                 \
	{                                                                      \
#name, kind, offsetof(of, name), NULL                          \
	}
#define MEMBER_TYPED(of, name, type)                                           \
	{                                                                      \
#name, MEMBER_OTHER, offsetof(of, name), type                  \
	}

/* @to is zeroed. On failure it is to be released all the same. */
int members_copy(const struct member *table, void *to, const void *from);
void members_release(const struct member *table, void *of);

/* Members that are 0, NULL or empty are left out. NULL: no memory. */
json_t *members_json(const struct member *table, const void *of);
/* -EINVAL: not what members_json() writes. Releases what it read then. */
int members_read(const struct member *table, const json_t *j, void *ret);

#endif
