/*
 * rules.h - how a policy keeps its rules; for src/policy alone.
 *
 * Rules keep their order, and the smallest index that matches decides. Those
 * about names are found by a hash of the name (every suffix of a flow's name is
 * looked up), the others by walking `plain`, so that ten thousand names cost a
 * flow nothing.
 */
#ifndef POLICY_RULES_H
#define POLICY_RULES_H

#include "policy/policy.h"

enum rule_target {
	RULE_ANY,
	RULE_GROUP,
	RULE_HOST,
	RULE_DNS,
	RULE_NET,
	RULE_NAME,
};

enum rule_proto {
	RULE_TCP = 1,
	RULE_UDP = 2,
	RULE_ICMP4 = 4,
	RULE_ICMP6 = 8,
	RULE_ALL_PROTOS = 15,
};

#define RULE_NO_NEXT UINT32_MAX
#define POLICY_DNS   53

struct rule {
	uint64_t net[2], mask[2]; /* RULE_NET: as in memory, to compare fast */
	uint16_t lo, hi;          /* 0, 65535: any port, or none */
	uint8_t dirs;             /* enum policy_dir */
	uint8_t protos;           /* enum rule_proto */
	uint8_t target;           /* enum rule_target */
	uint8_t group;            /* RULE_GROUP: enum addr_kind */
	bool allow;
	bool v4;     /* RULE_NET: the network's family */
	bool embeds; /* RULE_NET: the network is of those that embed IPv4 */
	/* RULE_NAME */
	bool suffix;   /* and all below */
	bool starred;  /* was written as *.name */
	uint32_t hash; /* of the name, from its end */
	uint32_t next; /* in its bucket; larger than this one's index */
	char *name;    /* owned */
	struct cidr cidr;
};

struct policy {
	struct rule *rules;
	uint32_t n, cap;
	uint32_t *plain; /* the rules that are not about names, by order */
	uint32_t nplain;
	uint32_t *buckets; /* of those about names: the first of each */
	uint32_t nbuckets; /* a power of two; 0: there are none */
	bool allow_egress, allow_ingress, strict;
};

/* FNV-1a from the end of a name, so that each suffix's hash is on the way. */
#define RULE_HASH_START 2166136261u
static inline uint32_t rule_hash_byte(uint32_t hash, char c)
{
	return (hash ^ (uint8_t)c) * 16777619u;
}

#define RULE_TOKEN_MAX 400

/* One token, without white space around it. */
int rule_parse(const char *token, struct rule *ret, struct err *err);

/* A word of the grammar and what it stands for; lists end with NULL. */
struct word {
	const char *text;
	uint8_t a, b;
};

const struct word *word_find(const struct word *list, const char *text);
/* "did you mean "X"?", or all that there is; and @more. */
void word_hint(struct err *err, const struct word *list, const char *text,
               const char *more);

#endif
