/*
 * subst_encode.h - bytes as a place asks for them: percent-encoded (all but
 * letters, digits and -._~), as the inside of a JSON string, in base64.
 */
#ifndef TLS_SUBST_ENCODE_H
#define TLS_SUBST_ENCODE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum encoding { ENCODE_RAW, ENCODE_PERCENT, ENCODE_JSON };

size_t encoded_len(enum encoding how, const uint8_t *data, size_t len);
/* Straight onto @out: no copy is made anywhere else. 0, -ENOMEM, -E2BIG. */
int encode_add(struct buf *out, enum encoding how, const uint8_t *data,
               size_t len);

/* With its padding, RFC 4648 section 4. */
int base64_add(struct buf *out, const uint8_t *data, size_t len);
/*
 * -EINVAL for anything but what base64_add() makes: other letters, padding that
 * is missing or elsewhere, bits behind the end.
 */
int base64_decode(const char *text, size_t len, struct buf *out);

#endif
