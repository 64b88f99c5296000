/*
 * shape.h - what the structs of the C interface are made of, as tables (in
 * generated.inc), and hashes made of structs and structs of hashes by them.
 *
 * A hash has the C names as symbols. Coming in, a name that no struct has, a
 * value of another type, a number out of range or a string with a NUL raises
 * before anything starts; nil is as if not given. Going out, strings are UTF-8
 * as they are, lists are arrays.
 */
#ifndef MSB_RUBY_SHAPE_H
#define MSB_RUBY_SHAPE_H

#include <ruby.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handle.h"

#ifndef RBOOL /* Ruby 3.2 has it */
#define RBOOL(v) ((v) ? Qtrue : Qfalse)
#endif

enum kind {
	KIND_I32,
	KIND_U32,
	KIND_U16,
	KIND_I64,
	KIND_U64,
	KIND_SIZE,
	KIND_STRING,
	KIND_STRINGS, /* ends with NULL */
	KIND_CHARS,   /* an array in the struct: never asked for */
	KIND_BYTES,   /* pointer; its length is at .length */
	KIND_INLINE,  /* a struct in the struct */
	KIND_POINTER, /* to a struct */
	KIND_LIST,    /* of pointers to structs, ends with NULL */
	KIND_IMAGE,   /* a handle */
};

struct shape;

struct member {
	const char *name;
	enum kind kind;
	size_t offset, length;
	const struct shape *shape;
};

struct shape {
	const char *name;
	size_t size;
	bool sized; /* begins with its size */
	const struct member *members;
};

const struct shape *shape_find(const char *name);

/*
 * Memory for the arguments of one call: all of it goes at once, at the end of
 * the call, or with the garbage when an argument raised.
 */
struct arena;
#define ARENA_HANDLES 4 /* of one call */

VALUE arena_new(struct arena **ret_arena);
void arena_release(VALUE arena);
void *arena_alloc(struct arena *arena, size_t size);

/* Copies, since other threads may change what the call still reads. */
const char *arena_string(struct arena *arena, VALUE value, const char *what);
const char *const *arena_strings(struct arena *arena, VALUE value,
                                 const char *what);
void *arena_struct(struct arena *arena, const struct shape *shape, VALUE hash);
/* What the object, a handle, holds. Raises as handle_get(). */
void *arena_handle(struct arena *arena, VALUE object, enum handle_type type);
/* From now until the release all these handles are in use. */
void arena_hold(VALUE arena);
bool arena_holds(VALUE arena, const struct handle *h);

int64_t check_integer(VALUE value, int64_t min, int64_t max, const char *what);
uint64_t check_u64(VALUE value, const char *what);

VALUE text_of(const char *s);
VALUE strings_of(const char *const *list);
VALUE hash_of(const struct shape *shape, const void *data);
/* The same strings in memory of its own, freed by shape_free(). */
void *shape_copy(const struct shape *shape, const void *data);
void shape_free(const struct shape *shape, void *copy);

void define_constants(VALUE module);

#endif
