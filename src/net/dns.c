/*
 * dns.c - a question's way: what it is, whether it may be asked, who knows.
 *
 *	dns_input, dns_stream -> dns_take
 *	  form, class, type            FORMERR, NOTIMP, REFUSED
 *	  dns_local                    names that are answered here
 *	  policy: the name             NXDOMAIN, EDE 15; nothing leaves
 *	  policy: the server           ... when it is not the gateway
 *	  cache, dns_up -> dns_judge   the answer, as far as it may enter
 *
 * Who speaks to the gateway asks the configured servers; who speaks to another
 * server is judged as any flow there is, and asks that one.
 */
#include "net/dns_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

#include "base/banned.h"

#define SLEPT_MIN NS_PER_S

/* A question that servers were asked. */
struct dns_pending {
	struct dns_wait wait;
	struct dns *d;
	struct dns_pending *next, **prev;
	struct dns_from from;
	struct dns_query q;
	bool cached;
	char name[POLICY_NAME_MAX + 1];
};

/* ---- answers ---- */

static void to_guest(struct dns *d, const struct dns_from *from,
                     const struct dns_query *q, size_t len)
{
	if (from->conn) {
		dns_conn_send(from->conn, d->out, len);
		return;
	}
	if (len > q->size)
		len = dns_reply(q, get_be16(d->out + 2) & DNS_RCODE, DNS_TC,
		                DNS_EDE_NONE, d->out, sizeof(d->out));
	udp_to_guest(d->n, &from->server, DNS_PORT, &from->guest,
	             from->guest_port, d->out, len);
}

static void say(struct dns *d, const struct dns_from *from,
                const struct dns_query *q, unsigned rcode, enum dns_ede ede)
{
	to_guest(d, from, q,
	         dns_reply(q, rcode, 0, ede, d->out, sizeof(d->out)));
}

void dns_denied(struct net *n, const char *name, const char *why)
{
	atomic_fetch_add_explicit(&n->counters.dns_denied, 1,
	                          memory_order_relaxed);
	if (n->cfg.log_denied)
		net_say(n, "denied: dns for %s: %s", *name ? name : ".", why);
}

static void pending_free(struct dns_pending *p)
{
	*p->prev = p->next;
	if (p->next)
		p->next->prev = p->prev;
	free(p);
}

static void on_answer(struct dns_wait *w, int error, const struct dns_msg *m)
{
	struct dns_pending *p = container_of(w, struct dns_pending, wait);
	struct dns_from from = p->from;
	struct dns *d = p->d;
	size_t len;

	if (m) {
		if (p->cached)
			dns_cache_put(d->cache, &p->q, m, net_now(d->n));
		len = dns_judge(d, &p->q, p->name, m, 0, d->out);
	} else {
		len = dns_reply(&p->q, DNS_SERVFAIL, 0,
		                error == -ETIMEDOUT ? DNS_EDE_NO_REACHABLE
		                                    : DNS_EDE_NETWORK,
		                d->out, sizeof(d->out));
	}
	to_guest(d, &from, &p->q, len);
	pending_free(p);
	if (from.conn)
		dns_conn_done(from.conn);
}

/* ---- questions ---- */

/* Types that ask for something else than records of that type. */
static unsigned type_refused(const struct dns_query *q)
{
	if (q->class != DNS_CLASS_IN || q->type == DNS_OPT || q->type == 0)
		return DNS_REFUSED;
	if (q->type == DNS_ANY)
		return DNS_NOTIMP;
	return q->type >= DNS_TKEY && q->type < DNS_ANY ? DNS_REFUSED : 0;
}

