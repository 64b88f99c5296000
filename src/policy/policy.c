/*
 * policy.c - which rule decides.
 *
 * A flow is looked at once (struct look): its readings as an address, their
 * kinds, its protocol as a bit. Then two searches for the smallest index: one
 * by address through `plain`, and one for each name that could count. The
 * table in policy.h says which names do.
 */
#include "policy/policy.h"

#include <errno.h>
#include <stdlib.h>

#include "base/num.h"
#include "policy/rules.h"

#include "base/banned.h"

#define NONE UINT32_MAX /* no rule: larger than any index */

/* What the rules are asked about. */
struct look {
	const struct policy_flow *f;
	uint64_t forms[ADDR_FORMS_MAX][2]; /* [0]: as it is */
	bool form_v4[ADDR_FORMS_MAX];
	unsigned nforms;
	uint64_t inner[2];    /* what it stands for */
	bool inner_v4, plain; /* plain: it stands for itself */
	unsigned kind;        /* 1 << enum addr_kind, of what it stands for */
	unsigned kinds;       /* of all forms */
	uint8_t proto;        /* enum rule_proto */
	bool nameable;        /* a name may allow it */
};

/* ---- addresses ---------------------------------------------------------- */

static uint8_t proto_of(const struct policy_flow *f)
{
	switch (f->proto) {
	case POLICY_TCP:
		return RULE_TCP;
	case POLICY_UDP:
		return RULE_UDP;
	case POLICY_ICMP:
		break;
	}
	return addr_is_v4(&f->peer) ? RULE_ICMP4 : RULE_ICMP6;
}

static void look_at(struct look *l, const struct policy_flow *f)
{
	const unsigned own = 1u << ADDR_META | 1u << ADDR_LOOPBACK;
	struct addr forms[ADDR_FORMS_MAX];
	struct addr inner = addr_embedded(&f->peer);

	*l = (struct look){.f = f, .proto = proto_of(f)};
	l->nforms = addr_forms(&f->peer, forms);
	for (unsigned i = 0; i < l->nforms; i++) {
		memcpy(l->forms[i], forms[i].b, sizeof(l->forms[i]));
		l->form_v4[i] = addr_is_v4(&forms[i]);
		l->kinds |= 1u << addr_kind(&forms[i]);
	}
	memcpy(l->inner, inner.b, sizeof(l->inner));
	l->inner_v4 = addr_is_v4(&inner);
	l->plain = addr_embeds(&f->peer) == 0;
	l->kind = 1u << addr_kind(&f->peer);
	l->nameable = !f->host &&
	              (l->kind & (1u << ADDR_PUBLIC | 1u << ADDR_PRIVATE));
	/* `host` goes before the other groups; policy.h has the exceptions. */
	if (f->host) {
		l->kind &= own;
		l->kinds &= own;
	}
}

static bool net_has(const struct rule *r, const uint64_t a[2], bool v4)
{
	return r->v4 == v4 && ((a[0] ^ r->net[0]) & r->mask[0]) == 0 &&
	       ((a[1] ^ r->net[1]) & r->mask[1]) == 0;
}

static bool net_denies(const struct rule *r, const struct look *l)
{
	for (unsigned i = 0; i < l->nforms; i++)
		if (net_has(r, l->forms[i], l->form_v4[i]))
			return true;
	return false;
}

static bool net_allows(const struct rule *r, const struct look *l)
{
	if (l->f->gateway && r->cidr.bits != 128)
		return false;
	if (l->plain)
		return net_has(r, l->forms[0], l->form_v4[0]);
	if (r->embeds && net_has(r, l->forms[0], l->form_v4[0]))
		return true;
	return l->inner_v4 && net_has(r, l->inner, true);
}

/* Direction, protocol, port. */
static bool fits(const struct rule *r, const struct look *l)
{
	return (r->dirs & l->f->dir) && (r->protos & l->proto) &&
	       l->f->port >= r->lo && l->f->port <= r->hi;
}

static bool target_is(const struct rule *r, const struct look *l)
{
	switch ((enum rule_target)r->target) {
	case RULE_ANY:
		return true;
	case RULE_GROUP:
		return (r->allow ? l->kind : l->kinds) & 1u << r->group;
	case RULE_HOST:
		/* What hides the host's address goes to a translator. */
		return l->f->host && (l->plain || !r->allow);
	case RULE_DNS:
		return l->f->gateway && l->f->port == POLICY_DNS;
	case RULE_NET:
		return r->allow ? net_allows(r, l) : net_denies(r, l);
	case RULE_NAME:
		break;
	}
	return false;
}

