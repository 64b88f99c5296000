#include "net/flow.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/banned.h"

#define BUCKETS_MIN 64

static inline uint64_t rotl(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

uint64_t siphash(const uint64_t key[2], const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t word, last = (uint64_t)len << 56;
	uint64_t v[4] = {
		key[0] ^ 0x736f6d6570736575ULL,
		key[1] ^ 0x646f72616e646f6dULL,
		key[0] ^ 0x6c7967656e657261ULL,
		key[1] ^ 0x7465646279746573ULL,
	};

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		sip_word(v, le64toh(word));
	}
	for (size_t i = 0; i < len; i++)
		last |= (uint64_t)p[i] << (8 * i);
	sip_word(v, last);
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Every byte of a tuple is hashed and compared: there must be no padding. */
_Static_assert(sizeof(struct tuple) == 36, "struct tuple has padding");

static uint32_t tuple_hash(const struct flow_table *t, const struct tuple *key)
{
	return (uint32_t)siphash(t->key, key, sizeof(*key));
}

int flow_table_init(struct flow_table *t, uint32_t max)
{
	*t = (struct flow_table){.nbuckets = BUCKETS_MIN, .max = max};
	if (getrandom(t->key, sizeof(t->key), 0) != sizeof(t->key))
		return -EIO;
	t->bucket = calloc(t->nbuckets, sizeof(struct flow *));
	return t->bucket ? 0 : -ENOMEM;
}

void flow_table_release(struct flow_table *t)
{
	free(t->bucket);
	t->bucket = NULL;
}

static struct flow **bucket_of(const struct flow_table *t, uint32_t hash)
{
	return &t->bucket[hash & (t->nbuckets - 1)];
}

/* Twice the buckets, so that each has one flow on average. */
static int grow(struct flow_table *t)
{
	struct flow **old = t->bucket;
	uint32_t n = t->nbuckets;

	t->bucket = calloc((size_t)n * 2, sizeof(struct flow *));
	if (!t->bucket) {
		t->bucket = old;
		return -ENOMEM;
	}
	t->nbuckets = n * 2;
	for (struct flow *f = t->oldest; f; f = f->newer) {
		struct flow **b = bucket_of(t, f->hash);

		f->next = *b;
		*b = f;
	}
	free(old);
	return 0;
}

struct flow *flow_find(const struct flow_table *t, const struct tuple *key)
{
	uint32_t hash = tuple_hash(t, key);
	struct flow *f = *bucket_of(t, hash);

	while (f && (f->hash != hash || memcmp(&f->t, key, sizeof(*key)) != 0))
		f = f->next;
	return f;
}

static void append(struct flow_table *t, struct flow *f)
{
	f->newer = NULL;
	f->older = t->newest;
	*(t->newest ? &t->newest->newer : &t->oldest) = f;
	t->newest = f;
}

static void take_out(struct flow_table *t, struct flow *f)
{
	*(f->older ? &f->older->newer : &t->oldest) = f->newer;
	*(f->newer ? &f->newer->older : &t->newest) = f->older;
}

int flow_add(struct flow_table *t, struct flow *f, const struct tuple *key,
             uint64_t now_ns)
{
	struct flow **b;

	if (t->n >= t->max)
		return -ENFILE;
	if (t->n >= t->nbuckets && grow(t) < 0)
		return -ENOMEM;
	f->t = *key;
	f->hash = tuple_hash(t, key);
	b = bucket_of(t, f->hash);
	f->next = *b;
	*b = f;
	f->used_ns = now_ns;
	append(t, f);
	t->n++;
	return 0;
}

void flow_del(struct flow_table *t, struct flow *f)
{
	struct flow **b = bucket_of(t, f->hash);

	while (*b != f)
		b = &(*b)->next;
	*b = f->next;
	take_out(t, f);
	t->n--;
}

void flow_touch(struct flow_table *t, struct flow *f, uint64_t now_ns)
{
	f->used_ns = now_ns;
	if (t->newest == f)
		return;
	take_out(t, f);
	append(t, f);
}
