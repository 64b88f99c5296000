/*
 * dns_judge.c - an answer, before the guest gets it.
 *
 * A record of an address counts when it belongs to the asked name, by way of
 * CNAMEs; others have no business in the answer section. Its address must be
 * public and none of the host's, or meant by a rule (rebinding). What stays is
 * tied to the asked name, and to it only: the names that a CNAME leads through
 * are the words of whoever runs the asked one, and would be a way to have any
 * address tied to any name.
 *
 * SVCB and HTTPS records lose their address hints, which nobody judges, and
 * the keys of encrypted hellos when rules speak of names: such a hello shows a
 * decoy. Nor do they lead to other names then.
 *
 *	all stays                  the message as it came
 *	all of the answers stay    the message up to there
 *	else                       a new one, of CNAMEs and what stays
 *	none of the addresses      NXDOMAIN
 *
 * A message that was changed is not authentic any more: AD is taken away.
 */
#include "net/dns_int.h"

#include <errno.h>
#include <string.h>

#include "base/banned.h"

#define CHAIN_MAX     16
#define ADDRESSES_MAX 64 /* of one answer; a pin each */
#define SVCB_MAX      2048

#define SVCB_V4HINT 4
#define SVCB_ECH    5
#define SVCB_V6HINT 6

enum fate { KEEP, DROP, STRIP };

struct plan {
	struct net *n;
	const struct dns_msg *m;
	uint32_t age_s;
	struct dns_name chain[CHAIN_MAX + 1]; /* [0]: the asked one */
	unsigned nchain;
	uint8_t fate[DNS_RECORDS_MAX];
	bool edit_answers, edit_rest;
	unsigned kept, refused; /* addresses of the asked name */
};

bool dns_may_enter(struct net *n, const struct addr *a)
{
	bool host;

	if (!n->cfg.rebind_protection)
		return true;
	host = gate_is_host(n, a);
	if (addr_kind(a) == ADDR_PUBLIC && !host)
		return true;
	return policy_allows_answer(n->cfg.policy, a, host);
}

/* ---- the plan ---- */

static bool find_cname(const struct dns_msg *m, const struct dns_name *of,
                       struct dns_name *ret)
{
	struct dns_walk w = {.m = m};
	struct dns_rr rr;

	while (dns_walk(&w, &rr)) {
		if (rr.section != DNS_ANSWER)
			return false;
		if (rr.type == DNS_CNAME && dns_name_eq(&rr.owner, of))
			return dns_name_read(m->b, m->len, &rr.data, ret) == 0;
	}
	return false;
}

static void find_chain(struct plan *p)
{
	p->chain[0] = p->m->name;
	p->nchain = 1;
	while (p->nchain <= CHAIN_MAX &&
	       find_cname(p->m, &p->chain[p->nchain - 1], &p->chain[p->nchain]))
		p->nchain++;
}

static bool is_asked(const struct plan *p, const struct dns_name *owner)
{
	for (unsigned i = 0; i < p->nchain; i++)
		if (dns_name_eq(&p->chain[i], owner))
			return true;
	return false;
}

static enum fate address_fate(struct plan *p, const struct dns_rr *rr)
{
	struct addr a = dns_rr_addr(p->m, rr);
	bool counts = rr->section == DNS_ANSWER;

	if (rr->class != DNS_CLASS_IN ||
	    (counts && (!is_asked(p, &rr->owner) || p->kept == ADDRESSES_MAX)))
		return DROP;
	if (!dns_may_enter(p->n, &a)) {
		p->refused += counts;
		return DROP;
	}
	p->kept += counts;
	return KEEP;
}

/* -EBADMSG or the new length. */
static int strip(const struct plan *p, const struct dns_rr *rr,
                 uint8_t ret[SVCB_MAX])
{
	static const uint16_t keys[] = {SVCB_V4HINT, SVCB_V6HINT, SVCB_ECH};
	bool names = policy_has_names(p->n->cfg.policy);

	if (rr->len > SVCB_MAX)
		return -EBADMSG;
	if (!names && !p->n->cfg.rebind_protection)
		return dns_svcb_strip(p->m, rr, keys, 0, ret);
	return dns_svcb_strip(p->m, rr, keys, names ? 3 : 2, ret);
}

/*
 * Whoever follows a record to another name asks for that one's addresses, and
 * they are tied to it. Without the record it goes to the asked name's.
 */
static bool leads_away(const struct plan *p, const struct dns_rr *rr)
{
	size_t at = rr->data + 2, end = rr->data + rr->len;
	struct dns_name target;

	if (!policy_has_names(p->n->cfg.policy))
		return false;
	return rr->len < 3 || dns_name_read(p->m->b, end, &at, &target) < 0 ||
	       (target.len > 1 && !dns_name_eq(&target, &rr->owner));
}

static enum fate fate_of(struct plan *p, const struct dns_rr *rr)
{
	uint8_t stripped[SVCB_MAX];
	int r;

	if (dns_rr_is_address(rr))
		return address_fate(p, rr);
	if (rr->type != DNS_SVCB && rr->type != DNS_HTTPS)
		return KEEP;
	if (leads_away(p, rr))
		return DROP;
	r = strip(p, rr, stripped);
	return r < 0 ? DROP : (size_t)r < rr->len ? STRIP : KEEP;
}

