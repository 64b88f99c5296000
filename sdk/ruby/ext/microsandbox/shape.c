#include "call.h"

#include <ruby/encoding.h>
#include <string.h>

#define WITH_SHAPES
#include "generated.inc"

const struct shape *shape_find(const char *name)
{
	for (size_t i = 0; shapes[i]; i++)
		if (strcmp(shapes[i]->name, name) == 0)
			return shapes[i];
	rb_bug("no struct %s", name);
}

void define_constants(VALUE module)
{
	for (size_t i = 0; constants[i].name; i++)
		rb_define_const(module, constants[i].name,
		                ULL2NUM(constants[i].value));
}

/* ---- memory of a call -------------------------------------------------- */

struct chunk {
	struct chunk *next;
	size_t size;
	_Alignas(16) char data[];
};

struct arena {
	struct chunk *chunks;
	VALUE objects[ARENA_HANDLES];
	struct handle *handles[ARENA_HANDLES];
	size_t count;
	bool held;
};

static void arena_empty(struct arena *a)
{
	struct chunk *c;

	while ((c = a->chunks)) {
		a->chunks = c->next;
		explicit_bzero(c->data, c->size); /* secrets are here, too */
		xfree(c);
	}
}

/* By the collector, when an argument raised: nothing was held yet. */
static void arena_free(void *data)
{
	arena_empty(data);
	xfree(data);
}

static void arena_mark(void *data)
{
	struct arena *a = data;

	for (size_t i = 0; i < a->count; i++)
		rb_gc_mark(a->objects[i]);
}

static const rb_data_type_t arena_type = {
	.wrap_struct_name = "microsandbox arguments",
	.function = {.dmark = arena_mark, .dfree = arena_free},
	.flags = RUBY_TYPED_FREE_IMMEDIATELY,
};

VALUE arena_new(struct arena **ret_arena)
{
	return TypedData_Make_Struct(0, struct arena, &arena_type, *ret_arena);
}

void arena_release(VALUE object)
{
	struct arena *a = rb_check_typeddata(object, &arena_type);

	for (size_t i = 0; a->held && i < a->count; i++)
		handle_done(a->handles[i]);
	a->count = 0;
	arena_empty(a);
}

void *arena_handle(struct arena *a, VALUE object, enum handle_type type)
{
	struct handle *h = handle_get(object, type);

	if (a->count == ARENA_HANDLES)
		rb_bug("more handles than a call has");
	a->handles[a->count] = h;
	a->objects[a->count++] = object;
	return h->ptr;
}

void arena_hold(VALUE object)
{
	struct arena *a = rb_check_typeddata(object, &arena_type);

	for (size_t i = 0; i < a->count; i++)
		handle_use(a->handles[i]);
	a->held = true;
}

bool arena_holds(VALUE object, const struct handle *h)
{
	const struct arena *a = rb_check_typeddata(object, &arena_type);

	for (size_t i = 0; a->held && i < a->count; i++)
		if (a->handles[i] == h)
			return true;
	return false;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct chunk *c = xcalloc(1, sizeof(*c) + size);

	c->next = a->chunks;
	c->size = size;
	a->chunks = c;
	return c->data;
}

/* ---- values that come in ----------------------------------------------- */

int64_t check_integer(VALUE value, int64_t min, int64_t max, const char *what)
{
	int64_t n;

	if (!RB_INTEGER_TYPE_P(value))
		rb_raise(rb_eTypeError, "%s: an Integer is wanted, not %s",
		         what, rb_obj_classname(value));
	if (!FIXNUM_P(value))
		call_invalid("%s: the number is out of range", what);
	n = FIX2LONG(value);
	if (n < min || n > max)
		call_invalid("%s: %lld is not within %lld and %lld", what,
		             (long long)n, (long long)min, (long long)max);
	return n;
}

uint64_t check_u64(VALUE value, const char *what)
{
	if (RB_TYPE_P(value, T_BIGNUM)) {
		uint64_t n;

		if (rb_integer_pack(value, &n, 1, sizeof(n), 0,
		                    INTEGER_PACK_NATIVE_BYTE_ORDER |
		                            INTEGER_PACK_LSWORD_FIRST) == 1)
			return n;
		call_invalid("%s: the number is out of range", what);
	}
	return (uint64_t)check_integer(value, 0, INT64_MAX, what);
}

/* Text in UTF-8; bytes of no encoding and broken text go as they are. */
static VALUE utf8(VALUE s)
{
	rb_encoding *enc = rb_enc_get(s);

	if (enc == rb_utf8_encoding() || enc == rb_ascii8bit_encoding() ||
	    enc == rb_usascii_encoding())
		return s;
	return rb_str_encode(s, rb_enc_from_encoding(rb_utf8_encoding()), 0,
	                     Qnil);
}

