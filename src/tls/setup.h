/*
 * setup.h - requests of proto/tls_setup.h: read from whatever brings the bytes,
 * checked, then put into effect as a whole or not at all.
 *
 * setup_input moves no bytes itself. Values go from the descriptor right into
 * the locked memory where they stay:
 *
 *	setup_input_init()
 *	{ setup_input_room() -> read() -> setup_input_got() } until it says 1
 *	setup_apply(), setup_input_release()
 */
#ifndef TLS_SETUP_H
#define TLS_SETUP_H

#include "base/err.h"
#include "tls/tls.h"

struct setup_secret {
	struct secret s; /* value: NULL until it came */
	bool has_value;  /* one comes */
};

/* What a request says, checked; all of it owned. */
struct setup_request {
	bool update;
	struct tls_options options;
	char *roots, *ca_cert;
	uint8_t *ca_key; /* value_new() */
	size_t ca_key_len;
	struct upstream_ca *cas;
	size_t ncas;
	struct strv no_verify, remove;
	struct setup_secret *set;
	size_t nset;
};

enum setup_part {
	SETUP_JSON_LEN,
	SETUP_JSON,
	SETUP_VALUE_LEN,
	SETUP_VALUE,
	SETUP_WHOLE,
};

struct setup_input {
	enum setup_part part;
	uint8_t number[4];
	char *json;
	size_t len, done; /* of this part */
	size_t next;      /* which value */
	uint8_t *value;   /* the one that comes */
	struct setup_request rq;
};

/* @update: which of the two it must be. */
void setup_input_init(struct setup_input *in, bool update);
void setup_input_release(struct setup_input *in); /* zeroed is fine */

/* Where the next bytes go, *ret_len of them at most (never 0). */
void *setup_input_room(struct setup_input *in, size_t *ret_len);
/* So many came. 1: the request is whole; 0: go on; or refused, with words. */
int setup_input_got(struct setup_input *in, size_t len, struct err *err);

/* The JSON alone; setup_request_release() what it gave, also on failure. */
int setup_request_parse(struct setup_request *rq, const char *json, size_t len,
                        struct err *err);
void setup_request_release(struct setup_request *rq);

/* Into @t, all or nothing, the link is told. Refused with words. */
int setup_apply(struct tls *t, const struct setup_request *rq, struct err *err);

/* "block-and-log" */
const char *setup_violation_name(enum secret_violation v);
/*
 * May they be in one set? -EEXIST, with words: one name, one placeholder, or
 * one placeholder that is the beginning of the other.
 */
int setup_clash(const struct secret *a, const struct secret *b,
                struct err *err);

#endif
