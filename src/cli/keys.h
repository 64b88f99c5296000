/*
 * keys.h - the keys that let go of a command on a terminal: a short sequence
 * found in what is typed, which passes everything else on.
 *
 * What might be the beginning of the sequence is held back until the next key
 * decides. So all that is typed reaches the command, in order, but for the
 * sequence itself.
 */
#ifndef CLI_KEYS_H
#define CLI_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define KEYS_DEFAULT "ctrl-]"
#define KEYS_MAX     16

struct keys {
	unsigned char seq[KEYS_MAX];
	size_t n;    /* 0: there are none */
	size_t held; /* how many of them were typed */
};

/*
 * ctrl-<one of a-z ] [ \ ^ _ @> or one printable character, with commas between
 * them; "" for none. -EINVAL with a message that names the wrong one.
 */
int keys_parse(const char *text, struct keys *ret, struct err *err);

/*
 * Pass @data on to @out, which has room for @len + KEYS_MAX bytes. True when
 * the sequence was typed: what comes behind it is dropped.
 */
bool keys_pass(struct keys *k, const void *data, size_t len, void *out,
               size_t *ret_len);

#endif