const char *arena_string(struct arena *a, VALUE value, const char *what)
{
	size_t len;
	char *copy;

	if (!RB_TYPE_P(value, T_STRING))
		rb_raise(rb_eTypeError, "%s: a String is wanted, not %s", what,
		         rb_obj_classname(value));
	value = utf8(value);
	len = (size_t)RSTRING_LEN(value);
	if (memchr(RSTRING_PTR(value), 0, len))
		call_invalid("%s: there is a NUL in the string", what);
	copy = arena_alloc(a, len + 1);
	memcpy(copy, RSTRING_PTR(value), len);
	RB_GC_GUARD(value);
	return copy;
}

static VALUE check_array(VALUE value, const char *what)
{
	if (!RB_TYPE_P(value, T_ARRAY))
		rb_raise(rb_eTypeError, "%s: an Array is wanted, not %s", what,
		         rb_obj_classname(value));
	return value;
}

const char *const *arena_strings(struct arena *a, VALUE value, const char *what)
{
	long count = RARRAY_LEN(check_array(value, what));
	const char **list = arena_alloc(a, ((size_t)count + 1) * sizeof(*list));

	for (long i = 0; i < count; i++)
		list[i] = arena_string(a, rb_ary_entry(value, i), what);
	return list;
}

static const void *const *structs_in(struct arena *a, const struct shape *shape,
                                     VALUE value, const char *what)
{
	long count = RARRAY_LEN(check_array(value, what));
	void **list = arena_alloc(a, ((size_t)count + 1) * sizeof(*list));

	for (long i = 0; i < count; i++)
		list[i] = arena_struct(a, shape, rb_ary_entry(value, i));
	return (const void *const *)list;
}

static void bytes_in(struct arena *a, const struct member *m, VALUE value,
                     char *base)
{
	size_t len;
	void *copy;

	if (!RB_TYPE_P(value, T_STRING))
		rb_raise(rb_eTypeError, "%s: a String is wanted, not %s",
		         m->name, rb_obj_classname(value));
	len = (size_t)RSTRING_LEN(value);
	copy = arena_alloc(a, len + 1);
	memcpy(copy, RSTRING_PTR(value), len);
	*(void **)(base + m->offset) = copy;
	*(size_t *)(base + m->length) = len;
}

static void number_in(const struct member *m, VALUE value, void *to)
{
	if (value == Qtrue || value == Qfalse)
		value = INT2FIX(value == Qtrue);
	switch (m->kind) {
	case KIND_I32:
		*(int32_t *)to = (int32_t)check_integer(value, INT32_MIN,
		                                        INT32_MAX, m->name);
		break;
	case KIND_U32:
		*(uint32_t *)to =
			(uint32_t)check_integer(value, 0, UINT32_MAX, m->name);
		break;
	case KIND_U16:
		*(uint16_t *)to =
			(uint16_t)check_integer(value, 0, UINT16_MAX, m->name);
		break;
	case KIND_I64:
		*(int64_t *)to =
			check_integer(value, INT64_MIN, INT64_MAX, m->name);
		break;
	default:
		*(uint64_t *)to = check_u64(value, m->name);
	}
}

static void struct_in(struct arena *a, const struct shape *shape, VALUE hash,
                      char *base);

static void member_in(struct arena *a, const struct member *m, VALUE value,
                      char *base)
{
	void *to = base + m->offset;

	switch (m->kind) {
	case KIND_STRING:
		*(const char **)to = arena_string(a, value, m->name);
		break;
	case KIND_STRINGS:
		*(const char *const **)to = arena_strings(a, value, m->name);
		break;
	case KIND_BYTES:
		bytes_in(a, m, value, base);
		break;
	case KIND_INLINE:
		struct_in(a, m->shape, value, to);
		break;
	case KIND_POINTER:
		*(void **)to = arena_struct(a, m->shape, value);
		break;
	case KIND_LIST:
		*(const void *const **)to =
			structs_in(a, m->shape, value, m->name);
		break;
	case KIND_IMAGE:
		*(void **)to = arena_handle(a, value, HANDLE_IMAGE);
		break;
	case KIND_CHARS:
		break;
	default:
		number_in(m, value, to);
	}
}

