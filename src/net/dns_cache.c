#include "net/dns_cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/num.h"
#include "net/flow.h"

#include "base/banned.h"

#define BUCKETS 512

/* What an answer depends on, beside name and type. */
#define WITH_OPT 1
#define WITH_DO  2
#define WITH_AD  4
#define WITH_CD  8

struct key {
	struct dns_name name; /* lower case; zeros behind it */
	uint16_t type;
	uint16_t how;
};

struct entry {
	struct entry *next; /* in the bucket */
	struct entry *older, *newer;
	uint64_t since_ns, until_ns;
	struct key key;
	size_t len;
	uint8_t msg[];
};

struct dns_cache {
	uint64_t hash_key[2];
	struct entry *bucket[BUCKETS];
	struct entry *oldest, *newest; /* by use */
	unsigned n;
	size_t bytes;
};

struct dns_cache *dns_cache_new(void)
{
	struct dns_cache *c = calloc(1, sizeof(*c));

	if (c && getrandom(c->hash_key, sizeof(c->hash_key), 0) !=
	                 sizeof(c->hash_key)) {
		free(c);
		return NULL;
	}
	return c;
}

static void key_of(const struct dns_query *q, struct key *ret)
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->name.b, q->name.b, q->name.len);
	ret->name.len = q->name.len;
	dns_name_lower(&ret->name);
	ret->type = q->type;
	ret->how = (uint16_t)((q->opt ? WITH_OPT : 0) |
	                      (q->dnssec_ok ? WITH_DO : 0) |
	                      (q->flags & DNS_AD ? WITH_AD : 0) |
	                      (q->flags & DNS_CD ? WITH_CD : 0));
}

static struct entry **slot_of(struct dns_cache *c, const struct key *k)
{
	uint64_t h = siphash(c->hash_key, k, sizeof(*k));
	struct entry **e = &c->bucket[h % BUCKETS];

	while (*e && memcmp(&(*e)->key, k, sizeof(*k)) != 0)
		e = &(*e)->next;
	return e;
}

static void unlink_use(struct dns_cache *c, struct entry *e)
{
	*(e->older ? &e->older->newer : &c->oldest) = e->newer;
	*(e->newer ? &e->newer->older : &c->newest) = e->older;
}

static void link_newest(struct dns_cache *c, struct entry *e)
{
	e->newer = NULL;
	e->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = e;
	c->newest = e;
}

static void drop(struct dns_cache *c, struct entry **slot)
{
	struct entry *e = *slot;

	*slot = e->next;
	unlink_use(c, e);
	c->n--;
	c->bytes -= sizeof(*e) + e->len;
	free(e);
}

void dns_cache_clear(struct dns_cache *c)
{
	while (c->oldest)
		drop(c, slot_of(c, &c->oldest->key));
}

void dns_cache_free(struct dns_cache *c)
{
	if (!c)
		return;
	dns_cache_clear(c);
	free(c);
}

void dns_cache_put(struct dns_cache *c, const struct dns_query *q,
                   const struct dns_msg *m, uint64_t now_ns)
{
	uint32_t ttl = dns_msg_ttl(m);
	struct entry *e, **slot;

	if (ttl == 0 || m->len > DNS_CACHE_ENTRY_MAX)
		return;
	e = malloc(sizeof(*e) + m->len);
	if (!e)
		return;
	key_of(q, &e->key);
	slot = slot_of(c, &e->key);
	if (*slot)
		drop(c, slot);
	while (c->n >= DNS_CACHE_MAX ||
	       (c->n && c->bytes + sizeof(*e) + m->len > DNS_CACHE_BYTES))
		drop(c, slot_of(c, &c->oldest->key));
	e->since_ns = now_ns;
	e->until_ns = now_ns + ttl * NS_PER_S;
	e->len = m->len;
	memcpy(e->msg, m->b, m->len);
	slot = slot_of(c, &e->key); /* the old one may have gone */
	e->next = NULL;
	*slot = e;
	link_newest(c, e);
	c->n++;
	c->bytes += sizeof(*e) + e->len;
}

const uint8_t *dns_cache_get(struct dns_cache *c, const struct dns_query *q,
                             uint64_t now_ns, size_t *ret_len,
                             uint32_t *ret_age_s)
{
	struct entry **slot, *e;
	struct key k;

	key_of(q, &k);
	slot = slot_of(c, &k);
	e = *slot;
	if (!e)
		return NULL;
	if (now_ns >= e->until_ns) {
		drop(c, slot);
		return NULL;
	}
	unlink_use(c, e);
	link_newest(c, e);
	*ret_len = e->len;
	*ret_age_s = (uint32_t)((now_ns - e->since_ns) / NS_PER_S);
	return e->msg;
}

unsigned dns_cache_count(const struct dns_cache *c, size_t *ret_bytes)
{
	*ret_bytes = c->bytes;
	return c->n;
}
