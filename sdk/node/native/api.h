/*
 * api.h - what the generated tables say about the C interface.
 *
 * A struct is a list of members with a kind each; a function is a list of
 * parameters with a kind each and a typed call. Everything else of the addon
 * reads these tables, so that a new member or function of the header is one
 * run of gen.mjs.
 */
#ifndef NODE_API_H
#define NODE_API_H

#include <microsandbox.h>
#include <stdint.h>

enum kind {
	K_STRUCT_SIZE, /* the struct's own size, first in those that grow */
	K_I32,
	K_U32,
	K_U16,
	K_I64,
	K_U64,
	K_SIZE,
	K_BIG,    /* 64 bits, a BigInt in JavaScript */
	K_STR,    /* const char *, may be NULL */
	K_STRS,   /* ends with NULL, may be NULL */
	K_CHARS,  /* char[n] */
	K_BYTES,  /* const void *; sub is the offset of its size_t */
	K_HANDLE, /* sub is its type */
	K_STRUCT, /* a pointer to one; sub is the shape, as below */
	K_LIST,   /* pointers to structs, ends with NULL */
	K_EMBED,  /* the struct itself */
	K_PULL_EVENT,
	K_COPY_EVENT,
	K_EVENT_ARG,
};

struct member {
	const char *name;
	int kind;
	uint32_t offset;
	uint32_t sub;
};

struct shape {
	const char *name;
	size_t size;
	const struct member *members;
	size_t count;
};

enum param_kind {
	P_HANDLE,
	P_STR,
	P_STRS,
	P_I32,
	P_U32,
	P_U16,
	P_I64,
	P_U64,
	P_SIZE,
	P_BIG,
	P_OPTS,  /* a struct, or null */
	P_BYTES, /* and the P_LEN behind it: one argument in JavaScript */
	P_LEN,
	P_BUFFER, /* to be filled: its size in JavaScript, with P_LEN */
	P_ERROR,
	/* From here on: results. */
	P_FILL, /* a struct of the caller's */
	P_HANDLE_OUT,
	P_HANDLES_OUT, /* an array, with P_LEN_OUT */
	P_STR_OUT,
	P_STRS_OUT,
	P_BYTES_OUT, /* with P_LEN_OUT */
	P_LEN_OUT,
	P_U64_OUT,
	P_U32_OUT,
	P_I32_OUT,
	P_LIST_OUT,
	P_OWNED_OUT,
};

enum return_kind {
	R_VOID,
	R_INT,  /* negative: the error, where there is a P_ERROR */
	R_NEXT, /* 0: there is none, null in JavaScript */
	R_BIG,
	R_STR,
	R_STRS,
	R_STRUCT,
};

union val {
	int64_t i;
	uint64_t u;
	void *p;
};

struct param {
	uint8_t kind;
	uint8_t sub;
};

#define PARAMS_MAX 10

struct func {
	const char *name;
	/* v[0] is the result, v[1] the first parameter. */
	void (*call)(void *fn, union val *v);
	int returns;
	uint32_t shape; /* of R_STRUCT */
	int internal;   /* not for JavaScript */
	int count;
	struct param params[PARAMS_MAX];
};

struct handle_type {
	const char *name;
	int free;
	int shared; /* many threads may use one at once */
};

struct list_type {
	int count, get, free;
	int shape;
};

struct owned_type {
	int shape;
	int free;
};

/* Functions that the addon calls itself. */
struct known {
	int cancel_new, cancel_use, cancel_fire, cancel_reset, cancel_free;
	int strings_free, free, image_list_free;
};

extern const struct shape shapes[];
extern const size_t shape_count;
extern const struct handle_type handle_types[];
extern const struct list_type list_types[];
extern const struct owned_type owned_types[];
extern const struct func funcs[];
extern const size_t func_count;
extern const struct known known;
extern const int pull_event_shape, copy_event_shape;

#endif