static const struct member *find_member(const struct shape *shape, VALUE key)
{
	const char *name;

	if (!SYMBOL_P(key))
		rb_raise(rb_eTypeError, "names of options are Symbols, not %s",
		         rb_obj_classname(key));
	name = rb_id2name(SYM2ID(key));
	for (const struct member *m = shape->members; m->name; m++)
		if (strcmp(m->name, name) == 0)
			return m;
	call_invalid("there is no option %s", name);
}

struct filling {
	struct arena *arena;
	const struct shape *shape;
	char *base;
};

static int fill_one(VALUE key, VALUE value, VALUE arg)
{
	const struct filling *f = (const struct filling *)arg;
	const struct member *m = find_member(f->shape, key);

	if (!NIL_P(value))
		member_in(f->arena, m, value, f->base);
	return ST_CONTINUE;
}

static void struct_in(struct arena *a, const struct shape *shape, VALUE hash,
                      char *base)
{
	struct filling f = {a, shape, base};

	if (!RB_TYPE_P(hash, T_HASH))
		rb_raise(rb_eTypeError, "%s: a Hash is wanted, not %s",
		         shape->name, rb_obj_classname(hash));
	if (shape->sized)
		*(size_t *)base = shape->size;
	rb_hash_foreach(hash, fill_one, (VALUE)&f);
}

void *arena_struct(struct arena *a, const struct shape *shape, VALUE hash)
{
	void *base = arena_alloc(a, shape->size);

	struct_in(a, shape, hash, base);
	return base;
}

/* ---- values that go out ------------------------------------------------ */

VALUE text_of(const char *s)
{
	return s ? rb_utf8_str_new_cstr(s) : Qnil;
}

VALUE strings_of(const char *const *list)
{
	VALUE array = rb_ary_new();

	for (size_t i = 0; list && list[i]; i++)
		rb_ary_push(array, text_of(list[i]));
	return array;
}

static VALUE list_of(const struct shape *shape, const void *const *list)
{
	VALUE array = rb_ary_new();

	for (size_t i = 0; list && list[i]; i++)
		rb_ary_push(array, hash_of(shape, list[i]));
	return array;
}

static VALUE bytes_of(const void *data, size_t len)
{
	return data ? rb_str_new(data, (long)len) : Qnil;
}

static VALUE member_of(const struct member *m, const char *base)
{
	const void *at = base + m->offset;

	switch (m->kind) {
	case KIND_I32:
		return INT2NUM(*(const int32_t *)at);
	case KIND_U32:
		return UINT2NUM(*(const uint32_t *)at);
	case KIND_U16:
		return UINT2NUM(*(const uint16_t *)at);
	case KIND_I64:
		return LL2NUM(*(const int64_t *)at);
	case KIND_U64:
	case KIND_SIZE:
		return ULL2NUM(*(const uint64_t *)at);
	case KIND_STRING:
		return text_of(*(const char *const *)at);
	case KIND_STRINGS:
		return strings_of(*(const char *const *const *)at);
	case KIND_CHARS:
		return text_of(at);
	case KIND_BYTES:
		return bytes_of(*(const void *const *)at,
		                *(const size_t *)(base + m->length));
	case KIND_INLINE:
		return hash_of(m->shape, at);
	case KIND_POINTER:
		return hash_of(m->shape, *(const void *const *)at);
	case KIND_LIST:
		return list_of(m->shape, *(const void *const *const *)at);
	case KIND_IMAGE:
		break;
	}
	return Qnil;
}

/* An older library fills less than we know: what it lacks is left out. */
VALUE hash_of(const struct shape *shape, const void *data)
{
	size_t size = shape->size;
	VALUE hash;

	if (!data)
		return Qnil;
	if (shape->sized && *(const size_t *)data)
		size = *(const size_t *)data;
	hash = rb_hash_new();
	for (const struct member *m = shape->members; m->name; m++)
		if (m->offset < size)
			rb_hash_aset(hash, ID2SYM(rb_intern(m->name)),
			             member_of(m, data));
	return hash;
}

/* ---- copies of events, made without Ruby ------------------------------- */

static char **string_at(const struct member *m, void *base)
{
	return (char **)((char *)base + m->offset);
}

void *shape_copy(const struct shape *shape, const void *data)
{
	void *copy = malloc(shape->size);

	if (!copy)
		return NULL;
	memcpy(copy, data, shape->size);
	for (const struct member *m = shape->members; m->name; m++)
		if (m->kind == KIND_STRING && *string_at(m, copy))
			*string_at(m, copy) = strdup(*string_at(m, copy));
	return copy;
}

void shape_free(const struct shape *shape, void *copy)
{
	for (const struct member *m = shape->members; copy && m->name; m++)
		if (m->kind == KIND_STRING)
			free(*string_at(m, copy));
	free(copy);
}