static bool may_ask(struct dns *d, const struct dns_from *from,
                    const char *name)
{
	enum policy_proto proto = from->conn ? POLICY_TCP : POLICY_UDP;
	struct tuple t = {.guest = from->guest,
	                  .peer = from->server,
	                  .gport = from->guest_port,
	                  .pport = DNS_PORT};

	struct policy_answer a =
		policy_decide_name(d->n->cfg.policy, name, proto);
	char rule[POLICY_RULE_TEXT];

	if (a.verdict != VERDICT_ALLOW) {
		dns_denied(d->n, name,
		           policy_rule_text(d->n->cfg.policy, POLICY_EGRESS, a,
		                            rule));
		return false;
	}
	if (gate_is_gateway(d->n, &from->server))
		return true;
	/* A flow to a server never says a name: who waits for one denies. */
	if (gate_egress(d->n, proto, &t, "") == VERDICT_ALLOW)
		return true;
	atomic_fetch_add_explicit(&d->n->counters.dns_denied, 1,
	                          memory_order_relaxed);
	return false;
}

/*
 * The clock stands still while the host sleeps, TTLs do not: what was kept
 * before is of unknown age then.
 */
static void mind_sleep(struct dns *d)
{
	uint64_t slept = clock_now_ns();
	struct timespec boot;

	if (d->n->cfg.host || clock_gettime(CLOCK_BOOTTIME, &boot) < 0)
		return;
	slept = (uint64_t)boot.tv_sec * NS_PER_S + (uint64_t)boot.tv_nsec -
	        slept;
	if (slept > d->slept_ns + SLEPT_MIN)
		dns_cache_clear(d->cache);
	d->slept_ns = slept;
}

static bool from_cache(struct dns *d, const struct dns_from *from,
                       const struct dns_query *q, const char *name)
{
	struct dns_msg m;
	const uint8_t *b;
	uint32_t age_s;
	size_t len;

	mind_sleep(d);
	b = dns_cache_get(d->cache, q, net_now(d->n), &len, &age_s);
	if (!b || dns_msg_parse(b, len, &m) < 0)
		return false;
	to_guest(d, from, q, dns_judge(d, q, name, &m, age_s, d->out));
	return true;
}

static struct dns_pending *pending_new(struct dns *d,
                                       const struct dns_from *from,
                                       const struct dns_query *q,
                                       const char *name)
{
	struct dns_pending *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->wait.done = on_answer;
	p->d = d;
	p->from = *from;
	p->q = *q;
	memcpy(p->name, name, strlen(name) + 1);
	p->next = d->pending;
	p->prev = &d->pending;
	if (p->next)
		p->next->prev = &p->next;
	d->pending = p;
	return p;
}

/* Over a bound of ours: who asks by UDP asks again by itself. */
static void refuse(struct dns *d, const struct dns_from *from,
                   const struct dns_query *q)
{
	gate_refused(d->n, "DNS queries");
	if (from->conn)
		say(d, from, q, DNS_SERVFAIL, DNS_EDE_NONE);
}

static void ask_server(struct dns *d, const struct dns_from *from,
                       const struct dns_query *q, const char *name)
{
	struct dns_ask ask = {.q = *q, .tcp = from->conn != NULL};
	struct dns_pending *p = pending_new(d, from, q, name);

	if (!p) {
		refuse(d, from, q);
		return;
	}
	ask.direct = !gate_is_gateway(d->n, &from->server);
	if (ask.direct)
		ask.server = (struct net_dns_server){
			gate_target(d->n, &from->server), DNS_PORT};
	p->cached = !ask.direct && q->flags & DNS_RD;
	if (from->conn)
		dns_conn_asked(from->conn);
	if (dns_up_ask(d->up, &ask, &p->wait) == 0)
		return;
	pending_free(p);
	refuse(d, from, q);
	if (from->conn)
		dns_conn_done(from->conn);
}

static bool no_way_by_v6(const struct net *n)
{
	return n->hostaddr && !hostaddr_has_route(n->hostaddr, true);
}

/* It may be asked: by whom is it known? */
static void resolve(struct dns *d, const struct dns_from *from,
                    const struct dns_query *q, const char *name)
{
	bool gateway = gate_is_gateway(d->n, &from->server);

	if (q->type == DNS_AAAA && no_way_by_v6(d->n)) {
		say(d, from, q, DNS_NOERROR, DNS_EDE_NONE);
	} else if (gateway && dns_up_nservers(d->up) == 0) {
		log_limited(LOG_WARN,
		            "no name server to ask; the host has none, "
		            "and none was given");
		say(d, from, q, DNS_SERVFAIL, DNS_EDE_NO_REACHABLE);
	} else if (!gateway || !(q->flags & DNS_RD) ||
	           !from_cache(d, from, q, name)) {
		ask_server(d, from, q, name);
	}
}

