/*
 * dns_local.c - names that are answered here.
 *
 *	host.microsandbox.internal,      the gateway's addresses, when any flow
 *	host.docker.internal             to it can be allowed; else NXDOMAIN
 *	*.microsandbox.internal          NXDOMAIN
 *	*.resolver.arpa                  no data (RFC 9462): nobody is told of
 *	                                 encrypted servers to go to instead
 *	use-application-dns.net          NXDOMAIN when rules speak of names:
 *asks browsers not to go to DoH by themselves names of addresses (PTR) of the
 *gateway: its name. Of others that no answer may hold: NXDOMAIN, so that the
 *host's network stays unknown
 */
#include "net/dns_int.h"

#include <string.h>

#include "base/banned.h"

#define OWN_TTL 60

static size_t reply(struct dns *d, const struct dns_query *q, unsigned rcode,
                    enum dns_ede ede)
{
	return dns_reply(q, rcode, 0, ede, d->out, sizeof(d->out));
}

static size_t answer(struct dns *d, const struct dns_query *q, const void *data,
                     size_t len)
{
	struct dns_out o;

	dns_out_begin(&o, d->out, sizeof(d->out), q, 0);
	if (len)
		dns_out_record(&o, NULL, q->type, OWN_TTL, data, len);
	dns_out_opt(&o, q, 0, DNS_EDE_NONE);
	return o.len;
}

/* ---- our own ---- */

static bool host_is_open(const struct net *n)
{
	struct policy_flow f = {.dir = POLICY_EGRESS,
	                        .proto = POLICY_TCP,
	                        .peer = n->cfg.gateway4,
	                        .host = true,
	                        .gateway = true};

	return policy_reaches(n->cfg.policy, &f);
}

/* Without a family its gateway's address is all zeros. */
static bool is_set(const struct addr *a)
{
	static const struct addr none;

	return !addr_eq(a, &none);
}

static size_t own_name(struct dns *d, const struct dns_query *q)
{
	const struct net_config *cfg = &d->n->cfg;

	if (!host_is_open(d->n)) {
		dns_denied(d->n, DNS_HOST_NAME, "no rule allows the host");
		return reply(d, q, DNS_NXDOMAIN, DNS_EDE_BLOCKED);
	}
	if (q->type == DNS_A && is_set(&cfg->gateway4))
		return answer(d, q, cfg->gateway4.b + 12, 4);
	if (q->type == DNS_AAAA && is_set(&cfg->gateway6))
		return answer(d, q, cfg->gateway6.b, 16);
	return answer(d, q, NULL, 0);
}

static size_t below_own(struct dns *d, const struct dns_query *q)
{
	return reply(d, q, DNS_NXDOMAIN, DNS_EDE_NONE);
}

static size_t no_data(struct dns *d, const struct dns_query *q)
{
	return answer(d, q, NULL, 0);
}

static size_t canary(struct dns *d, const struct dns_query *q)
{
	if (!policy_has_names(d->n->cfg.policy))
		return 0;
	return reply(d, q, DNS_NXDOMAIN, DNS_EDE_NONE);
}

/* The first that has the name answers, or 0: it is not for us. */
static const struct {
	const char *name;
	bool below; /* and all below it */
	size_t (*answer)(struct dns *d, const struct dns_query *q);
} own[] = {
	{DNS_HOST_NAME,             false, own_name },
	{DNS_HOST_ALIAS,            false, own_name },
	{"microsandbox.internal",   true,  below_own},
	{"resolver.arpa",           true,  no_data  },
	{"use-application-dns.net", false, canary   },
};

/* ---- names of addresses ---- */

static int digit(uint8_t c, int base)
{
	int v = 16;

	if (c >= '0' && c <= '9')
		v = c - '0';
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		v = (c | 0x20) - 'a' + 10;
	return v < base ? v : -1;
}

/* A label of an in-addr.arpa name: a number up to 255, or -1. */
static int octet(const uint8_t *label)
{
	int v = 0;

	if (label[0] == 0 || label[0] > 3)
		return -1;
	for (unsigned i = 1; i <= label[0]; i++) {
		int d = digit(label[i], 10);

		if (d < 0)
			return -1;
		v = v * 10 + d;
	}
	return v <= 255 ? v : -1;
}

static bool reverse4(const struct dns_name *n, struct addr *ret)
{
	struct dns_name top;
	uint32_t v4 = 0;
	size_t at = 0;

	(void)dns_name_from_text("in-addr.arpa", &top);
	for (int i = 0; i < 4; i++) {
		int v = octet(n->b + at);

		if (v < 0)
			return false;
		v4 |= (uint32_t)v << 8 * i;
		at += 1 + (size_t)n->b[at];
	}
	if (n->len - at != top.len || !dns_name_under(n, &top))
		return false;
	*ret = addr_v4(v4);
	return true;
}

static bool reverse6(const struct dns_name *n, struct addr *ret)
{
	struct addr a = {{0}};
	struct dns_name top;

	(void)dns_name_from_text("ip6.arpa", &top);
	if (n->len != 64 + top.len || !dns_name_under(n, &top))
		return false;
	for (int i = 0; i < 32; i++) {
		int v = n->b[2 * i] == 1 ? digit(n->b[2 * i + 1], 16) : -1;

		if (v < 0)
			return false;
		a.b[15 - i / 2] |= (uint8_t)(v << (i & 1 ? 4 : 0));
	}
	*ret = a;
	return true;
}

static bool name_of_address(struct dns *d, const struct dns_query *q,
                            const char *name, size_t *ret_len)
{
	struct dns_name host;
	struct addr a;

	if (!reverse4(&q->name, &a) && !reverse6(&q->name, &a))
		return false;
	if (gate_is_gateway(d->n, &a) && host_is_open(d->n)) {
		(void)dns_name_from_text(DNS_HOST_NAME, &host);
		*ret_len =
			answer(d, q, host.b, q->type == DNS_PTR ? host.len : 0);
		return true;
	}
	if (dns_may_enter(d->n, &a))
		return false;
	dns_denied(d->n, name, "it is the name of no public address");
	*ret_len = reply(d, q, DNS_NXDOMAIN, DNS_EDE_BLOCKED);
	return true;
}

bool dns_local(struct dns *d, const struct dns_query *q, const char *name,
               size_t *ret_len)
{
	struct dns_name top;
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		if (dns_name_from_text(own[i].name, &top) < 0 ||
		    !(own[i].below ? dns_name_under(&q->name, &top)
		                   : dns_name_eq(&q->name, &top)))
			continue;
		len = own[i].answer(d, q);
		if (len)
			*ret_len = len;
		return len != 0;
	}
	return name_of_address(d, q, name, ret_len);
}
