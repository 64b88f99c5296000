/*
 * policy_new.c - a policy made of a user's rules and of what a profile implies.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "policy/policy.h"
#include "policy/rules.h"

#include "base/banned.h"

static int add_rule(struct policy *p, const char *token, struct err *err)
{
	int code;

	if (p->n == p->cap) {
		uint32_t cap = p->cap ? p->cap * 2 : 16;
		struct rule *rules =
			reallocarray(p->rules, cap, sizeof(*rules));

		if (!rules)
			return err_set(err, -ENOMEM, "out of memory");
		p->rules = rules;
		p->cap = cap;
	}
	code = rule_parse(token, &p->rules[p->n], err);
	if (code == 0)
		p->n++;
	return code;
}

/*
 * The next of @list, which is separated by commas: without the white space
 * around it, cut to @size. False at the end.
 */
static bool next_token(const char **list, char *ret, size_t size)
{
	const char *from = *list;
	size_t len;

	if (!from)
		return false;
	len = strcspn(from, ",");
	*list = from[len] ? from + len + 1 : NULL;
	while (len > 0 && isspace((unsigned char)*from)) {
		from++;
		len--;
	}
	while (len > 0 && isspace((unsigned char)from[len - 1]))
		len--;
	len = MIN(len, size - 1);
	memcpy(ret, from, len);
	ret[len] = '\0';
	return true;
}

static int add_user_rules(struct policy *p, const struct strv *rules,
                          struct err *err)
{
	char token[RULE_TOKEN_MAX + 1]; /* so that one too long is seen */

	for (size_t i = 0; rules && i < rules->n; i++) {
		const char *list = rules->v[i];

		while (next_token(&list, token, sizeof(token))) {
			int code;

			if (p->n == POLICY_RULES_MAX)
				return err_set(err, -E2BIG,
				               "more than %u rules",
				               POLICY_RULES_MAX);
			code = add_rule(p, token, err);
			if (code < 0)
				return code;
		}
	}
	return 0;
}

/* In the order in which their rules come. */
enum {
	PROFILE_PUBLIC = 1,
	PROFILE_PRIVATE = 2,
	PROFILE_HOST = 4,
	PROFILE_ALL = 8,
	PROFILE_NONE = 16
};

static const struct word profiles[] = {
	{"public",  PROFILE_PUBLIC,  0},
        {"private", PROFILE_PRIVATE, 0},
	{"host",    PROFILE_HOST,    0},
        {"all",     PROFILE_ALL,     0},
	{"none",    PROFILE_NONE,    0},
        {NULL,      0,               0},
};

static int parse_profile(const char *list, unsigned *ret, struct err *err)
{
	const unsigned alone = PROFILE_ALL | PROFILE_NONE;
	char token[32];
	const char *rest = list;
	unsigned set = 0;

	while (next_token(&rest, token, sizeof(token))) {
		const struct word *w = word_find(profiles, token);

		if (!w) {
			(void)err_set(err, -EINVAL,
			              "there is no network profile \"%s\"",
			              token);
			word_hint(err, profiles, token, "");
			return -EINVAL;
		}
		set |= w->a;
	}
	if ((set & alone) && (set & (set - 1))) {
		(void)err_set(err, -EINVAL,
		              "network profile \"%.60s\": all and none stand "
		              "alone",
		              list);
		err_hint(err, "public, private and host can be put together");
		return -EINVAL;
	}
	*ret = set;
	return 0;
}

static int add_profile(struct policy *p, unsigned set, struct err *err)
{
	static const struct {
		unsigned when;
		const char *token;
	} implied[] = {
		{~(unsigned)PROFILE_NONE, "allow@dns"    },
		{PROFILE_PUBLIC,          "allow@public" },
		{PROFILE_PRIVATE,         "allow@private"},
		{PROFILE_HOST,            "allow@host"   },
	};

	for (size_t i = 0; i < ARRAY_SIZE(implied); i++) {
		int code = set & implied[i].when
		                   ? add_rule(p, implied[i].token, err)
		                   : 0;

		if (code < 0)
			return code;
	}
	p->allow_egress = set & PROFILE_ALL;
	p->allow_ingress = !(set & PROFILE_NONE);
	return 0;
}

/* Names to their hash, from the last on: each bucket is in order then. */
static int index_rules(struct policy *p, struct err *err)
{
	uint32_t names = 0, size = 16;

	p->plain = calloc(p->n + 1, sizeof(*p->plain));
	if (!p->plain)
		return err_set(err, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < p->n; i++) {
		if (p->rules[i].target == RULE_NAME)
			names++;
		else
			p->plain[p->nplain++] = i;
	}
	if (names == 0)
		return 0;
	while (size < names * 2)
		size *= 2;
	p->buckets = malloc(size * sizeof(*p->buckets));
	if (!p->buckets)
		return err_set(err, -ENOMEM, "out of memory");
	memset(p->buckets, 0xff, size * sizeof(*p->buckets));
	p->nbuckets = size;
	for (uint32_t i = p->n; i-- > 0;) {
		struct rule *r = &p->rules[i];
		uint32_t *bucket = &p->buckets[r->hash & (size - 1)];

		if (r->target != RULE_NAME)
			continue;
		r->next = *bucket;
		*bucket = i;
	}
	return 0;
}

/* Without a profile and without a default it is `public`. */
static int choose_profile(const struct policy_spec *spec, unsigned *ret,
                          struct err *err)
{
	if (spec->profile)
		return parse_profile(spec->profile, ret, err);
	*ret = spec->egress == POLICY_UNSET && spec->ingress == POLICY_UNSET
	               ? PROFILE_PUBLIC
	               : 0;
	return 0;
}

int policy_new(const struct policy_spec *spec, struct policy **ret,
               struct err *err)
{
	cleanup_policy struct policy *p = calloc(1, sizeof(*p));
	unsigned set;
	int code;

	if (!p)
		return err_set(err, -ENOMEM, "out of memory");
	code = choose_profile(spec, &set, err);
	if (code == 0)
		code = add_user_rules(p, spec->rules, err);
	if (code == 0)
		code = add_profile(p, set, err);
	if (code == 0)
		code = index_rules(p, err);
	if (code < 0)
		return code;
	if (spec->egress != POLICY_UNSET)
		p->allow_egress = spec->egress == POLICY_ALLOW;
	if (spec->ingress != POLICY_UNSET)
		p->allow_ingress = spec->ingress == POLICY_ALLOW;
	p->strict = spec->strict;
	*ret = take_ptr(p);
	return 0;
}
