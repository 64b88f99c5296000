/*
 * dns_cache.h - answers of the configured servers, as they came: they are
 * judged again each time they are given (a policy's reasons may have changed,
 * and the pins must be renewed), with the age taken off their TTLs.
 */
#ifndef NET_DNS_CACHE_H
#define NET_DNS_CACHE_H

#include <stdint.h>

#include "net/dns_msg.h"

#define DNS_CACHE_MAX       1024
#define DNS_CACHE_BYTES     (1u << 20)
#define DNS_CACHE_ENTRY_MAX 4096 /* larger messages are not kept */

struct dns_cache;

struct dns_cache *dns_cache_new(void); /* NULL: no memory */
void dns_cache_free(struct dns_cache *c);
void dns_cache_clear(struct dns_cache *c);

/*
 * Keep @m, the answer to @q, if it may be kept. The one that was not used for
 * longest makes room.
 */
void dns_cache_put(struct dns_cache *c, const struct dns_query *q,
                   const struct dns_msg *m, uint64_t now_ns);

/* The message for @q, until the next call; NULL: none. */
const uint8_t *dns_cache_get(struct dns_cache *c, const struct dns_query *q,
                             uint64_t now_ns, size_t *ret_len,
                             uint32_t *ret_age_s);

/* For tests and explain. */
unsigned dns_cache_count(const struct dns_cache *c, size_t *ret_bytes);

#endif
