/*
 * pins.h - which names an address was given to the guest for. A pin lives for
 * the answer's TTL, at least 120 s, and as long as a flow uses it.
 */
#ifndef NET_PINS_H
#define NET_PINS_H

#include <stddef.h>
#include <stdint.h>

#include "policy/addr.h"

#define PINS_MAX      8192 /* the one that ends next makes room */
#define PIN_NAMES_MAX 16   /* of one address; the newest */
#define PIN_LIFE_MIN  120  /* seconds */

struct pins;

struct pins *pins_new(void);
void pins_free(struct pins *p);

/* @name as policy_name() makes it. */
int pins_add(struct pins *p, const struct addr *a, const char *name,
             uint32_t ttl_s, uint64_t now_ns);

/* The names of @a; they stay until the next call of pins_add(). */
size_t pins_names(struct pins *p, const struct addr *a, uint64_t now_ns,
                  const char *ret[PIN_NAMES_MAX]);

/* Addresses that @name has now; for explain. */
size_t pins_addrs(struct pins *p, const char *name, uint64_t now_ns,
                  struct addr *ret, size_t max);

/* A flow to @a begins, ends. */
void pins_hold(struct pins *p, const struct addr *a);
void pins_drop(struct pins *p, const struct addr *a, uint64_t now_ns);

#endif
