/*
 * subst_own.h - what the files of subst.h share: one request's state, and what
 * is done about a placeholder.
 */
#ifndef TLS_SUBST_OWN_H
#define TLS_SUBST_OWN_H

#include "tls/subst.h"
#include "tls/subst_encode.h"
#include "tls/subst_find.h"

enum place {
	PLACE_METHOD,
	PLACE_PATH,
	PLACE_QUERY,
	PLACE_NAME, /* of a header */
	PLACE_HEADER,
	PLACE_BASIC,
	PLACE_BODY,
	PLACES
};

/* What people are told once a flow: a word of struct gate's told[] each, a bit
   of it for each secret. The first PLACES are for places. */
enum told {
	TOLD_MIXED = PLACES, /* encoded in two ways at once */
	TOLD_CODED,          /* a body that is compressed */
	TOLD_SHORT,          /* a value that is too short to be masked */
	TOLD_END
};
_Static_assert(TOLD_END == GATE_TOLD, "one word each");

#define SUBST_REFUSAL 384

/* Where a text stands in the request. */
struct spot {
	enum place place;
	enum encoding how; /* of values */
	const char *name;  /* the header's, or NULL */
	size_t name_len;
	/* PLACE_PATH: what of the target is the query. */
	size_t query, query_end;
};

struct subst {
	struct secrets *set;
	const struct gate *gate;
	const struct sink *sink;
	const struct needles *needles; /* NULL: nothing to look for */
	uint64_t named; /* whose hosts the gate's name is among */
	uint64_t here;  /* that may be put in */
	char *method, *path, *authority;
	char protocol[16];
	unsigned used;
	uint32_t passed_on; /* violations that were not told of one by one */
	uint64_t said;      /* PASS: of these a line was said */
	uint64_t told[GATE_TOLD];
	char refusal[SUBST_REFUSAL]; /* subst_refusal() */
	struct find find;
	struct {
		enum encoding how;
		bool seen, fixed;
		int broken;
		struct buf carry;
	} body;
};

struct subst_at {
	struct subst *s;
	const struct spot *spot;
};

/*
 * A placeholder was found: its value onto @out, or it as it is; @arg is a
 * struct subst_at. 1: the value; 0: as it is; -EACCES and what else a caller
 * of subst.h gets.
 */
find_fn subst_hit;
/* How long the value would be there, for which a placeholder stands. */
size_t subst_value_len(const struct subst *s, const struct spot *spot,
                       const struct find_hit *hit);
/* Were people told? From now on they were. */
bool subst_told(uint64_t *told, enum told what, unsigned secret);
/* A line about this request: "@fmt (POST /v1 to HOST, HTTP/2)". */
void subst_note(struct subst *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Back to @len bytes; what was behind is wiped. */
void subst_undo(struct buf *out, size_t len);

#endif