static void make_plan(struct plan *p)
{
	struct dns_walk w = {.m = p->m};
	struct dns_rr rr;

	find_chain(p);
	for (unsigned i = 0; dns_walk(&w, &rr); i++) {
		p->fate[i] = (uint8_t)fate_of(p, &rr);
		if (p->fate[i] == KEEP)
			continue;
		if (rr.section == DNS_ANSWER)
			p->edit_answers = true;
		else
			p->edit_rest = true;
	}
}

/* What is left of its life; a day at most, for us and for the guest. */
static uint32_t aged(const struct plan *p, const struct dns_rr *rr)
{
	uint32_t ttl = MIN(rr->ttl, DNS_TTL_MAX);

	return ttl > p->age_s ? ttl - p->age_s : 0;
}

static void pin_kept(const struct plan *p, const char *name)
{
	struct dns_walk w = {.m = p->m};
	uint64_t now = net_now(p->n);
	struct dns_rr rr;
	struct addr a;

	for (unsigned i = 0; dns_walk(&w, &rr); i++) {
		if (!dns_rr_is_address(&rr) || rr.section != DNS_ANSWER ||
		    p->fate[i] != KEEP)
			continue;
		a = dns_rr_addr(p->m, &rr);
		(void)pins_add(p->n->pins, &a, name, aged(p, &rr), now);
	}
}

/* ---- what the guest gets ---- */

/* The message as it came, but for what is between us and the server. */
static size_t copy(const struct plan *p, const struct dns_query *q, size_t len,
                   uint8_t *ret)
{
	struct dns_walk w = {.m = p->m};
	struct dns_rr rr;

	memcpy(ret, p->m->b, len);
	put_be16(ret, q->id);
	memcpy(ret + DNS_HEAD, q->name.b, q->name.len);
	while (dns_walk(&w, &rr)) {
		if (rr.at >= len)
			break;
		if (rr.type == DNS_OPT)
			put_be16(ret + rr.ttl_at - 2, DNS_UDP_MAX);
		else
			put_be32(ret + rr.ttl_at, aged(p, &rr));
	}
	return len;
}

static size_t cut(const struct plan *p, const struct dns_query *q, uint8_t *ret)
{
	struct dns_out o = {.b = ret, .max = DNS_MSG_MAX};

	o.len = copy(p, q, p->m->answers_end, ret);
	put_be16(ret + 2,
	         (uint16_t)(get_be16(ret + 2) & ~(unsigned)(DNS_AD | DNS_AA)));
	put_be16(ret + 8, 0);
	put_be16(ret + 10, 0);
	dns_out_opt(&o, q, 0, DNS_EDE_NONE);
	return o.len;
}

static void rebuild_one(const struct plan *p, struct dns_out *o,
                        const struct dns_rr *rr, enum fate fate)
{
	const uint8_t *data = p->m->b + rr->data;
	uint8_t stripped[SVCB_MAX];
	size_t len = rr->len, at = rr->data;
	struct dns_name target;

	if (fate == STRIP) {
		len = (size_t)strip(p, rr, stripped);
		data = stripped;
	} else if (rr->type == DNS_CNAME || rr->type == DNS_DNAME) {
		if (dns_name_read(p->m->b, p->m->len, &at, &target) < 0)
			return;
		data = target.b;
		len = target.len;
	} else if (!dns_rr_is_address(rr) && rr->type != DNS_SVCB &&
	           rr->type != DNS_HTTPS) {
		return;
	}
	dns_out_record(o,
	               dns_name_eq(&rr->owner, &p->m->name) ? NULL : &rr->owner,
	               rr->type, aged(p, rr), data, len);
}

static size_t rebuild(const struct plan *p, const struct dns_query *q,
                      uint8_t *ret)
{
	struct dns_walk w = {.m = p->m};
	struct dns_rr rr;
	struct dns_out o;

	dns_out_begin(&o, ret, DNS_MSG_MAX, q, p->m->flags & DNS_RCODE);
	for (unsigned i = 0; dns_walk(&w, &rr); i++)
		if (rr.section == DNS_ANSWER && p->fate[i] != DROP &&
		    rr.class == DNS_CLASS_IN)
			rebuild_one(p, &o, &rr, (enum fate)p->fate[i]);
	dns_out_opt(&o, q, 0, DNS_EDE_NONE);
	if (!o.full)
		return o.len;
	return dns_reply(q, DNS_SERVFAIL, 0, DNS_EDE_NONE, ret, DNS_MSG_MAX);
}

size_t dns_judge(struct dns *d, const struct dns_query *q, const char *name,
                 const struct dns_msg *m, uint32_t age_s, uint8_t *ret)
{
	struct plan p = {.n = d->n, .m = m, .age_s = age_s};

	make_plan(&p);
	if (p.refused && !p.kept) {
		dns_denied(d->n, name,
		           "its addresses are none that an answer may "
		           "have (rebinding)");
		return dns_reply(q, DNS_NXDOMAIN, 0, DNS_EDE_BLOCKED, ret,
		                 DNS_MSG_MAX);
	}
	pin_kept(&p, name);
	if (p.edit_answers)
		return rebuild(&p, q, ret);
	if (p.edit_rest)
		return cut(&p, q, ret);
	return copy(&p, q, m->len, ret);
}
