/* sniff_int.h - what the readers of first bytes share. */
#ifndef NET_SNIFF_INT_H
#define NET_SNIFF_INT_H

#include "net/sniff.h"

/*
 * Both only ever read forwards, so that what they said of some bytes stays
 * true when more come. SNIFF_MORE when @len is too little; @ret is zeroed.
 */
enum sniff_kind sniff_tls(const uint8_t *data, size_t len, struct sniff *ret);
enum sniff_kind sniff_http(const uint8_t *data, size_t len, struct sniff *ret);

/*
 * @text as policy_name(); "" for an address, which names nobody. False when it
 * is neither.
 */
bool sniff_name(const uint8_t *text, size_t len, char ret[POLICY_NAME_MAX + 1]);

#endif