static bool name_of(const struct dns_query *q, char ret[POLICY_NAME_MAX + 1])
{
	char text[POLICY_NAME_MAX + 1];

	if (dns_name_text(&q->name, text) < 0)
		return false;
	if (*text)
		return policy_name(text, ret) == 0;
	*ret = '\0'; /* the root; no rule is about it */
	return true;
}

void dns_take(struct dns *d, const struct dns_from *from, const uint8_t *msg,
              size_t len)
{
	char name[POLICY_NAME_MAX + 1];
	struct dns_query q;
	int r = dns_query_parse(msg, len, &q);
	size_t n;

	if (r < 0) {
		net_bad(d->n, "no DNS query");
		return;
	}
	atomic_fetch_add_explicit(&d->n->counters.dns_queries, 1,
	                          memory_order_relaxed);
	if (r == 0)
		r = (int)type_refused(&q);
	if (r) {
		say(d, from, &q, (unsigned)r, DNS_EDE_NONE);
	} else if (!name_of(&q, name)) {
		dns_denied(d->n, "a name with odd bytes",
		           "no rule can be about it");
		say(d, from, &q, DNS_NXDOMAIN, DNS_EDE_BLOCKED);
	} else if (dns_local(d, &q, name, &n)) {
		to_guest(d, from, &q, n);
	} else if (!may_ask(d, from, name)) {
		say(d, from, &q, DNS_NXDOMAIN, DNS_EDE_BLOCKED);
	} else {
		resolve(d, from, &q, name);
	}
}

void dns_input(struct net *n, struct pkt *p)
{
	struct dns *d = n->dns;
	struct dns_from from = {.server = p->dst,
	                        .guest = p->src,
	                        .guest_port = get_be16(p->head + p->l4)};
	const struct tuple t = {p->src, p->dst, from.guest_port, DNS_PORT};
	const struct iov all = {
		&(struct iovec){d->in, p->payload.len},
                 1, p->payload.len
        };
	size_t len = p->payload.len;

	if (addr_kind(&p->dst) == ADDR_MULTICAST)
		return;
	if (len > DNS_GUEST_MAX || iov_get(&p->payload, d->in, len) < 0) {
		net_bad(n, "a DNS query that is too long");
		return;
	}
	if (intercept_datagram(n, &t, &all))
		dns_take(d, &from, d->in, len);
}

/* ---- life ---- */

int dns_new(struct net *n, struct dns **ret, struct err *err)
{
	struct dns *d = calloc(1, sizeof(*d));

	if (d) {
		d->n = n;
		d->up = dns_up_new(n);
		d->cache = dns_cache_new();
	}
	if (!d || !d->up || !d->cache) {
		dns_free(d);
		return err_set(err, -ENOMEM, "no memory for the name server");
	}
	mind_sleep(d);
	*ret = d;
	return 0;
}

void dns_forget(struct dns *d, const struct dns_conn *c)
{
	for (struct dns_pending *p = d->pending, *next; p; p = next) {
		next = p->next;
		if (c && p->from.conn != c)
			continue;
		dns_up_cancel(d->up, &p->wait);
		pending_free(p);
	}
}

/* What was learned stays: it is the host's, not the driver's. */
void dns_reset(struct net *n)
{
	dns_forget(n->dns, NULL);
	dns_conns_close(n->dns);
}

void dns_set_servers(struct net *n, const struct net_dns_server *s, unsigned ns)
{
	dns_up_servers(n->dns->up, s, ns);
	dns_cache_clear(n->dns->cache);
}

void dns_free(struct dns *d)
{
	if (!d)
		return;
	dns_forget(d, NULL);
	dns_conns_close(d);
	dns_up_free(d->up);
	dns_cache_free(d->cache);
	free(d);
}
