/*
 * schema.h - what a tool takes and gives, as tables: from one come the JSON
 * Schema (2020-12) that clients are shown and the check of what they send.
 */
#ifndef MCP_SCHEMA_H
#define MCP_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_kind {
	FIELD_TEXT,  /* without NUL; min and max are characters */
	FIELD_BYTES, /* the same with NUL */
	FIELD_INT,   /* min to max */
	FIELD_NUMBER,
	FIELD_BOOL,
	FIELD_TEXTS, /* a list of texts, max of them */
	FIELD_INTS,
	FIELD_WORDS,   /* one text, or a list of them */
	FIELD_PAIRS,   /* an object of texts */
	FIELD_OBJECT,  /* sub; without: any members */
	FIELD_OBJECTS, /* a list of sub, max of them */
	FIELD_CONF,    /* one text, or an object of sub */
};

enum field_flags {
	FIELD_REQUIRED = 1,
	FIELD_NULLABLE = 2,
};

/* Ends with a row without a name. */
struct field {
	const char *name;
	enum field_kind kind;
	uint32_t flags;
	int64_t min, max;    /* max 0: the kind's own */
	const char *choices; /* of a text, or of each: words with spaces */
	const char *help;
	const struct field *sub;
};

/* Rows, as calls: clang-format garbles a long table of initialisers. */
#define FIELD(name_, kind_, flags_, help_)                                     \
	{                                                                      \
		.name = (name_), .kind = (kind_), .flags = (flags_),           \
		.help = (help_)                                                \
	}
#define FIELD_RANGE(name_, kind_, flags_, min_, max_, help_)                   \
	{                                                                      \
		.name = (name_), .kind = (kind_), .flags = (flags_),           \
		.min = (min_), .max = (max_), .help = (help_)                  \
	}
#define FIELD_CHOICE(name_, kind_, flags_, max_, choices_, help_)              \
	{                                                                      \
		.name = (name_), .kind = (kind_), .flags = (flags_),           \
		.max = (max_), .choices = (choices_), .help = (help_)          \
	}
#define FIELD_SUB(name_, kind_, flags_, max_, sub_, help_)                     \
	{                                                                      \
		.name = (name_), .kind = (kind_), .flags = (flags_),           \
		.max = (max_), .sub = (sub_), .help = (help_)                  \
	}

#define FIELD_TEXTS_MAX 4096
#define FIELD_TEXT_MAX  (2 << 20)

/* @strict: other members are refused; that is how arguments are. */
json_t *schema_json(const struct field *fields, bool strict);

/*
 * Whether @value (NULL: an empty object) is what @fields say; else false, and
 * @why ("mounts[0].kind: ...") says what is wrong. Texts that came in are in
 * it only where they are names of members or choices.
 */
bool schema_check(const struct field *fields, const json_t *value, char *why,
                  size_t why_len);

#endif