static uint32_t first_plain(const struct policy *p, const struct look *l)
{
	for (uint32_t i = 0; i < p->nplain; i++) {
		const struct rule *r = &p->rules[p->plain[i]];

		if (fits(r, l) && target_is(r, l))
			return p->plain[i];
	}
	return NONE;
}

/* ---- names -------------------------------------------------------------- */

/* Which rules about a name a search is for. */
enum search_action { DENIALS, ALLOWANCES, BOTH };

struct search {
	const struct policy *p;
	const struct look *l; /* NULL: of any flow of the guest's (DNS) */
	enum search_action action;
	/* Allowances that are also of one of these names; NULL: of all. */
	const char *const *also;
	size_t nalso;
	uint32_t best;
};

/* Is @r about @name? */
static bool covers(const struct rule *r, const char *name)
{
	size_t rule_len = strlen(r->name), len = strlen(name);

	if (len < rule_len || strcmp(name + len - rule_len, r->name) != 0)
		return false;
	return len == rule_len ||
	       (r->suffix && name[len - rule_len - 1] == '.');
}

static bool covers_one(const struct rule *r, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (covers(r, names[i]))
			return true;
	return false;
}

/* policy_decide_name() says which rules count for a query. */
static bool counts_for_query(const struct rule *r)
{
	const uint8_t both = RULE_TCP | RULE_UDP;

	if (!(r->dirs & POLICY_EGRESS))
		return false;
	return r->allow ||
	       ((r->protos & both) == both && r->lo == 0 && r->hi == 65535);
}

static bool wanted(const struct search *s, const struct rule *r)
{
	if (s->action != BOTH && r->allow != (s->action == ALLOWANCES))
		return false;
	if (s->l ? !fits(r, s->l) : !counts_for_query(r))
		return false;
	if (s->l && r->allow && !s->l->nameable)
		return false;
	return !s->also || covers_one(r, s->also, s->nalso);
}

/* Rules whose name is @key; @whole: it is the flow's, else a suffix of it. */
static void search_key(struct search *s, const char *key, uint32_t hash,
                       bool whole)
{
	uint32_t i = s->p->buckets[hash & (s->p->nbuckets - 1)];

	for (; i < s->best; i = s->p->rules[i].next) {
		const struct rule *r = &s->p->rules[i];

		if (r->hash != hash || (!whole && !r->suffix) ||
		    strcmp(r->name, key) != 0 || !wanted(s, r))
			continue;
		s->best = i;
		return;
	}
}

static void search_name(struct search *s, const char *name)
{
	uint32_t hash = RULE_HASH_START;

	if (s->p->nbuckets == 0)
		return;
	for (size_t at = strlen(name); at-- > 0;) {
		if (name[at] == '.')
			search_key(s, name + at + 1, hash, false);
		hash = rule_hash_byte(hash, name[at]);
	}
	search_key(s, name, hash, true);
}

static uint32_t search_names(const struct policy *p, const struct look *l,
                             enum search_action action, uint32_t best,
                             const char *const *names, size_t n)
{
	struct search s = {.p = p, .l = l, .action = action, .best = best};

	for (size_t i = 0; i < n; i++)
		search_name(&s, names[i]);
	return s.best;
}

/* ---- flows -------------------------------------------------------------- */

static struct policy_answer answer(const struct policy *p, enum policy_dir dir,
                                   uint32_t rule)
{
	bool allow = dir == POLICY_EGRESS ? p->allow_egress : p->allow_ingress;

	if (rule == NONE)
		return (struct policy_answer){allow ? VERDICT_ALLOW
		                                    : VERDICT_DENY,
		                              POLICY_BY_DEFAULT};
	return (struct policy_answer){
		p->rules[rule].allow ? VERDICT_ALLOW : VERDICT_DENY, (int)rule};
}

/* The flow named @said, which is none of its pins. */
static struct policy_answer decide_other(const struct policy *p,
                                         const struct look *l, const char *said,
                                         uint32_t plain)
{
	const struct policy_flow *f = l->f;
	struct search both = {.p = p,
	                      .l = l,
	                      .action = ALLOWANCES,
	                      .also = f->names,
	                      .nalso = f->nnames};

	both.best = search_names(p, l, DENIALS, plain, f->names, f->nnames);
	both.best = search_names(p, l, DENIALS, both.best, &said, 1);
	if (f->nnames > 0)
		search_name(&both, said);
	return answer(p, f->dir, both.best);
}

/* It named nobody, and will not. */
static struct policy_answer decide_silent(const struct policy *p,
                                          const struct look *l, uint32_t plain)
{
	return answer(p, l->f->dir,
	              search_names(p, l, p->strict ? DENIALS : BOTH, plain,
	                           l->f->names, l->f->nnames));
}

/* It may still name somebody: would that change anything? */
static struct policy_answer decide_early(const struct policy *p,
                                         const struct look *l, uint32_t plain)
{
	const struct policy_flow *f = l->f;
	struct policy_answer first = answer(p, f->dir, plain), a;

	for (size_t i = 0; i < f->nnames; i++) {
		uint32_t rule =
			search_names(p, l, BOTH, plain, &f->names[i], 1);

		a = answer(p, f->dir, rule);
		if (p->strict && rule != plain && a.verdict == VERDICT_ALLOW)
			a.verdict = VERDICT_NEED_NAME;
		if (i == 0)
			first = a;
		if (a.verdict == VERDICT_NEED_NAME ||
		    a.verdict != first.verdict)
			return (struct policy_answer){VERDICT_NEED_NAME,
			                              a.rule};
	}
	return first;
}

static bool is_pin(const struct policy_flow *f, const char *name)
{
	for (size_t i = 0; i < f->nnames; i++)
		if (strcmp(f->names[i], name) == 0)
			return true;
	return false;
}

struct policy_answer policy_decide(const struct policy *p,
                                   const struct policy_flow *f)
{
	const char *said = f->said;
	struct look l;
	uint32_t plain;

	look_at(&l, f);
	plain = first_plain(p, &l);
	if (p->nbuckets == 0 || f->dir != POLICY_EGRESS)
		return answer(p, f->dir, plain);
	if (!said && f->proto != POLICY_TCP)
		said = "";
	if (!said)
		return decide_early(p, &l, plain);
	if (*said == '\0')
		return decide_silent(p, &l, plain);
	if (is_pin(f, said))
		return answer(p, f->dir,
		              search_names(p, &l, BOTH, plain, &said, 1));
	return decide_other(p, &l, said, plain);
}

struct policy_answer policy_decide_name(const struct policy *p,
                                        const char *name,
                                        enum policy_proto proto)
{
	uint8_t bit = proto == POLICY_TCP ? RULE_TCP : RULE_UDP;
	uint32_t best = search_names(p, NULL, BOTH, NONE, &name, 1);

	for (uint32_t i = 0; i < p->nplain && p->plain[i] < best; i++) {
		const struct rule *r = &p->rules[p->plain[i]];

		if (!(r->dirs & POLICY_EGRESS) || !(r->protos & bit) ||
		    r->lo > POLICY_DNS || r->hi < POLICY_DNS)
			continue;
		if (r->target == RULE_ANY || r->target == RULE_HOST ||
		    r->target == RULE_DNS)
			best = p->plain[i];
	}
	return answer(p, POLICY_EGRESS, best);
}

bool policy_allows_answer(const struct policy *p, const struct addr *a,
                          bool host)
{
	struct policy_flow f = {.dir = POLICY_EGRESS,
	                        .proto = POLICY_TCP,
	                        .peer = *a,
	                        .host = host};
	struct look l;

	look_at(&l, &f);
	for (uint32_t i = 0; i < p->nplain; i++) {
		const struct rule *r = &p->rules[p->plain[i]];

		if ((r->dirs & POLICY_EGRESS) && r->lo == 0 && r->hi == 65535 &&
		    r->target != RULE_ANY && r->target != RULE_DNS &&
		    target_is(r, &l))
			return r->allow;
	}
	return false;
}

bool policy_reaches(const struct policy *p, const struct policy_flow *f)
{
	const uint8_t both = RULE_TCP | RULE_UDP;
	struct look l;

	look_at(&l, f);
	for (uint32_t i = 0; i < p->nplain; i++) {
		const struct rule *r = &p->rules[p->plain[i]];

		if (!(r->dirs & POLICY_EGRESS) || !(r->protos & both) ||
		    !target_is(r, &l))
			continue;
		if (r->allow)
			return true;
		if ((r->protos & both) == both && r->lo == 0 && r->hi == 65535)
			return false;
	}
	return p->allow_egress;
}

bool policy_has_names(const struct policy *p)
{
	return p->nbuckets > 0;
}

bool policy_is_network(const struct policy *p, struct policy_answer a)
{
	return a.rule >= 0 && p->rules[a.rule].target == RULE_NET;
}

size_t policy_rules(const struct policy *p)
{
	return p->n;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; i < p->n; i++)
		free(p->rules[i].name);
	free(p->rules);
	free(p->plain);
	free(p->buckets);
	free(p);
}
